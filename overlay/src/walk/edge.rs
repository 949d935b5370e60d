//! Walks along introductions, away from the nearest members.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::seq::IteratorRandom;

use crate::directory::Peer;
use crate::introducer::Introducer;
use crate::key::Mid;

/// Follows introductions from each of a few members, four steps deep: a member names one, that one names the next.
#[derive(Clone, Debug)]
pub struct EdgeWalk {
    /// Members on a path, its root included.
    pub length: usize,
    /// How many roots there are.
    pub roots: usize,
    /// How long a path may stand still before it ends.
    pub patience: Duration,
    neighbours: Vec<Mid>,
    growing: BTreeMap<Mid, Path>,
    finished: u64,
}

#[derive(Clone, Debug)]
struct Path {
    members: Vec<Mid>,
    grown_at: Instant,
}

impl Default for EdgeWalk {
    /// Four members, six roots, 3 s: as py-ipv8.
    fn default() -> Self {
        Self {
            length: 4,
            roots: 6,
            patience: Duration::from_secs(3),
            neighbours: Vec::new(),
            growing: BTreeMap::new(),
            finished: 0,
        }
    }
}

impl EdgeWalk {
    /// Paths of more than one member that have ended.
    pub const fn finished(&self) -> u64 {
        self.finished
    }

    /// Takes a step.
    pub fn step(&mut self, now: Instant, community: &mut Introducer) {
        self.drop_gone(community);
        if self.neighbours.len() < self.roots {
            self.look_around(now, community);
            return;
        }
        let idle = self.neighbours.iter();
        let idle = idle.filter(|root| !self.growing.contains_key(*root));
        match idle.choose(community.rng()).copied() {
            Some(root) => self.begin(now, root, community),
            None => self.grow(now, community),
        }
    }

    /// Roots that are no members any more make room for others.
    fn drop_gone(&mut self, community: &Introducer) {
        let directory = community.directory();
        let id = community.community();
        let there = |mid: Mid| directory.peer(mid).is_some() && directory.offers(mid, id);
        self.neighbours.retain(|mid| there(*mid));
        self.growing.retain(|root, path| {
            let whole = path.members.iter().all(|mid| there(*mid));
            there(*root) && whole
        });
    }

    fn look_around(&mut self, now: Instant, community: &mut Introducer) {
        let id = community.community();
        let walkable = {
            let directory = community.directory();
            let members = directory.peers(id).map(Peer::mid);
            for mid in members {
                if self.neighbours.len() < self.roots && !self.neighbours.contains(&mid) {
                    self.neighbours.push(mid);
                }
            }
            let walkable = directory.walkable(id).take(self.roots);
            walkable.collect::<Vec<_>>()
        };
        community.bootstrap(now);
        for addr in walkable {
            community.walk_to(now, addr);
        }
    }

    fn begin(&mut self, now: Instant, root: Mid, community: &mut Introducer) {
        let addr = community.directory().peer(root).map(Peer::addr);
        if let Some(addr) = addr {
            let path = Path {
                members: vec![root],
                grown_at: now,
            };
            self.growing.insert(root, path);
            community.walk_to(now, addr);
        }
    }

    fn grow(&mut self, now: Instant, community: &mut Introducer) {
        let mut ended = Vec::new();
        for (root, path) in &mut self.growing {
            let Some(last) = path.members.last().copied() else {
                ended.push(*root);
                continue;
            };
            let (mut verified, mut walkable) = (Vec::new(), Vec::new());
            {
                let directory = community.directory();
                for addr in directory.introduced_by(last).take(self.roots) {
                    match directory.peer_at(addr) {
                        Some(peer) => verified.push((peer.mid(), addr)),
                        None => walkable.push(addr),
                    }
                }
            }
            for addr in walkable {
                community.walk_to(now, addr);
            }
            if let Some((next, addr)) = verified.into_iter().choose(community.rng()) {
                path.grown_at = now;
                path.members.push(next);
                if path.members.len() >= self.length {
                    ended.push(*root);
                } else {
                    community.walk_to(now, addr);
                }
            } else if now.saturating_duration_since(path.grown_at) > self.patience {
                ended.push(*root);
            }
        }
        for root in ended {
            let path = self.growing.remove(&root);
            if path.is_some_and(|path| path.members.len() > 1) {
                self.finished += 1;
            }
        }
    }
}
