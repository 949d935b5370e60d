//! The command channel: connections, and the lines that come and go on them.
//!
//! Each connection has a task that reads and one that writes, and each request one of its own, so that none waits for
//! another; answers go out in the order in which they are ready. Whoever does not read holds up nobody but itself.

use std::io;
use std::os::unix::net::UnixListener as Blocking;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use control::{Answer, Ask, Code, Events, Lines, Refusal, Request, TooLong};
use net::{Pool, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time;

use super::bulletin::{News, Wanted, missed};
use super::desk::Desk;
use super::told;

/// Connections at a time.
pub(crate) const MAX_GUESTS: usize = 32;

/// Requests of a connection that are under way at a time; more wait to be read.
const MAX_REQUESTS: usize = 16;

/// Lines that wait to be written to a connection.
const LINES: usize = 64;

/// Bytes of a line above which only [`LARGE`] are gathered at a time, on all connections.
const SMALL: usize = 2 << 20;

/// Large lines that are gathered and worked at, at a time.
const LARGE: usize = 2;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// How long a guest may leave a line unread before it is let go.
const PATIENCE: Duration = Duration::from_secs(60);

/// Events beside the usual ones that may wait for a guest.
const WAITING: usize = 4096;

/// A command channel; it ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    _serving: Task<()>,
}

/// What all connections share.
#[derive(Debug)]
struct House {
    desk: Arc<Desk>,
    seats: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A connection.
#[derive(Debug)]
struct Guest {
    house: Arc<House>,
    out: mpsc::Sender<Outgoing>,
    requests: JoinSet<()>,
    under_way: Arc<Semaphore>,
    following: Option<AbortHandle>,
}

/// A line on its way out.
#[derive(Debug)]
struct Outgoing {
    line: Vec<u8>,
    /// Hears when the line is written.
    written: Option<oneshot::Sender<()>>,
}

impl From<Vec<u8>> for Outgoing {
    fn from(line: Vec<u8>) -> Self {
        Self {
            line,
            written: None,
        }
    }
}

/// Who talks to the daemon now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guests(Arc<AtomicUsize>);

impl Guests {
    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn enter(&self) -> Present {
        self.0.fetch_add(1, Ordering::Relaxed);
        Present(self.clone())
    }
}

/// A guest that is there.
#[derive(Debug)]
struct Present(Guests);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    /// Serves on an open socket.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn start(listener: Blocking, desk: Arc<Desk>, pool: &Pool) -> io::Result<Self> {
        let listener = {
            let _runtime = pool.handle().enter();
            UnixListener::from_std(listener)?
        };
        let house = House {
            desk,
            seats: Arc::new(Semaphore::new(MAX_GUESTS)),
            large: Arc::new(Semaphore::new(LARGE)),
        };
        Ok(Self {
            _serving: pool.spawn(house.serve(listener)),
        })
    }
}

impl House {
    async fn serve(self, listener: UnixListener) {
        let house = Arc::new(self);
        // They end with this task.
        let mut guests = JoinSet::new();
        loop {
            while guests.try_join_next().is_some() {}
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "command channel");
                    time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if !is_ours(&stream) {
                tracing::warn!("another user was refused at the command channel");
                continue;
            }
            let Ok(seat) = Arc::clone(&house.seats).try_acquire_owned() else {
                turn_away(&stream);
                continue;
            };
            let house = Arc::clone(&house);
            guests.spawn(house.attend(stream, seat));
        }
    }

    async fn attend(self: Arc<Self>, stream: UnixStream, seat: OwnedSemaphorePermit) {
        let present = self.desk.guests().enter();
        let (from, to) = stream.into_split();
        let (out, lines) = mpsc::channel(LINES);
        let guest = Guest {
            house: self,
            out,
            requests: JoinSet::new(),
            under_way: Arc::new(Semaphore::new(MAX_REQUESTS)),
            following: None,
        };
        // Who is not read from any more is not read from: either end ends the other.
        let writing = write(to, lines);
        let reading = guest.read(from);
        tokio::pin!(writing);
        let left = tokio::select! {
            biased;
            written = &mut writing => written,
            read = reading => match read {
                Ok(()) => writing.await,
                Err(error) => Err(error),
            },
        };
        tracing::trace!(?left, "a guest of the command channel has left");
        drop((present, seat));
    }
}

impl Guest {
    /// Reads requests and has them done, until the other side says no more; waits for what is under way then.
    async fn read(mut self, mut from: OwnedReadHalf) -> io::Result<()> {
        let mut lines = Lines::new(control::MOST);
        let mut chunk = vec![0; CHUNK];
        let mut large = None;
        loop {
            match lines.line() {
                Ok(Some(line)) => {
                    self.take(&line, large.take()).await?;
                    continue;
                }
                Ok(None) => {}
                Err(too_long) => return self.complain(too_long).await,
            }
            if lines.gathered() > SMALL && large.is_none() {
                let permit = Arc::clone(&self.house.large).acquire_owned().await;
                large = permit.ok();
            }
            let len = from.read(&mut chunk).await?;
            if len == 0 {
                break;
            }
            lines.push(chunk.get(..len).unwrap_or_default());
        }
        if let Some(following) = self.following.take() {
            following.abort();
        }
        while self.requests.join_next().await.is_some() {}
        Ok(())
    }

