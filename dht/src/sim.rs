//! Thousands of nodes on one thread in virtual time, honest and otherwise.
//!
//! Every datagram goes through the real machine, byte for byte; only the wire between them is made up: round trips that
//! are log-normal over pairs of hosts, loss, NATs that let in only whom their host has spoken to, and hosts that come and
//! go. The same seed gives the same run.

mod adversary;
mod link;
mod world;

pub use adversary::{Adversary, Lie};
pub use link::LinkModel;
pub use world::{HostId, World};

#[cfg(test)]
mod tests;
