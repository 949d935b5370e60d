//! Networks whose sockets use one address of this machine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use net::real::{RealBinder, RealDialer};
use net::resolve::{SystemResolver, ip_literal};
use net::{Binder, BoxFuture, DatagramSocket, Listener, Network, RealOptions, Resolver};

/// A network that prefers `ip`: streams to its family leave from it, and sockets opened "anywhere" of its family stand
/// at it.
pub(super) fn from(ip: IpAddr) -> Network {
    let dialer = RealDialer::new(RealOptions::from_source(ip));
    let binder = At { ip, only: false };
    Network::new(Arc::new(dialer), Arc::new(binder), Arc::new(SystemResolver))
}

/// A network that uses `ip` and nothing else. Names are not looked up, because the system's resolver asks by the
/// system's own routes.
pub(super) fn only_from(ip: IpAddr) -> Network {
    let mut options = RealOptions::from_source(ip);
    options.only_source = true;
    let binder = At { ip, only: true };
    Network::new(
        Arc::new(RealDialer::new(options)),
        Arc::new(binder),
        Arc::new(LiteralsOnly),
    )
}

/// Opens sockets at one address.
#[derive(Clone, Copy, Debug)]
struct At {
    ip: IpAddr,
    only: bool,
}

impl At {
    /// Where a socket asked for at `at` stands.
    fn place(&self, at: SocketAddr) -> io::Result<SocketAddr> {
        let here = SocketAddr::new(self.ip, at.port());
        let same_family = at.is_ipv4() == here.is_ipv4();
        let anywhere = at.ip().is_unspecified() && (same_family || at.is_ipv6());
        if anywhere || at.ip() == self.ip {
            Ok(here)
        } else if self.only {
            Err(io::ErrorKind::AddrNotAvailable.into())
        } else {
            Ok(at)
        }
    }
}

impl Binder for At {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        RealBinder.listen(self.place(at)?)
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        RealBinder.datagram(self.place(at)?)
    }
}

/// Answers for addresses, refuses names.
#[derive(Clone, Copy, Debug)]
struct LiteralsOnly;

impl Resolver for LiteralsOnly {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let found = ip_literal(host).map(|ip| vec![SocketAddr::new(ip, port)]);
        let refused = || {
            let why = "with --bind, names are not looked up: give an address";
            io::Error::new(io::ErrorKind::Unsupported, why)
        };
        Box::pin(std::future::ready(found.ok_or_else(refused)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(only: bool, asked: &str) -> Option<String> {
        let ip = "127.0.0.7".parse().unwrap();
        let placed = At { ip, only }.place(asked.parse().unwrap());
        placed.ok().map(|addr| addr.to_string())
    }

    #[test]
    fn a_socket_anywhere_stands_at_the_chosen_address() {
        assert_eq!(at(false, "0.0.0.0:5").as_deref(), Some("127.0.0.7:5"));
        assert_eq!(at(false, "[::]:5").as_deref(), Some("127.0.0.7:5"));
        assert_eq!(at(false, "127.0.0.9:5").as_deref(), Some("127.0.0.9:5"));
    }

    #[test]
    fn a_bound_network_opens_nothing_elsewhere() {
        assert_eq!(at(true, "127.0.0.7:5").as_deref(), Some("127.0.0.7:5"));
        assert_eq!(at(true, "127.0.0.9:5"), None);
    }

    #[tokio::test]
    async fn a_bound_network_looks_up_no_names() {
        assert!(LiteralsOnly.lookup("localhost", 1).await.is_err());
        assert_eq!(LiteralsOnly.lookup("[::1]", 1).await.unwrap().len(), 1);
    }
}
