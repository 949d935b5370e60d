//! The communities of introduction points of the swarms in which we introduce somebody.

use std::collections::BTreeMap;
use std::time::Duration;

use net::{Pool, Task};
use overlay::host::HostHandle;
use tokio::time::Instant;

use crate::{Dialect, Exchange, Tunnels};

/// How often it is looked whom we introduce, and whom others do.
const LOOK: Duration = Duration::from_secs(5);

/// Swarms of which the introduction points are known to each other; in others only those seeders are named that we introduce.
const MOST: usize = 32;

/// A swarm in a dialect.
type Name = (Dialect, [u8; 20]);

/// See the module.
#[derive(Default)]
pub(super) struct Exchanges {
    open: BTreeMap<Name, HostHandle<Exchange>>,
    next: Option<Instant>,
    asking: Option<Task<()>>,
}

impl Exchanges {
    /// Opens a community for each swarm in which we introduce somebody, where `open` does, closes the others, and has nodes told
    /// whom others introduce; to be called often.
    pub(super) fn tick(
        &mut self,
        pool: &Pool,
        nodes: &[Tunnels],
        mut open: impl FnMut(Name) -> Option<HostHandle<Exchange>>,
    ) {
        let now = Instant::now();
        if now < *self.next.get_or_insert(now) {
            return;
        }
        self.next = Some(now + LOOK);
        let mut ours: BTreeMap<Name, Vec<Vec<u8>>> = BTreeMap::new();
        for tunnels in nodes {
            let introducing = tunnels.with(|node, _| node.introducing());
            for (info_hash, seeder) in introducing {
                let name = (tunnels.dialect(), info_hash);
                ours.entry(name).or_default().push(seeder);
            }
        }
        self.open.retain(|name, _| ours.contains_key(name));
        for name in ours.keys() {
            if self.open.len() < MOST && !self.open.contains_key(name) {
                self.open.extend(open(*name).map(|host| (*name, host)));
            }
        }
        if self.open.is_empty() || self.asking.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (hosts, nodes) = (self.open.clone(), nodes.iter().map(Tunnels::downgrade));
        let nodes: Vec<_> = nodes.collect();
        self.asking = Some(pool.spawn(async move {
            let mut found: BTreeMap<Dialect, BTreeMap<_, _>> = BTreeMap::new();
            for ((dialect, info_hash), host) in hosts {
                let seeders = ours.remove(&(dialect, info_hash)).unwrap_or_default();
                let exchanged = host.with(move |exchange, now| {
                    exchange.set_seeders(&seeders);
                    exchange.points(now)
                });
                if let Ok(points) = exchanged.await {
                    found.entry(dialect).or_default().insert(info_hash, points);
                }
            }
            for tunnels in nodes.iter().filter_map(crate::driver::WeakTunnels::upgrade) {
                let exchanged = found.remove(&tunnels.dialect()).unwrap_or_default();
                tunnels.with(|node, _| node.set_exchanged(exchanged));
            }
        }));
    }
}
