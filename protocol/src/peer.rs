//! The peer wire: one sans-IO [`Session`] per connection, and the formats below it.
//!
//! # What
//! Handshake and messages of BEP 3, fast extension (BEP 6), extension protocol (BEP 10), metadata exchange (BEP 9),
//! `upload_only` (BEP 21), `lt_donthave` (BEP 54), and raw passage for `ut_pex` (BEP 11), `ut_holepunch` (BEP 55) and the
//! hash messages of BEP 52.
//!
//! # Map of modules
//! - [`handshake`]: the 68 bytes that open a connection, and the reserved bits in them.
//! - [`message`]: every message as a value, its bytes, the ids.
//! - [`codec`]: frames out of a byte stream, without copying payload.
//! - [`fast`]: the allowed-fast set.
//! - [`extension`]: the extension handshake and the extensions we speak.
//! - [`metadata`]: messages of `ut_metadata`.
//! - [`pex`]: messages of `ut_pex`.
//! - [`holepunch`]: messages of `ut_holepunch`.
//! - [`session`]: the state machine over all of these.
//!
//! # Invariants
//! - Payload of piece messages is handed on as slices of the caller's buffer; nothing is allocated per block.
//! - Everything that is kept between two calls has a bound: partial control frames by their kind, the request queue
//!   and the in-flight set by configuration, output by [`session::OUTPUT_HARD_LIMIT`].

pub mod codec;
pub mod custom;
mod error;
pub mod extension;
pub mod fast;
pub mod handshake;
pub mod holepunch;
mod in_flight;
pub mod message;
pub mod metadata;
mod output;
pub mod pex;
mod pieces;
mod priority;
mod requests;
pub mod session;
mod tally;
mod timer;
#[cfg(test)]
mod vectors;

pub use codec::{CodecError, Decoder, Frame};
pub use custom::{CustomError, CustomExtension, CustomPeer};
pub use error::SessionError;
pub use extension::{Extension, ExtensionHandshake, Extensions};
pub use fast::allowed_fast_set;
pub use handshake::{Handshake, Reserved};
pub use holepunch::HolepunchMessage;
pub use message::{HashRequest, Message, RawRequest};
pub use metadata::MetadataMessage;
pub use pex::{PexFlags, PexMessage, PexPeer};
pub use priority::canonical_priority;
pub use requests::PeerRequest;
pub use session::{Event, RequestError, Session, SessionConfig, Timeouts, TorrentParams};
pub use tally::{MessageKind, Tally};
pub use timer::Timer;
