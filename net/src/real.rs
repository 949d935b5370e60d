//! The operating system's sockets, on tokio.

mod platform;
mod tcp;
mod udp;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::resolve::canonical;
use crate::{Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener};

/// How the real network is entered.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RealOptions {
    /// The source address of streams that are dialled; `None`, and an unspecified address, leave the choice to the
    /// system's routes.
    pub source: Option<IpAddr>,
    /// Whether nothing may be dialled from any other address. A source address has one family; a target of the other
    /// family is then refused with `AddrNotAvailable`, while it is otherwise dialled without a source address.
    pub only_source: bool,
}

impl RealOptions {
    /// Dials from `source` where the families agree.
    pub fn from_source(source: IpAddr) -> Self {
        Self {
            source: Some(source),
            only_source: false,
        }
    }
}

/// Dials TCP.
#[derive(Clone, Copy, Debug)]
pub struct RealDialer {
    source: Option<IpAddr>,
    only_source: bool,
}

impl RealDialer {
    /// A dialer with these options.
    pub fn new(options: RealOptions) -> Self {
        let source = options.source.map(|ip| ip.to_canonical());
        Self {
            source: source.filter(|ip| !ip.is_unspecified()),
            only_source: options.only_source,
        }
    }

    /// The source address for a stream to `to`.
    fn source_for(&self, to: SocketAddr) -> io::Result<Option<IpAddr>> {
        match self.source {
            Some(ip) if ip.is_ipv4() == to.is_ipv4() => Ok(Some(ip)),
            Some(_) if self.only_source => Err(io::ErrorKind::AddrNotAvailable.into()),
            _ => Ok(None),
        }
    }
}

impl Dialer for RealDialer {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        let to = canonical(to);
        let source = self.source_for(to);
        Box::pin(async move { tcp::dial(to, source?).await })
    }
}

/// Opens TCP listeners and UDP sockets.
#[derive(Clone, Copy, Debug)]
pub struct RealBinder;

impl Binder for RealBinder {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(tcp::TcpListener::bind(canonical(at))?))
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        Ok(Arc::new(udp::UdpSocket::bind(canonical(at))?))
    }
}

#[cfg(test)]
mod tests;
