//! Threads that answer connections, each by a listening socket of its own: the system spreads connections over them.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

#[cfg(target_os = "linux")]
use nix::sys::socket::setsockopt;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::LocalSet;

#[cfg(test)]
mod tests;

use super::connection::{Connection, Patience, Thread, serve};
use super::fresh::Fresh;
use super::stats::{HttpCounts, HttpStats};
use super::{HttpRules, Who};
use crate::core::Core;
use crate::tls::Tls;

/// Connections that wait to be taken.
const BACKLOG: i32 = 4096;

/// How long a thread leaves the system alone that had no connection to give: most likely it has no file numbers left.
const BREATH: Duration = Duration::from_millis(100);

/// Connections that are taken before those that are there have their turn.
const AT_ONCE: usize = 64;

/// Has the system give connections when their first bytes are there, or a second later: one look at each is enough then for nearly all,
/// and who connects only is not seen before.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
struct WithRequest;

#[cfg(target_os = "linux")]
nix::setsockopt_impl!(
    WithRequest,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    bool,
    nix::sys::socket::sockopt::SetBool
);

/// Bounds of an HTTP tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections at a time, over all threads.
    pub connections: usize,
    /// How long they may take.
    pub patience: Patience,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            patience: Patience::default(),
        }
    }
}

/// An HTTP tracker at one address. It stops when it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    local: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    stats: Vec<Arc<HttpStats>>,
}

impl HttpServer {
    /// Answers connections to `at` by `workers` threads, one at least, under TLS where there are certificates. Port 0 takes any
    /// free port.
    ///
    /// # Errors
    /// What the system says of the address.
    pub fn start(
        core: &Arc<Core>,
        at: SocketAddr,
        workers: usize,
        (rules, limits): (HttpRules, HttpLimits),
        tls: Option<&Tls>,
    ) -> io::Result<Self> {
        let workers = workers.max(1);
        let first = listen(at)?;
        let local = first.local_addr()?;
        let mut listeners = vec![first];
        while listeners.len() < workers {
            listeners.push(listen(local)?);
        }
        let mut server = Self {
            local,
            stop: watch::channel(false).0,
            threads: Vec::new(),
            stats: Vec::new(),
        };
        for (number, listener) in listeners.into_iter().enumerate() {
            let stats = Arc::<HttpStats>::default();
            server.stats.push(Arc::clone(&stats));
            let worker = Worker {
                core: Arc::clone(core),
                rules,
                patience: limits.patience,
                most: limits.connections.div_ceil(workers),
                stats,
                stop: server.stop.subscribe(),
                tls: tls.cloned(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()?;
            let listener = {
                let _entered = runtime.enter();
                #[expect(
                    deprecated,
                    reason = "its successor is unsafe, for what closes its file behind the runtime's back; a `TcpListener` does not"
                )]
                AsyncFd::with_interest(listener, Interest::READABLE)?
            };
            let thread = std::thread::Builder::new().name(format!("http-tracker-{number}"));
            let thread = thread.spawn(move || {
                LocalSet::new().block_on(&runtime, worker.run(listener));
            })?;
            server.threads.push(thread);
        }
        Ok(server)
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What it has answered, over all threads.
    pub fn counts(&self) -> HttpCounts {
        let mut sum = HttpCounts::default();
        for stats in &self.stats {
            sum.add(stats.read());
        }
        sum
    }

    /// Takes no more connections, closes those that there are, and ends the threads. What was asked has been answered by then, as
    /// far as who asked has taken the answer.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the HTTP tracker has failed");
            }
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Worker {
    core: Arc<Core>,
    rules: HttpRules,
    patience: Patience,
    /// Connections at a time.
    most: usize,
    stats: Arc<HttpStats>,
    stop: watch::Receiver<bool>,
    tls: Option<Tls>,
}

impl Worker {
    async fn run(self, listener: AsyncFd<TcpListener>) {
        let Self {
            core,
            rules,
            patience,
            most,
            stats,
            mut stop,
            tls,
        } = self;
        let rng = SmallRng::seed_from_u64(rand::random());
        let thread = Thread::new(core, rules, rng, patience, stats);
        let thread = Rc::new(RefCell::new(thread));
        let mut fresh = Fresh::new(&thread);
        loop {
            let looks = !fresh.is_empty();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                ready = listener.readable() => {
                    let Ok(mut ready) = ready else {
                        tokio::time::sleep(BREATH).await;
                        continue;
                    };
                    let mut left = AT_ONCE;
                    while left > 0 {
                        left -= 1;
                        match ready.try_io(|listener| accept(listener.get_ref())) {
                            Ok(Ok((stream, from))) => {
                                let open = Rc::strong_count(&thread) - 2 + fresh.len();
                                if open >= most {
                                    thread.borrow_mut().turn_away();
                                } else if let Some(tls) = &tls {
                                    take(stream, from, tls, &thread);
                                } else {
                                    fresh.take(stream, from);
                                }
                                if !waits(ready.get_inner()) {
                                    ready.clear_ready();
                                    break;
                                }
                            }
                            Ok(Err(error)) => {
                                tracing::debug!(%error, "taking a connection");
                                if lacks_room(&error) {
                                    thread.borrow_mut().starve();
                                }
                                tokio::time::sleep(BREATH).await;
                                break;
                            }
                            // Nobody else waits.
                            Err(_) => break,
                        }
                    }
                    fresh.look();
                    if left == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                () = Fresh::pause(), if looks => fresh.look(),
            }
        }
    }
}

/// Whether a connection waits: to ask costs less than to take one in vain.
fn waits(listener: &TcpListener) -> bool {
    let mut asked = [PollFd::new(listener, PollFlags::IN)];
    // What cannot be asked is tried.
    !matches!(poll(&mut asked, Some(&Timespec::default())), Ok(0))
}

/// Takes a connection that waits, if one does.
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (stream, from) = rustix::net::acceptfrom_with(listener, flags)?;
    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
    let from = from.ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((stream.into(), from))
}

/// Whether the system lacks what a connection needs; else the connection itself has failed.
fn lacks_room(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// Begins with a connection under TLS.
fn take(stream: TcpStream, from: SocketAddr, tls: &Tls, thread: &Rc<RefCell<Thread>>) {
    let who = Who(from.ip());
    thread.borrow_mut().counts.note_connection(who);
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
        return;
    };
    let thread = Rc::clone(thread);
    let agreed = tls.acceptor().accept(stream);
    tokio::task::spawn_local(async move {
        let patience = thread.borrow().patience;
        match tokio::time::timeout(patience.request, agreed).await {
            Ok(Ok(stream)) => serve(Connection::new(stream, who, patience), &thread).await,
            Ok(Err(error)) => {
                tracing::debug!(%from, %error, "a connection that does not come to TLS");
                thread.borrow_mut().misfit();
            }
            Err(_) => thread.borrow_mut().misfit(),
        }
    });
}

/// Refuses an address that another program listens at: one that shares it, too, would have a part of the connections.
pub(crate) fn must_be_free(at: SocketAddr) -> io::Result<()> {
    unbound(at)?.bind(&at.into())
}

fn unbound(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        socket.set_only_v6(!at.ip().is_unspecified())?;
    }
    // Connections of an earlier run may still be there.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = unbound(at)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Connections have it from here: answers are written whole.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&at.into())?;
    #[cfg(target_os = "linux")]
    {
        // Where the system cannot do it, connections come without their requests.
        let _ = setsockopt(&socket, WithRequest, &true);
    }
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
