//! Datagrams.

mod run;

mod batches;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

pub use batches::Batches;

pub use run::Run;

/// An unconnected datagram socket: UDP, and whatever is dressed up as it.
///
/// For each direction only the task that polled last is woken; several senders go through [`Self::try_send_to`].
pub trait DatagramSocket: Send + Sync {
    /// Receives one datagram into `buf`; what does not fit is cut off.
    ///
    /// # Errors
    ///
    /// Errors are about one datagram or one remote host: the socket is still good.
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>>;

    /// Sends one datagram, when there is room.
    ///
    /// # Errors
    ///
    /// About this datagram only, for example that it is too large or its target cannot be reached.
    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>>;

    /// Sends one datagram now or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is no room, else as [`Self::poll_send_to`].
    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()>;

    /// Sends one datagram to a host by its name, when there is room, where names are looked up at the far end of this way
    /// ([`Network::locate`](crate::Network::locate)). Whose the answer is, its sender's address tells.
    ///
    /// # Errors
    ///
    /// `Unsupported` where names are looked up first; else as [`Self::poll_send_to`].
    fn poll_send_to_name(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: (&str, u16),
    ) -> Poll<io::Result<()>> {
        let _ = (cx, datagram, to);
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    /// Receives what has come, as much of it as the batch holds; what was in the batch before is forgotten.
    ///
    /// Whoever receives in batches does so for good: the system may be told to put datagrams together, which
    /// [`Self::poll_recv_from`] cannot take apart.
    ///
    /// # Errors
    ///
    /// As [`Self::poll_recv_from`].
    fn poll_recv_batch(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        batch.clear();
        while let Some(slot) = batch.free_slot() {
            let mut buf = ReadBuf::new(slot);
            match self.poll_recv_from(cx, &mut buf) {
                Poll::Ready(Ok(from)) => {
                    let len = buf.filled().len();
                    batch.filled(from, len, len);
                }
                Poll::Ready(Err(error)) if batch.is_empty() => return Poll::Ready(Err(error)),
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends datagrams of `segment` bytes each, the last one perhaps shorter, to one address now; says how many bytes of
    /// `datagrams` went out. Which other datagrams the system refuses is not told: they are lost on the way.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is no room for the first one.
    fn try_send_segments(
        &self,
        datagrams: &[u8],
        segment: usize,
        to: SocketAddr,
    ) -> io::Result<usize> {
        let mut sent = 0;
        for datagram in datagrams.chunks(segment.max(1)) {
            match self.try_send_to(datagram, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if sent == 0 {
                        return Err(error);
                    }
                    break;
                }
                Ok(()) | Err(_) => sent += datagram.len(),
            }
        }
        Ok(sent)
    }

    /// Sends one datagram now or not at all, and lets the network take it apart where it is too large for the path, where
    /// the system can tell it to: others are never taken apart by a socket that sends in segments.
    ///
    /// # Errors
    ///
    /// As [`Self::try_send_to`].
    fn try_send_in_fragments(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.try_send_to(datagram, to)
    }

    /// Waits until there may be room to send.
    ///
    /// # Errors
    ///
    /// When the socket is of no use any more.
    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Whether there is a way for datagrams right now; without one, they wait.
    fn is_up(&self) -> bool {
        true
    }

    /// The address that is bound, with the port that was really given.
    fn local_addr(&self) -> SocketAddr;

    /// The largest payload in bytes that one datagram can carry on this socket, fragmentation by IP included.
    fn max_payload(&self) -> usize {
        MAX_UDP_PAYLOAD
    }

    /// Bytes that this socket adds to each datagram to an address, beyond the headers of UDP and of the address's IP: they
    /// count for what a path takes.
    fn overhead(&self, to: SocketAddr) -> usize {
        let _ = to;
        0
    }

    /// Has the system refuse what is too large for the path from now on, where it would take it apart; but not
    /// [`Self::try_send_in_fragments`]. Sockets that cannot tell the system take no notice.
    fn keep_whole(&self) {}

    /// The next address whose host knows us no more, for what we send it comes from elsewhere from now on: whoever has streams
    /// there begins anew. Whoever waits to receive is woken when there is one.
    fn take_moved(&self) -> Option<SocketAddr> {
        None
    }

    /// Lets the network take apart, from now on, what is too large for the path, sent in segments or not: for protocols that
    /// do not look for the largest size that a path takes. Sockets that cannot tell the system take no notice.
    fn allow_fragments(&self) {}

    /// Has the socket send to whoever wrote to it from where they wrote to, from now on, where it stands at all addresses of its host: for
    /// sockets that strangers write to. It takes note of what is received in batches; 52 KB once somebody wrote.
    fn answer_where_asked(&self) {}
}

/// Room for datagrams that are received together.
#[derive(Debug)]
pub struct Batch {
    buffer: Box<[u8]>,
    filled: Vec<Filled>,
}

/// Bytes of a slot: datagrams that the system has put together fit as they are.
const SLOT: usize = 65_536;

/// Datagrams, or runs of them, in a batch.
const SLOTS: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Filled {
    from: SocketAddr,
    len: usize,
    segment: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            buffer: vec![0; SLOT * SLOTS].into_boxed_slice(),
            filled: Vec::with_capacity(SLOTS),
        }
    }
}

impl Batch {
    /// The datagrams and whose they are, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        let slots = self.buffer.chunks_exact(SLOT);
        slots.zip(&self.filled).flat_map(|(slot, filled)| {
            let bytes = slot.get(..filled.len).unwrap_or_default();
            let datagrams = bytes.chunks(filled.segment.max(1));
            datagrams.map(|datagram| (datagram, filled.from))
        })
    }

