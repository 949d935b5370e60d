//! Connections: how many there may be, how long they are waited for, and what each request goes through before its handler.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use percent_encoding::percent_decode_str;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::access::Access;
use crate::daemon::Daemon;
use crate::lanes::Lane;
use crate::patience::Patient;
use crate::problem::Problem;
use crate::routes::{self, Found, Table};
use crate::seats::{Seat, Seats};
use crate::shared::{Shared, ends};
use crate::spoken::{Failed, Mixed, Spoken};
use crate::works::{Asker, Works};

/// What the server bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; half of them may follow events, a quarter may read files of downloads. For more, those give way that have asked for nothing for the longest time; while all are answered, they wait.
    pub connections: usize,
    /// How long the head of a request may take, and a connection may be idle.
    pub head: Duration,
    /// How long a client may take nothing of what it is sent.
    pub unread: Duration,
    /// How long whoever reads a file of a download waits for its metadata.
    pub metadata: Duration,
    /// How long requests may take that are under way when the server ends.
    pub farewell: Duration,
}

impl Limits {
    /// How many may follow events at a time. What they are sent never ends, and others have connections as well.
    pub(crate) fn followers(&self) -> usize {
        (self.connections / 2).max(1)
    }

    /// How many may read files of downloads at a time, which may end as little.
    pub(crate) fn readers(&self) -> usize {
        (self.connections / 4).max(1)
    }
}

/// 512 connections, 30 seconds, 5 minutes, 30 seconds, 2 seconds.
impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(30),
            unread: Duration::from_secs(300),
            metadata: Duration::from_secs(30),
            farewell: Duration::from_secs(2),
        }
    }
}

/// Bytes that wait in the system until they can be sent to a client, beside those that are under way to it: who reads slowly has no
/// megabytes there, and who reads fast is given more in time.
const UNSENT: u32 = 256 << 10;

/// How long a connection may be quiet before the other end is asked whether it is there, how often, and how many times.
const QUIET: Duration = Duration::from_secs(60);
const PROBED: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// How long whoever has given its seat away is sent the rest of its last answer.
const LEAVES: Duration = Duration::from_secs(1);

/// Bytes of the head of a request.
const HEAD: usize = 32 << 10;

/// Bytes of a path with its query.
const LONGEST_URL: usize = 8 << 10;

/// An open port.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    /// Where it is.
    pub at: SocketAddr,
}

impl Bound {
    /// A socket that listens already. Must be called in a runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket)?;
        let at = listener.local_addr()?;
        Ok(Self { listener, at })
    }
}

