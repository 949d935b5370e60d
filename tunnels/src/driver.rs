//! The machine on real sockets.
//!
//! Cells are handled in the pump of the endpoint, where they are received ([`Tunnels::hook`]): relaying one takes a lock that
//! nobody holds for long and no queue. They are sent when all that was received together has been handled. Exits have a socket for each circuit. What programs send goes through
//! [`Tunnels::socket`], which looks like any other socket.

mod exits;
mod faults;
mod home;
mod inbox;
mod locked;
mod outbox;
mod ports;
mod pump;
mod socket;
mod waiters;

use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use net::datagram::Batches;
use net::{DatagramSocket, Network, Task};
use overlay::endpoint::{Endpoint, Hook};
use overlay::packet::Prefix;
use overlay::wire::Address;
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc};
use tokio::time;

use crate::node::{Event, HEADROOM, Node, TAILROOM};
use crate::{CircuitId, ClosedCircuit, Dialect, Pool, Status, pool};
use exits::Exits;
use faults::Faults;
use inbox::Blocks;
use outbox::Outbox;
use ports::Ports;
use pump::Pumped;
use socket::CircuitSocket;
use waiters::Waiters;

/// Events that may wait to be taken; what comes beyond that is lost. Those that strangers bring about have no more than
/// [`OF_STRANGERS`] of the places.
const EVENTS: usize = 4096;
const OF_STRANGERS: usize = 512;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(500);

/// The largest datagram that is taken.
const MAX_DATAGRAM: usize = 2048;

/// The door to a node of the tunnels. Cheap to clone; the node ends with the last one, and with it its circuits without a word:
/// [`Tunnels::shut_down`] tells its neighbours.
#[derive(Clone)]
pub struct Tunnels {
    shared: Arc<Shared>,
    ticker: Arc<Task<()>>,
}

struct Shared {
    own: Weak<Self>,
    endpoint: Endpoint,
    network: Network,
    pool: net::Pool,
    prefix: Prefix,
    dialect: Dialect,
    /// Where datagrams from outside are received: all exits share them.
    batches: Batches,
    /// Where datagrams wait for those who read sockets through circuits: all sockets share it.
    blocks: Blocks,
    state: Mutex<State>,
}

struct State {
    node: Node,
    circuits: Pool,
    /// Where datagrams get the room that a layer needs.
    frame: Vec<u8>,
    out: Vec<u8>,
    outbox: Outbox,
    exits: Exits,
    /// When it is looked again where this host is.
    next_look: Option<Instant>,
    ports: Ports,
    events: mpsc::Sender<Event>,
    /// Whom to tell of circuits of our own that are gone.
    closings: Option<broadcast::Sender<ClosedCircuit>>,
    waiters: Waiters,
    /// Whether somebody panicked who held it.
    out_of_order: bool,
    faults: Faults,
    /// Has the next datagram end in a panic.
    #[cfg(test)]
    trip: bool,
}

/// A door that does not keep its node.
#[derive(Clone)]
pub(crate) struct WeakTunnels {
    shared: Weak<Shared>,
    ticker: Weak<Task<()>>,
}

