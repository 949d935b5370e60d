//! What an engine can be asked to do.

mod error;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dht::DhtHandle;
use net::port_map::Ports;
use protocol::id::InfoHash;
use protocol::magnet::{Magnet, MutableItem};
use protocol::metainfo::Metainfo;
use tokio::sync::oneshot;

pub use self::error::{CommandError, TorrentError};
use crate::classes::ClassChange;
use crate::history::Histories;
use crate::reach::Reach;
use crate::settings::{Patch, Settings};
use crate::torrent::messages::Control;
use crate::torrent::picker::Priority;
use crate::{Choices, Farewells, Labels, Limits, Metrics, Place, SeedingRule, SwarmCounts};

/// A torrent's number in its engine; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TorrentId(pub(crate) u64);

impl TorrentId {
    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl From<u64> for TorrentId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// A torrent to be added.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent choices of the user"
)]
pub struct AddTorrent {
    /// What is known of it.
    pub source: Source,
    /// The .torrent file as it came, which an engine with a store keeps byte for byte; `None` where there is none: then it
    /// keeps what [`Metainfo::to_bytes`] writes.
    pub file: Option<Bytes>,
    /// The folder that content goes to; the torrent's own name is below it.
    pub dir: PathBuf,
    /// Through how many others all of its traffic goes, by a route of [`EngineConfig::routes`](crate::EngineConfig::routes);
    /// 0 is the direct way. `None` says nothing: it goes on as it went the last time, of which the engine keeps a note in
    /// its state directory before anything leaves, and directly where it was never here. Where there is no such route now, it
    /// is added and waits.
    pub hops: Option<u8>,
    /// Peers to connect to at once and again for as long as the torrent runs on the route that it is added to.
    pub peers: Vec<SocketAddr>,
    /// Which files are wanted, by their number in the metadata, pad files counted; `None` for those that a magnet link
    /// selects (BEP 53), or else all.
    pub files: Option<Vec<usize>>,
    /// What else was decided about files and pieces. Where nothing is said of one thing or the other, and the engine has a
    /// state directory, what commands have changed in an earlier life still holds.
    pub choices: Choices,
    /// Fetch in order, the first and last piece of each file first.
    pub sequential: bool,
    /// Take the data on disk as complete and right, without a check.
    pub trust_data: bool,
    /// What becomes of files that lie there already.
    pub existing: Existing,
    /// The publisher's key whose newer versions are told of (BEP 46), where the engine has a DHT; `None` for that of the
    /// magnet link, or of the feed that the torrent is (BEP 49), if there is one.
    pub follow: Option<MutableItem>,
    /// What is made use of that lies on this machine already (BEP 38).
    pub reuse: Reuse,
    /// Announce to the trackers of the torrent.
    pub use_trackers: bool,
    /// The trackers instead of those that the torrent or its link names, by tier.
    pub trackers: Option<Vec<Vec<String>>>,
    /// Whether its peers are sought in the DHT, where the engine has one; never if it is private.
    pub use_dht: bool,
    /// Whether its peers are sought on the local networks, where the engine does that at all; never if it is private.
    pub use_local_discovery: bool,
    /// While it has everything, pretend to have nothing and show each peer a few pieces at a time, so that the first copies
    /// leave us about once (BEP 16).
    pub super_seed: bool,
    /// Fetch from the web seeds that the torrent, its link and [`web_seeds`](Self::web_seeds) name (BEP 19, BEP 17).
    pub use_web_seeds: bool,
    /// Web seeds that the user names: URLs as in BEP 19.
    pub web_seeds: Vec<String>,
    /// Fetch from those that the torrent and its link name, too.
    pub use_named_web_seeds: bool,
    /// Hold its peers and web seeds to the IP filter of the network, where that has one. Of its trackers, which it may share with
    /// other torrents, the settings decide.
    pub use_ip_filter: bool,
    /// While it has everything and goes by a route with hidden swarms, have their peers find it.
    pub hidden_seeding: bool,
    /// Where it is fetched in order: these pieces, from the first to the last of both, before all others. This is not kept.
    pub sequential_range: Option<(u32, u32)>,
    /// Its category and tags; see [`Labels::shared`].
    pub labels: Option<Arc<Labels>>,
    /// Add it, but do nothing until it is resumed.
    pub paused: bool,
    /// Have the queue decide when it runs.
    pub managed: bool,
    /// Until when it is seeded; where nothing is said, as the settings say.
    pub seeding: SeedingRule,
    /// Ask nobody for anything, and serve what is there.
    pub upload_only: bool,
    /// Fetch only what can be given to several others.
    pub share: bool,
    /// Pause it as soon as its files were looked at.
    pub stop_when_ready: bool,
    /// Take word of peers from peers, and tell them of some (BEP 11); never if it is private.
    pub use_peer_exchange: bool,
    /// Connections; `None` for the engine's default.
    pub max_peers: Option<usize>,
    /// Peers that are served at a time; `None` for the engine's default.
    pub upload_slots: Option<u32>,
    /// Rates of this torrent.
    pub limits: Limits,
}

/// What becomes of files that lie where a torrent's content belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// They are checked and completed; what is beyond their length is cut off. But where not one piece is right and a
    /// file has not even the right length, they are somebody else's: the torrent stops with
    /// [`TorrentError::Foreign`] and leaves them alone.
    #[default]
    Complete,
    /// They are checked and completed, whatever they are.
    Replace,
    /// They are served as they are, and never written to: what is not whole stops with
    /// [`TorrentError::Incomplete`].
    Serve,
}

