//! IPv8: peers with public keys that find each other without a server, and the communities they form.
//!
//! # What
//! The wire of IPv8 as pyipv8 2.2.0 speaks it: how values are laid out, who an identity is, and how packets are framed,
//! signed and checked.
//!
//! # What not
//! No torrents and no circuits. What a community is for, its own room knows.
//!
//! # Map of modules
//! - [`wire`]: values to bytes and back. [`key`]: identities and their signatures. [`packet`]: frames of datagrams.
//!   [`clock`]: the count that most messages carry.
//!
//! # Invariants
//! - Bytes from the network become a value or a typed error that says what was wrong where; they never reach a panic.
//! - Secrets are neither shown by `Debug` nor written anywhere but into their file.

pub mod clock;
pub mod key;
pub mod packet;
pub mod wire;

#[cfg(test)]
mod testing;
