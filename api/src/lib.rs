//! The REST API of Tribler over a running daemon.
//!
//! # What
//! An HTTP server ([`serve`]) with the routes of Tribler 7.5, those that only 7.0.2 had under `/v7.0/`, and a few of our own. It
//! answers from the engine's handle and snapshots, and asks the daemon ([`Daemon`]) for what that does for `ctl` as well, in the
//! words of the command channel, so that both add, change and remove by the same rules.
//!
//! # What not
//! No actors' addresses and no engine state. No arguments, no files of the daemon's, no outgoing connections: the daemon has those.
//!
//! # Map of modules
//! - `daemon`, `part`: what stands behind the API, and the daemon's part in the overlay, as traits.
//! - `server`, `lanes`, `patience`, `spoken`: connections, which threads attend to them, how long they are waited for, and what is said where
//!   there is no request yet.
//! - `turns`, `works`: what only so many may do at a time, and what is done to its end, though whoever asked may leave.
//! - `access`: who may ask: the key, the names of this machine, pages of other sites.
//! - `routes`, `absent`: which method and path is whose; what is not there yet, and why.
//! - `problem`, `asked`, `named`: errors, and what was asked: queries, bodies, and texts that name a torrent.
//! - `parse`: what is read of requests, without a daemon behind it, for fuzz targets.
//! - `describe`, `docs`: what each route is, the OpenAPI document of all, and a page that shows it.
//! - `general`, `events`, `settings`, `statistics`, `downloads`, `stream`, `libtorrent`,
//!   `debug`, `circuits`, `tunnels`, `communities`, `overlay_dht`, `drift`, `looking`, `making`, `health`, `torrents`, `figures`: handlers, one
//!   module a group of endpoints.
//!
//! # Invariants
//! - What a client sends ends in an answer, with a JSON error where it cannot be, and never in a panic.
//! - Heads, bodies, connections and what waits for a reader are bounded.
//! - A key is compared in constant time, and neither it nor any query is logged.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]
#![allow(
    clippy::unused_async,
    reason = "handlers are asynchronous, whatever they do"
)]

mod absent;
mod access;
mod asked;
mod circuits;
mod clock;
mod communities;
mod daemon;
mod debug;
mod describe;
mod docs;
mod downloads;
mod drift;
mod events;
mod figures;
mod general;
mod health;
mod lanes;
mod libtorrent;
mod looking;
mod making;
mod named;
mod overlay_dht;
#[doc(hidden)]
pub mod parse;
mod part;
mod patience;
mod problem;
#[cfg(test)]
mod replay;
mod routes;
mod seats;
mod server;
mod settings;
mod shared;
mod spoken;
mod statistics;
mod stream;
#[cfg(test)]
mod testing;
mod torrents;
mod tunnels;
mod turns;
mod works;

pub use access::{Access, Key};
pub use daemon::{Circuit, Daemon, Follow, Made, Make, News, OverlayFigures, Promise};
pub use part::{
    Bucket, BucketNode, Community, Dht, DhtPeer, DhtSearch, DhtStatus, DhtValue, Ending, KnownPeer,
    Measured, Member, Part, Relayed, Speed, SpeedTest, Swarm, Tested, Unfound, Untested, Wire,
};
pub use server::{Bound, Limits, bind, serve};
