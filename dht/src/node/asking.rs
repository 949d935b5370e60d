//! Queries of ours: sending them, and what becomes of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::krpc::{Body, Failure, Message, Method, NodeId, Query, Response, Want, secure};
use protocol::tracker::compact::CompactNode;

use super::{Node, Purpose, count};
use crate::family::Family;
use crate::pending::Overdue;
use crate::request::Event;
use crate::sight::Sight;
use crate::table::{K, Table, is_valid};

/// Nodes that may be asked at once whether they are there.
const MAX_CHECKING: usize = 128;

impl Node {
    /// Sends a query; says how long it is, or `None` when it cannot be sent.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        to: SocketAddr,
        purpose: Purpose,
        method: Method<'_>,
    ) -> Option<usize> {
        let own = self.id(Family::of(&to))?;
        if self.queries.is_full() {
            return None;
        }
        let want = self.want(&to, &method);
        let transaction = self.queries.add(now, to, purpose, &mut self.rng);
        let version = self.config.version;
        let message = Message {
            transaction: &transaction,
            version: version.as_ref().map(<[u8; 4]>::as_slice),
            ip: None,
            body: Body::Query(Query {
                id: own,
                read_only: self.config.tuning.read_only,
                want,
                method,
            }),
        };
        self.counters.queries_out += 1;
        count(&mut self.counters.queries_out_of, method.kind());
        if let Method::GetPeers { info_hash, .. } = method {
            self.see(|| Sight::Asking { to, info_hash });
        }
        tracing::debug!(%to, ?purpose, "asking");
        Some(self.send(to, &message))
    }

    /// Both families are wanted as long as we know few nodes of the other one.
    fn want(&self, to: &SocketAddr, method: &Method<'_>) -> Option<Want> {
        let other = Family::of(to).other();
        let seeks = !matches!(
            method,
            Method::Ping | Method::AnnouncePeer(_) | Method::Put(_)
        );
        let few = self.side(other).is_some_and(|side| side.table.len() < K);
        (seeks && few).then_some(Want::BOTH)
    }

    /// Asks a node whether it is there; says how long the query is.
    pub(super) fn check(&mut self, now: Instant, addr: SocketAddr) -> usize {
        if self.checking.len() >= MAX_CHECKING || !self.checking.insert(addr) {
            return 0;
        }
        let sent = self.ask(now, addr, Purpose::Check, Method::Ping);
        if sent.is_none() {
            self.checking.remove(&addr);
        }
        sent.unwrap_or(0)
    }

    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        from: SocketAddr,
        message: &Message<'_>,
        response: &Response<'_>,
    ) {
        let Some((pending, took)) = self.queries.answered(now, from, message.transaction) else {
            self.counters.alien += 1;
            return;
        };
        self.counters.answers_in += 1;
        tracing::debug!(%from, ?took, "answered");
        self.heard(now, from, response.id, took, message);
        match pending.purpose {
            Purpose::Check => {
                self.checking.remove(&from);
            }
            Purpose::Direct(job) => self.direct_answered(job, from, took, message, response),
            Purpose::Seek(job) => self.seek_answered(now, job, from, response),
            Purpose::Beside(job) => self.beside_answered(now, job, from, response),
            Purpose::Store(job, _) => self.store_answered(now, job, from, None),
        }
        self.release(now, from);
    }

    pub(super) fn handle_error(
        &mut self,
        now: Instant,
        from: SocketAddr,
        message: &Message<'_>,
        failure: &Failure<'_>,
    ) {
        let Some((pending, _)) = self.queries.answered(now, from, message.transaction) else {
            self.counters.alien += 1;
            return;
        };
        self.counters.answers_in += 1;
        let why = String::from_utf8_lossy(failure.text);
        tracing::debug!(%from, code = failure.code, ?why, "refused");
        self.proven.add(now, from);
        match pending.purpose {
            Purpose::Check => {
                self.checking.remove(&from);
            }
            Purpose::Direct(job) => self.direct_failed(job, Some(failure.code)),
            Purpose::Seek(job) => self.seek_failed(now, job, from),
            Purpose::Beside(job) => self.beside_failed(now, job, from),
            Purpose::Store(job, _) => self.store_answered(now, job, from, Some(failure.code)),
        }
    }

    /// What time has done to queries.
    pub(super) fn handle_overdue(&mut self, now: Instant) {
        while let Some(overdue) = self.queries.overdue(now) {
            match overdue {
                Overdue::Slow(to, Purpose::Seek(job)) => self.seek_slow(now, job, to),
                Overdue::Slow(..) => {}
                Overdue::Lost(lost) => {
                    self.counters.lost += 1;
                    tracing::debug!(to = %lost.to, "no answer");
                    if let Some(side) = self.side_mut(Family::of(&lost.to)) {
                        side.table.failed(&lost.to);
                    }
                    match lost.purpose {
                        Purpose::Check => {
                            self.checking.remove(&lost.to);
                        }
                        Purpose::Direct(job) => self.direct_failed(job, None),
                        Purpose::Seek(job) => self.seek_failed(now, job, lost.to),
                        Purpose::Beside(job) => self.beside_failed(now, job, lost.to),
                        Purpose::Store(job, again) => self.store_lost(now, job, lost.to, again),
                    }
                }
            }
        }
    }

    /// A node has answered: it is there, and it tells what it thinks our address is.
    fn heard(
        &mut self,
        now: Instant,
        from: SocketAddr,
        id: NodeId,
        took: Duration,
        message: &Message<'_>,
    ) {
        self.proven.add(now, from);
        let family = Family::of(&from);
        if self.config.tuning.enforce_ids && !is_valid(&id, &from) {
            return;
        }
        let Some(side) = self.side_mut(family) else {
            return;
        };
        let doubtful = side.table.heard(now, id, from, took);
        side.found();
        if let Some(ip) = message.ip.filter(|ip| Family::of(ip) == family) {
            side.votes.note(from.ip(), ip.ip());
            self.count_votes(now, family);
        }
        if let Some(doubtful) = doubtful {
            self.check_known(now, &doubtful);
        }
    }

    /// Asks a node of the table whether it is still there.
    pub(super) fn check_known(&mut self, now: Instant, node: &CompactNode) {
        let sent = self.check(now, node.addr);
        if sent == 0
            && let Some(side) = self.side_mut(Family::of(&node.addr))
        {
            side.table.not_asked(&node.addr);
        }
    }

    /// Takes a new id when others agree on an address that the present one is not for (BEP 42).
    fn count_votes(&mut self, now: Instant, family: Family) {
        let winner = self.side(family).and_then(|side| {
            let winner = side.votes.winner()?;
            (side.external != Some(winner)).then_some((winner, side.table.own()))
        });
        let Some((ip, own)) = winner else { return };
        let (restrict, give_up) = (self.config.restricts(), self.config.tuning.give_up);
        let new = (self.config.id.is_none() && !secure::is_valid(&own, ip))
            .then(|| secure::id_for(ip, &mut self.rng));
        let Some(side) = self.side_mut(family) else {
            return;
        };
        side.external = Some(ip);
        if let Some(id) = new {
            let mut table = Table::new(id, restrict).giving_up_after(give_up);
            for contact in side.table.contacts() {
                table.heard(contact.answered, contact.id, contact.addr, contact.rtt);
            }
            side.table = table;
            self.next_tick = now;
        }
        self.tell(Event::ExternalAddress(ip));
    }
}
