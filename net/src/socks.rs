//! A SOCKS5 server (RFC 1928): the way that other programs of this host take into a [`Network`].
//!
//! ```text
//!  a program ── stream ──► SocksServer ── dial, dial_name ──► the network outside: direct, a proxy, circuits
//!            ◄─ datagrams ─►     │       ◄── datagram ──────►
//!                         the network inside, where programs come from
//! ```
//!
//! CONNECT and UDP ASSOCIATE are done, BIND is refused. Names go to the far end where that looks names up, and else are
//! looked up by the network outside: never by anything else. Replies say what became of a request, as far as RFC 1928 has
//! words for it. An association is no promise that datagrams pass: the first ones wait some seconds for a way out, but else they are
//! lost while there is none, and the program's own time-outs tell it.
//!
//! All is bounded: programs that are served at once, the time that each may take to say what it wants, and how long nothing
//! may move.

mod associate;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::proxy::server::{Acceptance, Request, reply};
use protocol::proxy::socks5::{Command, Refusal};
use protocol::proxy::{Credentials, Destination};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};
use tokio::time::{sleep, timeout};

use crate::datagram::Batches;
use crate::{BoxStream, Listener, Located, Network, Pool, Task};
use associate::associate;

/// How long a program may take to say what it wants.
const GREETING: Duration = Duration::from_secs(20);

/// How long a destination may take to answer.
const DIALLING: Duration = Duration::from_secs(60);

/// How long not to listen when the system can give no more streams.
const RECOVERY: Duration = Duration::from_millis(100);

/// How a server is to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SocksOptions {
    /// Where it listens; port 0 takes any free one.
    pub at: SocketAddr,
    /// Who may come in; without, everyone who can reach it.
    pub credentials: Option<Credentials>,
    /// Whether it may listen elsewhere than on the loopback, for other hosts to use.
    pub beyond_loopback: bool,
    /// Programs that are served at once; what more of them come are turned away.
    pub clients: usize,
    /// A stream or an association in which nothing moved for so long ends, within twice that time.
    pub idle: Duration,
}

impl SocksOptions {
    /// A server at an address, for everyone on this host: 256 programs at once, and half an hour without a byte.
    pub const fn at(at: SocketAddr) -> Self {
        Self {
            at,
            credentials: None,
            beyond_loopback: false,
            clients: 256,
            idle: Duration::from_secs(1800),
        }
    }
}

/// What a server has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocksCounters {
    /// Programs that are served now.
    pub clients: usize,
    /// Programs that were turned away because there were too many.
    pub turned_away: u64,
    /// Requests that were refused or failed.
    pub failed: u64,
    /// Datagrams of programs that were sent on.
    pub sent: u64,
    /// Datagrams that were given to programs.
    pub received: u64,
    /// Datagrams of programs that went nowhere: fragments, from strangers, unreadable, or without a way out.
    pub dropped: u64,
}

/// A SOCKS5 server; it ends when this is dropped, and with it all that goes through it.
#[derive(Debug)]
pub struct SocksServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _listening: Task<()>,
}

/// What all clients share.
struct Shared {
    inside: Network,
    outside: Network,
    options: SocksOptions,
    /// Where datagrams are received: all associations share them.
    batches: Batches,
    clients: AtomicUsize,
    turned_away: AtomicU64,
    failed: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    dropped: AtomicU64,
}

impl SocksServer {
    /// Listens on the network `inside`, and goes out for programs by the network `outside` and no other.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` for an address beyond the loopback that was not asked for; else as [`Network::listen`].
    pub fn launch(
        inside: Network,
        outside: Network,
        options: SocksOptions,
        pool: &Pool,
    ) -> io::Result<Self> {
        if !options.at.ip().is_loopback() && !options.beyond_loopback {
            let why = "a SOCKS5 server that other hosts can reach has to be asked for";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let door = {
            let _runtime = pool.handle().enter();
            inside.listen(options.at)?
        };
        let addr = door.local_addr();
        let shared = Arc::new(Shared {
            inside,
            outside: outside.with_cached_names(),
            options,
            batches: Batches::default(),
            clients: AtomicUsize::new(0),
            turned_away: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        Ok(Self {
            addr,
            _listening: pool.spawn(listen(door, Arc::clone(&shared), pool.clone())),
            shared,
        })
    }

    /// Where it listens, with the port that was really given.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it has done.
    pub fn counters(&self) -> SocksCounters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SocksCounters {
            clients: self.shared.clients.load(Ordering::Relaxed),
            turned_away: read(&self.shared.turned_away),
            failed: read(&self.shared.failed),
            sent: read(&self.shared.sent),
            received: read(&self.shared.received),
            dropped: read(&self.shared.dropped),
        }
    }
}

/// Takes clients until it is dropped, and with it those that it has taken.
async fn listen(mut door: Box<dyn Listener>, shared: Arc<Shared>, pool: Pool) {
    let mut served: Vec<Task<()>> = Vec::new();
    loop {
        let (stream, from) = match door.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no program is let in for a moment");
                sleep(RECOVERY).await;
                continue;
            }
        };
        served.retain(|task| !task.is_finished());
        if served.len() >= shared.options.clients {
            count(&shared.turned_away, 1);
            continue;
        }
        let guest = Guest::enter(&shared);
        served.push(pool.spawn(async move {
            if let Err(error) = guest.serve(stream, from).await {
                count(&guest.shared.failed, 1);
                tracing::debug!(%error, "a program got nothing from the SOCKS5 server");
            }
        }));
    }
}

