//! Our address, as trackers see it (BEP 24).

use std::collections::BTreeMap;
use std::net::IpAddr;

use net::{Family, Scope};

use crate::announce::tracker::Place;

/// Trackers whose last word counts.
const MOST_VOTERS: usize = 64;

/// What trackers say is our address, each with its last word for each family, so that none outvotes others.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    words: BTreeMap<(Place, Family), IpAddr>,
    /// The addresses of the families, with the number of trackers that say so; most first.
    pub(crate) standing: Vec<(IpAddr, usize)>,
}

impl Votes {
    /// A tracker says what our address is. Only what everyone could reach counts.
    pub(crate) fn cast(&mut self, tracker: &Place, ip: IpAddr) {
        let ip = ip.to_canonical();
        let key = (tracker.clone(), Family::of(ip));
        let known = self.words.get(&key);
        let room = known.is_some() || self.words.len() < MOST_VOTERS;
        if Scope::of(ip) != Some(Scope::Global) || known == Some(&ip) || !room {
            return;
        }
        self.words.insert(key, ip);
        let mut counts = BTreeMap::<IpAddr, usize>::new();
        for ip in self.words.values() {
            *counts.entry(*ip).or_default() += 1;
        }
        self.standing = counts.into_iter().collect();
        self.standing
            .sort_by_key(|(ip, count)| (std::cmp::Reverse(*count), *ip));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tracker_has_one_vote_a_family_and_its_last_word_counts() {
        let mut votes = Votes::default();
        let mut cast = |tracker: &str, ip: &str| {
            votes.cast(&Place(tracker.into()), ip.parse().unwrap());
            let standing = votes
                .standing
                .iter()
                .map(|(ip, count)| format!("{ip} {count}"));
            standing.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(cast("a", "192.168.0.2"), "");
        assert_eq!(cast("a", "80.1.1.1"), "80.1.1.1 1");
        assert_eq!(cast("a", "80.1.1.1"), "80.1.1.1 1");
        assert_eq!(cast("b", "80.2.2.2"), "80.1.1.1 1, 80.2.2.2 1");
        assert_eq!(cast("c", "::ffff:80.2.2.2"), "80.2.2.2 2, 80.1.1.1 1");
        assert_eq!(cast("a", "80.2.2.2"), "80.2.2.2 3");
        assert_eq!(cast("a", "2a00::1"), "80.2.2.2 3, 2a00::1 1");
        for n in 0..1000 {
            cast(&format!("liar {n}"), "90.9.9.9");
        }
        assert!(votes.words.len() <= MOST_VOTERS);
    }
}
