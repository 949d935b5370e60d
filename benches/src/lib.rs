//! Measuring: criterion benches of hot paths, and programs that race.
//!
//! # Map
//! - `benches/`: `hashing`, `peer_codec`, `picker`, `piece_store`, and `swarm_loopback` for all of them together.
//! - `src/bin/limit`: the bare limit of the machine, which `docs/adr/0001-control-plane-and-data-plane.md` speaks of.
//! - `src/bin/cost`: what a block costs the engine: allocations, system calls, CPU time.
//! - [`content`]: the file that is transferred. [`loopback`]: engines. [`usage`]: CPU time.

pub mod content;
pub mod loopback;
pub mod usage;
