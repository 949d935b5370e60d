//! BitTorrent on the wire: formats and state machines, pure.
//!
//! # What
//! Identifiers, bencode, metainfo (v1, v2, hybrid), magnet links, piece geometry, bitfields, the peer wire protocol
//! with its extensions, the messages of HTTP and UDP trackers, and those of the DHT.
//!
//! # What not
//! No sockets, no clock, no async runtime: time and randomness are arguments, output buffers belong to the caller.
//!
//! # Map of modules
//! - [`id`]: info-hashes and peer ids.
//! - [`fault`]: whose fault an error is.
//! - [`geometry`]: pieces, blocks and their sizes, in one place.
//! - [`bitfield`]: who has which piece.
//! - [`bencode`]: the borrowed scanner every byte from outside passes first, and the encoder.
//! - [`merkle`]: hash trees of v2 files.
//! - [`metainfo`]: reading and writing .torrent files.
//! - [`signing`]: signing torrents, and checking who did.
//! - [`magnet`]: magnet links.
//! - [`peer`]: the peer wire session.
//! - [`mse`]: the obfuscation of its streams.
//! - [`tracker`]: tracker client messages.
//! - [`krpc`]: the messages of the DHT.
//! - [`lsd`]: the messages of local service discovery.
//! - [`ip_filter`]: lists of addresses that nobody is to talk to.
//! - [`port_mapping`]: asking a gateway for a port.
//! - [`proxy`]: the client's side of SOCKS5 and HTTP proxies.
//! - [`web_seed`]: the requests and replies of web seeds.
//! - [`retry_after`]: how long a server wants to be left alone.
//! - [`utp`]: streams over datagrams.
//! - [`xml`]: what is read of XML.
//! - [`base64`]: as basic authentication writes it.
//! - [`crc32c`]: the checksum of node ids and peer priorities.
//!
//! # Invariants
//! - Bytes from the network never reach a panic: parsers return errors, and every length is bounded before it is used.
//! - An info-hash is the digest of the raw bytes of the info dictionary, never of a re-encoding.

pub mod base64;
pub mod bencode;
pub mod bitfield;
pub mod crc32c;
pub mod fault;
pub mod geometry;
pub mod id;
pub mod ip_filter;
pub mod krpc;
pub mod lsd;
pub mod magnet;
pub mod merkle;
pub mod metainfo;
pub mod mse;
pub mod peer;
pub mod port_mapping;
pub mod proxy;
pub mod retry_after;
pub mod signing;
#[cfg(test)]
mod testing;
pub mod tracker;
pub mod utp;
pub mod web_seed;
pub mod xml;
