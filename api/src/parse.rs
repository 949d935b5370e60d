//! What is read of requests, by itself and without a daemon behind it: for fuzz targets, and for nobody else. Refusals are statuses here.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};
use axum::response::IntoResponse as _;
use protocol::id::InfoHash;
use protocol::metainfo::Metainfo;
use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::watch;

use crate::asked::{self, Era, Object, Query};
use crate::downloads::{self, adding};
use crate::problem::Problem;
use crate::routes::{self, Found, Table};
use crate::settings::plan::Plan;
use crate::settings::proxy::{self, Part, Way};
use crate::settings::tree::Key;
use crate::spoken::{Content, Mixed, Spoken};
use crate::stream::range::{self, Range};
use crate::stream::{Head, playlist};
use crate::{Access, Daemon, Limits, bind, serve};
use crate::{health, looking, making, named};

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

/// The status of a refusal.
fn status(problem: Problem) -> u16 {
    problem.into_response().status().as_u16()
}

const fn era(old: bool) -> Era {
    if old { Era::V70 } else { Era::Now }
}

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Asked {
    /// A head of these parts; `None` where no HTTP comes to it.
    pub fn new(method: &[u8], uri: &[u8], lines: &[(&str, &[u8])]) -> Option<Self> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some(Self {
            method: Method::from_bytes(method).ok()?,
            uri: Uri::try_from(uri).ok()?,
            headers,
        })
    }

    /// Whether it is let in.
    pub fn admit(&self, access: &Access) -> Result<(), u16> {
        let checked = access.check(&self.method, &self.uri, &self.headers);
        checked.map_err(status)
    }

    /// The query, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        Query::of(&self.uri).0
    }

    /// A flag and a number of the query.
    pub fn asks(&self, name: &str) -> (bool, Result<Option<u64>, u16>) {
        let query = Query::of(&self.uri);
        (query.flag(name), query.number(name).map_err(status))
    }

    /// What stands behind the path: the status of a refusal, or the path by which the router finds who answers.
    pub fn route(&self) -> Result<String, u16> {
        let uri = routes::with_normal_path(&self.uri).map_err(status)?;
        let (era, path) = routes::era(uri.path());
        match TABLE.find(era, &self.method, path) {
            Found::Served(of) => Ok(routes::whole(of, path)),
            Found::Absent(feature) => Err(status(Problem::not_there(feature))),
            Found::Method(allowed) => Err(status(Problem::no_method(allowed))),
            Found::Nothing => Err(status(Problem::no_path())),
        }
    }

    /// What a query says of a torrent that comes as a body.
    pub fn wish(&self) -> Result<Option<u8>, u16> {
        let wish = adding::Wish::of(&adding::of_query(&Query::of(&self.uri)));
        wish.map(|wish| wish.hops).map_err(status)
    }
}

/// A body as an object, in the older version or today.
pub fn object(old: bool, body: &[u8]) -> Result<Map<String, Value>, u16> {
    asked::read(era(old), body)
        .map(|object| object.0)
        .map_err(status)
}

/// A field of an object, read as each of what it can be.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is what its name says")]
pub struct Field {
    pub text: Result<Option<String>, u16>,
    pub flag: Result<Option<bool>, u16>,
    pub number: Result<Option<u64>, u16>,
    pub numbers: Result<Option<Vec<u64>>, u16>,
}

/// Reads a field of an object.
pub fn field(object: &Map<String, Value>, name: &str) -> Field {
    let object = Object(object.clone());
    let text = object.text(name);
    Field {
        text: text.map(|text| text.map(str::to_owned)).map_err(status),
        flag: object.flag(name).map_err(status),
        number: object.number(name).map_err(status),
        numbers: object.numbers(name).map_err(status),
    }
}

/// A torrent that is to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its bytes, or what names it.
    pub from: Result<Vec<u8>, String>,
    /// Its hops.
    pub hops: Option<u8>,
}

/// What a body says of a torrent that is to be added.
pub fn add(old: bool, body: &[u8]) -> Result<Added, u16> {
    let said = adding::said(era(old), body).map_err(status)?;
    let from = match said.origin {
        adding::Whence::Bytes(bytes) => Ok(bytes),
        adding::Whence::Named(text) => Err(text),
    };
    let hops = said.wish.hops;
    Ok(Added { from, hops })
}

/// Where a body has a torrent written that is made, and its trackers.
pub fn make(body: &[u8]) -> Result<(Option<PathBuf>, Vec<Vec<String>>), u16> {
    let said = asked::read(Era::Now, body).map_err(status)?;
    let place = making::place(&said).map_err(status)?;
    Ok((place, making::tiers(&said).map_err(status)?))
}

