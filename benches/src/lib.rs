//! Measuring: criterion benches of hot paths, and programs that race.
//!
//! # Map
//! - `benches/`: `hashing`, `peer_codec`, `picker`, `piece_store`, and `swarm_loopback` for all of them together; `torrent_list`
//!   and `session` for 50,000 torrents: lists, and commands.
//! - `src/bin/limit`: the bare limit of the machine, which `docs/adr/0001-control-plane-and-data-plane.md` speaks of.
//! - `src/bin/cost`: what a block costs the engine: allocations, system calls, CPU time.
//! - `src/bin/scale`: what torrents by the ten thousands cost a daemon, and libtorrent beside it, that do nothing.
//! - `src/bin/api`: how fast the REST API of a daemon answers: alone, crowded, before a disk that stalls, and to readers that are slow.
//! - [`content`]: the file that is transferred. [`loopback`]: engines. [`usage`]: CPU time.
//! - [`daemon`], [`process`]: daemons, and what processes take. [`torrents`]: small torrents by the ten thousands.

pub mod content;
pub mod daemon;
pub mod loopback;
pub mod process;
pub mod torrents;
pub mod usage;
