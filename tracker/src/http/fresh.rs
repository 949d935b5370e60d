//! Connections that have just been taken. Most of those that bring one request are over before the runtime hears of them: it would
//! cost more than the request to have it wait for them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::Who;
use super::connection::{Connection, Step, Thread, serve};

/// How long it is waited between looks while nothing else happens.
const PAUSE: Duration = Duration::from_millis(1);

/// The longest pause between looks at a connection that was answered. The first is [`PAUSE`], and each is twice the one before;
/// after this one the runtime waits for what else the connection brings.
const LAST_PAUSE: Duration = Duration::from_millis(4);

/// How soon after its answer a connection is looked at, where others come meanwhile: who is done with one closes it before the next.
const FIRST_LOOK: Duration = Duration::from_micros(20);

/// Connections that the runtime does not know.
#[derive(Debug)]
pub(super) struct Fresh {
    thread: Rc<RefCell<Thread>>,
    /// Those that have brought nothing yet, and how often each was looked at.
    silent: VecDeque<(u32, Connection<TcpStream>)>,
    /// Those that were answered.
    answered: VecDeque<Answered>,
    hope: Hope,
}

/// A connection that was answered.
#[derive(Debug)]
struct Answered {
    connection: Connection<TcpStream>,
    /// When it is looked at next.
    at: Instant,
    /// For how long it was left alone before that.
    pause: Duration,
}

/// How often it is worth looking at once whether a request has come behind its connection: where the network is quick it comes
/// some microseconds later, and else the looks are for nothing.
#[derive(Debug, Default)]
struct Hope {
    /// More for each connection whose request was found so, and half for each whose was not.
    credit: u32,
    /// Connections since it was tried without hope.
    since: u32,
}

impl Hope {
    const MOST: u32 = 64;
    /// One in so many connections is looked at without hope.
    const TRIES: u32 = 64;
    /// Looks at a connection with hope.
    const LOOKS: u32 = 16;

    /// Looks that the next connection is worth.
    const fn looks(&mut self) -> u32 {
        self.since += 1;
        if self.credit > 0 || self.since >= Self::TRIES {
            self.since = 0;
            return Self::LOOKS;
        }
        0
    }

    fn found(&mut self) {
        self.credit = (self.credit + 1).min(Self::MOST);
    }

    const fn missed(&mut self) {
        self.credit /= 2;
    }
}

impl Fresh {
    pub(super) fn new(thread: &Rc<RefCell<Thread>>) -> Self {
        Self {
            thread: Rc::clone(thread),
            silent: VecDeque::new(),
            answered: VecDeque::new(),
            hope: Hope::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.silent.len() + self.answered.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.silent.is_empty() && self.answered.is_empty()
    }

    /// Waits until there should be another look.
    pub(super) async fn pause(&self) {
        if self.silent.is_empty() {
            tokio::time::sleep(PAUSE).await;
        } else {
            tokio::task::yield_now().await;
        }
    }

    /// Answers what has come by a new connection.
    pub(super) fn take(&mut self, stream: TcpStream, from: SocketAddr) {
        let who = Who(from.ip());
        let mut thread = self.thread.borrow_mut();
        thread.counts.note_connection(who);
        let mut connection = Connection::new(stream, who, thread.patience);
        let step = connection.step(&mut thread);
        drop(thread);
        match step {
            Step::Over => {}
            Step::Silent => match self.hope.looks() {
                0 => self.hand_over(connection),
                looks => self.silent.push_back((looks, connection)),
            },
            Step::Answered => self.linger(connection),
            Step::Long => self.hand_over(connection),
        }
    }

    /// Looks at all that wait, and hands those over that have waited long enough.
    pub(super) fn look(&mut self) {
        for _ in 0..self.silent.len() {
            let Some((looks, mut connection)) = self.silent.pop_front() else {
                break;
            };
            let step = connection.step(&mut self.thread.borrow_mut());
            if step != Step::Silent {
                self.hope.found();
            }
            match step {
                Step::Over => {}
                Step::Silent if looks > 1 => self.silent.push_back((looks - 1, connection)),
                Step::Silent => {
                    self.hope.missed();
                    self.hand_over(connection);
                }
                Step::Answered => self.linger(connection),
                Step::Long => self.hand_over(connection),
            }
        }
        let now = Instant::now();
        for _ in 0..self.answered.len() {
            let Some(mut answered) = self.answered.pop_front() else {
                return;
            };
            if now < answered.at {
                self.answered.push_back(answered);
                continue;
            }
            let step = answered.connection.step(&mut self.thread.borrow_mut());
            match step {
                Step::Over => {}
                Step::Silent if answered.pause < LAST_PAUSE => {
                    answered.pause *= 2;
                    answered.at = now + answered.pause;
                    self.answered.push_back(answered);
                }
                Step::Answered => self.linger(answered.connection),
                Step::Silent | Step::Long => self.hand_over(answered.connection),
            }
        }
    }

    fn linger(&mut self, connection: Connection<TcpStream>) {
        self.answered.push_back(Answered {
            connection,
            at: Instant::now() + FIRST_LOOK,
            pause: PAUSE,
        });
    }

    /// Has the runtime wait for what else comes.
    fn hand_over(&self, connection: Connection<TcpStream>) {
        let thread = Rc::clone(&self.thread);
        match connection.convert(tokio::net::TcpStream::from_std) {
            Ok(connection) => {
                tokio::task::spawn_local(async move { serve(connection, &thread).await });
            }
            Err(error) => tracing::debug!(%error, "waiting for a connection"),
        }
    }
}
