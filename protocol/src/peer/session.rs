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

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::bitfield::Bitfield;
use crate::geometry::{BlockRef, Geometry, PieceIndex};
use crate::id::{InfoHash, InfoHashes, PeerId};
use crate::peer::codec::Decoder;
use crate::peer::error::SessionError;
use crate::peer::extension::{Extension, ExtensionHandshake, Extensions};
use crate::peer::handshake::{Handshake, HandshakeReader, Reserved};
use crate::peer::in_flight::InFlight;
use crate::peer::message::HashRequest;
use crate::peer::output::Output;
use crate::peer::pieces::Pieces;
use crate::peer::requests::{PeerRequest, Requests};
use crate::peer::timer::Timer;

mod receive;
mod send;

pub use send::RequestError;

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

/// Requests that may come while the peer is choked and [`CHOKE_GRACE`] is over (libtorrent's `max_rejects`).
pub const MAX_CHOKED_REQUESTS: u32 = 50;

/// How long after a choke requests count as sent before the peer knew: 2 s, as in libtorrent.
pub const CHOKE_GRACE: Duration = Duration::from_secs(2);

/// Pieces that a peer may allow or suggest and that are remembered.
const MAX_ALLOWED_FAST: usize = 128;

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
    /// Its info-hashes. An initiator sends [`InfoHashes::wire`]; an acceptor answers with the hash that the peer used.
    pub hashes: InfoHashes,
    /// Its pieces; `None` while the metadata is unknown.
    pub geometry: Option<Geometry>,
    /// Bytes of the info dictionary; `None` while it is unknown.
    pub metadata_size: Option<u32>,
    /// Extensions to offer: a private torrent goes without [`Extension::Pex`].
    pub extensions: Extensions,
    /// Whether we want nothing of it (BEP 21).
    pub upload_only: bool,
    /// Whether a hybrid torrent may be upgraded to v2 on this connection (BEP 52).
    pub v2_upgrade: bool,
}

/// What the peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Its handshake. An acceptor answers with [`Session::accept`] before anything else.
    Handshake(Handshake),
    /// Its extension handshake; may come again (BEP 10).
    ExtensionHandshake(Box<ExtensionHandshake>),
    /// It said only that it is there.
    KeepAlive,
    /// It will not answer requests. Without the fast extension, `returned` are the blocks that were in flight; with
    /// it they stay in flight until rejected or answered.
    Choked {
        /// Blocks that are no longer in flight.
        returned: Vec<BlockRef>,
    },
    /// It will answer requests.
    Unchoked,
    /// It wants pieces of ours.
    Interested,
    /// It wants nothing of ours.
    NotInterested,
    /// It has one more piece.
    Have(PieceIndex),
    /// It has one piece less (BEP 54).
    DontHave(PieceIndex),
    /// Its map of pieces came, or came anew: look at [`Session::pieces`], or [`Session::peer_is_seed`] while the
    /// geometry is unknown.
    PiecesKnown,
    /// Bytes of a block that was in flight. At `offset` 0 the block is taken out of flight.
    BlockData {
        /// The block.
        block: BlockRef,
        /// Where `data` starts in the block.
        offset: u32,
        /// Bytes of the block, never empty.
        data: &'a [u8],
        /// Whether the block ends with `data`.
        last: bool,
    },
    /// A block that is not in flight has begun; its payload is skipped.
    UnwantedBlock {
        /// The block, if it was asked for and taken back.
        late: Option<BlockRef>,
        /// Bytes of its payload.
        len: u32,
    },
    /// It asks for a block; the request is in the queue, see [`Session::next_request`].
    Request(PeerRequest),
    /// It took a request back; the request was in the queue and is no more, and was rejected (fast extension).
    Cancelled(PeerRequest),
    /// It will not answer a request of ours, which is no longer in flight.
    Rejected(BlockRef),
    /// It would like to send this piece.
    Suggested(PieceIndex),
    /// It answers requests for this piece even while we are choked.
    AllowedFast(PieceIndex),
    /// Its DHT port.
    Port(u16),
    /// It asks for a piece of the metadata: answer with [`Session::metadata_data`] or [`Session::metadata_reject`].
    MetadataRequest {
        /// Index of the piece.
        piece: u32,
    },
    /// A piece of the metadata that we asked for.
    MetadataData {
        /// Index of the piece.
        piece: u32,
        /// Bytes of the whole metadata, at most 30 MiB.
        total_size: u32,
        /// The piece, of the length that `total_size` gives it.
        data: Cow<'a, [u8]>,
    },
    /// It does not give a piece of the metadata that we asked for.
    MetadataRejected {
        /// Index of the piece.
        piece: u32,
    },
    /// It became, or ceased to be, a peer that wants nothing (BEP 21).
    UploadOnly(bool),
    /// A message of an extension that the session passes on: [`Extension::Pex`] or [`Extension::Holepunch`].
    Extended {
        /// The extension.
        extension: Extension,
        /// Its payload, at most 128 KiB.
        payload: Cow<'a, [u8]>,
    },
    /// It asks for Merkle hashes (BEP 52): answer with [`Session::hashes`] or [`Session::hash_reject`].
    HashRequest(HashRequest),
    /// It brings Merkle hashes (BEP 52).
    Hashes {
        /// What they are.
        request: HashRequest,
        /// Hashes and proofs, 32 bytes each.
        hashes: Cow<'a, [u8]>,
    },
    /// It does not give Merkle hashes (BEP 52).
    HashRejected(HashRequest),
}

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
    fast: bool,
    extended: bool,
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
    metadata_asked: SmallVec<[u32; 8]>,
    counters: Counters,
    stats: SessionStats,
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

