//! The state of a node under its lock, and what becomes of it when its holder panics.
//!
//! A panic in the machine is a mistake of ours, and the state that it leaves behind cannot be trusted. Whoever held the lock
//! ends with the panic; the machine begins anew with its identity and the nodes it knows, and without a circuit. Neighbours
//! notice that their circuits are silent, and the pool has ours built again.

use std::ops::{Deref, DerefMut};

use parking_lot::MutexGuard;

use super::exits::Exits;
use super::{Shared, State, now};
use crate::{Closed, Event};

pub(super) struct Locked<'a>(MutexGuard<'a, State>);

impl Shared {
    pub(super) fn lock(&self) -> Locked<'_> {
        let mut state = Locked(self.state.lock());
        state.put_in_order();
        state
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.0.out_of_order {
            self.0.out_of_order = true;
            tracing::error!("a node of the tunnels failed; it begins anew");
        }
    }
}

impl State {
    /// Begins anew after a panic.
    fn put_in_order(&mut self) {
        if !self.out_of_order {
            return;
        }
        self.out_of_order = false;
        let now = now();
        let gone = self.node.own_circuits();
        for gone in gone.map(|circuit| circuit.closed(Closed::Failed)) {
            self.tell_closed(now, &gone);
        }
        self.node = self.node.renewed(now, rand::random());
        self.frame = vec![0; super::frame_len()];
        self.exits = Exits::default();
        self.ports.forget_all();
        if self.events.try_send(Event::Restarted).is_err() {
            tracing::debug!("nobody takes the events of the tunnels");
        }
    }
}
