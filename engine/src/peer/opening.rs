//! How a connection comes about: we dial, or the peer did.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{BoxStream, Network};
use protocol::id::InfoHash;
use protocol::peer::handshake::HANDSHAKE_LEN;
use protocol::peer::{CustomExtension, Session, SessionConfig, TorrentParams};
use tokio::time::timeout;

use crate::Wire;
use crate::cover::{self, Cover};
use crate::peer::driver::{Driver, Parts, now};
use crate::peer::messages::{Ended, Report};
use crate::torrent::candidates::DialFailure;

/// How a connection comes about.
pub(crate) enum Opening {
    /// The peer connected, and its handshake named this torrent.
    Accepted {
        /// The connection.
        stream: BoxStream,
        /// All bytes that were read of it, its handshake first.
        first: Vec<u8>,
        /// How it goes over the wire.
        wire: Wire,
        /// Our side of the session.
        config: SessionConfig,
        /// The torrent.
        torrent: TorrentParams,
    },
    /// We connect.
    Dial {
        /// Through this network.
        network: Network,
        /// To this address.
        to: SocketAddr,
        /// By these means.
        way: Way,
        /// Under this cover, if under any.
        cover: Option<Cover>,
        /// Our side of the session.
        config: SessionConfig,
        /// The torrent.
        torrent: TorrentParams,
    },
}

impl Opening {
    /// Offers the peer extensions that programs bring along.
    pub(crate) fn offer(&mut self, custom: Arc<[CustomExtension]>) {
        match self {
            Self::Accepted { torrent, .. } | Self::Dial { torrent, .. } => {
                torrent.custom = Some(custom);
            }
        }
    }

    /// Our side of the session.
    pub(crate) const fn config(&self) -> &SessionConfig {
        match self {
            Self::Accepted { config, .. } | Self::Dial { config, .. } => config,
        }
    }
}

/// How a peer is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By all that the network has.
    Usual,
    /// By TCP alone.
    Tcp,
    /// By uTP alone.
    Utp,
    /// By uTP, and by TCP where that takes long.
    UtpFirst,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted { .. } => "Accepted",
            Self::Dial { .. } => "Dial",
        })
    }
}

/// Opens a connection and runs it to its end.
pub(crate) async fn drive(opening: Opening, mut parts: Parts) {
    match opening {
        Opening::Accepted {
            stream,
            first,
            wire,
            config,
            torrent,
        } => {
            parts.wiring.wire = wire;
            let session = Session::acceptor(config, now());
            Driver::new(stream, session, parts, Some(torrent))
                .run(first)
                .await;
        }
        Opening::Dial {
            network,
            to,
            way,
            cover,
            config,
            torrent,
        } => {
            let settings = parts.wiring.settings.full();
            let patience = settings.connections.connect_timeout;
            let stream = match timeout(patience, dial(&network, to, way)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    parts.wiring.watch.broke(&error);
                    return fail(parts, Ended::Unreachable(failure(&error))).await;
                }
                Err(_) => return fail(parts, Ended::Unreachable(DialFailure::Timeout)).await,
            };
            let info_hash = torrent.named();
            let mut session = Session::initiator(config, torrent, now());
            let patience = settings.connections.handshake_timeout;
            match covered((stream, cover), &mut session, info_hash, patience).await {
                Ok((stream, first, wire)) => {
                    parts.wiring.wire = wire;
                    Driver::new(stream, session, parts, None).run(first).await;
                }
                Err(ended) => fail(parts, ended).await,
            }
        }
    }
}

/// Puts a stream that we have dialled under its cover; gives what was read of it meanwhile.
async fn covered(
    (stream, cover): (BoxStream, Option<Cover>),
    session: &mut Session,
    info_hash: InfoHash,
    patience: Duration,
) -> Result<(BoxStream, Vec<u8>, Wire), Ended> {
    let Some(cover) = cover else {
        return Ok((stream, Vec::new(), Wire::Plain));
    };
    let initial = session.output().first_chunk::<HANDSHAKE_LEN>().copied();
    let initial = initial.ok_or(Ended::Lost)?;
    let agreeing = cover::dialled(stream, cover, info_hash, initial);
    match timeout(patience, agreeing).await {
        Ok(Ok(covered)) => {
            session.consume_output(HANDSHAKE_LEN);
            Ok((covered.stream, covered.first, covered.wire))
        }
        Ok(Err(error)) => {
            tracing::trace!(%error, "no handshake under cover");
            Err(Ended::Lost)
        }
        Err(_) => Err(Ended::Silent),
    }
}

async fn dial(network: &Network, to: SocketAddr, way: Way) -> io::Result<BoxStream> {
    match way {
        Way::Usual => network.dial_peer(to).await,
        Way::Tcp => network.dial(to).await,
        Way::Utp => network.dial_utp(to).await,
        Way::UtpFirst => network.dial_utp_first(to).await,
    }
}

async fn fail(parts: Parts, ended: Ended) {
    let report = Report {
        facts: Vec::new(),
        ended: Some(ended),
    };
    let _ = parts.reports.send(report).await;
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the standard library's list is long and open"
)]
fn failure(error: &io::Error) -> DialFailure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused | Kind::ConnectionReset => DialFailure::Refused,
        Kind::TimedOut => DialFailure::Timeout,
        Kind::HostUnreachable | Kind::NetworkUnreachable => DialFailure::Unreachable,
        Kind::NetworkDown => DialFailure::Offline,
        _ => DialFailure::Other,
    }
}
