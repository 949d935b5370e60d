//! Sockets that go through circuits, and whose datagrams are whose.

mod named;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::inbox::Inbox;
use crate::node::Node;
use crate::{Alias, CircuitId, Pool, Purpose};
use named::Named;

/// The most flows whose sockets are remembered.
const MAX_FLOWS: usize = 16_384;

/// The most strangers that are remembered.
const MAX_STRANGERS: usize = 1024;

/// How long a stranger who has written is answered through the circuit that it wrote to.
const STRANGER: Duration = Duration::from_secs(10);

/// The most sockets that are given what none has asked for.
const MAX_TAKERS: usize = 16;

/// The most sockets that share a flow.
const MAX_SHARERS: usize = 16;

/// The sockets, and whose datagrams are whose.
#[derive(Default)]
pub(super) struct Ports {
    next: u64,
    open: BTreeMap<u64, Port>,
    /// The sockets that have written to an address through a circuit; more than one only where there are fewer circuits.
    flows: BTreeMap<(CircuitId, SocketAddr), Vec<u64>>,
    /// Each flow once, in the order in which they came.
    order: VecDeque<(CircuitId, SocketAddr)>,
    /// The listening sockets that have sent something through a circuit: they share the address that it has at its end.
    users: BTreeMap<CircuitId, BTreeSet<u64>>,
    named: Named,
    strangers: Strangers,
    /// Sockets for which something has come.
    touched: Vec<u64>,
}

/// A socket.
struct Port {
    hops: u8,
    inbox: Arc<Inbox>,
    /// Whether it is given what comes from those to whom nobody has written.
    listens: bool,
}

/// Who has written through which circuit without having been written to: an answer that came by another exit would be nobody's
/// for them, and tell them that both exits are of one originator.
#[derive(Default)]
struct Strangers {
    wrote: BTreeMap<SocketAddr, (CircuitId, Instant)>,
    /// Those who are in there, in the order in which they came.
    order: VecDeque<SocketAddr>,
}

impl Strangers {
    fn note(&mut self, now: Instant, circuit: CircuitId, from: SocketAddr) {
        if self.wrote.insert(from, (circuit, now)).is_some() {
            return;
        }
        self.order.push_back(from);
        if self.order.len() > MAX_STRANGERS
            && let Some(first) = self.order.pop_front()
        {
            self.wrote.remove(&first);
        }
    }

    fn circuit(&self, now: Instant, to: SocketAddr) -> Option<CircuitId> {
        let (circuit, at) = self.wrote.get(&to)?;
        (now < *at + STRANGER).then_some(*circuit)
    }
}

impl Ports {
    /// A new socket for circuits of `hops` hops; with `listens` it is given what comes unasked, too.
    pub(super) fn open(&mut self, hops: u8, inbox: &Arc<Inbox>, listens: bool) -> u64 {
        let number = self.next;
        self.next += 1;
        let inbox = Arc::clone(inbox);
        let port = Port {
            hops,
            inbox,
            listens,
        };
        self.open.insert(number, port);
        number
    }

    /// A socket is gone.
    pub(super) fn close(&mut self, number: u64) {
        self.open.remove(&number);
        self.flows.retain(|_, sharers| {
            sharers.retain(|of| *of != number);
            !sharers.is_empty()
        });
        self.order.retain(|flow| self.flows.contains_key(flow));
        self.named.close(number);
        self.users.retain(|_, users| {
            users.remove(&number);
            !users.is_empty()
        });
    }

