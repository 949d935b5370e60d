//! Where circuits begin that strangers can have us build.
//!
//! A first hop sees who we are. Whoever could have us begin circuits at ever other nodes would only have to wait until one
//! of them is theirs; so the circuits of hidden swarms begin at a few nodes that stay the same as long as they are there,
//! and again when they come back.

use std::collections::{BTreeMap, BTreeSet};

use overlay::key::PublicKey;
use rand::Rng;
use rand::seq::IteratorRandom;

use crate::Flags;
use crate::node::Candidate;

/// The fewest nodes that circuits begin at: one or two of them may be gone.
const FEWEST: usize = 3;

/// How many circuits begin at one before there is another one; a node of the original has place for a hundred.
const EACH: usize = 32;

/// The most that are remembered, those that are gone included.
const MOST: usize = 256;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Firsts {
    /// In the order in which they were chosen.
    chosen: Vec<PublicKey>,
}

impl Firsts {
    pub(crate) const fn new() -> Self {
        Self { chosen: Vec::new() }
    }

    /// Those at which circuits begin of which there are so many; others are chosen where too few are there.
    pub(crate) fn of(
        &mut self,
        candidates: &BTreeMap<PublicKey, Candidate>,
        circuits: usize,
        rng: &mut impl Rng,
    ) -> BTreeSet<PublicKey> {
        let wanted = circuits.div_ceil(EACH).max(FEWEST);
        let relays = |key: &PublicKey| {
            let known = candidates.get(key);
            known.is_some_and(|known| known.flags.contain(Flags::RELAY))
        };
        let there = self.chosen.iter().filter(|key| relays(key));
        let mut there: BTreeSet<PublicKey> = there.take(wanted).cloned().collect();
        while there.len() < wanted {
            let mut others: Vec<_> = candidates
                .iter()
                .filter(|(key, known)| known.flags.contain(Flags::RELAY) && !there.contains(*key))
                .collect();
            // Exits are scarce.
            if others.iter().any(|(_, known)| !is_exit(known)) {
                others.retain(|(_, known)| !is_exit(known));
            }
            let Some((key, _)) = others.into_iter().choose(rng) else {
                break;
            };
            there.insert(key.clone());
            self.chosen.push(key.clone());
        }
        while self.chosen.len() > MOST {
            let gone = self.chosen.iter().position(|key| !relays(key));
            self.chosen.remove(gone.unwrap_or(MOST));
        }
        there
    }
}

const fn is_exit(known: &Candidate) -> bool {
    known.flags.contain(Flags::EXIT)
}

#[cfg(test)]
mod tests {
    use overlay::key::SecretKey;

    use super::*;
    use crate::testing::rng;

    fn nodes(numbers: std::ops::Range<u8>, flags: Flags) -> BTreeMap<PublicKey, Candidate> {
        let nodes = numbers.map(|number| {
            let key = SecretKey::from_bytes(&[number; 64]).unwrap();
            let addr = ([20, number, 0, 1], 1).into();
            (key.public().clone(), Candidate { addr, flags })
        });
        nodes.collect()
    }

    #[test]
    fn they_stay_the_same_whoever_comes_and_come_back_when_they_were_gone() {
        let (mut firsts, mut rng) = (Firsts::new(), rng(1));
        let few = nodes(1..5, Flags::RELAY);
        let first = firsts.of(&few, 1, &mut rng);
        assert_eq!(first.len(), FEWEST);
        let mut many = nodes(1..60, Flags::RELAY);
        assert_eq!(firsts.of(&many, EACH * FEWEST, &mut rng), first);
        let gone = first.first().unwrap().clone();
        let known = many.remove(&gone).unwrap();
        let without = firsts.of(&many, 1, &mut rng);
        assert_eq!(without.len(), FEWEST);
        assert_eq!(without.intersection(&first).count(), FEWEST - 1);
        many.insert(gone, known);
        assert_eq!(firsts.of(&many, 1, &mut rng), first);
    }

    #[test]
    fn there_are_as_many_as_circuits_need_and_as_are_known_and_no_exit_without_need() {
        let (mut firsts, mut rng) = (Firsts::new(), rng(2));
        let exits = Flags::RELAY.and(Flags::EXIT);
        let mut known = nodes(1..21, Flags::RELAY);
        known.extend(nodes(21..31, exits));
        let chosen = firsts.of(&known, 20 * EACH, &mut rng);
        assert!(chosen.iter().all(|key| !is_exit(&known[key])));
        assert_eq!(chosen.len(), 20);
        assert_eq!(firsts.of(&known, 1000 * EACH, &mut rng).len(), 30);
        assert!(firsts.of(&nodes(1..9, Flags::EXIT), 1, &mut rng).is_empty());
        assert_eq!(firsts.of(&known, 1, &mut rng).len(), FEWEST);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (mut firsts, mut rng) = (Firsts::new(), rng(3));
        for number in 0..=250 {
            firsts.of(&nodes(number..number + 3, Flags::RELAY), 1, &mut rng);
            firsts.of(&nodes(number..number + 3, Flags::RELAY), 1000, &mut rng);
        }
        assert!(firsts.chosen.len() <= MOST);
    }
}
