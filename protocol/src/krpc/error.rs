//! What goes wrong with a message, and what a query is answered then.

use super::MethodKind;
use crate::bencode;

/// Error codes that are sent (BEP 5, BEP 44).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// 201: something else.
    Generic = 201,
    /// 202: the node is in trouble.
    Server = 202,
    /// 203: malformed, invalid argument or bad token.
    Protocol = 203,
    /// 204: the method is not known.
    Method = 204,
    /// 205: the value of an item is too long (BEP 44).
    TooBig = 205,
    /// 206: the signature of an item is not in order (BEP 44).
    Signature = 206,
    /// 207: the salt of an item is too long (BEP 44).
    SaltTooBig = 207,
    /// 301: another version of the item is there than `cas` says (BEP 44).
    CasMismatch = 301,
    /// 302: a newer version of the item is there (BEP 44).
    SeqTooLow = 302,
}

/// Why a datagram is no acceptable message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError<'a> {
    /// It is not bencode, or exceeds the limits of a datagram. It is dropped.
    #[error(transparent)]
    Bencode(bencode::Error),
    /// A response, error or unrecognisable message that lacks this, or has it in another shape. It is dropped.
    #[error("no acceptable {0}")]
    Field(&'static str),
    /// A query that is answered with an error.
    #[error("{why}")]
    Query {
        /// To be repeated in the answer.
        transaction: &'a [u8],
        /// Which kind of query it is, where that can be told.
        kind: Option<MethodKind>,
        /// What to answer.
        code: ErrorCode,
        /// In words.
        why: &'static str,
    },
}

impl ErrorCode {
    /// The number that is sent.
    pub const fn number(self) -> u16 {
        self as u16
    }
}