impl Tunnels {
    /// Starts a node. `network` is where exits open their sockets and look up names, `pool` where tasks run. What happens
    /// comes through the receiver, but what the node does about its circuits by itself.
    pub fn launch(
        node: Node,
        endpoint: Endpoint,
        network: Network,
        pool: &net::Pool,
    ) -> (Self, mpsc::Receiver<Event>) {
        let (events, heard) = mpsc::channel(EVENTS);
        let (prefix, dialect) = (node.prefix(), node.config().dialect);
        let shared = Arc::new_cyclic(|own| Shared {
            own: Weak::clone(own),
            endpoint,
            network: network.with_cached_names(),
            pool: pool.clone(),
            prefix,
            dialect,
            batches: Batches::default(),
            blocks: Blocks::default(),
            state: Mutex::new(State {
                node,
                circuits: Pool::new(),
                frame: vec![0; HEADROOM + MAX_DATAGRAM + TAILROOM],
                out: Vec::with_capacity(MAX_DATAGRAM),
                outbox: Outbox::default(),
                exits: Exits::default(),
                next_look: None,
                ports: Ports::default(),
                events,
                closings: None,
                waiters: Waiters::default(),
                out_of_order: false,
                faults: Faults::default(),
                #[cfg(test)]
                trip: false,
            }),
        });
        let ticked = Arc::downgrade(&shared);
        let ticker = pool.spawn(async move {
            loop {
                time::sleep(TICK).await;
                let Some(shared) = ticked.upgrade() else {
                    return;
                };
                // What a panic leaves behind is put in order by who takes the lock next.
                let _ = catch_unwind(AssertUnwindSafe(|| shared.tick()));
            }
        });
        let tunnels = Self {
            shared,
            ticker: Arc::new(ticker),
        };
        (tunnels, heard)
    }

    /// What is to be opened on the endpoint for the prefix of the node. It takes cells and what else belongs to circuits, and
    /// leaves introductions to others.
    pub fn hook(&self) -> Arc<dyn Hook> {
        Arc::new(Pumped(Arc::downgrade(&self.shared)))
    }

    /// Wants so many circuits of `hops` hops ready, and some to spare; see [`Pool::want`].
    pub fn want(&self, hops: u8, wanted: usize, spare: usize) {
        let now = now();
        let mut state = self.shared.lock();
        state.circuits.want(now, hops, wanted, spare);
        let State { circuits, node, .. } = &mut *state;
        circuits.handle_timeout(now, node);
        self.shared.flush(now, &mut state);
    }

    /// Somebody was found to build circuits with: where none could be begun, it is tried again.
    pub(crate) fn encourage(&self) {
        let now = now();
        let mut state = self.shared.lock();
        let State { circuits, node, .. } = &mut *state;
        circuits.encourage(now, node);
        self.shared.flush(now, &mut state);
    }

    /// Has what goes to an address go through a certain circuit.
    pub(crate) fn keep(&self, hops: u8, to: &Address, circuit: CircuitId) {
        let mut state = self.shared.lock();
        state
            .circuits
            .keep(now(), (hops, pool::NOBODY), to, circuit);
    }

    /// Wants no circuits of `hops` hops any more, not even for what went through them.
    pub(crate) fn leave(&self, hops: u8) {
        let now = now();
        let mut state = self.shared.lock();
        let State { circuits, node, .. } = &mut *state;
        circuits.want(now, hops, 0, 0);
        circuits.forget_flows(hops);
        circuits.handle_timeout(now, node);
        self.shared.flush(now, &mut state);
    }

    /// How it stands with circuits of `hops` hops.
    pub fn status(&self, hops: u8) -> Status {
        let state = self.shared.lock();
        state.circuits.status(now(), &state.node, hops)
    }

    /// A socket whose datagrams go through circuits of `hops` hops. There is no other way out of it: without a circuit nothing
    /// is sent.
    pub fn socket(&self, hops: u8) -> Arc<dyn DatagramSocket> {
        Self::span(std::slice::from_ref(self), hops, None, true)
    }

    /// A socket through circuits of any of several nodes, those that are named first before others. While it is there, `lane`
    /// is kept. Only with `listens` it is given what comes from those to whom it has not written.
    pub(crate) fn span(
        nodes: &[Self],
        hops: u8,
        lane: Option<Arc<dyn Send + Sync>>,
        listens: bool,
    ) -> Arc<dyn DatagramSocket> {
        let nodes = nodes.iter().map(|node| &node.shared);
        Arc::new(CircuitSocket::open(nodes, hops, lane, listens))
    }

