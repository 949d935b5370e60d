//! Message stream encryption (MSE, also called protocol encryption; there is no BEP for it).
//!
//! Two peers agree on a secret, name the torrent under cover of it, and choose whether what follows is plain or runs through
//! RC4. It keeps simple filters from telling the traffic by its bytes. A group of 768 bits and RC4 keep no secrets from
//! anyone who cares: this is obfuscation, and nothing here should be relied on for more.
//!
//! [`Initiator`] and [`Acceptor`] are the two sides. They have neither sockets nor a clock: the caller brings what came,
//! sends what is in `output`, and keeps the deadline.
//!
//! # Format
//! A is the side that dialled, `HASH` is SHA-1, `S` the shared secret as 96 bytes, `SKEY` the info-hash (of a v2 torrent
//! its first 20 bytes). Numbers are big-endian.
//!
//! ```text
//! 1  A -> B   Ya (96 bytes), PadA
//! 2  B -> A   Yb (96 bytes), PadB
//! 3  A -> B   HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S),
//!             under RC4: VC (8 zeros), crypto_provide u32, len(PadC) u16, PadC, len(IA) u16, IA
//! 4  B -> A   under RC4: VC, crypto_select u32, len(PadD) u16, PadD
//! 5           payload, plain or under RC4 with the same state
//! ```
//!
//! Pads have 0 to 512 bytes. A encrypts with the key `HASH('keyA', S, SKEY)`, B with `HASH('keyB', S, SKEY)`; the first
//! 1024 bytes of each key stream are left out. `Y = 2^x mod P` with a random `x` of 160 bits, see [`KEY_LEN`].
//!
//! # What deployed clients do, and we with them
//! - `IA` is the handshake of the peer wire, 68 bytes, or nothing; more is refused ([`MOST_INITIAL`]).
//! - `IA` is always under RC4, whatever is selected for what follows.
//! - Keys outside 2 to P-2 are refused: they fix the secret.
//!
//! # What ours does for safety
//! - A machine holds less than 3 KiB, and refuses at the first byte too many.
//! - Until the other side has shown that it has read our key, we send no more bytes than have come from it.
//! - [`Acceptor::handle`] does no exponentiation: the caller says when, with [`Acceptor::agree`], and once.

mod accept;
mod dh;
mod error;
mod gather;
mod initiate;
mod keys;
mod method;
mod rc4;

pub use accept::{Acceptor, Step};
pub use dh::KEY_LEN;
pub use error::MseError;
pub use initiate::Initiator;
pub use keys::Tag;
pub use method::{Choice, Method, Methods};
pub use rc4::Rc4;

use crate::id::InfoHash;

/// Bytes of a pad at most.
pub const MOST_PAD: usize = 512;

/// Bytes of initial payload at most: a handshake of the peer wire.
pub const MOST_INITIAL: usize = crate::peer::handshake::HANDSHAKE_LEN;

/// The verification constant, which shows that both have the same keys.
const CONSTANT: [u8; 8] = [0; 8];

/// A handshake that is done.
#[derive(Debug)]
pub struct Established {
    /// The torrent that it is about.
    pub info_hash: InfoHash,
    /// How everything after it is sent.
    pub method: Method,
    /// The initial payload of the side that dialled, as plain bytes: the first bytes of the stream. Only an [`Acceptor`]
    /// gets any.
    pub initial: Vec<u8>,
    /// The ciphers of the stream, if [`method`](Self::method) is RC4.
    pub ciphers: Option<Ciphers>,
}

/// The two key streams of a connection, at the place where the payload begins.
#[derive(Debug)]
pub struct Ciphers {
    /// For what comes.
    pub incoming: Rc4,
    /// For what is sent.
    pub outgoing: Rc4,
}

impl Ciphers {
    /// The ciphers, if the method wants them.
    fn of(method: Method, incoming: Rc4, outgoing: Rc4) -> Option<Self> {
        let ciphers = Self { incoming, outgoing };
        (method == Method::Rc4).then_some(ciphers)
    }
}

#[cfg(test)]
mod tests;
