//! Torrents with a v2 part (BEP 52) on the simulated network.

#[path = "../common/mod.rs"]
mod common;

mod blocks;
mod magnets;
mod member;
mod played;
mod swarms;
