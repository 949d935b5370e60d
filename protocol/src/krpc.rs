//! KRPC, the messages of the mainline DHT: queries, responses and errors (BEP 5), with IPv6 (BEP 32), scrapes
//! (BEP 33), node-id security (BEP 42), read-only nodes (BEP 43), items (BEP 44, 46) and sampling (BEP 51); pure.
//!
//! A [`Message`] borrows from the datagram that it is read from, and the same types are written: reading takes no heap.
//!
//! # Map of modules
//! - [`NodeId`], [`Distance`]: ids and the XOR metric.
//! - [`Query`], [`Method`]: what is asked.
//! - [`Response`], [`Values`]: what is answered.
//! - [`Bloom`]: the filters of a scrape.
//! - [`item`]: immutable and mutable items, their targets and signatures.
//! - [`secure`]: which ids an address may have.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod bloom;
mod error;
mod id;
pub mod item;
mod message;
mod query;
mod response;
pub mod secure;

pub use bloom::{BLOOM_LEN, Bloom};
pub use error::{DecodeError, ErrorCode};
pub use id::{Distance, NodeId};
pub use message::{Body, Failure, MAX_DATAGRAM, MAX_TRANSACTION, Message};
pub use query::{Announce, Method, MethodKind, Put, Query, Want};
pub use response::{Response, Sample, Values, ValuesIter};

#[cfg(test)]
mod tests;
