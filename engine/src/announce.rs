//! Trackers: the Announcer actor of each torrent, the tiers that it works through, and the desk where the requests of all
//! torrents meet.

pub(crate) mod actor;
mod client;
pub(crate) mod desk;
mod exchange;
mod families;
pub(crate) mod farewells;
pub(crate) mod messages;
mod parting;
mod preferences;
mod queue;
pub(crate) mod scrape;
pub(crate) mod settings;
pub mod tiers;
mod tracker;
mod udp;
mod votes;

pub use client::TrackerClient;
pub use exchange::AnnounceError;
