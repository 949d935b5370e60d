//! Small HTTP servers for operators: one thread each, bounded in all that strangers can make long.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::tls::Tls;

/// Connections at a time; more wait.
const GUESTS: usize = 64;

/// How long a head, a body or TLS may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection may stay.
const VISIT: Duration = Duration::from_secs(300);

/// Bytes of a head and of a body at most.
const MOST_HEAD: usize = 16 * 1024;
const MOST_BODY: usize = 64 * 1024;

/// A request, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `GET` and the like.
    pub method: String,
    /// What stands before the `?`, from its first `/` on.
    pub path: String,
    /// What stands behind it, as it came.
    pub query: String,
    /// `Authorization`, where it is text.
    pub authorization: Option<String>,
    /// What follows the head.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// `Content-Type`.
    pub kind: &'static str,
    /// What follows the head.
    pub body: String,
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// Answers requests.
pub(crate) trait Answers: Send + Sync + 'static {
    /// The answer to one.
    fn answer(&self, asked: Asked) -> Pin<Box<dyn Future<Output = Reply> + '_>>;
}

/// A server; it ends with this value.
#[derive(Debug)]
pub(crate) struct WebServer {
    local: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WebServer {
    /// Answers connections to `at`.
    ///
    /// # Errors
    /// What the system says of the address.
    pub(crate) fn start(
        name: &str,
        at: SocketAddr,
        tls: Option<Tls>,
        answers: Arc<dyn Answers>,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || {
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = serve(listener, tls, answers) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self {
            local,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) const fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a server for operators has failed");
        }
    }
}

impl Reply {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            kind: JSON,
            body: body.into(),
        }
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            kind: TEXT,
            body: body.into(),
        }
    }
}

async fn serve(listener: TcpListener, tls: Option<Tls>, answers: Arc<dyn Answers>) {
    let seats = Arc::new(Semaphore::new(GUESTS));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "taking a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, answers) = (tls.clone(), Arc::clone(&answers));
        tokio::task::spawn_local(async move {
            // Whoever stays longer connects again.
            let _ = timeout(VISIT, attend(stream, tls, answers)).await;
            drop(seat);
        });
    }
}

async fn attend(stream: TcpStream, tls: Option<Tls>, answers: Arc<dyn Answers>) {
    let service = service_fn(move |request| {
        let answers = Arc::clone(&answers);
        async move { Ok::<_, std::convert::Infallible>(answer(request, &*answers).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MOST_HEAD);
    let served = match tls {
        None => {
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await
        }
        Some(tls) => match timeout(PATIENCE, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => {
                builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await
            }
            Ok(Err(_)) | Err(_) => return,
        },
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to a server for operators");
    }
}

async fn answer(request: Request<Incoming>, answers: &dyn Answers) -> Response<Full<Bytes>> {
    let reply = match timeout(PATIENCE, read(request)).await {
        Ok(Some(asked)) => answers.answer(asked).await,
        Ok(None) => Reply::text(413, "the body is too long, or broke off"),
        Err(_) => Reply::text(408, "the body takes too long"),
    };
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    let status = StatusCode::from_u16(reply.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.kind));
    match reply.status {
        401 => _ = headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        405 => _ = headers.insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE")),
        _ => {}
    }
    response
}

async fn read(request: Request<Incoming>) -> Option<Asked> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST_BODY).collect().await.ok()?;
    let authorization = head.headers.get(AUTHORIZATION);
    Some(Asked {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: authorization.and_then(|value| Some(value.to_str().ok()?.to_owned())),
        body: body.to_bytes().to_vec(),
    })
}
