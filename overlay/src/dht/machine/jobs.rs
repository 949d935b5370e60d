//! What the DHT is asked to do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::crawl::{self, Todo};
use super::super::table::Node;
use super::super::tokens::USED_FOR;
use super::super::value::{MAX_VALUE, Value};
use super::super::{Body, NodeId, NodeInfo};
use super::asking::Why;
use super::{Crawl, Dht, DhtEvent, DhtJob, Failure, Found, JobId, MAX_JOBS, Outcome};

/// Nodes at which something is stored.
pub(super) const COPIES: usize = 8;

/// Values that are stored at once.
const MAX_STORED: usize = 8;

/// How long a value of our own is kept here.
const KEEP: Duration = Duration::from_secs(86_400);

/// A job on its way.
#[derive(Debug)]
pub(super) struct Job {
    what: DhtJob,
    /// Whether somebody is to be told of its end.
    told: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// From node to node.
    Crawl(Crawl),
    /// So many nodes have not answered yet, and these have, as hoped.
    Ask(usize, Vec<NodeInfo>),
}

impl Dht {
    /// Begins a job; its end is a [`DhtEvent::Done`], which may follow at once.
    pub fn start(&mut self, now: Instant, what: DhtJob) -> JobId {
        self.begin(now, what, true)
    }

    pub(super) fn begin(&mut self, now: Instant, what: DhtJob, told: bool) -> JobId {
        let id = JobId(self.next_job);
        self.next_job += 1;
        let bad = |value: &[u8]| value.len() > MAX_VALUE || Value::read(value).is_err();
        let bad_value = matches!(&what, DhtJob::Store(_, value) if bad(value));
        if let DhtJob::ConnectPeer(mid) = &what
            && let Some((node, _)) = self.peers.get(mid)
        {
            let outcome = Outcome::Nodes(vec![node.clone()]);
            self.end(id, told, outcome);
            return id;
        }
        let (target, force_nodes) = match &what {
            DhtJob::ConnectPeer(mid) => (NodeId(mid.0), true),
            DhtJob::FindNodes(target) | DhtJob::Store(target, _) => (*target, true),
            DhtJob::FindValues(target) => (*target, false),
            DhtJob::StorePeer => (NodeId(self.introducer.key().public().mid().0), true),
        };
        let start = self.table.closest(now, target, crawl::START, None);
        let failure = match (bad_value, start.is_empty(), self.jobs.len() >= MAX_JOBS) {
            (true, ..) => Some(Failure::BadValue),
            (_, _, true) => Some(Failure::Busy),
            (_, true, _) => Some(Failure::NoNodes),
            _ => None,
        };
        if let Some(failure) = failure {
            if told {
                self.tell(DhtEvent::Done(id, Outcome::Failed(failure)));
            }
            return id;
        }
        let start = start.into_iter().cloned().collect();
        let stage = Stage::Crawl(Crawl::new(target, force_nodes, start));
        self.jobs.insert(id, Job { what, told, stage });
        self.crawl_on(now, id);
        id
    }

    /// Asks as many nodes as may be asked, and ends the look-up when there are none.
    fn crawl_on(&mut self, now: Instant, id: JobId) {
        loop {
            let Some(Stage::Crawl(crawl)) = self.jobs.get_mut(&id).map(|job| &mut job.stage) else {
                return;
            };
            if crawl.is_done() {
                break;
            }
            let force_nodes = crawl.force_nodes;
            let target = crawl.target;
            let Some(Todo { node, through }) = crawl.next() else {
                return;
            };
            let asked = match through {
                Some(through) => {
                    let place = node.id();
                    let why = Why::Open(id, Box::new(node));
                    self.find(now, through, why, place, force_nodes)
                }
                None => self.find(now, node, Why::Find(id), target, force_nodes),
            };
            if !asked
                && let Some(Stage::Crawl(crawl)) = self.jobs.get_mut(&id).map(|job| &mut job.stage)
            {
                crawl.ended();
            }
        }
        self.crawled(now, id);
    }