/// A client, as long as it is served.
struct Guest {
    shared: Arc<Shared>,
}

impl Guest {
    fn enter(shared: &Arc<Shared>) -> Self {
        shared.clients.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
        }
    }

    async fn serve(&self, mut stream: BoxStream, from: SocketAddr) -> io::Result<()> {
        stream.keep_alive();
        let credentials = self.shared.options.credentials.clone();
        let request = timeout(GREETING, greet(&mut stream, credentials)).await??;
        match request.command {
            Command::Connect => self.connect(stream, &request.destination).await,
            Command::UdpAssociate => {
                associate(&self.shared, stream, from.ip(), &request.destination).await
            }
        }
    }

    async fn connect(&self, mut stream: BoxStream, to: &Destination) -> io::Result<()> {
        let dialled = timeout(DIALLING, self.dial(to)).await;
        let mut remote = match dialled.unwrap_or_else(|late| Err(late.into())) {
            Ok(remote) => remote,
            Err(error) => return fail(&mut stream, error).await,
        };
        remote.keep_alive();
        stream.write_all(&reply(Ok(remote.local_addr()))).await?;
        let moved = AtomicU64::new(0);
        let (mut near, mut far) = (
            Watched::new(&mut stream, &moved),
            Watched::new(&mut remote, &moved),
        );
        tokio::select! {
            biased;
            // How a stream ends that was open is nobody's failure here.
            _ = copy_bidirectional(&mut near, &mut far) => {}
            () = idle(&moved, self.shared.options.idle) => {}
        }
        Ok(())
    }

    async fn dial(&self, to: &Destination) -> io::Result<BoxStream> {
        let outside = &self.shared.outside;
        match to {
            Destination::Addr(to) => outside.dial(*to).await,
            Destination::Name(name, port) => {
                let (name, port) = (name.as_str(), *port);
                match outside.locate(name, port).await.map_err(unfound)? {
                    Located::ByName => outside.dial_name(name, port).await,
                    Located::At(addrs) => outside.dial_any(&addrs).await,
                }
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.shared.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hears what a client wants.
async fn greet(stream: &mut BoxStream, credentials: Option<Credentials>) -> io::Result<Request> {
    let mut machine = Acceptance::new(credentials);
    let mut bytes = [0; 256];
    loop {
        let room = machine.wants().min(bytes.len());
        let read = stream
            .read(bytes.get_mut(..room).unwrap_or_default())
            .await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let outcome = machine.handle(bytes.get(..read).unwrap_or_default());
        let told = machine.output();
        if !told.is_empty() {
            stream.write_all(&told).await?;
        }
        match outcome {
            Ok(Some(request)) => return Ok(request),
            Ok(None) => {}
            Err(why) => {
                stream.shutdown().await?;
                return Err(io::Error::other(why));
            }
        }
    }
}

/// Tells a client that there is nothing for it, and why.
async fn fail(stream: &mut BoxStream, error: io::Error) -> io::Result<()> {
    stream.write_all(&reply(Err(refusal(&error)))).await?;
    stream.shutdown().await?;
    Err(error)
}

/// What RFC 1928 calls a failure.
fn refusal(error: &io::Error) -> Refusal {
    use io::ErrorKind as Kind;

    let words = [
        (Kind::PermissionDenied, Refusal::Forbidden),
        (Kind::NetworkUnreachable, Refusal::NetworkUnreachable),
        (Kind::NetworkDown, Refusal::NetworkUnreachable),
        (Kind::HostUnreachable, Refusal::HostUnreachable),
        (Kind::NotFound, Refusal::HostUnreachable),
        (Kind::ConnectionRefused, Refusal::ConnectionRefused),
        (Kind::TimedOut, Refusal::TtlExpired),
        (Kind::Unsupported, Refusal::CommandNotSupported),
        (Kind::AddrNotAvailable, Refusal::AddressNotSupported),
    ];
    let word = words.into_iter().find(|(kind, _)| *kind == error.kind());
    word.map_or(Refusal::General, |(_, refusal)| refusal)
}

/// The failure to find a host, whatever the system calls it.
fn unfound(error: io::Error) -> io::Error {
    if refusal(&error) == Refusal::General {
        return io::Error::new(io::ErrorKind::HostUnreachable, error);
    }
    error
}

/// Ends when nothing has moved for `limit`, at the latest after twice that time.
async fn idle(moved: &AtomicU64, limit: Duration) {
    let mut before = moved.load(Ordering::Relaxed);
    loop {
        sleep(limit).await;
        let now = moved.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}

fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

/// Whether two addresses are of one host, however they are written.
fn is_same(one: IpAddr, other: IpAddr) -> bool {
    one.to_canonical() == other.to_canonical()
}

/// A stream, and how much was read from it.
struct Watched<'a> {
    stream: &'a mut BoxStream,
    moved: &'a AtomicU64,
}

impl<'a> Watched<'a> {
    const fn new(stream: &'a mut BoxStream, moved: &'a AtomicU64) -> Self {
        Self { stream, moved }
    }
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut *self.stream).poll_read(cx, buf);
        count(self.moved, buf.filled().len().saturating_sub(before));
        polled
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.options).finish()
    }
}

#[cfg(test)]
mod tests;
