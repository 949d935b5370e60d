//! What a session is made with.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::geometry::{Geometry, Tails};
use crate::id::{InfoHash, InfoHashes, PeerId};
use crate::peer::custom::CustomExtension;
use crate::peer::extension::Extensions;
use crate::peer::handshake::Reserved;
use crate::peer::session::MAX_CHOKED_REQUESTS;

/// What a session says of ourselves, and its bounds.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Our peer id.
    pub peer_id: PeerId,
    /// Our name and version in the extension handshake; `None` hides it.
    pub client: Option<Cow<'static, str>>,
    /// The port that we listen on; `None` hides it.
    pub listen_port: Option<u16>,
    /// The peer's address, which the extension handshake tells it; `None` hides it.
    pub your_ip: Option<IpAddr>,
    /// Requests that we tell the peer to queue at most.
    pub reqq: u32,
    /// Requests of the peer that are queued; further ones are rejected. Not less than `reqq`.
    pub max_incoming_requests: usize,
    /// Requests that may come while the peer is choked and [`CHOKE_GRACE`](super::CHOKE_GRACE) is over.
    pub max_choked_requests: u32,
    /// Whether to offer the fast extension (BEP 6).
    pub fast: bool,
    /// Whether to offer the extension protocol (BEP 10).
    pub extension_protocol: bool,
    /// Whether to offer DHT port messages (BEP 5).
    pub dht: bool,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// How long a session waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the whole handshake.
    pub handshake: Duration,
    /// For any byte from the peer.
    pub idle: Duration,
    /// Quiet on our side before a keep-alive is sent.
    pub keep_alive: Duration,
    /// For a control message that began to be whole.
    pub frame: Duration,
}

/// What a session must know of the torrent.
#[derive(Clone, Debug)]
pub struct TorrentParams {
    /// Its info-hashes. An initiator sends [`TorrentParams::named`]; an acceptor answers with the hash that the peer used,
    /// or upgrades the connection.
    pub hashes: InfoHashes,
    /// Its pieces; `None` while the metadata is unknown.
    pub geometry: Option<Geometry>,
    /// Where its pieces end before their length, in a torrent that is v2 alone.
    pub tails: Option<Arc<Tails>>,
    /// Bytes of the info dictionary; `None` while it is unknown.
    pub metadata_size: Option<u32>,
    /// Extensions to offer: a private torrent goes without `ut_pex`.
    pub extensions: Extensions,
    /// Extensions to offer that the session passes on, each with a sub-id of its own.
    pub custom: Option<Arc<[CustomExtension]>>,
    /// Whether we want nothing of it (BEP 21).
    pub upload_only: bool,
    /// Whether a hybrid torrent may be upgraded to v2 on this connection (BEP 52).
    pub v2_upgrade: bool,
    /// Whether an initiator names a hybrid torrent by its v2 hash, for the peer was met in the v2 swarm.
    pub v2_first: bool,
}

impl Default for Timeouts {
    /// Handshake 15 s; idle 150 s, as peers send keep-alives every 120 s (BEP 3); keep-alive 110 s; control frame 60 s.
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(15),
            idle: Duration::from_secs(150),
            keep_alive: Duration::from_secs(110),
            frame: Duration::from_mins(1),
        }
    }
}

impl SessionConfig {
    /// Everything offered, nothing told but the name and version of this crate.
    pub fn new(peer_id: PeerId) -> Self {
        Self {
            peer_id,
            client: Some(Cow::Borrowed(CLIENT)),
            listen_port: None,
            your_ip: None,
            reqq: 2000,
            max_incoming_requests: 2100,
            max_choked_requests: MAX_CHOKED_REQUESTS,
            fast: true,
            extension_protocol: true,
            dht: false,
            timeouts: Timeouts::default(),
        }
    }

    /// As [`SessionConfig::new`], without anything that tells us apart: no name, no port, no address.
    pub fn anonymous(peer_id: PeerId) -> Self {
        Self {
            client: None,
            ..Self::new(peer_id)
        }
    }

    pub(super) fn reserved(&self, v2_upgrade: bool) -> Reserved {
        Reserved::default()
            .with(Reserved::EXTENSIONS, self.extension_protocol)
            .with(Reserved::FAST, self.fast)
            .with(Reserved::DHT, self.dht)
            .with(Reserved::V2_UPGRADE, v2_upgrade)
    }
}

/// Our name and version in extension handshakes.
const CLIENT: &str = concat!("tribler-rs ", env!("CARGO_PKG_VERSION"));

impl TorrentParams {
    /// A torrent whose metadata is unknown, with all extensions.
    pub const fn new(hashes: InfoHashes) -> Self {
        Self {
            hashes,
            geometry: None,
            tails: None,
            metadata_size: None,
            extensions: Extensions::ALL,
            custom: None,
            upload_only: false,
            v2_upgrade: false,
            v2_first: false,
        }
    }

    /// The extensions that the session passes on.
    pub(super) fn customs(&self) -> &[CustomExtension] {
        self.custom.as_deref().unwrap_or_default()
    }

    /// The hash by which an initiator names the torrent.
    pub fn named(&self) -> InfoHash {
        let v2 = self.hashes.get_v2().filter(|_| self.v2_first);
        v2.map_or_else(|| self.hashes.wire(), |v2| v2.truncated())
    }
}
