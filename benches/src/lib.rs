//! Measuring: criterion benches of hot paths, and programs that race.
//!
//! # Map
//! - `benches/peer_codec.rs`: the peer session. The benches of `hash` and `storage` are in those rooms, beside what they
//!   measure.
//! - `src/bin/limit`: the bare limit of the machine, which `docs/adr/0001-control-plane-and-data-plane.md` speaks of.
//! - `src/bin/cost`: what a block costs the engine: allocations, system calls, CPU time.
//! - [`content`]: the file that both programs transfer. [`usage`]: CPU time.

pub mod content;
pub mod usage;