/// Times of the session, all given by the caller.
#[derive(Clone, Copy, Debug)]
struct Clock {
    now: Instant,
    started: Instant,
    heard: Instant,
    frame_since: Option<Instant>,
    /// When quiet is looked at next: every half of the keep-alive time.
    quiet_check: Instant,
    /// Whether anything was sent since the last look.
    sent: bool,
    choked_at: Instant,
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

    fn reserved(&self, v2_upgrade: bool) -> Reserved {
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
            metadata_size: None,
            extensions: Extensions::ALL,
            upload_only: false,
            v2_upgrade: false,
        }
    }
}

impl Session {
    /// The side that opened the connection; its handshake is in the output at once.
    pub fn initiator(config: SessionConfig, torrent: TorrentParams, now: Instant) -> Self {
        let mut session = Self::new(config, true, now);
        let info_hash = torrent.hashes.wire();
        session.enter(torrent, info_hash);
        session
    }

    /// The side that was connected to; it learns the torrent from [`Event::Handshake`] and answers with
    /// [`Session::accept`].
    pub fn acceptor(config: SessionConfig, now: Instant) -> Self {
        Self::new(config, false, now)
    }

    fn new(config: SessionConfig, initiator: bool, now: Instant) -> Self {
        let quiet_check = now + config.timeouts.keep_alive / 2;
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
            fast: false,
            extended: false,
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
            metadata_asked: SmallVec::new(),
            counters: Counters::default(),
            stats: SessionStats::default(),
            clock: Clock {
                now,
                started: now,
                heard: now,
                frame_since: None,
                quiet_check,
                sent: false,
                choked_at: now,
            },
        }
    }

    /// Chooses the torrent that the peer's handshake names, and answers the handshake. To refuse, drop the session.
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
        self.enter(torrent, peer.info_hash);
        self.open(peer);
        Ok(())
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

    /// Both handshakes are known: settles what was agreed, and writes our extension handshake.
    fn open(&mut self, peer: Handshake) {
        let agreed = self.config.reserved(false).and(peer.reserved);
        self.fast = agreed.has(Reserved::FAST);
        self.extended = agreed.has(Reserved::EXTENSIONS);
        let wanted = self.torrent.as_ref().map_or(0, |torrent| {
            let mask = torrent.extensions.local_mask();
            if self.extended { mask } else { 0 }
        });
        self.decoder.set_extended(wanted);
        self.phase = Phase::Open;
        if self.extended {
            self.send_extension_handshake();
        }
    }

    /// Does what is due at `now`.
    ///
    /// # Errors
    /// [`SessionError::Timeout`] where a deadline passed; else as [`Session::handle`].
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        self.clock.now = now;
        let result = self.check_deadlines(now);
        if let Err(error) = result {
            self.phase = Phase::Failed(error);
        }
        result
    }

    fn check_deadlines(&mut self, now: Instant) -> Result<(), SessionError> {
        if let Phase::Failed(error) = self.phase {
            return Err(error);
        }
        for timer in [Timer::Handshake, Timer::Frame, Timer::Idle] {
            if self.deadline(timer).is_some_and(|at| at <= now) {
                return Err(SessionError::Timeout(timer));
            }
        }
        if self.deadline(Timer::KeepAlive).is_some_and(|at| at <= now) {
            if !self.clock.sent {
                self.push(|out| out.extend_from_slice(&[0; 4]));
            }
            self.clock.sent = false;
            self.clock.quiet_check = now + self.config.timeouts.keep_alive / 2;
        }
        self.check_output()
    }

    /// When [`Session::handle_timeout`] is due next, and the name of the [`Timer`] that is.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        [
            Timer::Handshake,
            Timer::Frame,
            Timer::Idle,
            Timer::KeepAlive,
        ]
        .into_iter()
        .filter_map(|timer| Some((self.deadline(timer)?, timer.as_str())))
        .min_by_key(|(at, _)| *at)
    }

    fn deadline(&self, timer: Timer) -> Option<Instant> {
        let timeouts = &self.config.timeouts;
        match (&self.phase, timer) {
            (Phase::Handshake(_) | Phase::Accepting, Timer::Handshake) => {
                Some(self.clock.started + timeouts.handshake)
            }
            (Phase::Open, Timer::Frame) => {
                self.clock.frame_since.map(|since| since + timeouts.frame)
            }
            (Phase::Open, Timer::Idle) => Some(self.clock.heard + timeouts.idle),
            (Phase::Open, Timer::KeepAlive) => Some(self.clock.quiet_check),
            (_, _) => None,
        }
    }

    /// Says that the caller itself kept from reading until `now` (a rate limit, a slow disk): the peer is not to be
    /// blamed for that silence.
    pub const fn resume_reading(&mut self, now: Instant) {
        self.clock.heard = now;
        if self.clock.frame_since.is_some() {
            self.clock.frame_since = Some(now);
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

    /// Whether both handshakes are done.
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether we opened the connection.
    pub const fn is_initiator(&self) -> bool {
        self.initiator
    }

    /// The peer's handshake, once it came.
    pub const fn peer(&self) -> Option<&Handshake> {
        self.peer.as_ref()
    }

    /// The torrent, once it is chosen.
    pub const fn torrent(&self) -> Option<&TorrentParams> {
        self.torrent.as_ref()
    }

    /// The torrent's pieces, once they are known.
    pub fn geometry(&self) -> Option<&Geometry> {
        self.torrent.as_ref()?.geometry.as_ref()
    }

    /// Whether we refuse the peer's requests.
    pub const fn am_choking(&self) -> bool {
        self.us.choking
    }

    /// Whether we want pieces of the peer.
    pub const fn am_interested(&self) -> bool {
        self.us.interested
    }

    /// Whether the peer refuses our requests.
    pub const fn peer_choking(&self) -> bool {
        self.them.choking
    }

    /// Whether the peer wants pieces of ours.
    pub const fn peer_interested(&self) -> bool {
        self.them.interested
    }

    /// Whether both sides speak the fast extension.
    pub const fn supports_fast(&self) -> bool {
        self.fast
    }

    /// Whether both sides speak the extension protocol.
    pub const fn supports_extensions(&self) -> bool {
        self.extended
    }

    /// Whether the peer takes messages of this extension.
    pub fn supports(&self, extension: Extension) -> bool {
        self.peer_id_of(extension).is_some()
    }

    /// What the peer's extension handshakes told, later ones over earlier ones (BEP 10).
    pub const fn peer_extensions(&self) -> Option<&ExtensionHandshake> {
        self.peer_extensions.as_ref()
    }

    /// Requests that the peer queues: what it says, else [`DEFAULT_REQQ`]; at least 1.
    pub fn peer_reqq(&self) -> u32 {
        let told = self.peer_extensions.as_ref().and_then(|peer| peer.reqq);
        told.unwrap_or(DEFAULT_REQQ).max(1)
    }

    /// The peer's pieces; `None` while the geometry is unknown.
    pub const fn pieces(&self) -> Option<&Bitfield> {
        self.pieces.known()
    }

    /// Whether the peer has every piece, as far as it can be known before the geometry is.
    pub const fn peer_is_seed(&self) -> bool {
        self.pieces.is_seed()
    }

    /// Number of our requests that the peer has not answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Our requests that the peer has not answered, oldest first.
    pub fn in_flight_blocks(&self) -> impl Iterator<Item = BlockRef> + '_ {
        self.in_flight.iter()
    }

    /// The block whose payload is arriving: taken out of flight, not whole yet.
    pub const fn receiving(&self) -> Option<BlockRef> {
        self.receiving
    }

    /// Requests that [`Session::request`] would take now.
    pub fn request_room(&self) -> usize {
        let most = (self.peer_reqq() as usize).min(MAX_IN_FLIGHT);
        most.saturating_sub(self.in_flight.len())
    }

    /// Whether a request for a block of this piece may be sent now.
    pub fn may_request(&self, piece: PieceIndex) -> bool {
        self.is_open() && (!self.them.choking || self.is_allowed_fast(piece))
    }

    /// Whether the peer answers requests for this piece even while we are choked.
    pub fn is_allowed_fast(&self, piece: PieceIndex) -> bool {
        self.allowed_to_us.contains(&piece.get())
    }

    /// Number of the peer's requests in the queue.
    pub fn queued_requests(&self) -> usize {
        self.requests.len()
    }

    /// What passed through the session.
    pub const fn stats(&self) -> SessionStats {
        self.stats
    }

    fn peer_id_of(&self, extension: Extension) -> Option<u8> {
        let ours = self.torrent.as_ref()?.extensions.contains(extension);
        let ids = &self.peer_extensions.as_ref()?.ids;
        let id = ids.get(extension).filter(|id| *id != 0)?;
        (self.extended && ours).then_some(id)
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
