//! A network whose only way out is a proxy: SOCKS5 (RFC 1928) or HTTP CONNECT.
//!
//! ```text
//!  peers, trackers, web seeds      uTP, DHT, UDP trackers
//!            │ dial                       │ datagram
//!     ┌──────▼──────┐              ┌──────▼──────┐
//!     │ ProxyDialer │              │ ProxySocket │  SOCKS5 only
//!     └──────┬──────┘              └──────┬──────┘
//!            └───────────┬────────────────┘
//!              the network that leads to the proxy
//! ```
//!
//! [`Network::through`] gives a network that has no other door. Names are looked up by the proxy; only its own is
//! looked up here. What cannot go through it is refused and not sent another way: nobody listens, there are no local
//! networks, and an HTTP proxy carries no datagrams.

mod dialer;
mod fault;
mod socket;
mod url;
mod way;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use protocol::proxy::Credentials;

use crate::resolve::LiteralsOnly;
use crate::{Binder, DatagramSocket, Listener, Network};
use dialer::ProxyDialer;
use socket::ProxySocket;
use way::Way;

pub use self::url::ProxyUrlError;

/// A proxy: where it is, what it speaks, and who we are to it. Read from a URL by [`str::parse`]; shown without the user
/// and the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP CONNECT: streams only.
    Http,
    /// SOCKS5: streams and datagrams.
    Socks5,
}

impl Proxy {
    /// What it speaks.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it can carry datagrams.
    pub const fn has_datagrams(&self) -> bool {
        matches!(self.kind, Kind::Socks5)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5",
        };
        let Self { host, port, .. } = self;
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Network {
    /// The network behind a proxy, which this network leads to.
    ///
    /// Listening is refused with `Unsupported`, as are datagram sockets where the proxy does not carry datagrams. A
    /// datagram socket keeps a connection to the proxy and makes it again when it breaks; meanwhile sending waits. The
    /// address that it shows is the one that was asked for: at which one others see us, only the proxy knows.
    ///
    /// What fails for the proxy's sake, and not the destination's, is `NetworkDown` with the proxy's reason. A proxy that
    /// cannot be entered is left alone until a task has found it back; one that refuses everything is asked now and then.
    /// [`Network::outage`] tells.
    #[must_use]
    pub fn through(self, proxy: &Proxy) -> Self {
        let way = Way::new(proxy.clone(), self.with_cached_names());
        let dialer = Arc::new(ProxyDialer::new(Arc::clone(&way)));
        Self::new(
            dialer,
            Arc::new(ProxyBinder {
                way: Arc::clone(&way),
            }),
            Arc::new(LiteralsOnly),
        )
        .with_outlet(way)
    }
}

/// Opens datagram sockets behind the proxy, and nothing else.
struct ProxyBinder {
    way: Arc<Way>,
}

impl Binder for ProxyBinder {
    fn listen(&self, _: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Err(unsupported("nobody is listened to behind a proxy"))
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        if !self.way.proxy.has_datagrams() {
            return Err(unsupported("an HTTP proxy carries no datagrams"));
        }
        Ok(Arc::new(ProxySocket::open(Arc::clone(&self.way), at)))
    }

    fn multicast(
        &self,
        _: SocketAddr,
        _: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        Ok(Vec::new())
    }
}

fn unsupported(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}

#[cfg(test)]
mod tests;
