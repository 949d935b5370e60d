//! What an engine tells whoever listens: changes of state, not samples.

mod categories;
pub(crate) mod hub;
mod kinds;
mod parting;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use net::port_map::Mapped;
use protocol::id::{InfoHash, InfoHashes};
use protocol::metainfo::Metainfo;
use protocol::tracker::AnnounceEvent;

use crate::{
    LocalFile, Metrics, MoveFailure, Published, SeedingEnd, State, TorrentError, TorrentId, Wire,
};

pub use self::categories::{Categories, Category};
pub use self::hub::{Events, NoEvent};
pub use self::parting::{Parting, Refusal, Rejection, Warning};

/// A change in the engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A torrent was added.
    Added {
        /// Which.
        id: TorrentId,
        /// Its info-hashes, as far as they are known.
        hashes: InfoHashes,
    },
    /// A peer asks for a block, which it gets when it is its turn.
    BlockAsked {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// The piece's number.
        piece: u32,
        /// The first byte that it wants, from the start of the piece.
        begin: u32,
        /// Bytes.
        len: u32,
    },
    /// A peer will not give a block that it was asked for.
    BlockDropped {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// The piece's number.
        piece: u32,
        /// The block's number in the piece, of 16 KiB each.
        block: u32,
    },
    /// A block came, as it was asked for.
    BlockReceived {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// The piece's number.
        piece: u32,
        /// The block's number in the piece.
        block: u32,
    },
    /// A peer is asked for a block.
    BlockRequested {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// The piece's number.
        piece: u32,
        /// The block's number in the piece.
        block: u32,
    },
    /// A block is put on its way to a peer.
    BlockSent {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// The piece's number.
        piece: u32,
        /// The first byte, from the start of the piece.
        begin: u32,
        /// Bytes.
        len: u32,
    },
    /// A block did not come in time; others are asked for it.
    BlockTimedOut {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// The piece's number.
        piece: u32,
        /// The block's number in the piece.
        block: u32,
    },
    /// A block came that is not wanted, or not any more.
    BlockUnwanted {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// Bytes of it.
        len: u32,
    },
    /// The check of existing data has ended.
    CheckFinished {
        /// Which torrent.
        id: TorrentId,
        /// Pieces that are there and right.
        good: u32,
    },
    /// The content of a torrent that was removed is deleted.
    DataDeleted {
        /// Which torrent.
        id: TorrentId,
    },
    /// Some of the content of a torrent that was removed could not be deleted; what could be is.
    DeleteFailed {
        /// Which torrent.
        id: TorrentId,
        /// The first file or folder that is still there.
        path: PathBuf,
        /// What was tried, and what the system says.
        reason: Arc<str>,
    },
    /// A node of the DHT announced a peer to ours, which keeps it for others.
    DhtAnnounced {
        /// The node's address.
        from: SocketAddr,
        /// Of which torrent the peer is.
        info_hash: InfoHash,
        /// The peer's port; its address is the node's.
        port: u16,
    },
    /// A node of the DHT asks ours for peers.
    DhtAsked {
        /// The node's address.
        from: SocketAddr,
        /// Of which torrent.
        info_hash: InfoHash,
    },
    /// Our node of the DHT asks another for peers.
    DhtAsks {
        /// The other's address.
        to: SocketAddr,
        /// Of which torrent.
        info_hash: InfoHash,
    },
    /// Nothing is found in the DHT for now: for a minute no node has answered, or our own has ended.
    DhtFailed {
        /// Why.
        reason: Arc<str>,
    },
    /// Our node of the DHT has met another that answers: look-ups can begin.
    DhtReady,
    /// Nodes of the DHT named peers, which need not all be new.
    DhtPeers {
        /// Of which torrent.
        id: TorrentId,
        /// How many.
        peers: usize,
    },
    /// A piece that was due at a time is there and verified: [`EngineHandle::read_piece`](crate::EngineHandle::read_piece) reads
    /// it.
    DuePiece {
        /// Which torrent.
        id: TorrentId,
        /// The piece's number.
        piece: u32,
        /// By how much it is late; nothing if it is not.
        late: Duration,
    },
    /// The torrent stopped with an error; it tries again by itself where that can help.
    Error {
        /// Which torrent.
        id: TorrentId,
        /// What went wrong, and with which file.
        error: TorrentError,
    },
    /// Most trackers see us at another address than before, or at one for the first time.
    ExternalIp {
        /// The address.
        ip: IpAddr,
    },
    /// Wanted files have come to be whole.
    FilesCompleted {
        /// Which torrent.
        id: TorrentId,
        /// Their numbers.
        files: Arc<[usize]>,
    },
    /// Files lie at other paths now.
    FilesRenamed {
        /// Which torrent.
        id: TorrentId,
        /// Their numbers, and their paths below the folder of the torrent.
        files: Arc<[(usize, PathBuf)]>,
    },
    /// Every wanted piece is there and verified.
    Finished {
        /// Which torrent.
        id: TorrentId,
        /// Time since it was added.
        after: Duration,
        /// Whether pieces came from others since it was finished last, or since the engine began; not where it is merely opened
        /// or checked again.
        fetched: bool,
    },
    /// Somebody connected to us, and has named a torrent. Whether it is let in is not decided yet.
    Incoming {
        /// From where.
        addr: SocketAddr,
    },
    /// A peer asks for bytes that there are none of; it was refused.
    InvalidRequest {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// The piece's number, as it was asked for.
        piece: u32,
        /// The first byte, as it was asked for.
        begin: u32,
        /// Bytes, as they were asked for.
        len: u32,
    },
    /// The engine listens for peers.
    Listening {
        /// Address and port.
        addr: SocketAddr,
    },
    /// Files that the torrent lacks lie on this machine: other torrents have them. Nothing becomes of that unless it is
    /// asked for, by [`EngineHandle::reuse`](crate::EngineHandle::reuse).
    LocalData {
        /// Which torrent.
        id: TorrentId,
        /// The files.
        files: Arc<[LocalFile]>,
    },
    /// Peers of the local network cannot be found, nor told of us: its groups cannot be joined. It is tried again.
    LocalFailed {
        /// What the system says.
        reason: Arc<str>,
    },
    /// A peer of the local network told of itself (BEP 14).
    LocalPeer {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
    },
    /// There is less room where torrents keep their content than the settings say there should be.
    LowSpace {
        /// The folder.
        dir: PathBuf,
        /// Bytes that can still be written there.
        free: u64,
    },
    /// The gateway of the local network gave no port, or takes none back: others may not reach us.
    MapFailed {
        /// Our port that was asked for last, if one was ever given.
        port: Option<u16>,
    },
    /// The gateway of the local network forwards a port to ours.
    Mapped {
        /// The port, and where the world sees it.
        port: Mapped,
    },
    /// What peers sent as metadata is not what the link names; it is fetched again.
    MetadataFailed {
        /// Which torrent.
        id: TorrentId,
    },
    /// Metadata of a magnet link is there.
    MetadataReceived {
        /// Which torrent.
        id: TorrentId,
        /// The metadata.
        metainfo: Arc<Metainfo>,
    },
    /// The content of a torrent is at another folder from now on.
    Moved {
        /// Which torrent.
        id: TorrentId,
        /// The folder that it was in.
        from: PathBuf,
        /// The folder that it is in.
        dir: PathBuf,
    },
    /// The content of a torrent was not moved, and is where it was.
    MoveFailed {
        /// Which torrent.
        id: TorrentId,
        /// The folder that it should have gone to.
        dir: PathBuf,
        /// Why it did not.
        error: MoveFailure,
    },
    /// Nothing leaves by a route any more: what all goes through, or is bound to, is gone. Nothing goes another way meanwhile.
    NetworkDown {
        /// The route's hops; 0 is the direct way.
        hops: u8,
        /// What is gone, for a person to read.
        reason: Arc<str>,
    },
    /// Something leaves by a route again, after [`Event::NetworkDown`].
    NetworkUp {
        /// The route's hops.
        hops: u8,
    },
    /// There is a newer version of the torrent, which its publisher has signed (BEP 46). Nothing becomes of that by itself:
    /// the torrent stays as it is, and the newer one is another torrent that may be added.
    Newer {
        /// Which torrent.
        id: TorrentId,
        /// The newer one.
        published: Published,
    },
    /// The torrent stands still, as it was told to.
    Paused {
        /// Which torrent.
        id: TorrentId,
    },
    /// A peer was found to have sent bad data and is no longer spoken to.
    PeerBanned {
        /// Which torrent.
        id: TorrentId,
        /// The peer's address.
        ip: IpAddr,
    },
    /// A peer is not spoken to.
    PeerBlocked {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// Why.
        why: Refusal,
    },
    /// A connection to a peer is there, and both sides have said who they are.
    PeerConnected {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// Whether we dialled.
        outgoing: bool,
        /// Whether the connection is one of uTP.
        utp: bool,
        /// How it goes over the wire.
        wire: Wire,
    },
    /// A connection to a peer has ended, or could not be made.
    PeerDisconnected {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// Whether we dialled.
        outgoing: bool,
        /// Whether it had been there: [`Event::PeerConnected`] was told.
        was_there: bool,
        /// Why.
        why: Parting,
    },
    /// A peer broke the protocol; its connection has ended.
    PeerError {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
        /// What it did.
        reason: Arc<str>,
    },
    /// A peer serves us, and sends nothing of what it was asked for.
    PeerSnubs {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
    },
    /// A peer that had let us wait sends again.
    PeerSends {
        /// Of which torrent.
        id: TorrentId,
        /// The peer's address.
        addr: SocketAddr,
    },
    /// Something probably costs speed.
    Performance {
        /// What.
        warning: Warning,
    },
    /// A piece that was downloaded has another hash than the torrent says; what is bad of it is downloaded again.
    PieceFailed {
        /// Which torrent.
        id: TorrentId,
        /// The piece's number.
        piece: u32,
    },
    /// A piece that was downloaded is what the torrent says. It may not be on disk yet.
    PieceFinished {
        /// Which torrent.
        id: TorrentId,
        /// The piece's number.
        piece: u32,
    },
    /// Other files are wanted than before, and lie on disk as they should.
    PrioritiesSet {
        /// Which torrent.
        id: TorrentId,
    },
    /// A torrent that had stopped with an error goes on, and shows it: where it could not write, it has written since and
    /// met no error for a while.
    Recovered {
        /// Which torrent.
        id: TorrentId,
    },
    /// A torrent was removed. Its trackers may be told of that yet.
    Removed {
        /// Which.
        id: TorrentId,
        /// Its info-hashes: whoever hears of it finds it nowhere else any more.
        hashes: InfoHashes,
    },
    /// The torrent no longer stands still: it was told to go on.
    Resumed {
        /// Which torrent.
        id: TorrentId,
    },
    /// What was kept of a torrent's progress does not count: its content is checked.
    ResumeRejected {
        /// Which torrent.
        id: TorrentId,
        /// Why.
        why: Rejection,
    },
    /// Content that lay on this machine was looked through, and what was right of it copied, as it was asked for.
    Reused {
        /// Which torrent.
        id: TorrentId,
        /// Pieces that are there now.
        pieces: u32,
        /// Their bytes, without padding.
        bytes: u64,
    },
    /// Nothing leaves by the route of a torrent that has hops, or something does again; what was sent before may have been
    /// lost. Nothing goes another way meanwhile.
    Route {
        /// Which torrent.
        id: TorrentId,
        /// Its hops.
        hops: u8,
        /// Why nothing leaves, for a person to read; `None` where it does.
        blocked: Option<Arc<str>>,
    },
    /// A torrent was seeded for as long as it was to be, and is paused.
    SeedingDone {
        /// Which torrent.
        id: TorrentId,
        /// What has ended it.
        end: SeedingEnd,
    },
    /// There is as much room again as there should be, after [`Event::LowSpace`].
    SpaceBack {
        /// The folder.
        dir: PathBuf,
        /// Bytes that can be written there.
        free: u64,
    },
    /// A torrent does something else than before.
    StateChanged {
        /// Which torrent.
        id: TorrentId,
        /// What it did.
        was: State,
        /// What it does.
        is: State,
    },
    /// All counters and gauges but those of the DHT, once a second.
    Stats {
        /// What they say.
        metrics: Arc<Metrics>,
    },
    /// A tracker is told of us.
    TrackerAnnounce {
        /// Of which torrent.
        id: TorrentId,
        /// The tracker.
        url: String,
        /// What it is told.
        event: AnnounceEvent,
    },
    /// A tracker refused an announce or could not be reached.
    TrackerError {
        /// Which torrent.
        id: TorrentId,
        /// The tracker.
        url: String,
        /// Why.
        reason: String,
    },
    /// A tracker has given an id that it is told again with each announce.
    TrackerId {
        /// Of which torrent.
        id: TorrentId,
        /// The tracker.
        url: String,
        /// The id, as far as it is text.
        tracker_id: String,
    },
    /// A torrent has other trackers than before.
    TrackersChanged {
        /// Which torrent.
        id: TorrentId,
        /// How many it has.
        trackers: usize,
    },
    /// A tracker has something to tell people.
    TrackerWarning {
        /// Which torrent.
        id: TorrentId,
        /// The tracker.
        url: String,
        /// Its words.
        message: String,
    },
    /// A tracker answered an announce.
    TrackerReply {
        /// Which torrent.
        id: TorrentId,
        /// The tracker.
        url: String,
        /// Peers in the answer.
        peers: usize,
    },
    /// Progress or metadata could not be saved; the torrent goes on, and a later run begins with a check or with nothing.
    Unsaved {
        /// Which torrent.
        id: TorrentId,
        /// The file that was to be written.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A web seed was found to have sent bad data and is no longer asked.
    WebSeedBanned {
        /// Which torrent.
        id: TorrentId,
        /// Where it is, as [`WebSeedStatus::url`](crate::WebSeedStatus::url).
        url: String,
    },
    /// A web seed failed, and is left alone for a while.
    WebSeedError {
        /// Which torrent.
        id: TorrentId,
        /// Where it is, as [`WebSeedStatus::url`](crate::WebSeedStatus::url).
        url: String,
        /// Why.
        reason: String,
    },
}
