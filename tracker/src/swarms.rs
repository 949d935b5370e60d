//! The swarms of a tracker: which peers there are of which torrent.
//!
//! Any number of threads use it at once; each call takes one lock among many for about 100 ns, does no IO and never waits for
//! anything else. A peer is ten bytes beside an index of five to twelve, 30 with its id; a torrent with one peer needs no room but its
//! own. What is chosen by strangers, hashes and addresses, is spread by a key that they do not know.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use protocol::id::{InfoHash, PeerId};
use protocol::tracker::ScrapeEntry;
use rand::Rng;

mod family;
mod many;
mod mark;
mod member;
mod pick;
mod rows;
mod rules;
mod shard;
mod show;
mod sweep;
#[cfg(test)]
mod tests;

pub use mark::Seconds;
pub use member::{Counts, Event, Report};
pub use pick::Picked;
pub use rules::{Identity, Keep};
pub use show::{PeerView, TorrentView};
pub use sweep::Sweep;

use member::{Member, Put};
use pick::Room;
use rules::Rules;
use shard::{Shard, Torrent};

/// Locks: many more than threads, so that two rarely want the same.
const SHARDS: usize = 256;

/// Bounds and habits of swarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwarmOptions {
    /// What is kept of peers.
    pub keep: Keep,
    /// Torrents at most, within a few in a hundred: strangers can announce any hash.
    pub most_torrents: u32,
    /// Peers of one torrent and family at most.
    pub most_peers: u32,
    /// Whether somebody takes completions, by [`Swarms::take_completed`]: then torrents that were completed stay when their last
    /// peer has left, as long as there is room.
    pub completions_taken: bool,
    /// Whether torrents go with their last peer.
    pub forget_empty: bool,
}

/// What a peer tells, and what it wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The peer.
    pub peer_id: PeerId,
    /// Where others reach it. IPv4 addresses within IPv6 are taken as IPv4.
    pub addr: SocketAddr,
    /// Whether it has everything.
    pub seeder: bool,
    /// It leaves: it is taken out, and is told of nobody.
    pub stopped: bool,
    /// What it has transferred, and why it announces.
    pub report: Report,
    /// Peers that it wants to be told of.
    pub want: usize,
    /// Whether it is told of peers of both families; else of its own.
    pub mixed: bool,
}

/// How a swarm stands after an announce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Peers of both families, whoever announced included.
    pub counts: Counts,
    /// How often the torrent was completed.
    pub completed: u32,
    /// Whether who announced was left out, because there are too many torrents or peers.
    pub full: bool,
}

/// All swarms.
#[derive(Debug)]
pub struct Swarms {
    shards: Box<[Mutex<Shard>]>,
    rules: Rules,
    options: SwarmOptions,
    /// Torrents of one shard at most.
    share: usize,
    left_out: AtomicU64,
    dropped: AtomicU64,
}

/// Sums over all swarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Torrents, those without peers included.
    pub torrents: u64,
    /// Peers of IPv4.
    pub v4: Counts,
    /// Peers of IPv6.
    pub v6: Counts,
    /// Completions of all torrents that are known.
    pub completed: u64,
}

impl Default for SwarmOptions {
    fn default() -> Self {
        Self {
            keep: Keep::default(),
            most_torrents: 10_000_000,
            most_peers: 10_000_000,
            completions_taken: false,
            forget_empty: true,
        }
    }
}

