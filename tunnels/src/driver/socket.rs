//! A socket whose datagrams go through circuits.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use net::DatagramSocket;
use net::datagram::Batch;
use overlay::wire::Address;
use tokio::io::ReadBuf;

use super::inbox::Inbox;
use super::{Shared, State, now};
use crate::crypto::OVERHEAD;
use crate::{CircuitId, Head, Node, Pool, Purpose};

/// The most flows whose sockets are remembered.
const MAX_FLOWS: usize = 16_384;

/// The most strangers that are remembered.
const MAX_STRANGERS: usize = 1024;

/// How long a stranger who has written is answered through the circuit that it wrote to.
const STRANGER: Duration = Duration::from_secs(10);

/// What Ethernet and IPv4 leave of a datagram, in bytes.
const DATAGRAM: usize = 1472;

/// Bytes of a data message besides its payload.
const DATA_HEAD: usize = 1 + 2 * 9;

/// A socket whose datagrams go through circuits of one number of hops, of any of several nodes: the first of them that can
/// carries a datagram, and where one goes, those to the same address follow.
pub(crate) struct CircuitSocket {
    ways: Vec<Way>,
    hops: u8,
    inbox: Arc<Inbox>,
    /// What keeps circuits ready while the socket is there.
    _lane: Option<Arc<dyn Send + Sync>>,
}

/// A node that carries a socket's datagrams.
struct Way {
    shared: Arc<Shared>,
    number: u64,
}

/// The sockets, and whose datagrams are whose.
#[derive(Default)]
pub(super) struct Ports {
    next: u64,
    open: BTreeMap<u64, (u8, Arc<Inbox>)>,
    flows: BTreeMap<(CircuitId, SocketAddr), u64>,
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
    /// Gives a datagram to the socket that has written to its sender, or to all of its lane if none has. They are woken by
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
        // Either one or those of a lane.
        let lane = self.open.iter().filter(|(_, (of, _))| *of == hops);
        let lane = lane.filter(|_| known.is_none());
        for (number, (_, inbox)) in known.into_iter().chain(lane) {
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
    fn way_back(&self, now: Instant, node: &Node, hops: u8, to: SocketAddr) -> Option<CircuitId> {
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
    }

    fn note(&mut self, circuit: CircuitId, to: SocketAddr, number: u64) {
        if self.flows.len() >= MAX_FLOWS {
            self.flows.clear();
        }
        self.flows.insert((circuit, to), number);
    }
}

impl CircuitSocket {
    pub(super) fn open<'a>(
        nodes: impl Iterator<Item = &'a Arc<Shared>>,
        hops: u8,
        lane: Option<Arc<dyn Send + Sync>>,
    ) -> Self {
        let inbox = Arc::<Inbox>::default();
        let ways = nodes.map(|shared| {
            let mut state = shared.lock();
            let number = state.ports.next;
            state.ports.next += 1;
            state.ports.open.insert(number, (hops, Arc::clone(&inbox)));
            Way {
                shared: Arc::clone(shared),
                number,
            }
        });
        Self {
            ways: ways.collect(),
            hops,
            inbox,
            _lane: lane,
        }
    }

    fn send(&self, datagram: &[u8], to: &Address) -> io::Result<()> {
        self.through(to, |way, state, id| {
            let put = way.put(state, id, datagram, to);
            state.outbox.send(&way.shared.endpoint);
            put
        })
    }

    /// Does something with the node and the circuit that datagrams to an address go through.
    fn through<T>(
        &self,
        to: &Address,
        act: impl FnOnce(&Way, &mut State, CircuitId) -> io::Result<T>,
    ) -> io::Result<T> {
        let now = now();
        // Nodes are asked twice only where a flow of one may keep others from taking it.
        let rounds: &[bool] = if self.ways.len() > 1 {
            &[true, false]
        } else {
            &[false]
        };
        for known in rounds {
            for way in &self.ways {
                let mut state = way.shared.lock();
                if let Some(id) = state.carrier(now, self.hops, to, *known) {
                    if let Address::Ip(to) = to {
                        state.ports.note(id, *to, way.number);
                    }
                    return act(way, &mut state, id);
                }
            }
        }
        Err(io::ErrorKind::NetworkUnreachable.into())
    }
}

