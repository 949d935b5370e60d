//! What a torrent is told to do and not to do: its switches, the queue, and until when it is seeded.

#[path = "../common/mod.rs"]
mod common;

#[allow(dead_code, reason = "each test binary uses its part")]
#[path = "../session/scene.rs"]
mod scene;

#[allow(dead_code, reason = "each test binary uses its part")]
#[path = "../trackers/tracker.rs"]
mod tracker;

mod given;
mod kept;
mod queue;
mod seeding;
mod switches;
