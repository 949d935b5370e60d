//! No network at all.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::resolve::ip_literal;
use crate::{Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Resolver};

/// A dialer, binder and resolver that do nothing, and say that the network is down.
pub(crate) struct Nowhere;

fn down<T>() -> io::Result<T> {
    Err(io::ErrorKind::NetworkDown.into())
}

impl Dialer for Nowhere {
    fn dial(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(std::future::ready(down()))
    }
}

impl Binder for Nowhere {
    fn listen(&self, _: SocketAddr) -> io::Result<Box<dyn Listener>> {
        down()
    }

    fn datagram(&self, _: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        down()
    }

    fn multicast(
        &self,
        _: SocketAddr,
        _: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        down()
    }
}

impl Resolver for Nowhere {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let literal = ip_literal(host).map(|ip| vec![SocketAddr::new(ip, port)]);
        Box::pin(std::future::ready(literal.map_or_else(down, Ok)))
    }
}

#[cfg(test)]
mod tests {
    use crate::Network;

    #[tokio::test]
    async fn nothing_can_be_opened_found_or_sent() {
        let network = Network::none();
        let at = "127.0.0.1:0".parse().unwrap();
        let kinds = [
            network.dial(at).await.err(),
            network.dial_peer(at).await.err(),
            network.listen(at).err(),
            network.datagram(at).err(),
            network.multicast(at, None).err(),
            network.lookup("localhost", 1).await.err(),
        ]
        .map(|error| error.expect("nothing is possible").kind());
        assert_eq!(kinds, [std::io::ErrorKind::NetworkDown; 6]);
    }
}