    /// Gives a datagram to the socket that has written to its sender. Where none has: from outside to the listening ones that use the
    /// circuit, for they have one address together, and to those that wait for an answer from a name at that port; from a hidden peer
    /// to all listening ones of its lane, until one answers. They are woken by [`Ports::wake`].
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        (purpose, goal): (Purpose, u8),
        (from, data): (SocketAddr, &[u8]),
    ) {
        let Some(hops) = lane_of(purpose, goal) else {
            return;
        };
        // An exit names whom it likes, but what stands for a hidden peer is at the end of a link.
        let hidden = matches!(from, SocketAddr::V4(from) if Alias::at(from).is_some());
        if hidden && purpose == Purpose::Data {
            return;
        }
        if purpose == Purpose::Data && !self.flows.contains_key(&(circuit, from)) {
            for number in self.named.answer(now, circuit, from) {
                self.note(circuit, from, number);
            }
        }
        let known = self.flows.get(&(circuit, from));
        let takers: SmallVec<[u64; MAX_TAKERS]> = match (known, purpose) {
            (Some(known), _) => SmallVec::from_slice(known),
            (None, Purpose::Data) => {
                self.strangers.note(now, circuit, from);
                let users = self.users.get(&circuit).into_iter().flatten();
                users.copied().take(MAX_TAKERS).collect()
            }
            (None, _) => {
                let lane = self.open.iter();
                let lane = lane.filter(|(_, port)| port.listens && port.hops == hops);
                lane.map(|(number, _)| *number).take(MAX_TAKERS).collect()
            }
        };
        for number in takers {
            let Some(port) = self.open.get(&number) else {
                continue;
            };
            port.inbox.push(from, data);
            if self.touched.last() != Some(&number) {
                self.touched.push(number);
            }
        }
    }

    /// Whether a socket hears hidden peers who come through circuits of a kind, and so may write to them.
    pub(super) fn takes_hidden(&self, number: u64, (purpose, goal): (Purpose, u8)) -> bool {
        let port = self.open.get(&number);
        port.is_some_and(|port| port.listens && lane_of(purpose, goal) == Some(port.hops))
    }

    /// Wakes those for whom something has come.
    pub(super) fn wake(&mut self) {
        for number in self.touched.drain(..) {
            if let Some(port) = self.open.get(&number) {
                port.inbox.wake();
            }
        }
    }

    /// The circuit of `hops` hops through which a socket has written to a host before, or, where it listens, the host has written, if
    /// that circuit still stands.
    pub(super) fn way_back(
        &self,
        now: Instant,
        node: &Node,
        (hops, number): (u8, u64),
        to: SocketAddr,
    ) -> Option<CircuitId> {
        let stands = |id: &CircuitId| Pool::carries(now, node, hops, *id);
        let listens = self.open.get(&number).is_some_and(|port| port.listens);
        let wrote = self.strangers.circuit(now, to).filter(stands);
        wrote.filter(|_| listens).or_else(|| {
            let mut circuits = node.own_circuits().map(|circuit| circuit.id);
            circuits.find(|id| {
                let sharers = self.flows.get(&(*id, to));
                stands(id) && sharers.is_some_and(|sharers| sharers.contains(&number))
            })
        })
    }

    /// Forgets what went through circuits, all of which are gone.
    pub(super) fn forget_all(&mut self) {
        for ((_, addr), sharers) in std::mem::take(&mut self.flows) {
            self.tell_moved(addr, &sharers);
        }
        self.strangers = Strangers::default();
        self.order.clear();
        self.users.clear();
        self.named.clear();
    }

    /// Forgets a circuit that is gone.
    pub(super) fn end(&mut self, circuit: CircuitId) {
        self.forget(circuit);
        self.users.remove(&circuit);
        self.named.end(circuit);
    }

    /// Forgets what went through a circuit, and tells the sockets whose datagrams go through another one now: at its end they
    /// have another address.
    pub(super) fn forget(&mut self, circuit: CircuitId) {
        let gone = self.flows.extract_if(.., |(of, _), _| *of == circuit);
        for ((_, addr), sharers) in gone.collect::<Vec<_>>() {
            self.tell_moved(addr, &sharers);
        }
        self.order.retain(|(of, _)| *of != circuit);
    }

    fn tell_moved(&self, addr: SocketAddr, sharers: &[u64]) {
        for port in sharers.iter().filter_map(|number| self.open.get(number)) {
            port.inbox.moved(addr);
        }
    }

    /// A socket has sent something to a name at a port through a circuit, to where its exit knows.
    pub(super) fn note_name(
        &mut self,
        now: Instant,
        (circuit, host, port): (CircuitId, &str, u16),
        number: u64,
    ) {
        if self.note_user(circuit, number) {
            return;
        }
        if let Some(to) = self.named.note(now, (circuit, host, port), number) {
            self.note(circuit, to, number);
        }
    }

    /// A socket has sent something through a circuit; says whether it listens.
    fn note_user(&mut self, circuit: CircuitId, number: u64) -> bool {
        let listens = self.open.get(&number).is_some_and(|port| port.listens);
        if listens {
            self.users.entry(circuit).or_default().insert(number);
        }
        listens
    }

    /// A socket has sent something to an address through a circuit. Where there are too many flows, the oldest is forgotten, until it
    /// sends again.
    pub(super) fn note(&mut self, circuit: CircuitId, to: SocketAddr, number: u64) {
        let flow = (circuit, to);
        let sharers = self.flows.entry(flow).or_default();
        if sharers.contains(&number) {
            return;
        }
        if sharers.len() >= MAX_SHARERS {
            sharers.remove(0);
        }
        sharers.push(number);
        self.note_user(circuit, number);
        if self.order.len() < self.flows.len() {
            self.order.push_back(flow);
        }
        if self.flows.len() > MAX_FLOWS
            && let Some(oldest) = self.order.pop_front()
        {
            self.flows.remove(&oldest);
        }
    }
}

