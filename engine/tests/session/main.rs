//! What a session is after it has ended, in good order or not: the store of one engine is what the next begins with.

#[path = "../common/mod.rs"]
mod common;

mod asleep;
mod commands;
mod endings;
mod scene;
