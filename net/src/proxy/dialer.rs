//! Streams through a proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use protocol::proxy::socks5::{self, Bound, Command};
use protocol::proxy::{Destination, HostName, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Kind, Way};
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
        Box::pin(async move { self.way.tunnel(Destination::Addr(to), to).await })
    }

    fn takes_names(&self) -> bool {
        true
    }

    fn dial_name<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let name = HostName::new(host).map_err(invalid)?;
            let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            self.way
                .tunnel(Destination::Name(name, port), unknown)
                .await
        })
    }
}

impl Way {
    /// A connection to the proxy.
    pub(super) async fn connect(&self) -> io::Result<BoxStream> {
        let addrs = self.network.lookup(&self.proxy.host, self.proxy.port);
        let stream = self.network.dial_any(&addrs.await?).await;
        stream.map_err(|error| io::Error::new(error.kind(), format!("the proxy: {error}")))
    }

    async fn tunnel(&self, to: Destination, peer: SocketAddr) -> io::Result<BoxStream> {
        let mut stream = self.connect().await?;
        match self.proxy.kind {
            Kind::Http => {
                let credentials = self.proxy.credentials.as_ref();
                let mut machine = connect::Negotiation::new(&to, credentials);
                stream.write_all(&machine.output()).await?;
                let mut bytes = [0; 16];
                while machine.wants() > 0 {
                    let len = read(&mut stream, &mut bytes, machine.wants()).await?;
                    let read = bytes.get(..len).unwrap_or_default();
                    machine.handle(read).map_err(io::Error::other)?;
                }
            }
            Kind::Socks5 => {
                self.negotiate(&mut stream, Command::Connect, &to).await?;
            }
        }
        Ok(Box::new(Tunnel { stream, peer }))
    }

    /// Asks a SOCKS5 proxy for something.
    pub(super) async fn negotiate(
        &self,
        stream: &mut BoxStream,
        command: Command,
        to: &Destination,
    ) -> io::Result<Bound> {
        let credentials = self.proxy.credentials.as_ref();
        let mut machine = socks5::Negotiation::new(command, to, credentials);
        let mut bytes = [0; 262];
        loop {
            let output = machine.output();
            if !output.is_empty() {
                stream.write_all(&output).await?;
            }
            let len = read(stream, &mut bytes, machine.wants()).await?;
            let read = bytes.get(..len).unwrap_or_default();
            if let Some(bound) = machine.handle(read).map_err(io::Error::other)? {
                return Ok(bound);
            }
        }
    }
}

/// Reads at least one byte and at most as many.
async fn read(stream: &mut BoxStream, buffer: &mut [u8], most: usize) -> io::Result<usize> {
    let most = most.min(buffer.len());
    let len = stream
        .read(buffer.get_mut(..most).unwrap_or_default())
        .await?;
    if len == 0 {
        let why = "the proxy closed the connection";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
    }
    Ok(len)
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
