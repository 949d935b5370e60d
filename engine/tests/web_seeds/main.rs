//! Torrents that come from web servers (BEP 19, BEP 17), on a simulated network in virtual time.

#[path = "../common/mod.rs"]
mod common;
mod life;
mod scene;
mod server;
mod servers;
mod torrents;
mod trouble;
