//! What comes to the socket and is not uTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::ReadBuf;
use tokio::sync::mpsc;

use super::Handle;
use crate::DatagramSocket;

/// Datagrams that wait to be received; more are dropped, as by the system.
const QUEUE: usize = 256;

/// The sending side of what the driver gives out.
pub(super) type Foreign = mpsc::Sender<(SocketAddr, Bytes)>;

/// The receiving side.
pub(super) type Queue = mpsc::Receiver<(SocketAddr, Bytes)>;

pub(super) fn channel() -> (Foreign, Queue) {
    mpsc::channel(QUEUE)
}

/// The socket for those who do not speak uTP: the DHT, UDP trackers.
#[derive(Debug)]
pub struct Others {
    handle: Arc<Handle>,
    queue: Mutex<Queue>,
}

impl Others {
    pub(super) fn new(handle: Arc<Handle>, queue: Queue) -> Self {
        Self {
            handle,
            queue: Mutex::new(queue),
        }
    }
}

impl DatagramSocket for Others {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        match self.queue.lock().poll_recv(cx) {
            Poll::Ready(Some((from, datagram))) => {
                let len = datagram.len().min(buf.remaining());
                buf.put_slice(datagram.get(..len).unwrap_or_default());
                Poll::Ready(Ok(from))
            }
            // The driver ends when nobody is left who could ask.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        match self.try_send_to(datagram, to) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.handle.shared.wait_for_room(cx.waker());
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.handle.shared.socket.try_send_to(datagram, to)
    }

    fn poll_send_to_name(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: (&str, u16),
    ) -> Poll<io::Result<()>> {
        let socket = &self.handle.shared.socket;
        socket.poll_send_to_name(cx, datagram, to)
    }

    fn is_up(&self) -> bool {
        self.handle.shared.socket.is_up()
    }

    fn local_addr(&self) -> SocketAddr {
        self.handle.shared.socket.local_addr()
    }

    fn max_payload(&self) -> usize {
        self.handle.shared.socket.max_payload()
    }
}