/// What a change of settings comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// Settings of ours that are set.
    pub set: BTreeMap<String, Value>,
    /// Those that are reset.
    pub reset: Vec<String>,
    /// What is kept.
    pub kept: Map<String, Value>,
    /// Keys without effect.
    pub idle: Vec<String>,
}

/// What a body of settings comes to, where all are as they are by default, with this proxy.
pub fn settings(body: &[u8], proxy: Option<&str>) -> Result<Changed, u16> {
    let said = asked::read(Era::Now, body).map_err(status)?;
    let plan = Plan::of(&said, proxy, Key::default).map_err(status)?;
    Ok(Changed {
        set: plan.change.set,
        reset: plan.change.reset,
        kept: plan.remember,
        idle: plan.idle,
    })
}

/// The three keys of an address of a proxy, as they are shown, and the address that they lead to.
pub fn proxy(url: &str) -> ([Value; 3], Result<String, String>) {
    let shown = [Part::Kind, Part::Server, Part::Login].map(|part| proxy::shown(Some(url), part));
    (shown, Way::of(Some(url)).url())
}

/// What a `Range` asks for of a file of so many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// All of it.
    Whole,
    /// From one byte to the one behind the last, and how that is told.
    Part(u64, u64, String),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Reads a `Range`.
pub fn range(said: &[u8], len: u64) -> Option<Span> {
    let said = HeaderValue::from_bytes(said).ok()?;
    Some(match range::asked_for(Some(&said), len) {
        Range::Whole => Span::Whole,
        Range::Part(span) => Span::Part(span.start, span.end, span.content_range(len)),
        Range::Unsatisfiable => Span::Unsatisfiable,
    })
}

/// The first 20 bytes of an info-hash.
pub fn info_hash(text: &str) -> Result<InfoHash, u16> {
    downloads::info_hash(text).map_err(status)
}

/// A key of the overlay's DHT, or the name of a peer or a swarm.
pub fn twenty_bytes(text: &str) -> Option<[u8; 20]> {
    asked::twenty_bytes(text)
}

/// The path of a `file:` address.
pub fn file_path(uri: &str) -> Result<PathBuf, u16> {
    named::file_path(uri).map_err(status)
}

/// The seconds of a timeout.
pub fn seconds(text: &str) -> Result<f64, u16> {
    let patience = health::patience(Some(text));
    patience.map(|it| it.as_secs_f64()).map_err(status)
}

/// A torrent as JSON, and its info-hash.
pub fn torrent(bytes: &[u8]) -> Result<(InfoHash, String), u16> {
    looking::shown(bytes).map_err(status)
}

/// The playlist of a torrent.
pub fn playlist(metainfo: &Metainfo, key: Option<&str>) -> String {
    playlist::text(metainfo, key)
}

/// The head of an answer with a file of this name.
pub fn file_head(name: &str) -> Result<Vec<(String, String)>, u16> {
    let head = Head::new(name, "\"tag\"").map_err(status)?.0;
    let lines = head.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    Ok(lines.collect())
}

/// Serves a daemon at a port of this machine until the process ends. Says where.
pub async fn server(daemon: Arc<dyn Daemon>, access: Access) -> io::Result<SocketAddr> {
    let bound = bind((Ipv4Addr::LOCALHOST, 0).into(), 0).await?;
    let at = bound.at;
    let (never, stopping) = watch::channel(false);
    tokio::spawn(async move {
        let long = tokio::runtime::Handle::current();
        serve(bound, daemon, access, Limits::default(), (long, stopping)).await;
        drop(never);
    });
    Ok(at)
}

/// What comes at the other end of a connection of what is written to it, in these pieces; `is_content` says that a download was read.
pub async fn spoken(pieces: &[&[u8]], is_content: bool) -> Vec<u8> {
    let (near, mut far) = duplex(1 << 16);
    let mixed = Mixed::default();
    if is_content {
        let mut answer = Response::new(());
        answer.extensions_mut().insert(Content);
        mixed.note(&answer);
    }
    let mut near = Spoken::new(near, mixed);
    let write = async {
        for piece in pieces {
            near.write_all(piece).await?;
        }
        near.shutdown().await
    };
    let mut told = Vec::new();
    let (written, read) = tokio::join!(write, far.read_to_end(&mut told));
    if let Err(error) = written.and(read) {
        tracing::debug!(%error, "a connection in memory");
    }
    told
}

#[cfg(test)]
mod tests;