/// With how many hops sockets are that circuits of a kind are for.
const fn lane_of(purpose: Purpose, goal: u8) -> Option<u8> {
    match purpose {
        Purpose::Data | Purpose::RendezvousSeeder => Some(goal),
        Purpose::RendezvousDownloader => Some(goal.saturating_sub(1)),
        Purpose::Introduction | Purpose::Test => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::task::Context;

    use super::super::inbox::Blocks;
    use super::*;

    fn host(number: u32) -> SocketAddr {
        (Ipv4Addr::from_bits(number), 6881).into()
    }

    fn inbox() -> Arc<Inbox> {
        Arc::new(Inbox::new(&Blocks::default()))
    }

    /// How many datagrams wait.
    fn taken(inbox: &Inbox) -> usize {
        let cx = Context::from_waker(std::task::Waker::noop());
        let mut count = 0;
        while inbox
            .poll_take(&cx, |_, _| Ok::<_, std::io::Error>(()))
            .is_ready()
        {
            count += 1;
        }
        count
    }

    #[test]
    fn what_comes_unasked_is_for_the_sockets_that_use_the_circuit_and_no_others() {
        let (now, mut ports) = (Instant::now(), Ports::default());
        let inboxes: Vec<Arc<Inbox>> = (0..3).map(|_| inbox()).collect();
        let numbers: Vec<u64> = inboxes.iter().map(|it| ports.open(2, it, true)).collect();
        let (circuit, lane) = (CircuitId(5), (Purpose::Data, 2));
        ports.deliver(now, circuit, lane, (host(9), b"unasked"));
        assert_eq!(inboxes.iter().map(|it| taken(it)).sum::<usize>(), 0);
        ports.note(circuit, host(1), numbers[0]);
        ports.note(CircuitId(6), host(1), numbers[1]);
        ports.deliver(now, circuit, lane, (host(9), b"unasked"));
        ports.deliver(now, circuit, lane, (host(1), b"answer"));
        let counts: Vec<usize> = inboxes.iter().map(|it| taken(it)).collect();
        assert_eq!(counts, [2, 0, 0]);
        // A hidden peer has written to nobody in particular.
        let hidden = (Purpose::RendezvousSeeder, 2);
        ports.deliver(now, CircuitId(7), hidden, (host(3), b"hello"));
        assert!(inboxes.iter().all(|it| taken(it) == 1));
        ports.close(numbers[0]);
        ports.end(CircuitId(6));
        assert!(ports.users.is_empty() && ports.flows.is_empty() && ports.order.is_empty());
    }

    #[test]
    fn who_does_not_listen_hears_those_to_whom_it_wrote_and_nobody_else() {
        let (now, mut ports) = (Instant::now(), Ports::default());
        let inboxes: Vec<Arc<Inbox>> = (0..3).map(|_| inbox()).collect();
        let numbers: Vec<u64> = inboxes.iter().map(|it| ports.open(2, it, false)).collect();
        let (circuit, lane) = (CircuitId(5), (Purpose::Data, 2));
        let counts = || inboxes.iter().map(|it| taken(it)).collect::<Vec<_>>();
        ports.note(circuit, host(1), numbers[0]);
        ports.note(circuit, host(2), numbers[1]);
        ports.deliver(now, circuit, lane, (host(9), b"unasked"));
        let hidden = (Purpose::RendezvousSeeder, 2);
        ports.deliver(now, CircuitId(7), hidden, (host(3), b"hello"));
        assert_eq!(counts(), [0, 0, 0]);
        // Where two share a circuit, and an end, each is given what may be its own.
        ports.note(circuit, host(1), numbers[2]);
        ports.deliver(now, circuit, lane, (host(1), b"answer"));
        assert_eq!(counts(), [1, 0, 1]);
        // The first answer from a name is from its address, and shows which one that is.
        ports.note_name(now, (circuit, "a", 6881), numbers[1]);
        let other = SocketAddr::new(host(4).ip(), 80);
        ports.deliver(now, circuit, lane, (other, b"another port"));
        ports.deliver(now, circuit, lane, (host(4), b"answer"));
        ports.deliver(now, circuit, lane, (host(5), b"unasked"));
        ports.deliver(now, circuit, lane, (host(4), b"answer"));
        assert_eq!(counts(), [0, 2, 0]);
        ports.note_name(now, (circuit, "b", 6881), numbers[1]);
        let late = now + Duration::from_secs(30);
        ports.deliver(late, circuit, lane, (host(6), b"too late"));
        assert_eq!(counts(), [0, 0, 0]);
        // Each of several names at one port may answer; where one alone did, others hear it at once.
        ports.note_name(late, (circuit, "c", 6881), numbers[1]);
        ports.note_name(late, (circuit, "d", 6881), numbers[2]);
        for answer in [7, 8, 9] {
            ports.deliver(late, circuit, lane, (host(answer), b"answer"));
        }
        assert_eq!(counts(), [0, 2, 2]);
        ports.note_name(late, (circuit, "e", 6881), numbers[1]);
        ports.deliver(late, circuit, lane, (host(10), b"answer"));
        ports.note_name(late, (circuit, "e", 6881), numbers[2]);
        ports.deliver(late, circuit, lane, (host(10), b"answer"));
        assert_eq!(counts(), [0, 2, 1], "both use that flow");
        for number in numbers {
            ports.close(number);
        }
        assert!(ports.flows.is_empty() && ports.order.is_empty());
    }

    #[test]
    fn flows_in_use_survive_a_flood_of_others() {
        let mut ports = Ports::default();
        let (mine, other) = (ports.open(1, &inbox(), true), ports.open(1, &inbox(), true));
        for number in 1..40_000 {
            ports.note(CircuitId(1), host(0), mine);
            ports.note(CircuitId(1), host(number), other);
        }
        assert_eq!(ports.flows.get(&(CircuitId(1), host(0))), Some(&vec![mine]));
        assert_eq!(ports.flows.len(), MAX_FLOWS);
        assert_eq!(ports.order.len(), MAX_FLOWS);
    }
}
