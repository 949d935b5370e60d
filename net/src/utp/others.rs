//! What comes to the socket and is not uTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::tracker::udp::is_likely_response;
use tokio::io::ReadBuf;
use tokio::sync::mpsc;

use super::Handle;
use crate::DatagramSocket;

/// Datagrams that wait to be received; more are dropped, as by the system.
const QUEUE: usize = 256;

/// The sending side of what the driver gives out.
#[derive(Debug)]
pub(super) struct Foreign([Sender; WHO.len()]);

/// The receiving side.
pub(super) type Queues = [mpsc::Receiver<(SocketAddr, Bytes)>; WHO.len()];

type Sender = mpsc::Sender<(SocketAddr, Bytes)>;

/// Who does not speak uTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The DHT, and whoever is not known.
    Dht,
    /// UDP trackers.
    Trackers,
}

pub(super) const WHO: [Who; 2] = [Who::Dht, Who::Trackers];

pub(super) fn channels() -> (Foreign, Queues) {
    let [(dht, from_dht), (trackers, from_trackers)] = WHO.map(|_| mpsc::channel(QUEUE));
    (Foreign([dht, trackers]), [from_dht, from_trackers])
}

impl Foreign {
    /// Gives a datagram to whom it is for. Who is slower than they come, or not there, loses it, and nobody else does.
    pub(super) fn give(&self, datagram: &[u8], from: SocketAddr) {
        let [dht, trackers] = &self.0;
        let who = if is_likely_response(datagram) {
            trackers
        } else {
            dht
        };
        let _ = who.try_send((from, Bytes::copy_from_slice(datagram)));
    }
}

/// The doors for those who do not speak uTP: each receives what looks like its own, and sends what it likes.
#[derive(Clone, Debug)]
pub struct Others {
    /// For the DHT.
    pub dht: Arc<Other>,
    /// For UDP trackers.
    pub trackers: Arc<Other>,
}

/// The socket, for one of those who do not speak uTP.
#[derive(Debug)]
pub struct Other {
    handle: Arc<Handle>,
    who: Who,
    queue: Mutex<mpsc::Receiver<(SocketAddr, Bytes)>>,
}

impl Others {
    pub(super) fn new(handle: &Arc<Handle>, [dht, trackers]: Queues) -> Self {
        let other = |who, queue| {
            Arc::new(Other {
                handle: Arc::clone(handle),
                who,
                queue: Mutex::new(queue),
            })
        };
        Self {
            dht: other(Who::Dht, dht),
            trackers: other(Who::Trackers, trackers),
        }
    }
}

impl DatagramSocket for Other {
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
                self.handle.shared.wait_for_room(self.who, cx.waker());
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

    fn overhead(&self, to: SocketAddr) -> usize {
        self.handle.shared.socket.overhead(to)
    }
}
