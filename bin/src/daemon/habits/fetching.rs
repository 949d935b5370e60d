//! What is fetched for feeds: they themselves, and the torrents that they name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::Network;
use net::http::{
    Client, Guard, HeaderMap, HeaderName, HeaderValue, Request, Response, Url, header,
};

use crate::failure::plain;
use crate::source::MAX_FETCHED;

/// Bytes of the largest feed.
const MAX_FEED: usize = 8 << 20;

/// How long a feed or a torrent may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of the longest word that a server has for a version.
const LONGEST: usize = 1000;

/// A feed as it came, or that it is the same.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// What came; `None` where it is the version that is known.
    pub(crate) body: Option<net::http::Bytes>,
    /// Where it came from in the end.
    pub(crate) url: Url,
    /// The server that gave it.
    pub(crate) peer: SocketAddr,
    /// What the server calls this version.
    pub(crate) etag: Option<String>,
    /// Of when it is.
    pub(crate) modified: Option<String>,
}

/// Why a feed did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfetched {
    /// For people; without the address, which may hold a key.
    pub(crate) why: String,
    /// How long the server wants to be left alone.
    pub(crate) at_least: Duration,
}

/// Fetches a feed, unless it is the version with this name or of this time.
///
/// # Errors
/// [`Unfetched`].
pub(crate) async fn fetch_feed(
    url: &Url,
    network: &Network,
    (etag, modified): (Option<&str>, Option<&str>),
) -> Result<Fetched, Unfetched> {
    let failed = |why: String| Unfetched {
        why,
        at_least: Duration::ZERO,
    };
    let mut request = request(url.clone(), MAX_FEED);
    let wanted = "application/rss+xml, application/atom+xml, application/xml;q=0.9, */*;q=0.5";
    let mut put = |name: HeaderName, value: Option<&str>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            request.headers.insert(name, value);
        }
    };
    put(header::ACCEPT, Some(wanted));
    put(header::IF_NONE_MATCH, etag);
    put(header::IF_MODIFIED_SINCE, modified);
    let response = client(network).get(&request).await;
    let response = response.map_err(|error| failed(plain(&error.to_string())))?;
    let status = response.status;
    if status != 200 && status != 304 {
        return Err(Unfetched {
            why: format!("the server answered with status {status}"),
            at_least: retry_after(&response.headers),
        });
    }
    Ok(fetched(response))
}

fn fetched(response: Response) -> Fetched {
    let word = |name: HeaderName| {
        let value = response.headers.get(name)?.to_str().ok()?;
        (value.len() <= LONGEST).then(|| value.to_owned())
    };
    Fetched {
        etag: word(header::ETAG),
        modified: word(header::LAST_MODIFIED),
        body: (response.status == 200).then_some(response.body),
        url: response.url,
        peer: response.peer,
    }
}

/// What lies where a feed says that a torrent is.
#[derive(Debug)]
pub(super) enum Found {
    /// A file.
    File(net::http::Bytes),
    /// A magnet link, to which the server sends on.
    Link(String),
}

/// Fetches what a feed from `named_by` names. The server of the feed can send us no closer than it is itself.
///
/// # Errors
/// Why not, for people; without the address, which may hold a key.
pub(super) async fn fetch_torrent(
    url: &Url,
    network: &Network,
    named_by: SocketAddr,
) -> Result<Found, String> {
    let mut request = request(url.clone(), MAX_FETCHED);
    request.sent_by = Some(named_by);
    let client = client(network);
    let error = match client.get(&request).await {
        Ok(response) if response.status == 200 => return Ok(Found::File(response.body)),
        Ok(response) => {
            let status = response.status;
            return Err(format!("the server answered with status {status}"));
        }
        Err(error) => error,
    };
    // Indexers that stand between send on to links.
    let mut led = None;
    if let net::http::Error::BadUrl = error {
        let _ = client.open_noting(&request, &mut led).await;
    }
    match led {
        Some(link) if link.scheme() == "magnet" => Ok(Found::Link(link.into())),
        _ => Err(plain(&error.to_string())),
    }
}

fn request(url: Url, most: usize) -> Request {
    let mut request = Request::new(url);
    request.deadline = PATIENCE;
    request.limits.body = most;
    request.limits.unpacked = most;
    request.policy = Arc::new(Guard::USER);
    request
}

fn client(network: &Network) -> Client {
    let agent = HeaderValue::from_static(concat!("tribler-rs/", env!("CARGO_PKG_VERSION")));
    Client::new(network.clone(), agent)
}

/// How long a server wants to be left alone, where it says so in seconds.
fn retry_after(headers: &HeaderMap) -> Duration {
    let text = headers.get(header::RETRY_AFTER);
    let seconds = text.and_then(|text| text.to_str().ok()?.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}
