//! Measuring: criterion benches of hot paths, and programs that race.
//!
//! # Map
//! - `benches/peer_codec.rs`: the peer session. The benches of `hash` and `storage` are in those rooms, beside what they
//!   measure.
//! - `src/bin/limit`: the bare limit of the machine, which `docs/adr/0001-control-plane-and-data-plane.md` speaks of.
