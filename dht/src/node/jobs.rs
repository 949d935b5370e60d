//! Jobs: what users ask for, step by step.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::krpc::{Method, NodeId, Response, Sample};

use super::{Node, Purpose};
use crate::family::{Family, may_name};
use crate::job::{Found, Job};
use crate::lookup::{Lookup, Step};
use crate::peers::Choice;
use crate::request::{Event, JobId, Request, Sampled, Sampling};

mod direct;
mod storing;
use crate::table::K;

/// Jobs of users that may be under way at once; what waits beyond that waits outside.
pub const MAX_JOBS: usize = 256;

/// The pause between two lookups of the node's own.
const NEXT_REFRESH: Duration = Duration::from_millis(500);

impl Node {
    /// Whether a further job can be started.
    pub fn has_room(&self) -> bool {
        self.jobs.len() < MAX_JOBS
    }

    /// Begins a job. Its events follow; the last is [`Event::Done`]. Where there is no room
    /// ([`Node::has_room`]), or nobody to ask, it ends at once.
    pub fn start(&mut self, now: Instant, request: Request) -> JobId {
        let id = self.new_job();
        let mut job = Job::new(request, true);
        if !self.has_room() {
            self.finish(now, id, job);
            return id;
        }
        match job.request {
            Request::Ask(addr, _)
            | Request::Ping(addr)
            | Request::Sample(Sampling { at: Some(addr), .. }) => {
                let method = job.method();
                if self.ask(now, addr, Purpose::Direct(id), method).is_some() {
                    job.direct.asked = 1;
                    self.jobs.insert(id, job);
                } else {
                    self.finish(now, id, job);
                }
                return id;
            }
            Request::GetPeers(get) => self.tell_own(now, id, &mut job, get),
            Request::FindNode(_) | Request::Get(_) | Request::Put(_) | Request::Sample(_) => {}
        }
        for family in Family::ALL {
            job.lookups[family as usize] = self.new_lookup(family, job.target());
        }
        self.advance(now, id, job);
        id
    }

    /// Ends a job without an event.
    pub fn cancel(&mut self, job: JobId) {
        self.jobs.remove(&job);
    }

    /// Begins a lookup of the node's own, in one family.
    pub(super) fn start_refresh(&mut self, now: Instant, family: Family, target: NodeId) -> JobId {
        let id = self.new_job();
        let mut job = Job::new(Request::FindNode(target), false);
        job.lookups[family as usize] = self.new_lookup(family, target);
        self.advance(now, id, job);
        id
    }

    fn new_job(&mut self) -> JobId {
        self.next_job += 1;
        JobId(self.next_job)
    }

    /// The peers that others have stored with us are the first that we find.
    fn tell_own(&mut self, now: Instant, id: JobId, job: &mut Job, get: crate::request::GetPeers) {
        let choice = Choice {
            family: None,
            noseed: get.noseed,
            most: 200,
        };
        let own = self.peers.some(now, get.info_hash, choice, &mut self.rng);
        let peers = job.add_own(own);
        if !peers.is_empty() {
            let progress = job.progress();
            self.tell(Event::Peers {
                job: id,
                peers,
                progress,
            });
        }
    }

    fn new_lookup(&self, family: Family, target: NodeId) -> Option<Lookup> {
        let side = self.side(family)?;
        let own = side.table.own();
        let size = side.network_size();
        let tuning = &self.config.tuning;
        let mut lookup = Lookup::new(target, own, self.config.restricts(), size)
            .asking(tuning.branching, tuning.enforce_ids);
        let known = side.table.closest(&target, 2 * K, false);
        for node in &known {
            lookup.seed(NodeId(node.id), node.addr);
        }
        if known.len() < K {
            for node in &side.saved {
                lookup.seed(NodeId(node.id), node.addr);
            }
            for addr in &side.bootstrap {
                lookup.seed_nameless(*addr);
            }
        }
        Some(lookup)
    }

    /// Sends what a job has to send now, and ends it when there is nothing left.
    fn advance(&mut self, now: Instant, id: JobId, mut job: Job) {
        if job.storing.is_none() {
            let method = job.method();
            for family in Family::ALL {
                while let Some(lookup) = &mut job.lookups[family as usize] {
                    let Some(step) = lookup.next() else {
                        break;
                    };
                    match step {
                        Step::Seek(to) => {
                            let method = self.seeking(now, &to, method);
                            if self.ask(now, to, Purpose::Seek(id), method).is_none() {
                                lookup.failed(&to);
                            }
                        }
                        Step::Beside(to, target) => {
                            let method = Method::FindNode { target };
                            if self.ask(now, to, Purpose::Beside(id), method).is_none() {
                                lookup.failed_beside();
                            }
                        }
                    }
                }
            }
            if !job.is_found() {
                self.jobs.insert(id, job);
                return;
            }
            if job.begin_storing() {
                self.send_stores(now, id, &mut job);
            }
        }
        let waits = job.storing.as_ref().is_some_and(|s| !s.waiting.is_empty());
        if waits {
            self.jobs.insert(id, job);
        } else {
            self.finish(now, id, job);
        }
    }

