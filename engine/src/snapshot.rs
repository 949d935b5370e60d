//! The state of an engine at one moment, for anyone who asks, without asking an actor.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::id::{InfoHashes, PeerId};

use crate::{Labels, LocalFile, Modes, Published, SeedingRule, TorrentError, TorrentId, Wire};

/// The state of an engine, published twice a second and after each command.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Where the engine listens for peers.
    pub listen: Option<SocketAddr>,
    /// All torrents, in the order in which they were added.
    pub torrents: Vec<Arc<TorrentStatus>>,
    /// Our addresses as trackers see them (BEP 24), each with the number of trackers that say so; most first.
    pub external_ips: Vec<(IpAddr, usize)>,
}

/// The state of one torrent.
#[derive(Clone, Debug, PartialEq)]
pub struct TorrentStatus {
    /// Its number in this engine.
    pub id: TorrentId,
    /// Its info-hashes.
    pub hashes: InfoHashes,
    /// Its name; of a magnet link without metadata, the link's display name or the info-hash.
    pub name: String,
    /// The folder that its content goes to; its own name is below that. Torrents with the same folder share the path.
    pub dir: Arc<Path>,
    /// When it was added: seconds since 1970.
    pub added: i64,
    /// Its category and tags, where it has any.
    pub labels: Option<Arc<Labels>>,
    /// What it is doing.
    pub state: State,
    /// Its place in the queue: what is smaller comes first; `None` where it has none, as one that has everything.
    pub queue: Option<u32>,
    /// Until when it is seeded, where something is said of that.
    pub seeding: SeedingRule,
    /// The switches that are on.
    pub modes: Modes,
    /// Through how many others its traffic goes; 0 is the direct way.
    pub hops: u8,
    /// Why nothing leaves by its route, where nothing does: for a person to read.
    pub blocked: Option<Arc<str>>,
    /// Bytes of all files, without padding between them (BEP 47), which no figure here counts; 0 while unknown.
    pub size: u64,
    /// Its pieces; 0 while unknown.
    pub pieces: u32,
    /// Bytes of the wanted pieces.
    pub wanted: u64,
    /// Bytes of the wanted pieces that are there and verified; of a torrent that stands still, when it last moved.
    pub done: u64,
    /// Bytes of payload received in this run, whatever became of them.
    pub downloaded: u64,
    /// Bytes of payload sent in this run.
    pub uploaded: u64,
    /// Bytes received that were of no use: duplicates, late blocks and pieces that failed their hash.
    pub wasted: u64,
    /// Payload received, bytes a second.
    pub down_rate: u64,
    /// Payload sent, bytes a second.
    pub up_rate: u64,
    /// Connected peers.
    pub peers: usize,
    /// Connected peers that have everything.
    pub seeds: usize,
    /// The connected peers, one by one, in the order in which they came.
    pub connections: Arc<[PeerStatus]>,
    /// Its web seeds, those that the user named first.
    pub web_seeds: Vec<WebSeedStatus>,
    /// A newer version than this, which its publisher has signed (BEP 46).
    pub newer: Option<Published>,
    /// Files that it lacks and that other torrents of the engine have, as they were offered last.
    pub local_data: Arc<[LocalFile]>,
    /// How far the move of its content to another folder has come, where one is under way.
    pub moving: Option<MoveStatus>,
    /// The size of the swarm, as trackers told last.
    pub swarm: SwarmCounts,
    /// Time since it was added, when this was told: a torrent that does nothing tells nothing.
    pub age: Duration,
    /// What it is waiting for, for a person to read, where it is waiting.
    pub reason: Option<String>,
}

/// Content on its way to another folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MoveStatus {
    /// The folder that it goes to.
    pub dir: PathBuf,
    /// Bytes that were copied.
    pub done: u64,
    /// Bytes that are copied in all, as far as that is known; 0 where files only get other names.
    pub total: u64,
    /// It was told to stop for a while.
    pub paused: bool,
}

