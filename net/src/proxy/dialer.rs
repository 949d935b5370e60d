//! Streams through a proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use protocol::proxy::{Destination, HostName};

use super::Way;
use crate::resolve::canonical;
use crate::stream::carried;
use crate::{BoxFuture, BoxStream, ByteStream, Dialer};

/// Asks the proxy for streams.
#[derive(Debug)]
pub(super) struct ProxyDialer {
    way: Arc<Way>,
}

impl ProxyDialer {
    pub(super) fn new(way: Arc<Way>) -> Self {
        Self { way }
    }
}

impl Dialer for ProxyDialer {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        let to = canonical(to);
        Box::pin(async move {
            let stream = self.way.tunnel(&Destination::Addr(to)).await?;
            Ok(Box::new(Tunnel { stream, peer: to }) as BoxStream)
        })
    }

    fn takes_names(&self) -> bool {
        true
    }

    fn dial_name<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let name = HostName::new(host).map_err(invalid)?;
            let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            let stream = self.way.tunnel(&Destination::Name(name, port)).await?;
            Ok(Box::new(Tunnel {
                stream,
                peer: unknown,
            }) as BoxStream)
        })
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// A stream through the proxy.
struct Tunnel {
    stream: BoxStream,
    peer: SocketAddr,
}

impl ByteStream for Tunnel {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Unspecified: where this side's connection to the proxy begins is nobody's concern.
    fn local_addr(&self) -> SocketAddr {
        let any: IpAddr = if self.peer.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        SocketAddr::new(any, 0)
    }

    fn set_read_low_water(&self, bytes: usize) {
        self.stream.set_read_low_water(bytes);
    }
}

carried!(Tunnel);
