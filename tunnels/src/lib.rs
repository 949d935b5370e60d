//! Onion circuits: traffic that goes through other nodes, each of which knows its neighbours and nobody else.
//!
//! # What
//! The tunnels of Tribler on its own wire, in both dialects that are in use: how circuits are agreed on, built and sealed.
//!
//! # What not
//! No torrents. Who the nodes are and how they are found, `overlay` knows.
//!
//! # Map of modules
//! - [`Dialect`]: which of the two wires is spoken. [`crypto`]: agreeing on keys, sealing and opening cells.
//! - [`Head`], [`CircuitId`]: cells. [`message`]: what is in them.
//!
//! # Invariants
//! - No nonce is used twice under one key.
//! - Bytes from the network become a value or a typed error; they never reach a panic.

mod cell;
pub mod crypto;
mod dialect;
pub mod message;

pub use cell::{CIRCUIT_PORT, CircuitId, Head};
pub use dialect::Dialect;

#[cfg(test)]
mod testing;
