//! Thousands of hosts on one thread in virtual time.
//!
//! Every datagram goes through the real machines, byte for byte; only the wire between them is made up: each pair of hosts
//! has a delay of its own, some datagrams get lost, NATs let in only whom their host has spoken to, and hosts come and go.
//! The same seed gives the same run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::community::Community;
use crate::packet::Packet;

/// A host of a [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(usize);

/// How the wire is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Delays of pairs of hosts, one way, lie between these.
    pub delay: (Duration, Duration),
    /// The part of datagrams that get lost, from 0 to 1.
    pub loss: f64,
}

/// How long a NAT lets in whom its host has spoken to.
const NAT_OPEN_FOR: Duration = Duration::from_secs(60);

/// Hosts with communities of the kind `C`, and time.
#[derive(Debug)]
pub struct World<C: Community> {
    seed: u64,
    link: Link,
    start: Instant,
    now: Duration,
    rng: StdRng,
    hosts: Vec<Host<C>>,
    by_addr: HashMap<SocketAddrV4, HostId>,
    queue: BinaryHeap<Reverse<Due>>,
    queued: u64,
    log: Vec<(Duration, HostId, C::Event)>,
    delivered: u64,
    refused: u64,
}

#[derive(Debug)]
struct Host<C> {
    addr: SocketAddrV4,
    communities: Vec<C>,
    gone: bool,
    /// Whom it has spoken to and when, where it is behind a NAT.
    nat: Option<BTreeMap<SocketAddrV4, Duration>>,
    wake_at: Option<Duration>,
}

/// Something that happens at a time; in the order of their making where times are equal.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Duration,
    order: u64,
    to: HostId,
    /// A datagram and its sender, or nothing for a wake-up.
    datagram: Option<(SocketAddrV4, Vec<u8>)>,
}

impl Default for Link {
    /// 10 to 150 ms, loss 1 %.
    fn default() -> Self {
        Self {
            delay: (Duration::from_millis(10), Duration::from_millis(150)),
            loss: 0.01,
        }
    }
}

