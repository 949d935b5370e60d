//! One torrent.

pub mod candidates;
pub mod choker;
pub mod gather;
pub mod picker;