impl Swarms {
    /// No torrents yet.
    pub fn new(options: SwarmOptions) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self {
            shards,
            rules: Rules::new(options.keep),
            options,
            share: (options.most_torrents as usize).div_ceil(SHARDS),
            left_out: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Enters what a peer tells, and adds to `picked` whom it is told of.
    pub fn announce(
        &self,
        announced: &Announced,
        now: Seconds,
        rng: &mut impl Rng,
        picked: &mut Picked,
    ) -> Standing {
        let hash = self.rules.hash(&announced.info_hash.0);
        let mut shard = self.shard(hash).lock();
        let mut full = false;
        let at = match shard.find(hash, &announced.info_hash) {
            Some(at) => at,
            None if announced.stopped => return Standing::default(),
            None if shard.torrents.len() >= self.share => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                return Standing {
                    full: true,
                    ..Standing::default()
                };
            }
            None => shard.add(hash, announced.info_hash, &self.rules),
        };
        let ip = announced.addr.ip().to_canonical();
        let visit = Visit {
            announced,
            now,
            rules: &self.rules,
            most: self.options.most_peers as usize,
        };
        let Shard {
            torrents, totals, ..
        } = &mut *shard;
        let torrent = &mut torrents[at];
        let port = announced.addr.port().to_be_bytes();
        let completes = match ip {
            std::net::IpAddr::V4(ip) => {
                let addr = joined(ip.octets(), port);
                let (v4, out) = (&mut torrent.v4, &mut picked.room_v4());
                let (asker, completes) = visit.family(v4, addr, &mut totals.0, &mut full);
                let told = visit.tell(v4, asker, announced.want, rng, out);
                if announced.mixed
                    && let Some(v6) = &torrent.v6
                {
                    let rest = announced.want - told;
                    visit.tell(v6, None, rest, rng, &mut picked.room_v6());
                }
                completes
            }
            std::net::IpAddr::V6(ip) => {
                let addr = joined(ip.octets(), port);
                let v6 = torrent.v6.get_or_insert_default();
                let out = &mut picked.room_v6();
                let (asker, completes) = visit.family(v6, addr, &mut totals.1, &mut full);
                let told = visit.tell(v6, asker, announced.want, rng, out);
                if v6.is_empty() {
                    torrent.v6 = None;
                }
                if announced.mixed {
                    let rest = announced.want - told;
                    visit.tell(&torrent.v4, None, rest, rng, &mut picked.room_v4());
                }
                completes
            }
        };
        self.stand(&mut shard, at, (completes, full))
    }

    /// How the torrent at `at` stands behind an announce; where nobody is left of it, it goes.
    fn stand(&self, shard: &mut Shard, at: usize, (completes, full): (bool, bool)) -> Standing {
        if completes
            && let Some(hash) = shard.complete(at)
            && self.options.completions_taken
        {
            self.note(shard, hash, 1);
        }
        if full {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        let torrent = &shard.torrents[at];
        let standing = Standing {
            counts: torrent.counts(),
            completed: torrent.completed(),
            full,
        };
        if standing.counts.all() == 0 && self.goes(torrent, self.is_crowded(shard)) {
            shard.remove(at, &self.rules);
        }
        standing
    }

    /// How a torrent stands; zeros for one that is not known.
    pub fn scrape(&self, info_hash: &InfoHash) -> ScrapeEntry {
        let hash = self.rules.hash(&info_hash.0);
        let shard = self.shard(hash).lock();
        shard
            .find(hash, info_hash)
            .map_or_else(ScrapeEntry::default, |at| {
                let torrent = &shard.torrents[at];
                let counts = torrent.counts();
                ScrapeEntry {
                    complete: counts.seeders,
                    downloaded: torrent.completed(),
                    incomplete: counts.leechers,
                }
            })
    }

    /// Forgets a torrent with its peers and completions; tells whether it was known.
    pub fn remove(&self, info_hash: &InfoHash) -> bool {
        let hash = self.rules.hash(&info_hash.0);
        let mut shard = self.shard(hash).lock();
        let Some(at) = shard.find(hash, info_hash) else {
            return false;
        };
        let torrent = shard.remove(at, &self.rules);
        shard.forget_peers(&torrent);
        true
    }

    /// Sets how often a torrent was completed by what is written of it, without the completions that have not been taken yet:
    /// these come on top. Where `adds`, it is known then, without peers; where there are too many torrents for that, this one is
    /// left out, and `false` returned.
    pub fn set_completed(&self, info_hash: InfoHash, written: u32, adds: bool) -> bool {
        let hash = self.rules.hash(&info_hash.0);
        let mut shard = self.shard(hash).lock();
        let at = match shard.find(hash, &info_hash) {
            Some(at) => at,
            None if !adds || self.is_crowded(&shard) => return false,
            None => shard.add(hash, info_hash, &self.rules),
        };
        shard.set_completed(at, written);
        true
    }

    /// Adds to `out` completions that have not been taken yet, by torrent: of `most` torrents or somewhat more. What could not be
    /// written is given back by [`return_completed`](Self::return_completed).
    pub fn take_completed(&self, most: usize, out: &mut Vec<(InfoHash, u32)>) {
        for shard in &self.shards {
            if out.len() >= most {
                return;
            }
            let pending = shard.lock().take_pending();
            out.extend(pending);
        }
    }

    /// Has completions taken again that could not be written, also those of torrents that are gone.
    pub fn return_completed(&self, completions: impl IntoIterator<Item = (InfoHash, u32)>) {
        for (info_hash, count) in completions {
            let hash = self.rules.hash(&info_hash.0);
            self.note(&mut self.shard(hash).lock(), info_hash, count);
        }
    }

    /// Sums over all swarms, of about one moment.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in &self.shards {
            let shard = shard.lock();
            totals.torrents += shard.torrents.len() as u64;
            totals.completed += shard.completed;
            totals.v4 = totals.v4.and(shard.totals.0);
            totals.v6 = totals.v6.and(shard.totals.1);
        }
        totals
    }

    /// Bytes on the heap, as they were asked for.
    pub fn heap(&self) -> usize {
        let shards = self.shards.iter().map(|shard| shard.lock().heap());
        shards.sum::<usize>() + size_of_val(&*self.shards)
    }

    /// Announces whose peer was left out, because there were too many torrents or peers.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Completions that nobody will take, because those of too many torrents waited.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn note(&self, shard: &mut Shard, hash: InfoHash, completions: u32) {
        if !shard.note(hash, completions, self.share) {
            let count = u64::from(completions);
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        // Bits that the tables inside do not look at first.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    /// Whether a torrent without peers is forgotten. Those that were completed stay as long as there is room: what is written of
    /// them comes back with their next completion.
    fn goes(&self, torrent: &Torrent, is_crowded: bool) -> bool {
        let stays = self.options.completions_taken && torrent.completed() > 0 && !is_crowded;
        self.options.forget_empty && !stays
    }

    /// Whether seven of eight torrents are there that may be.
    fn is_crowded(&self, shard: &Shard) -> bool {
        shard.torrents.len() >= self.share - self.share / 8
    }
}