/// Opens the port, or one of the so many behind it that are free.
///
/// # Errors
/// What the system says of the last one that was tried.
pub async fn bind(at: SocketAddr, more: u16) -> io::Result<Bound> {
    let last = at
        .port()
        .saturating_add(if at.port() == 0 { 0 } else { more });
    let mut port = at.port();
    loop {
        match TcpListener::bind(SocketAddr::new(at.ip(), port)).await {
            Ok(listener) => {
                let at = listener.local_addr()?;
                return Ok(Bound { listener, at });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port < last => port += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Serves until `stopping` says so; then connections are closed when their requests are done, within [`Limits::farewell`]. Connections are
/// attended to in the runtime that this runs in, and in that of `long` while they are sent something long: whoever asks for little is
/// answered soon where that has threads of its own.
///
/// # Cancel safety
/// Everything ends with the future, connections too.
pub async fn serve(
    bound: Bound,
    daemon: Arc<dyn Daemon>,
    access: Access,
    limits: Limits,
    (long, mut stopping): (Handle, watch::Receiver<bool>),
) {
    let house = Arc::new(House::new(
        daemon,
        access,
        (bound.at.port(), &limits),
        stopping.clone(),
    ));
    let seats = Seats::new(limits.connections);
    let mut guests = JoinSet::new();
    loop {
        while guests.try_join_next().is_some() {}
        let next = async {
            let (stream, _) = bound.listener.accept().await?;
            Ok::<_, io::Error>((stream, seats.take().await))
        };
        let next = tokio::select! {
            next = next => next,
            () = ends(&mut stopping) => break,
        };
        let Ok((stream, seat)) = next else {
            // There may be no descriptor left, which another end gives back.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (house, until) = (Arc::clone(&house), (long.clone(), stopping.clone()));
        guests.spawn(attend((stream, seat), house, limits, until));
    }
    drop(bound);
    let all = async { while guests.join_next().await.is_some() {} };
    // Whoever is not done by then is cut off.
    let _ = timeout(limits.farewell, all).await;
}

/// Has the system treat a connection as one of many that last.
fn prepare(stream: &TcpStream) {
    // Without it events would wait for others.
    let _ = stream.set_nodelay(true);
    let stream = SockRef::from(stream);
    // Whoever is gone without a word, while it listens and nothing happens, gives its place back in time.
    let alive = TcpKeepalive::new().with_time(QUIET).with_interval(PROBED);
    let _ = stream.set_tcp_keepalive(&alive.with_retries(PROBES));
    let _ = stream.set_tcp_notsent_lowat(UNSENT);
}

/// One connection, in its seat.
async fn attend(
    (stream, seat): (TcpStream, Arc<Seat>),
    house: Arc<House>,
    limits: Limits,
    (long, mut stopping): (Handle, watch::Receiver<bool>),
) {
    prepare(&stream);
    // It is the connection's until the system has it.
    let _place = Arc::clone(&seat);
    let mixed = Mixed::default();
    let stream = Spoken::new(Patient::new(stream, limits.unread), mixed.clone());
    let stream = TokioIo::new(stream);
    let lane = Lane::default();
    let (own, taken) = (lane.clone(), Arc::clone(&seat));
    let service = service_fn(move |request| {
        let (house, mixed, lane) = (Arc::clone(&house), mixed.clone(), own.clone());
        let busy = taken.busy();
        // The connection is taken apart at its end, so that nothing in it may be pinned to its place.
        Box::pin(async move {
            let answer = house.answer(request).await;
            mixed.note(&answer);
            Ok::<_, Infallible>(busy.until_sent(lane.measure(answer)))
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(HEAD)
        .max_buf_size(HEAD)
        .serve_connection(stream, service);
    let talk = Box::pin(async move {
        let ended = tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ControlFlow::Break(ended),
            () = ends(&mut stopping) => ControlFlow::Continue(None),
            () = seat.given_away() => ControlFlow::Continue(Some(LEAVES)),
        };
        let ended = match ended {
            ControlFlow::Break(ended) => ended,
            ControlFlow::Continue(within) => {
                Pin::new(&mut connection).graceful_shutdown();
                let last = poll_fn(|cx| connection.poll_without_shutdown(cx));
                match within {
                    None => last.await,
                    // Half a request says no more than none.
                    Some(within) => timeout(within, last).await.unwrap_or(Ok(())),
                }
            }
        };
        (connection.into_parts().io.into_inner(), ended)
    });
    let Some((stream, ended)) = lane.attend(talk, &long).await else {
        return;
    };
    let failed = ended.err().map(|error| {
        tracing::debug!(%error, "a connection of the API");
        if error.is_timeout() {
            Failed::TooSlow
        } else {
            Failed::Otherwise
        }
    });
    stream.let_go(failed).await;
}

/// What stands behind all connections.
pub(crate) struct House {
    pub(crate) table: Table,
    router: Router,
    access: Access,
    works: Works,
    pub(crate) shared: Shared,
}

/// Requests at a time that change something: as many as there may be connections, with those whose clients have left.
const CHANGING: usize = 512;

impl House {
    pub(crate) fn new(
        daemon: Arc<dyn Daemon>,
        access: Access,
        (port, limits): (u16, &Limits),
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let shared = Shared::new(daemon, port, limits, stopping);
        let (table, router) = Table::with_router(shared.clone());
        Self {
            table,
            router,
            access,
            works: Works::new(CHANGING),
            shared,
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let mut response = match self.admit(request.map(Body::new)) {
            Ok(request) => self.handle(request).await,
            Err(problem) => problem.into_response(),
        };
        tracing::debug!(%method, path, status = response.status().as_u16(), "API");
        // What is told is of the moment, and perhaps not for everybody.
        let headers = response.headers_mut();
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        response
    }

    /// Has a request handled. A client that leaves meanwhile lets go of what it would have read, and of nothing that it has begun to
    /// change; what changes nothing before it is done may look at whether somebody is there.
    async fn handle(&self, mut request: Request<Body>) -> Response<Body> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let (asker, presence) = Asker::new();
        request.extensions_mut().insert(presence);
        let handled = TowerToHyperService::new(self.router.clone()).call(request);
        let handled = handled.map(|handled| match handled {
            Ok(response) => response,
            Err(never) => match never {},
        });
        if reads {
            return handled.await;
        }
        let done = self.works.finish(handled).await;
        drop(asker);
        done.unwrap_or_else(|| Problem::failed("the request has failed").into_response())
    }

    /// What a request goes through before its handler.
    pub(crate) fn admit(&self, mut request: Request<Body>) -> Result<Request<Body>, Problem> {
        is_proper(&request)?;
        let uri = request.uri();
        let len = uri.path_and_query().map_or(0, |it| it.as_str().len());
        if len > LONGEST_URL {
            let why = format!("the address has more than {LONGEST_URL} bytes");
            return Err(Problem::new(StatusCode::URI_TOO_LONG, why));
        }
        let uri = routes::with_normal_path(uri)?;
        self.access
            .check(request.method(), &uri, request.headers())?;
        if self.shared.is_stopping() {
            return Err(Problem::stopping());
        }
        let (era, path) = routes::era(uri.path());
        let of = match self.table.find(era, request.method(), path) {
            Found::Served(of) => of,
            Found::Absent(feature) => return Err(Problem::not_there(feature)),
            Found::Method(allowed) => return Err(Problem::no_method(allowed)),
            Found::Nothing => return Err(Problem::no_path()),
        };
        let path = routes::whole(of, path);
        let query = uri
            .query()
            .map_or_else(String::new, |query| format!("?{query}"));
        let inner: Result<Uri, _> = format!("{path}{query}").parse();
        *request.uri_mut() = inner.map_err(|_| Problem::no_path())?;
        request.extensions_mut().insert(era);
        Ok(request)
    }
}

/// Whether it is clear whom a request is for, and where to: one host (RFC 9112, section 3.2), and an address of letters.
fn is_proper(request: &Request<Body>) -> Result<(), Problem> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    // Older ones need not name it.
    let least = usize::from(request.version() >= Version::HTTP_11);
    if !(least..=1).contains(&hosts) {
        return Err(Problem::wrong(format!(
            "a request names one host, and this one {hosts}"
        )));
    }
    let path = percent_decode_str(request.uri().path()).decode_utf8();
    path.map(|_| ())
        .map_err(|_| Problem::wrong("the address is no text in UTF-8"))
}

#[cfg(test)]
mod tests;
