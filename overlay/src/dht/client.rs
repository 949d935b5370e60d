//! The DHT for everyone else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::oneshot;

use super::{
    Dht, DhtEvent, DhtJob, DhtStatus, Failure, Found, JobId, NodeId, NodeInfo, Outcome, Search,
    Value,
};
use crate::host::{Host, HostConfig, HostHandle, Stopped};
use crate::key::Mid;

/// Why something was not found or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DhtClientError {
    /// The node has ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The job has failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

type Waiting = Arc<Mutex<BTreeMap<JobId, oneshot::Sender<Outcome>>>>;

/// Tells those who wait how their jobs have ended. It goes with the node's actor, and whoever waits then learns that.
struct Teller(Waiting);

impl Teller {
    fn tell(&self, event: DhtEvent) {
        let DhtEvent::Done(job, outcome) = event;
        if let Some(reply) = self.0.lock().remove(&job) {
            let _ = reply.send(outcome);
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.lock().clear();
    }
}

/// The door to a node of the DHT. Cheap to clone; the node ends with the last one.
#[derive(Clone)]
pub struct DhtClient {
    host: HostHandle<Dht>,
    waiting: Waiting,
}

impl DhtClient {
    /// Starts a node; see [`Host::launch`] for where.
    pub fn launch(machine: Dht, config: HostConfig) -> Self {
        let waiting = Waiting::default();
        let teller = Teller(Arc::clone(&waiting));
        let host = Host::launch(machine, config, move |event| teller.tell(event));
        Self { host, waiting }
    }

    /// The machine, on its actor's thread.
    pub const fn host(&self) -> &HostHandle<Dht> {
        &self.host
    }

    /// Finds the values under a key, maybe none.
    ///
    /// # Errors
    /// See [`DhtClientError`].
    pub async fn find_values(&self, key: NodeId) -> Result<Vec<Found>, DhtClientError> {
        Ok(self.search_values(key).await?.0)
    }

    /// Finds the values under a key, maybe none, and says how they were looked for.
    ///
    /// # Errors
    /// See [`DhtClientError`].
    pub async fn search_values(&self, key: NodeId) -> Result<(Vec<Found>, Search), DhtClientError> {
        match self.run(DhtJob::FindValues(key)).await? {
            Outcome::Values(values, search) => Ok((values, search)),
            Outcome::Failed(failure) => Err(failure.into()),
            Outcome::Nodes(_) | Outcome::Stored(_) => Err(Failure::Nobody.into()),
        }
    }

    /// Finds the nodes nearest to a place, the nearest first.
    ///
    /// # Errors
    /// See [`DhtClientError`].
    pub async fn find_nodes(&self, place: NodeId) -> Result<Vec<NodeInfo>, DhtClientError> {
        self.nodes(DhtJob::FindNodes(place)).await
    }

    /// Stores data under a key without a signature; says where. It is kept for a day at most.
    ///
    /// # Errors
    /// See [`DhtClientError`].
    pub async fn store(&self, key: NodeId, data: &[u8]) -> Result<Vec<NodeInfo>, DhtClientError> {
        let value = Value::plain(data);
        self.nodes(DhtJob::Store(key, value)).await
    }

    /// Stores signed data under a key; says where. `version` is in seconds since 1970, and a newer one replaces an older.
    ///
    /// # Errors
    /// See [`DhtClientError`].
    pub async fn store_signed(
        &self,
        key: NodeId,
        data: &[u8],
        version: u32,
    ) -> Result<Vec<NodeInfo>, DhtClientError> {
        let data = data.to_vec();
        let sign = move |dht: &mut Dht, _| Value::signed(&data, version, dht.introducer().key());
        let value = self.host.with(sign).await?;
        self.nodes(DhtJob::Store(key, value)).await
    }

    /// Lets the nodes nearest to our name know where we are; says which.
    ///
    /// # Errors
    /// See [`DhtClientError`].
    pub async fn store_peer(&self) -> Result<Vec<NodeInfo>, DhtClientError> {
        self.nodes(DhtJob::StorePeer).await
    }

    /// Finds where the peer with a name is, and has its NAT opened for us.
    ///
    /// # Errors
    /// See [`DhtClientError`].
    pub async fn connect_peer(&self, mid: Mid) -> Result<Vec<NodeInfo>, DhtClientError> {
        self.nodes(DhtJob::ConnectPeer(mid)).await
    }

    /// Looks into the bucket with these first bits, `0` and `1`, so that it has nodes that are there; says whether there is such a bucket.
    ///
    /// # Errors
    /// See [`DhtClientError`].
    pub async fn refresh(&self, prefix: &str) -> Result<bool, DhtClientError> {
        let prefix = prefix.to_owned();
        let place = self.host.with(move |dht, _| dht.place_in(&prefix)).await?;
        let Some(place) = place else {
            return Ok(false);
        };
        self.find_nodes(place).await?;
        Ok(true)
    }

    /// What the node knows and has done.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn status(&self) -> Result<DhtStatus, Stopped> {
        self.host.with(|dht, _| dht.status()).await
    }

    async fn nodes(&self, job: DhtJob) -> Result<Vec<NodeInfo>, DhtClientError> {
        match self.run(job).await? {
            Outcome::Nodes(nodes) | Outcome::Stored(nodes) => Ok(nodes),
            Outcome::Failed(failure) => Err(failure.into()),
            Outcome::Values(..) => Err(Failure::Nobody.into()),
        }
    }

    async fn run(&self, job: DhtJob) -> Result<Outcome, DhtClientError> {
        let (reply, outcome) = oneshot::channel();
        let waiting = Arc::clone(&self.waiting);
        self.host
            .with(move |dht, now| {
                let job = dht.start(now, job);
                waiting.lock().insert(job, reply);
            })
            .await?;
        outcome.await.map_err(|_| Stopped.into())
    }
}

impl fmt::Debug for DhtClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhtClient").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
