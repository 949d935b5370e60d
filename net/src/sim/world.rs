//! Hosts, who can reach whom, and the events between them.

use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::HostOptions;
use super::conn::{Conns, Side};
use super::datagram::Socket;
use super::event::{Event, Load, Packet, Planned};
use super::link::{Link, Path, Pipe};
use super::listen::Backlog;
use super::nat::{Nat, NatId, NatKind};
use super::ports::Ports;
use super::rng::Rng;
use super::trace::{Happening, Lost, Tracer};
use crate::Subnet;

/// A host's place in its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostId(usize);

/// Everything there is.
pub(super) struct World {
    pub(super) start: Instant,
    pub(super) rng: Rng,
    pub(super) trace: Tracer,
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    pub(super) texts: BTreeMap<String, Vec<Vec<u8>>>,
    /// How often these were asked for.
    pub(super) text_look_ups: usize,
    pub(super) conns: Conns,
    hosts: Vec<HostState>,
    nats: Vec<Nat>,
    /// Who answers at a public address.
    public: BTreeMap<IpAddr, Public>,
    /// Paths that do not follow from the hosts' links; the smaller host stands first.
    paths: BTreeMap<(HostId, HostId), Path>,
    events: BinaryHeap<Planned>,
    planned: u64,
    /// When the driver wakes next; `None` while it is awake or has nothing to wait for.
    armed: Option<Instant>,
    /// Whether the driver has to be told of an earlier event.
    earlier: bool,
    /// Whom to wake when the world is left.
    wakers: Vec<Waker>,
}

pub(super) struct HostState {
    pub(super) ips: Vec<IpAddr>,
    /// The networks that it says it is in.
    pub(super) networks: Vec<Subnet>,
    pub(super) nat: Option<NatId>,
    pub(super) link: Link,
    pub(super) online: bool,
    pub(super) listeners: Ports<Backlog>,
    pub(super) sockets: Ports<Socket>,
    up: Pipe,
    down: Pipe,
}

#[derive(Clone, Copy, Debug)]
enum Public {
    Host(HostId),
    Nat(NatId),
}

/// Where an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To a host, without translation.
    Host(HostId),
    /// To a NAT's outside.
    Nat(NatId),
    /// Nowhere.
    Nowhere,
}

impl World {
    pub(super) fn new(seed: u64, start: Instant) -> Self {
        Self {
            start,
            rng: Rng::new(seed),
            trace: Tracer::new(),
            names: BTreeMap::new(),
            texts: BTreeMap::new(),
            text_look_ups: 0,
            conns: Conns::default(),
            hosts: Vec::new(),
            nats: Vec::new(),
            public: BTreeMap::new(),
            paths: BTreeMap::new(),
            events: BinaryHeap::new(),
            planned: 0,
            armed: None,
            earlier: true,
            wakers: Vec::new(),
        }
    }

    pub(super) fn add_host(&mut self, options: HostOptions) -> HostId {
        assert!(!options.ips.is_empty(), "a host has an address");
        let id = HostId(self.hosts.len());
        for ip in &options.ips {
            let taken = match options.nat {
                Some(nat) => self.nats[nat.0].inner.insert(*ip, id).is_some(),
                None => self.public.insert(*ip, Public::Host(id)).is_some(),
            };
            assert!(!taken, "{ip} is taken");
        }
        let Link {
            up, down, queue, ..
        } = options.link;
        self.hosts.push(HostState {
            networks: options.ips.iter().copied().map(Subnet::only).collect(),
            ips: options.ips,
            nat: options.nat,
            link: options.link,
            online: true,
            listeners: Ports::default(),
            sockets: Ports::default(),
            up: Pipe::new(up, queue, self.start),
            down: Pipe::new(down, queue, self.start),
        });
        id
    }

    pub(super) fn add_nat(&mut self, kind: NatKind, public: IpAddr) -> NatId {
        let id = NatId(self.nats.len());
        let taken = self.public.insert(public, Public::Nat(id)).is_some();
        assert!(!taken, "{public} is taken");
        self.nats.push(Nat::new(kind, public));
        id
    }

    pub(super) fn host(&mut self, id: HostId) -> &mut HostState {
        &mut self.hosts[id.0]
    }

    pub(super) fn nat(&mut self, id: NatId) -> &mut Nat {
        &mut self.nats[id.0]
    }

    pub(super) fn set_link(&mut self, id: HostId, link: Link) {
        let host = self.host(id);
        host.link = link;
        host.up.set(link.up, link.queue);
        host.down.set(link.down, link.queue);
    }

    pub(super) fn set_path(&mut self, a: HostId, b: HostId, path: Option<Path>) {
        let key = (a.min(b), a.max(b));
        match path {
            Some(path) => self.paths.insert(key, path),
            None => self.paths.remove(&key),
        };
    }