/// One announce on its way through a swarm.
struct Visit<'a> {
    announced: &'a Announced,
    now: Seconds,
    rules: &'a Rules,
    /// Peers of a family at most.
    most: usize,
}

impl Visit<'_> {
    /// Enters the peer, or takes it out; tells where it is now, and whether it completes.
    fn family<const N: usize>(
        &self,
        family: &mut family::Family<N>,
        addr: [u8; N],
        totals: &mut Counts,
        full: &mut bool,
    ) -> (Option<usize>, bool) {
        let Announced {
            peer_id,
            seeder,
            report,
            ..
        } = self.announced;
        if self.announced.stopped {
            if let Some(mark) = family.remove(&addr, &peer_id.0, self.rules) {
                totals.take(mark);
            }
            return (None, false);
        }
        if family.len() >= self.most && family.find(&addr, &peer_id.0, self.rules).is_none() {
            *full = true;
            return (None, false);
        }
        let put: Put = family.put(
            &Member {
                addr,
                id: &peer_id.0,
                seeder: *seeder,
                now: self.now,
                report: *report,
            },
            self.rules,
        );
        if let Some(before) = put.before {
            totals.take(before);
        }
        totals.add(put.after);
        (Some(put.at), put.completes())
    }

    /// Tells the peer of others; returns of how many.
    fn tell<const N: usize>(
        &self,
        family: &family::Family<N>,
        asker: Option<usize>,
        want: usize,
        rng: &mut impl Rng,
        out: &mut Room<'_, N>,
    ) -> usize {
        if self.announced.stopped {
            return 0;
        }
        let before = out.addrs.len();
        let seeder = self.announced.seeder;
        family.pick((asker, seeder), want, self.rules, rng, out);
        out.addrs.len() - before
    }
}

fn joined<const A: usize, const N: usize>(ip: [u8; A], port: [u8; 2]) -> [u8; N] {
    let mut addr = [0; N];
    addr[..A].copy_from_slice(&ip);
    addr[A..].copy_from_slice(&port);
    addr
}
