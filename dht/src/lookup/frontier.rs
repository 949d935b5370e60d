//! The nodes that a lookup goes for, and how it gets around a crowd that somebody has put there.

use std::collections::BTreeSet;

use protocol::krpc::Distance;

use super::{Candidate, Lookup, MAX_BESIDE, State, Step};
use crate::family::Subnet;
use crate::table::K;

/// The most nodes that a lookup ends with.
const MAX_FRONTIER: usize = 32;

/// Where fewer nodes than this are to be expected as near as the [`K`] nearest are, somebody crowds around the target.
/// Chance alone does that to one lookup of a thousand.
const CROWD: f64 = K as f64 / 4.0;

/// How many nodes are to be expected as near as those that a lookup ends with, where nobody crowds.
const ENOUGH: f64 = K as f64 / 2.0;

/// How many parts of the neighbourhood are asked for beside a crowd, each half as large as the one before.
const PARTS: usize = 4;

impl Lookup {
    /// The nodes that answered, the nearest first: at least [`K`] where there are so many. What is to be stored goes to
    /// them.
    pub(crate) fn nearest(&self) -> impl Iterator<Item = &Candidate> {
        self.frontier()
            .map(|(_, candidate)| candidate)
            .filter(|candidate| candidate.state == State::Answered)
    }

    /// How many nodes the network has, judged by how dense they are around the target.
    pub(crate) fn size(&self) -> Option<f64> {
        let mut near = self.nearest().filter(|candidate| candidate.valid);
        let last = near.nth(K - 1)?;
        Some(size(self.target.distance(&last.id).fraction()))
    }

    /// The nearest nodes that count, the nearest first: what the lookup goes for.
    pub(super) fn frontier(&self) -> impl Iterator<Item = (&Distance, &Candidate)> {
        let mut subnets = BTreeSet::new();
        let (mut fit, mut unfit) = (0, 0);
        // How many nodes are to be expected as near as those so far.
        let mut expected = 0.0;
        let mut crowded = false;
        self.candidates
            .iter()
            .filter(|(_, candidate)| {
                candidate.state != State::Failed && !self.is_dead_end(candidate)
            })
            .filter(move |(_, candidate)| {
                !self.restrict || subnets.insert(Subnet::of(candidate.addr.ip()))
            })
            .map_while(move |(distance, candidate)| {
                crowded |= fit == K && expected < CROWD;
                let (near, least) = if crowded {
                    (K as f64, 2 * K)
                } else {
                    (ENOUGH, K)
                };
                let far = fit >= least && expected >= near;
                if far || fit >= K && fit + unfit >= MAX_FRONTIER {
                    return None;
                }
                if candidate.valid {
                    expected = distance.fraction() * self.network_size;
                    fit += 1;
                } else {
                    unfit += 1;
                    if unfit > K {
                        return Some(None);
                    }
                }
                Some(Some((distance, candidate)))
            })
            .flatten()
    }

    /// Whom to ask for nodes beside a crowd, when there is one. Those who answer truthfully name the nodes that they know
    /// nearest to what they are asked for, and where that is the target, these are the crowd.
    pub(super) fn beside_crowd(&self) -> Option<Step> {
        if self.beside.len() >= MAX_BESIDE || self.in_flight >= self.alpha {
            return None;
        }
        let mut fit = self.frontier().filter(|(_, candidate)| candidate.valid);
        let (distance, _) = fit.nth(K - 1)?;
        if distance.fraction() * self.network_size >= CROWD {
            return None;
        }
        // The farthest first: the nearest are the crowd.
        let answered = self.nearest();
        let next = answered.filter(|candidate| !self.beside.contains(&candidate.addr));
        let next = next.last()?;
        // The largest part holds between K / 2 and K nodes.
        let depth = (self.network_size / K as f64).max(1.0).log2() as usize;
        let bit = (depth + self.beside.len() % PARTS).min(159);
        let mut id = self.target;
        if let Some(byte) = id.0.get_mut(bit / 8) {
            *byte ^= 0x80 >> (bit % 8);
        }
        Some(Step::Beside(next.addr, id))
    }
}

/// How many nodes there are when the [`K`] nearest lie within this part of the id space.
pub(crate) fn size(fraction: f64) -> f64 {
    ((K - 1) as f64 / fraction.max(f64::MIN_POSITIVE)).min(1e9)
}
