//! Queries of others, and what they are answered.
//!
//! Whoever has not shown yet that it is where its datagrams say might be the victim of somebody else: it gets back at
//! most [`AMPLIFICATION`] times the bytes of its query, whatever is sent because of it counted in. An answer whose point
//! would be lost by that is held back until the address has answered a ping; those who answer no queries themselves
//! (BEP 43) get the short answer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::id::InfoHash;
use protocol::krpc::{
    Announce, Bloom, Body, ErrorCode, Failure, Message, Method, NodeId, Put, Query, Response,
    Sample, Values, Want, item,
};
use protocol::tracker::compact;

use super::Node;
use crate::family::Family;
use crate::items::Item;
use crate::peers::Choice;
use crate::table::K;

/// How many times the bytes of its query an unproven address may get back.
const AMPLIFICATION: usize = 3;

/// The longest answer: what passes every link in one piece (BEP 32 asks for less than 1024 where no item is in it).
const MAX_ANSWER: usize = 1400;

/// Peers of one answer.
const MAX_VALUES: usize = 64;

/// Info-hashes of one answer (BEP 51).
const MAX_SAMPLES: usize = 20;

/// How long a choice of info-hashes stands.
const SAMPLE_FOR: Duration = Duration::from_secs(60);

/// Answers that may be held back.
const MAX_HELD: usize = 64;

/// How long an answer is held back.
const HOLD_FOR: Duration = Duration::from_millis(500);

/// How often what is stored is searched for what has expired.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What is kept for answering.
#[derive(Debug)]
pub(super) struct Answers {
    held: VecDeque<Held>,
    samples: Vec<InfoHash>,
    sampled: Option<Instant>,
    swept: Instant,
}

/// A query whose answer waits for a proof.
#[derive(Debug)]
struct Held {
    from: SocketAddr,
    datagram: Vec<u8>,
    /// Bytes that were sent because of it already.
    spent: usize,
    until: Instant,
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    pub(super) from: SocketAddr,
    pub(super) datagram: &'a [u8],
    pub(super) transaction: &'a [u8],
    /// Bytes that were sent because of it already.
    pub(super) spent: usize,
}

/// What an answer is made of.
#[derive(Debug, Default)]
struct Parts {
    nodes: Option<Vec<u8>>,
    nodes6: Option<Vec<u8>>,
    token: Option<[u8; 8]>,
    values: Vec<SocketAddr>,
    filters: Option<(Bloom, Bloom)>,
    item: Option<Item>,
    /// The version alone, where the asker has the item already.
    seq: Option<i64>,
    samples: Option<(Vec<u8>, u32)>,
}

/// How an answer may be given.
#[derive(Clone, Copy, Debug)]
struct Room {
    bytes: usize,
    /// Whether a longer one can be given after a proof.
    later: bool,
}

impl Answers {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            held: VecDeque::new(),
            samples: Vec::new(),
            sampled: None,
            swept: now,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.held.front().map(|held| held.until)
    }

    /// Calls `sweep` once a minute.
    pub(super) fn sweep(&mut self, now: Instant, sweep: impl FnOnce(Instant)) {
        if now >= self.swept + SWEEP_EVERY {
            self.swept = now;
            sweep(now);
        }
    }
}

impl Node {
    /// Whether a query from this address is answered at all.
    pub(super) fn may_answer(&mut self, now: Instant, from: SocketAddr) -> bool {
        if self.config.read_only {
            return false;
        }
        let allowed = self.limits.allow(now, from.ip());
        self.counters.refused += u64::from(!allowed);
        allowed
    }

    pub(super) fn handle_query(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        message: &Message<'_>,
        query: &Query<'_>,
    ) {
        if !self.may_answer(now, from) {
            return;
        }
        let family = Family::of(&from);
        let mut spent = 0;
        if !query.read_only
            && let Some(side) = self.side_mut(family)
            && side.table.queried(now, &query.id, from)
        {
            spent = self.check(now, from);
        }
        let asker = Asker {
            from,
            datagram,
            transaction: message.transaction,
            spent,
        };
        self.answer(now, &asker, query, true);
    }

    /// Gives the full answers that were held back for this address.
    pub(super) fn release(&mut self, now: Instant, from: SocketAddr) {
        while let Some(at) = self.answers.held.iter().position(|held| held.from == from) {
            if let Some(held) = self.answers.held.remove(at) {
                self.answer_held(now, &held);
            }
        }
    }

