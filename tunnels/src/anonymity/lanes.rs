//! Circuits of each number of hops that somebody uses, in both dialects.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::now;
use crate::{Protection, Status, Tunnels, Why};

/// How long the preferred dialect may be without a circuit before the other one is used as well.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it is remembered how it stands: each torrent asks several times a second, and finding out walks over all who are
/// known.
const FRESH: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct Lanes {
    /// In order of preference.
    nodes: Vec<Tunnels>,
    circuits: (usize, usize),
    used: Mutex<BTreeMap<u8, Used>>,
    /// How it stood, and when.
    stood: Mutex<BTreeMap<u8, (Instant, Status)>>,
}

/// What somebody wants of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Circuits.
    Used,
    /// One at least in each dialect, for nodes of one dialect only can reach some hidden peers.
    Sought,
    /// Circuits, which are kept for a while after their last user: programs come and go.
    Lingering,
}

/// How long circuits are kept after the last program.
const LINGER: Duration = Duration::from_secs(60);

struct Used {
    users: usize,
    /// Until when it is kept without users.
    until: Option<Instant>,
    /// Of the users, those who look for hidden peers, whom nodes of one dialect only can reach.
    seekers: usize,
    /// Since when the preferred dialect has no circuit.
    without: Option<Instant>,
}

/// Keeps circuits of one number of hops ready as long as it is there.
pub(crate) struct Lane {
    lanes: Weak<Lanes>,
    pub(super) hops: u8,
    kept: Kept,
}

impl Lanes {
    pub(super) fn new(nodes: Vec<Tunnels>, circuits: (usize, usize)) -> Self {
        Self {
            nodes,
            circuits,
            used: Mutex::new(BTreeMap::new()),
            stood: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) fn nodes(&self) -> &[Tunnels] {
        &self.nodes
    }

    /// Has circuits kept ready.
    pub(super) fn lane(self: &Arc<Self>, hops: u8, kept: Kept) -> Arc<Lane> {
        let mut used = self.used.lock();
        let lane = used.entry(hops).or_insert_with(|| Used {
            users: 0,
            until: None,
            seekers: 0,
            without: Some(now()),
        });
        lane.users += 1;
        lane.seekers += usize::from(kept == Kept::Sought);
        drop(used);
        self.tend();
        Arc::new(Lane {
            lanes: Arc::downgrade(self),
            hops,
            kept,
        })
    }

    fn release(&self, hops: u8, kept: Kept) {
        let mut used = self.used.lock();
        let Some(lane) = used.get_mut(&hops) else {
            return;
        };
        lane.users -= 1;
        lane.seekers -= usize::from(kept == Kept::Sought);
        if kept == Kept::Lingering {
            lane.until = Some(now() + LINGER);
        }
        self.leave_unused(&mut used);
    }

    fn leave_unused(&self, used: &mut BTreeMap<u8, Used>) {
        let now = now();
        let gone = used.extract_if(.., |_, lane| {
            lane.users == 0 && lane.until.is_none_or(|until| now >= until)
        });
        for (hops, _) in gone {
            for node in &self.nodes {
                node.leave(hops);
            }
        }
    }

    /// Decides which dialect builds circuits; to be called every half second or so.
    pub(super) fn tend(&self) {
        let now = now();
        let mut used = self.used.lock();
        self.leave_unused(&mut used);
        for (hops, lane) in &mut *used {
            let Some((preferred, others)) = self.nodes.split_first() else {
                return;
            };
            let (wanted, spare) = self.circuits;
            preferred.want(*hops, wanted, spare);
            let stands = preferred.status(*hops);
            if stands.ready > 0 {
                lane.without = None;
            } else {
                lane.without.get_or_insert(now);
            }
            let hopeless = matches!(
                stands.protection,
                Protection::Blocked(Why::NoExits | Why::NoRelays)
            );
            let late = lane.without.is_some_and(|since| now >= since + PATIENCE);
            let (wanted, spare) = if hopeless || late {
                (wanted, spare)
            } else {
                (usize::from(lane.seekers > 0), 0)
            };
            for other in others {
                other.want(*hops, wanted, spare);
            }
        }
    }

    /// How it stands with circuits of all dialects, or stood a tenth of a second ago at most.
    pub(super) fn status(&self, hops: u8) -> Status {
        let now = now();
        let mut stood = self.stood.lock();
        if let Some((at, status)) = stood.get(&hops)
            && now < *at + FRESH
        {
            return *status;
        }
        let status = self.look(hops);
        stood.insert(hops, (now, status));
        status
    }

    fn look(&self, hops: u8) -> Status {
        let all: Vec<Status> = self.nodes.iter().map(|node| node.status(hops)).collect();
        let sum = |part: fn(&Status) -> usize| all.iter().map(part).sum();
        let ready = sum(|status| status.ready);
        let whys = all.iter().filter_map(|status| match status.protection {
            Protection::Protected => None,
            Protection::Degraded(why) | Protection::Blocked(why) => Some(why),
        });
        let why = whys.max().unwrap_or(Why::Building);
        let protection = if ready == 0 {
            Protection::Blocked(why)
        } else if ready < self.circuits.0 {
            Protection::Degraded(why)
        } else {
            Protection::Protected
        };
        Status {
            protection,
            ready,
            building: sum(|status| status.building),
            exits: sum(|status| status.exits),
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(lanes) = self.lanes.upgrade() {
            lanes.release(self.hops, self.kept);
        }
    }
}
