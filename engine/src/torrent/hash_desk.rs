//! Peers ask for Merkle hashes (BEP 52): a queue, a bound on what answers may cost, and work for the Disk.
//!
//! Hashes of pieces and above cost next to nothing. Those below are not kept: the piece is read and hashed, which peers
//! need only where a block is bad. So much of it is done in a while and no more, whoever asks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{AsyncContext as _, Context};
use actors::tell;
use bytes::Bytes;
use protocol::peer::HashRequest;

use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Order;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::DiskReply;

/// Requests of all peers that may wait.
const WAITING_MOST: usize = 512;

/// Requests of one job.
const PER_JOB: usize = 16;

/// Bytes of content that may be hashed for others at once, and how many come back each second.
const BURST: u64 = 64 << 20;
const PER_SECOND: u64 = 4 << 20;

/// One peer may use this share of it: an eighth, but a piece of the usual sizes at least.
const SHARE: u64 = 8;
const LEAST_BURST: u64 = 16 << 20;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct HashDesk {
    waiting: VecDeque<(PeerKey, HashRequest)>,
    busy: bool,
    allowance: Allowance,
    /// Of the peers that have asked for what costs anything.
    of_peers: BTreeMap<PeerKey, Allowance>,
}

/// Bytes that may be hashed: some at once, and so many more each second.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    burst: u64,
    per_second: u64,
    credit: u64,
    credited_at: Instant,
}

/// An answer, or a refusal.
#[derive(Debug)]
pub(crate) struct HashAnswer {
    pub(crate) key: PeerKey,
    pub(crate) request: HashRequest,
    pub(crate) hashes: Option<Bytes>,
}

impl HashDesk {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            busy: false,
            allowance: Allowance::new(now, BURST, PER_SECOND),
            of_peers: BTreeMap::new(),
        }
    }

    /// Whether content of so many bytes may be hashed now for a peer; it counts as hashed then.
    fn afford(&mut self, key: PeerKey, now: Instant, bytes: u64) -> bool {
        if bytes == 0 {
            return true;
        }
        let fresh = || {
            let burst = LEAST_BURST.max(BURST / SHARE);
            Allowance::new(now, burst, PER_SECOND / SHARE)
        };
        let own = self.of_peers.entry(key).or_insert_with(fresh);
        let there = own.covers(now, bytes) && self.allowance.covers(now, bytes);
        if there {
            own.spend(bytes);
            self.allowance.spend(bytes);
        }
        there
    }

    /// A peer is gone.
    pub(crate) fn gone(&mut self, key: PeerKey) {
        self.of_peers.remove(&key);
    }
}

impl Allowance {
    const fn new(now: Instant, burst: u64, per_second: u64) -> Self {
        Self {
            burst,
            per_second,
            credit: burst,
            credited_at: now,
        }
    }

    fn covers(&mut self, now: Instant, bytes: u64) -> bool {
        let passed = now.saturating_duration_since(self.credited_at);
        if passed >= Duration::from_secs(1) {
            self.credited_at = now;
            let earned = passed.as_secs().saturating_mul(self.per_second);
            self.credit = self.credit.saturating_add(earned).min(self.burst);
        }
        // A piece that is larger than any burst is hashed when nothing else was of late.
        bytes <= self.credit || self.credit == self.burst
    }

    const fn spend(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_sub(bytes);
    }
}

impl Torrent {
    /// A peer asks for hashes.
    pub(super) fn on_hash_request(
        &mut self,
        key: PeerKey,
        request: HashRequest,
        ctx: &mut Context<Self>,
    ) {
        let cost = self.active().and_then(|active| {
            let content = &active.content;
            content.trees.as_ref()?.cost(&request, &content.have)
        });
        let room = self.hash_desk.waiting.len() < WAITING_MOST;
        let taken = cost.is_some_and(|cost| room && self.hash_desk.afford(key, now(), cost));
        if taken {
            self.hash_desk.waiting.push_back((key, request));
            self.serve_hashes(ctx);
        } else {
            self.tell_hashes(key, request, None);
        }
    }

    /// Gives the Disk the next requests, one job at a time.
    fn serve_hashes(&mut self, ctx: &mut Context<Self>) {
        let Phase::Active(active) = &self.phase else {
            return;
        };
        let Some(trees) = active.content.trees.clone() else {
            return;
        };
        let desk = &mut self.hash_desk;
        if desk.busy || desk.waiting.is_empty() {
            return;
        }
        desk.busy = true;
        let count = desk.waiting.len().min(PER_JOB);
        let asked: Vec<(PeerKey, HashRequest)> = desk.waiting.drain(..count).collect();
        let content = Arc::clone(&active.content);
        let me = ctx.address();
        self.setup.disk.short(move || {
            let answer = |(key, request): (PeerKey, HashRequest)| HashAnswer {
                key,
                request,
                hashes: trees
                    .answer(&request, &content.store, &content.have)
                    .map(Bytes::from),
            };
            let answers = asked.into_iter().map(answer).collect();
            tell(&me, DiskReply::Hashes(answers));
        });
    }

    /// The Disk has answers.
    pub(super) fn on_hash_answers(&mut self, answers: Vec<HashAnswer>, ctx: &mut Context<Self>) {
        self.hash_desk.busy = false;
        for answer in answers {
            self.tell_hashes(answer.key, answer.request, answer.hashes);
        }
        if matches!(self.phase, Phase::Active(_)) {
            self.serve_hashes(ctx);
        } else {
            for (key, request) in std::mem::take(&mut self.hash_desk.waiting) {
                self.tell_hashes(key, request, None);
            }
        }
    }

    fn tell_hashes(&self, key: PeerKey, request: HashRequest, hashes: Option<Bytes>) {
        if let Some(peer) = self.peers.get(key) {
            peer.order(Order::Hashes(request, hashes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_hashed_for_others_and_no_more_and_for_one_a_share_of_it() {
        let begin = now();
        let mut desk = HashDesk::new(begin);
        let peers: Vec<PeerKey> = (1..=5).map(PeerKey).collect();
        let [one, two, three, four, five] = peers[..] else {
            unreachable!("five");
        };
        assert!(desk.afford(one, begin, LEAST_BURST));
        assert!(!desk.afford(one, begin, 1), "its share is used up");
        for peer in [two, three, four] {
            assert!(desk.afford(peer, begin, LEAST_BURST));
        }
        assert!(!desk.afford(five, begin, 1), "all of it is used up");
        assert!(
            desk.afford(five, begin, 0),
            "what costs nothing is always given"
        );
        let later = begin + Duration::from_millis(1500);
        assert!(desk.afford(five, later, PER_SECOND) && !desk.afford(five, later, 1));
        assert!(!desk.afford(one, later, PER_SECOND / SHARE + 1));
        let much_later = begin + Duration::from_secs(10_000);
        assert!(desk.afford(one, much_later, 1));
        assert!(!desk.afford(one, much_later, LEAST_BURST));
        assert!(
            desk.afford(two, much_later, LEAST_BURST + 1),
            "a large piece"
        );
        assert!(!desk.afford(two, much_later, 1));
        desk.gone(one);
        assert!(desk.afford(one, much_later, 1), "another connection");
    }
}
