//! Where every connection starts and ends.
//!
//! **What.** Streams, datagrams, name look-ups and rate limits behind small traits, with implementations on tokio for
//! the real network. The rest of the program names [`Network`] and never a socket, so that source address,
//! proxies, circuits and simulation are a property of the bundle that was handed in.
//!
//! **What not.** No torrents, no peers, no protocol: bytes only. No actors.
//!
//! # Map of modules
//!
//! | module | noun |
//! |---|---|
//! | [`stream`] | [`ByteStream`], [`Dialer`], [`Listener`] |
//! | [`ciphered`] | a stream under RC4 |
//! | [`cut`] | a network that can be [cut](Cut) off |
//! | [`datagram`] | [`DatagramSocket`], [`datagram::Batch`] and [`datagram::Run`] |
//! | [`filter`] | whom a network does not talk to |
//! | [`utp`] | streams over any datagram socket |
//! | [`port_map`] | ports that the gateway of the local network gives |
//! | [`ports`] | one port for TCP, uTP and other datagrams |
//! | [`resolve`] | [`Resolver`]: the operating system's one, and one that asks name servers itself |
//! | [`network`] | [`Network`], the bundle, and listening with port retry |
//! | [`proxy`] | a network whose only way out is a SOCKS5 or HTTP proxy |
//! | [`socks`] | a SOCKS5 server, by which other programs enter a network |
//! | [`real`] | the operating system's sockets, and [`Bind`], what they may be bound to |
//! | [`outlet`] | [`Outage`], why nothing leaves where there is only one way out |
//! | [`pool`] | [`Pool`], where pumps run, and [`Task`], their guard |
//! | [`limit`] | [`RateLimiter`], token buckets in a tree |
//! | [`meter`] | bytes that pass are counted |
//! | [`http`] | the GET client, and [`http::Guard`], where it may go |
//! | [`scope`] | how far away an address is, and whom strangers may send us to |
//! | [`subnet`] | addresses that begin alike |
//! | [`sim`] | a simulated network in virtual time |
//!
//! # Invariants
//!
//! - Only this crate opens sockets for outgoing traffic, the HTTP client included.
//! - What depends on the operating system stands in `real::platform` and nowhere else.
//! - Time is tokio's, so that a paused clock makes everything here deterministic.
//! - Addresses that leave this crate are canonical: an IPv4 peer of a dual-stack socket shows as IPv4.

pub mod ciphered;
pub mod cut;
pub mod datagram;
pub mod filter;
pub mod http;
pub mod limit;
pub mod meter;
pub mod network;
mod nowhere;
pub mod outlet;
pub mod pool;
pub mod port_map;
pub mod ports;
pub mod proxy;
pub mod real;
pub mod resolve;
pub mod scope;
pub mod sim;
pub mod socks;
pub mod stream;
pub mod subnet;
pub mod utp;

pub use ciphered::Ciphered;
pub use cut::Cut;
pub use datagram::DatagramSocket;
pub use filter::{Filter, Pass};
pub use limit::{RateLimiter, Throttle};
pub use meter::Meter;
pub use network::{Binder, Located, Network};
pub use outlet::{Outage, Outlet};
pub use pool::{OwnedPool, Pool, Task};
pub use proxy::Proxy;
pub use real::{Bind, RealOptions, SocketTuning};
pub use resolve::Resolver;
pub use scope::{Family, Scope};
pub use socks::SocksServer;
pub use stream::{BoxStream, ByteStream, Dialer, Listener};
pub use subnet::Subnet;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;
