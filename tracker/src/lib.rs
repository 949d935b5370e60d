//! A BitTorrent tracker.
//!
//! # What
//! - [`swarms`]: which peers there are of which torrent, shared by any number of threads.
//! - [`access`]: who may announce, and what.
//! - [`udp`]: the UDP tracker; [`http`]: the HTTP tracker.
//! - [`tracker`]: the actor that owns all of it, and the handle for programs that have a tracker within; [`tls`]: certificates.
//! - [`store`]: what is kept in a database.
//! - [`api`]: the management API.
//! - [`settings`]: all that can be set, in TOML.
//!
//! # What not
//! Torrents' contents, the engine, arguments and output.
//!
//! # Invariants
//! - Memory is bounded whatever strangers announce: torrents, and peers of each, have a limit.
//! - Who asks is never told of itself, and who has everything of no other who has.

pub mod access;
pub mod api;
mod clock;
mod core;
mod hex;
pub mod http;
mod policy;
pub mod settings;
mod shown;
pub mod store;
pub mod swarms;
pub mod tls;
pub mod tracker;
pub mod udp;
mod web;

pub use crate::core::Core;
pub use clock::{Clock, Moment};
pub use policy::Policy;
pub use settings::Settings;
pub use tracker::{Tracker, TrackerHandle};
