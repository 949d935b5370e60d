//! IPv8's own DHT: values under keys, and peers by their names.
//!
//! It resembles Kademlia and BitTorrent's DHT; every message is signed. There are two dialects, in communities of their own.

mod client;
mod crawl;
mod id;
mod machine;
mod message;
mod storage;
mod table;
mod tokens;
mod value;

pub use client::{DhtClient, DhtClientError};
pub use id::{Distance, NodeId};
pub use machine::{
    Dht, DhtEvent, DhtJob, DhtStatus, Failure, Found, JobId, MAX_JOBS, Outcome, Search,
};
pub use message::{Body, Dialect, Message, MessageError, NodeInfo};
pub use storage::Storage;
pub use table::{Bucket, Node, NodeState, RoutingTable};
pub use tokens::Tokens;
pub use value::{MAX_VALUE, Value, ValueError};
