//! What is said to a Torrent actor, and what it says to the Supervisor.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use actix::Message;
use net::BoxStream;
use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use protocol::id::{InfoHash, InfoHashes};
use protocol::metainfo::Metainfo;
use storage::{OpenFileStatus, Store, StoreError, Verdict};
use tokio::sync::oneshot;

use crate::mixed::Flow;
use crate::queue::Voices;
use crate::reach::Reach;
use crate::torrent::bad_blocks::Evidence;
use crate::torrent::files::FileOrder;
use crate::torrent::hash_desk::HashAnswer;
use crate::torrent::pieces::{BegunPiece, Given};
use crate::torrent::relocation::{MoveOrder, MoveReply};
use crate::torrent::renames;
use crate::torrent::rest::Tired;
use crate::torrent::resume::Known;
use crate::torrent::smart_ban::Digest;
use crate::torrent::starts::StartReply;
use crate::torrent::tracker_list::TrackerStatus;
use crate::{
    Choices, CommandError, Event, Labels, Limits, Modes, PeerInfo, Reuse, SeedingRule, SwarmCounts,
    TorrentId, TorrentStatus, Wire,
};

/// A command of a person or program: Supervisor to Torrent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Control {
    /// Connect to a peer, again and again.
    AddPeer(SocketAddr),
    /// Another torrent has one of the info-hashes that the metadata showed.
    Conflict,
    /// Change the rates.
    Limit(Limits),
    /// See whether its route is there: that has changed.
    Look,
    /// Go on by another route, or by one of as many hops that was opened anew.
    Move(Box<Reach>),
    /// Panic.
    #[cfg(test)]
    Panic,
    /// Stop until resumed.
    Pause,
    /// Hash everything again.
    Recheck,
    /// Go on.
    Resume,
    /// Answer a question about the moment.
    Ask(Question),
    /// Announce to these trackers, by tier, instead of those before.
    Trackers(Vec<Vec<String>>),
    /// Have at most so many connections; `None` for as many as the settings say.
    MaxPeers(Option<u32>),
    /// Serve so many peers at a time; `None` for as many as the settings say.
    UploadSlots(Option<u32>),
    /// Fetch in order, or no longer.
    Sequential(bool),
    /// Whether there is room where its content goes.
    Room(bool),
    /// Other labels.
    Labels(Option<Arc<Labels>>),
    /// Wait for a turn in the queue, or have it.
    Hold(bool),
    /// Announce there and nowhere else, as long as it runs.
    Voices(Voices),
    /// Other bounds of seeding.
    Seeding(SeedingRule),
    /// Turn switches on, and then others off.
    Modes(Modes, Modes),
    /// Fetch from these web seeds, and no others.
    WebSeeds(Vec<String>),
    /// Let go of all peers, and forget all addresses.
    ClearPeers,
    /// Have these pieces in order before all others, from the first to the last.
    Range(Option<(u32, u32)>),
    /// Do something with files.
    Files(FileOrder),
    /// Announce to trackers, the DHT and the local networks as soon as they allow.
    Reannounce,
    /// Do something about where the content lies.
    Relocate(MoveOrder, oneshot::Sender<Result<(), CommandError>>),
    /// Take up settings that have changed.
    Retune,
    /// Take content over that lies on this machine.
    Reuse(Reuse),
    /// Ask the trackers for the size of the swarm.
    Scrape(oneshot::Sender<Result<SwarmCounts, CommandError>>),
    /// Let go of the peers that the network does not talk to any more.
    Sift,
}

/// A scrape has ended: its task to its Torrent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Scraped {
    /// Which one.
    pub(crate) number: u64,
    /// What trackers said of the swarm, by tracker and hash.
    pub(crate) heard: BTreeMap<(Arc<str>, InfoHash), SwarmCounts>,
}

/// What somebody wants to know of a torrent, and whom to tell.
#[derive(Debug)]
pub(crate) enum Question {
    /// The rates that bound it.
    Limits(oneshot::Sender<Limits>),
    /// Its metadata, as far as it is there.
    Metainfo(oneshot::Sender<Option<Arc<Metainfo>>>),
    /// How many of the connected peers have each piece.
    Availability(oneshot::Sender<Vec<u32>>),
    /// Bytes of each file that are there.
    FileProgress(oneshot::Sender<Vec<u64>>),
    /// The files that are open.
    OpenFiles(oneshot::Sender<Vec<OpenFileStatus>>),
    /// Which pieces are there.
    Pieces(oneshot::Sender<Bitfield>),
    /// The trackers, by tier.
    Trackers(oneshot::Sender<Vec<Vec<String>>>),
    /// The trackers, and how each stands.
    TrackerList(oneshot::Sender<Vec<TrackerStatus>>),
    /// The pieces that have begun.
    Begun(oneshot::Sender<Vec<BegunPiece>>),
    /// The web seeds, as they are named.
    WebSeeds(oneshot::Sender<Vec<String>>),
    /// Who is connected.
    Peers(oneshot::Sender<Vec<PeerInfo>>),
}

