//! The peer wire as a state machine: one [`Session`] per connection, without sockets and without a clock.
//!
//! The caller reads from the connection into a buffer of its own and pulls events out of it with [`Session::handle`];
//! it writes [`Session::output`] to the connection and tells what it wrote with [`Session::consume_output`]. Payload
//! never passes through the session: incoming blocks are slices of the caller's buffer ([`Event::BlockData`]), and for
//! outgoing ones the session gives the header only ([`Session::piece_header`]).
//!
//! # What deployed clients do, and we with them
//! - Without the fast extension a choke drops every request in flight; with it, each is answered or rejected.
//! - A bitfield may come later than first, and again; up to [`MAX_PIECE_MAPS`] maps are taken.
//! - Requests of up to 128 KiB are answered. A request for bytes that do not exist is rejected; after
//!   [`MAX_INVALID_REQUESTS`] the session ends. So it does when requests go on [`CHOKE_GRACE`] after a choke.
//! - A request that finds the queue full is rejected, or without the fast extension dropped.
//! - Messages with unknown ids, and extended messages with unknown sub-ids, are skipped.
//! - Suggested and allowed-fast pieces that do not exist are ignored; a have of one ends the session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::geometry::{BlockRef, Geometry, PieceIndex, Tails};
use crate::id::InfoHash;
use crate::peer::codec::Decoder;
use crate::peer::custom::{self, CustomPeer};
use crate::peer::error::SessionError;
use crate::peer::extension::{Extension, ExtensionHandshake};
use crate::peer::handshake::{Handshake, HandshakeReader, Reserved};
use crate::peer::in_flight::InFlight;
use crate::peer::message::HashRequest;
use crate::peer::output::Output;
use crate::peer::pieces::Pieces;
use crate::peer::requests::Requests;
use crate::peer::tally::Tally;

mod config;
mod deadlines;
mod event;
mod extended;
mod receive;
mod send;
mod state;

pub use config::{SessionConfig, Timeouts, TorrentParams};
pub use event::Event;
pub use send::RequestError;

use deadlines::Clock;

/// Bytes of output after which the bulk of what can wait is refused: 256 KiB.
pub const OUTPUT_SOFT_LIMIT: usize = 256 * 1024;

/// Bytes of output after which the session ends, for the peer does not read: 1 MiB.
pub const OUTPUT_HARD_LIMIT: usize = 1024 * 1024;

/// The most requests that are ever in flight on one connection: 64 MiB of blocks.
pub const MAX_IN_FLIGHT: usize = 4096;

/// Requests in flight at a peer that does not say how many it queues: what old clients bear.
pub const DEFAULT_REQQ: u32 = 250;

/// Bitfields, have-alls and have-nones that one peer may send.
pub const MAX_PIECE_MAPS: u32 = 16;

/// Requests for bytes that do not exist, before a session ends (libtorrent's figure).
pub const MAX_INVALID_REQUESTS: u32 = 300;

/// Blocks that were never asked for, before a session ends: 4 MiB.
pub const MAX_UNSOLICITED_BLOCKS: u32 = 256;

/// Requests that may usually come while the peer is choked and [`CHOKE_GRACE`] is over.
pub const MAX_CHOKED_REQUESTS: u32 = 50;

/// Hash requests that are out at once on one connection (BEP 52).
pub const MAX_HASHES_ASKED: usize = 16;

/// How long after a choke requests count as sent before the peer knew: 2 s, as in libtorrent.
pub const CHOKE_GRACE: Duration = Duration::from_secs(2);

/// Pieces that a peer may allow or suggest and that are remembered.
const MAX_ALLOWED_FAST: usize = 128;

/// What passed through a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Payload bytes of blocks that were in flight.
    pub payload_received: u64,
    /// Payload bytes of blocks that were not.
    pub payload_unwanted: u64,
    /// Payload bytes that [`Session::piece_header`] announced.
    pub payload_sent: u64,
    /// Requests of the peer that we rejected or dropped.
    pub requests_refused: u64,
}

