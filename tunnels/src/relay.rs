//! Passing cells on: the one path that must be fast.
//!
//! A cell is changed where it lies. Towards the exit a layer comes off, and the head moves [`HEAD`] bytes back; towards the
//! originator one is added, and the head moves as many bytes forward. So whoever receives leaves [`HEAD`] bytes free in front
//! of a datagram and [`TAG`] bytes behind it.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use overlay::key::PublicKey;
use overlay::packet::Prefix;

use crate::crypto::{HEAD, Session, TAG};
use crate::node::Refusal;
use crate::{CircuitId, Dialect, Head};

/// A neighbour on one side of a circuit.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The circuit on this link.
    pub(crate) circuit: CircuitId,
    pub(crate) addr: SocketAddr,
    pub(crate) key: PublicKey,
}

/// A circuit of somebody else's that goes on.
#[derive(Debug)]
pub(crate) struct Relay {
    /// The side of the originator.
    pub(crate) back: End,
    /// The side of the exit, or of the other originator.
    pub(crate) on: End,
    crypt: Crypt,
    early: u8,
    pub(crate) born: Instant,
    pub(crate) last: Instant,
    pub(crate) bytes: u64,
    /// Those of them that went to the side of the exit.
    pub(crate) onward: u64,
}

#[derive(Debug)]
enum Crypt {
    /// One hop of a circuit.
    Through(Box<Session>),
    /// The last hop of two circuits that have met here.
    Meeting(Box<[Session; 2]>),
}

/// From which side a cell comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Back,
    On,
}

impl Relay {
    pub(crate) fn through(now: Instant, back: End, on: End, session: Session) -> Self {
        // The cell that asked for the extension was an early one.
        Self::new(now, back, on, Crypt::Through(Box::new(session)), 1)
    }

    pub(crate) fn meeting(now: Instant, back: (End, Session), on: (End, Session)) -> Self {
        let crypt = Crypt::Meeting(Box::new([back.1, on.1]));
        Self::new(now, back.0, on.0, crypt, 0)
    }

    const fn new(now: Instant, back: End, on: End, crypt: Crypt, early: u8) -> Self {
        Self {
            back,
            on,
            crypt,
            early,
            born: now,
            last: now,
            bytes: 0,
            onward: 0,
        }
    }

    pub(crate) const fn end(&self, from: From) -> &End {
        match from {
            From::Back => &self.back,
            From::On => &self.on,
        }
    }

    /// Whether two circuits have met here, instead of one going on.
    pub(crate) const fn joins_two(&self) -> bool {
        matches!(self.crypt, Crypt::Meeting(_))
    }

    /// The session with the originator on one side, to answer it as its last hop.
    pub(crate) fn session(&mut self, from: From) -> Option<&mut Session> {
        match (&mut self.crypt, from) {
            (Crypt::Through(session), From::Back) => Some(session),
            (Crypt::Through(_), From::On) => None,
            (Crypt::Meeting(sessions), _) => {
                let [back, on] = &mut **sessions;
                Some(match from {
                    From::Back => back,
                    From::On => on,
                })
            }
        }
    }

    /// Changes the cell at `at` in `buffer` into the one to be sent, and says where to and where it lies then.
    pub(crate) fn pass(
        &mut self,
        now: Instant,
        wire: (Dialect, &Prefix),
        (from, head): (From, Head),
        buffer: &mut [u8],
        at: Range<usize>,
    ) -> Result<(SocketAddr, Range<usize>), Refusal> {
        let (dialect, prefix) = wire;
        if head.plaintext {
            return Err(Refusal::Plain);
        }
        let message = at.start + Head::len(dialect)..at.end;
        // Only originators make circuits longer.
        let mut early = head.early && from == From::Back;
        if early && self.early >= dialect.max_early() {
            return Err(Refusal::TooEarly);
        }
        let moved = match (&mut self.crypt, from) {
            (Crypt::Through(session), From::Back) => {
                let frame = buffer.get_mut(message).ok_or(Refusal::Malformed)?;
                session.open.open(frame)?;
                at.start + HEAD..at.end - TAG
            }
            (Crypt::Through(session), From::On) => {
                let start = message.start.checked_sub(HEAD).ok_or(Refusal::NoRoom)?;
                let frame = buffer.get_mut(start..message.end + TAG);
                session.seal.seal(frame.ok_or(Refusal::NoRoom)?)?;
                at.start.checked_sub(HEAD).ok_or(Refusal::NoRoom)?..at.end + TAG
            }
            (Crypt::Meeting(sessions), from) => {
                let [back, on] = &mut **sessions;
                let frame = buffer.get_mut(message).ok_or(Refusal::Malformed)?;
                let (open, seal) = match from {
                    From::Back => (&mut back.open, &mut on.seal),
                    From::On => (&mut on.open, &mut back.seal),
                };
                open.open(frame)?;
                seal.seal(frame)?;
                early = false;
                at
            }
        };
        if early {
            self.early = self.early.saturating_add(1);
        }
        self.last = now;
        let len = moved.len() as u64;
        self.bytes += len;
        if from == From::Back {
            self.onward += len;
        }
        let to = match from {
            From::Back => &self.on,
            From::On => &self.back,
        };
        let head = Head {
            circuit: to.circuit,
            plaintext: false,
            early,
        };
        let packet = buffer.get_mut(moved.clone()).ok_or(Refusal::NoRoom)?;
        if !head.write(dialect, prefix, packet) {
            return Err(Refusal::Malformed);
        }
        Ok((to.addr, moved))
    }
}