/// A peer that connected to us and named this torrent: Supervisor to Torrent.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Incoming {
    /// The connection.
    pub(crate) stream: BoxStream,
    /// All bytes that were read of it, its handshake first.
    pub(crate) first: Vec<u8>,
    /// How it goes over the wire.
    pub(crate) wire: Wire,
}

/// End the torrent: Supervisor to Torrent, once.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop {
    /// Whether the content is deleted.
    pub(crate) delete_data: bool,
    /// Whether it is removed, and not all torrents stop.
    pub(crate) removed: bool,
    /// Told when everything is saved and said.
    pub(crate) done: oneshot::Sender<()>,
    /// When to stop waiting for trackers.
    pub(crate) deadline: Instant,
}

/// Say nothing more to trackers: Supervisor to a Torrent that was told to [`Stop`], when it is added again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Hush;

/// What the Disk found: Disk to Torrent, one for each job.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum DiskReply {
    /// What was asked to bring the content to work.
    Start {
        /// Which question, see [`Torrent::ask_to_start`](super::actor::Torrent::ask_to_start).
        number: u64,
        /// The answer.
        reply: StartReply,
    },
    /// A move has come further.
    Move {
        /// Which one.
        number: u64,
        /// How far.
        reply: MoveReply,
    },
    /// What was written could not be brought to the disk.
    Unsynced {
        /// For which time at work.
        run: u64,
        /// Why.
        error: StoreError,
    },
    /// The progress of a torrent at rest is saved.
    Rested {
        /// Which rest.
        number: u64,
        /// What is there.
        known: Option<Known>,
    },
    /// Pieces were hashed.
    Verified {
        /// For which time at work, see [`Active::run`](super::actor::Active).
        run: u64,
        /// What came of it.
        verified: Vec<Verified>,
    },
    /// Requests for Merkle hashes were looked up.
    Hashes(Vec<HashAnswer>),
    /// The store keeps as files what is wanted, or could not.
    Wanted {
        /// For which time at work.
        run: u64,
        /// What came of it.
        outcome: Result<(), StoreError>,
    },
    /// A piece from outside is written, or cannot be.
    Given(Box<Given>),
    /// Files have other names, beside their old ones.
    Renamed(renames::Outcome),
    /// There may be room again: the files could be prepared.
    Probed(Result<(), StoreError>),
}

/// A store that is ready.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The store.
    pub(crate) store: Store,
    /// What is there, where that is known.
    pub(crate) known: Known,
}

/// The hash of one piece.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Which piece.
    pub(crate) piece: PieceIndex,
    /// Whether it is what the metadata says.
    pub(crate) verdict: Verdict,
    /// The digest of each block, where the piece is bad now or was before.
    pub(crate) blocks: Vec<Digest>,
    /// What may tell which of its blocks are bad, where the piece is.
    pub(crate) evidence: Option<Evidence>,
}

/// News of a torrent: Torrent to Supervisor, each status once a second and events as they happen.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum News {
    /// Its state.
    Status(Arc<TorrentStatus>),
    /// Something happened.
    Event(Event),
    /// Somebody wants to know when what was told before is kept.
    WhenKept(oneshot::Sender<()>),
    /// What was decided about its files; told when whatever is kept of that is kept.
    Choices(TorrentId, Box<Choices>, oneshot::Sender<()>),
    /// What its connections move, down first; not repeated while nothing does.
    Flows(TorrentId, [Flow; 2]),
    /// Its files were looked at, after which it was to be paused, and is.
    Ready(TorrentId),
    /// It was paused, and does nothing any more.
    Tired(TorrentId, Tired),
    /// It was removed, is done with its content, and only tells its trackers.
    Parts(TorrentId),
    /// It stopped as told.
    Gone(TorrentId),
    /// Its metadata came, and showed all of its info-hashes.
    Hashes(TorrentId, InfoHashes),
}