    /// Gives the short answers where no proof has come.
    pub(super) fn handle_held(&mut self, now: Instant) {
        while self.answers.deadline().is_some_and(|until| until <= now) {
            if let Some(held) = self.answers.held.pop_front() {
                self.answer_held(now, &held);
            }
        }
    }

    fn answer_held(&mut self, now: Instant, held: &Held) {
        if let Ok(message) = Message::decode(&held.datagram)
            && let Body::Query(query) = &message.body
        {
            let asker = Asker {
                from: held.from,
                datagram: &held.datagram,
                transaction: message.transaction,
                spent: held.spent,
            };
            self.answer(now, &asker, query, false);
        }
    }

    fn answer(&mut self, now: Instant, asker: &Asker<'_>, query: &Query<'_>, may_hold: bool) {
        let parts = match self.consider(now, asker.from, query) {
            Ok(parts) => parts,
            Err((code, why)) => {
                self.refuse(now, asker, Failure::new(code, why));
                return;
            }
        };
        let proven = self.proven.has(now, &asker.from);
        let room = Room {
            bytes: if proven {
                MAX_ANSWER
            } else {
                asker.allowance()
            },
            later: !proven && may_hold && !query.read_only,
        };
        if !self.give(asker, parts, room) {
            self.hold(now, asker);
        }
    }

    /// Keeps a query until its sender has answered a ping.
    fn hold(&mut self, now: Instant, asker: &Asker<'_>) {
        let asked = self.check(now, asker.from);
        let held = Held {
            from: asker.from,
            datagram: asker.datagram.to_vec(),
            spent: asker.spent + asked,
            until: now + HOLD_FOR,
        };
        let mut waiting = self.answers.held.iter();
        let twice = waiting.any(|held| held.from == asker.from);
        if twice || self.answers.held.len() >= MAX_HELD {
            self.answer_held(now, &held);
        } else {
            self.answers.held.push_back(held);
        }
    }

    /// What a query is answered.
    fn consider(
        &mut self,
        now: Instant,
        from: SocketAddr,
        query: &Query<'_>,
    ) -> Result<Parts, (ErrorCode, &'static str)> {
        let mut parts = Parts::default();
        match query.method {
            Method::Ping => {}
            Method::FindNode { target } => self.add_nodes(&mut parts, from, query.want, &target),
            Method::GetPeers {
                info_hash,
                noseed,
                scrape,
            } => {
                parts.token = Some(self.tokens.make(from.ip()));
                let choice = Choice {
                    family: Some(Family::of(&from)),
                    noseed,
                    most: MAX_VALUES,
                };
                parts.values = self.peers.some(now, info_hash, choice, &mut self.rng);
                if scrape && !self.peers.is_unknown(info_hash) {
                    parts.filters = Some(self.peers.filters(now, info_hash));
                }
                self.add_nodes(&mut parts, from, query.want, &info_hash.into());
            }
            Method::AnnouncePeer(announce) => self.store_peer(now, from, &announce)?,
            Method::Get { target, seq } => {
                parts.token = Some(self.tokens.make(from.ip()));
                let stored = self.items.get(now, &target);
                match (stored.and_then(Item::seq), seq) {
                    (Some(there), Some(known)) if there <= known => parts.seq = Some(there),
                    _ => parts.item = stored.cloned(),
                }
                self.add_nodes(&mut parts, from, query.want, &target);
            }
            Method::Put(put) => self.store_item(now, from, &put)?,
            Method::SampleInfohashes { target } => {
                let hashes = self.current_sample(now).concat();
                parts.samples = Some((hashes, self.peers.torrents() as u32));
                self.add_nodes(&mut parts, from, query.want, &target);
            }
        }
        Ok(parts)
    }

    fn store_peer(
        &mut self,
        now: Instant,
        from: SocketAddr,
        announce: &Announce<'_>,
    ) -> Result<(), (ErrorCode, &'static str)> {
        self.check_token(now, from, announce.token)?;
        let own = self.own_of(from);
        let peer = SocketAddr::new(from.ip(), announce.port.unwrap_or_else(|| from.port()));
        let stored = self
            .peers
            .add(now, &own, announce.info_hash, peer, announce.seed);
        stored.then_some(()).ok_or((ErrorCode::Server, "no room"))
    }

