//! What everyone who uses a socket shares.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;
use protocol::utp::{Config, Connection, Ids};
use rand::RngExt;
use tokio::time::Instant;

use super::Patience;
use super::budget::Budget;
use super::conn::{Conn, Key, State};
use super::figures::Counts;
use super::others::{WHO, Who};
use super::table::Table;
use crate::{BoxStream, DatagramSocket};

/// The socket, its connections, and what the driver has to do.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) socket: Arc<dyn DatagramSocket>,
    pub(super) table: Mutex<Table>,
    pub(super) budget: Budget,
    pub(super) counts: Counts,
    work: Mutex<Work>,
    patience: Option<Patience>,
}

/// What the driver has to do, and what it has done.
#[derive(Debug, Default)]
struct Work {
    queue: VecDeque<Arc<Conn>>,
    driver: Option<Waker>,
    /// Those who send other datagrams, and wait for room.
    senders: [Option<Waker>; WHO.len()],
}

/// Tries for an id that is not in use.
const ID_TRIES: usize = 64;

impl Shared {
    pub(super) fn new(socket: Arc<dyn DatagramSocket>, budget: Budget, table: Table) -> Self {
        Self {
            socket,
            table: Mutex::new(table),
            budget,
            counts: Counts::default(),
            work: Mutex::default(),
            patience: None,
        }
    }

    /// The same, but others are waited for so, if it is said how.
    pub(super) const fn waiting(mut self, patience: Option<Patience>) -> Self {
        self.patience = patience;
        self
    }

    /// The machine's limits for a peer.
    pub(super) fn config(&self, peer: SocketAddr) -> Config {
        let mut config = if peer.is_ipv6() {
            Config::ipv6()
        } else {
            Config::default()
        };
        if let Some(patience) = &self.patience {
            config.syn_timeout = patience.syn_timeout;
            config.syn_resends = patience.syn_resends;
            config.data_resends = patience.data_resends;
            config.fin_resends = patience.fin_resends;
        }
        config
            .behind(self.socket.overhead(peer))
            .within(self.socket.max_payload())
    }

    /// Begins a connection.
    pub(super) fn open(&self, peer: SocketAddr) -> io::Result<Arc<Conn>> {
        if peer.port() == 0 || peer.ip().is_unspecified() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if !self.socket.is_up() {
            return Err(io::ErrorKind::NetworkDown.into());
        }
        let config = self.config(peer);
        let now = Instant::now().into_std();
        let mut table = self.table.lock();
        for _ in 0..ID_TRIES {
            let ids = Ids::of_initiator(table.rng.random());
            let key = Key {
                peer,
                id: ids.receive,
            };
            if table.find(&key).is_none() {
                let machine = Connection::connect(now, &config, ids, &mut table.rng);
                return table.insert(Arc::new(Conn::new(key, machine, true, self.budget.share())));
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Has the driver look at a connection, whose lock is held.
    pub(super) fn queue(&self, conn: &Arc<Conn>, state: &mut State) {
        if state.queued {
            return;
        }
        state.queued = true;
        let mut work = self.work.lock();
        work.queue.push_back(Arc::clone(conn));
        let waker = work.driver.take();
        drop(work);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next connection that the driver should look at.
    pub(super) fn next(&self) -> Option<Arc<Conn>> {
        self.work.lock().queue.pop_front()
    }

    /// The driver is at work, and need not be woken.
    pub(super) fn work(&self) {
        self.work.lock().driver = None;
    }

    /// The driver found nothing to do; true if there is something after all.
    pub(super) fn rest(&self, driver: &Waker) -> bool {
        let mut work = self.work.lock();
        work.driver = Some(driver.clone());
        !work.queue.is_empty()
    }

    /// Someone waits for room to send other datagrams.
    pub(super) fn wait_for_room(&self, who: Who, sender: &Waker) {
        let mut work = self.work.lock();
        let [dht, trackers] = &mut work.senders;
        let slot = match who {
            Who::Dht => dht,
            Who::Trackers => trackers,
        };
        *slot = Some(sender.clone());
        let waker = work.driver.take();
        drop(work);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether someone does.
    pub(super) fn has_sender(&self) -> bool {
        self.work.lock().senders.iter().any(Option::is_some)
    }

    /// There may be room again.
    pub(super) fn has_room(&self) {
        let senders = std::mem::take(&mut self.work.lock().senders);
        for waker in senders.into_iter().flatten() {
            waker.wake();
        }
    }
}

/// A stream and whose it is.
pub(super) type Accepted = (BoxStream, SocketAddr);
