//! One torrent.

pub mod candidates;
pub mod choker;
pub mod gather;
pub mod metadata;
pub mod picker;
pub mod smart_ban;
