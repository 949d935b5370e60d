//! Onion circuits: traffic that goes through other nodes, each of which knows its neighbours and nobody else.
//!
//! # What
//! The tunnels of Tribler on its own wire, in both dialects that are in use: how circuits are agreed on, built and sealed.
//!
//! # What not
//! No torrents. Who the nodes are and how they are found, `overlay` knows.
//!
//! # Map of modules
//! - [`Dialect`]: which of the two wires is spoken. [`crypto`]: agreeing on keys, sealing and opening cells.
//! - [`Head`], [`CircuitId`]: cells. [`message`]: what is in them.
//! - [`Node`]: originator, relay, exit, introduction and rendezvous point as one machine, configured by [`Config`];
//!   `circuit` is one of our own, `joined` one that ends here, `relay` one that goes on. [`policy`]: what exits let through;
//!   `home`: what is too near for that.
//! - [`Pool`]: circuits that are ready before somebody needs them, and how it stands with them.
//! - [`Tunnels`]: a node on real sockets: cells in the pump of the endpoint, exits, and sockets that go through circuits.
//! - [`swarms`]: finding hidden peers, and being found by them.
//! - [`Exchange`]: introduction points that tell each other whom they introduce.
//! - [`TunnelCommunity`]: who there is to build circuits with.
//! - [`Anonymity`]: the door: nodes of both dialects on one socket, with all communities they need, and networks whose
//!   only way out are circuits.
//!
//! # Invariants
//! - No nonce is used twice under one key.
//! - Bytes from the network become a value or a typed error; they never reach a panic.
//! - A datagram that is refused has no answer and changes nothing but a counter.
//! - A cell is believed only from the address of the neighbour on its circuit.

mod alias;
mod allowance;
mod anonymity;
mod budget;
mod cell;
mod circuit;
mod closed;
mod community;
mod config;
pub mod crypto;
mod dialect;
mod driver;
mod entropy;
mod exchange;
mod firsts;
mod hidden;
mod home;
mod joined;
mod joins;
pub mod message;
mod node;
mod path;
pub mod policy;
mod pool;
mod relay;
pub mod swarms;

pub use alias::Alias;
pub use anonymity::{
    Anonymity, AnonymityConfig, AnonymityCounters, AnonymityError, CircuitStatus, Communities,
    CommunityKind, CommunityView, ExitPolicy, MemberView, NodeStatus, Roles, Speed, SpeedTest,
    TestError,
};
pub use cell::{CircuitId, Head};
pub use circuit::{CircuitInfo, Closed, Hop, Purpose, State};
pub use closed::ClosedCircuit;
pub use community::{Member, TunnelCommunity};
pub use config::{Config, Flags, LIBRARY, TRIBLER_CLASSIC, TRIBLER_MODERN};
pub use dialect::Dialect;
pub use driver::Tunnels;
pub use exchange::Exchange;
pub use hidden::lookup_info_hash;
pub use node::{
    Candidate, Counters, Ending, Event, HEADROOM, Handled, Node, Reason, Refusal, Relayed,
    TAILROOM, Transmit,
};
pub use pool::{Pool, Protection, Status, Why};

#[cfg(test)]
mod testing;
