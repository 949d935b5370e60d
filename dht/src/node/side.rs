//! What a node has once for each family.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use protocol::krpc::NodeId;
use protocol::tracker::compact::CompactNode;

use crate::lookup;
use crate::request::JobId;
use crate::size::NetworkSize;
use crate::table::Table;
use crate::votes::Votes;

/// Bootstrap addresses that are kept.
const MAX_BOOTSTRAP: usize = 64;

/// Nodes of an earlier run that are kept.
const MAX_SAVED: usize = 512;

/// The first pause after a bootstrap that found nobody; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(4);

/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(300);

/// From how many bits on that it shares with our id a target says nothing about the rest of the network.
const NEIGHBOURHOOD: u32 = 4;

/// One family of a node.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) table: Table,
    size: NetworkSize,
    pub(super) votes: Votes,
    /// Our address, as others see it.
    pub(super) external: Option<IpAddr>,
    /// Whom to ask when nobody is known.
    pub(super) bootstrap: VecDeque<SocketAddr>,
    /// Nodes of an earlier run, the nearest to us last.
    pub(super) saved: Vec<CompactNode>,
    /// The lookup that keeps the table filled.
    pub(super) refresh: Option<JobId>,
    pub(super) next_bootstrap: Instant,
    pause: Duration,
}

impl Side {
    pub(super) fn new(table: Table, now: Instant) -> Self {
        Self {
            table,
            size: NetworkSize::new(now),
            votes: Votes::default(),
            external: None,
            bootstrap: VecDeque::new(),
            saved: Vec::new(),
            refresh: None,
            next_bootstrap: now,
            pause: FIRST_PAUSE,
        }
    }

    /// How many nodes the network has, as far as we can tell; infinite while we cannot.
    pub(super) fn network_size(&self) -> f64 {
        self.size.estimate(self.table.radius().map(lookup::size))
    }

    /// Notes how many nodes a lookup for a target of our choice shows, where that is not our own neighbourhood.
    pub(super) fn note_size(&mut self, target: &NodeId, nodes: f64) {
        if self.table.own().shared_bits(target) < NEIGHBOURHOOD
            && let Some(radius) = self.table.radius()
        {
            self.size.note(nodes, lookup::size(radius));
        }
    }

    /// Whether it is time to look how dense nodes are somewhere else.
    pub(super) fn wants_survey(&mut self, now: Instant) -> bool {
        self.size.survey(now, self.table.radius().map(lookup::size))
    }

    /// Remembers a node to begin with.
    pub(super) fn add_bootstrap(&mut self, addr: SocketAddr) {
        if !self.bootstrap.contains(&addr) {
            if self.bootstrap.len() >= MAX_BOOTSTRAP {
                self.bootstrap.pop_front();
            }
            self.bootstrap.push_back(addr);
        }
    }

    /// Remembers nodes of an earlier run.
    pub(super) fn add_saved(&mut self, nodes: impl Iterator<Item = CompactNode>) {
        let room = MAX_SAVED.saturating_sub(self.saved.len());
        self.saved.extend(nodes.take(room));
    }

    /// A bootstrap begins: the next one comes the later the more often they fail.
    pub(super) fn pause(&mut self, now: Instant) {
        self.next_bootstrap = now + self.pause;
        self.pause = (self.pause * 2).min(LAST_PAUSE);
    }

    /// There are nodes: should they be lost, the next bootstrap comes soon.
    pub(super) const fn found(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}
