//! What a node does of its own accord: finding its place, refreshing its table, forgetting what is old.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::krpc::NodeId;
use protocol::tracker::compact::CompactNode;

use super::Node;
use super::side::Side;
use crate::family::{Family, is_usable};
use crate::saved::Saved;
use crate::table::{K, Table};

/// How often it looks whether there is something to do.
const TICK: Duration = Duration::from_secs(5);

/// Nodes of a family that are asked at each tick whether they are still there.
const CHECKS: usize = 2;

/// Nodes of the other family that are kept while we know few there.
const MAX_HINTS: usize = 64;

impl Node {
    /// Adds a node that may be there: of a torrent's `nodes`, of a PORT message, of the user's choice. It is asked
    /// whether it is, and remembered for a time when nobody else is known.
    pub fn add_node(&mut self, now: Instant, addr: SocketAddr) {
        if !is_usable(&addr) {
            return;
        }
        let Some(side) = self.side_mut(Family::of(&addr)) else {
            return;
        };
        let lonely = side.table.len() < K;
        side.add_bootstrap(addr);
        if lonely {
            // The bootstrap asks it.
            side.next_bootstrap = side.next_bootstrap.min(now);
            self.next_tick = self.next_tick.min(now);
        } else {
            self.check(now, addr);
        }
    }

    /// Keeps nodes of a family in which we know few, for its next bootstrap.
    pub(super) fn hint(
        &mut self,
        now: Instant,
        family: Family,
        nodes: impl Iterator<Item = (NodeId, SocketAddr)>,
    ) {
        let Some(side) = self.side_mut(family).filter(|side| side.table.len() < K) else {
            return;
        };
        let room = MAX_HINTS.saturating_sub(side.saved.len());
        let news = nodes
            .take(room)
            .map(|(id, addr)| CompactNode { id: id.0, addr });
        let before = side.saved.len();
        side.add_saved(news);
        if side.saved.len() > before && side.is_lonely() {
            side.next_bootstrap = side.next_bootstrap.min(now);
            self.next_tick = self.next_tick.min(now);
        }
    }

    /// Takes over what an earlier run has saved.
    pub fn restore(&mut self, now: Instant, saved: &Saved) {
        let (restrict, give_up) = (self.config.restricts(), self.config.tuning.give_up);
        let fixed = self.config.id.is_some();
        for family in Family::ALL {
            let Some(side) = self.side_mut(family) else {
                continue;
            };
            let id = saved.ids[family as usize].filter(|_| !fixed && side.table.len() == 0);
            if let Some(id) = id {
                side.table = Table::new(id, restrict).giving_up_after(give_up);
            }
            let nodes = saved
                .nodes
                .iter()
                .filter(|node| Family::of(&node.addr) == family && is_usable(&node.addr));
            side.add_saved(nodes.copied());
        }
        self.next_tick = now;
    }

    /// What the next run can begin with. While our table is emptier than what we began with, that is kept.
    pub fn save(&self) -> Saved {
        let mut saved = Saved::default();
        for family in Family::ALL {
            let Some(side) = self.side(family) else {
                continue;
            };
            saved.ids[family as usize] = Some(side.table.own());
            let living: Vec<CompactNode> = side
                .table
                .contacts()
                .filter(|contact| !contact.is_bad())
                .map(crate::table::Contact::node)
                .collect();
            if living.len() < K {
                saved.nodes.extend(&side.saved);
            }
            saved.nodes.extend(living);
        }
        saved
    }

    /// The regular upkeep.
    pub(super) fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK;
        self.tokens.rotate(now, &mut self.rng);
        self.answers.sweep(now, |now| {
            self.peers.sweep(now);
            self.items.sweep(now);
            self.proven.sweep(now);
        });
        for family in Family::ALL {
            self.tick_family(now, family);
        }
    }

    fn tick_family(&mut self, now: Instant, family: Family) {
        let Some(side) = self.side_mut(family) else {
            return;
        };
        let doubtful = side.table.questionable(now, CHECKS);
        for node in doubtful {
            self.check_known(now, &node);
        }
        let Some(side) = self.side(family) else {
            return;
        };
        if side.refresh.is_some_and(|job| self.jobs.contains_key(&job)) {
            return;
        }
        let own = side.table.own();
        let through = if side.has_leads() {
            family
        } else {
            // Nodes of the other family know some of this one (BEP 32).
            family.other()
        };
        let target = if side.is_lonely() {
            (now >= side.next_bootstrap).then_some(own)
        } else {
            let stale = side.table.stale(now);
            stale.map(|bucket| own.random_sharing(bucket, &mut self.rng))
        };
        let survey = NodeId::random(&mut self.rng);
        let Some(side) = self.side_mut(family) else {
            return;
        };
        let target = match target {
            Some(target) if target == own => {
                side.pause(now);
                target
            }
            Some(target) => {
                side.table.refreshing(now, own.shared_bits(&target));
                target
            }
            None if !side.is_lonely() && side.wants_survey(now) => survey,
            None => return,
        };
        let job = self.start_refresh(now, through, target);
        if self.jobs.contains_key(&job)
            && let Some(side) = self.side_mut(family)
        {
            side.refresh = Some(job);
        }
    }
}

impl Side {
    /// Whether so few nodes are known that finding some comes before everything else.
    fn is_lonely(&self) -> bool {
        self.table.len() < K / 2
    }

    /// Whether there is anybody in this family to ask.
    fn has_leads(&self) -> bool {
        self.table.len() > 0 || !self.bootstrap.is_empty() || !self.saved.is_empty()
    }
}
