//! The engine: torrents, their peers and announces.

pub mod announce;
pub mod peer;
pub mod torrent;
