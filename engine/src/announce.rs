//! Trackers: the Announcer actor, and the tiers that it works through.

pub(crate) mod actor;
mod exchange;
pub(crate) mod messages;
pub mod tiers;