    /// As [`Batch::iter`], for those who change datagrams where they are.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&mut [u8], SocketAddr)> {
        let slots = self.buffer.chunks_exact_mut(SLOT);
        slots.zip(&self.filled).flat_map(|(slot, filled)| {
            let bytes = slot.get_mut(..filled.len).unwrap_or_default();
            let datagrams = bytes.chunks_mut(filled.segment.max(1));
            datagrams.map(|datagram| (datagram, filled.from))
        })
    }

    /// Whether nothing was received.
    pub fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// Forgets what was received.
    pub fn clear(&mut self) {
        self.filled.clear();
    }

    /// Puts a datagram behind the others, for sockets that are not the system's; false when there is no room for it.
    pub fn put(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        let len = datagram.len();
        let place = self.filled.len().saturating_sub(1);
        if let Some(last) = self.filled.last_mut()
            && last.from == from
            && last.segment > 0
            && last.len.is_multiple_of(last.segment)
            && (1..=last.segment).contains(&len)
            && last.len + len <= SLOT
        {
            let at = SLOT * place + last.len;
            if let Some(room) = self.buffer.get_mut(at..at + len) {
                room.copy_from_slice(datagram);
                last.len += len;
                return true;
            }
        }
        let room = self.free_slot().and_then(|slot| slot.get_mut(..len));
        let Some(room) = room else {
            return false;
        };
        room.copy_from_slice(datagram);
        self.filled(from, len, len);
        true
    }

    /// The slots that are free.
    pub(crate) fn free_slots(&mut self) -> std::slice::ChunksExactMut<'_, u8> {
        let used = SLOT * self.filled.len();
        let free = self.buffer.get_mut(used..).unwrap_or_default();
        free.chunks_exact_mut(SLOT)
    }

    /// Leaves out the datagrams of some senders.
    pub(crate) fn forget(&mut self, whose: impl Fn(SocketAddr) -> bool) {
        for filled in &mut self.filled {
            if whose(filled.from) {
                filled.len = 0;
            }
        }
    }

    fn free_slot(&mut self) -> Option<&mut [u8]> {
        self.free_slots().next()
    }

    /// The first free slot holds datagrams of `segment` bytes each.
    pub(crate) fn filled(&mut self, from: SocketAddr, len: usize, segment: usize) {
        self.filled.push(Filled { from, len, segment });
    }
}

/// Lets others have their turn, and is polled again behind them.
pub(crate) fn let_others<T>(cx: &Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// The largest payload of a UDP datagram over IPv4: 65,535 less 20 bytes of IP header and 8 of UDP header.
pub const MAX_UDP_PAYLOAD: usize = 65_507;

impl fmt::Debug for dyn DatagramSocket + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatagramSocket({})", self.local_addr())
    }
}

impl dyn DatagramSocket + '_ {
    /// Receives one datagram into `buf` and says how long it is and whose: [`DatagramSocket::poll_recv_from`] as a
    /// future.
    ///
    /// # Errors
    ///
    /// As [`DatagramSocket::poll_recv_from`].
    ///
    /// # Cancel safety
    ///
    /// No datagram is lost when the future is dropped.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut buf = ReadBuf::new(buf);
        let from = poll_fn(|cx| self.poll_recv_from(cx, &mut buf)).await?;
        Ok((buf.filled().len(), from))
    }

    /// Sends one datagram: [`DatagramSocket::poll_send_to`] as a future.
    ///
    /// # Errors
    ///
    /// As [`DatagramSocket::poll_send_to`].
    ///
    /// # Cancel safety
    ///
    /// A datagram is sent whole or not at all.
    pub async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        poll_fn(|cx| self.poll_send_to(cx, datagram, to)).await
    }

    /// Sends one datagram to a host by its name: [`DatagramSocket::poll_send_to_name`] as a future.
    ///
    /// # Errors
    ///
    /// As [`DatagramSocket::poll_send_to_name`].
    ///
    /// # Cancel safety
    ///
    /// A datagram is sent whole or not at all.
    pub async fn send_to_name(&self, datagram: &[u8], to: (&str, u16)) -> io::Result<()> {
        poll_fn(|cx| self.poll_send_to_name(cx, datagram, to)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_of_a_sender_lie_together_and_come_out_in_their_order() {
        let mut batch = Batch::default();
        let (one, two) = (SocketAddr::from(([1; 4], 1)), SocketAddr::from(([2; 4], 2)));
        let put: [(SocketAddr, &[u8]); 6] = [
            (one, b"abc"),
            (one, b"def"),
            (one, b"g"),
            (one, b"h"),
            (two, b"ijk"),
            (one, b"longer than before"),
        ];
        for (from, bytes) in put {
            assert!(batch.put(from, bytes));
        }
        assert_eq!(batch.filled.len(), 4);
        let out: Vec<_> = batch.iter().map(|(bytes, from)| (from, bytes)).collect();
        assert_eq!(out, put);
    }

    #[test]
    fn a_batch_takes_what_it_has_room_for() {
        let mut batch = Batch::default();
        let from = SocketAddr::from(([1; 4], 1));
        let taken = (0..2000)
            .take_while(|_| batch.put(from, &[7; 1400]))
            .count();
        assert_eq!(taken, SLOT / 1400 * SLOTS);
        assert_eq!(batch.iter().count(), taken);
        batch.clear();
        assert!(batch.is_empty() && batch.put(from, &[7; 1400]));
    }
}
