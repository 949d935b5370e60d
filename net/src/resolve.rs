//! Host names to addresses.

mod cached;
mod dns;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

pub use cached::Cached;
pub use dns::{Dns, NameServers};

use crate::BoxFuture;

/// Finds the addresses of a host.
pub trait Resolver: Send + Sync {
    /// Looks `host` up and joins `port` to each address.
    ///
    /// An IP literal (an IPv6 one with or without brackets) is its own answer and asks nobody. Answers stand in the
    /// order of preference, without duplicates, and there is at least one.
    ///
    /// # Errors
    ///
    /// `NotFound` when the host has no address; else what the look-up says.
    fn lookup<'a>(&'a self, host: &'a str, port: u16)
    -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;

    /// The text records of a host; none where it has none.
    ///
    /// # Errors
    ///
    /// `Unsupported` where no text records can be asked for; else what the look-up says.
    fn texts<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<Vec<u8>>>> {
        let _ = host;
        let why = "text records cannot be asked for here";
        let outcome = Err(io::Error::new(io::ErrorKind::Unsupported, why));
        Box::pin(std::future::ready(outcome))
    }
}

impl fmt::Debug for dyn Resolver + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// The address that an IP literal means; IPv6 with or without brackets.
pub fn ip_literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(inside) => inside.parse().ok().map(IpAddr::V6),
        None => host.parse::<IpAddr>().ok(),
    }
    .map(|ip| ip.to_canonical())
}

/// The operating system's resolver (`getaddrinfo`), run on tokio's blocking threads.
///
/// It asks the servers that the system is configured with, by the system's own routes: a bound source address does
/// not hold for it. It has no way to ask for text records: those are asked for by another, where there is one.
#[derive(Debug, Default)]
pub struct SystemResolver {
    texts: Option<Dns>,
}

impl SystemResolver {
    /// Asks for text records by this.
    pub fn with_texts(texts: Dns) -> Self {
        Self { texts: Some(texts) }
    }
}

impl Resolver for SystemResolver {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            if let Some(ip) = ip_literal(host) {
                return Ok(vec![SocketAddr::new(ip, port)]);
            }
            let mut found = Vec::new();
            for addr in tokio::net::lookup_host((host, port)).await? {
                let addr = canonical(addr);
                if !found.contains(&addr) {
                    found.push(addr);
                }
            }
            if found.is_empty() {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(found)
        })
    }

    fn texts<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<Vec<u8>>>> {
        match &self.texts {
            Some(dns) => dns.texts(host),
            None => LiteralsOnly.texts(host),
        }
    }
}

/// Answers for IP literals and asks nobody: names are `Unsupported`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiteralsOnly;

impl Resolver for LiteralsOnly {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let answer = match ip_literal(host) {
            Some(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            None => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "names are not looked up here: give an address",
            )),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// The same address with IPv4 shown as IPv4 even when it came mapped into IPv6.
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => addr,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => addr,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ip_literals_are_known_with_and_without_brackets() {
        let cases = [
            ("127.0.0.1", Some("127.0.0.1")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("[10.0.0.1]", None),
            ("[::1", None),
            ("localhost", None),
            ("", None),
            ("1.2.3", None),
        ];
        for (host, ip) in cases {
            assert_eq!(ip_literal(host), ip.map(|ip| ip.parse().unwrap()), "{host}");
        }
    }

    #[tokio::test]
    async fn the_system_resolver_answers_literals_and_the_name_of_this_host() {
        let system = SystemResolver::default();
        let addrs = system.lookup("[::1]", 80).await.unwrap();
        assert_eq!(addrs, ["[::1]:80".parse().unwrap()]);
        let addrs = system.lookup("localhost", 7).await.unwrap();
        assert!(!addrs.is_empty());
        assert!(
            addrs
                .iter()
                .all(|addr| addr.ip().is_loopback() && addr.port() == 7)
        );
    }
}
