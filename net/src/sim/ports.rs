//! Which ports of a host are taken, and by what.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The first port that is given to those who do not care (RFC 6335, "Dynamic Ports").
const FIRST_DYNAMIC: u16 = 49_152;

/// Sockets of one kind by the address that they are bound to.
#[derive(Debug)]
pub(super) struct Ports<T> {
    bound: BTreeMap<(u16, IpAddr), T>,
    next: u16,
}

impl<T> Default for Ports<T> {
    fn default() -> Self {
        Self {
            bound: BTreeMap::new(),
            next: FIRST_DYNAMIC,
        }
    }
}

impl<T> Ports<T> {
    /// Binds something; port 0 is replaced by a free one.
    pub(super) fn bind(&mut self, at: SocketAddr, socket: T) -> io::Result<SocketAddr> {
        let port = match at.port() {
            0 => self.free(at.ip()).ok_or(io::ErrorKind::AddrInUse)?,
            port if self.is_taken(port, at.ip()) => return Err(io::ErrorKind::AddrInUse.into()),
            port => port,
        };
        self.bound.insert((port, at.ip()), socket);
        Ok(SocketAddr::new(at.ip(), port))
    }

    /// A port for one outgoing stream, which is not bound.
    pub(super) fn dynamic(&mut self) -> u16 {
        let port = self.next;
        self.next = port.checked_add(1).unwrap_or(FIRST_DYNAMIC);
        port
    }

    /// What is bound exactly there.
    pub(super) fn get(&mut self, at: SocketAddr) -> Option<&mut T> {
        self.bound.get_mut(&(at.port(), at.ip()))
    }

    /// What takes packets to this address: what is bound to it, to all of its family, or to all.
    pub(super) fn find(&mut self, to: SocketAddr) -> Option<&mut T> {
        let wide = [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ];
        let candidates = if to.is_ipv4() { &wide[..] } else { &wide[1..] };
        let ip = std::iter::once(to.ip())
            .chain(candidates.iter().copied())
            .find(|ip| self.bound.contains_key(&(to.port(), *ip)))?;
        self.bound.get_mut(&(to.port(), ip))
    }

    pub(super) fn remove(&mut self, at: SocketAddr) -> Option<T> {
        self.bound.remove(&(at.port(), at.ip()))
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) -> Vec<T> {
        std::mem::take(&mut self.bound).into_values().collect()
    }

    fn free(&mut self, ip: IpAddr) -> Option<u16> {
        for _ in FIRST_DYNAMIC..=u16::MAX {
            let port = self.dynamic();
            if !self.is_taken(port, ip) {
                return Some(port);
            }
        }
        None
    }

    fn is_taken(&self, port: u16, ip: IpAddr) -> bool {
        let lowest = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.bound
            .range((port, lowest)..)
            .take_while(|((bound, _), _)| *bound == port)
            .any(|((_, other), _)| covers(ip, *other) || covers(*other, ip))
    }
}

/// Whether a socket bound to `wide` takes what is for `narrow`.
fn covers(wide: IpAddr, narrow: IpAddr) -> bool {
    wide == narrow || wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn narrow_and_wide_sockets_share_no_port_within_a_family() {
        let cases = [
            ("[::]:7", "0.0.0.0:7", false),
            ("[::]:7", "1.2.3.4:7", false),
            ("0.0.0.0:7", "1.2.3.4:7", false),
            ("0.0.0.0:7", "[2001::1]:7", true),
            ("1.2.3.4:7", "1.2.3.5:7", true),
            ("1.2.3.4:7", "1.2.3.4:7", false),
            ("1.2.3.4:7", "1.2.3.4:8", true),
        ];
        for (first, second, both) in cases {
            for (a, b) in [(first, second), (second, first)] {
                let mut ports = Ports::default();
                ports.bind(addr(a), ()).unwrap();
                assert_eq!(ports.bind(addr(b), ()).is_ok(), both, "{a} and {b}");
            }
        }
    }

    #[test]
    fn packets_find_the_narrowest_socket() {
        let mut ports = Ports::default();
        ports.bind(addr("[::]:7"), "all").unwrap();
        ports.bind(addr("0.0.0.0:8"), "four").unwrap();
        ports.bind(addr("1.2.3.4:9"), "one").unwrap();
        let mut find = |to| ports.find(addr(to)).copied();
        assert_eq!(find("1.2.3.4:7"), Some("all"));
        assert_eq!(find("[2001::1]:7"), Some("all"));
        assert_eq!(find("1.2.3.4:8"), Some("four"));
        assert_eq!(find("[2001::1]:8"), None);
        assert_eq!(find("1.2.3.4:9"), Some("one"));
        assert_eq!(find("1.2.3.5:9"), None);
    }

    #[test]
    fn port_zero_takes_free_ports_until_there_are_none() {
        let mut ports = Ports::default();
        for _ in FIRST_DYNAMIC..=u16::MAX {
            assert!(ports.bind(addr("1.2.3.4:0"), ()).unwrap().port() >= FIRST_DYNAMIC);
        }
        assert!(ports.bind(addr("1.2.3.4:0"), ()).is_err());
        assert_eq!(ports.remove(addr("1.2.3.4:50000")), Some(()));
        assert_eq!(ports.bind(addr("1.2.3.4:0"), ()).unwrap().port(), 50_000);
    }
}
