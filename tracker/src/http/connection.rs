//! One connection: what has come is answered as far as it is whole, and nothing is kept of it while nothing comes.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rand::rngs::SmallRng;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::Instant;

mod step;

pub(super) use step::Step;

use super::habit::Habit;
use super::request::{HeadError, MAX_HEAD, read_head};
use super::stats::{HttpCounts, HttpStats};
use super::{HttpAnswerer, HttpRules, Who};
use crate::core::Core;

/// Bytes that are read at once: pipelined requests behind a head that has come in part.
const ROOM: usize = 2 * MAX_HEAD;

/// Bytes of answers after which a connection's further requests wait until these have left.
const MOST_UNSENT: usize = 64 * 1024;

/// How long a connection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a head, from its first byte, and for taking an answer.
    pub request: Duration,
    /// Between requests.
    pub idle: Duration,
}

/// What all connections of a thread share. It is never held while one of them waits.
#[derive(Debug)]
pub(super) struct Thread {
    core: Arc<Core>,
    answerer: HttpAnswerer,
    rng: SmallRng,
    room: Box<[u8; ROOM]>,
    pub(super) habit: Habit,
    pub(super) counts: HttpCounts,
    /// Where others see the counts.
    stats: Arc<HttpStats>,
    pub(super) patience: Patience,
}

/// Where a connection stands.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    who: Who,
    /// The beginning of a head.
    kept: Vec<u8>,
    /// Answers that the stream has not taken.
    unsent: Vec<u8>,
    sent: usize,
    /// Requests that were answered, up to two.
    answered: u8,
    /// It closes behind its first answer, though its client might send another request.
    spared: bool,
    /// No request will be answered any more.
    last: bool,
    /// More may come than was read.
    more: bool,
    /// When it has to have done what it is at.
    due: Instant,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side was told that it would be closed.
    Closed,
    /// The other side has closed it.
    Gone,
    /// What came was no request.
    Misfit,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(5),
            idle: Duration::from_secs(60),
        }
    }
}

impl Thread {
    pub(super) fn new(
        core: Arc<Core>,
        rules: HttpRules,
        rng: SmallRng,
        patience: Patience,
        stats: Arc<HttpStats>,
    ) -> Self {
        Self {
            answerer: HttpAnswerer::new(Arc::clone(&core), rules),
            core,
            rng,
            room: Box::new([0; ROOM]),
            habit: Habit::default(),
            counts: HttpCounts::default(),
            stats,
            patience,
        }
    }

    /// Counts a connection that is closed because there are too many.
    pub(super) fn turn_away(&mut self) {
        self.counts.turned_away += 1;
        self.show();
    }

    /// Counts that the system had no connection to give, though one waits.
    pub(super) fn starve(&mut self) {
        self.counts.starved += 1;
        self.show();
    }

    /// Counts a connection that is closed for what came by it, or for how slowly.
    pub(super) fn misfit(&mut self) {
        self.counts.misfits += 1;
        self.show();
    }

    /// Has others see the counts as they are.
    pub(super) fn show(&self) {
        self.stats.write(self.counts.array());
    }
}

