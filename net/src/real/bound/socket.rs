//! A datagram socket that is opened again when its place is back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Large datagrams may be taken apart.
    fragments: AtomicBool,
}

struct Current {
    generation: u64,
    socket: Option<Arc<UdpSocket>>,
    /// The look of the gate after which opening it was tried last, in vain.
    tried: Option<u64>,
    /// That it cannot be opened was told.
    told: bool,
}

impl Current {
    fn new(generation: u64, socket: UdpSocket) -> Self {
        Self {
            generation,
            socket: Some(Arc::new(socket)),
            tried: None,
            told: false,
        }
    }
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
            current: Mutex::new(Current::new(generation, socket)),
            fragments: AtomicBool::new(false),
        })
    }

    /// The socket, if there is one; opened again, if it has become useless and can be had. That is tried once after each look
    /// of the gate.
    fn current(&self) -> (u64, Option<Arc<UdpSocket>>) {
        let mut current = self.current.lock();
        if current.socket.is_some() && current.generation == self.gate.generation() {
            return (current.generation, current.socket.clone());
        }
        let looks = self.gate.looks();
        let (generation, place) = self.gate.now();
        current.socket = None;
        current.generation = generation;
        let Ok(place) = place else {
            return (generation, None);
        };
        if current.tried.replace(looks) == Some(looks) {
            return (generation, None);
        }
        let _runtime = self.gate.pool().handle().enter();
        match (self.open)(&place, self.local.port()) {
            Ok(socket) => {
                if self.fragments.load(Ordering::Relaxed) {
                    socket.allow_fragments();
                }
                *current = Current::new(generation, socket);
            }
            Err(error) => {
                if !std::mem::replace(&mut current.told, true) {
                    tracing::warn!(%error, at = %self.local, "opening a datagram socket again");
                }
            }
        }
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

    /// For as long as the place lasts.
    fn keep_whole(&self) {
        if let (_, Some(socket)) = self.current() {
            socket.keep_whole();
        }
    }

    fn allow_fragments(&self) {
        self.fragments.store(true, Ordering::Relaxed);
        if let (_, Some(socket)) = self.current() {
            socket.allow_fragments();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::Pool;

    #[tokio::test]
    async fn a_socket_that_cannot_be_opened_again_is_tried_once_after_each_look() {
        let gate = Gate::open("127.0.0.9".parse().unwrap(), &Pool::current()).unwrap();
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        let socket = BoundSocket::open(&gate, 0, move |place, port| {
            if !counted.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let at = place.stand(SocketAddr::from(([0; 4], port)))?;
            UdpSocket::bind(at, crate::real::platform::Fit::default())
        })
        .unwrap();
        let at = socket.local_addr();
        // As if the place had gone and come back.
        socket.current.lock().socket = None;
        for _ in 0..1000 {
            assert!(socket.try_send_to(b"x", at).is_err());
        }
        assert_eq!(tries.load(Ordering::Relaxed), 2);
        gate.look();
        for _ in 0..1000 {
            assert!(!socket.is_up());
        }
        assert_eq!(tries.load(Ordering::Relaxed), 3);
        gate.look();
        assert!(socket.is_up());
        assert_eq!(tries.load(Ordering::Relaxed), 4);
    }
}
