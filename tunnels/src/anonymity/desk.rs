//! What a node of the tunnels asks the DHT of IPv8 for on behalf of hidden peers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use net::{Pool, Task};
use overlay::dht::{DhtClient, NodeId};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tokio::time::Instant;

use crate::message::{IntroPoint, MAX_PEERS, Source, read_announcement, write_announcement};
use crate::{CircuitId, Dialect, Tunnels};

/// Questions to the DHT that are under way at once; what comes beyond that gets no answer.
const MAX_TASKS: usize = 32;

/// Look-ups of one circuit that are under way at once, so that one originator does not keep all others from theirs.
const MAX_OF_CIRCUIT: usize = 2;

/// Seeders whose first announcements are remembered; many more than are introduced at once.
const MAX_SINCE: usize = 4096;

/// How often it is announced again whom we introduce, and how soon where the DHT has not taken an announcement.
const ANNOUNCE: Duration = Duration::from_secs(600);
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(15);

/// A circuit of a node.
type Asker = (Dialect, CircuitId);

/// See the module.
pub(super) struct Desk {
    /// When this began, and in seconds since 1970.
    begun: (Instant, u64),
    pool: Pool,
    rng: StdRng,
    /// What is under way, and for which circuit of which node where it is a look-up.
    tasks: Vec<(Option<Asker>, Task<()>)>,
    /// Who is introduced, and since when in seconds since 1970: announcements that say the same replace each other.
    since: BTreeMap<Vec<u8>, u32>,
    next: Option<Instant>,
    /// Whether an announcement has failed since they were last made.
    failed: Arc<AtomicBool>,
}

impl Desk {
    /// `real`: whether time is that of the world, or that of a simulation, which begins in 1970.
    pub(super) fn new(pool: Pool, rng: StdRng, real: bool) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.ok().filter(|_| real);
        Self {
            begun: (Instant::now(), since.map_or(0, |since| since.as_secs())),
            pool,
            rng,
            tasks: Vec::new(),
            since: BTreeMap::new(),
            next: None,
            failed: Arc::default(),
        }
    }

    /// Looks up who introduces seeders of a swarm, and tells the originator of a circuit.
    pub(super) fn look_up(
        &mut self,
        tunnels: &Tunnels,
        dht: &DhtClient,
        (circuit, id, info_hash): (CircuitId, u16, [u8; 20]),
    ) {
        let asker = Some((tunnels.dialect(), circuit));
        let of_circuit = self.tasks.iter();
        let of_circuit = of_circuit.filter(|(of, task)| *of == asker && !task.is_finished());
        if of_circuit.count() >= MAX_OF_CIRCUIT {
            return;
        }
        let (tunnels, dht) = (tunnels.downgrade(), dht.clone());
        let mut rng = StdRng::from_rng(&mut self.rng);
        self.spawn(asker, async move {
            let Ok(found) = dht.find_values(NodeId(info_hash)).await else {
                return;
            };
            let Some(tunnels) = tunnels.upgrade() else {
                return;
            };
            let read = |data: &[u8]| read_announcement(tunnels.dialect(), data).ok().flatten();
            let points = found.iter().filter_map(|found| read(&found.data));
            let points: Vec<IntroPoint> = points.collect();
            let some: Vec<_> = points.sample(&mut rng, MAX_PEERS).cloned().collect();
            let answered = tunnels.with(|node, _| node.answer_peers(circuit, id, info_hash, &some));
            if let Err(why) = answered {
                tracing::debug!(%why, "nobody waits for hidden peers any more");
            }
        });
    }

    /// Announces that we introduce a seeder.
    pub(super) fn announce(
        &mut self,
        tunnels: &Tunnels,
        dht: &DhtClient,
        (info_hash, seeder): ([u8; 20], Vec<u8>),
    ) {
        let (begun, since) = self.begun;
        let at = (since + begun.elapsed().as_secs()) as u32;
        if self.since.len() >= MAX_SINCE {
            self.since.clear();
        }
        let since = *self.since.entry(seeder.clone()).or_insert(at);
        let value = tunnels.with(|node, _| {
            let point = IntroPoint {
                addr: node.addr()?,
                node: node.public().as_bytes().to_vec(),
                seeder,
                source: Source::Dht,
            };
            write_announcement(node.config().dialect, &point, since)
        });
        let Some(value) = value else {
            return;
        };
        let (dht, failed) = (dht.clone(), Arc::clone(&self.failed));
        self.spawn(None, async move {
            if let Err(error) = dht.store(NodeId(info_hash), &value).await {
                tracing::debug!(%error, "a hidden seeder is not announced");
                failed.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Announces again whom we introduce, when it is time.
    pub(super) fn tick(&mut self, nodes: &[Tunnels], dht: &[(Dialect, DhtClient)]) {
        let now = Instant::now();
        let next = self.next.get_or_insert(now + ANNOUNCE);
        if self.failed.swap(false, Ordering::Relaxed) {
            *next = (*next).min(now + ANNOUNCE_AGAIN);
        }
        if now < *next {
            return;
        }
        self.next = Some(now + ANNOUNCE);
        let mut introduced = Vec::new();
        for tunnels in nodes {
            let client = dht
                .iter()
                .find(|(dialect, _)| *dialect == tunnels.dialect());
            if let Some((_, client)) = client {
                let ours = tunnels.with(|node, _| node.introducing());
                introduced.extend(ours.into_iter().map(|seeder| (tunnels, client, seeder)));
            }
        }
        let there = |key: &Vec<u8>| introduced.iter().any(|(_, _, (_, seeder))| seeder == key);
        self.since.retain(|key, _| there(key));
        for (tunnels, client, seeder) in introduced {
            self.announce(tunnels, client, seeder);
        }
    }

    fn spawn(&mut self, asker: Option<Asker>, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.retain(|(_, task)| !task.is_finished());
        if self.tasks.len() < MAX_TASKS {
            self.tasks.push((asker, self.pool.spawn(work)));
        }
    }
}
