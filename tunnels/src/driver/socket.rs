//! A socket whose datagrams go through circuits.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use net::DatagramSocket;
use net::datagram::Batch;
use overlay::wire::Address;
use tokio::io::ReadBuf;

use super::inbox::Inbox;
use super::{Shared, State, now};
use crate::alias::Alias;
use crate::crypto::OVERHEAD;
use crate::{CircuitId, Head, Pool};

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

impl CircuitSocket {
    pub(super) fn open<'a>(
        nodes: impl Iterator<Item = &'a Arc<Shared>>,
        hops: u8,
        lane: Option<Arc<dyn Send + Sync>>,
        listens: bool,
    ) -> Self {
        let mut nodes = nodes.peekable();
        let blocks = nodes.peek().map(|shared| shared.blocks.clone());
        let inbox = Arc::new(Inbox::new(&blocks.unwrap_or_default()));
        let ways = nodes.map(|shared| {
            let mut state = shared.lock();
            let number = state.ports.open(hops, &inbox, listens);
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
                if let Some(id) = state.carrier(now, (self.hops, way.number), to, *known) {
                    let ports = &mut state.ports;
                    match to {
                        Address::Ip(to) => ports.note(id, *to, way.number),
                        Address::Host(host, port) => {
                            ports.note_name(now, (id, host, *port), way.number);
                        }
                    }
                    return act(way, &mut state, id);
                }
            }
        }
        Err(io::ErrorKind::NetworkUnreachable.into())
    }
}

impl State {
    /// The circuit that carries datagrams of a socket (its hops and its number) to an address: that of a hidden peer, that of a flow, that through which it has written,
    /// or, unless it has to be `known`, another one.
    fn carrier(
        &mut self,
        now: Instant,
        user: (u8, u64),
        to: &Address,
        known: bool,
    ) -> Option<CircuitId> {
        let Self {
            node,
            circuits,
            ports,
            ..
        } = self;
        // A hidden peer has a circuit of its own, and what is for it goes nowhere else.
        if let Some(alias) = to.v4().and_then(Alias::at) {
            let link = node.link(alias).filter(|link| {
                link.carries_data() && ports.takes_hidden(user.1, (link.purpose, link.goal))
            });
            return link.map(|link| link.id);
        }
        circuits
            .flow(now, node, user, to)
            .or_else(|| {
                let back = ports.way_back(now, node, user, to.v4()?.into())?;
                circuits.keep(now, user, to, back);
                Some(back)
            })
            .or_else(|| {
                let other = (!known).then(|| circuits.pick(now, node, user, to));
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
            state.ports.close(way.number);
            state.circuits.forget_user(way.number);
        }
    }
}
