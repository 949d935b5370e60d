//! A datagram socket that is opened again when its place is back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::ReadBuf;

use super::gate::{Gate, Place};
use crate::DatagramSocket;
use crate::datagram::Batch;
use crate::real::udp::UdpSocket;

/// Opens the socket at a place and a port.
type Open = dyn Fn(&Place, u16) -> io::Result<UdpSocket> + Send + Sync;

/// A socket at the place, whenever it is there. Meanwhile, what is to be sent waits.
pub(super) struct BoundSocket {
    gate: Arc<Gate>,
    open: Box<Open>,
    local: SocketAddr,
    current: Mutex<Current>,
}

struct Current {
    generation: u64,
    socket: Option<Arc<UdpSocket>>,
}

impl BoundSocket {
    pub(super) fn open(
        gate: &Arc<Gate>,
        port: u16,
        open: impl Fn(&Place, u16) -> io::Result<UdpSocket> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (generation, place) = gate.now();
        let socket = open(&place?, port)?;
        Ok(Self {
            gate: Arc::clone(gate),
            open: Box::new(open),
            local: socket.local_addr(),
            current: Mutex::new(Current {
                generation,
                socket: Some(Arc::new(socket)),
            }),
        })
    }

    /// The socket, if there is one; opened again, if it has become useless and can be had.
    fn current(&self) -> (u64, Option<Arc<UdpSocket>>) {
        let mut current = self.current.lock();
        if current.socket.is_some() && current.generation == self.gate.generation() {
            return (current.generation, current.socket.clone());
        }
        let (generation, place) = self.gate.now();
        current.generation = generation;
        let _runtime = self.gate.pool().handle().enter();
        current.socket = match place {
            Ok(place) => match (self.open)(&place, self.local.port()) {
                Ok(socket) => Some(Arc::new(socket)),
                Err(error) => {
                    tracing::warn!(%error, at = %self.local, "opening a datagram socket again");
                    None
                }
            },
            Err(_) => None,
        };
        (generation, current.socket.clone())
    }

    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&UdpSocket, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let (generation, socket) = self.current();
        let outcome = socket.map_or(Poll::Pending, |socket| act(&socket, cx));
        if outcome.is_pending() {
            self.gate.wait(generation, cx);
        }
        outcome
    }

    fn now(&self) -> io::Result<Arc<UdpSocket>> {
        let (_, socket) = self.current();
        socket.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl DatagramSocket for BoundSocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.poll(cx, |socket, cx| socket.poll_recv_from(cx, buf))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        self.poll(cx, |socket, cx| socket.poll_send_to(cx, datagram, to))
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.now()?.try_send_to(datagram, to)
    }

    fn poll_recv_batch(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        self.poll(cx, |socket, cx| socket.poll_recv_batch(cx, batch))
    }

    fn try_send_segments(
        &self,
        datagrams: &[u8],
        segment: usize,
        to: SocketAddr,
    ) -> io::Result<usize> {
        self.now()?.try_send_segments(datagrams, segment, to)
    }

    fn try_send_in_fragments(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.now()?.try_send_in_fragments(datagram, to)
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, UdpSocket::poll_send_ready)
    }

    fn is_up(&self) -> bool {
        self.current().1.is_some()
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}
