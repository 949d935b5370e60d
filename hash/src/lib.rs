//! SHA-1 and SHA-256 of many messages at once.
//!
//! # What
//! One SHA stream is bound by the latency of its rounds, so a core hashes several messages side by side several times
//! faster than one after the other. This crate takes any number of messages of any lengths, whole or in parts, and
//! keeps the lanes of the widest back end of the machine full: [`sha1_many`], [`sha256_many`], [`sha1_many_parts`],
//! [`sha256_many_parts`], and [`hash_many`] for both. [`sha256_blocks`] and [`sha256_pairs`] serve the Merkle trees of
//! BEP 52. [`sha1`] and [`sha256`] take the fastest path for one message. [`Lanes`] tells what the machine has and runs
//! a chosen back end.
//!
//! # What not
//! No files, no threads, no torrents: callers bring slices and their own threads. No streaming hasher: a message that
//! lies in pieces is handed over as parts.
//!
//! # Map of modules
//! - `many`: the free functions.
//! - `lanes`: the ways to hash that a machine offers.
//! - `plan`: which kernel serves how many messages.
//! - `schedule`: fills lanes with messages, refills them as messages end.
//! - `message`: cuts one message into runs of 64-byte blocks, padding included.
//! - `algorithm`: the constants of SHA-1 and SHA-256, and how a state becomes a digest.
//! - `kernel`: the compression functions, one module per instruction set.
//!
//! # Invariants
//! - `unsafe` is in the modules of instruction sets under `kernel` only. A kernel can be called only with a token that
//!   proves that its instructions were found at run time, and it checks the length of each input itself: nothing outside
//!   those modules can make them read out of bounds.
//! - Every back end gives the digests of `sha1_smol` and `ring`, for all lengths, counts and cuts.
//!
//! # Checking it
//! Property tests compare every back end of the machine with the oracles. AddressSanitizer runs over the same tests:
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test -p tribler-hash --lib --tests \
//!     --target x86_64-unknown-linux-gnu
//! ```

mod algorithm;
mod kernel;
mod lanes;
mod many;
mod message;
mod plan;
mod schedule;

pub use algorithm::Digest;
pub use lanes::{Backend, Lanes};
pub use many::{
    hash_many, lanes, sha1, sha1_many, sha1_many_parts, sha256, sha256_blocks, sha256_many,
    sha256_many_parts, sha256_pairs,
};
