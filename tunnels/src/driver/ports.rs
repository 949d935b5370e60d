//! Sockets that go through circuits, and whose datagrams are whose.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::inbox::Inbox;
use crate::node::Node;
use crate::{CircuitId, Pool, Purpose};

/// The most flows whose sockets are remembered.
const MAX_FLOWS: usize = 16_384;

/// The most strangers that are remembered.
const MAX_STRANGERS: usize = 1024;

/// How long a stranger who has written is answered through the circuit that it wrote to.
const STRANGER: Duration = Duration::from_secs(10);

/// The most sockets that are given what none has asked for.
const MAX_TAKERS: usize = 16;

/// The sockets, and whose datagrams are whose.
#[derive(Default)]
pub(super) struct Ports {
    next: u64,
    open: BTreeMap<u64, (u8, Arc<Inbox>)>,
    flows: BTreeMap<(CircuitId, SocketAddr), u64>,
    /// Each flow once, in the order in which they came.
    order: VecDeque<(CircuitId, SocketAddr)>,
    /// The sockets that have sent something through a circuit: they share the address that it has at its end.
    users: BTreeMap<CircuitId, BTreeSet<u64>>,
    strangers: Strangers,
    /// Sockets for which something has come.
    touched: Vec<u64>,
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
    /// A new socket for circuits of `hops` hops.
    pub(super) fn open(&mut self, hops: u8, inbox: &Arc<Inbox>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, (hops, Arc::clone(inbox)));
        number
    }

    /// A socket is gone.
    pub(super) fn close(&mut self, number: u64) {
        self.open.remove(&number);
        self.flows.retain(|_, of| *of != number);
        self.order.retain(|flow| self.flows.contains_key(flow));
        self.users.retain(|_, users| {
            users.remove(&number);
            !users.is_empty()
        });
    }

    /// Gives a datagram to the socket that has written to its sender. Where none has: from outside to those who use the circuit,
    /// for they have one address together; from a hidden peer to all of its lane, until one answers. They are woken by
    /// [`Ports::wake`].
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        (purpose, goal): (Purpose, u8),
        (from, data): (SocketAddr, &[u8]),
    ) {
        let hops = match purpose {
            Purpose::Data | Purpose::RendezvousSeeder => goal,
            Purpose::RendezvousDownloader => goal.saturating_sub(1),
            Purpose::Introduction => return,
        };
        let known = self.flows.get(&(circuit, from));
        let known = known.and_then(|number| self.open.get_key_value(number));
        if known.is_none() && purpose == Purpose::Data {
            self.strangers.note(now, circuit, from);
        }
        let users = self.users.get(&circuit).into_iter().flatten();
        let users = users.filter_map(|number| self.open.get_key_value(number));
        let users = users.filter(|_| known.is_none() && purpose == Purpose::Data);
        let lane = self.open.iter().filter(|(_, (of, _))| *of == hops);
        let lane = lane.filter(|_| known.is_none() && purpose != Purpose::Data);
        for (number, (_, inbox)) in known.into_iter().chain(users.chain(lane).take(MAX_TAKERS)) {
            inbox.push(from, data);
            if self.touched.last() != Some(number) {
                self.touched.push(*number);
            }
        }
    }

    /// Wakes those for whom something has come.
    pub(super) fn wake(&mut self) {
        for number in self.touched.drain(..) {
            if let Some((_, inbox)) = self.open.get(&number) {
                inbox.wake();
            }
        }
    }

    /// The circuit of `hops` hops through which a host has written, or had been written to before, if that circuit still stands.
    pub(super) fn way_back(
        &self,
        now: Instant,
        node: &Node,
        hops: u8,
        to: SocketAddr,
    ) -> Option<CircuitId> {
        let stands = |id: &CircuitId| Pool::carries(now, node, hops, *id);
        let wrote = self.strangers.circuit(now, to).filter(stands);
        wrote.or_else(|| {
            let mut circuits = node.own_circuits().map(|circuit| circuit.id);
            circuits.find(|id| stands(id) && self.flows.contains_key(&(*id, to)))
        })
    }

    /// Forgets what went through circuits, all of which are gone.
    pub(super) fn forget_all(&mut self) {
        for ((_, addr), number) in std::mem::take(&mut self.flows) {
            if let Some((_, inbox)) = self.open.get(&number) {
                inbox.moved(addr);
            }
        }
        self.strangers = Strangers::default();
        self.order.clear();
        self.users.clear();
    }

    /// Forgets a circuit that is gone.
    pub(super) fn end(&mut self, circuit: CircuitId) {
        self.forget(circuit);
        self.users.remove(&circuit);
    }

    /// Forgets what went through a circuit, and tells the sockets whose datagrams go through another one now: at its end they
    /// have another address.
    pub(super) fn forget(&mut self, circuit: CircuitId) {
        let gone = self.flows.extract_if(.., |(of, _), _| *of == circuit);
        for ((_, addr), number) in gone {
            if let Some((_, inbox)) = self.open.get(&number) {
                inbox.moved(addr);
            }
        }
        self.order.retain(|(of, _)| *of != circuit);
    }

    /// A socket has sent something through a circuit, to where its exit knows.
    pub(super) fn note_user(&mut self, circuit: CircuitId, number: u64) {
        self.users.entry(circuit).or_default().insert(number);
    }

    /// A socket has sent something to an address through a circuit. Where there are too many flows, the oldest is forgotten, until it
    /// sends again.
    pub(super) fn note(&mut self, circuit: CircuitId, to: SocketAddr, number: u64) {
        let flow = (circuit, to);
        if self.flows.insert(flow, number) == Some(number) {
            return;
        }
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::task::Context;

    use super::*;

    fn host(number: u32) -> SocketAddr {
        (Ipv4Addr::from_bits(number), 6881).into()
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
        let inboxes: Vec<Arc<Inbox>> = (0..3).map(|_| Arc::default()).collect();
        let numbers: Vec<u64> = inboxes.iter().map(|it| ports.open(2, it)).collect();
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
    fn flows_in_use_survive_a_flood_of_others() {
        let mut ports = Ports::default();
        let (mine, other) = (
            ports.open(1, &Arc::default()),
            ports.open(1, &Arc::default()),
        );
        for number in 1..40_000 {
            ports.note(CircuitId(1), host(0), mine);
            ports.note(CircuitId(1), host(number), other);
        }
        assert_eq!(ports.flows.get(&(CircuitId(1), host(0))), Some(&mine));
        assert_eq!(ports.flows.len(), MAX_FLOWS);
        assert_eq!(ports.order.len(), MAX_FLOWS);
    }
}