    /// What a node is asked on the way: for info-hashes only where it may be asked again, else for nodes.
    fn seeking(
        &mut self,
        now: Instant,
        to: &SocketAddr,
        method: Method<'static>,
    ) -> Method<'static> {
        let Method::SampleInfohashes { target } = method else {
            return method;
        };
        if !self.intervals.may_ask(now, to) {
            return Method::FindNode { target };
        }
        self.intervals.note(now, *to, Duration::ZERO);
        method
    }

    fn finish(&mut self, now: Instant, id: JobId, mut job: Job) {
        for (at, side) in self.sides.iter_mut().enumerate() {
            let Some(side) = side else { continue };
            if side.refresh == Some(id) {
                side.refresh = None;
                let lookup = job.lookups[at].as_ref();
                if let Some(size) = lookup.and_then(Lookup::size) {
                    side.note_size(&job.target(), size);
                }
                // Another bucket may wait.
                self.next_tick = self.next_tick.min(now + NEXT_REFRESH);
            }
        }
        if job.told {
            let progress = job.progress();
            let outcome = job.outcome();
            self.tell(Event::Done {
                job: id,
                outcome,
                progress,
            });
        }
    }

    /// A node has answered on the way to a target.
    pub(super) fn seek_answered(
        &mut self,
        now: Instant,
        id: JobId,
        from: SocketAddr,
        response: &Response<'_>,
    ) {
        let Some(mut job) = self.jobs.remove(&id) else {
            return;
        };
        let family = Family::of(&from);
        let mut hops = 1;
        for of in Family::ALL {
            match &mut job.lookups[of as usize] {
                Some(lookup) if of == family => {
                    hops = lookup.answered(
                        from,
                        response.id,
                        response.token,
                        named(from, of, response),
                    );
                }
                Some(lookup) => {
                    for (node, addr) in named(from, of, response).take(K) {
                        lookup.seed(node, addr);
                    }
                }
                None => self.hint(now, of, named(from, of, response).take(K)),
            }
        }
        let found = job.take(from.ip(), response, hops);
        if let Some(sample) = &response.sample {
            self.intervals.note(now, from, pause_of(sample));
        }
        let enough = found.enough;
        if job.told {
            self.tell_found(id, &job, from, response, found);
        }
        if enough {
            self.finish(now, id, job);
        } else {
            self.advance(now, id, job);
        }
    }

    fn tell_found(
        &mut self,
        id: JobId,
        job: &Job,
        from: SocketAddr,
        response: &Response<'_>,
        found: Found,
    ) {
        let progress = job.progress();
        let event = if !found.peers.is_empty() {
            Event::Peers {
                job: id,
                peers: found.peers,
                progress,
            }
        } else if let (Some(sample), Request::Sample(_)) = (&response.sample, &job.request) {
            Event::Sampled {
                job: id,
                sampled: Sampled {
                    from,
                    hashes: found.hashes,
                    total: sample.total,
                    interval: pause_of(sample),
                },
                progress,
            }
        } else {
            Event::Progress { job: id, progress }
        };
        self.tell(event);
    }

    /// A node did not answer on the way to a target.
    pub(super) fn seek_failed(&mut self, now: Instant, id: JobId, to: SocketAddr) {
        self.step(now, id, to, |lookup| lookup.failed(&to));
    }

    /// A node has named others beside a crowd.
    pub(super) fn beside_answered(
        &mut self,
        now: Instant,
        id: JobId,
        from: SocketAddr,
        response: &Response<'_>,
    ) {
        let family = Family::of(&from);
        self.step(now, id, from, |lookup| {
            lookup.answered_beside(&from, named(from, family, response));
        });
    }

    /// A node has not named others beside a crowd.
    pub(super) fn beside_failed(&mut self, now: Instant, id: JobId, to: SocketAddr) {
        self.step(now, id, to, Lookup::failed_beside);
    }

    /// A node takes its time.
    pub(super) fn seek_slow(&mut self, now: Instant, id: JobId, to: SocketAddr) {
        self.step(now, id, to, |lookup| lookup.slow(&to));
    }

    /// Goes on with the lookup of a node's family.
    fn step(&mut self, now: Instant, id: JobId, to: SocketAddr, step: impl FnOnce(&mut Lookup)) {
        let Some(mut job) = self.jobs.remove(&id) else {
            return;
        };
        if let Some(lookup) = &mut job.lookups[Family::of(&to) as usize] {
            step(lookup);
        }
        self.advance(now, id, job);
    }
}

/// How long a node of whose info-hashes this is a sample is to be left alone.
fn pause_of(sample: &Sample<'_>) -> Duration {
    Duration::from_secs(u64::from(sample.interval))
}

/// The nodes of a family that an answer names, where its sender may name them.
fn named(
    from: SocketAddr,
    family: Family,
    response: &Response<'_>,
) -> impl Iterator<Item = (NodeId, SocketAddr)> {
    let nodes = response.all_nodes();
    let fit = nodes
        .filter(move |node| Family::of(&node.addr) == family && may_name(from.ip(), &node.addr));
    fit.map(|node| (NodeId(node.id), node.addr))
}
