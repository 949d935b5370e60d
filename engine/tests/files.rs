//! What is wanted of a torrent's files, and where they lie, while it is at work.

mod common;

#[path = "files/priorities.rs"]
mod priorities;
#[path = "files/renames.rs"]
mod renames;
#[path = "files/scene.rs"]
mod scene;
