//! Torrents: the actor, and the policies that it decides by.

pub(crate) mod actor;
pub mod candidates;
mod check;
pub mod choker;
mod crowd;
mod failure;
pub mod gather;
mod gossip;
pub(crate) mod messages;
pub mod metadata;
mod metadata_phase;
mod neighbours;
mod open;
mod padding;
pub(crate) mod peers;
pub mod pex;
pub mod picker;
mod report;
mod resume;
mod settle;
pub mod smart_ban;
mod stock;
mod trackerless;
mod trackers;
mod transfer;
mod twins;
mod verification;
