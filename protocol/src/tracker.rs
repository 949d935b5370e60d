//! Messages of trackers, for clients and for servers; pure.
//!
//! # Map of modules
//! - [`compact`]: peers and nodes as 6, 18, 26 and 38 bytes (BEP 23, 7, 5, 32).
//! - [`http`]: URLs and replies of HTTP trackers (BEP 3, 7, 21, 23, 24, 31, 48), queries and replies of a server.
//! - [`preferences`]: which trackers a host says in DNS that it runs (BEP 34).
//! - [`udp`]: datagrams of UDP trackers (BEP 15, 41) and the client's exchange of them.
//!
//! One [`Announce`] and one [`AnnounceReply`] serve all of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::id::{InfoHash, PeerId};

pub mod compact;
pub mod http;
pub mod preferences;
pub mod udp;

/// The interval of a tracker that does not tell one: 30 minutes, as deployed clients assume.
pub const DEFAULT_INTERVAL: Duration = Duration::from_mins(30);

/// What `left` says while it is unknown (before the metadata came): not zero, which would make us a seed. Trackers
/// refuse -1, so that deployed clients say 16 KiB.
pub const UNKNOWN_LEFT: u64 = 16 * 1024;

/// The most info-hashes in one scrape: what fits a datagram (BEP 15).
pub const MAX_SCRAPE: usize = 74;

/// Why an announce is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnnounceEvent {
    /// The interval is over.
    #[default]
    None,
    /// The download is complete; sent once.
    Completed,
    /// We stay as a partial seed (BEP 21); UDP trackers get [`AnnounceEvent::None`].
    Paused,
    /// The first announce.
    Started,
    /// The last announce.
    Stopped,
}

/// What we tell a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Our peer id.
    pub peer_id: PeerId,
    /// The port we listen on.
    pub port: u16,
    /// Payload bytes sent since the start.
    pub uploaded: u64,
    /// Payload bytes received since the start.
    pub downloaded: u64,
    /// Bytes that are missing; `None` while unknown.
    pub left: Option<u64>,
    /// Why we announce.
    pub event: AnnounceEvent,
    /// A random number that stays when our address changes (BEP 7, BEP 15).
    pub key: u32,
    /// Peers that we would like to get; `None` leaves it to the tracker.
    pub num_want: Option<u32>,
    /// Our address, where the tracker would see a wrong one (BEP 3; an IPv4 address only over UDP).
    pub ip: Option<IpAddr>,
    /// Another address of ours (BEP 7); does not travel over UDP but as [`ip`](Self::ip).
    pub ipv4: Option<Ipv4Addr>,
    /// Another address of ours (BEP 7).
    pub ipv6: Option<Ipv6Addr>,
    /// The `tracker id` of an earlier reply (BEP 3).
    pub tracker_id: Option<Vec<u8>>,
}

/// A peer that a tracker names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrackerPeer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its peer id, where the reply is not compact.
    pub peer_id: Option<PeerId>,
}

/// What a tracker answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceReply {
    /// How long to wait before the next announce; `None` where the tracker does not say (see [`DEFAULT_INTERVAL`]).
    pub interval: Option<Duration>,
    /// How long to wait at least (HTTP).
    pub min_interval: Option<Duration>,
    /// Peers that have everything.
    pub complete: Option<u32>,
    /// Peers that have not.
    pub incomplete: Option<u32>,
    /// How often the torrent was completed (HTTP).
    pub downloaded: Option<u32>,
    /// Peers, never with port 0.
    pub peers: Vec<TrackerPeer>,
    /// Peers that are named by host (HTTP, dictionary form); rare.
    pub named_peers: Vec<(String, u16)>,
    /// Our address as the tracker sees it (BEP 24).
    pub external_ip: Option<IpAddr>,
    /// Something for people to read.
    pub warning: Option<String>,
    /// To be sent with further announces (BEP 3).
    pub tracker_id: Option<Vec<u8>>,
}

/// What a scrape tells of one torrent (BEP 48).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeEntry {
    /// Peers that have everything.
    pub complete: u32,
    /// How often it was completed.
    pub downloaded: u32,
    /// Peers that have not.
    pub incomplete: u32,
}

/// When to come back after a failure (BEP 31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryIn {
    /// After this time.
    After(Duration),
    /// Not at all.
    Never,
}

impl Announce {
    /// An announce of nothing transferred, with everything else left to the tracker.
    pub const fn new(info_hash: InfoHash, peer_id: PeerId, port: u16) -> Self {
        Self {
            info_hash,
            peer_id,
            port,
            uploaded: 0,
            downloaded: 0,
            left: None,
            event: AnnounceEvent::None,
            key: 0,
            num_want: None,
            ip: None,
            ipv4: None,
            ipv6: None,
            tracker_id: None,
        }
    }
}

impl TrackerPeer {
    /// A peer without a peer id.
    pub const fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            peer_id: None,
        }
    }
}
