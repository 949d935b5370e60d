//! The operating system's sockets, on tokio.

mod multicast;
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
    /// The source address of streams that are dialled, and the address of sockets that are opened "anywhere" in its
    /// family; `None`, and an unspecified address, leave the choice to the system's routes.
    pub source: Option<IpAddr>,
    /// Whether nothing may use any other address. A source address has one family; what needs the other one is then
    /// refused with `AddrNotAvailable`, while it otherwise goes without a source address.
    pub only_source: bool,
}

impl RealOptions {
    /// Prefers `source` where the families agree.
    pub fn from_source(source: IpAddr) -> Self {
        Self {
            source: Some(source),
            only_source: false,
        }
    }

    /// Uses `source` and no other address.
    pub fn only_from(source: IpAddr) -> Self {
        Self {
            only_source: true,
            ..Self::from_source(source)
        }
    }

    /// The source address, if it is one.
    fn chosen(&self) -> Option<IpAddr> {
        let source = self.source.map(|ip| ip.to_canonical());
        source.filter(|ip| !ip.is_unspecified())
    }
}

/// Dials TCP.
#[derive(Clone, Copy, Debug)]
pub struct RealDialer {
    options: RealOptions,
}

impl RealDialer {
    /// A dialer with these options.
    pub fn new(options: RealOptions) -> Self {
        Self { options }
    }

    /// The source address for a stream to `to`.
    fn source_for(&self, to: SocketAddr) -> io::Result<Option<IpAddr>> {
        match self.options.chosen() {
            Some(ip) if ip.is_ipv4() == to.is_ipv4() => Ok(Some(ip)),
            Some(_) if self.options.only_source => Err(io::ErrorKind::AddrNotAvailable.into()),
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

/// Opens TCP listeners and UDP sockets wherever it is told.
#[derive(Clone, Copy, Debug)]
pub struct RealBinder;

/// Opens TCP listeners and UDP sockets at the source address, when they are asked for anywhere.
#[derive(Clone, Copy, Debug)]
pub struct SourceBinder {
    options: RealOptions,
}

impl SourceBinder {
    /// A binder with these options.
    pub fn new(options: RealOptions) -> Self {
        Self { options }
    }

    /// Where a socket asked for at `at` stands.
    fn place(&self, at: SocketAddr) -> io::Result<SocketAddr> {
        let Some(source) = self.options.chosen() else {
            return Ok(at);
        };
        let only = self.options.only_source;
        let here = SocketAddr::new(source, at.port());
        let anywhere = at.ip().is_unspecified();
        if at.ip() == source || anywhere && at.is_ipv4() == source.is_ipv4() {
            Ok(here)
        } else if !only {
            Ok(at)
        } else if anywhere && at.is_ipv6() {
            // Both families were asked for, and one of them may be had.
            Ok(here)
        } else {
            Err(io::ErrorKind::AddrNotAvailable.into())
        }
    }
}

impl Binder for SourceBinder {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        RealBinder.listen(self.place(canonical(at))?)
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        RealBinder.datagram(self.place(canonical(at))?)
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        match self.options.chosen() {
            Some(source) if own.is_some_and(|own| own != source) => {
                if self.options.only_source {
                    Ok(Vec::new())
                } else {
                    multicast::join(group, own)
                }
            }
            Some(source) if source.is_ipv4() == group.is_ipv4() => {
                multicast::join(group, Some(source))
            }
            Some(_) if self.options.only_source => Ok(Vec::new()),
            _ => multicast::join(group, own),
        }
    }
}

impl Binder for RealBinder {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(tcp::TcpListener::bind(canonical(at))?))
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        Ok(Arc::new(udp::UdpSocket::bind(canonical(at))?))
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        multicast::join(group, own)
    }
}

#[cfg(test)]
mod tests;
