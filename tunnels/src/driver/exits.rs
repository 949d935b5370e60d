//! The sockets of exits: one for each circuit that has sent something out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use net::datagram::Batch;
use net::{DatagramSocket, Task};

use super::{MAX_DATAGRAM, Shared, State, now};
use crate::CircuitId;

/// Names that are looked up at once.
const LOOKUPS: usize = 32;

/// Those of one circuit, so that one originator does not keep all others from theirs.
const LOOKUPS_OF_CIRCUIT: usize = 4;

/// Datagrams that wait for one of them: a client asks a tracker for many torrents together.
const WAITING: usize = 32;

#[derive(Default)]
pub(super) struct Exits {
    open: BTreeMap<CircuitId, Exit>,
    pub(super) lookups: Vec<Lookup>,
}

/// A name that is looked up for a circuit, and what waits to be sent there.
pub(super) struct Lookup {
    circuit: CircuitId,
    name: (String, u16),
    waiting: Vec<Vec<u8>>,
    task: Task<()>,
}

struct Exit {
    socket: Arc<dyn DatagramSocket>,
    _receiving: Task<()>,
}

impl Exits {
    pub(super) fn close(&mut self, circuit: CircuitId) {
        self.open.remove(&circuit);
        self.lookups.retain(|lookup| lookup.circuit != circuit);
    }
}

impl Shared {
    /// Puts a datagram of a circuit where it waits to be sent out; the machine has allowed it.
    pub(super) fn exit(&self, state: &mut State, circuit: CircuitId, to: SocketAddr, data: &[u8]) {
        let exit = match state.exits.open.entry(circuit) {
            Entry::Occupied(exit) => exit.into_mut(),
            Entry::Vacant(place) => match self.open_exit(circuit) {
                Ok(exit) => {
                    let port = exit.socket.local_addr().port();
                    state.node.set_exit_port(circuit, port);
                    place.insert(exit)
                }
                Err(error) => {
                    tracing::warn!(%error, "an exit has no socket");
                    return;
                }
            },
        };
        let way = (circuit, &exit.socket);
        state.outbox.push_out(&self.endpoint, way, to, data);
    }

    /// Sends a datagram out if the machine, which was not asked yet, allows it.
    pub(super) fn exit_if_allowed(
        &self,
        state: &mut State,
        circuit: CircuitId,
        to: SocketAddr,
        data: &[u8],
    ) {
        match state.node.may_exit(now(), circuit, to, data) {
            Ok(()) => self.exit(state, circuit, to, data),
            Err(why) => state.node.refuse(why),
        }
    }

    /// Looks up a name, and sends a datagram there if the machine allows it, with those for the same name that come meanwhile.
    pub(super) fn exit_to_name(
        &self,
        state: &mut State,
        circuit: CircuitId,
        name: (String, u16),
        data: &[u8],
    ) {
        let lookups = &mut state.exits.lookups;
        lookups.retain(|lookup| !lookup.task.is_finished());
        let mut of_circuit = lookups.iter_mut().filter(|it| it.circuit == circuit);
        if let Some(known) = of_circuit.find(|lookup| lookup.name == name) {
            if known.waiting.len() < WAITING {
                known.waiting.push(data.to_vec());
            }
            return;
        }
        let of_circuit = lookups.iter().filter(|it| it.circuit == circuit).count();
        if lookups.len() >= LOOKUPS || of_circuit >= LOOKUPS_OF_CIRCUIT {
            return;
        }
        let (network, own, wanted) = (self.network.clone(), self.own.clone(), name.clone());
        let task = self.pool.spawn(async move {
            let found = network.lookup(&wanted.0, wanted.1).await;
            let mut found = found.unwrap_or_default().into_iter();
            let v4 = found.find(SocketAddr::is_ipv4);
            if let Some(shared) = own.upgrade() {
                shared.found(circuit, &wanted, v4);
            }
        });
        lookups.push(Lookup {
            circuit,
            name,
            waiting: vec![data.to_vec()],
            task,
        });
    }

    /// Sends what has waited for a name, if it has an address.
    fn found(&self, circuit: CircuitId, name: &(String, u16), to: Option<SocketAddr>) {
        let mut state = self.lock();
        let lookups = &mut state.exits.lookups;
        let of = |lookup: &mut Lookup| lookup.circuit == circuit && lookup.name == *name;
        let done: Vec<Lookup> = lookups.extract_if(.., of).collect();
        for lookup in done {
            // It is what runs here.
            lookup.task.detach();
            let sent = to.map(|to| lookup.waiting.iter().map(move |data| (to, data)));
            for (to, data) in sent.into_iter().flatten() {
                self.exit_if_allowed(&mut state, circuit, to, data);
            }
        }
        state.outbox.send(&self.endpoint);
    }

    fn open_exit(&self, circuit: CircuitId) -> std::io::Result<Exit> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let socket = {
            let _runtime = self.pool.handle().enter();
            self.network.datagram(any)?
        };
        // Who looks for the size that the path takes is behind circuits, and no refusal gets there.
        socket.allow_fragments();
        let (own, receiving) = (self.own.clone(), Arc::clone(&socket));
        let receiving = self.pool.spawn(async move {
            while poll_fn(|cx| come_back(&own, circuit, &*receiving, cx)).await {}
        });
        Ok(Exit {
            socket,
            _receiving: receiving,
        })
    }

    /// Datagrams have come from outside for a circuit.
    fn come_back(&self, circuit: CircuitId, batch: &Batch) {
        let now = now();
        let mut state = self.lock();
        let State {
            node, out, outbox, ..
        } = &mut *state;
        for (data, from) in batch.iter() {
            // No cell has room for a longer one.
            if data.len() <= MAX_DATAGRAM
                && let Ok(to) = node.send_back(now, circuit, from, data, out)
            {
                self.put(outbox, to, out);
            }
        }
        outbox.send(&self.endpoint);
    }
}

/// Takes what has come from outside for a circuit, and sends it on together; false when the node is gone.
fn come_back(
    own: &Weak<Shared>,
    circuit: CircuitId,
    socket: &dyn DatagramSocket,
    cx: &mut Context<'_>,
) -> Poll<bool> {
    let Some(shared) = own.upgrade() else {
        return Poll::Ready(false);
    };
    shared.batches.lend(|batch| {
        socket.poll_recv_batch(cx, batch).map(|received| {
            // Errors are about one target.
            if received.is_ok() {
                shared.come_back(circuit, batch);
            }
            true
        })
    })
}
