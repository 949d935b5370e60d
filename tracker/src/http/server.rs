//! Threads that answer connections, each by a listening socket of its own: the system spreads connections over them.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::LocalSet;

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
                            }
                            Ok(Err(error)) => {
                                tracing::debug!(%error, "taking a connection");
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
                () = fresh.pause(), if looks => fresh.look(),
            }
        }
    }
}

/// Takes a connection that waits, if one does.
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (stream, from) = rustix::net::acceptfrom_with(listener, flags)?;
    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
    let from = from.ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((stream.into(), from))
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

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        socket.set_only_v6(!at.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Connections have it from here: answers are written whole.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::Ipv4Addr;

    use super::*;
    use crate::access::Mode;
    use crate::policy::Policy;
    use crate::swarms::SwarmOptions;

    /// Longer than anything that is waited for here takes.
    const LONG: Duration = Duration::from_secs(60);

    fn server(workers: usize, limits: HttpLimits) -> HttpServer {
        server_with(workers, HttpRules::default(), limits)
    }

    fn server_with(workers: usize, rules: HttpRules, limits: HttpLimits) -> HttpServer {
        let core = Core::new(
            SwarmOptions::default(),
            Mode::default(),
            Policy::default(),
            None,
        );
        let at = (Ipv4Addr::LOCALHOST, 0).into();
        HttpServer::start(&Arc::new(core), at, workers, (rules, limits), None).unwrap()
    }

    fn connect(server: &HttpServer) -> TcpStream {
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// All that comes until the other side closes.
    fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    fn announce(port: u16, more: &str) -> String {
        let id = "a".repeat(20);
        format!(
            "GET /announce?info_hash={id}&peer_id={id}&port={port}&compact=1 HTTP/1.1\r\n{more}\r\n"
        )
    }

    #[test]
    fn requests_that_come_together_are_answered_in_their_order() {
        let mut server = server(2, HttpLimits::default());
        let mut stream = connect(&server);
        let all = [
            announce(1, ""),
            "GET /health_check HTTP/1.1\r\n\r\n".to_owned(),
            announce(2, "connection: close\r\n"),
            announce(3, ""),
        ];
        stream.write_all(all.concat().as_bytes()).unwrap();
        let text = rest(stream);
        let statuses = text.matches("HTTP/1.1 200 OK").count();
        assert_eq!(statuses, 3, "nothing is answered behind the last: {text}");
        assert!(text.contains(r#"{"status":"Ok"}"#) && text.contains("10:incompletei2e"));
        server.stop();
        let counts = server.counts();
        assert_eq!(
            (counts.connections, counts.announces, counts.others),
            (1, 2, 1)
        );
    }

    #[test]
    fn where_connections_are_not_kept_each_has_one_answer() {
        let rules = HttpRules {
            closes: true,
            ..HttpRules::default()
        };
        let mut server = server_with(1, rules, HttpLimits::default());
        let mut stream = connect(&server);
        let two = announce(1, "") + &announce(2, "");
        stream.write_all(two.as_bytes()).unwrap();
        let text = rest(stream);
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 1, "{text}");
        assert!(text.contains("connection: close"));
        server.stop();
        assert_eq!(server.counts().announces, 1);
    }

    #[test]
    fn a_request_may_come_byte_by_byte() {
        let server = server(1, HttpLimits::default());
        let mut stream = connect(&server);
        stream.set_nodelay(true).unwrap();
        for byte in announce(1, "connection: close\r\n").bytes() {
            stream.write_all(&[byte]).unwrap();
        }
        assert!(rest(stream).ends_with("5:peers0:6:peers60:e"));
    }

    #[test]
    fn who_is_slow_or_speaks_something_else_is_shown_out() {
        let patience = Patience {
            request: Duration::from_millis(50),
            idle: LONG,
        };
        let limits = HttpLimits {
            patience,
            ..HttpLimits::default()
        };
        let mut server = server(1, limits);
        let mut slow = connect(&server);
        slow.write_all(b"GET /announce?").unwrap();
        assert_eq!(rest(slow), "");
        assert_eq!(rest(connect(&server)), "", "nothing comes at all");
        let mut alien = connect(&server);
        alien.write_all(b"\x16\x03\x01\x00\x00").unwrap();
        assert!(rest(alien).starts_with("HTTP/1.1 400"));
        let mut long = connect(&server);
        let line = format!("GET /announce?{}", "a".repeat(super::super::MAX_HEAD));
        long.write_all(line.as_bytes()).unwrap();
        assert!(rest(long).starts_with("HTTP/1.1 431"));
        // Between requests there is more time.
        let mut idle = connect(&server);
        idle.write_all(announce(1, "").as_bytes()).unwrap();
        let mut some = [0; 16];
        idle.read_exact(&mut some).unwrap();
        server.stop();
        assert_eq!(server.counts().misfits, 4);
    }

    #[test]
    fn there_are_only_so_many_connections() {
        let limits = HttpLimits {
            connections: 2,
            ..HttpLimits::default()
        };
        let mut server = server(1, limits);
        let held: Vec<_> = (0..2)
            .map(|_| {
                let mut stream = connect(&server);
                stream.write_all(announce(1, "").as_bytes()).unwrap();
                stream.read_exact(&mut [0; 16]).unwrap();
                stream
            })
            .collect();
        let mut third = connect(&server);
        // It may be closed before or while this is written.
        let _ = third.write_all(announce(1, "").as_bytes());
        let mut some = [0; 16];
        assert!(!third.read(&mut some).is_ok_and(|len| len > 0));
        drop(held);
        server.stop();
        assert_eq!(server.counts().turned_away, 1);
    }

    #[test]
    fn stopping_does_not_wait_for_idle_connections() {
        let mut server = server(2, HttpLimits::default());
        let idle = connect(&server);
        server.stop();
        // Closed, or never taken.
        let mut some = [0; 1];
        assert!(!(&idle).read(&mut some).is_ok_and(|len| len > 0));
    }
}