    /// Has a request done, when few enough of this connection are under way.
    async fn take(&mut self, line: &[u8], large: Option<OwnedSemaphorePermit>) -> io::Result<()> {
        while self.requests.try_join_next().is_some() {}
        let request = match Request::parse(line) {
            Ok(request) => request,
            Err(wrong) => {
                let code = if wrong.unknown {
                    Code::Unknown
                } else {
                    Code::Wrong
                };
                let refusal = Refusal::new(code, wrong.message);
                return self.say(&Answer::refused(wrong.id, refusal)).await;
            }
        };
        if let Ask::Events(events) = &request.ask {
            return self.follow(request.id, events).await;
        }
        if let Ask::Shutdown(_) = &request.ask {
            return self.end(request.id).await;
        }
        let under_way = Arc::clone(&self.under_way).acquire_owned().await;
        let (desk, out) = (Arc::clone(&self.house.desk), self.out.clone());
        self.requests.spawn(async move {
            let answer = match desk.answer(request.ask).await {
                Ok(well) => Answer::well(request.id, well),
                Err(refusal) => Answer::refused(Some(request.id), refusal),
            };
            if let Ok(line) = answer.to_line() {
                // Who has left does not wait for it.
                let _ = out.send(line.into()).await;
            }
            drop((large, under_way));
        });
        Ok(())
    }

    /// Has the daemon end, once whoever asks for that is told so.
    async fn end(&self, id: u64) -> io::Result<()> {
        let line = Answer::well(id, serde_json::json!({})).to_line()?;
        let (written, told) = oneshot::channel();
        let outgoing = Outgoing {
            line,
            written: Some(written),
        };
        let sent = self.out.send(outgoing).await;
        if sent.is_ok() {
            // Who has left is not told.
            let _ = told.await;
        }
        self.house.desk.end();
        Ok(())
    }

    /// Sends events from now on, in place of those that were sent before.
    async fn follow(&mut self, id: u64, events: &Events) -> io::Result<()> {
        let wanted = match Wanted::of(&events.categories) {
            Ok(wanted) => wanted,
            Err(word) => {
                let why = format!("`{word}` is neither an event nor a category of events");
                let refusal = Refusal::new(Code::Wrong, why);
                return self.say(&Answer::refused(Some(id), refusal)).await;
            }
        };
        if let Some(following) = self.following.take() {
            following.abort();
        }
        let desk = &self.house.desk;
        let (bulletin, since) = (desk.bulletin().clone(), events.since);
        // Nothing that comes behind the answer is missing.
        let follower = bulletin.follow(since);
        let last = bulletin.last();
        let rare = wanted.rare();
        let rare = rare.map(|rare| (desk.engine().events(rare, WAITING), desk.engine().clone()));
        self.say(&Answer::well(id, serde_json::json!({"last": last})))
            .await?;
        let (out, usual) = (self.out.clone(), wanted.clone());
        let following = self.requests.spawn(async move {
            let rare = async {
                match rare {
                    Some((events, engine)) => send_rare(events, &engine, &wanted, &out).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = send(follower, &usual, &out) => {}
                () = rare => {}
            }
        });
        self.following = Some(following);
        Ok(())
    }

    async fn complain(self, too_long: TooLong) -> io::Result<()> {
        let refusal = Refusal::new(Code::Wrong, too_long.to_string());
        self.say(&Answer::refused(None, refusal)).await
    }

    async fn say(&self, answer: &Answer) -> io::Result<()> {
        let line = answer.to_line()?;
        let sent = self.out.send(line.into()).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Sends what is wanted of what everybody is told.
async fn send(
    mut follower: super::bulletin::Follower,
    wanted: &Wanted,
    out: &mpsc::Sender<Outgoing>,
) {
    loop {
        let line = match follower.next().await {
            News::Told(told) if wanted.takes(told.word, told.categories) => told.line.to_vec(),
            News::Told(_) => continue,
            News::Missed(count) => line_of(&missed(count)),
        };
        if out.send(line.into()).await.is_err() {
            return;
        }
    }
}

/// Sends what else is wanted: it has no numbers.
async fn send_rare(
    mut events: engine::Events,
    engine: &engine::EngineHandle,
    wanted: &Wanted,
    out: &mpsc::Sender<Outgoing>,
) {
    loop {
        let line = match events.recv().await {
            // What everybody is told comes from there.
            Ok(event) if event.categories().meets(engine::Categories::USUAL) => continue,
            Ok(event) if wanted.takes(event.word(), event.categories()) => {
                told::fields(&event, |id| told::hash_of(engine, id))
            }
            Ok(_) => continue,
            Err(engine::NoEvent::Missed(count)) => missed(count),
            Err(_) => return,
        };
        if out.send(line_of(&line).into()).await.is_err() {
            return;
        }
    }
}

fn line_of(fields: &serde_json::Map<String, serde_json::Value>) -> Vec<u8> {
    let mut line = serde_json::to_vec(fields).unwrap_or_default();
    line.push(b'\n');
    line
}

async fn write(mut to: OwnedWriteHalf, mut lines: mpsc::Receiver<Outgoing>) -> io::Result<()> {
    while let Some(Outgoing { line, written }) = lines.recv().await {
        time::timeout(PATIENCE, to.write_all(&line)).await??;
        if let Some(written) = written {
            let _ = written.send(());
        }
    }
    to.shutdown().await
}

/// Whether it is our own user's, or the super-user's.
fn is_ours(stream: &UnixStream) -> bool {
    let us = rustix::process::geteuid().as_raw();
    let peer = stream.peer_cred().map(|peer| peer.uid());
    peer.is_ok_and(|peer| peer == us || peer == 0)
}

/// Says that there is no room; whoever does not take that at once is not told.
fn turn_away(stream: &UnixStream) {
    let why = format!("{MAX_GUESTS} connections are open already");
    let answer = Answer::refused(None, Refusal::new(Code::Busy, why));
    if let Ok(line) = answer.to_line() {
        let _ = stream.try_write(&line);
    }
}
