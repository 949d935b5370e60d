//! One torrent.

pub mod picker;
