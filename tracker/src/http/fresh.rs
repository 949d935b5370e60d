//! Connections that have just been taken. Most of those that bring one request are over before the runtime hears of them: it would
//! cost more than the request to have it wait for them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::Who;
use super::connection::{Connection, Step, Thread, serve};

/// How long a connection is looked at now and then after its first answer, before the runtime waits for what else it brings.
const LINGER: Duration = Duration::from_micros(1500);

/// Connections that the runtime does not know.
#[derive(Debug)]
pub(super) struct Fresh {
    thread: Rc<RefCell<Thread>>,
    /// With the time from which on the runtime waits for them, the earliest first.
    waiting: VecDeque<(Instant, Connection<TcpStream>)>,
}

impl Fresh {
    pub(super) fn new(thread: &Rc<RefCell<Thread>>) -> Self {
        Self {
            thread: Rc::clone(thread),
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
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
            Step::Waits => self
                .waiting
                .push_back((Instant::now() + LINGER, connection)),
            Step::Long => self.hand_over(connection),
        }
    }

    /// Looks at all that wait, and hands those over that have waited long enough.
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        for _ in 0..self.waiting.len() {
            let Some((until, mut connection)) = self.waiting.pop_front() else {
                return;
            };
            let step = connection.step(&mut self.thread.borrow_mut());
            match step {
                Step::Over => {}
                Step::Waits if now < until => self.waiting.push_back((until, connection)),
                Step::Waits | Step::Long => self.hand_over(connection),
            }
        }
    }

    /// Has the runtime wait for what else comes.
    fn hand_over(&self, connection: Connection<TcpStream>) {
        let thread = Rc::clone(&self.thread);
        match connection.convert(tokio_stream) {
            Ok(connection) => {
                tokio::task::spawn_local(async move { serve(connection, &thread).await });
            }
            Err(error) => tracing::debug!(%error, "waiting for a connection"),
        }
    }
}

/// A stream that the runtime waits for.
pub(super) fn tokio_stream(stream: TcpStream) -> io::Result<tokio::net::TcpStream> {
    // Answers are written whole.
    let _ = stream.set_nodelay(true);
    tokio::net::TcpStream::from_std(stream)
}
