//! The hosts of a simulated network, and time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use net::Scope;
use protocol::krpc::{NodeId, secure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Adversary, LinkModel};
use crate::{Event, JobId, Node, NodeConfig, Request};

/// A host of a [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u32);

/// How long a NAT lets in whom its host has spoken to.
const NAT_OPEN_FOR: Duration = Duration::from_secs(60);

/// A simulated network.
#[derive(Debug)]
pub struct World {
    seed: u64,
    link: LinkModel,
    start: Instant,
    now: Duration,
    rng: StdRng,
    hosts: Vec<Host>,
    by_addr: HashMap<SocketAddr, HostId>,
    queue: BinaryHeap<Reverse<Due>>,
    queued: u64,
    log: Vec<(Duration, HostId, Event)>,
    delivered: u64,
}

#[derive(Debug)]
struct Host {
    addr: SocketAddr,
    role: Role,
    /// Whom it has spoken to and when, where it is behind a NAT.
    nat: Option<BTreeMap<SocketAddr, Duration>>,
    /// When it will be woken at the latest.
    wake_at: Option<Duration>,
}

#[derive(Debug)]
enum Role {
    Adversary(Box<Adversary>),
    Gone,
    Node(Box<Node>),
}

/// Something that happens at a time; in the order of their making where times are equal.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Duration,
    order: u64,
    to: HostId,
    /// A datagram and its sender, or nothing for a wake-up.
    datagram: Option<(SocketAddr, Vec<u8>)>,
}

impl World {
    /// An empty network.
    pub fn new(seed: u64, link: LinkModel) -> Self {
        Self {
            seed,
            link,
            start: Instant::now(),
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            hosts: Vec::new(),
            by_addr: HashMap::new(),
            queue: BinaryHeap::new(),
            queued: 0,
            log: Vec::new(),
            delivered: 0,
        }
    }

    /// Virtual time since the beginning.
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// Datagrams that have arrived.
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// A public IPv4 address that nobody has.
    pub fn free_address(&mut self) -> SocketAddr {
        loop {
            let [a, b, c, d]: [u8; 4] = self.rng.random();
            let ip = IpAddr::from([a, b, c, d]);
            let usual = a < 220 && Scope::of(ip) == Some(Scope::Global);
            let addr = SocketAddr::new(ip, 6881);
            if usual && !self.by_addr.contains_key(&addr) {
                return addr;
            }
        }
    }

    /// Adds an honest node that knows some of those that are there; behind a NAT with `nat`.
    pub fn add_node(&mut self, nat: bool, config: &NodeConfig) -> HostId {
        let addr = self.free_address();
        let known: Vec<SocketAddr> = (0..3).filter_map(|_| self.any_node()).collect();
        let config = NodeConfig {
            id: Some(secure::id_for(addr.ip(), &mut self.rng)),
            families: [true, false],
            ..config.clone()
        };
        let now = self.instant();
        let mut node = Node::new(config, now, &mut self.rng);
        for known in known {
            node.add_node(now, known);
        }
        let host = self.add(addr, Role::Node(Box::new(node)), nat);
        self.wake(host, self.now);
        host
    }

    /// Adds a liar at an address.
    pub fn add_adversary(&mut self, addr: SocketAddr, adversary: Adversary) -> HostId {
        self.add(addr, Role::Adversary(Box::new(adversary)), false)
    }

    /// Lets a liar speak to an honest node, so that this one gets to know it.
    pub fn greet(&mut self, liar: HostId, node: HostId) {
        let to = self.hosts[node.0 as usize].addr;
        if let Role::Adversary(adversary) = &mut self.hosts[liar.0 as usize].role {
            let greeting = adversary.greeting();
            self.post(liar, to, greeting);
        }
    }

    /// Takes a host off the network, without a farewell.
    pub fn remove(&mut self, host: HostId) {
        let gone = &mut self.hosts[host.0 as usize];
        gone.role = Role::Gone;
        self.by_addr.remove(&gone.addr);
    }

    /// The honest nodes that are there.
    pub fn nodes(&self) -> Vec<HostId> {
        let ids = (0..).map(HostId).zip(&self.hosts);
        ids.filter(|(_, host)| matches!(host.role, Role::Node(_)))
            .map(|(id, _)| id)
            .collect()
    }

    /// Whether a host is behind a NAT.
    pub fn is_behind_nat(&self, host: HostId) -> bool {
        self.hosts[host.0 as usize].nat.is_some()
    }

    /// An honest node; `None` where the host is none, or gone.
    pub fn node(&self, host: HostId) -> Option<&Node> {
        match &self.hosts[host.0 as usize].role {
            Role::Node(node) => Some(node),
            Role::Adversary(_) | Role::Gone => None,
        }
    }

    /// The id of a host's node or liar; `None` when it is gone.
    pub fn id(&self, host: HostId) -> Option<NodeId> {
        match &self.hosts[host.0 as usize].role {
            Role::Adversary(adversary) => Some(adversary.id()),
            Role::Gone => None,
            Role::Node(node) => node.id(crate::Family::V4),
        }
    }

