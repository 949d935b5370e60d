//! Web seeds: which URLs have the bytes of a torrent, and what their servers answer.
//!
//! A server of BEP 19 ("GetRight") has the files of a torrent as they are, and is asked for ranges of them. One of BEP 17
//! ("Hoffman") is a script that knows pieces. Either way a span of the torrent comes apart into [`Part`]s, each of which
//! one request can bring. Padding (BEP 47) lies on no server, and no part has any of it.

mod reply;

use std::fmt::Write as _;
use std::ops::Range;

use crate::id::InfoHash;
use crate::metainfo::Metainfo;

pub use reply::{ContentRange, RangeError};

/// Longest URL that is taken, in bytes: the 8000 octets that servers have to understand at least (RFC 9110, 4.1).
pub const MAX_URL: usize = 8000;

/// How a web seed is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// For ranges of files (BEP 19).
    GetRight,
    /// For ranges of pieces (BEP 17).
    Hoffman,
}

/// A web seed of a torrent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebSeed {
    /// How it is asked.
    pub kind: Kind,
    /// Scheme, host and path.
    base: String,
    /// What stands behind the first `?`.
    query: Option<String>,
}

/// Bytes that one request can bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first byte, counted from the start of the torrent.
    pub at: u64,
    /// Number of bytes, not 0.
    pub len: u64,
    /// Where they lie: the number of the file, or of the piece for [`Kind::Hoffman`].
    pub item: u32,
    /// The first byte, counted from the start of that.
    pub from: u64,
    /// Bytes of the whole file or piece.
    pub whole: u64,
}

impl WebSeed {
    /// The web seed at a URL; `None` where that is not `http` or `https`, has no host, or is too long.
    pub fn new(kind: Kind, url: &str) -> Option<Self> {
        let url = url.split('#').next().unwrap_or_default().trim();
        let (scheme, rest) = url.split_once("://")?;
        let known = ["http", "https"];
        let usable = known.iter().any(|name| scheme.eq_ignore_ascii_case(name))
            && !rest.is_empty()
            && !rest.starts_with(['/', '?'])
            && url.len() <= MAX_URL
            && !url.chars().any(char::is_control);
        if !usable {
            return None;
        }
        let (base, query) = match url.split_once('?') {
            Some((base, query)) => (base, Some(query.to_owned())),
            None => (url, None),
        };
        Some(Self {
            kind,
            base: base.to_owned(),
            query,
        })
    }

    /// The URL as the torrent names it, without a fragment.
    pub fn url(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.base),
            None => self.base.clone(),
        }
    }

    /// The URL for people: without user, password and query, which may be secrets.
    pub fn shown(&self) -> String {
        match self.base.split_once("://") {
            Some((scheme, rest)) => {
                let path = rest.find('/').unwrap_or(rest.len());
                let (host, path) = rest.split_at(path);
                let host = host.rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}{path}")
            }
            None => self.base.clone(),
        }
    }

    /// Takes a span of the torrent's bytes apart, in order and without its padding; what lies beyond the torrent is left
    /// out. Costs a search among the files, and the files that lie in the span.
    pub fn parts(&self, torrent: &Metainfo, span: Range<u64>) -> Vec<Part> {
        let mut parts = Vec::new();
        let files = torrent.files();
        let first =
            files.partition_point(|file| file.offset.saturating_add(file.len) <= span.start);
        for (number, file) in (0_u32..).zip(files).skip(first) {
            if file.offset >= span.end {
                break;
            }
            let begin = span.start.max(file.offset);
            let end = span.end.min(file.offset.saturating_add(file.len));
            if file.attr.pad || begin >= end {
                continue;
            }
            match self.kind {
                Kind::GetRight => parts.push(Part {
                    at: begin,
                    len: end.saturating_sub(begin),
                    item: number,
                    from: begin.saturating_sub(file.offset),
                    whole: file.len,
                }),
                Kind::Hoffman => pieces(torrent, begin..end, &mut parts),
            }
        }
        parts
    }

    /// The URL that a part is at; for [`Kind::Hoffman`] it names the range too, for [`Kind::GetRight`] the request has to.
    pub fn url_of(&self, torrent: &Metainfo, part: &Part) -> String {
        match self.kind {
            Kind::GetRight => self.url_of_file(torrent, part),
            Kind::Hoffman => self.url_of_piece(torrent.hashes().wire(), part),
        }
    }

    /// BEP 19: a URL that ends with a slash is that of a folder, in which the torrent lies under its name; one of a torrent
    /// with several files always is.
    fn url_of_file(&self, torrent: &Metainfo, part: &Part) -> String {
        let mut url = self.base.clone();
        let folder = !torrent.is_single_file();
        // The path begins behind the host.
        let host_only = url
            .split_once("://")
            .is_some_and(|(_, rest)| !rest.contains('/'));
        if folder && !url.ends_with('/') || host_only {
            url.push('/');
        }
        if url.ends_with('/')
            && let Some(file) = torrent.files().get(part.item as usize)
        {
            for (at, element) in file.path.iter().enumerate() {
                if at > 0 {
                    url.push('/');
                }
                escape(element.as_bytes(), &mut url);
            }
        }
        if let Some(query) = &self.query {
            url.push('?');
            url.push_str(query);
        }
        url
    }

    /// BEP 17: the piece by its number, and the range of it where that is not all.
    fn url_of_piece(&self, torrent: InfoHash, part: &Part) -> String {
        let mut url = self.base.clone();
        url.push('?');
        if let Some(query) = self.query.as_deref().filter(|query| !query.is_empty()) {
            url.push_str(query);
            url.push('&');
        }
        url.push_str("info_hash=");
        escape(torrent.as_bytes(), &mut url);
        let _ = write!(url, "&piece={}", part.item);
        if part.len < part.whole {
            let last = part.from.saturating_add(part.len).saturating_sub(1);
            let _ = write!(url, "&ranges={}-{last}", part.from);
        }
        url
    }
}

/// Takes bytes apart by pieces.
fn pieces(torrent: &Metainfo, span: Range<u64>, parts: &mut Vec<Part>) {
    let geometry = torrent.geometry();
    let mut at = span.start;
    while at < span.end
        && let Some(piece) = geometry.piece_at(at)
    {
        let begin = geometry.offset_of(piece);
        let whole = u64::from(geometry.len_of(piece));
        let end = span.end.min(begin.saturating_add(whole));
        parts.push(Part {
            at,
            len: end.saturating_sub(at),
            item: piece.get(),
            from: at.saturating_sub(begin),
            whole,
        });
        at = end;
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn escape(bytes: &[u8], url: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            url.push(char::from(*byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests;
