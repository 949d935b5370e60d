//! What the test suites share: private networks, payloads, torrents, and drivers for real BitTorrent programs.
//!
//! # What
//! A test that runs real programs is written with [`isolated_test!`]. Its body runs in a process of its own inside new
//! network, mount and process namespaces, so that all traffic stays on a private loopback, mounts vanish with the test,
//! and no program outlives it.
//!
//! # What not
//! Nothing here uses the project's own crates: torrents are written and bytes compared by independent code, so that a
//! mistake of ours cannot hide itself.
//!
//! # Map of modules
//! - [`browser`]: Chromium, driven by its DevTools protocol.
//! - [`sandbox`]: the namespaces, time limits, and what is needed or skipped.
//! - [`cases`]: cases of one test side by side.
//! - [`host`]: a second host, on a cable of its own, and who hears what it sends.
//! - [`names`]: a name server.
//! - [`payload`]: reproducible files, compared by SHA-256.
//! - [`torrent`]: a plain .torrent writer.
//! - [`process`]: a program that is ended by its process id, with its log and its memory.
//! - [`ours`]: the `tribler-rs` command.
//! - [`overlay`]: networks of nodes that relay and let traffic out.
//! - [`clients`]: libtorrent, qBittorrent, Transmission, aria2, opentracker, our tracker, web servers, and proxies.
//! - [`content`]: a payload with its torrent, and the jobs that are about it.
//! - [`link`]: a slow, long and lossy link to a second network namespace.
//! - [`wire`]: a peer that says whatever a test wants over a plain socket.

pub mod browser;
pub mod cases;
pub mod clients;
pub mod content;
pub mod host;
pub mod link;
pub mod names;
pub mod ours;
pub mod overlay;
pub mod payload;
pub mod process;
pub mod sandbox;
pub mod torrent;
pub mod wait;
pub mod wire;

pub use sandbox::{Lab, Need};
