//! One connection, as its stream and the driver share it.

use std::io;
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Instant;

use parking_lot::Mutex;
use protocol::utp::{CloseReason, Connection};

use super::budget::Share;

/// What tells connections of a socket apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) peer: SocketAddr,
    /// The id that packets to us bear.
    pub(super) id: u16,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) key: Key,
    pub(super) state: Mutex<State>,
}

/// What is behind its lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) machine: Connection,
    /// What of the budget its window has taken.
    share: Share,
    /// The driver knows that there is something to do.
    pub(super) queued: bool,
    /// It waits for its owner among the accepted ones, or has one.
    pub(super) given_out: bool,
    pub(super) low_water: usize,
    pub(super) opener: Option<Waker>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// Bytes of room from which on a writer is woken.
const WRITE_LOW_WATER: usize = 16 * 1024;

impl Conn {
    pub(super) fn new(key: Key, machine: Connection, given_out: bool, share: Share) -> Self {
        Self {
            key,
            state: Mutex::new(State {
                machine,
                share,
                queued: false,
                given_out,
                low_water: 1,
                opener: None,
                reader: None,
                writer: None,
            }),
        }
    }
}

impl State {
    /// Reads what came; the window grows with a fast reader as far as there is a budget for it.
    pub(super) fn read(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let before = self.machine.receive_capacity();
        let most = before.saturating_add(self.share.left());
        self.machine.bound_receive(most);
        let len = self.machine.read(now, out);
        let grown = self.machine.receive_capacity().saturating_sub(before);
        if grown > 0 {
            self.share.take(grown);
        }
        len
    }

    /// Whether a reader has something to do.
    pub(super) fn is_readable(&self, low_water: usize) -> bool {
        let machine = &self.machine;
        machine.readable() >= low_water || machine.is_at_end() || machine.closed().is_some()
    }

    /// Takes the wakers of those who have something to do now.
    pub(super) fn ready(&mut self, wakers: &mut Vec<Waker>) {
        let machine = &self.machine;
        let over = machine.closed().is_some();
        if over || machine.is_connected() {
            wakers.extend(self.opener.take());
        }
        if self.reader.is_some() && self.is_readable(self.low_water) {
            wakers.extend(self.reader.take());
        }
        let room = self.machine.writable();
        if self.writer.is_some() && (over || room >= WRITE_LOW_WATER) {
            wakers.extend(self.writer.take());
        }
    }
}

/// What a stream's owner is told.
pub(super) fn error(reason: CloseReason) -> io::Error {
    let kind = match reason {
        CloseReason::Refused => io::ErrorKind::ConnectionRefused,
        CloseReason::Reset => io::ErrorKind::ConnectionReset,
        CloseReason::TimedOut => io::ErrorKind::TimedOut,
        CloseReason::Offline => io::ErrorKind::NetworkDown,
        CloseReason::Finished => io::ErrorKind::BrokenPipe,
        CloseReason::NeverSent | CloseReason::Aborted | _ => io::ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, reason)
}
