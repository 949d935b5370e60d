//! Queries of others, and what they are answered.
//!
//! Whoever has not shown yet that it is where its datagrams say might be the victim of somebody else: it gets back at
//! most [`AMPLIFICATION`] times the bytes of its query, whatever is sent because of it counted in. An answer whose point
//! would be lost by that is held back until the address has answered a ping; those who answer no queries themselves
//! (BEP 43) get the short answer.

mod content;
mod parts;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::id::InfoHash;
use protocol::krpc::{Body, ErrorCode, Failure, Message, Query};

use super::{Node, count};
use crate::family::Family;
use crate::table::is_valid;
use parts::{MIN_ANSWER, Parts};

/// How many times the bytes of its query an unproven address may get back.
const AMPLIFICATION: usize = 3;

/// The longest answer: what passes every link in one piece (BEP 32 asks for less than 1024 where no item is in it).
const MAX_ANSWER: usize = 1400;

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
        if self.config.tuning.read_only {
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
        if self.config.tuning.enforce_ids && !is_valid(&query.id, &from) {
            let asker = Asker {
                from,
                datagram,
                transaction: message.transaction,
                spent: 0,
            };
            let why = "the id is none that this address may have";
            self.refuse(now, &asker, Failure::new(ErrorCode::Protocol, why));
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
                if code != ErrorCode::Server {
                    count(&mut self.counters.invalid_of, query.method.kind());
                }
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
            version: version.as_ref().map(<[u8; 4]>::as_slice),
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
