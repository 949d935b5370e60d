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
    /// Those that were answered.
    answered: VecDeque<Answered>,
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

impl Fresh {
    pub(super) fn new(thread: &Rc<RefCell<Thread>>) -> Self {
        Self {
            thread: Rc::clone(thread),
            answered: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.answered.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answered.is_empty()
    }

    /// Waits until there should be another look.
    pub(super) async fn pause() {
        tokio::time::sleep(PAUSE).await;
    }

    /// Answers what has come by a new connection.
    pub(super) fn take(&mut self, stream: TcpStream, from: SocketAddr) {
        let who = Who(from.ip());
        let mut thread = self.thread.borrow_mut();
        thread.counts.note_connection(who);
        let spared = thread.habit.closes_next();
        let connection = Connection::new(stream, who, thread.patience);
        let mut connection = connection.spared(spared);
        let step = connection.step(&mut thread);
        drop(thread);
        match step {
            Step::Over => {}
            Step::Answered => self.linger(connection),
            Step::Silent | Step::Long => self.hand_over(connection),
        }
    }

    /// Looks at all that wait, and hands those over that have waited long enough.
    pub(super) fn look(&mut self) {
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
