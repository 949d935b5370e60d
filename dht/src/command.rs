//! What handles say to a node's driver and to its actor.

use std::net::SocketAddr;
use std::time::Duration;

use net::Network;
use protocol::tracker::compact::CompactNode;
use tokio::sync::{mpsc, oneshot};

use crate::driver::Sockets;
use crate::{Outcome, Progress, Request, Sampled, Saved, Sight, Status, Tuning};

/// Orders that may wait for the driver; more callers than this wait in line.
pub(crate) const ORDER_QUEUE: usize = 64;

/// Steps of a job that may wait for its user; what comes beyond that is told with the end.
pub(crate) const UPDATE_QUEUE: usize = 64;

/// Sights that may wait for who watches; what comes beyond that is not told.
pub(crate) const SIGHT_QUEUE: usize = 1024;

/// What the driver shall do: handles and the actor to the driver.
pub(crate) enum Order {
    /// Add a node that may be there.
    AddNode(SocketAddr),
    /// Add the node that has this name and port, where the far end of the network looks names up.
    AddNamed(String, u16),
    /// What the next run would begin with.
    Save(oneshot::Sender<Saved>),
    /// The nodes in the routing table.
    Contacts(oneshot::Sender<Vec<CompactNode>>),
    /// Begin a job.
    Start(Box<Request>, Client),
    /// Behave otherwise from now on.
    Tune(Tuning),
    /// Go on by other sockets.
    Rebind(Sockets),
    /// How things are.
    Status(oneshot::Sender<Status>),
    /// Say when there is a node to ask.
    Usable(oneshot::Sender<()>),
    /// Tell what passes, as long as somebody listens; whoever listened before does so no more.
    Watch(mpsc::Sender<Sight>),
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

/// What the actor shall do: handles to the actor.
#[derive(Debug)]
pub(crate) enum Command {
    /// Save the table now.
    Save(oneshot::Sender<()>),
    /// Behave as was said last.
    Tune,
    /// Save the table and end; give up after this time.
    Shutdown(Duration, oneshot::Sender<()>),
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Said")
            .field("tuning", &self.tuning)
            .finish_non_exhaustive()
    }
}

/// What handles have said of how the node is to behave, and the actor has not taken up yet.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) tuning: Option<Tuning>,
    /// Whom to ask first; those of the start, where there are none.
    pub(crate) bootstrap: Option<Vec<(String, u16)>>,
    /// The sockets to go on by, and where names are looked up.
    pub(crate) way: Option<(Sockets, Network)>,
}

/// Who has asked for a job.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) updates: mpsc::Sender<Update>,
    pub(crate) done: oneshot::Sender<Finished>,
}

/// A step of a job, or its end.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// The job has ended; nothing follows.
    Done(Outcome, Progress),
    /// New peers.
    Peers(Vec<SocketAddr>, Progress),
    /// The job has made a step.
    Progress(Progress),
    /// Info-hashes of one node.
    Sampled(Sampled, Progress),
}

/// How a job has ended, with what could not be told before.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) progress: Progress,
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) samples: Vec<Sampled>,
}
