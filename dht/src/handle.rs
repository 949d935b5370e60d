//! The door for everyone who is not an actix actor.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{DatagramSocket, Network};
use parking_lot::Mutex;

use protocol::id::InfoHash;
use protocol::krpc::NodeId;
use protocol::tracker::compact::CompactNode;
use tokio::sync::{mpsc, oneshot};

use crate::command::{Client, Command, Order, SIGHT_QUEUE, Said, UPDATE_QUEUE};
use crate::search::{Leg, Search};
use crate::{
    AnnounceAs, Answer, DhtError, GetPeers, Item, NewItem, Outcome, PeersOutcome, Pong, Question,
    Request, Sampling, Scrape, Sight, Status, StoredOutcome, Tuning, Wanted,
};

/// A running node of the DHT.
///
/// Cheap to clone, usable from any thread. The node stops by [`DhtHandle::shutdown`], or when the last handle is dropped.
/// What is begun and not awaited any more is given up; nothing else suffers from a dropped future.
#[derive(Clone, Debug)]
pub struct DhtHandle {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) said: Arc<Mutex<Said>>,
    /// Nodes of this host at other addresses.
    pub(crate) siblings: Arc<[Self]>,
}

/// Nodes that a sibling is told of.
const SHARED: usize = 32;

impl DhtHandle {
    /// Begins any job.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn start(&self, request: Request) -> Result<Search, DhtError> {
        Ok(Search::new(vec![self.leg(request).await?]))
    }

    async fn leg(&self, request: Request) -> Result<Leg, DhtError> {
        let (updates, steps) = mpsc::channel(UPDATE_QUEUE);
        let (done, end) = oneshot::channel();
        let client = Client { updates, done };
        self.order(Order::Start(Box::new(request), client)).await?;
        Ok(Leg::new(steps, end))
    }

    /// The same node, together with others that this host has at other addresses (BEP 45). To everyone else they are nodes like any
    /// others, each with an id and a table of its own. All of them look for the peers of torrents and announce us from their addresses,
    /// and what one is told of settings and of nodes they all are; the rest is for this one alone.
    #[must_use]
    pub fn with_siblings(mut self, siblings: Vec<Self>) -> Self {
        self.siblings = siblings.into();
        self
    }

    /// Looks for the peers of a torrent, and announces us afterwards where that is asked for.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn get_peers(&self, get: GetPeers) -> Result<Search, DhtError> {
        let mut legs = vec![self.leg(Request::GetPeers(get)).await?];
        for sibling in self.siblings.iter() {
            // One that has ended holds nobody up.
            legs.extend(sibling.leg(Request::GetPeers(get)).await.ok());
        }
        Ok(Search::new(legs))
    }

    /// Announces us to the nodes nearest to a torrent.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn announce(
        &self,
        info_hash: InfoHash,
        announce: AnnounceAs,
    ) -> Result<StoredOutcome, DhtError> {
        let get = GetPeers {
            announce: Some(announce),
            ..GetPeers::new(info_hash)
        };
        let outcome = self.peers(get).await?;
        Ok(outcome.announced.unwrap_or_default())
    }

    /// Counts the peers of a torrent (BEP 33); `None` where nobody knows any.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn scrape(&self, info_hash: InfoHash) -> Result<Option<Scrape>, DhtError> {
        let get = GetPeers {
            scrape: true,
            ..GetPeers::new(info_hash)
        };
        Ok(self.peers(get).await?.scrape)
    }

    /// Finds an item (BEP 44): of a mutable one, the newest version that the nodes nearest to it have.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn get(&self, wanted: Wanted) -> Result<Option<Item>, DhtError> {
        let outcome = self.start(Request::Get(wanted)).await?.finish().await?;
        let Outcome::Item(item) = outcome else {
            return Ok(None);
        };
        Ok(item)
    }

    /// Stores an item (BEP 44).
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn put(&self, item: NewItem) -> Result<StoredOutcome, DhtError> {
        let outcome = self.start(Request::Put(item)).await?.finish().await?;
        let Outcome::Stored(stored) = outcome else {
            return Ok(StoredOutcome::default());
        };
        Ok(stored)
    }

    /// Asks nodes which info-hashes they have peers of (BEP 51).
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn sample(&self, sampling: Sampling) -> Result<Search, DhtError> {
        self.start(Request::Sample(sampling)).await
    }

    /// Finds the nodes nearest to a target.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn find_node(&self, target: NodeId) -> Result<Vec<CompactNode>, DhtError> {
        let search = self.start(Request::FindNode(target)).await?;
        let Outcome::Nodes(nodes) = search.finish().await? else {
            return Ok(Vec::new());
        };
        Ok(nodes)
    }

    /// Asks a node whether it is there; `None` when it does not answer.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn ping(&self, node: SocketAddr) -> Result<Option<Pong>, DhtError> {
        let outcome = self.start(Request::Ping(node)).await?.finish().await?;
        let Outcome::Pong(pong) = outcome else {
            return Ok(None);
        };
        Ok(Some(pong))
    }

    /// Asks one node alone, as any other query within the node's limits: its answer; `None` when it does not answer, or refuses.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn ask(
        &self,
        node: SocketAddr,
        question: Question,
    ) -> Result<Option<Answer>, DhtError> {
        let asked = self.start(Request::Ask(node, question)).await?;
        let Outcome::Answered(answer) = asked.finish().await? else {
            return Ok(None);
        };
        Ok(Some(*answer))
    }

    /// Adds a node that may be there: from a torrent, or from a peer's PORT message.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn add_node(&self, node: SocketAddr) -> Result<(), DhtError> {
        for sibling in self.siblings.iter() {
            let _ = sibling.order(Order::AddNode(node)).await;
        }
        self.order(Order::AddNode(node)).await
    }

    /// Adds a node that may be there, by its name, where the far end of the network looks names up
    /// ([`net::Network::locate`]): it is pinged there, and whoever answers is the node.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn add_named_node(&self, host: String, port: u16) -> Result<(), DhtError> {
        self.order(Order::AddNamed(host, port)).await
    }

    /// [`DhtHandle::add_node`] for those who cannot wait: where the node is busy, the hint is lost. Says whether it was
    /// taken.
    pub fn hint_node(&self, node: SocketAddr) -> bool {
        for sibling in self.siblings.iter() {
            sibling.hint_node(node);
        }
        self.orders.try_send(Order::AddNode(node)).is_ok()
    }

    /// Waits until the node knows others, and tells those of its siblings of them that know nobody yet: what one has found out
    /// spares the others to ask the hosts that all begin with.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    ///
    /// # Cancel safety
    /// Who was told remains so.
    pub async fn share(&self) -> Result<(), DhtError> {
        if self.siblings.is_empty() {
            return Ok(());
        }
        self.usable().await?;
        let known = self.contacts().await?;
        for sibling in self.siblings.iter() {
            if sibling.contacts().await.is_ok_and(|own| own.is_empty()) {
                for node in known.iter().take(SHARED) {
                    let _ = sibling.order(Order::AddNode(node.addr)).await;
                }
            }
        }
        Ok(())
    }

    /// What the node knows and has done.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn status(&self) -> Result<Status, DhtError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Status(reply)).await?;
        answer.await.map_err(|_| DhtError::Stopped)
    }

    /// The nodes in the routing table.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn contacts(&self) -> Result<Vec<CompactNode>, DhtError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Contacts(reply)).await?;
        answer.await.map_err(|_| DhtError::Stopped)
    }

    /// Hears from now on what others ask the node and it asks them, until that is dropped. Whoever listened before hears no more, a
    /// listener that is too slow misses some, and it ends when the node fails or stops.
    ///
    /// # Errors
    /// [`DhtError::Stopped`].
    pub async fn watch(&self) -> Result<mpsc::Receiver<Sight>, DhtError> {
        let (watcher, sights) = mpsc::channel(SIGHT_QUEUE);
        self.order(Order::Watch(watcher)).await?;
        Ok(sights)
    }

    /// Has the node behave otherwise from now on, whoever drives it. What was said last holds.
    pub fn tune(&self, tuning: Tuning) {
        for sibling in self.siblings.iter() {
            sibling.tune(tuning);
        }
        self.said.lock().tuning = Some(tuning);
        // Where the queue is full, the actor takes it up with what it does next.
        let _ = self.commands.try_send(Command::Tune);
    }

    /// Has the node go on by other sockets, with all that it knows, in the families that it was started with; its bootstrap hosts
    /// are looked up on `network`. What was said last holds.
    pub fn rebind(
        &self,
        v4: Option<Arc<dyn DatagramSocket>>,
        v6: Option<Arc<dyn DatagramSocket>>,
        network: Network,
    ) {
        self.said.lock().way = Some(([v4, v6], network));
        let _ = self.commands.try_send(Command::Tune);
    }

    /// Has these hosts asked first from now on, when nobody is known; those that the node was started with, where there are none.
    /// What was said last holds.
    pub fn set_bootstrap(&self, hosts: Vec<(String, u16)>) {
        for sibling in self.siblings.iter() {
            sibling.set_bootstrap(hosts.clone());
        }
        self.said.lock().bootstrap = Some(hosts);
        let _ = self.commands.try_send(Command::Tune);
    }

    /// Waits until the node knows another that answered when it was asked last; returns at once where it does.
    ///
    /// # Errors
    /// [`DhtError::Stopped`], also where too many wait.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn usable(&self) -> Result<(), DhtError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Usable(reply)).await?;
        answer.await.map_err(|_| DhtError::Stopped)
    }

    /// Writes the table to its file, where it has one, and returns when that is done.
    pub async fn save(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Save(reply)).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Stops the node, and its siblings; its table is saved first, if that is done by the deadline.
    pub async fn shutdown(&self, deadline: Duration) {
        let mut answers = Vec::new();
        for node in self.siblings.iter().chain([self]) {
            let (reply, answer) = oneshot::channel();
            let command = Command::Shutdown(deadline, reply);
            if node.commands.send(command).await.is_ok() {
                answers.push(answer);
            }
        }
        for answer in answers {
            let _ = answer.await;
        }
    }

    async fn peers(&self, get: GetPeers) -> Result<PeersOutcome, DhtError> {
        let outcome = self.get_peers(get).await?.finish().await?;
        let Outcome::Peers(outcome) = outcome else {
            return Ok(PeersOutcome::default());
        };
        Ok(outcome)
    }

    async fn order(&self, order: Order) -> Result<(), DhtError> {
        let sent = self.orders.send(order).await;
        sent.map_err(|_| DhtError::Stopped)
    }
}