/// Answers what comes by a connection until it ends.
pub(super) async fn serve<S>(mut connection: Connection<S>, thread: &RefCell<Thread>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let patience = thread.borrow().patience;
    let mut timer = pin!(tokio::time::sleep_until(connection.due));
    let end = poll_fn(|cx| {
        if let Poll::Ready(end) = connection.run(cx, &mut thread.borrow_mut()) {
            return Poll::Ready(end);
        }
        if connection.due < timer.deadline() {
            timer.as_mut().reset(connection.due);
        }
        // What is due later than the timer thinks is looked at when that fires.
        while timer.as_mut().poll(cx).is_ready() {
            if connection.due <= Instant::now() {
                return Poll::Ready(Ok(End::Misfit));
            }
            timer.as_mut().reset(connection.due);
        }
        Poll::Pending
    });
    let end = end.await;
    connection.note_end(&mut thread.borrow_mut());
    match end {
        // The other side has closed it, and nothing is left to be said.
        Ok(End::Gone) => return,
        Ok(End::Closed) | Err(_) => {}
        Ok(End::Misfit) => thread.borrow_mut().misfit(),
    }
    // Whether that ends in time, or at all, is the other side's matter.
    let _ = tokio::time::timeout(patience.request, connection.close()).await;
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn run(&mut self, cx: &mut Context<'_>, thread: &mut Thread) -> Poll<io::Result<End>> {
        loop {
            if !self.unsent.is_empty() {
                ready!(self.send(cx))?;
                self.wait_for_request(thread);
            }
            if self.last {
                return Poll::Ready(Ok(End::Closed));
            }
            let begun = self.kept.len();
            let room = &mut thread.room[..];
            room[..begun].copy_from_slice(&self.kept);
            let mut free = ReadBuf::new(&mut room[begun..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut free))?;
            let came = free.filled().len();
            if came == 0 {
                return Poll::Ready(Ok(End::Gone));
            }
            self.take_in(begun, came, thread);
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(&mut self.stream);
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(stream.as_mut().poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        ready!(stream.poll_flush(cx))?;
        self.unsent.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Says that nothing follows. Whoever still sends gets a while to see that: closing on what was not read would reset the
    /// connection, and take the answer from it.
    async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut room = [0; 1024];
        let mut left = MOST_UNSENT;
        while self.more && left > 0 {
            match self.stream.read(&mut room).await? {
                0 => break,
                came => left = left.saturating_sub(came),
            }
        }
        Ok(())
    }
}

impl<S> Connection<S> {
    /// A connection that has just been taken.
    pub(super) fn new(stream: S, who: Who, patience: Patience) -> Self {
        Self {
            stream,
            who,
            kept: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            answered: 0,
            spared: false,
            last: false,
            more: false,
            due: Instant::now() + patience.request,
        }
    }

    /// The same, which closes behind its first answer if `spared`.
    pub(super) const fn spared(mut self, spared: bool) -> Self {
        self.spared = spared;
        self
    }

    /// The same by what `convert` makes of the stream.
    pub(super) fn convert<T>(
        self,
        convert: impl FnOnce(S) -> io::Result<T>,
    ) -> io::Result<Connection<T>> {
        Ok(Connection {
            stream: convert(self.stream)?,
            who: self.who,
            kept: self.kept,
            unsent: self.unsent,
            sent: self.sent,
            answered: self.answered,
            spared: self.spared,
            last: self.last,
            more: self.more,
            due: self.due,
        })
    }

    /// Answers what has come, behind what was there of it.
    fn take_in(&mut self, begun: usize, came: usize, thread: &mut Thread) {
        thread.counts.received += came as u64;
        if let Err(error) = self.answer(begun + came, thread) {
            thread.counts.misfits += 1;
            tracing::debug!(who = %self.who.0, %error, "a request that is none");
        }
        thread.show();
    }

    /// Answers what is whole of the first `len` bytes of the room, and keeps the rest.
    fn answer(&mut self, len: usize, thread: &mut Thread) -> Result<(), HeadError> {
        let now = thread.core.clock.now();
        thread.answerer.refresh();
        let mut rest = &thread.room[..len];
        let before = self.unsent.len();
        let mut read = Ok(());
        while !self.last && !rest.is_empty() {
            match read_head(rest) {
                Ok(Some(head)) => {
                    let (who, out) = (self.who, &mut self.unsent);
                    let rng = &mut thread.rng;
                    let is_lone = self.answered == 0 && rest.len() == head.len;
                    thread.answerer.close_next(self.spared && is_lone);
                    let answer = thread.answerer.answer(&head, who, now, rng, out);
                    thread.counts.note(answer, who);
                    self.answered = (self.answered + 1).min(2);
                    if self.answered == 2 {
                        thread.habit.used();
                    }
                    self.last = !thread.answerer.keeps(&head) || out.len() > MOST_UNSENT;
                    rest = &rest[head.len..];
                }
                Ok(None) => break,
                Err(error) => {
                    self.unsent.extend_from_slice(match error {
                        HeadError::TooLarge => TOO_LARGE,
                        HeadError::Malformed => BAD,
                    });
                    self.last = true;
                    read = Err(error);
                }
            }
        }
        self.more = self.last && (read.is_err() || !rest.is_empty());
        if self.kept.is_empty() && !rest.is_empty() {
            self.due = Instant::now() + thread.patience.request;
        }
        self.kept.clear();
        if rest.is_empty() {
            self.kept = Vec::new();
        } else {
            self.kept.extend_from_slice(rest);
        }
        thread.counts.sent += (self.unsent.len() - before) as u64;
        if self.unsent.len() > before {
            self.due = Instant::now() + thread.patience.request;
        }
        read
    }

    /// Has it count what became of a connection that was kept, where it has ended.
    const fn note_end(&self, thread: &mut Thread) {
        if self.answered == 1 && !self.last {
            thread.habit.alone();
        }
    }

    fn wait_for_request(&mut self, thread: &Thread) {
        if self.kept.is_empty() {
            self.due = Instant::now() + thread.patience.idle;
            // Idle connections have no room of their own.
            if self.unsent.capacity() > 4096 {
                self.unsent = Vec::new();
            }
        } else {
            self.due = Instant::now() + thread.patience.request;
        }
    }
}

const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
