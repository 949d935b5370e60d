//! Nodes that send each other datagrams at once, in virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use overlay::key::SecretKey;
use overlay::wire::Address;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::node::{Event, HEADROOM, Handled, Node, TAILROOM};
use crate::testing::rng;
use crate::{CircuitId, Closed, Config, Dialect, Flags, LIBRARY, Purpose};

/// What an exit has sent out.
pub(crate) type Sent = (SocketAddr, CircuitId, Address, Vec<u8>);

/// From, to, payload.
type Datagram = (SocketAddr, SocketAddr, Vec<u8>);

/// How often nodes look at their deadlines.
const TICK: Duration = Duration::from_millis(500);

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    pub(crate) addrs: Vec<SocketAddr>,
    /// Which nodes take datagrams.
    pub(crate) alive: Vec<bool>,
    /// Every datagram so far: from, to, payload.
    pub(crate) log: Vec<Datagram>,
    pub(crate) exits: Vec<Sent>,
    pub(crate) data: Vec<(usize, CircuitId, Address, Vec<u8>)>,
    pub(crate) events: Vec<(usize, Event)>,
    pub(crate) refused: usize,
    /// How long a datagram is on its way, and the share of them that is lost.
    pub(crate) links: (Duration, f64),
    /// What is on its way: when it arrives and in which order it was sent.
    queue: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
    next_tick: Instant,
    rng: StdRng,
    /// Where the sockets of exits are: of which node and circuit.
    sockets: BTreeMap<SocketAddr, (usize, CircuitId)>,
}

impl World {
    /// The first node only originates, the others relay and are exits as `flags` says.
    pub(crate) fn new(dialect: Dialect, flags: &[Flags], seed: u64) -> Self {
        let now = Instant::now();
        let mut world = Self {
            now,
            nodes: Vec::new(),
            addrs: Vec::new(),
            alive: Vec::new(),
            log: Vec::new(),
            exits: Vec::new(),
            data: Vec::new(),
            events: Vec::new(),
            refused: 0,
            links: (Duration::ZERO, 0.0),
            queue: BTreeMap::new(),
            sent: 0,
            next_tick: now + TICK,
            rng: rng(seed),
            sockets: BTreeMap::new(),
        };
        for flags in flags {
            world.add(dialect, *flags);
        }
        for at in 0..flags.len() {
            for other in 0..flags.len() {
                world.acquaint(at, other);
            }
        }
        world
    }

    /// Tells node `at` of another, if that one does something for others.
    pub(crate) fn acquaint(&mut self, at: usize, other: usize) {
        let flags = self.nodes[other].config().flags;
        if flags != Flags::default() {
            let key = self.nodes[other].public().clone();
            let addr = self.addrs[other];
            self.nodes[at].set_candidate(key, addr, flags);
        }
    }

    /// Another node, which knows nobody and which nobody knows; says which number it has.
    pub(crate) fn add(&mut self, dialect: Dialect, flags: Flags) -> usize {
        let at = self.nodes.len();
        let mut config = Config::new(dialect, LIBRARY);
        config.flags = flags;
        let key = SecretKey::generate(&mut self.rng);
        let mut seed = [at as u8; 32];
        rand::Rng::fill_bytes(&mut self.rng, &mut seed);
        let addr = SocketAddr::from(([20 + at as u8, 1, 2, 3], 7000));
        let mut node = Node::new(self.now, config, key, seed);
        node.set_addr(addr);
        self.nodes.push(node);
        self.addrs.push(addr);
        self.alive.push(true);
        at
    }

    /// One originator, so many relays and exits.
    pub(crate) fn of(dialect: Dialect, relays: usize, exits: usize, seed: u64) -> Self {
        let mut flags = vec![Flags::default()];
        flags.extend(vec![Flags::RELAY.and(Flags::SPEED_TEST); relays]);
        flags.extend(vec![Flags::RELAY.and(Flags::EXIT); exits]);
        Self::new(dialect, &flags, seed)
    }

