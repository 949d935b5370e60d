//! URLs that a client asks.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::id::InfoHash;
use crate::tracker::{Announce, AnnounceEvent, UNKNOWN_LEFT};

/// Everything but the unreserved characters of RFC 3986 is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a tracker cannot be asked over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The URL is neither `http:` nor `https:`, or has no host.
    #[error("not an HTTP URL")]
    NotHttp,
    /// The last part of the path does not begin with `announce`, so that there is no scrape (BEP 48).
    #[error("this tracker has no scrape")]
    NoScrape,
}

/// The URL of an announce: the tracker's own path and query (passkeys among them) stay as they are.
///
/// # Errors
/// [`UrlError::NotHttp`].
pub fn announce_url(tracker: &str, announce: &Announce) -> Result<String, UrlError> {
    let mut url = start(tracker)?;
    let mut query = Query::new(&mut url);
    query.bytes("info_hash", &announce.info_hash.0);
    query.bytes("peer_id", announce.peer_id.as_bytes());
    query.number("port", announce.port);
    query.number("uploaded", announce.uploaded);
    query.number("downloaded", announce.downloaded);
    query.number("left", announce.left.unwrap_or(UNKNOWN_LEFT));
    query.text("key", &format!("{:08X}", announce.key));
    if let Some(event) = event_name(announce.event) {
        query.text("event", event);
    }
    if let Some(num_want) = announce.num_want {
        query.number("numwant", num_want);
    }
    query.text("compact", "1");
    query.text("no_peer_id", "1");
    if let Some(ip) = announce.ip {
        query.bytes("ip", ip.to_string().as_bytes());
    }
    if let Some(ip) = announce.ipv4 {
        query.bytes("ipv4", ip.to_string().as_bytes());
    }
    if let Some(ip) = announce.ipv6 {
        query.bytes("ipv6", ip.to_string().as_bytes());
    }
    if let Some(id) = &announce.tracker_id {
        query.bytes("trackerid", id);
    }
    Ok(url)
}

/// The URL of a scrape: `announce` at the start of the path's last part becomes `scrape` (BEP 48).
///
/// # Errors
/// [`UrlError`].
pub fn scrape_url(tracker: &str, torrents: &[InfoHash]) -> Result<String, UrlError> {
    let announce = start(tracker)?;
    let path_end = announce.find('?').unwrap_or(announce.len());
    let (path, query) = announce.split_at(path_end);
    let (head, last) = path.rsplit_once('/').ok_or(UrlError::NoScrape)?;
    let rest = last.strip_prefix("announce").ok_or(UrlError::NoScrape)?;
    let mut url = format!("{head}/scrape{rest}{query}");
    let mut query = Query::new(&mut url);
    for torrent in torrents {
        query.bytes("info_hash", &torrent.0);
    }
    Ok(url)
}

/// The name of an event in a query, if it has one.
pub(super) const fn event_name(event: AnnounceEvent) -> Option<&'static str> {
    match event {
        AnnounceEvent::None => None,
        AnnounceEvent::Completed => Some("completed"),
        AnnounceEvent::Paused => Some("paused"),
        AnnounceEvent::Started => Some("started"),
        AnnounceEvent::Stopped => Some("stopped"),
    }
}

/// The tracker's URL without its fragment, and with a path.
fn start(tracker: &str) -> Result<String, UrlError> {
    let url = tracker.trim();
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::NotHttp)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(UrlError::NotHttp);
    }
    let host_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(host_end);
    if host.is_empty() || url.chars().any(char::is_control) {
        return Err(UrlError::NotHttp);
    }
    if path.starts_with('/') {
        Ok(url.to_owned())
    } else {
        Ok(format!("{scheme}://{host}/{path}"))
    }
}

struct Query<'a> {
    url: &'a mut String,
    separator: char,
}

impl<'a> Query<'a> {
    fn new(url: &'a mut String) -> Self {
        let separator = if url.contains('?') { '&' } else { '?' };
        Self { url, separator }
    }

    fn text(&mut self, key: &str, value: &str) {
        // An announce URL may end in `?` or `&` already.
        if !self.url.ends_with(['?', '&']) {
            self.url.push(self.separator);
        }
        self.separator = '&';
        // Writing to a string cannot fail.
        let _ = write!(self.url, "{key}={value}");
    }

    fn bytes(&mut self, key: &str, value: &[u8]) {
        self.text(key, &percent_encode(value, ESCAPED).to_string());
    }

    fn number(&mut self, key: &str, value: impl Into<u64>) {
        self.text(key, &value.into().to_string());
    }
}