    fn store_item(
        &mut self,
        now: Instant,
        from: SocketAddr,
        put: &Put<'_>,
    ) -> Result<(), (ErrorCode, &'static str)> {
        self.check_token(now, from, put.token())?;
        let (item, cas) = match put {
            Put::Immutable { value, .. } => {
                let value = value.to_vec();
                (Item::Immutable { value }, None)
            }
            Put::Mutable { cas, item, .. } => {
                if !item.is_authentic() {
                    return Err((ErrorCode::Signature, "invalid signature"));
                }
                (Item::from_mutable(item), *cas)
            }
        };
        let own = self.own_of(from);
        let stored = self.items.put(now, &own, from.ip(), item, cas);
        stored.map_err(|code| {
            let why = if code == ErrorCode::Server {
                "no room"
            } else {
                "another version is stored"
            };
            (code, why)
        })
    }

    fn check_token(
        &mut self,
        now: Instant,
        from: SocketAddr,
        token: &[u8],
    ) -> Result<(), (ErrorCode, &'static str)> {
        if !self.tokens.is_good(token, from.ip()) {
            return Err((ErrorCode::Protocol, "bad token"));
        }
        self.proven.add(now, from);
        Ok(())
    }

    fn own_of(&self, from: SocketAddr) -> NodeId {
        self.id(Family::of(&from)).unwrap_or(NodeId([0; 20]))
    }

    fn current_sample(&mut self, now: Instant) -> Vec<[u8; 20]> {
        let old = self.answers.sampled;
        let old = old.is_none_or(|at| now >= at + SAMPLE_FOR);
        if old || self.answers.samples.len() < MAX_SAMPLES.min(self.peers.torrents()) {
            self.answers.samples = self.peers.sample(MAX_SAMPLES, &mut self.rng);
            self.answers.sampled = Some(now);
        }
        self.answers.samples.iter().map(|hash| hash.0).collect()
    }

    /// Adds the nodes nearest to a target, of the families that are wanted.
    fn add_nodes(&self, parts: &mut Parts, from: SocketAddr, want: Option<Want>, target: &NodeId) {
        let own = Family::of(&from);
        let want = want.filter(|want| want.v4 || want.v6).unwrap_or(Want {
            v4: own == Family::V4,
            v6: own == Family::V6,
        });
        let list = |wanted: bool, family: Family| {
            let side = self.side(family).filter(|_| wanted)?;
            let mut bytes = Vec::with_capacity(K * 38);
            for node in side.table.closest(target, K + 1, true) {
                // Who asks knows itself.
                if node.addr != from && bytes.len() < K * node_len(family) {
                    compact::write_node(&mut bytes, &node);
                }
            }
            Some(bytes)
        };
        parts.nodes = list(want.v4, Family::V4);
        parts.nodes6 = list(want.v6, Family::V6);
    }

    /// Sends an answer that fits; `false` where it is better held back.
    fn give(&mut self, asker: &Asker<'_>, mut parts: Parts, room: Room) -> bool {
        let version = self.config.version;
        if parts.len(asker) > room.bytes {
            if room.later && parts.is_pointless_when_short() {
                return false;
            }
            parts.shorten(room.bytes, asker);
        }
        let message = Message {
            transaction: asker.transaction,
            version: Some(&version),
            ip: Some(asker.from),
            body: Body::Response(parts.response(self.own_of(asker.from))),
        };
        let len = self.send(asker.from, &message);
        debug_assert!(len <= room.bytes.max(MIN_ANSWER), "{len} of {room:?}");
        self.counters.answers_out += 1;
        true
    }

    /// Answers with an error, where that is no gift to an attacker.
    pub(super) fn refuse(&mut self, now: Instant, asker: &Asker<'_>, failure: Failure<'_>) {
        let needed = failure.text.len() + asker.transaction.len() + 32;
        if needed <= asker.allowance() || self.proven.has(now, &asker.from) {
            let message = Message {
                transaction: asker.transaction,
                version: None,
                ip: None,
                body: Body::Error(failure),
            };
            self.send(asker.from, &message);
            self.counters.answers_out += 1;
        }
    }
}

impl Asker<'_> {
    /// How much it may be sent without a proof that it is where it says.
    fn allowance(&self) -> usize {
        (self.datagram.len() * AMPLIFICATION)
            .saturating_sub(self.spent)
            .min(MAX_ANSWER)
    }
}

