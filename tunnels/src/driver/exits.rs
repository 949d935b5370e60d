//! The sockets of exits: one for each circuit that has sent something out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use net::{DatagramSocket, Task};
use tokio::io::ReadBuf;

use super::{MAX_DATAGRAM, Shared, State, now};
use crate::CircuitId;

/// Names that are looked up at once.
const LOOKUPS: usize = 32;

/// Datagrams from outside that are taken before they are sent on.
const TURN: usize = 32;

#[derive(Default)]
pub(super) struct Exits {
    open: BTreeMap<CircuitId, Exit>,
    lookups: Vec<Task<()>>,
}

struct Exit {
    socket: Arc<dyn DatagramSocket>,
    _receiving: Task<()>,
}

impl Exits {
    pub(super) fn close(&mut self, circuit: CircuitId) {
        self.open.remove(&circuit);
    }
}

impl Shared {
    /// Sends a datagram out for a circuit; the machine has allowed it.
    pub(super) fn exit(&self, state: &mut State, circuit: CircuitId, to: SocketAddr, data: &[u8]) {
        let exit = match state.exits.open.entry(circuit) {
            Entry::Occupied(exit) => exit.into_mut(),
            Entry::Vacant(place) => match self.open_exit(circuit) {
                Ok(exit) => place.insert(exit),
                Err(error) => {
                    tracing::warn!(%error, "an exit has no socket");
                    return;
                }
            },
        };
        if let Err(error) = exit.socket.try_send_to(data, to) {
            tracing::trace!(%error, "an exit could not send");
        }
    }

    /// Looks up a name, and sends a datagram there if the machine allows it.
    pub(super) fn exit_to_name(
        &self,
        state: &mut State,
        circuit: CircuitId,
        (host, port): (String, u16),
        data: &[u8],
    ) {
        let lookups = &mut state.exits.lookups;
        lookups.retain(|task| !task.is_finished());
        if lookups.len() >= LOOKUPS {
            return;
        }
        let (network, own, data) = (self.network.clone(), self.own.clone(), data.to_vec());
        lookups.push(self.pool.spawn(async move {
            let found = network.lookup(&host, port).await.unwrap_or_default();
            let v4 = found.into_iter().find(SocketAddr::is_ipv4);
            if let (Some(to), Some(shared)) = (v4, own.upgrade()) {
                let mut state = shared.state.lock();
                if state.node.may_exit(now(), circuit, to, data.len()).is_ok() {
                    shared.exit(&mut state, circuit, to, &data);
                }
            }
        }));
    }

    fn open_exit(&self, circuit: CircuitId) -> std::io::Result<Exit> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let socket = {
            let _runtime = self.pool.handle().enter();
            self.network.datagram(any)?
        };
        let (own, receiving) = (self.own.clone(), Arc::clone(&socket));
        let receiving = self.pool.spawn(async move {
            let mut bytes = vec![0; MAX_DATAGRAM];
            while poll_fn(|cx| come_back(&own, circuit, &*receiving, &mut bytes, cx)).await {}
        });
        Ok(Exit {
            socket,
            _receiving: receiving,
        })
    }

    /// A datagram has come from outside for a circuit.
    fn come_back(&self, circuit: CircuitId, from: SocketAddr, data: &[u8]) {
        let mut state = self.state.lock();
        let State {
            node, out, outbox, ..
        } = &mut *state;
        if let Ok(to) = node.send_back(now(), circuit, from, data, out) {
            self.put(outbox, to, out);
        }
    }
}

/// Takes what has come from outside for a circuit, and sends it on together; false when the node is gone.
fn come_back(
    own: &Weak<Shared>,
    circuit: CircuitId,
    socket: &dyn DatagramSocket,
    bytes: &mut [u8],
    cx: &mut Context<'_>,
) -> Poll<bool> {
    let mut taken = None;
    for _ in 0..TURN {
        let mut buf = ReadBuf::new(bytes);
        let Poll::Ready(received) = socket.poll_recv_from(cx, &mut buf) else {
            break;
        };
        let Some(shared) = own.upgrade() else {
            return Poll::Ready(false);
        };
        // Errors are about one target.
        if let Ok(from) = received {
            shared.come_back(circuit, from, buf.filled());
        }
        taken = Some(shared);
    }
    match taken {
        Some(shared) => {
            shared.send();
            Poll::Ready(true)
        }
        None => Poll::Pending,
    }
}
