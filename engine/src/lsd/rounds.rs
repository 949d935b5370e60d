//! Which torrents are announced to the local network when.
//!
//! BEP 14: each about every five minutes, and none more often than once a minute, even if it is paused and resumed in
//! between. Torrents that are due soon go together, so that few datagrams carry many.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use protocol::id::InfoHash;
use rand::{Rng, RngExt as _};

use crate::settings::LocalDiscovery;

/// Between two announces of a torrent at the least.
const AT_LEAST: Duration = Duration::from_secs(60);

/// A new torrent waits up to this long, so that hosts that start together do not speak together.
const SPREAD_MS: u64 = 1000;

/// What is due within this goes along with what is due now.
const TOGETHER: Duration = Duration::from_secs(5);

/// Torrents that are named in one go.
const AT_ONCE: usize = 100;

/// Between two goes.
const PAUSE: Duration = Duration::from_millis(250);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Rounds {
    /// Between two announces of a torrent.
    every: Duration,
    torrents: BTreeMap<InfoHash, Torrent>,
    /// The same torrents, the longest due first.
    order: BTreeSet<(Instant, InfoHash)>,
    /// Those that left less than a minute after their last announce, with the time of that.
    gone: BTreeMap<InfoHash, Instant>,
    /// The same, the longest ago first.
    forgotten: BTreeSet<(Instant, InfoHash)>,
    last: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Torrent {
    due: Instant,
    announced: Option<Instant>,
}

impl Rounds {
    /// No torrents.
    pub(super) const fn new(settings: &LocalDiscovery) -> Self {
        Self {
            every: settings.announce_every,
            torrents: BTreeMap::new(),
            order: BTreeSet::new(),
            gone: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            last: None,
        }
    }

    /// Takes up other settings: where announces are to follow each other sooner, torrents are due sooner.
    pub(super) fn retune(&mut self, settings: &LocalDiscovery) {
        self.every = settings.announce_every;
        for (hash, torrent) in &mut self.torrents {
            let Some(announced) = torrent.announced else {
                continue;
            };
            let sooner = torrent.due.min(announced + self.every);
            self.order.remove(&(torrent.due, *hash));
            self.order.insert((sooner, *hash));
            torrent.due = sooner;
        }
    }

    /// A torrent wants to be known.
    pub(super) fn add(&mut self, hash: InfoHash, now: Instant, rng: &mut impl Rng) {
        self.forget(now);
        let soon = now + Duration::from_millis(rng.random_range(0..SPREAD_MS));
        if self.torrents.contains_key(&hash) {
            return;
        }
        let announced = self.gone.remove(&hash);
        if let Some(announced) = announced {
            self.forgotten.remove(&(announced, hash));
        }
        let due = announced.map_or(soon, |announced| soon.max(announced + AT_LEAST));
        self.torrents.insert(hash, Torrent { due, announced });
        self.order.insert((due, hash));
    }

    /// A torrent is announced as soon as it may be again.
    pub(super) fn hurry(&mut self, hash: InfoHash, now: Instant) {
        if let Some(torrent) = self.torrents.get_mut(&hash) {
            let may = torrent.announced.map_or(now, |at| now.max(at + AT_LEAST));
            let sooner = torrent.due.min(may);
            self.order.remove(&(torrent.due, hash));
            self.order.insert((sooner, hash));
            torrent.due = sooner;
        }
    }

    /// A torrent wants to be known no more.
    pub(super) fn remove(&mut self, hash: InfoHash, now: Instant) {
        self.forget(now);
        let Some(Torrent { due, announced }) = self.torrents.remove(&hash) else {
            return;
        };
        self.order.remove(&(due, hash));
        if let Some(announced) = announced.filter(|announced| *announced + AT_LEAST > now) {
            self.gone.insert(hash, announced);
            self.forgotten.insert((announced, hash));
        }
    }

    /// Forgets those that left long enough ago.
    fn forget(&mut self, now: Instant) {
        while let Some((announced, hash)) = self.forgotten.first().copied()
            && announced + AT_LEAST <= now
        {
            self.forgotten.pop_first();
            self.gone.remove(&hash);
        }
    }

    /// The torrents to announce now, in one go; call until there are none.
    pub(super) fn next(&mut self, now: Instant) -> Option<Vec<InfoHash>> {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        let rested = |hash: &InfoHash| {
            let torrent = self.torrents.get(hash);
            let announced = torrent.and_then(|torrent| torrent.announced);
            announced.is_none_or(|at| now >= at + AT_LEAST)
        };
        let soon = self
            .order
            .iter()
            .take_while(|(due, _)| *due <= now + TOGETHER);
        let chosen: Vec<(Instant, InfoHash)> = soon
            .filter(|(_, hash)| rested(hash))
            .take(AT_ONCE)
            .copied()
            .collect();
        for (due, hash) in &chosen {
            self.order.remove(&(*due, *hash));
            let again = Torrent {
                due: now + self.every,
                announced: Some(now),
            };
            self.order.insert((again.due, *hash));
            self.torrents.insert(*hash, again);
        }
        let chosen = chosen.into_iter().map(|(_, hash)| hash).collect();
        self.last = Some(now);
        Some(chosen)
    }

    /// When [`Rounds::next`] has something.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (first, _) = self.order.first().copied()?;
        Some(self.last.map_or(first, |last| first.max(last + PAUSE)))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn hash(n: u16) -> InfoHash {
        let mut bytes = [0; 20];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        InfoHash(bytes)
    }

    /// Runs until `end`; gives each go with its time.
    fn run(rounds: &mut Rounds, end: Instant) -> Vec<(Instant, Vec<InfoHash>)> {
        let mut goes = Vec::new();
        while let Some(at) = rounds.poll_timeout().filter(|at| *at <= end) {
            goes.push((at, rounds.next(at).unwrap()));
            assert!(rounds.next(at).is_none());
        }
        goes
    }

    #[test]
    fn a_torrent_is_announced_within_a_second_and_then_every_five_minutes() {
        let (start, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
        let mut rounds = Rounds::new(&LocalDiscovery::default());
        rounds.add(hash(1), start, &mut rng);
        let goes = run(&mut rounds, start + Duration::from_secs(900));
        assert_eq!(goes.len(), 3);
        assert!(goes[0].0 < start + Duration::from_secs(1));
        assert!(
            goes.windows(2)
                .all(|two| two[1].0 - two[0].0 == Duration::from_secs(300))
        );
    }

    #[test]
    fn coming_and_going_does_not_announce_more_than_once_a_minute() {
        let (start, mut rng) = (Instant::now(), StdRng::seed_from_u64(2));
        let mut rounds = Rounds::new(&LocalDiscovery::default());
        let mut announced = Vec::new();
        for second in 0..180 {
            let now = start + Duration::from_secs(second);
            rounds.add(hash(1), now, &mut rng);
            announced.extend(run(&mut rounds, now + Duration::from_millis(999)));
            rounds.remove(hash(1), now + Duration::from_millis(999));
        }
        assert_eq!(announced.len(), 3, "{announced:?}");
        assert!(
            announced
                .windows(2)
                .all(|two| two[1].0 - two[0].0 >= AT_LEAST)
        );
        assert!(rounds.gone.len() <= 1);
        assert_eq!(rounds.gone.len(), rounds.forgotten.len());
        assert_eq!(rounds.torrents.len(), rounds.order.len());
    }

    #[test]
    fn many_torrents_share_few_goes_and_all_have_their_turn() {
        let (start, mut rng) = (Instant::now(), StdRng::seed_from_u64(3));
        let mut rounds = Rounds::new(&LocalDiscovery::default());
        for n in 0..1000 {
            rounds.add(hash(n), start, &mut rng);
        }
        let goes = run(&mut rounds, start + Duration::from_secs(200));
        assert!(goes.len() <= 11, "{}", goes.len());
        assert!(goes.windows(2).all(|two| two[1].0 - two[0].0 >= PAUSE));
        let mut all: Vec<InfoHash> = goes.into_iter().flat_map(|(_, hashes)| hashes).collect();
        all.sort();
        assert_eq!(all, (0..1000).map(hash).collect::<Vec<_>>());
    }
}