    /// Where a host is.
    pub fn addr(&self, host: HostId) -> SocketAddr {
        self.hosts[host.0 as usize].addr
    }

    /// Begins a job of an honest node.
    pub fn begin(&mut self, host: HostId, request: Request) -> Option<JobId> {
        let now = self.instant();
        let Role::Node(node) = &mut self.hosts[host.0 as usize].role else {
            return None;
        };
        let job = node.start(now, request);
        self.drain(host);
        Some(job)
    }

    /// Random choices of the scenario, out of the same seed.
    pub const fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// What nodes have told since this was called last: when, who, what.
    pub fn take_log(&mut self) -> Vec<(Duration, HostId, Event)> {
        std::mem::take(&mut self.log)
    }

    /// Lets time pass.
    pub fn run_until(&mut self, until: Duration) {
        while self.queue.peek().is_some_and(|due| due.0.at <= until) {
            let Some(Reverse(due)) = self.queue.pop() else {
                break;
            };
            self.now = due.at;
            match due.datagram {
                Some((from, datagram)) => self.deliver(due.to, from, &datagram),
                None => self.wake_up(due.to),
            }
        }
        self.now = until;
    }

    fn add(&mut self, addr: SocketAddr, role: Role, nat: bool) -> HostId {
        let id = HostId(self.hosts.len() as u32);
        self.by_addr.insert(addr, id);
        self.hosts.push(Host {
            addr,
            role,
            nat: nat.then(BTreeMap::new),
            wake_at: None,
        });
        id
    }

    /// The address of some honest node that can be reached.
    fn any_node(&mut self) -> Option<SocketAddr> {
        for _ in 0..64 {
            let len = self.hosts.len().max(1);
            let host = self.hosts.get(self.rng.random_range(0..len))?;
            if matches!(host.role, Role::Node(_)) && host.nat.is_none() {
                return Some(host.addr);
            }
        }
        None
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    fn push(&mut self, at: Duration, to: HostId, datagram: Option<(SocketAddr, Vec<u8>)>) {
        self.queued += 1;
        self.queue.push(Reverse(Due {
            at,
            order: self.queued,
            to,
            datagram,
        }));
    }

    fn wake(&mut self, host: HostId, at: Duration) {
        let there = &mut self.hosts[host.0 as usize];
        if there.wake_at.is_none_or(|earlier| at < earlier) {
            there.wake_at = Some(at);
            self.push(at, host, None);
        }
    }

    /// Puts a datagram on the wire.
    fn post(&mut self, from: HostId, to: SocketAddr, datagram: Vec<u8>) {
        let now = self.now;
        let sender = &mut self.hosts[from.0 as usize];
        let source = sender.addr;
        if let Some(open) = &mut sender.nat {
            open.insert(to, now);
            if open.len() > 1024 {
                open.retain(|_, at| now.saturating_sub(*at) < NAT_OPEN_FOR);
            }
        }
        let Some(target) = self.by_addr.get(&to).copied() else {
            return;
        };
        if self.link.loses(&mut self.rng) {
            return;
        }
        let takes = self.link.one_way(from.0, target.0, self.seed);
        self.push(now + takes, target, Some((source, datagram)));
    }

    fn deliver(&mut self, to: HostId, from: SocketAddr, datagram: &[u8]) {
        let now = self.now;
        let instant = self.instant();
        let host = &mut self.hosts[to.0 as usize];
        if let Some(open) = &host.nat
            && open
                .get(&from)
                .is_none_or(|at| now.saturating_sub(*at) > NAT_OPEN_FOR)
        {
            return;
        }
        self.delivered += 1;
        match &mut host.role {
            Role::Gone => {}
            Role::Adversary(adversary) => {
                if let Some(answer) = adversary.answer(from, datagram) {
                    self.post(to, from, answer);
                }
            }
            Role::Node(node) => {
                node.handle_datagram(instant, from, datagram);
                self.drain(to);
            }
        }
    }

    fn wake_up(&mut self, host: HostId) {
        let (now, instant) = (self.now, self.instant());
        let there = &mut self.hosts[host.0 as usize];
        if there.wake_at != Some(now) {
            // It was to be woken earlier meanwhile.
            return;
        }
        there.wake_at = None;
        if let Role::Node(node) = &mut there.role {
            node.handle_timeout(instant);
            self.drain(host);
        }
    }

    /// Takes what a node has to send and to tell, and sees to its next wake-up.
    fn drain(&mut self, host: HostId) {
        let (start, now) = (self.start, self.now);
        let Role::Node(node) = &mut self.hosts[host.0 as usize].role else {
            return;
        };
        let mut out = Vec::new();
        while let Some(transmit) = node.poll_transmit() {
            out.push(transmit);
        }
        while let Some(event) = node.poll_event() {
            self.log.push((now, host, event));
        }
        let deadline = node.poll_timeout().map(|(at, _)| at);
        for transmit in out {
            self.post(host, transmit.to, transmit.bytes);
        }
        if let Some(at) = deadline {
            let at = at.saturating_duration_since(start).max(now);
            self.wake(host, at);
        }
    }
}
