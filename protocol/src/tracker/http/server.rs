//! Queries as a server reads them. Replies are written by [`super::encode_announce`] and its sisters.
//!
//! The query is taken raw: `+` is a plus sign, a `%` without two hexadecimal digits behind it stands for itself,
//! elements without `=` are skipped, and of a repeated name the first value counts.

use percent_encoding::percent_decode;

use crate::id::{InfoHash, PeerId};
use crate::tracker::{Announce, AnnounceEvent, MAX_SCRAPE};

use super::reply::PeerForm;

/// An announce as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceQuery {
    /// What the client tells; `left` is `None` where it is unknown or absent.
    pub announce: Announce,
    /// `compact`, where it was given.
    pub compact: Option<bool>,
    /// `no_peer_id=1`.
    pub no_peer_id: bool,
}

/// Why a query is refused. The text is meant for the `failure reason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is no query at all.
    #[error(
        "Cannot parse query params for {request} request: missing query params for {request} request"
    )]
    Empty {
        /// `announce` or `scrape`.
        request: &'static str,
    },
    /// A value is not what the parameter takes.
    #[error(
        "Cannot parse query params for {request} request: invalid param value {value} for {name}"
    )]
    Invalid {
        /// `announce` or `scrape`.
        request: &'static str,
        /// The parameter.
        name: &'static str,
        /// The value, cut to 64 characters.
        value: String,
    },
    /// A parameter is missing.
    #[error("Cannot parse query params for {request} request: missing param {name}")]
    Missing {
        /// `announce` or `scrape`.
        request: &'static str,
        /// The parameter.
        name: &'static str,
    },
    /// A number is too large.
    #[error(
        "Cannot parse query params for {request} request: param value overflow {value} for {name}"
    )]
    Overflow {
        /// `announce` or `scrape`.
        request: &'static str,
        /// The parameter.
        name: &'static str,
        /// The value, cut to 64 characters.
        value: String,
    },
}

impl AnnounceQuery {
    /// The form of peers that the client gets; without `compact`, dictionaries.
    pub const fn form(&self) -> PeerForm {
        match (self.compact, self.no_peer_id) {
            (Some(true), _) => PeerForm::Compact,
            (_, true) => PeerForm::DictNoPeerId,
            (_, false) => PeerForm::Dict,
        }
    }
}

/// Reads the query of an announce: what stands after the `?`.
///
/// # Errors
/// [`QueryError`] of the first problem.
pub fn parse_announce_query(query: Option<&str>) -> Result<AnnounceQuery, QueryError> {
    let params = Params::new(query, "announce")?;
    let info_hash = params.twenty("info_hash").map(InfoHash)?;
    let peer_id = params.twenty("peer_id").map(PeerId)?;
    let port = params.required("port")?;
    let port = match port.parse::<u16>() {
        Ok(port) if port != 0 => port,
        _ => return Err(params.invalid("port", port)),
    };
    let downloaded = params.number("downloaded")?.unwrap_or(0);
    let uploaded = params.number("uploaded")?.unwrap_or(0);
    let left = match params.optional("left") {
        Some("-1") => None,
        _ => params.number("left")?,
    };
    let event = match params.optional("event") {
        None => AnnounceEvent::None,
        Some("completed") => AnnounceEvent::Completed,
        Some("paused") => AnnounceEvent::Paused,
        Some("started") => AnnounceEvent::Started,
        Some("stopped") => AnnounceEvent::Stopped,
        Some(other) => return Err(params.invalid("event", other)),
    };
    let compact = match params.optional("compact") {
        None => None,
        Some("0") => Some(false),
        Some("1") => Some(true),
        Some(other) => return Err(params.invalid("compact", other)),
    };
    let num_want = match params.optional("numwant") {
        None | Some("-1") => None,
        Some(text) => Some(
            text.parse::<u32>()
                .map_err(|_| params.invalid("numwant", text))?,
        ),
    };
    let announce = Announce {
        uploaded,
        downloaded,
        left,
        event,
        num_want,
        key: params
            .optional("key")
            .and_then(|key| u32::from_str_radix(key, 16).ok())
            .unwrap_or(0),
        tracker_id: params
            .optional("trackerid")
            .map(|id| percent_decode(id.as_bytes()).collect()),
        ..Announce::new(info_hash, peer_id, port)
    };
    Ok(AnnounceQuery {
        announce,
        compact,
        no_peer_id: params.optional("no_peer_id") == Some("1"),
    })
}

