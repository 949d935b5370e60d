//! Requests and their replies on one stream.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

use super::body::{Body, Encoding};
use super::{Error, Limits, Stage, auth};

/// What is read from the connection at a time at most, and so how large a head can be buffered.
const BUFFER: usize = 64 * 1024;

/// A request as it goes out.
pub(super) type Message = hyper::Request<Full<Bytes>>;

/// How a reply is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The connection is to stay open behind it.
    pub(super) keep: bool,
    /// Its body may be packed.
    pub(super) packed: bool,
}

/// What a request asks with.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Get,
    /// With this body.
    Post(Bytes),
}

/// A connection to a server, for one request after the other.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// What moves its bytes while somebody polls it; `None` once it has ended.
    driver: Option<Driver>,
    local: SocketAddr,
    peer: SocketAddr,
}

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The host (an IPv6 literal in brackets) and port that a URL names.
pub(super) fn host_and_port(url: &Url) -> Result<(&str, u16), Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::BadUrl);
    }
    url.host_str()
        .zip(url.port_or_known_default())
        .filter(|(host, _)| !host.is_empty())
        .ok_or(Error::BadUrl)
}

/// The request for a URL.
pub(super) fn message(
    url: &Url,
    ask: &Ask,
    headers: &HeaderMap,
    user_agent: &HeaderValue,
    manner: Manner,
) -> Result<Message, Error> {
    let (host, _) = host_and_port(url)?;
    let host = match url.port() {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
        None => HeaderValue::try_from(host),
    };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let (method, body) = match ask {
        Ask::Get => (Method::GET, Bytes::new()),
        Ask::Post(body) => (Method::POST, body.clone()),
    };
    let mut message = hyper::Request::builder()
        .method(method)
        .uri(target)
        .body(Full::new(body))
        .map_err(|_| Error::BadUrl)?;
    let out = message.headers_mut();
    out.insert(header::HOST, host.map_err(|_| Error::BadUrl)?);
    out.insert(header::USER_AGENT, user_agent.clone());
    out.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    for (name, value) in headers {
        out.insert(name, value.clone());
    }
    let offer = if manner.packed {
        "gzip, deflate"
    } else {
        "identity"
    };
    out.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(offer));
    let then = if manner.keep { "keep-alive" } else { "close" };
    out.insert(header::CONNECTION, HeaderValue::from_static(then));
    if let Some(value) = auth::authorization(url) {
        out.insert(header::AUTHORIZATION, value);
    }
    Ok(message)
}

impl Connection {
    /// Speaks HTTP on a stream between `ends`, ours and the server's; `limits` hold for the heads of all replies.
    pub(super) async fn open<S>(
        stream: S,
        (local, peer): (SocketAddr, SocketAddr),
        limits: Limits,
    ) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(BUFFER.max(limits.head))
            .max_header_size(limits.head)
            // Names are without regard to case, but not everyone knows.
            .title_case_headers(true)
            // Trackers are old and many: what can be understood is.
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .handshake(TokioIo::new(stream))
            .await?;
        // How the connection ended is told to whoever waits for a reply.
        let driver = async { drop(driver.await) };
        Ok(Self {
            sender,
            driver: Some(Box::pin(driver)),
            local,
            peer,
        })
    }

    /// Our address.
    pub(super) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The address of the server.
    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether it may be used again.
    pub(super) fn is_open(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Sends a request and receives the head of the reply.
    pub(super) async fn send(
        &mut self,
        message: Message,
        stage: &mut Stage,
    ) -> Result<hyper::Response<Incoming>, Error> {
        *stage = Stage::Head;
        // What happened while the connection was kept is seen first: it may be closed.
        self.look().await;
        let sender = &mut self.sender;
        let exchange = async {
            sender.ready().await?;
            sender.send_request(message).await
        };
        let response = beside(&mut self.driver, exchange).await?;
        *stage = Stage::Body;
        Ok(response)
    }

    /// Receives the whole body of a reply, unpacked.
    pub(super) async fn receive(
        &mut self,
        headers: &HeaderMap,
        incoming: Incoming,
        limits: Limits,
    ) -> Result<Bytes, Error> {
        let body = beside(&mut self.driver, receive(headers, incoming, limits)).await?;
        // It may close now that the reply is read.
        self.look().await;
        Ok(body)
    }

    /// The next bytes of a body that is received in parts; none at its end.
    pub(super) fn poll_chunk(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        if let Poll::Ready(chunk) = poll_data(incoming, cx) {
            return Poll::Ready(chunk);
        }
        self.poll_driver(cx);
        // What the driver just did may be all that was missing.
        poll_data(incoming, cx)
    }

    /// Lets the driver move bytes.
    pub(super) fn poll_driver(&mut self, cx: &mut Context<'_>) {
        if let Some(running) = &mut self.driver
            && running.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
    }

    /// Lets the driver do what can be done now.
    async fn look(&mut self) {
        poll_fn(|cx| {
            self.poll_driver(cx);
            Poll::Ready(())
        })
        .await;
    }
}

/// The next bytes of a body, without what is no payload.
fn poll_data(incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
    loop {
        match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            None => return Poll::Ready(Ok(None)),
            Some(Err(error)) => return Poll::Ready(Err(error.into())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Poll::Ready(Ok(Some(data)));
                }
            }
        }
    }
}

/// Where a redirect points to; `None` when the reply is not one.
pub(super) fn redirect_target(status: u16, headers: &HeaderMap) -> Option<&HeaderValue> {
    matches!(status, 301 | 302 | 303 | 307 | 308)
        .then(|| headers.get(header::LOCATION))
        .flatten()
}

/// Receives the body of a reply.
async fn receive(
    headers: &HeaderMap,
    mut incoming: Incoming,
    limits: Limits,
) -> Result<Bytes, Error> {
    let encoding = match headers.get(header::CONTENT_ENCODING) {
        Some(value) => Encoding::parse(value.as_bytes()).ok_or(Error::UnknownEncoding)?,
        None => Encoding::Identity,
    };
    let announced = hyper::body::Body::size_hint(&incoming).lower();
    if announced > limits.body as u64 {
        return Err(Error::BodyTooLarge { limit: limits.body });
    }
    let mut body = None;
    while let Some(chunk) = poll_fn(|cx| poll_data(&mut incoming, cx)).await? {
        body.get_or_insert_with(|| Body::new(encoding, limits))
            .push(&chunk)?;
    }
    // A reply without a body is not packed, whatever its head says.
    Ok(body.map(Body::finish).transpose()?.unwrap_or_default())
}

/// Runs `main` to its end, and `driver` beside it for as long as it has something to do.
async fn beside<T>(driver: &mut Option<Driver>, main: impl Future<Output = T>) -> T {
    let mut main = pin!(main);
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = main.as_mut().poll(cx) {
            return Poll::Ready(outcome);
        }
        if let Some(running) = driver
            && running.as_mut().poll(cx).is_ready()
        {
            // How the connection ended is told to `main`, which is awake by now.
            *driver = None;
        }
        // What the driver just did may be all that `main` waited for.
        main.as_mut().poll(cx)
    })
    .await
}
