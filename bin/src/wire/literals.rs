//! A resolver for networks that may use one address only.

use std::io;
use std::net::SocketAddr;

use net::resolve::ip_literal;
use net::{BoxFuture, Resolver};

/// Answers for addresses and refuses names: the system's resolver asks by the system's own routes, not from the address
/// that everything is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiteralsOnly;

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

    #[tokio::test]
    async fn names_are_refused_and_addresses_are_their_own_answer() {
        let refused = LiteralsOnly.lookup("localhost", 1).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        let found = LiteralsOnly.lookup("[::1]", 1).await.unwrap();
        assert_eq!(found, ["[::1]:1".parse().unwrap()]);
    }
}
