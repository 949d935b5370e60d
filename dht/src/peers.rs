//! The peers that others have announced to us.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use net::scope::origin;
use protocol::id::InfoHash;
use protocol::krpc::{Bloom, Distance, NodeId};
use rand::{Rng, RngExt};

use crate::family::Family;

/// How many peers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// In all.
    pub total: usize,
    /// Of one torrent.
    pub per_torrent: usize,
    /// From one address (IPv6: one /64), over all torrents.
    pub per_address: usize,
}

impl Default for PeerLimits {
    /// 20,000 in all, 1,000 of a torrent, 200 from an address.
    fn default() -> Self {
        Self {
            total: 20_000,
            per_torrent: 1000,
            per_address: 200,
        }
    }
}

/// How long a peer is kept: deployed clients announce every 15 to 30 minutes, and one announce may get lost.
pub(crate) const LIFETIME: Duration = Duration::from_secs(45 * 60);

/// A peer of a torrent.
#[derive(Clone, Copy, Debug)]
struct Stored {
    seed: bool,
    until: Instant,
}

/// Which peers are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// Of one family, or of both.
    pub(crate) family: Option<Family>,
    /// No seeds.
    pub(crate) noseed: bool,
    /// At most so many.
    pub(crate) most: usize,
}

/// The peers of a torrent.
#[derive(Debug)]
struct Torrent {
    /// How far it is from us: others keep better what is far.
    distance: Distance,
    peers: BTreeMap<SocketAddr, Stored>,
}

/// Peers by torrent. When it is full, the torrent that has most gives up its oldest peer; when all have one, the farthest
/// from our id makes room for a nearer one.
#[derive(Debug)]
pub(crate) struct PeerStore {
    limits: PeerLimits,
    torrents: BTreeMap<InfoHash, Torrent>,
    /// All torrents by how many peers they have, then by distance.
    by_size: BTreeSet<(usize, Distance, InfoHash)>,
    by_origin: BTreeMap<IpAddr, usize>,
    total: usize,
    /// Before this nothing expires.
    next_end: Option<Instant>,
}

impl PeerStore {
    pub(crate) const fn new(limits: PeerLimits) -> Self {
        Self {
            limits,
            torrents: BTreeMap::new(),
            by_size: BTreeSet::new(),
            by_origin: BTreeMap::new(),
            total: 0,
            next_end: None,
        }
    }

    /// Holds to other limits from now on; who is there stays until its time is over.
    pub(crate) const fn set_limits(&mut self, limits: PeerLimits) {
        self.limits = limits;
    }