impl<C: Community> World<C> {
    /// An empty network.
    pub fn new(seed: u64, link: Link) -> Self {
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
            refused: 0,
        }
    }

    /// Virtual time since the beginning.
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// Virtual time as machines are told it.
    pub fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// Datagrams that have arrived.
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Packets that communities have refused.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Random choices of the scenario, out of the same seed.
    pub const fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// A public address that nobody has.
    pub fn free_address(&mut self) -> SocketAddrV4 {
        loop {
            let [a, b, c, d]: [u8; 4] = self.rng.random();
            let usual = (11..127).contains(&a) && a != 100;
            let addr = SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), 7759);
            if usual && !self.by_addr.contains_key(&addr) {
                return addr;
            }
        }
    }

    /// Adds a host at an address; behind a NAT with `nat`.
    pub fn add(&mut self, addr: SocketAddrV4, nat: bool, communities: Vec<C>) -> HostId {
        let id = HostId(self.hosts.len());
        self.by_addr.insert(addr, id);
        self.hosts.push(Host {
            addr,
            communities,
            gone: false,
            nat: nat.then(BTreeMap::new),
            wake_at: None,
        });
        self.drain(id);
        id
    }

    /// Takes a host off the network, without a farewell.
    pub fn remove(&mut self, host: HostId) {
        if let Some(gone) = self.hosts.get_mut(host.0) {
            gone.gone = true;
            self.by_addr.remove(&gone.addr);
        }
    }

    /// Hosts that are there.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> {
        let hosts = self.hosts.iter().enumerate();
        hosts
            .filter(|(_, host)| !host.gone)
            .map(|(at, _)| HostId(at))
    }

    /// Where a host is.
    pub fn addr(&self, host: HostId) -> SocketAddrV4 {
        self.hosts[host.0].addr
    }

    /// The communities of a host.
    pub fn communities(&self, host: HostId) -> &[C] {
        &self.hosts[host.0].communities
    }

    /// Does something with a community of a host.
    pub fn with<R>(
        &mut self,
        host: HostId,
        community: usize,
        work: impl FnOnce(&mut C, Instant) -> R,
    ) -> R {
        let now = self.instant();
        let done = work(&mut self.hosts[host.0].communities[community], now);
        self.drain(host);
        done
    }

    /// What communities have told since this was called last: when, who, what.
    pub fn take_log(&mut self) -> Vec<(Duration, HostId, C::Event)> {
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

    /// Lets so much time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    fn push(&mut self, at: Duration, to: HostId, datagram: Option<(SocketAddrV4, Vec<u8>)>) {
        self.queued += 1;
        self.queue.push(Reverse(Due {
            at,
            order: self.queued,
            to,
            datagram,
        }));
    }

    /// How long a datagram takes between two hosts, the same in both directions.
    fn delay(&self, a: HostId, b: HostId) -> Duration {
        let pair = (a.0.min(b.0) as u64) << 32 | a.0.max(b.0) as u64;
        // A scrambler of 64 bits (the finaliser of SplitMix64).
        let mut bits = (pair ^ self.seed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = ((bits >> 11) as f64) / (1u64 << 53) as f64;
        let (least, most) = self.link.delay;
        least + most.saturating_sub(least).mul_f64(part)
    }

    fn post(&mut self, from: HostId, to: SocketAddrV4, datagram: Vec<u8>) {
        let now = self.now;
        let sender = &mut self.hosts[from.0];
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
        if self.rng.random_bool(self.link.loss) {
            return;
        }
        let takes = self.delay(from, target);
        self.push(now + takes, target, Some((source, datagram)));
    }

    fn deliver(&mut self, to: HostId, from: SocketAddrV4, datagram: &[u8]) {
        let (now, instant) = (self.now, self.instant());
        let host = &mut self.hosts[to.0];
        let shut = host.nat.as_ref().is_some_and(|open| {
            let at = open.get(&from);
            at.is_none_or(|at| now.saturating_sub(*at) > NAT_OPEN_FOR)
        });
        if host.gone || shut {
            return;
        }
        self.delivered += 1;
        let Ok(packet) = Packet::parse(datagram) else {
            self.refused += 1;
            return;
        };
        let takes = |prefix| {
            host.communities
                .iter()
                .position(|community| community.prefix() == prefix)
        };
        let community = takes(Some(packet.prefix())).or_else(|| takes(None));
        let Some(community) = community else {
            return;
        };
        let community = &mut host.communities[community];
        if community.handle_packet(instant, from, &packet).is_err() {
            self.refused += 1;
        }
        self.drain(to);
    }

    fn wake_up(&mut self, host: HostId) {
        let (now, instant) = (self.now, self.instant());
        let there = &mut self.hosts[host.0];
        if there.gone || there.wake_at != Some(now) {
            // It was to be woken earlier meanwhile.
            return;
        }
        there.wake_at = None;
        for community in &mut there.communities {
            if community
                .poll_timeout()
                .is_some_and(|(at, _)| at <= instant)
            {
                community.handle_timeout(instant);
            }
        }
        self.drain(host);
    }

    /// Takes what a host has to send and to tell, and sees to its next wake-up.
    fn drain(&mut self, host: HostId) {
        let (start, now) = (self.start, self.now);
        let there = &mut self.hosts[host.0];
        let mut out = Vec::new();
        let mut deadline = None;
        for community in &mut there.communities {
            while let Some(transmit) = community.poll_transmit() {
                out.push(transmit);
            }
            while let Some(event) = community.poll_event() {
                self.log.push((now, host, event));
            }
            let at = community.poll_timeout().map(|(at, _)| at);
            deadline = deadline.into_iter().chain(at).min();
        }
        if let Some(at) = deadline {
            let at = at.saturating_duration_since(start).max(now);
            if there.wake_at.is_none_or(|earlier| at < earlier) {
                there.wake_at = Some(at);
                self.push(at, host, None);
            }
        }
        for transmit in out {
            self.post(host, transmit.to, transmit.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
