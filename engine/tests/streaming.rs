//! Files that are read while they are fetched: swarms on the simulated network, in virtual time.

mod common;

#[path = "streaming/deadlines.rs"]
mod deadlines;
#[path = "streaming/ends.rs"]
mod ends;
#[path = "streaming/jumps.rs"]
mod jumps;
#[path = "streaming/play.rs"]
mod play;
#[path = "streaming/scene.rs"]
mod scene;
