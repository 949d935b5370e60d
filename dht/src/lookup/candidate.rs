//! A node that a lookup knows of.

use std::net::SocketAddr;

use protocol::krpc::NodeId;

/// A node that a lookup knows of.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: NodeId,
    pub(crate) addr: SocketAddr,
    /// Whether its id is one that its address may have (BEP 42).
    pub(crate) valid: bool,
    pub(crate) state: State,
    /// How many nodes had to be asked, one after the other, to get to it; 1 for those we knew.
    pub(crate) hops: u8,
    /// What it wants to see when something is stored with it.
    pub(crate) token: Option<Vec<u8>>,
    /// Which answer named it first; `None` when we knew it, or when several did.
    pub(crate) source: Option<usize>,
}

/// How far a lookup is with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has answered.
    Answered,
    /// It is being asked.
    Asked,
    /// It does not answer, or is not who it was said to be.
    Failed,
    /// It has not been asked.
    New,
    /// It is being asked, and takes its time.
    Slow,
}