/// An answer with nothing in it: shorter than three times the shortest query.
const MIN_ANSWER: usize = 168;

const fn node_len(family: Family) -> usize {
    match family {
        Family::V4 => 26,
        Family::V6 => 38,
    }
}

impl Parts {
    /// Whether what the asker wants is lost when the answer is cut.
    const fn is_pointless_when_short(&self) -> bool {
        self.item.is_some() || self.filters.is_some() || self.samples.is_some()
    }

    /// Drops what is not needed most until the answer fits: first what is large, then peers and nodes in turn.
    fn shorten(&mut self, bytes: usize, asker: &Asker<'_>) {
        let fits = |parts: &Self| parts.len(asker) <= bytes;
        if !fits(self) {
            self.item = None;
            self.filters = None;
        }
        if let Some((hashes, _)) = &mut self.samples {
            // Few hashes and few nodes are better than only one of them.
            hashes.truncate(4 * 20);
        }
        while !fits(self) {
            let nodes = self.nodes.as_ref().map_or(0, Vec::len) / 26;
            let nodes6 = self.nodes6.as_ref().map_or(0, Vec::len) / 38;
            if self.values.len() > (nodes + nodes6) * 2 {
                self.values.pop();
            } else if nodes6 >= nodes && nodes6 > 0 {
                cut(&mut self.nodes6, 38);
            } else if nodes > 0 {
                cut(&mut self.nodes, 26);
            } else if let Some((hashes, _)) = self.samples.as_mut().filter(|(h, _)| !h.is_empty()) {
                hashes.truncate(hashes.len() - 20);
            } else {
                self.samples = None;
                self.nodes = None;
                self.nodes6 = None;
                return;
            }
        }
    }

    /// The length of the whole answer, or a few bytes more.
    fn len(&self, asker: &Asker<'_>) -> usize {
        let list = |list: &Option<Vec<u8>>| list.as_ref().map_or(0, |list| 13 + list.len());
        let value = |peer: &SocketAddr| if peer.is_ipv4() { 8 } else { 21 };
        let values: usize = self.values.iter().map(value).sum();
        let ip = if asker.from.is_ipv4() { 12 } else { 25 };
        let item = self.item.as_ref().map_or(0, |item| {
            let signed = if item.seq().is_some() {
                3 + 35 + 26 + 5 + 67
            } else {
                0
            };
            3 + item.value().len() + signed
        });
        // Dictionary 2, answer 6, id 27, kind 6, version 9, transaction 4 or 5 and itself.
        55 + ip
            + asker.transaction.len()
            + list(&self.nodes)
            + list(&self.nodes6)
            + self.token.map_or(0, |_| 17)
            + if values > 0 { 10 + values } else { 0 }
            + self.filters.as_ref().map_or(0, |_| 2 * 266)
            + item
            + self.seq.map_or(0, |_| 27)
            + self
                .samples
                .as_ref()
                .map_or(0, |(hashes, _)| 52 + hashes.len())
    }

    fn response(&self, own: NodeId) -> Response<'_> {
        let mut response = Response {
            nodes: self.nodes.as_deref(),
            nodes6: self.nodes6.as_deref(),
            token: self.token.as_ref().map(|token| &token[..]),
            values: Values::from(&self.values[..]),
            seq: self.seq,
            seeds: self.filters.as_ref().map(|(seeds, _)| seeds.as_bytes()),
            leechers: self.filters.as_ref().map(|(_, others)| others.as_bytes()),
            sample: self.samples.as_ref().map(|(hashes, total)| Sample {
                interval: SAMPLE_FOR.as_secs() as u32,
                total: *total,
                hashes,
            }),
            ..Response::new(own)
        };
        match &self.item {
            Some(Item::Mutable {
                key,
                seq,
                value,
                signature,
                ..
            }) => {
                response.key = Some(key);
                response.seq = Some(*seq);
                response.value = Some(value);
                response.signature = Some(signature);
            }
            Some(Item::Immutable { value }) => response.value = Some(value),
            None => {}
        }
        debug_assert!(
            response
                .value
                .is_none_or(|value| value.len() <= item::MAX_VALUE)
        );
        response
    }
}

fn cut(list: &mut Option<Vec<u8>>, entry: usize) {
    if let Some(list) = list {
        list.truncate(list.len().saturating_sub(entry));
    }
}