    pub(super) fn set_online(&mut self, id: HostId, online: bool, now: Instant) {
        let state = self.host(id);
        state.online = online;
        let host = state.ips[0];
        self.note(now, Happening::Online { host, online });
    }

    pub(super) fn crash(&mut self, id: HostId, now: Instant) {
        let host = self.host(id);
        let ip = host.ips[0];
        let backlogs = host.listeners.clear();
        let sockets = host.sockets.clear();
        self.note(now, Happening::Crashed { host: ip });
        for backlog in backlogs {
            self.wakers.extend(backlog.waker);
            for conn in backlog.waiting {
                self.abort(conn, Side::Acceptor, now);
            }
        }
        for socket in sockets {
            self.wakers.extend(socket.reader);
        }
        self.reset_all_of(id, now);
    }

    /// Where a packet from `from` to `ip` gets to.
    pub(super) fn route(&mut self, from: HostId, ip: IpAddr) -> Route {
        let host = &self.hosts[from.0];
        if ip.is_loopback() || host.ips.contains(&ip) {
            return Route::Host(from);
        }
        let inner = host.nat.and_then(|nat| self.nats[nat.0].inner.get(&ip));
        if let Some(neighbour) = inner {
            return Route::Host(*neighbour);
        }
        match self.public.get(&ip) {
            Some(Public::Host(id)) => Route::Host(*id),
            Some(Public::Nat(id)) => Route::Nat(*id),
            None => Route::Nowhere,
        }
    }

    /// The NAT that a packet on this route leaves through.
    pub(super) fn leaves_through(&self, from: HostId, route: Route) -> Option<NatId> {
        let nat = self.hosts[from.0].nat?;
        match route {
            Route::Host(to) if self.hosts[to.0].nat == Some(nat) => None,
            Route::Host(_) | Route::Nat(_) | Route::Nowhere => Some(nat),
        }
    }

    /// The address that `from` sends from to `to`.
    pub(super) fn source(&self, from: HostId, to: IpAddr) -> Option<IpAddr> {
        if to.is_loopback() {
            return Some(to);
        }
        let ips = &self.hosts[from.0].ips;
        ips.iter().copied().find(|ip| ip.is_ipv4() == to.is_ipv4())
    }

    pub(super) fn path(&self, from: HostId, to: HostId) -> Path {
        let own = self.paths.get(&(from.min(to), from.max(to)));
        own.copied().unwrap_or_else(|| {
            let (a, b) = (&self.hosts[from.0].link, &self.hosts[to.0].link);
            Path::between(a, b)
        })
    }

    /// Time that packets wait for the two links between hosts at present.
    pub(super) fn queueing(&self, from: HostId, to: HostId, now: Instant) -> Duration {
        self.hosts[from.0].up.delay(now) + self.hosts[to.0].down.delay(now)
    }

    /// Sends a packet on its way, or loses it.
    pub(super) fn send(&mut self, packet: Packet, now: Instant) {
        match self.passage(&packet, now) {
            Ok(at) => self.plan(at, Event::Arrive(packet)),
            Err(why) => self.lose(packet, why, now),
        }
    }

    /// When a packet comes to the receiver's downlink.
    fn passage(&mut self, packet: &Packet, now: Instant) -> Result<Instant, Lost> {
        let (from, to) = (packet.from, packet.to);
        if from == to {
            return Ok(now);
        }
        let path = self.path(from, to);
        if !self.host(from).online || !path.open {
            return Err(Lost::Unreachable);
        }
        let up = &mut self.host(from).up;
        let sent = up.push(packet.wire_len(), now).ok_or(Lost::Full)?;
        if self.rng.chance(path.loss) {
            return Err(Lost::Chance);
        }
        let mut at = sent + path.latency + self.rng.part_of(path.jitter);
        if matches!(packet.load, Load::Datagram { .. }) {
            let link = self.host(from).link;
            if self.rng.chance(link.reorder) {
                at += super::link::HELD_BACK;
            }
            if packet.attempt == 0 && self.rng.chance(link.duplicate) {
                let twin = Packet {
                    attempt: 1,
                    ..packet.clone()
                };
                self.plan(at, Event::Arrive(twin));
            }
        }
        Ok(at)
    }

    pub(super) fn lose(&mut self, packet: Packet, why: Lost, now: Instant) {
        if let Load::Datagram { from, to, .. } = packet.load {
            self.note(now, Happening::DatagramLost { from, to, why });
        } else {
            self.note(now, Happening::SegmentLost { why });
            self.send_again(packet, why, now);
        }
    }

    pub(super) fn plan(&mut self, at: Instant, event: Event) {
        let order = self.planned;
        self.planned += 1;
        self.events.push(Planned { at, order, event });
        self.earlier |= self.armed.is_none_or(|armed| at < armed);
    }

