//! The connections of a socket.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::task::Waker;

use rand::rngs::SmallRng;

use super::WAITING;
use super::conn::{Conn, Key};
use super::half_open::HalfOpen;

/// Connections by whom and what they are with.
#[derive(Debug)]
pub(super) struct Table {
    conns: BTreeMap<Key, Arc<Conn>>,
    most: usize,
    pub(super) rng: SmallRng,
    half_open: HalfOpen,
    /// Proven ones that nobody has accepted yet.
    pub(super) waiting: VecDeque<Arc<Conn>>,
    pub(super) accepting: bool,
    pub(super) acceptor: Option<Waker>,
}

impl Table {
    pub(super) fn new(most: usize, rng: SmallRng) -> Self {
        Self {
            conns: BTreeMap::new(),
            most,
            rng,
            half_open: HalfOpen::default(),
            waiting: VecDeque::new(),
            accepting: false,
            acceptor: None,
        }
    }

    pub(super) fn find(&self, key: &Key) -> Option<&Arc<Conn>> {
        self.conns.get(key)
    }

    /// All connections.
    pub(super) fn all(&self) -> Vec<Arc<Conn>> {
        self.conns.values().cloned().collect()
    }

    /// The connection that a RESET with this id is about: others send the id that they would get, or that we would.
    pub(super) fn find_for_reset(&self, key: Key) -> Option<&Arc<Conn>> {
        let neighbours = [key.id.wrapping_sub(1), key.id.wrapping_add(1)];
        self.find(&key).or_else(|| {
            let found = neighbours.map(|id| self.find(&Key { id, ..key }));
            let is_it = |conn: &&Arc<Conn>| conn.state.lock().machine.ids().send == key.id;
            found.into_iter().flatten().find(is_it)
        })
    }

    /// # Errors
    /// `QuotaExceeded` when there are as many connections as may be.
    pub(super) fn insert(&mut self, conn: Arc<Conn>) -> io::Result<Arc<Conn>> {
        if self.conns.len() >= self.most {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.conns.insert(conn.key, Arc::clone(&conn));
        Ok(conn)
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.conns.remove(key);
    }

    /// Whether another inbound connection may begin.
    pub(super) fn may_begin(&self) -> bool {
        self.accepting && self.waiting.len() < WAITING && self.conns.len() < self.most
    }

    /// An inbound connection has begun; says which one is put out for it.
    pub(super) fn begun(&mut self, key: Key) -> Option<Arc<Conn>> {
        let put_out = self.half_open.enter(key)?;
        self.find(&put_out).cloned()
    }

    /// An inbound connection is proven, or over.
    pub(super) fn decided(&mut self, key: &Key) {
        self.half_open.leave(key);
    }
}

#[cfg(test)]
impl Table {
    pub(super) fn len(&self) -> usize {
        self.conns.len()
    }

    pub(super) fn clear(&mut self) {
        self.conns.clear();
    }
}