/// Reads the query of a scrape: its info-hashes in order, the first [`MAX_SCRAPE`] of them.
///
/// # Errors
/// [`QueryError`] of the first problem.
pub fn parse_scrape_query(query: Option<&str>) -> Result<Vec<InfoHash>, QueryError> {
    let params = Params::new(query, "scrape")?;
    let hashes = params
        .all("info_hash")
        .take(MAX_SCRAPE)
        .map(|value| params.as_twenty("info_hash", value).map(InfoHash))
        .collect::<Result<Vec<_>, _>>()?;
    if hashes.is_empty() {
        return Err(params.missing("info_hash"));
    }
    Ok(hashes)
}

/// Names of parameters of an announce.
const NAMES: [&str; 12] = [
    "info_hash",
    "peer_id",
    "port",
    "downloaded",
    "uploaded",
    "left",
    "event",
    "compact",
    "numwant",
    "no_peer_id",
    "key",
    "trackerid",
];

/// The parameters of a query: of each name the first value.
struct Params<'a> {
    query: &'a str,
    request: &'static str,
    first: [Option<&'a str>; NAMES.len()],
}

impl<'a> Params<'a> {
    fn new(query: Option<&'a str>, request: &'static str) -> Result<Self, QueryError> {
        let query = query.unwrap_or_default().trim();
        let query = query.strip_prefix('?').unwrap_or(query);
        if query.is_empty() {
            return Err(QueryError::Empty { request });
        }
        let mut first = [None; NAMES.len()];
        for (name, value) in elements(query) {
            let known = NAMES
                .iter()
                .zip(&mut first)
                .find(|(known, _)| **known == name);
            if let Some((_, slot)) = known
                && slot.is_none()
            {
                *slot = Some(value);
            }
        }
        Ok(Self {
            query,
            request,
            first,
        })
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        let same = elements(self.query).filter(move |(key, _)| *key == name);
        same.map(|(_, value)| value)
    }

    fn first(&self, name: &'static str) -> Option<&'a str> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.first.get(at).copied().flatten()
    }

    /// The first value, unless it is empty.
    fn optional(&self, name: &'static str) -> Option<&'a str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<&'a str, QueryError> {
        self.first(name).ok_or_else(|| self.missing(name))
    }

    fn twenty(&self, name: &'static str) -> Result<[u8; 20], QueryError> {
        self.as_twenty(name, self.required(name)?)
    }

    fn as_twenty(&self, name: &'static str, value: &str) -> Result<[u8; 20], QueryError> {
        let mut twenty = [0; 20];
        let mut bytes = percent_decode(value.as_bytes());
        for byte in &mut twenty {
            *byte = bytes.next().ok_or_else(|| self.invalid(name, value))?;
        }
        if bytes.next().is_some() {
            return Err(self.invalid(name, value));
        }
        Ok(twenty)
    }

    /// A number up to 2^63 - 1.
    fn number(&self, name: &'static str) -> Result<Option<u64>, QueryError> {
        let Some(text) = self.optional(name) else {
            return Ok(None);
        };
        if !text.bytes().all(|c| c.is_ascii_digit()) {
            return Err(self.invalid(name, text));
        }
        match text.parse::<i64>() {
            Ok(number) => Ok(Some(number.unsigned_abs())),
            Err(_) => Err(QueryError::Overflow {
                request: self.request,
                name,
                value: cut(text),
            }),
        }
    }

    fn missing(&self, name: &'static str) -> QueryError {
        QueryError::Missing {
            request: self.request,
            name,
        }
    }

    fn invalid(&self, name: &'static str, value: &str) -> QueryError {
        QueryError::Invalid {
            request: self.request,
            name,
            value: cut(value),
        }
    }
}

/// The elements of a query that have a name and a value.
fn elements(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let elements = query.split('&');
    elements.filter_map(|element| element.split_once('='))
}

fn cut(value: &str) -> String {
    value.chars().take(64).collect()
}
