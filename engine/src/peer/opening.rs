//! How a connection comes about: we dial, or the peer did.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use net::{BoxStream, Network};
use protocol::peer::{Session, SessionConfig, TorrentParams};
use tokio::time::timeout;

use crate::peer::driver::{Driver, Parts, now};
use crate::peer::messages::{Ended, Report};
use crate::torrent::candidates::DialFailure;

/// How long a dial may take.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// How a connection comes about.
pub(crate) enum Opening {
    /// The peer connected, and its handshake named this torrent.
    Accepted {
        /// The connection.
        stream: BoxStream,
        /// All bytes that were read of it, its handshake first.
        first: Vec<u8>,
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
        /// Our side of the session.
        config: SessionConfig,
        /// The torrent.
        torrent: TorrentParams,
    },
}

/// How a peer is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By all that the network has.
    Usual,
    /// By uTP alone.
    Utp,
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
pub(crate) async fn drive(opening: Opening, parts: Parts) {
    match opening {
        Opening::Accepted {
            stream,
            first,
            config,
            torrent,
        } => {
            let session = Session::acceptor(config, now());
            Driver::new(stream, session, parts, Some(torrent))
                .run(first)
                .await;
        }
        Opening::Dial {
            network,
            to,
            way,
            config,
            torrent,
        } => match timeout(DIAL_TIMEOUT, dial(&network, to, way)).await {
            Ok(Ok(stream)) => {
                let session = Session::initiator(config, torrent, now());
                Driver::new(stream, session, parts, None)
                    .run(Vec::new())
                    .await;
            }
            Ok(Err(error)) => fail(parts, Ended::Unreachable(failure(&error))).await,
            Err(_) => fail(parts, Ended::Unreachable(DialFailure::Timeout)).await,
        },
    }
}

async fn dial(network: &Network, to: SocketAddr, way: Way) -> io::Result<BoxStream> {
    match way {
        Way::Usual => network.dial_peer(to).await,
        Way::Utp => network.dial_utp(to).await,
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
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
            DialFailure::Unreachable
        }
        _ => DialFailure::Other,
    }
}
