//! One torrent.

pub mod candidates;
pub mod gather;
pub mod picker;
