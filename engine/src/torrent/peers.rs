//! The connections of a torrent, as its actor sees them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;
use actors::tell;
use protocol::id::PeerId;

use crate::Wire;
use crate::classes::{ClassKind, Table};
use crate::content::Traffic;
use crate::mixed::Flow;
use crate::peer::actor::Peer;
use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Greeting, Holdings, Order};
use crate::seats::Seat;
use crate::torrent::picker::PeerPieces;

/// One connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of both sides, as the protocol has them"
)]
pub(crate) struct PeerEntry {
    /// Its actor.
    pub(crate) actor: Addr<Peer>,
    /// Its place among the connections of all torrents.
    pub(crate) _seat: Seat,
    /// The address of the other end.
    pub(crate) addr: SocketAddr,
    /// Whether we dialled.
    pub(crate) outgoing: bool,
    /// Who we say we are.
    pub(crate) ours: PeerId,
    /// Who it says it is, once the handshake is done; none of a connection that ends because there is another.
    pub(crate) id: Option<PeerId>,
    /// Whether the connection is one of the v2 swarm.
    pub(crate) v2: bool,
    /// Whether it offers to take a connection by the v1 hash into the v2 swarm.
    pub(crate) offers_v2: bool,
    /// An older connection to the same peer, one of which the other side is expected to end.
    pub(crate) twin: Option<PeerKey>,
    /// Another address of the same peer, that we had dialled too.
    pub(crate) also_at: Option<SocketAddr>,
    /// Where others can connect to it.
    pub(crate) listens: Option<SocketAddr>,
    /// Whether the connection is one of uTP; known once the handshake is done.
    pub(crate) utp: bool,
    /// How the connection goes over the wire, once the handshake is done.
    pub(crate) wire: Wire,
    /// When the handshake was done.
    pub(crate) since: Option<Instant>,
    /// What it has; `None` until it said so.
    pub(crate) holdings: Option<Holdings>,
    /// Whether it says that it wants nothing (BEP 21).
    pub(crate) upload_only: bool,
    /// Whether it was told that we have nothing, and is shown single pieces (BEP 16).
    pub(crate) veiled: bool,
    /// Whether it serves us.
    pub(crate) unchoked_us: bool,
    /// Whether it wants something.
    pub(crate) interested: bool,
    /// Whether we serve it.
    pub(crate) unchoked: bool,
    /// Whether we said that we want something.
    pub(crate) we_are_interested: bool,
    /// Whether little is kept under way with it.
    pub(crate) hasty: bool,
    /// Blocks that it could be asked for and was not given.
    pub(crate) hungry: u32,
    /// What moved, counted by the driver.
    pub(crate) traffic: Arc<Traffic>,
    /// Rates by the last sample.
    pub(crate) down: Rate,
    /// Rates by the last sample.
    pub(crate) up: Rate,
    /// When payload last came from it while it served us.
    pub(crate) last_payload: Instant,
    /// When we began to serve it.
    pub(crate) unchoked_since: Option<Instant>,
}

/// How long a peer that serves us may send nothing of what we want, before it counts as one that lets us wait.
const SNUBS: Duration = Duration::from_secs(60);

impl PeerEntry {
    /// Whether it serves us and has sent nothing for a minute, though we want something of it.
    pub(crate) fn snubs(&self, now: Instant) -> bool {
        self.unchoked_us
            && self.we_are_interested
            && now.saturating_duration_since(self.last_payload) > SNUBS
    }
}

/// A rate from a counter that is sampled now and then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    counter: u64,
    /// Samples since something moved.
    quiet: u8,
    /// Bytes a second, smoothed over a few seconds.
    pub(crate) bytes_per_s: u64,
}

impl Rate {
    /// Of a counter that stands at this.
    pub(crate) fn since(counter: u64) -> Self {
        Self {
            counter,
            ..Self::default()
        }
    }

    /// Takes a sample, `seconds` after the one before; returns the bytes since then.
    pub(crate) fn sample(&mut self, counter: u64, seconds: f64) -> u64 {
        let moved = counter.saturating_sub(self.counter);
        self.counter = counter;
        self.quiet = if moved > 0 {
            0
        } else {
            self.quiet.saturating_add(1)
        };
        if seconds > 0.0 {
            let now = moved as f64 / seconds;
            let weight = if self.bytes_per_s == 0 {
                1.0
            } else {
                (seconds / 3.0).min(1.0)
            };
            let smooth = self.bytes_per_s as f64 * (1.0 - weight) + now * weight;
            self.bytes_per_s = smooth as u64;
        }
        moved
    }

    /// Nothing moves: the mean need not fade away.
    pub(crate) fn stop(&mut self) {
        self.bytes_per_s = 0;
        self.quiet = QUIET;
    }

    /// Whether something has moved lately.
    pub(crate) const fn is_moving(&self) -> bool {
        self.counter > 0 && self.quiet < QUIET
    }
}

/// What came in less time than this is taken to have come in this much: a burst says little of a link.
const LEAST_SAMPLE: Duration = Duration::from_millis(20);

/// Samples without a byte after which a peer does not count as one that transfers: what comes by uTP in a crowded queue comes
/// in drops.
const QUIET: u8 = 5;

