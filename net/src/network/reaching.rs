//! How hosts are reached: by which transport, at which of their addresses, and where these are.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;

use super::Network;
use crate::resolve::ip_literal;
use crate::{BoxFuture, BoxStream, Dialer};

/// How a host is to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// At these addresses; there is at least one.
    At(Vec<SocketAddr>),
    /// By its name.
    ByName,
}

/// How long one connection attempt is given before the next address is tried as well: RFC 8305's recommendation.
pub const FALLBACK_DELAY: Duration = Duration::from_millis(250);

impl Network {
    /// Connects to a peer at `to`; see [`Dialer::dial`] for errors and cancel safety.
    pub fn dial_peer(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        self.admitted(&*self.peers, to)
    }

    /// Whether peers can be dialled by uTP alone.
    pub const fn has_utp(&self) -> bool {
        self.utp.is_some()
    }

    /// Whether peers can be dialled by uTP, if perhaps not from a port at which they could meet us.
    pub const fn dials_utp(&self) -> bool {
        self.utp.is_some() || self.utp_socket.is_some()
    }

    /// Connects to a peer at `to` by uTP alone, from the port that others know us at: where both ends do so at the same
    /// time they get through most NATs. See [`Dialer::dial`] for errors and cancel safety.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no uTP; else as [`Dialer::dial`].
    pub async fn dial_utp(&self, to: SocketAddr) -> io::Result<BoxStream> {
        self.admit(to)?;
        match (&self.utp, &self.utp_socket) {
            (Some(utp), _) => utp.alone.dial(to).await,
            (None, Some(socket)) => socket.dial(to).await,
            (None, None) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Connects to a peer at `to` by uTP, and where that takes long also by other means, if there are any; without uTP by
    /// those. See [`Dialer::dial`] for cancel safety.
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial`].
    pub async fn dial_utp_first(&self, to: SocketAddr) -> io::Result<BoxStream> {
        match &self.utp {
            Some(utp) => self.admitted(&*utp.first, to).await,
            None => self.dial_peer(to).await,
        }
    }

    /// Connects to `to`; see [`Dialer::dial`] for errors and cancel safety.
    pub fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        self.admitted(&*self.dialer, to)
    }

    /// Connects to whichever of several addresses of one host answers first.
    ///
    /// Address families alternate, and the next address is tried [`FALLBACK_DELAY`] after the last one, or at once
    /// when all that were tried have failed ([RFC 8305], "Connection Attempts").
    ///
    /// # Errors
    ///
    /// The first failure when every address failed; `NotFound` when there is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons every attempt.
    ///
    /// [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305#section-5
    pub async fn dial_any(&self, addrs: &[SocketAddr]) -> io::Result<BoxStream> {
        let mut rest = alternate_families(addrs).into_iter();
        let mut attempts = FuturesUnordered::new();
        let mut failure = None;
        loop {
            if let Some(addr) = rest.next() {
                attempts.push(self.dial(addr));
            }
            let last = rest.len() == 0;
            loop {
                let Some(outcome) = (if last {
                    attempts.next().await
                } else {
                    match select(attempts.next(), Box::pin(sleep(FALLBACK_DELAY))).await {
                        Either::Left((outcome, _)) => outcome,
                        Either::Right(_) => break,
                    }
                }) else {
                    break;
                };
                match outcome {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            if last {
                return Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()));
            }
        }
    }

    /// Connects to a host by its name, where names are looked up at the far end; see [`Dialer::dial_name`].
    ///
    /// # Errors
    ///
    /// As [`Dialer::dial_name`].
    pub async fn dial_name(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        self.dialer.dial_name(host, port).await
    }

    /// Finds out how a host is to be reached: at which addresses, or by its name, where the far end of this way looks
    /// names up and nobody asks for them here.
    ///
    /// # Errors
    ///
    /// As [`Resolver::lookup`](crate::Resolver::lookup).
    pub async fn locate(&self, host: &str, port: u16) -> io::Result<Located> {
        if self.dialer.takes_names() && ip_literal(host).is_none() {
            return Ok(Located::ByName);
        }
        self.lookup(host, port).await.map(Located::At)
    }

    /// Finds the addresses of a host; see [`Resolver::lookup`](crate::Resolver::lookup).
    ///
    /// # Errors
    ///
    /// As [`Resolver::lookup`](crate::Resolver::lookup).
    pub async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.resolver.lookup(host, port).await
    }

    /// The text records of a host; see [`Resolver::texts`](crate::Resolver::texts). Nobody is asked here for what is looked up at the far end of this way.
    ///
    /// # Errors
    ///
    /// `Unsupported` where names are looked up at the far end; else as [`Resolver::texts`](crate::Resolver::texts).
    pub async fn texts(&self, host: &str) -> io::Result<Vec<Vec<u8>>> {
        if self.dialer.takes_names() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.resolver.texts(host).await
    }

    fn admitted<'a>(
        &'a self,
        dialer: &'a dyn Dialer,
        to: SocketAddr,
    ) -> BoxFuture<'a, io::Result<BoxStream>> {
        match self.admit(to) {
            Ok(()) => dialer.dial(to),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// The addresses in their order, but with the families taking turns; the first one stays first.
fn alternate_families(addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addrs.first() else {
        return Vec::new();
    };
    let (same, other): (Vec<SocketAddr>, Vec<SocketAddr>) = addrs
        .iter()
        .partition(|addr| addr.is_ipv4() == first.is_ipv4());
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut mixed = Vec::with_capacity(addrs.len());
    while mixed.len() < addrs.len() {
        mixed.extend(same.next());
        mixed.extend(other.next());
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_first_stays_first() {
        let given = addrs(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let mixed = addrs(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(alternate_families(&given), mixed);
        assert_eq!(alternate_families(&[]), []);
    }
}
