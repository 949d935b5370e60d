//! Time: what a session waits for, and what it does when the wait is over.

use std::time::Instant;

use super::{Phase, Session, Timeouts};
use crate::peer::error::SessionError;
use crate::peer::timer::Timer;

/// Times of the session, all given by the caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) now: Instant,
    pub(super) started: Instant,
    pub(super) heard: Instant,
    pub(super) frame_since: Option<Instant>,
    /// When quiet is looked at next: every half of the keep-alive time.
    pub(super) quiet_check: Instant,
    /// Whether anything was sent since the last look.
    pub(super) sent: bool,
    pub(super) choked_at: Instant,
}

impl Clock {
    pub(super) fn new(now: Instant, timeouts: &Timeouts) -> Self {
        Self {
            now,
            started: now,
            heard: now,
            frame_since: None,
            quiet_check: now + timeouts.keep_alive / 2,
            sent: false,
            choked_at: now,
        }
    }
}

impl Session {
    /// Does what is due at `now`.
    ///
    /// # Errors
    /// [`SessionError::Timeout`] where a deadline passed; else as [`Session::handle`].
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        self.clock.now = now;
        let result = self.check_deadlines(now);
        if let Err(error) = result {
            self.phase = Phase::Failed(error);
        }
        result
    }

    fn check_deadlines(&mut self, now: Instant) -> Result<(), SessionError> {
        if let Phase::Failed(error) = self.phase {
            return Err(error);
        }
        for timer in [Timer::Handshake, Timer::Frame, Timer::Idle] {
            if self.deadline(timer).is_some_and(|at| at <= now) {
                return Err(SessionError::Timeout(timer));
            }
        }
        if self.deadline(Timer::KeepAlive).is_some_and(|at| at <= now) {
            if !self.clock.sent {
                self.push(|out| out.extend_from_slice(&[0; 4]));
            }
            self.clock.sent = false;
            self.clock.quiet_check = now + self.config.timeouts.keep_alive / 2;
        }
        self.check_output()
    }

    /// When [`Session::handle_timeout`] is due next, and the name of the [`Timer`] that is.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        [
            Timer::Handshake,
            Timer::Frame,
            Timer::Idle,
            Timer::KeepAlive,
        ]
        .into_iter()
        .filter_map(|timer| Some((self.deadline(timer)?, timer.as_str())))
        .min_by_key(|(at, _)| *at)
    }

    pub(super) fn deadline(&self, timer: Timer) -> Option<Instant> {
        let timeouts = &self.config.timeouts;
        match (&self.phase, timer) {
            (Phase::Handshake(_) | Phase::Accepting, Timer::Handshake) => {
                Some(self.clock.started + timeouts.handshake)
            }
            (Phase::Open, Timer::Frame) => {
                self.clock.frame_since.map(|since| since + timeouts.frame)
            }
            (Phase::Open, Timer::Idle) => Some(self.clock.heard + timeouts.idle),
            (Phase::Open, Timer::KeepAlive) => Some(self.clock.quiet_check),
            (_, _) => None,
        }
    }

    /// Says that the caller itself kept from reading until `now` (a rate limit, a slow disk): the peer is not to be
    /// blamed for that silence.
    pub const fn resume_reading(&mut self, now: Instant) {
        self.clock.heard = now;
        if self.clock.frame_since.is_some() {
            self.clock.frame_since = Some(now);
        }
    }
}