    /// A node's NAT is open for us, or will not be: it is asked now.
    pub(super) fn ask_next(&mut self, now: Instant, id: JobId, node: Node) {
        let Some(Stage::Crawl(crawl)) = self.jobs.get(&id).map(|job| &job.stage) else {
            return;
        };
        let (target, force_nodes) = (crawl.target, crawl.force_nodes);
        if !self.find(now, node, Why::Find(id), target, force_nodes) {
            self.not_found(now, id);
        }
    }

    /// A node has answered a step of a look-up.
    pub(super) fn found(
        &mut self,
        now: Instant,
        id: JobId,
        by: &Node,
        values: Vec<Vec<u8>>,
        nodes: Vec<Node>,
    ) {
        if let Some(Stage::Crawl(crawl)) = self.jobs.get_mut(&id).map(|job| &mut job.stage) {
            crawl.ended();
            // With values, nodes do not count; where nodes were forced, values do not.
            if crawl.force_nodes {
                crawl.answered(by, Vec::new(), nodes);
            } else if values.is_empty() {
                crawl.answered(by, values, nodes);
            } else {
                crawl.answered(by, values, Vec::new());
            }
            self.crawl_on(now, id);
        }
    }

    /// A node has not answered a step of a look-up.
    pub(super) fn not_found(&mut self, now: Instant, id: JobId) {
        if let Some(Stage::Crawl(crawl)) = self.jobs.get_mut(&id).map(|job| &mut job.stage) {
            crawl.ended();
            self.crawl_on(now, id);
        }
    }

    /// A look-up is at its end: the job goes on with what was found.
    fn crawled(&mut self, now: Instant, id: JobId) {
        let Some(mut job) = self.jobs.remove(&id) else {
            return;
        };
        let Stage::Crawl(crawl) = job.stage else {
            return;
        };
        let mut nodes = crawl.nodes();
        let why = match &job.what {
            DhtJob::FindNodes(_) => {
                let nodes = nodes.iter().map(|node| node.info().clone()).collect();
                return self.end(id, job.told, Outcome::Nodes(nodes));
            }
            DhtJob::FindValues(target) => {
                let values = crawl.values();
                if let Some(node) = crawl.without_values()
                    && !values.is_empty()
                {
                    self.store_at(now, *target, &values, vec![node.clone()], &Why::Cache);
                }
                return self.end(
                    id,
                    job.told,
                    Outcome::Values(newest(&values), crawl.search()),
                );
            }
            DhtJob::Store(..) => Why::Store(id),
            DhtJob::StorePeer => Why::StorePeer(id),
            DhtJob::ConnectPeer(_) => Why::ConnectPeer(id),
        };
        nodes.truncate(COPIES);
        let mut done = Vec::new();
        let asked = match &job.what {
            DhtJob::Store(target, value) => {
                self.store_at(now, *target, std::slice::from_ref(value), nodes, &why)
            }
            DhtJob::StorePeer => {
                let (keep, new) = nodes
                    .into_iter()
                    .partition(|node| self.keepers.contains_key(&node.mid()));
                let keep: Vec<Node> = keep;
                done.extend(keep.iter().map(|node| node.info().clone()));
                self.store_peer_at(now, new, &why)
            }
            DhtJob::ConnectPeer(_) | DhtJob::FindNodes(_) | DhtJob::FindValues(_) => {
                self.connect_through(now, crawl.target, nodes, &why)
            }
        };
        if asked == 0 {
            let outcome = if done.is_empty() {
                Outcome::Failed(Failure::Nobody)
            } else {
                Outcome::Stored(done)
            };
            return self.end(id, job.told, outcome);
        }
        job.stage = Stage::Ask(asked, done);
        self.jobs.insert(id, job);
    }