    /// Stores a peer, or notes that it is still there; says whether there was room.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        own: &NodeId,
        hash: InfoHash,
        peer: SocketAddr,
        seed: bool,
    ) -> bool {
        let until = now + LIFETIME;
        let stored = Stored { seed, until };
        let torrent = self.torrents.get_mut(&hash);
        if let Some(known) = torrent.and_then(|torrent| torrent.peers.get_mut(&peer)) {
            *known = stored;
            return true;
        }
        let from = origin(peer.ip());
        if self.by_origin.get(&from).copied().unwrap_or(0) >= self.limits.per_address {
            return false;
        }
        if self.total >= self.limits.total && self.next_end.is_some_and(|end| end <= now) {
            self.sweep(now);
        }
        let distance = own.distance(&hash.into());
        if self.size_of(hash) >= self.limits.per_torrent {
            self.shrink(hash);
        } else if self.total >= self.limits.total && !self.make_room(hash, distance) {
            return false;
        }
        let torrent = self.torrents.entry(hash).or_insert_with(|| Torrent {
            distance,
            peers: BTreeMap::new(),
        });
        let before = (torrent.peers.len(), torrent.distance, hash);
        torrent.peers.insert(peer, stored);
        self.by_size.remove(&before);
        self.by_size.insert((before.0 + 1, before.1, hash));
        self.total += 1;
        self.next_end = Some(self.next_end.map_or(until, |end| end.min(until)));
        *self.by_origin.entry(from).or_default() += 1;
        true
    }

    /// Some peers, chosen at random.
    pub(crate) fn some(
        &self,
        now: Instant,
        hash: InfoHash,
        wanted: Choice,
        rng: &mut impl Rng,
    ) -> Vec<SocketAddr> {
        let Choice {
            family,
            noseed,
            most,
        } = wanted;
        let mut chosen: Vec<SocketAddr> = Vec::new();
        for (seen, peer) in self
            .living(now, hash)
            .filter(|(peer, stored)| {
                family.is_none_or(|family| Family::of(peer) == family) && !(noseed && stored.seed)
            })
            .map(|(peer, _)| *peer)
            .enumerate()
        {
            if chosen.len() < most {
                chosen.push(peer);
            } else if let Some(place) = chosen.get_mut(rng.random_range(0..=seen)) {
                *place = peer;
            }
        }
        chosen
    }

    /// The filters of seeds and of all others (BEP 33).
    pub(crate) fn filters(&self, now: Instant, hash: InfoHash) -> (Bloom, Bloom) {
        let (mut seeds, mut others) = (Bloom::new(), Bloom::new());
        for (peer, stored) in self.living(now, hash) {
            let filter = if stored.seed { &mut seeds } else { &mut others };
            filter.insert(peer.ip());
        }
        (seeds, others)
    }

    /// Up to `most` torrents, chosen at random (BEP 51).
    pub(crate) fn sample(&self, most: usize, rng: &mut impl Rng) -> Vec<InfoHash> {
        let mut chosen: Vec<InfoHash> = Vec::new();
        for (seen, hash) in self.torrents.keys().enumerate() {
            if chosen.len() < most {
                chosen.push(*hash);
            } else if let Some(place) = chosen.get_mut(rng.random_range(0..=seen)) {
                *place = *hash;
            }
        }
        chosen
    }

    /// Whether there is nothing of a torrent.
    pub(crate) fn is_unknown(&self, hash: InfoHash) -> bool {
        !self.torrents.contains_key(&hash)
    }

    /// How many torrents there are peers of.
    pub(crate) fn torrents(&self) -> usize {
        self.torrents.len()
    }

    /// How many peers there are.
    pub(crate) const fn len(&self) -> usize {
        self.total
    }

    /// Forgets peers that were not announced again.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let mut gone = Vec::new();
        let mut next_end: Option<Instant> = None;
        let by_size = &mut self.by_size;
        self.torrents.retain(|hash, torrent| {
            let before = torrent.peers.len();
            torrent.peers.retain(|peer, stored| {
                let stays = stored.until > now;
                if stays {
                    next_end = Some(next_end.map_or(stored.until, |end| end.min(stored.until)));
                } else {
                    gone.push(peer.ip());
                }
                stays
            });
            let left = torrent.peers.len();
            if left < before {
                by_size.remove(&(before, torrent.distance, *hash));
                if left > 0 {
                    by_size.insert((left, torrent.distance, *hash));
                }
            }
            left > 0
        });
        self.next_end = next_end;
        self.total -= gone.len();
        for ip in gone {
            self.forget(ip);
        }
    }

    fn living(&self, now: Instant, hash: InfoHash) -> impl Iterator<Item = (&SocketAddr, &Stored)> {
        let torrent = self.torrents.get(&hash).into_iter();
        let peers = torrent.flat_map(|torrent| &torrent.peers);
        peers.filter(move |(_, stored)| stored.until > now)
    }

    fn size_of(&self, hash: InfoHash) -> usize {
        let torrent = self.torrents.get(&hash);
        torrent.map_or(0, |torrent| torrent.peers.len())
    }

    /// Drops one peer, so that there is a place for one of this torrent; `false` where nobody has to yield to it.
    fn make_room(&mut self, newcomer: InfoHash, at: Distance) -> bool {
        let Some(&(most, distance, largest)) = self.by_size.last() else {
            return false;
        };
        let own = self.size_of(newcomer);
        if most > own.max(1) || own == 0 && distance > at {
            self.shrink(largest);
        } else if own > 0 {
            self.shrink(newcomer);
        } else {
            return false;
        }
        true
    }

    /// Drops the peer of a torrent that is nearest its end, and the torrent with its last one.
    fn shrink(&mut self, hash: InfoHash) {
        let Some(torrent) = self.torrents.get_mut(&hash) else {
            return;
        };
        let oldest = torrent.peers.iter().min_by_key(|(_, stored)| stored.until);
        let Some(oldest) = oldest.map(|(peer, _)| *peer) else {
            return;
        };
        let (before, distance) = (torrent.peers.len(), torrent.distance);
        torrent.peers.remove(&oldest);
        self.by_size.remove(&(before, distance, hash));
        if before > 1 {
            self.by_size.insert((before - 1, distance, hash));
        } else {
            self.torrents.remove(&hash);
        }
        self.total -= 1;
        self.forget(oldest.ip());
    }

    fn forget(&mut self, ip: IpAddr) {
        let ip = origin(ip);
        if let Some(count) = self.by_origin.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.by_origin.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const OWN: NodeId = NodeId([0; 20]);

    const fn choice(family: Option<Family>, noseed: bool, most: usize) -> Choice {
        Choice {
            family,
            noseed,
            most,
        }
    }

    fn hash(n: u8) -> InfoHash {
        InfoHash([n; 20])
    }

    fn peer(n: u32) -> SocketAddr {
        (n.to_be_bytes(), 6881).into()
    }

    fn store(total: usize, per_torrent: usize, per_address: usize) -> PeerStore {
        PeerStore::new(PeerLimits {
            total,
            per_torrent,
            per_address,
        })
    }

    fn check(store: &PeerStore) {
        let sizes = store.torrents.iter();
        let sizes = sizes.map(|(hash, torrent)| (torrent.peers.len(), torrent.distance, *hash));
        let sizes: BTreeSet<_> = sizes.collect();
        assert_eq!(sizes, store.by_size);
        let counted: usize = sizes.iter().map(|(size, ..)| size).sum();
        assert_eq!(counted, store.total);
        assert_eq!(store.by_origin.values().sum::<usize>(), store.total);
        assert!(sizes.iter().all(|(size, ..)| *size > 0));
    }

    #[test]
    fn peers_are_found_until_they_expire() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut store = store(100, 100, 100);
        let now = Instant::now();
        assert!(store.add(now, &OWN, hash(1), peer(1), true));
        assert!(store.add(now, &OWN, hash(1), peer(2), false));
        let later = now + LIFETIME / 2;
        assert!(store.add(later, &OWN, hash(1), peer(2), false));
        let mut some = |now, noseed| store.some(now, hash(1), choice(None, noseed, 9), &mut rng);
        assert_eq!(some(later, false), [peer(1), peer(2)]);
        assert_eq!(some(later, true), [peer(2)]);
        assert_eq!(some(now + LIFETIME, false), [peer(2)]);
        store.sweep(now + LIFETIME);
        assert_eq!(store.len(), 1);
        check(&store);
        let (seeds, others) = store.filters(later, hash(1));
        assert!(seeds.is_empty() && !others.is_empty());
    }

    #[test]
    fn families_are_told_apart_and_choices_are_bounded() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut store = store(1000, 1000, 1000);
        let now = Instant::now();
        (0..300).for_each(|n| assert!(store.add(now, &OWN, hash(1), peer(n), false)));
        let v6 = "[2001:db8::1]:1".parse().unwrap();
        store.add(now, &OWN, hash(1), v6, false);
        assert_eq!(
            store.some(now, hash(1), choice(Some(Family::V6), false, 9), &mut rng),
            [v6]
        );
        let some = store.some(now, hash(1), choice(Some(Family::V4), false, 50), &mut rng);
        assert_eq!(some.len(), 50);
        assert!(some.iter().any(|p| *p > peer(100)), "always the same ones");
    }

    #[test]
    fn no_limit_is_exceeded_and_who_has_most_makes_room() {
        let now = Instant::now();
        let mut store = store(50, 10, 5);
        let one_address = |port| SocketAddr::from(([1, 1, 1, 1], port));
        let taken = (1..20).filter(|port| store.add(now, &OWN, hash(1), one_address(*port), false));
        assert_eq!(taken.count(), 5);
        for n in 0..100 {
            let at = now + Duration::from_secs(u64::from(n));
            store.add(at, &OWN, hash(2), peer(n), false);
            check(&store);
        }
        assert_eq!(store.size_of(hash(2)), 10);
        assert!(store.torrents[&hash(2)].peers.contains_key(&peer(99)));
        let sizes = |store: &PeerStore| [1, 2].map(|n| store.size_of(hash(n)));
        for n in 3..200 {
            store.add(now, &OWN, hash(n), peer(1000 + u32::from(n)), false);
            check(&store);
            assert!(store.len() <= 50);
            // Nobody loses its last peer to a newcomer that is farther.
            assert_eq!(store.size_of(hash(n)), usize::from(n <= 50));
        }
        assert_eq!(sizes(&store), [1, 1]);
        assert!(store.torrents[&hash(2)].peers.contains_key(&peer(99)));
        // A nearer one comes in the place of the farthest.
        assert!(store.add(now, &OWN, hash(0), peer(9999), false));
        assert_eq!((store.size_of(hash(50)), store.len()), (0, 50));
        // One that grows takes from itself when it has most.
        assert!(store.add(now, &OWN, hash(7), peer(5000), false));
        assert_eq!((store.size_of(hash(7)), store.len()), (1, 50));
        check(&store);
        // What has expired makes room before anybody does.
        assert!(store.add(now + LIFETIME, &OWN, hash(199), peer(6000), false));
        check(&store);
    }
}
