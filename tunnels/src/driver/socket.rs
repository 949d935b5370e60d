//! A socket whose datagrams go through circuits.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use net::DatagramSocket;
use overlay::wire::Address;
use parking_lot::Mutex;
use tokio::io::ReadBuf;
use tokio::sync::mpsc;

use super::{Shared, State, now};
use crate::crypto::OVERHEAD;
use crate::{CircuitId, CircuitInfo, Head, Purpose};

/// Datagrams that may wait in a socket; what comes beyond that is lost.
const INBOX: usize = 1024;

/// The most flows whose sockets are remembered.
const MAX_FLOWS: usize = 16_384;

/// What Ethernet and IPv4 leave of a datagram, in bytes.
const DATAGRAM: usize = 1472;

/// Bytes of a data message besides its payload.
const DATA_HEAD: usize = 1 + 2 * 9;

type Received = (SocketAddr, Vec<u8>);

/// A socket whose datagrams go through circuits of one number of hops, of any of several nodes: the first of them that can
/// carries a datagram, and where one goes, those to the same address follow.
pub(crate) struct CircuitSocket {
    ways: Vec<Way>,
    hops: u8,
    inbox: Mutex<mpsc::Receiver<Received>>,
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
    open: BTreeMap<u64, (u8, mpsc::Sender<Received>)>,
    flows: BTreeMap<(CircuitId, SocketAddr), u64>,
}

impl Ports {
    /// Gives a datagram to the socket that has written to its sender, or to all of its lane if none has.
    pub(super) fn deliver(&mut self, circuit: &CircuitInfo, from: SocketAddr, data: &[u8]) {
        let hops = match circuit.purpose {
            Purpose::Data | Purpose::RendezvousSeeder => circuit.goal,
            Purpose::RendezvousDownloader => circuit.goal.saturating_sub(1),
            Purpose::Introduction => return,
        };
        let known = self.flows.get(&(circuit.id, from));
        let known = known.and_then(|number| self.open.get(number));
        let lane = self.open.values().filter(|(of, _)| *of == hops);
        let takers: Vec<_> = match known {
            Some(port) => vec![port],
            None => lane.collect(),
        };
        for (_, port) in takers {
            // A full inbox loses datagrams, as a socket does.
            let _ = port.try_send((from, data.to_vec()));
        }
    }

    /// Forgets what went through a circuit.
    pub(super) fn forget(&mut self, circuit: CircuitId) {
        self.flows.retain(|(of, _), _| *of != circuit);
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
        let (port, inbox) = mpsc::channel(INBOX);
        let ways = nodes.map(|shared| {
            let mut state = shared.state.lock();
            let number = state.ports.next;
            state.ports.next += 1;
            state.ports.open.insert(number, (hops, port.clone()));
            Way {
                shared: Arc::clone(shared),
                number,
            }
        });
        Self {
            ways: ways.collect(),
            hops,
            inbox: Mutex::new(inbox),
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
                let mut state = way.shared.state.lock();
                if let Some(id) = state.carrier(now, self.hops, to, *known) {
                    return act(way, &mut state, id);
                }
            }
        }
        Err(io::ErrorKind::NetworkUnreachable.into())
    }
}

impl State {
    /// The circuit that carries datagrams to an address: that of a hidden peer, that of a flow, or, unless it has to be `known`,
    /// another one.
    fn carrier(&mut self, now: Instant, hops: u8, to: &Address, known: bool) -> Option<CircuitId> {
        let Self { node, circuits, .. } = self;
        // A hidden peer has a circuit of its own.
        let linked = to.v4().and_then(CircuitId::from_address);
        let linked = linked.filter(|id| {
            node.circuit(*id).is_some_and(|circuit| {
                circuit.linked || circuit.purpose == Purpose::RendezvousSeeder
            })
        });
        linked.or_else(|| {
            if known {
                circuits.flow(now, node, hops, to)
            } else {
                circuits.pick(now, node, hops, to)
            }
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
            node,
            out,
            outbox,
            ports,
            ..
        } = state;
        let first = node.send_data(id, to.clone(), datagram, out);
        let first = first.map_err(|_| io::ErrorKind::NetworkUnreachable)?;
        if let Address::Ip(to) = to {
            ports.note(id, *to, self.number);
        }
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
        let received = ready!(self.inbox.lock().poll_recv(cx));
        let (from, data) = received.ok_or(io::ErrorKind::NotConnected)?;
        let fits = data.len().min(buf.remaining());
        buf.put_slice(data.get(..fits).unwrap_or_default());
        Poll::Ready(Ok(from))
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

    fn is_up(&self) -> bool {
        self.ways.iter().any(|way| {
            let state = way.shared.state.lock();
            state.circuits.status(now(), &state.node, self.hops).ready > 0
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
            let mut state = way.shared.state.lock();
            state.ports.open.remove(&way.number);
            state.ports.flows.retain(|_, number| *number != way.number);
        }
    }
}