/// One connection to a peer.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    torrent: Option<TorrentParams>,
    phase: Phase,
    initiator: bool,
    peer: Option<Handshake>,
    /// What both sides offer.
    agreed: Reserved,
    decoder: Decoder,
    output: Output,
    us: Side,
    them: Side,
    pieces: Pieces,
    piece_maps: u32,
    in_flight: InFlight,
    receiving: Option<BlockRef>,
    requests: Requests,
    /// Pieces that the peer lets us ask for while choked, unchecked until the geometry is known.
    allowed_to_us: Vec<u32>,
    /// Pieces that we let the peer ask for while choked.
    allowed_to_them: Vec<PieceIndex>,
    peer_extensions: Option<ExtensionHandshake>,
    /// What the peer said of each extension that is passed on.
    customs: Vec<CustomPeer>,
    metadata_asked: SmallVec<[u32; 8]>,
    hashes_asked: SmallVec<[HashRequest; 2]>,
    /// Whether both sides take the connection for one of the v2 swarm.
    v2: bool,
    counters: Counters,
    stats: SessionStats,
    tally: Tally,
    clock: Clock,
}

#[derive(Debug)]
enum Phase {
    /// The peer's handshake is not whole.
    Handshake(HandshakeReader),
    /// An acceptor that must choose the torrent.
    Accepting,
    Open,
    Failed(SessionError),
}

/// The two flags that each side keeps towards the other.
#[derive(Clone, Copy, Debug)]
struct Side {
    choking: bool,
    interested: bool,
}

/// Misbehaviour so far.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    invalid_requests: u32,
    choked_requests: u32,
    unsolicited: u32,
}

impl Session {
    /// The side that opened the connection; its handshake is in the output at once.
    pub fn initiator(config: SessionConfig, torrent: TorrentParams, now: Instant) -> Self {
        let mut session = Self::new(config, true, now);
        let info_hash = torrent.named();
        session.enter(torrent, info_hash);
        session
    }

    /// The side that was connected to; it learns the torrent from [`Event::Handshake`] and answers with
    /// [`Session::accept`].
    pub fn acceptor(config: SessionConfig, now: Instant) -> Self {
        Self::new(config, false, now)
    }

    fn new(config: SessionConfig, initiator: bool, now: Instant) -> Self {
        let clock = Clock::new(now, &config.timeouts);
        let requests = Requests::new(config.max_incoming_requests);
        let side = Side {
            choking: true,
            interested: false,
        };
        Self {
            config,
            torrent: None,
            phase: Phase::Handshake(HandshakeReader::new()),
            initiator,
            peer: None,
            agreed: Reserved::default(),
            decoder: Decoder::new(),
            output: Output::default(),
            us: side,
            them: side,
            pieces: Pieces::early(),
            piece_maps: 0,
            in_flight: InFlight::default(),
            receiving: None,
            requests,
            allowed_to_us: Vec::new(),
            allowed_to_them: Vec::new(),
            peer_extensions: None,
            customs: Vec::new(),
            metadata_asked: SmallVec::new(),
            hashes_asked: SmallVec::new(),
            v2: false,
            counters: Counters::default(),
            stats: SessionStats::default(),
            tally: Tally::default(),
            clock,
        }
    }

    /// Chooses the torrent that the peer's handshake names, and answers the handshake. To refuse, drop the session. A
    /// peer of the v1 swarm of a hybrid that offers it is taken into the v2 swarm (BEP 52, "upgrade path").
    ///
    /// # Errors
    /// [`SessionError::NotAccepted`] where no handshake waits for this, [`SessionError::WrongInfoHash`] where it names
    /// another torrent.
    pub fn accept(&mut self, torrent: TorrentParams) -> Result<(), SessionError> {
        let (Phase::Accepting, Some(peer)) = (&self.phase, self.peer) else {
            return Err(SessionError::NotAccepted);
        };
        if !torrent.hashes.matches(peer.info_hash) {
            return Err(SessionError::WrongInfoHash(peer.info_hash));
        }
        let upgraded = torrent.v2_upgrade && peer.reserved.has(Reserved::V2_UPGRADE);
        let v2 = torrent.hashes.get_v2().filter(|_| upgraded);
        let info_hash = v2.map_or(peer.info_hash, |v2| v2.truncated());
        self.enter(torrent, info_hash);
        self.open(peer, info_hash);
        Ok(())
    }

