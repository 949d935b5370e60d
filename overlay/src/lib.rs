//! IPv8: peers with public keys that find each other without a server, and the communities they form.
//!
//! # What
//! The wire of IPv8 as pyipv8 2.2.0 speaks it, and machines for its communities.
//!
//! # What not
//! No torrents and no circuits. What a community is for, its own room knows.
//!
//! # Map of modules
//! - [`wire`]: values to bytes and back. [`key`]: identities and their signatures. [`packet`]: frames of datagrams.
//!   [`clock`]: the count that most messages carry.
//! - [`introduction`]: the messages that all communities share. [`introducer`]: the machine that speaks them.
//!   [`directory`]: who is known, for all communities of an identity. [`walk`]: how a community gets to know more.
//! - [`community`]: what all communities have in common for those who drive them. [`discovery`]: the one that everyone is
//!   in. [`cache`]: requests that wait for their answers. [`server`]: a bootstrap server. [`bootstrap`]: which there are.
//! - [`dht`]: IPv8's own DHT, in two dialects.
//! - [`endpoint`]: one socket for all communities. [`host`]: the actor of a community.
//! - [`sim`]: thousands of hosts in virtual time.
//!
//! # Invariants
//! - Bytes from the network become a value or a typed error that says what was wrong where; they never reach a panic.
//! - Machines have neither socket nor clock nor randomness but what they are given, and all that they keep is bounded.
//! - An answer counts only if it was asked for, from the host that was asked.
//! - Secrets are neither shown by `Debug` nor written anywhere but into their file.

pub mod bootstrap;
pub mod cache;
pub mod clock;
pub mod community;
pub mod dht;
pub mod directory;
pub mod discovery;
pub mod endpoint;
pub mod host;
pub mod introducer;
pub mod introduction;
pub mod key;
pub mod packet;
pub mod server;
pub mod sim;
pub mod walk;
pub mod wire;

#[cfg(test)]
mod testing;
