//! Why a session ends.

use crate::bitfield::BitfieldError;
use crate::fault::Fault;
use crate::id::InfoHash;
use crate::peer::codec::CodecError;
use crate::peer::extension::ExtensionError;
use crate::peer::timer::Timer;

/// Why a session cannot go on. The connection is to be closed; [`SessionError::fault`] says whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A bitfield does not fit the torrent (BEP 3).
    #[error("bad bitfield: {0}")]
    Bitfield(#[from] BitfieldError),
    /// The stream cannot be cut into messages.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// More early haves than a peer of a real torrent would send before we know the torrent.
    #[error("too many haves before the metadata is known")]
    EarlyHaves,
    /// A message of an extension cannot be read.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// A message of the fast extension, though not both sides offered it (BEP 6).
    #[error("message {id} needs the fast extension, which was not agreed on")]
    FastNotAgreed {
        /// The message's id.
        id: u8,
    },
    /// An answer to a hash request has more or fewer hashes than were asked for (BEP 52).
    #[error("{len} bytes of hashes are not what was asked for")]
    Hashes {
        /// Bytes of the hashes.
        len: usize,
    },
    /// Too many requests that name no bytes of the torrent.
    #[error("too many requests for bytes that do not exist")]
    InvalidRequests,
    /// The caller fed the session before it chose a torrent.
    #[error("the handshake was not accepted yet")]
    NotAccepted,
    /// The stream is not of the BitTorrent protocol.
    #[error("not the BitTorrent protocol")]
    NotBitTorrent,
    /// The peer makes us answer and does not read the answers.
    #[error("the peer does not read")]
    OutputOverflow,
    /// A have or donthave names a piece that the torrent does not have.
    #[error("piece {index} does not exist")]
    PieceOutOfRange {
        /// The index.
        index: u32,
    },
    /// Too many bitfields, have-alls and have-nones.
    #[error("the map of pieces was sent too often")]
    PieceMaps,
    /// The peer goes on asking long after it was choked.
    #[error("too many requests while choked")]
    RequestsWhileChoked,
    /// The peer has our own peer id.
    #[error("connected to ourselves")]
    SelfConnection,
    /// A deadline passed.
    #[error("{} deadline passed", .0.as_str())]
    Timeout(Timer),
    /// Too many blocks that were never asked for.
    #[error("too many blocks that were not asked for")]
    Unsolicited,
    /// The other side's handshake is about another torrent.
    #[error("the handshake is about torrent {0}")]
    WrongInfoHash(InfoHash),
}

impl SessionError {
    /// Whose fault it is: [`Fault::Peer`] is misbehaviour, [`Fault::Network`] is silence, [`Fault::Local`] is ours.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Bitfield(_)
            | Self::Codec(_)
            | Self::EarlyHaves
            | Self::Extension(_)
            | Self::FastNotAgreed { .. }
            | Self::Hashes { .. }
            | Self::InvalidRequests
            | Self::NotBitTorrent
            | Self::OutputOverflow
            | Self::PieceMaps
            | Self::PieceOutOfRange { .. }
            | Self::RequestsWhileChoked
            | Self::Unsolicited
            | Self::WrongInfoHash(_) => Fault::Peer,
            Self::Timeout(_) => Fault::Network,
            Self::NotAccepted | Self::SelfConnection => Fault::Local,
        }
    }
}
