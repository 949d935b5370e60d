//! Datagrams.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

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

    /// The address that is bound, with the port that was really given.
    fn local_addr(&self) -> SocketAddr;

    /// The largest payload in bytes that one datagram can carry on this socket, fragmentation by IP included.
    fn max_payload(&self) -> usize {
        MAX_UDP_PAYLOAD
    }
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
}
