//! The mainline DHT: finding peers, and storing small things, without a server (BEP 5, 32, 33, 42, 43, 44, 46, 51).
//!
//! # What
//! [`Node`], a machine that knows the whole protocol, and the actor that runs it on sockets, with [`DhtHandle`] for
//! everyone else.
//!
//! # What not
//! No torrents: an info-hash is all that is known of one. The machine has no socket, no clock and no randomness but what
//! it is given.
//!
//! # Map of modules
//! - `node`: the machine's root; `node::answer` for queries of others, `node::asking` for queries of ours, `node::jobs`
//!   for what users ask for, `node::upkeep` for what it does by itself.
//! - `actor`, `driver`, `handle`, `command`: the node on sockets: its lifecycle, the task that moves its datagrams, the
//!   door for everyone else.
//! - `table`: the routing table. `lookup`: one iterative lookup. `job`: what a lookup is for. `size`: how many
//!   nodes there are. `pending`, `rtt`: queries
//!   on their way.
//! - `tokens`, `proven`, `limits`: who may store, who may be sent how much. `intervals`: whom we may ask again. `peers`, `items`: what others store with us.
//! - `votes`: what our address is. `saved`: what the next run begins with. `family`: addresses and their networks.
//! - [`sim`]: thousands of machines in virtual time.
//! - `request`: what a node can be asked to do, and what it tells. `sight`: what passes at it, for those who watch.
//!
//! # Invariants
//! - Everything that grows has a bound: tables, stores, lookups, queries, datagrams and events that wait.
//! - An address that has not proven itself gets at most three times the bytes it has sent.
//! - An answer counts only from the address that was asked, with the transaction id that it was asked with.
//! - No single network decides what a lookup finds.

mod actor;
mod command;
mod config;
mod driver;
mod error;
mod family;
mod handle;
mod intervals;
mod items;
mod job;
mod limits;
mod lookup;
mod node;
mod peers;
mod pending;
mod proven;
mod question;
mod request;
mod rtt;
mod saved;
mod search;
mod sight;
pub mod sim;
mod size;
mod table;
mod tokens;
mod tuning;
mod votes;

pub use actor::{DhtConfig, DhtNode, PUBLIC_BOOTSTRAP};
pub use command::Update;
pub use config::NodeConfig;
pub use error::DhtError;
pub use family::Family;
pub use handle::DhtHandle;
pub use items::{Item, ItemLimits};
pub use limits::Rates;
pub use node::{Counters, FamilyStatus, MAX_JOBS, Node, Status};
pub use peers::PeerLimits;
pub use question::{Answer, Question};
pub use request::{
    AnnounceAs, Event, GetPeers, JobId, NewItem, Outcome, PeersOutcome, Pong, Progress, Request,
    Sampled, Sampling, Scrape, StoredOutcome, Transmit, Wanted,
};
pub use saved::Saved;
pub use search::Search;
pub use sight::Sight;
pub use tuning::Tuning;
