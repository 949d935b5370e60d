//! SOCKS5 servers, by which other programs of this machine go through circuits.

use std::net::SocketAddr;

use net::Pool;
use net::socks::{SocksOptions, SocksServer};
use tunnels::Anonymity;

use crate::failure::{Failure, reason};

/// The numbers of hops that there is a server for, in the order of their ports.
const HOPS: [u8; 3] = [1, 2, 3];

/// A server for each number of hops; they end with this value.
#[derive(Debug)]
pub(crate) struct Socks {
    servers: Vec<(u8, SocksServer)>,
}

impl Socks {
    /// Opens them, at an address and the two ports after it, or at any ports where it has none.
    ///
    /// # Errors
    /// [`Failure::Failed`] where a port cannot be had, or others than programs of this machine would reach it.
    pub(crate) fn start(
        at: SocketAddr,
        anonymity: &Anonymity,
        pool: &Pool,
    ) -> Result<Self, Failure> {
        let mut servers = Vec::new();
        for (next, hops) in (0_u16..).zip(HOPS) {
            let port = match at.port() {
                0 => Some(0),
                first => first.checked_add(next),
            };
            let port = port.ok_or_else(|| {
                Failure::Usage(format!("--socks {at}: there are no two ports after it"))
            })?;
            let at = SocketAddr::new(at.ip(), port);
            let (inside, outside) = (super::plain_network(), anonymity.network_of_programs(hops));
            let server = SocksServer::launch(inside, outside, SocksOptions::at(at), pool);
            let server = server
                .map_err(|error| Failure::Failed(format!("--socks {at}: {}", reason(&error))))?;
            servers.push((hops, server));
        }
        Ok(Self { servers })
    }

    /// Where the server of each number of hops is.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u8, SocketAddr)> {
        self.servers
            .iter()
            .map(|(hops, server)| (*hops, server.addr()))
    }
}