impl PeerEntry {
    /// What it has, as the picker wants it.
    pub(crate) fn pieces(&self) -> PeerPieces<'_> {
        match &self.holdings {
            Some(Holdings::All) => PeerPieces::All,
            Some(Holdings::Some(set)) => PeerPieces::Some(set),
            None => PeerPieces::None,
        }
    }

    /// Whether it has everything.
    pub(crate) fn is_seed(&self) -> bool {
        match &self.holdings {
            Some(Holdings::All) => true,
            Some(Holdings::Some(set)) => set.is_full(),
            None => false,
        }
    }

    /// Bytes a second that it brings: by the samples, the last of which was at `sampled`; before the first that saw anything move by
    /// what has come since.
    pub(crate) fn brings(&self, now: Instant, sampled: Instant) -> u64 {
        let Some(met) = self.since.filter(|_| self.down.bytes_per_s == 0) else {
            return self.down.bytes_per_s;
        };
        let time = now.saturating_duration_since(met.max(sampled));
        let moved = Traffic::get(&self.traffic.down).saturating_sub(self.down.counter);
        (moved as f64 / time.max(LEAST_SAMPLE).as_secs_f64()) as u64
    }

    /// Whether it has everything that it wants.
    pub(crate) fn wants_nothing(&self) -> bool {
        self.upload_only || self.is_seed()
    }

    const fn is_half_open(&self) -> bool {
        self.since.is_none() && self.outgoing
    }

    /// Gives its actor an order.
    pub(crate) fn order(&self, order: Order) {
        tell(&self.actor, order);
    }
}

/// All connections of a torrent; they end with it, even where it panicked.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    entries: BTreeMap<PeerKey, PeerEntry>,
    addresses: BTreeMap<u32, IpAddr>,
    next: u32,
    half_open: usize,
}

/// Addresses of past connections that are remembered, so that a block can be traced to its sender.
const REMEMBERED: usize = 4096;

impl Peers {
    /// A number for a new connection to `ip`.
    pub(crate) fn key(&mut self, ip: IpAddr) -> PeerKey {
        self.next += 1;
        self.addresses.insert(self.next, ip);
        if self.addresses.len() > REMEMBERED {
            self.addresses.pop_first();
        }
        PeerKey(self.next)
    }

    /// A number for a source that is no connection.
    pub(crate) const fn number(&mut self) -> PeerKey {
        self.next += 1;
        PeerKey(self.next)
    }

    /// What moves in each direction, down first, between us and the peers for which limits hold.
    pub(crate) fn flows(&self, classes: &Table) -> [Flow; 2] {
        let mut flows = [Flow::default(); 2];
        let limited = |entry: &&PeerEntry| {
            let kind = ClassKind::of(entry.utp);
            classes.of(entry.addr.ip(), kind).is_global()
        };
        for entry in self.entries.values().filter(limited) {
            for (flow, rate) in flows.iter_mut().zip([&entry.down, &entry.up]) {
                if rate.is_moving() {
                    flow.count(entry.utp, rate.bytes_per_s);
                }
            }
        }
        flows
    }

    /// The address behind a number, also of a connection that is gone.
    pub(crate) fn ip(&self, key: PeerKey) -> Option<IpAddr> {
        self.addresses.get(&key.0).copied()
    }

    /// Forgets who past connections were with.
    pub(crate) fn forget_addresses(&mut self) {
        self.addresses.clear();
    }

    /// A connection begins, with its handshake to come.
    pub(crate) fn insert(&mut self, key: PeerKey, entry: PeerEntry) {
        self.half_open += usize::from(entry.is_half_open());
        self.entries.insert(key, entry);
    }

    pub(crate) fn remove(&mut self, key: PeerKey) -> Option<PeerEntry> {
        let entry = self.entries.remove(&key)?;
        self.half_open -= usize::from(entry.is_half_open());
        Some(entry)
    }

    /// The handshake of a connection is done.
    pub(crate) fn opened(
        &mut self,
        key: PeerKey,
        greeting: Greeting,
        now: Instant,
    ) -> Option<&PeerEntry> {
        let entry = self.entries.get_mut(&key)?;
        self.half_open -= usize::from(entry.is_half_open());
        entry.since = Some(now);
        let wire = greeting.wire.word();
        tracing::debug!(peer = %entry.addr, outgoing = entry.outgoing, wire, "connected");
        entry.id = Some(greeting.peer_id);
        entry.wire = greeting.wire;
        entry.v2 = greeting.v2;
        entry.offers_v2 = greeting.offers_v2;
        entry.utp = greeting.utp;
        Some(entry)
    }

    pub(crate) fn get(&self, key: PeerKey) -> Option<&PeerEntry> {
        self.entries.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: PeerKey) -> Option<&mut PeerEntry> {
        self.entries.get_mut(&key)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerKey, &PeerEntry)> {
        self.entries.iter().map(|(key, entry)| (*key, entry))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PeerKey, &mut PeerEntry)> {
        self.entries.iter_mut().map(|(key, entry)| (*key, entry))
    }

    /// Whether we say that we are this one, on any connection.
    pub(crate) fn is_ours(&self, id: &PeerId) -> bool {
        self.entries.values().any(|entry| entry.ours == *id)
    }

    /// Connections whose dial has not succeeded yet.
    pub(crate) const fn half_open(&self) -> usize {
        self.half_open
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for entry in self.entries.values() {
            entry.order(Order::Close(Ended::Dismissed));
        }
    }
}
