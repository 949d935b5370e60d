//! What a connection waits for.

use std::time::Instant;

use super::{CloseReason, Connection, State};
use crate::utp::packet::HEADER_LEN;

/// The deadlines of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The other side should have answered a SYN, or shown that it is there.
    Handshake,
    /// The path should be used, so that NATs keep it open.
    KeepAlive,
    /// What remains of a connection that is done can be forgotten.
    Linger,
    /// Something should have been acknowledged.
    Retransmit,
    /// The last packet may have got lost, and nothing that came after it could tell.
    Tail,
    /// A window of 0 should be tested.
    Window,
}

impl Timer {
    /// The timer's name in traces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::KeepAlive => "keep-alive",
            Self::Linger => "linger",
            Self::Retransmit => "retransmit",
            Self::Tail => "tail",
            Self::Window => "window",
        }
    }
}

/// From so many timeouts in a row on, what was sent is taken to be too large for the path.
const TOO_LARGE_FROM: u32 = 2;

impl Connection {
    /// The next deadline, and what it is for; `None` once the connection is no more.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        if self.closed().is_some() {
            return None;
        }
        let state = match self.state {
            State::Opening | State::Unproven => Timer::Handshake,
            State::Open | State::Lingering | State::Closed(_) => Timer::Linger,
        };
        [
            (self.state_until, state),
            (self.retransmit_at, Timer::Retransmit),
            (self.tail_at, Timer::Tail),
            (self.window_at, Timer::Window),
            (self.keep_alive_at(), Timer::KeepAlive),
        ]
        .into_iter()
        .filter_map(|(at, timer)| Some((at?, timer)))
        .min()
    }

    /// Does what is due. Harmless when nothing is.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.state_until) {
            self.state_timed_out();
        }
        if due(self.retransmit_at) {
            self.nothing_came_back(now);
        }
        if due(self.tail_at) {
            self.outgoing.send_tail_again(self.tails % 2 == 1);
            self.tails = self.tails.saturating_add(1);
            self.await_tail(now);
        }
        if due(self.window_at) {
            self.window_at = None;
            self.test_window = true;
        }
        if due(self.keep_alive_at()) {
            self.due.ack = true;
        }
    }

    fn keep_alive_at(&self) -> Option<Instant> {
        let open = self.state == State::Open && !self.due.ack;
        open.then(|| self.last_sent.checked_add(self.config.keep_alive))?
    }

    fn state_timed_out(&mut self) {
        self.state_until = None;
        match self.state {
            State::Opening if self.syns <= self.config.syn_resends => {
                self.tally.timeouts += 1;
                self.due.syn = true;
            }
            State::Opening | State::Unproven => self.end(CloseReason::TimedOut),
            State::Open if self.detached => {
                self.due.reset = true;
                self.end(CloseReason::TimedOut);
            }
            State::Lingering => self.end(CloseReason::Finished),
            State::Open | State::Closed(_) => {}
        }
    }

    fn nothing_came_back(&mut self, now: Instant) {
        self.retransmit_at = None;
        self.tail_at = None;
        self.tails = 0;
        let (only_probe, lost) = self.outgoing.timed_out();
        self.tally.lost += lost;
        if only_probe {
            self.mtu.lost();
        } else {
            let resends = if self.outgoing.only_end_is_left() {
                self.config.fin_resends
            } else {
                self.config.data_resends
            };
            if self.timeouts >= resends {
                self.due.reset = true;
                self.end(CloseReason::TimedOut);
                return;
            }
            self.timeouts = self.timeouts.saturating_add(1);
            self.all_timeouts = self.all_timeouts.saturating_add(1);
            self.tally.timeouts += 1;
            if self.timeouts >= TOO_LARGE_FROM {
                self.mtu.shrink();
            }
            let packet = self.mtu.size().saturating_sub(HEADER_LEN);
            // A peer without room answers late, and no path is to blame.
            if self.peer_window >= packet {
                self.ledbat.timed_out(packet);
            }
        }
        self.retransmit_at = now.checked_add(self.rtt.timeout(self.timeouts));
    }
}
