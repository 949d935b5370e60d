//! Through whom circuits go.

use std::collections::{BTreeMap, BTreeSet};

use overlay::key::PublicKey;
use rand::Rng;
use rand::seq::SliceRandom;

use crate::Flags;
use crate::circuit::{Hop, Purpose};
use crate::hidden::network_of;
use crate::node::Candidate;

/// How many first hops are kept to be asked if the first one does not answer.
const OTHERS: usize = 5;

/// How often a node is missed that is gone; an answer can be lost more than once.
const GONE: usize = 4;

/// What speaks for and against nodes.
#[derive(Debug)]
pub(crate) struct Used {
    /// How many circuits begin at each, and end at each.
    pub(crate) firsts: BTreeMap<PublicKey, usize>,
    pub(crate) exits: BTreeMap<PublicKey, usize>,
    /// Where more circuits of the kind begin than at others: these stand in for each other, and are not to die together.
    pub(crate) alike: BTreeSet<PublicKey>,
    /// Through whom circuits of the kind go.
    pub(crate) through: BTreeSet<PublicKey>,
    /// Those that perhaps are not there, and how often each was missed.
    pub(crate) doubted: BTreeMap<PublicKey, usize>,
    /// Where circuits of the kind begin whatever speaks against it, as long as these nodes answer.
    pub(crate) lasting: Option<BTreeSet<PublicKey>>,
}

impl Used {
    /// Whether a circuit of the kind should not begin at a node.
    fn is_no_first(&self, hop: &Hop) -> bool {
        let lasting = self.lasting.as_ref();
        lasting.is_some_and(|lasting| !lasting.contains(&hop.key))
    }

    /// How much speaks against a first hop. Among those that last, the circuits are spread: one answer that was lost does not
    /// have all of them begin at the same one, with which they would die together.
    fn against_first(&self, hop: &Hop) -> (usize, usize) {
        let times = self.firsts.get(&hop.key).copied().unwrap_or_default();
        let missed = self.doubted.get(&hop.key).copied().unwrap_or_default();
        if self.lasting.is_some() {
            let alike = usize::from(self.alike.contains(&hop.key));
            let gone = if missed >= GONE { 3 } else { 0 };
            let against = 2 * missed.min(1) + 3 * alike + gone + times.min(2);
            (against, times)
        } else {
            (missed.min(1) + times.min(1), 0)
        }
    }
}

/// Chooses the first hop, the exit, and first hops to ask instead. Those of other circuits are left out as long as there are
/// others; so are those that are doubted to be there, the network of the exit, and exits, which are scarce.
pub(crate) fn choose(
    candidates: &BTreeMap<PublicKey, Candidate>,
    purpose: Purpose,
    goal: u8,
    exit: Option<Hop>,
    used: &Used,
    rng: &mut impl Rng,
) -> Option<(Hop, Option<Hop>, Vec<Hop>)> {
    let given = exit.is_some();
    let mut exits = match exit {
        Some(exit) => vec![exit],
        None => exits(candidates, purpose, &BTreeSet::new()),
    };
    if exits.is_empty() || goal == 0 {
        return None;
    }
    exits.shuffle(rng);
    // One that did not answer weighs as much as one that other circuits end at, for an answer can be lost.
    exits.sort_by_key(|hop| {
        let times = used.exits.get(&hop.key).copied().unwrap_or_default();
        let begins = used.lasting.as_ref();
        let begins = begins.is_some_and(|lasting| lasting.contains(&hop.key));
        let [doubted, through] = [
            used.doubted.contains_key(&hop.key),
            used.through.contains(&hop.key),
        ];
        let against = [doubted, through, begins]
            .map(usize::from)
            .iter()
            .sum::<usize>()
            + times;
        (goal == 1 && used.is_no_first(hop), against)
    });
    let exit = exits.remove(0);
    if goal == 1 {
        exits.truncate(if given { 0 } else { OTHERS });
        return Some((exit.clone(), Some(exit), exits));
    }
    let none = BTreeSet::from([exit.key.clone()]);
    let mut firsts = with_flags(candidates, Flags::RELAY, &none);
    firsts.retain(|hop| hop.addr != exit.addr);
    firsts.shuffle(rng);
    let network = network_of(exit.addr);
    let is_exit = |hop: &Hop| {
        let known = candidates.get(&hop.key);
        known.is_some_and(|known| known.flags.contain(Flags::EXIT))
    };
    firsts.sort_by_key(|hop| {
        let near = network_of(hop.addr) == network;
        let against = used.against_first(hop);
        (used.is_no_first(hop), against, near, is_exit(hop))
    });
    firsts.truncate(OTHERS + 1);
    if firsts.is_empty() {
        return None;
    }
    let first = firsts.remove(0);
    Some((first, Some(exit), firsts))
}

/// The nodes that do all that `flags` says, but some.
pub(crate) fn with_flags(
    candidates: &BTreeMap<PublicKey, Candidate>,
    flags: Flags,
    but: &BTreeSet<PublicKey>,
) -> Vec<Hop> {
    let able = candidates
        .iter()
        .filter(|(key, candidate)| candidate.flags.contain(flags) && !but.contains(key));
    able.map(|(key, candidate)| Hop {
        key: key.clone(),
        addr: candidate.addr,
    })
    .collect()
}

/// Where a circuit of a kind may end, but at some.
pub(crate) fn exits(
    candidates: &BTreeMap<PublicKey, Candidate>,
    purpose: Purpose,
    but: &BTreeSet<PublicKey>,
) -> Vec<Hop> {
    let wanted: &[Flags] = match purpose {
        Purpose::Data => &[Flags::EXIT],
        Purpose::Test => &[Flags::SPEED_TEST],
        Purpose::Introduction => &[Flags::EXIT, Flags::EXIT_IPV8, Flags::RELAY],
        Purpose::RendezvousSeeder | Purpose::RendezvousDownloader => &[Flags::RELAY, Flags::EXIT],
    };
    let sets = wanted
        .iter()
        .map(|flags| with_flags(candidates, *flags, but));
    sets.into_iter()
        .find(|set| !set.is_empty())
        .unwrap_or_default()
}
