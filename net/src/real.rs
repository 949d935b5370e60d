//! The operating system's sockets, on tokio.

mod asked;
mod bound;
mod multicast;
mod platform;
mod tcp;
mod udp;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::port_map::Gateway;
use crate::resolve::canonical;
use crate::{Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Subnet};

pub use bound::{Bind, BindError};
use platform::Fit;

/// What the sockets of a network are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketTuning {
    /// The code point that packets are marked with (DSCP, RFC 2474), from 0 to 63; 0 is no mark.
    pub dscp: u8,
    /// Bytes that the system keeps of what has come, for each socket; `None` has it fit that to the path by itself.
    pub receive_buffer: Option<usize>,
    /// As much of what is sent and not acknowledged.
    pub send_buffer: Option<usize>,
}

/// How the real network is entered.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RealOptions {
    /// The source address of streams that are dialled, and the address of sockets that are opened "anywhere", where the
    /// families agree; `None`, and an unspecified address, leave the choice to the system's routes. To have nothing use
    /// any other address, there is [`Network::bound`](crate::Network::bound).
    pub source: Option<IpAddr>,
    /// What sockets are given.
    pub tuning: SocketTuning,
}

impl RealOptions {
    /// Prefers `source` where the families agree.
    pub fn from_source(source: IpAddr) -> Self {
        Self {
            source: Some(source),
            ..Self::default()
        }
    }

    /// Gives sockets this.
    #[must_use]
    pub fn tuned(mut self, tuning: SocketTuning) -> Self {
        self.tuning = tuning;
        self
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
    fn source_for(&self, to: SocketAddr) -> Option<IpAddr> {
        let chosen = self.options.chosen();
        chosen.filter(|ip| ip.is_ipv4() == to.is_ipv4())
    }
}

impl Dialer for RealDialer {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        let to = canonical(to);
        let source = self.source_for(to);
        let fit = Fit {
            device: None,
            tuning: self.options.tuning,
        };
        Box::pin(async move { tcp::dial(to, source, fit).await })
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
    fn place(&self, at: SocketAddr) -> SocketAddr {
        let source = self.options.chosen();
        match source.filter(|ip| at.ip().is_unspecified() && at.is_ipv4() == ip.is_ipv4()) {
            Some(source) => SocketAddr::new(source, at.port()),
            None => at,
        }
    }
}

impl Binder for SourceBinder {
    fn gateways(&self) -> io::Result<Vec<Gateway>> {
        let mut gateways = gateways()?;
        if let Some(source) = self.options.chosen() {
            gateways.retain(|gateway| gateway.own == source);
        }
        Ok(gateways)
    }

    fn networks(&self) -> io::Result<Vec<Subnet>> {
        RealBinder.networks()
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        listen(self.place(canonical(at)), self.options.tuning)
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        datagram(self.place(canonical(at)), self.options.tuning)
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        match self.options.chosen() {
            Some(source) if own.is_none() && source.is_ipv4() == group.is_ipv4() => {
                multicast::join(group, Some(source))
            }
            _ => multicast::join(group, own),
        }
    }
}

impl Binder for RealBinder {
    fn gateways(&self) -> io::Result<Vec<Gateway>> {
        gateways()
    }

    fn networks(&self) -> io::Result<Vec<Subnet>> {
        platform::networks()
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        listen(canonical(at), SocketTuning::default())
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        datagram(canonical(at), SocketTuning::default())
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        multicast::join(group, own)
    }
}

fn listen(at: SocketAddr, tuning: SocketTuning) -> io::Result<Box<dyn Listener>> {
    let device = None;
    let listener = tcp::TcpListener::bind(at, Fit { device, tuning })?;
    Ok(Box::new(listener))
}

fn datagram(at: SocketAddr, tuning: SocketTuning) -> io::Result<Arc<dyn DatagramSocket>> {
    let device = None;
    let socket = udp::UdpSocket::bind(at, Fit { device, tuning })?;
    Ok(Arc::new(socket))
}

/// The gateways of the system's default routes, with our address on the same interface.
fn gateways() -> io::Result<Vec<Gateway>> {
    let routes = platform::default_routes()?;
    let interfaces = platform::interfaces(true)?;
    let known = routes.into_iter().filter_map(|route| {
        let mut own = interfaces.iter().filter(|own| own.name == route.device);
        let own = own.next()?.ip;
        Some(Gateway { at: route.via, own })
    });
    Ok(known.collect())
}

#[cfg(test)]
mod tests;