/// A connected peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The address of the other end.
    pub addr: SocketAddr,
    /// Whether we dialled.
    pub outgoing: bool,
    /// How the connection goes over the wire.
    pub wire: Wire,
}

/// What is known of a connected peer; see [`EngineHandle::peers`](crate::EngineHandle::peers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of both sides, as the protocol has them"
)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The address of the other end.
    pub addr: SocketAddr,
    /// Where others can connect to it, as far as that is known and another address.
    pub listens: Option<SocketAddr>,
    /// Who it says it is.
    pub id: Option<PeerId>,
    /// Whether we dialled.
    pub outgoing: bool,
    /// Whether the connection is one of uTP.
    pub utp: bool,
    /// How the connection goes over the wire.
    pub wire: Wire,
    /// Pieces that it has; `None` for all of them.
    pub pieces: Option<u32>,
    /// Whether it says that it wants nothing (BEP 21).
    pub upload_only: bool,
    /// Whether it wants something of ours.
    pub interested: bool,
    /// Whether we serve it.
    pub served: bool,
    /// Whether we said that we want something.
    pub we_are_interested: bool,
    /// Whether it serves us.
    pub serves_us: bool,
    /// Whether it is served by chance, to see what it gives.
    pub by_chance: bool,
    /// Whether it serves us and has sent nothing for a minute, though we want something of it.
    pub snubs: bool,
    /// Bytes of payload that came from it.
    pub downloaded: u64,
    /// Bytes of payload that it was sent.
    pub uploaded: u64,
    /// Bytes a second that come from it.
    pub down_rate: u64,
    /// Bytes a second that it is sent.
    pub up_rate: u64,
}

/// A web seed of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSeedStatus {
    /// Where it is: without user, password and query, which may be secrets.
    pub url: String,
    /// What it is doing.
    pub state: WebSeedState,
    /// Bytes that came from it in this run.
    pub downloaded: u64,
    /// Bytes a second.
    pub down_rate: u64,
}

/// What a web seed is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebSeedState {
    /// It is asked for what is missing.
    AtWork,
    /// It sent bad data, and is not asked any more.
    Banned,
    /// Nothing is wanted of it.
    Idle,
    /// It is not asked, for the route of the torrent does not carry what it sends: circuits do not.
    NotCarried,
    /// It is left alone for a while.
    Resting {
        /// For so long.
        left: Duration,
        /// Why, for a person to read.
        reason: String,
    },
}

/// The size of a swarm, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmCounts {
    /// Peers that have everything.
    pub seeds: Option<u32>,
    /// Peers that have not.
    pub leechers: Option<u32>,
    /// How often the torrent was completed.
    pub downloaded: Option<u32>,
}

impl SwarmCounts {
    /// The larger of both, number by number: trackers know parts of a swarm.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            seeds: self.seeds.max(other.seeds),
            leechers: self.leechers.max(other.leechers),
            downloaded: self.downloaded.max(other.downloaded),
        }
    }
}

/// What a torrent is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Hashing what is on disk.
    Checking {
        /// Bytes looked at.
        done: u64,
        /// Bytes to look at.
        total: u64,
    },
    /// Fetching pieces.
    Downloading,
    /// Stopped by an error.
    Error(TorrentError),
    /// Fetching the metadata of a magnet link.
    FetchingMetadata,
    /// Stopped by command, or because it was seeded for long enough.
    Paused,
    /// Waiting for its turn in the queue.
    Queued,
    /// Complete, serving others.
    Seeding,
}

impl State {
    /// One word for programs: `checking`, `downloading`, `error`, `metadata`, `paused`, `queued` or `seeding`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Checking { .. } => "checking",
            Self::Downloading => "downloading",
            Self::Error(_) => "error",
            Self::FetchingMetadata => "metadata",
            Self::Paused => "paused",
            Self::Queued => "queued",
            Self::Seeding => "seeding",
        }
    }
}