    /// Asks nodes that have given us tokens to store values, and does so itself where that is due; says how many were asked.
    fn store_at(
        &mut self,
        now: Instant,
        target: NodeId,
        values: &[Vec<u8>],
        nodes: Vec<Node>,
        why: &Why,
    ) -> usize {
        let values = values.get(..MAX_STORED).unwrap_or(values);
        let farthest = nodes.iter().map(|node| node.id().distance(&target)).max();
        let own = self.table.own().distance(&target);
        if nodes.len() < COPIES || farthest.is_some_and(|farthest| own < farthest) {
            for value in values.iter().rev() {
                self.keep(now, target, value, KEEP);
            }
        }
        let mut asked = 0;
        for node in nodes {
            let Some(token) = self.token_of(now, &node) else {
                continue;
            };
            let body = Body::Store {
                token,
                target,
                values: values.iter().map(Vec::as_slice).collect(),
            };
            asked += usize::from(self.ask(now, node, why.clone(), body));
        }
        asked
    }

    fn store_peer_at(&mut self, now: Instant, nodes: Vec<Node>, why: &Why) -> usize {
        let target = NodeId(self.introducer.key().public().mid().0);
        let mut asked = 0;
        for node in nodes {
            if let Some(token) = self.token_of(now, &node) {
                let body = Body::StorePeer { token, target };
                asked += usize::from(self.ask(now, node, why.clone(), body));
            }
        }
        asked
    }

    fn connect_through(
        &mut self,
        now: Instant,
        target: NodeId,
        nodes: Vec<Node>,
        why: &Why,
    ) -> usize {
        let lan = self.introducer.lan();
        let mut asked = 0;
        for node in nodes {
            let body = Body::ConnectPeer { lan, target };
            asked += usize::from(self.ask(now, node, why.clone(), body));
        }
        asked
    }

    fn token_of(&self, now: Instant, node: &Node) -> Option<[u8; 20]> {
        let (at, token) = self.given.get(&node.mid())?;
        (now.saturating_duration_since(*at) < USED_FOR).then_some(*token)
    }

    /// A node has stored something, or has not.
    pub(super) fn stored(&mut self, now: Instant, id: JobId, by: Option<NodeInfo>) {
        self.answered_ask(now, id, by.into_iter().collect());
    }

    /// A node has told where a peer is, or has not.
    pub(super) fn connected(&mut self, now: Instant, id: JobId, nodes: Vec<NodeInfo>) {
        // A node can name whom it likes: only the peer that was asked for counts.
        let wanted = match self.jobs.get(&id).map(|job| &job.what) {
            Some(DhtJob::ConnectPeer(mid)) => *mid,
            _ => return,
        };
        let nodes = nodes.into_iter().filter(|node| node.key.mid() == wanted);
        self.answered_ask(now, id, nodes.collect());
    }

    fn answered_ask(&mut self, _: Instant, id: JobId, new: Vec<NodeInfo>) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Stage::Ask(waiting, nodes) = &mut job.stage else {
            return;
        };
        for node in new {
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        *waiting = waiting.saturating_sub(1);
        if *waiting > 0 {
            return;
        }
        let nodes = std::mem::take(nodes);
        let told = job.told;
        let outcome = match (nodes.is_empty(), &job.what) {
            (true, _) => Outcome::Failed(Failure::Nobody),
            (false, DhtJob::ConnectPeer(_)) => Outcome::Nodes(nodes),
            (false, _) => Outcome::Stored(nodes),
        };
        self.jobs.remove(&id);
        self.end(id, told, outcome);
    }

    fn end(&mut self, id: JobId, told: bool, outcome: Outcome) {
        if told {
            self.tell(DhtEvent::Done(id, outcome));
        }
    }
}

/// Of the signed values of each signer the newest, and those that are not signed.
fn newest(values: &[Vec<u8>]) -> Vec<Found> {
    let mut signed: BTreeMap<Vec<u8>, (u32, Found)> = BTreeMap::new();
    let mut plain = Vec::new();
    for value in values.iter().filter_map(|value| Value::read(value).ok()) {
        let data = value.data.to_vec();
        match value.signer {
            Some((key, version)) => {
                let bytes = key.as_bytes().to_vec();
                let newer = signed.get(&bytes).is_none_or(|(known, _)| version > *known);
                if newer {
                    let signer = Some(key);
                    signed.insert(bytes, (version, Found { data, signer }));
                }
            }
            None => plain.push(Found { data, signer: None }),
        }
    }
    let signed = signed.into_values().map(|(_, found)| found);
    signed.chain(plain).collect()
}
