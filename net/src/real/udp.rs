//! UDP sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, ready};

use socket2::{Protocol, Socket, Type};
use tokio::io::ReadBuf;

use super::platform;
use super::tcp::UNSPECIFIED_V6;
use crate::DatagramSocket;
use crate::resolve::canonical;

/// A UDP socket.
pub(super) struct UdpSocket {
    socket: tokio::net::UdpSocket,
    local: SocketAddr,
}

impl UdpSocket {
    /// Binds at `at`; at `[::]` on a host without IPv6, at `0.0.0.0` instead.
    pub(super) fn bind(at: SocketAddr) -> io::Result<Self> {
        let opened = platform::bound(at, Type::DGRAM, Protocol::UDP);
        let socket = match opened {
            Err(error) if at.ip() == UNSPECIFIED_V6 && platform::is_family_missing(&error) => {
                let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, at.port()));
                platform::bound(at, Type::DGRAM, Protocol::UDP)?
            }
            other => other?,
        };
        Self::adopt(socket)
    }

    /// Takes over a socket that is bound and does not block.
    pub(super) fn adopt(socket: Socket) -> io::Result<Self> {
        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// The target in the family of this socket.
    fn target(&self, to: SocketAddr) -> SocketAddr {
        match (self.local, to) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port()))
            }
            _ => to,
        }
    }
}

impl DatagramSocket for UdpSocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.socket.poll_recv_from(cx, buf).map_ok(canonical)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        ready!(self.socket.poll_send_to(cx, datagram, self.target(to)))?;
        Poll::Ready(Ok(()))
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.try_send_to(datagram, self.target(to))?;
        Ok(())
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}
