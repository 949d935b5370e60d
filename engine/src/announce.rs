//! Announcing to trackers.
