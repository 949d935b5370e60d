//! Fuzz targets: what must hold of every parser of bytes from outside, and of sequences of operations on the machines and
//! the store.
//!
//! # What
//! A module a target: its `run` takes one input, of any bytes, and panics where something does not hold. The tests of this
//! crate run each target over the inputs that are committed for it, in `tests/fuzz/seeds`; the programs in `tests/fuzz` run
//! them under libFuzzer over inputs that it finds.
//!
//! # What not
//! No fuzzer and no instrumentation: those are a workspace of their own, `tests/fuzz`, whose programs only name a target here.
//!
//! # Map of modules
//! - `steps`: reading a sequence of operations out of an input.
//! - `members`: whom members of communities hear, and how answers begin.
//! - `imported`: what must hold of what was read from records of other programs.
//! - All others are targets, and say themselves of what.
//!
//! # Invariants
//! - Modules, tests, programs and folders of seeds are the same set; a test compares them.
//! - A panic on any thread is a finding, those that a target has started included.

pub mod api_request;
pub mod api_server;
pub mod bencode;
pub mod control_request;
pub mod feed;
pub mod hash_many;
pub mod holepunch;
pub mod import_deluge;
pub mod import_libtorrent;
pub mod import_rqbit;
pub mod import_transmission;
mod imported;
pub mod ip_filter;
pub mod krpc;
pub mod lsd;
pub mod magnet;
mod members;
pub mod merkle;
pub mod metainfo;
pub mod mse;
pub mod overlay_members;
pub mod overlay_messages;
pub mod overlay_packet;
pub mod peer_codec;
pub mod peer_session;
pub mod pex;
pub mod port_mapping;
pub mod proxy;
pub mod resume_record;
pub mod signing;
pub mod socks_server;
pub mod state_earlier;
pub mod state_record;
mod steps;
pub mod store_ops;
#[cfg(test)]
mod tests;
pub mod tracker_api;
pub mod tracker_http;
pub mod tracker_server;
pub mod tracker_settings;
pub mod tracker_udp;
pub mod tunnel_members;
pub mod tunnel_message;
pub mod tunnel_node;
pub mod upnp;
pub mod utp;
pub mod web_seed;