    /// Waits so long for any byte from the peer, from the last one on.
    pub const fn set_idle_timeout(&mut self, idle: Duration) {
        self.config.timeouts.idle = idle;
    }

    /// Tells the geometry of a torrent whose metadata has arrived, and reads what the peer said before against it.
    ///
    /// # Errors
    /// [`SessionError::Bitfield`] or [`SessionError::PieceOutOfRange`] where it does not fit; the session has failed.
    pub fn set_geometry(&mut self, geometry: Geometry) -> Result<(), SessionError> {
        if let Some(torrent) = &mut self.torrent {
            torrent.geometry = Some(geometry);
        }
        self.decoder.set_pieces(geometry.pieces());
        self.allowed_to_us
            .retain(|index| *index < geometry.pieces());
        let result = self.pieces.resolve(&geometry).map_err(SessionError::from);
        if let Err(error) = result {
            self.phase = Phase::Failed(error);
        }
        result
    }

    /// Tells where pieces end before their length, together with [`Session::set_geometry`].
    pub fn set_tails(&mut self, tails: Option<Arc<Tails>>) {
        if let Some(torrent) = &mut self.torrent {
            torrent.tails = tails;
        }
    }

    /// Takes over the torrent and writes our handshake.
    fn enter(&mut self, torrent: TorrentParams, info_hash: InfoHash) {
        let handshake = Handshake {
            reserved: self.config.reserved(torrent.v2_upgrade),
            info_hash,
            peer_id: self.config.peer_id,
        };
        self.push(|out| out.extend_from_slice(&handshake.encode()));
        if let Some(geometry) = &torrent.geometry {
            self.decoder.set_pieces(geometry.pieces());
        }
        self.pieces = Pieces::new(torrent.geometry.as_ref());
        self.torrent = Some(torrent);
    }

    /// Both handshakes are known, and the acceptor's names `info_hash`: settles what was agreed, and writes our extension
    /// handshake.
    fn open(&mut self, peer: Handshake, info_hash: InfoHash) {
        let hashes = self.torrent.as_ref().map(|torrent| torrent.hashes);
        let v2 = hashes.and_then(|hashes| hashes.get_v2());
        self.v2 = v2.is_some_and(|v2| v2.truncated() == info_hash);
        self.agreed = self.config.reserved(false).and(peer.reserved);
        let wanted = self.torrent.as_ref().map_or(0, |torrent| {
            let mask = torrent.extensions.local_mask() | custom::mask(torrent.customs());
            if self.supports_extensions() { mask } else { 0 }
        });
        self.decoder.set_extended(wanted);
        self.phase = Phase::Open;
        if self.supports_extensions() {
            self.send_extension_handshake();
        }
    }

    /// Encoded frames for the peer.
    pub fn output(&self) -> &[u8] {
        self.output.as_slice()
    }

    /// Says that the first `n` bytes of [`Session::output`] were written.
    pub fn consume_output(&mut self, n: usize) {
        self.clock.sent |= n > 0;
        self.output.consume(n);
    }

    /// Bytes of output until [`OUTPUT_SOFT_LIMIT`].
    pub const fn output_room(&self) -> usize {
        OUTPUT_SOFT_LIMIT.saturating_sub(self.output.len())
    }

    fn peer_id_of(&self, extension: Extension) -> Option<u8> {
        let ours = self.torrent.as_ref()?.extensions.contains(extension);
        let ids = &self.peer_extensions.as_ref()?.ids;
        let id = ids.get(extension).filter(|id| *id != 0)?;
        (self.supports_extensions() && ours).then_some(id)
    }

    /// Appends a frame of a kind to the output.
    fn send(&mut self, id: u8, write: impl FnOnce(&mut Vec<u8>)) {
        self.tally.told_id(id);
        self.push(write);
    }

    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.output.push(OUTPUT_HARD_LIMIT, write);
    }

    const fn check_output(&self) -> Result<(), SessionError> {
        if self.output.overflowed() {
            Err(SessionError::OutputOverflow)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
