//! Datagrams for a node of the tunnels that takes part in circuits in every role: whatever comes, it is handled or refused,
//! nothing grows without bound, and the circuit of the honest originator still carries data afterwards unless one of its
//! neighbours ended it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::steps::Steps;
use overlay::key::SecretKey;
use tunnels::{Config, Dialect, Flags, HEADROOM, Handled, LIBRARY, Node, Purpose, TAILROOM};

/// The most datagrams of one run.
const MAX_STEPS: usize = 64;

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    let dialect = match steps.byte() % 2 {
        0 => Dialect::Classic,
        _ => Dialect::Modern,
    };
    let mut net = Net::new(dialect);
    let id = net.nodes[0]
        .create_circuit(net.now, Purpose::Data, 2, None)
        .expect("nodes to build with");
    net.settle();
    for _ in 0..MAX_STEPS {
        if steps.is_empty() {
            break;
        }
        net.step(&mut steps);
    }
    net.settle();
    for node in &net.nodes {
        let (ends, relays) = node.joined();
        assert!(ends + relays <= 200 && node.circuits().count() <= 8);
    }
    if let Some(info) = net.nodes[0].circuit(id) {
        let to: SocketAddr = ([8, 8, 8, 8], 6881).into();
        let mut out = Vec::new();
        if info.hops.len() == 2 {
            net.nodes[0]
                .send_data(id, to.into(), &[1; 30], &mut out)
                .expect("a circuit that is ready takes data");
        }
    }
}

/// An originator, a relay and an exit, and all that they have sent.
struct Net {
    now: Instant,
    nodes: Vec<Node>,
    addrs: Vec<SocketAddr>,
    sent: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Net {
    fn new(dialect: Dialect) -> Self {
        let now = Instant::now();
        let flags = [Flags::RELAY, Flags::RELAY, Flags::RELAY.and(Flags::EXIT)];
        let mut nodes = Vec::new();
        let mut addrs = Vec::new();
        for (flags, n) in flags.iter().zip(1..) {
            let mut config = Config::new(dialect, LIBRARY);
            config.flags = *flags;
            let key = SecretKey::from_bytes(&[n; 64]).expect("a key");
            let mut node = Node::new(now, config, key, [n; 32]);
            let addr = SocketAddr::from(([20 + n, 0, 0, 1], 7000));
            node.set_addr(addr);
            nodes.push(node);
            addrs.push(addr);
        }
        let keys: Vec<_> = nodes
            .iter()
            .map(|node: &Node| node.public().clone())
            .collect();
        for node in &mut nodes {
            for ((key, addr), flags) in keys.iter().zip(&addrs).zip(flags) {
                node.set_candidate(key.clone(), *addr, flags);
            }
        }
        Self {
            now,
            nodes,
            addrs,
            sent: Vec::new(),
        }
    }

    /// A datagram of whatever kind: one that was sent, perhaps changed, or any bytes behind the prefix.
    fn step(&mut self, steps: &mut Steps<'_>) {
        let choice = steps.byte();
        if choice % 8 == 7 {
            self.now += Duration::from_millis(u64::from(steps.byte()) * 40);
            for node in &mut self.nodes {
                node.handle_timeout(self.now);
            }
            self.settle();
            return;
        }
        let (from, to, mut payload) = if choice.is_multiple_of(2) && !self.sent.is_empty() {
            let at = steps.below(self.sent.len() as u32) as usize;
            self.sent[at].clone()
        } else {
            let (from, to) = (steps.below(3) as usize, steps.below(3) as usize);
            let mut payload = self.nodes[0].prefix().as_bytes().to_vec();
            let len = usize::from(steps.byte());
            payload.extend_from_slice(steps.take(len));
            (self.addrs[from], self.addrs[to], payload)
        };
        if choice % 4 == 2 && !payload.is_empty() {
            let at = steps.below(payload.len() as u32) as usize;
            payload[at] ^= steps.byte();
        }
        self.give(from, to, &payload);
        self.settle();
    }

    fn give(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let Some(at) = self.addrs.iter().position(|addr| *addr == to) else {
            return;
        };
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(payload);
        buffer.resize(buffer.len() + TAILROOM, 0);
        let range = HEADROOM..HEADROOM + payload.len();
        let handled = self.nodes[at].handle_datagram(self.now, from, &mut buffer, range);
        if let Handled::Forward { to: next, at: lies } = handled {
            let payload = buffer[lies].to_vec();
            self.note(to, next, payload.clone());
            self.give(to, next, &payload);
        }
    }

    fn note(&mut self, from: SocketAddr, to: SocketAddr, payload: Vec<u8>) {
        if self.sent.len() < 256 {
            self.sent.push((from, to, payload));
        }
    }

    fn settle(&mut self) {
        for _ in 0..1000 {
            let mut said = None;
            for (node, addr) in self.nodes.iter_mut().zip(&self.addrs) {
                while node.poll_event().is_some() {}
                if said.is_none() {
                    said = node.poll_transmit().map(|transmit| (*addr, transmit));
                }
            }
            let Some((from, transmit)) = said else {
                return;
            };
            self.note(from, transmit.to, transmit.payload.clone());
            self.give(from, transmit.to, &transmit.payload);
        }
        panic!("they do not stop talking");
    }
}
