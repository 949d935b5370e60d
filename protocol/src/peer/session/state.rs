//! What a session knows.

use super::{DEFAULT_REQQ, MAX_IN_FLIGHT, Phase, Session, SessionStats, TorrentParams};
use crate::bitfield::Bitfield;
use crate::geometry::{BlockRef, Geometry, PieceIndex};
use crate::peer::custom::CustomPeer;
use crate::peer::extension::{Extension, ExtensionHandshake};
use crate::peer::handshake::{Handshake, Reserved};
use crate::peer::tally::Tally;

impl Session {
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
    pub fn supports_fast(&self) -> bool {
        self.agreed.has(Reserved::FAST)
    }

    /// Whether the connection is one of the torrent's v2 swarm, from the handshakes on (BEP 52).
    pub const fn is_v2(&self) -> bool {
        self.v2
    }

    /// Whether both sides have a node of the DHT (BEP 5), and tell each other its port.
    pub fn supports_dht(&self) -> bool {
        self.agreed.has(Reserved::DHT)
    }

    /// Whether both sides speak the extension protocol.
    pub fn supports_extensions(&self) -> bool {
        self.agreed.has(Reserved::EXTENSIONS)
    }

    /// Whether the peer takes messages of this extension.
    pub fn supports(&self, extension: Extension) -> bool {
        self.peer_id_of(extension).is_some()
    }

    /// What the peer said of one of [`TorrentParams::custom`](super::TorrentParams::custom), by its place, if it speaks it.
    pub fn custom_peer(&self, at: usize) -> Option<&CustomPeer> {
        let peer = self.customs.get(at);
        let peer = peer.filter(|peer| peer.id.is_some_and(|id| id != 0));
        peer.filter(|_| self.supports_extensions())
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
    pub fn peer_is_seed(&self) -> bool {
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

    /// What was seen since this was asked last, if anything.
    pub fn take_tally(&mut self) -> Option<Tally> {
        self.tally.any().then(|| std::mem::take(&mut self.tally))
    }
}