    /// Puts a datagram on its way, whoever `from` is.
    pub(crate) fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: Vec<u8>) {
        let (delay, loss) = self.links;
        if loss > 0.0 && self.rng.random_bool(loss) {
            return;
        }
        self.sent += 1;
        let place = (self.now + delay, self.sent);
        self.queue.insert(place, (from, to, payload));
    }

    /// Gives a datagram to a node, and says what it made of it.
    pub(crate) fn give(&mut self, at: usize, from: SocketAddr, payload: &[u8]) -> Handled {
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(payload);
        buffer.resize(buffer.len() + TAILROOM, 0);
        let range = HEADROOM..HEADROOM + payload.len();
        let handled = self.nodes[at].handle_datagram(self.now, from, &mut buffer, range);
        match &handled {
            Handled::Forward { to, at: lies } => {
                let payload = buffer[lies.clone()].to_vec();
                self.send(self.addrs[at], *to, payload);
            }
            Handled::Data {
                circuit,
                from,
                at: lies,
            } => {
                let payload = buffer[lies.clone()].to_vec();
                self.data.push((at, *circuit, from.clone(), payload));
            }
            Handled::Exit {
                circuit,
                to,
                at: lies,
            } => {
                let payload = buffer[lies.clone()].to_vec();
                // The socket of an exit has an address of its own.
                let socket =
                    SocketAddr::new(self.addrs[at].ip(), (circuit.0 >> 16) as u16 | 0x8000);
                self.sockets.insert(socket, (at, *circuit));
                self.nodes[at].set_exit_port(*circuit, socket.port());
                if let Address::Ip(to) = to
                    && (self.addrs.contains(to) || self.sockets.contains_key(to))
                {
                    self.send(socket, *to, payload.clone());
                }
                self.exits.push((socket, *circuit, to.clone(), payload));
            }
            Handled::Refused(_) => self.refused += 1,
            Handled::Done => {}
        }
        self.drain(at);
        handled
    }

    /// Why a circuit of the first node is gone, if it is.
    pub(crate) fn ended(&self, id: CircuitId) -> Option<Closed> {
        let mut events = self.events.iter();
        events.find_map(|(at, event)| match event {
            Event::Closed {
                circuit,
                purpose: Purpose::Data,
                why,
                ..
            } if (*at, *circuit) == (0, id) => Some(*why),
            _ => None,
        })
    }

    /// Takes what a node has to say.
    pub(crate) fn drain(&mut self, at: usize) {
        while let Some(transmit) = self.nodes[at].poll_transmit() {
            self.send(self.addrs[at], transmit.to, transmit.payload);
        }
        while let Some(event) = self.nodes[at].poll_event() {
            self.events.push((at, event));
        }
    }

    /// Delivers until nothing is on its way that has arrived by now.
    pub(crate) fn settle(&mut self) {
        for at in 0..self.nodes.len() {
            self.drain(at);
        }
        let mut steps = 0;
        while let Some(first) = self.queue.first_entry()
            && first.key().0 <= self.now
        {
            let (from, to, payload) = first.remove();
            self.log.push((from, to, payload.clone()));
            steps += 1;
            assert!(steps < 100_000, "datagrams without end");
            if let Some(at) = self.addrs.iter().position(|addr| *addr == to) {
                if self.alive[at] {
                    self.give(at, from, &payload);
                }
            } else if let Some((at, circuit)) = self.sockets.get(&to).copied() {
                self.come_back(at, circuit, from, &payload);
            }
        }
    }

    /// A datagram from outside has come to the socket of an exit.
    pub(crate) fn come_back(
        &mut self,
        at: usize,
        circuit: CircuitId,
        from: SocketAddr,
        data: &[u8],
    ) {
        let mut out = Vec::new();
        if let Ok(to) = self.nodes[at].send_back(self.now, circuit, from, data, &mut out) {
            self.send(self.addrs[at], to, out);
        }
    }

    /// Lets time pass, and delivers.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while self.now < end {
            let arrives = self.queue.first_key_value().map(|((at, _), _)| *at);
            let next = arrives.map_or(self.next_tick, |at| at.min(self.next_tick));
            self.now = next.min(end);
            if self.now == self.next_tick {
                self.next_tick += TICK;
                for at in 0..self.nodes.len() {
                    if self.alive[at] {
                        self.nodes[at].handle_timeout(self.now);
                    }
                }
            }
            self.settle();
        }
    }

    /// A circuit of node 0 that is ready.
    pub(crate) fn build(&mut self, goal: u8) -> CircuitId {
        let now = self.now;
        let id = self.nodes[0]
            .create_circuit(now, Purpose::Data, goal, None)
            .unwrap();
        self.settle();
        assert!(
            self.events.contains(&(0, Event::Ready(id))),
            "{:?}",
            self.nodes[0].counters()
        );
        id
    }

    /// Sends a datagram through a circuit of node `at`.
    pub(crate) fn say(&mut self, at: usize, id: CircuitId, to: &str, data: &[u8]) {
        let mut out = Vec::new();
        let to: SocketAddr = to.parse().unwrap();
        let first = self.nodes[at]
            .send_data(id, to.into(), data, &mut out)
            .unwrap();
        self.send(self.addrs[at], first, out);
        self.settle();
    }

    /// The hops of a circuit of node 0, as numbers of nodes.
    pub(crate) fn hops(&self, id: CircuitId) -> Vec<usize> {
        let hops = self.nodes[0].circuit(id).unwrap().hops;
        let at = |key| {
            self.nodes
                .iter()
                .position(|node| node.public() == key)
                .unwrap()
        };
        hops.iter().map(at).collect()
    }
}

/// A datagram that looks like one of uTP.
pub(crate) fn utp(tail: &[u8]) -> Vec<u8> {
    let mut data = vec![0x01, 0x00];
    data.resize(20, 7);
    data.extend_from_slice(tail);
    data
}