    /// Lets everything happen that is due, and says when to come again.
    pub(super) fn run_due(&mut self, now: Instant) -> Option<Instant> {
        while let Some(next) = self.events.peek()
            && next.at <= now
        {
            let Some(Planned { at, event, .. }) = self.events.pop() else {
                break;
            };
            self.happen(event, at);
        }
        self.armed = self.events.peek().map(|next| next.at);
        self.earlier = false;
        self.armed
    }

    fn happen(&mut self, event: Event, now: Instant) {
        match event {
            Event::Arrive(packet) => self.arrive(packet, now),
            Event::Deliver(packet) => self.deliver(packet, now),
            Event::Resend(packet) => self.send(packet, now),
            Event::Acknowledge(conn, side, bytes) => self.acknowledge(conn, side, bytes, now),
            Event::GiveUp(conn) => self.give_up(conn, now),
        }
    }

    fn arrive(&mut self, packet: Packet, now: Instant) {
        if packet.from == packet.to {
            return self.deliver(packet, now);
        }
        let host = self.host(packet.to);
        if !host.online {
            return self.lose(packet, Lost::Unreachable, now);
        }
        match host.down.push(packet.wire_len(), now) {
            None => self.lose(packet, Lost::Full, now),
            Some(at) if at <= now => self.deliver(packet, now),
            Some(at) => self.plan(at, Event::Deliver(packet)),
        }
    }

    fn deliver(&mut self, packet: Packet, now: Instant) {
        if let Load::Connect(conn) = packet.load {
            return self.deliver_connect(conn, packet, now);
        }
        match packet.load {
            Load::Datagram {
                from: source,
                to: target,
                data,
            } => self.deliver_datagram(packet.to, source, target, data, now),
            Load::Connect(_) => {}
            Load::Accept(conn) => self.deliver_accept(conn, now),
            Load::Refuse(conn) => self.deliver_refuse(conn, now),
            Load::Segment(conn, side, segment) => self.deliver_segment(conn, side, segment, now),
            Load::Reset(conn, side) => self.deliver_reset(conn, side, now),
        }
    }

    pub(super) fn note(&mut self, now: Instant, happening: Happening) {
        self.trace
            .note(now.saturating_duration_since(self.start), happening);
    }

    /// Wakes tasks once the world is left.
    pub(super) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    /// Whom to wake now, and whether the driver has to look at its clock.
    pub(super) fn outbox(&mut self) -> (Vec<Waker>, bool) {
        let wakers = std::mem::take(&mut self.wakers);
        (wakers, std::mem::take(&mut self.earlier))
    }

    /// The address that a packet from a socket bound to `bound` bears, before any translation.
    pub(super) fn source_of(
        &self,
        host: HostId,
        bound: SocketAddr,
        to: IpAddr,
    ) -> Option<SocketAddr> {
        let own = bound.ip();
        let both_families = own.is_ipv6();
        let ip = if own.is_multicast() || own.is_unspecified() && (both_families || to.is_ipv4()) {
            self.source(host, to)?
        } else {
            own
        };
        (ip.is_ipv4() == to.is_ipv4()).then_some(SocketAddr::new(ip, bound.port()))
    }

    /// Whether a host has an address of this family.
    pub(super) fn has_family(&self, host: HostId, family: SocketAddr) -> bool {
        self.source(host, family.ip()).is_some()
    }

    /// The hosts on the local network of `host`, itself included, that have a socket of a multicast group.
    pub(super) fn local_network(&mut self, host: HostId, group: SocketAddr) -> Vec<HostId> {
        let network = |world: &Self, id: HostId| {
            let ip = world.source(id, group.ip())?;
            let prefix = match ip {
                IpAddr::V4(ip) => u128::from(ip.to_bits() >> 8),
                IpAddr::V6(ip) => ip.to_bits() >> 64,
            };
            Some(match world.hosts[id.0].nat {
                Some(nat) => (Some(nat), 0),
                None => (None, prefix),
            })
        };
        let own = network(self, host);
        (0..self.hosts.len())
            .map(HostId)
            .filter(|id| network(self, *id) == own)
            .collect::<Vec<_>>()
            .into_iter()
            .filter(|id| self.host(*id).sockets.get(group).is_some())
            .collect()
    }

    /// Checks that a host may bind to an address.
    pub(super) fn check_own(&self, host: HostId, at: SocketAddr) -> io::Result<()> {
        let ip = at.ip();
        let own = ip.is_unspecified() || ip.is_loopback() || self.hosts[host.0].ips.contains(&ip);
        if own {
            Ok(())
        } else {
            Err(io::ErrorKind::AddrNotAvailable.into())
        }
    }
}
