//! Requests and their replies on one stream.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
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
pub(super) type Message = hyper::Request<Empty<Bytes>>;

/// A reply that has come in whole.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether it was read to its end, so that another may follow.
    pub(super) whole: bool,
}

/// A connection to a server, for one request after the other.
pub(super) struct Connection {
    sender: http1::SendRequest<Empty<Bytes>>,
    /// What moves its bytes while somebody polls it; `None` once it has ended.
    driver: Option<Driver>,
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

/// The GET request for a URL.
pub(super) fn message(
    url: &Url,
    headers: &HeaderMap,
    user_agent: &HeaderValue,
    keep: bool,
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
    let mut message = hyper::Request::get(target)
        .body(Empty::new())
        .map_err(|_| Error::BadUrl)?;
    let out = message.headers_mut();
    out.insert(header::HOST, host.map_err(|_| Error::BadUrl)?);
    out.insert(header::USER_AGENT, user_agent.clone());
    out.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    for (name, value) in headers {
        out.insert(name, value.clone());
    }
    let offer = HeaderValue::from_static("gzip, deflate");
    out.insert(header::ACCEPT_ENCODING, offer);
    let then = if keep { "keep-alive" } else { "close" };
    out.insert(header::CONNECTION, HeaderValue::from_static(then));
    if let Some(value) = auth::authorization(url) {
        out.insert(header::AUTHORIZATION, value);
    }
    Ok(message)
}

impl Connection {
    /// Speaks HTTP on a stream from `peer`; `limits` hold for the heads of all replies.
    pub(super) async fn open<S>(stream: S, peer: SocketAddr, limits: Limits) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(BUFFER.max(limits.head))
            .max_header_size(limits.head)
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
            peer,
        })
    }

    /// The address of the server.
    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether it may be used again.
    pub(super) fn is_open(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Sends a request and receives the whole reply.
    pub(super) async fn ask(
        &mut self,
        message: Message,
        limits: Limits,
        stage: &mut Stage,
    ) -> Result<Reply, Error> {
        *stage = Stage::Head;
        // What happened while the connection was kept is seen first: it may be closed.
        self.look().await;
        let sender = &mut self.sender;
        let exchange = async {
            sender.ready().await?;
            let response = sender.send_request(message).await?;
            *stage = Stage::Body;
            receive(response, limits).await
        };
        let reply = beside(&mut self.driver, exchange).await?;
        // It may close now that the reply is read.
        self.look().await;
        Ok(reply)
    }

    /// Lets the driver do what can be done now.
    async fn look(&mut self) {
        let driver = &mut self.driver;
        poll_fn(|cx| {
            if let Some(running) = driver
                && running.as_mut().poll(cx).is_ready()
            {
                *driver = None;
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// Where a redirect points to; `None` when the reply is not one.
pub(super) fn redirect_target(status: u16, headers: &HeaderMap) -> Option<&HeaderValue> {
    matches!(status, 301 | 302 | 303 | 307 | 308)
        .then(|| headers.get(header::LOCATION))
        .flatten()
}

/// Receives the body of a reply.
async fn receive(response: hyper::Response<Incoming>, limits: Limits) -> Result<Reply, Error> {
    let (head, mut incoming) = response.into_parts();
    let status = head.status.as_u16();
    let announced_empty = hyper::body::Body::is_end_stream(&incoming);
    if redirect_target(status, &head.headers).is_some() {
        // Nobody reads the body of a redirect, so nobody waits for it.
        return Ok(Reply {
            status,
            headers: head.headers,
            body: Bytes::new(),
            whole: announced_empty,
        });
    }
    let encoding = match head.headers.get(header::CONTENT_ENCODING) {
        Some(value) => Encoding::parse(value.as_bytes()).ok_or(Error::UnknownEncoding)?,
        None => Encoding::Identity,
    };
    let announced = hyper::body::Body::size_hint(&incoming).lower();
    if announced > limits.body as u64 {
        return Err(Error::BodyTooLarge { limit: limits.body });
    }
    let mut body = None;
    while let Some(frame) = incoming.frame().await {
        if let Ok(chunk) = frame?.into_data() {
            body.get_or_insert_with(|| Body::new(encoding, limits))
                .push(&chunk)?;
        }
    }
    Ok(Reply {
        status,
        headers: head.headers,
        // A reply without a body is not packed, whatever its head says.
        body: body.map(Body::finish).transpose()?.unwrap_or_default(),
        whole: true,
    })
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
