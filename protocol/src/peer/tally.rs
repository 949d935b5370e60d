//! How many messages of which kind a session has seen, and what became of the peer's requests.

use crate::peer::message::{Message, id};

/// Kinds of messages, as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKind {
    /// Stops requests.
    Choke,
    /// Allows requests.
    Unchoke,
    /// Pieces are wanted.
    Interested,
    /// Nothing is wanted.
    NotInterested,
    /// One more piece is there.
    Have,
    /// The pieces that are there.
    Bitfield,
    /// Asks for a block.
    Request,
    /// Brings a block.
    Piece,
    /// Takes a request back.
    Cancel,
    /// The port of a node of the DHT (BEP 5).
    Port,
    /// Suggests a piece (BEP 6).
    Suggest,
    /// Everything is there (BEP 6).
    HaveAll,
    /// Nothing is there (BEP 6).
    HaveNone,
    /// Refuses a request (BEP 6).
    Reject,
    /// Allows requests for a piece in any case (BEP 6).
    AllowedFast,
    /// The handshake of extensions (BEP 10).
    ExtensionHandshake,
    /// Addresses of others (BEP 11).
    Pex,
    /// Asks for metadata, brings or refuses it (BEP 9).
    Metadata,
    /// Any message of an extension, those that are counted by themselves included (BEP 10).
    Extended,
    /// Asks for hashes (BEP 52).
    HashRequest,
    /// Brings hashes (BEP 52).
    Hashes,
    /// Refuses hashes (BEP 52).
    HashReject,
}

impl MessageKind {
    /// How many there are.
    pub const COUNT: usize = Self::HashReject as usize + 1;

    /// The kind of a message that is of the wire itself; [`MessageKind::Extended`] for those of extensions, nothing for a
    /// keep-alive.
    pub(crate) const fn of(message: &Message<'_>) -> Option<Self> {
        Some(match message {
            Message::KeepAlive => return None,
            Message::Choke => Self::Choke,
            Message::Unchoke => Self::Unchoke,
            Message::Interested => Self::Interested,
            Message::NotInterested => Self::NotInterested,
            Message::Have(_) => Self::Have,
            Message::Bitfield(_) => Self::Bitfield,
            Message::Request(_) => Self::Request,
            Message::Cancel(_) => Self::Cancel,
            Message::Port(_) => Self::Port,
            Message::Suggest(_) => Self::Suggest,
            Message::HaveAll => Self::HaveAll,
            Message::HaveNone => Self::HaveNone,
            Message::Reject(_) => Self::Reject,
            Message::AllowedFast(_) => Self::AllowedFast,
            Message::Extended { .. } => Self::Extended,
            Message::HashRequest(_) => Self::HashRequest,
            Message::Hashes { .. } => Self::Hashes,
            Message::HashReject(_) => Self::HashReject,
        })
    }

    /// The kind of a frame by its id, as [`MessageKind::of`].
    const fn of_id(of: u8) -> Option<Self> {
        Some(match of {
            id::CHOKE => Self::Choke,
            id::UNCHOKE => Self::Unchoke,
            id::INTERESTED => Self::Interested,
            id::NOT_INTERESTED => Self::NotInterested,
            id::HAVE => Self::Have,
            id::BITFIELD => Self::Bitfield,
            id::REQUEST => Self::Request,
            id::PIECE => Self::Piece,
            id::CANCEL => Self::Cancel,
            id::PORT => Self::Port,
            id::SUGGEST => Self::Suggest,
            id::HAVE_ALL => Self::HaveAll,
            id::HAVE_NONE => Self::HaveNone,
            id::REJECT => Self::Reject,
            id::ALLOWED_FAST => Self::AllowedFast,
            id::EXTENDED => Self::Extended,
            id::HASH_REQUEST => Self::HashRequest,
            id::HASHES => Self::Hashes,
            id::HASH_REJECT => Self::HashReject,
            _ => return None,
        })
    }
}

/// What a session has seen since it was last asked, by kinds: [`Session::take_tally`](super::Session::take_tally). Plain numbers,
/// so that a message costs an addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages of the peer, by [`MessageKind`].
    pub incoming: [u32; MessageKind::COUNT],
    /// Messages to the peer, by [`MessageKind`].
    pub outgoing: [u32; MessageKind::COUNT],
    /// Requests of the peer that nothing can answer.
    pub invalid_requests: u32,
    /// Requests of the peer that came while it was choked.
    pub choked_requests: u32,
    /// Requests of the peer beyond those that it may have waiting.
    pub excess_requests: u32,
    /// Requests that the peer took back in time.
    pub cancelled_requests: u32,
    /// Requests of the peer that were turned away, for whatever reason.
    pub refused_requests: u32,
    /// Bytes of blocks that came after they were taken back.
    pub late_bytes: u64,
    /// Bytes of blocks that nobody had asked for.
    pub unasked_bytes: u64,
    any: bool,
}

impl Tally {
    /// A message of the peer's.
    pub(crate) fn heard(&mut self, kind: MessageKind) {
        self.any = true;
        bump(&mut self.incoming, kind, 1);
    }

    /// Messages to the peer.
    pub(crate) fn told(&mut self, kind: MessageKind, times: u32) {
        self.any |= times > 0;
        bump(&mut self.outgoing, kind, times);
    }

    /// A frame to the peer, by its id.
    pub(crate) fn told_id(&mut self, id: u8) {
        if let Some(kind) = MessageKind::of_id(id) {
            self.told(kind, 1);
        }
    }

    /// Whether there is anything in it.
    pub(crate) const fn any(&self) -> bool {
        self.any
    }
}

fn bump(of: &mut [u32; MessageKind::COUNT], kind: MessageKind, times: u32) {
    if let Some(number) = of.get_mut(kind as usize) {
        *number = number.saturating_add(times);
    }
}