    /// Which wire it speaks.
    pub fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// Does something with the machine, and sends what it has to say then. Must not wait.
    pub fn with<T>(&self, act: impl FnOnce(&mut Node, Instant) -> T) -> T {
        let now = now();
        let mut state = self.shared.lock();
        let result = act(&mut state.node, now);
        self.shared.flush(now, &mut state);
        result
    }

    /// The same door without the node.
    pub(crate) fn downgrade(&self) -> WeakTunnels {
        WeakTunnels {
            shared: Arc::downgrade(&self.shared),
            ticker: Arc::downgrade(&self.ticker),
        }
    }

    /// Tells of circuits of our own that are gone from now on; whoever listens too slowly misses some.
    pub fn tell_closed(&self, to: broadcast::Sender<ClosedCircuit>) {
        self.shared.lock().closings = Some(to);
    }

    /// Ends all circuits, and tells the neighbours.
    pub fn shut_down(&self) {
        let now = now();
        let mut state = self.shared.lock();
        state.circuits = Pool::new();
        state.node.shut_down();
        self.shared.flush(now, &mut state);
    }
}

impl WeakTunnels {
    pub(crate) fn upgrade(&self) -> Option<Tunnels> {
        Some(Tunnels {
            shared: self.shared.upgrade()?,
            ticker: self.ticker.upgrade()?,
        })
    }
}

impl Shared {
    fn tick(&self) {
        let now = now();
        let mut state = self.lock();
        let State {
            circuits,
            node,
            ports,
            ..
        } = &mut *state;
        node.handle_timeout(now);
        circuits.handle_timeout(now, node);
        for silent in circuits.let_go(now, node) {
            ports.forget(silent);
        }
        self.flush(now, &mut state);
    }

    /// Sends what the machine says and what waits, and passes on what the machine tells.
    fn flush(&self, now: Instant, state: &mut State) {
        self.settle(now, state);
        state.outbox.send(&self.endpoint);
    }

    /// Puts what the machine says where it is sent from, and passes on what it tells.
    fn settle(&self, now: Instant, state: &mut State) {
        loop {
            while let Some(transmit) = state.node.poll_transmit() {
                self.put(&mut state.outbox, transmit.to, &transmit.payload);
            }
            let Some(event) = state.node.poll_event() else {
                return;
            };
            state.circuits.handle_event(now, &mut state.node, &event);
            if let Event::ExitClosed(circuit) = &event {
                state.exits.close(*circuit);
                continue;
            }
            if let Event::Closed { circuit, .. } = &event {
                state.ports.end(*circuit);
                state.tell_closed(now, &event);
            }
            state.waiters.hear(now, &event);
            if event.is_of_strangers() && state.events.capacity() <= EVENTS - OF_STRANGERS {
                continue;
            }
            if state.events.try_send(event).is_err() {
                tracing::debug!("nobody takes the events of the tunnels");
            }
        }
    }

    /// Puts a datagram to a node where it waits to be sent.
    fn put(&self, outbox: &mut Outbox, to: SocketAddr, datagram: &[u8]) {
        if let SocketAddr::V4(to) = to {
            outbox.push(&self.endpoint, to, datagram);
        }
    }

    /// Sends what waits, and wakes those for whom something has come.
    fn send(&self) {
        let mut state = self.lock();
        state.outbox.send(&self.endpoint);
        state.ports.wake();
    }
}

impl State {
    /// Tells of a circuit of our own that is gone, where an event says that.
    fn tell_closed(&self, now: Instant, event: &Event) {
        let closed = ClosedCircuit::of(self.node.config().dialect, now, event);
        if let (Some(closed), Some(to)) = (closed, &self.closings) {
            // There may be nobody who listens.
            let _ = to.send(closed);
        }
    }
}

impl fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tunnels({:?})", self.shared.prefix)
    }
}

const fn frame_len() -> usize {
    HEADROOM + MAX_DATAGRAM + TAILROOM
}

fn now() -> Instant {
    time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
