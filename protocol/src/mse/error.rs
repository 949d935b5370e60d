//! Why a handshake fails.

use crate::fault::Fault;

/// Why a handshake cannot go on. The connection is to be closed; [`MseError::fault`] says whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MseError {
    /// The verification constant is not zeros: the keys differ.
    #[error("the verification constant is wrong")]
    Constant,
    /// The initial payload is longer than [`MOST_INITIAL`](super::MOST_INITIAL).
    #[error("an initial payload of {len} bytes")]
    InitialTooLong {
        /// Its bytes.
        len: u16,
    },
    /// The public key is not in 2 to P-2.
    #[error("a public key that fixes the secret")]
    Key,
    /// No method that is offered is one that we take.
    #[error("no method in common with {offered:#x}")]
    NoMethod {
        /// `crypto_provide` as it came.
        offered: u32,
    },
    /// What marks the end of a pad has not come within the longest pad.
    #[error("the mark after the pad is missing")]
    NoSync,
    /// The caller goes on with a machine that has ended, or out of turn.
    #[error("the handshake is over, or not as far yet")]
    OutOfTurn,
    /// A pad is longer than [`MOST_PAD`](super::MOST_PAD).
    #[error("a pad of {len} bytes")]
    PadTooLong {
        /// Its bytes.
        len: u16,
    },
    /// The method that was selected is not one of those offered, or is several.
    #[error("selected {selected:#x}, which was not offered")]
    Selected {
        /// `crypto_select` as it came.
        selected: u32,
    },
    /// The torrent asked for is not one of ours.
    #[error("an unknown torrent")]
    UnknownTorrent,
}

impl MseError {
    /// Whose fault it is. A torrent that we do not have and methods that do not meet are nobody's misbehaviour, and count
    /// as the network's.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Constant
            | Self::InitialTooLong { .. }
            | Self::Key
            | Self::NoSync
            | Self::PadTooLong { .. }
            | Self::Selected { .. } => Fault::Peer,
            Self::NoMethod { .. } | Self::UnknownTorrent => Fault::Network,
            Self::OutOfTurn => Fault::Local,
        }
    }
}
