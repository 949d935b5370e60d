//! One request and its reply on one stream.

use std::future::{Future, poll_fn};
use std::pin::pin;
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
}

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
    out.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(value) = auth::authorization(url) {
        out.insert(header::AUTHORIZATION, value);
    }
    Ok(message)
}

/// Sends a request and receives the whole reply.
pub(super) async fn run<S>(
    stream: S,
    message: Message,
    limits: Limits,
    stage: &mut Stage,
) -> Result<Reply, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    *stage = Stage::Head;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER.max(limits.head))
        .max_header_size(limits.head)
        // Trackers are old and many: what can be understood is.
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await?;
    let exchange = async {
        let response = sender.send_request(message).await?;
        *stage = Stage::Body;
        receive(response, limits).await
    };
    beside(connection, exchange).await
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
    if redirect_target(status, &head.headers).is_some() {
        // Nobody reads the body of a redirect, so nobody waits for it.
        return Ok(Reply {
            status,
            headers: head.headers,
            body: Bytes::new(),
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
    })
}

/// Runs `main` to its end, and `driver` beside it for as long as it has something to do.
async fn beside<T>(driver: impl Future, main: impl Future<Output = T>) -> T {
    let (mut driver, mut main) = (pin!(driver), pin!(main));
    let mut driven = false;
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = main.as_mut().poll(cx) {
            return Poll::Ready(outcome);
        }
        if !driven && driver.as_mut().poll(cx).is_ready() {
            // How the connection ended is told to `main`, which is awake by now.
            driven = true;
        }
        // What the driver just did may be all that `main` waited for.
        main.as_mut().poll(cx)
    })
    .await
}
