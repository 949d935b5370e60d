//! Announcing to trackers.

pub mod tiers;