impl State {
    /// The circuit that carries datagrams to an address: that of a hidden peer, that of a flow, that through which it has written,
    /// or, unless it has to be `known`, another one.
    fn carrier(&mut self, now: Instant, hops: u8, to: &Address, known: bool) -> Option<CircuitId> {
        let Self {
            node,
            circuits,
            ports,
            ..
        } = self;
        // A hidden peer has a circuit of its own.
        let linked = to.v4().and_then(CircuitId::from_address);
        let linked = linked.filter(|id| {
            node.own(*id).is_some_and(|circuit| {
                circuit.linked || circuit.purpose == Purpose::RendezvousSeeder
            })
        });
        linked
            .or_else(|| circuits.flow(now, node, hops, to))
            .or_else(|| {
                let back = ports.way_back(now, node, hops, to.v4()?.into())?;
                circuits.keep(now, hops, to, back);
                Some(back)
            })
            .or_else(|| {
                let other = (!known).then(|| circuits.pick(now, node, hops, to));
                other.flatten()
            })
    }
}

impl Way {
    /// Puts a cell where it waits to be sent.
    fn put(
        &self,
        state: &mut State,
        id: CircuitId,
        datagram: &[u8],
        to: &Address,
    ) -> io::Result<()> {
        let State {
            node, out, outbox, ..
        } = state;
        let first = node.send_data(id, to.clone(), datagram, out);
        let first = first.map_err(|_| io::ErrorKind::NetworkUnreachable)?;
        self.shared.put(outbox, first, out);
        Ok(())
    }
}

impl DatagramSocket for CircuitSocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.inbox.poll_take(cx, |from, data| {
            let fits = data.len().min(buf.remaining());
            buf.put_slice(data.get(..fits).unwrap_or_default());
            Ok(from)
        })
    }

    fn poll_recv_batch(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        self.inbox.poll_batch(cx, batch).map(Ok)
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(self.try_send_to(datagram, to))
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.send(datagram, &to.into())
    }

    fn try_send_segments(
        &self,
        datagrams: &[u8],
        segment: usize,
        to: SocketAddr,
    ) -> io::Result<usize> {
        let to = Address::from(to);
        // What finds no circuit is lost on the way.
        let _ = self.through(&to, |way, state, id| {
            for datagram in datagrams.chunks(segment.max(1)) {
                way.put(state, id, datagram, &to)?;
            }
            state.outbox.send(&way.shared.endpoint);
            Ok(())
        });
        Ok(datagrams.len())
    }

    fn poll_send_to_name(
        &self,
        _: &mut Context<'_>,
        datagram: &[u8],
        (host, port): (&str, u16),
    ) -> Poll<io::Result<()>> {
        Poll::Ready(self.send(datagram, &Address::Host(host.to_owned(), port)))
    }

    fn take_moved(&self) -> Option<SocketAddr> {
        self.inbox.take_moved()
    }

    fn is_up(&self) -> bool {
        self.ways.iter().any(|way| {
            let state = way.shared.lock();
            Pool::is_open(now(), &state.node, self.hops)
        })
    }

    fn local_addr(&self) -> SocketAddr {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    }

    fn max_payload(&self) -> usize {
        let layers = (usize::from(self.hops) + 2) * OVERHEAD;
        let heads = self.ways.iter().map(|way| Head::len(way.shared.dialect));
        let head = heads.max().unwrap_or_default();
        DATAGRAM - head - DATA_HEAD - layers.min(DATAGRAM / 2)
    }
}

impl Drop for CircuitSocket {
    fn drop(&mut self) {
        for way in &self.ways {
            let mut state = way.shared.lock();
            state.ports.open.remove(&way.number);
            state.ports.flows.retain(|_, number| *number != way.number);
        }
    }
}