/// Which content that lies on this machine already is copied instead of fetched (BEP 38). All of it is compared with the
/// hashes of pieces first, and is only ever read where it lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reuse {
    /// What other torrents of the engine on the same route have, now or later. Where this is false, it is offered by
    /// [`Event::LocalData`](crate::Event::LocalData).
    pub torrents: bool,
    /// What lies in these folders and the folders in them, under any name: files that have the length of one of the
    /// torrent's, or the name.
    pub dirs: Vec<PathBuf>,
}

/// A file of another torrent that is, or may be, the same as one that a torrent lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// The number of the file that is lacking, in its torrent.
    pub file: usize,
    /// The torrent that has it.
    pub torrent: TorrentId,
    /// The folder of that torrent's content.
    pub dir: PathBuf,
    /// Where it lies below that.
    pub path: PathBuf,
    /// Bytes.
    pub len: u64,
}

/// What is known of a torrent that is added.
#[derive(Clone, Debug)]
pub enum Source {
    /// Everything.
    Metainfo(Arc<Metainfo>),
    /// An info-hash; the metadata comes from peers.
    Magnet(Box<Magnet>),
}

impl AddTorrent {
    /// A torrent with content in `dir` and otherwise usual choices.
    pub const fn new(source: Source, dir: PathBuf) -> Self {
        Self {
            source,
            file: None,
            dir,
            hops: None,
            peers: Vec::new(),
            files: None,
            choices: Choices {
                files: BTreeMap::new(),
                others: Priority::NORMAL,
                pieces: BTreeMap::new(),
                renamed: BTreeMap::new(),
            },
            sequential: false,
            trust_data: false,
            existing: Existing::Complete,
            follow: None,
            reuse: Reuse {
                torrents: false,
                dirs: Vec::new(),
            },
            use_trackers: true,
            trackers: None,
            use_dht: true,
            use_local_discovery: true,
            super_seed: false,
            use_web_seeds: true,
            web_seeds: Vec::new(),
            use_named_web_seeds: true,
            use_ip_filter: true,
            hidden_seeding: true,
            sequential_range: None,
            labels: None,
            paused: false,
            managed: true,
            seeding: SeedingRule {
                forever: false,
                ratio_per_mille: None,
                seconds: None,
                idle_seconds: None,
            },
            upload_only: false,
            share: false,
            stop_when_ready: false,
            use_peer_exchange: true,
            max_peers: None,
            upload_slots: None,
            limits: Limits {
                down: None,
                up: None,
            },
        }
    }
}

impl AddTorrent {
    /// Forgets the peers that were named for the route that it is on: whoever is dialled by another, too, knows that both
    /// lead to us.
    pub(crate) fn forget_peers(&mut self) {
        self.peers.clear();
        if let Source::Magnet(magnet) = &mut self.source {
            magnet.peers.clear();
        }
    }
}

/// A command with the channel for its answer, as it travels from an [`EngineHandle`](crate::EngineHandle) to the
/// Supervisor.
#[derive(Debug)]
pub(crate) enum Command {
    Add(
        Box<AddTorrent>,
        oneshot::Sender<Result<TorrentId, CommandError>>,
    ),
    AddPeer(
        TorrentId,
        SocketAddr,
        oneshot::Sender<Result<(), CommandError>>,
    ),
    /// By how many hops to look for what is named so, of which that was said.
    Look(
        [u8; 20],
        Option<u8>,
        oneshot::Sender<Result<u8, CommandError>>,
    ),
    Find(
        InfoHash,
        oneshot::Sender<Result<Option<TorrentId>, CommandError>>,
    ),
    /// Have all torrents stand still, or no longer.
    Halt(bool, oneshot::Sender<Result<(), CommandError>>),
    Limit(
        Option<TorrentId>,
        Limits,
        oneshot::Sender<Result<(), CommandError>>,
    ),
    Control(
        TorrentId,
        Box<Control>,
        oneshot::Sender<Result<(), CommandError>>,
    ),
    Pause(TorrentId, oneshot::Sender<Result<(), CommandError>>),
    Metrics(oneshot::Sender<Result<(Metrics, Option<DhtHandle>), CommandError>>),
    WatchPorts(Ports, oneshot::Sender<Result<(), CommandError>>),
    Recheck(TorrentId, oneshot::Sender<Result<(), CommandError>>),
    Remove(TorrentId, bool, oneshot::Sender<Result<(), CommandError>>),
    /// Close the direct way and open it anew.
    Reopen(oneshot::Sender<Result<(), CommandError>>),
    /// Change the classes of peers.
    Classes(Box<ClassChange>, oneshot::Sender<Result<(), CommandError>>),
    /// The torrents of the queue, in order.
    Queue(oneshot::Sender<Result<Vec<TorrentId>, CommandError>>),
    Shift(TorrentId, Place, oneshot::Sender<Result<(), CommandError>>),
    /// What each of these has done.
    Histories(Vec<TorrentId>, oneshot::Sender<Histories>),
    Reach(u8, oneshot::Sender<Result<Reach, CommandError>>),
    Resume(TorrentId, oneshot::Sender<Result<(), CommandError>>),
    Reuse(TorrentId, Reuse, oneshot::Sender<Result<(), CommandError>>),
    Scrape(
        TorrentId,
        oneshot::Sender<Result<SwarmCounts, CommandError>>,
    ),
    SetSettings(Patch, oneshot::Sender<Result<Arc<Settings>, CommandError>>),
    SetHops(TorrentId, u8, oneshot::Sender<Result<(), CommandError>>),
    Shutdown(Duration, oneshot::Sender<Farewells>),
    Sift(oneshot::Sender<Result<(), CommandError>>),
}
