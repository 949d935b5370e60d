//! Files of downloads, read while they are fetched: ranges for players, and a playlist of what they can play.
//!
//! A reader has what it is about to read fetched before all else, and in memory only what fits into a few buffers: whoever reads slowly
//! slows down nothing but itself.

pub(crate) mod playlist;
pub(crate) mod range;
pub(crate) mod watching;

use std::io::{self, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use engine::{
    Category, EngineHandle, Events, FileError, FileReader, NoEvent, Priority, ReadAhead, TorrentId,
};
use futures_util::StreamExt as _;
use futures_util::stream::{iter, unfold};
use mime_guess::Mime;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::metainfo::Metainfo;
use serde_json::json;
use tokio::io::AsyncSeekExt as _;
use tokio::time::timeout;

use self::range::{Range, Span};
use self::watching::Watcher;
use crate::asked::{self, Era};
use crate::describe::About;
use crate::describe::shapes::text;
use crate::downloads::{self, is_at_work};
use crate::lanes::{self, Long};
use crate::problem::Problem;
use crate::routes::{Served, route};
use crate::shared::Shared;
use crate::spoken::Content;
use crate::turns::Turn;

/// How long it is waited for the first bytes before the head goes out.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Events that may wait for whoever waits for metadata; it is looked again where there were more.
const EVENTS: usize = 16;

pub(crate) fn routes() -> Vec<Served> {
    let bytes = || json!({"type": "string", "format": "binary"});
    let stream_about = About::new("A file of a download, or a part of it, while it is fetched")
        .answers_as(200, "*/*", bytes())
        .answers_as(206, "*/*", bytes())
        .answers_as(304, "*/*", bytes())
        .refuses(&[400, 404, 409, 412, 416, 500]);
    let playlist_about = About::new("A playlist of the files that players can play")
        .answers_as(200, playlist::KIND, text())
        .refuses(&[400, 404, 409]);
    vec![
        route(
            "GET",
            "/downloads/{infohash}/stream/{fileindex}",
            get(stream),
            stream_about,
        ),
        route(
            "GET",
            "/downloads/{infohash}/playlist.m3u8",
            get(playlist::playlist),
            playlist_about,
        ),
    ]
}

/// A file of a download, or a part of it.
async fn stream(
    State(shared): State<Shared>,
    Path((hash, index)): Path<(String, String)>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (id, hash) = downloads::find(&shared, &hash).await?;
    let metainfo = metainfo(&shared, id).await?;
    let file = index.parse().ok().and_then(|index: usize| {
        let file = metainfo.files().get(index)?;
        (!file.attr.pad).then_some((index, file))
    });
    let (index, file) = file.ok_or_else(|| Problem::missing("Selected file out of range"))?;
    let name = file.path.last().map(String::as_str).unwrap_or_default();
    let tag = format!("\"{hash}-{index}\"");
    let headers = request.headers();
    let old = asked::era(&request) == Era::V70;
    let mut answer = Head::new(name, &tag)?;
    if is_of_another(headers, &tag) {
        let why = "If-Match: this file has another tag, or it was weakened on the way";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, why));
    }
    if is_known(headers, &tag) {
        return answer.finish(StatusCode::NOT_MODIFIED, Body::empty());
    }
    let asked = headers.get(header::RANGE);
    // Of other methods than GET it is not heeded (RFC 9110, section 14.2).
    let is_get = *request.method() == Method::GET;
    let asked = asked.filter(|_| is_get && is_meant(headers, &tag));
    let (span, part) = match range::asked_for(asked, file.len) {
        Range::Whole => (Span::whole(file.len), old),
        Range::Part(span) => (span, true),
        Range::Unsatisfiable => {
            answer.set(header::CONTENT_RANGE, &format!("bytes */{}", file.len))?;
            answer.set(header::CONTENT_TYPE, "application/json")?;
            let error = r#"{"error":"Requested Range Not Satisfiable"}"#;
            return answer.finish(StatusCode::RANGE_NOT_SATISFIABLE, Body::from(error));
        }
    };
    if part {
        let content_range = if old {
            span.as_in_7_0(file.len)
        } else {
            span.content_range(file.len)
        };
        answer.set(header::CONTENT_RANGE, &content_range)?;
    }
    answer.set(header::CONTENT_LENGTH, &span.len().to_string())?;
    let status = if part {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    if *request.method() == Method::HEAD || span.len() == 0 {
        return answer.finish(status, Body::empty());
    }
    let place = shared.0.readers.now()?;
    let mut reader = open(shared.engine(), id, index, ReadAhead::default()).await?;
    let sought = reader.seek(SeekFrom::Start(span.start)).await;
    sought.map_err(|error| Problem::failed(error.to_string()))?;
    let mut reading = Reading {
        reader,
        left: span.len(),
        _place: place,
        _watching: shared.0.watchers.enter(id, index),
    };
    // What cannot be read at all is said, for there are no words once the head has gone out; what is fetched is waited for behind it.
    let first = match timeout(AT_ONCE, reading.next()).await {
        Ok(read) => read.map_err(|error| Problem::new(StatusCode::CONFLICT, error.to_string()))?,
        Err(_) => None,
    };
    let rest = unfold(reading, |mut reading| async move {
        let next = reading.next().await.transpose()?;
        Some((next, reading))
    });
    let bytes = iter(first.map(Ok)).chain(rest);
    let mut response = answer.finish(status, Body::from_stream(bytes))?;
    if span.len() > lanes::SHORT {
        response.extensions_mut().insert(Long);
    }
    Ok(response)
}

/// A part of a file that is read. It is told of as long as it is.
struct Reading {
    reader: FileReader,
    /// Bytes.
    left: u64,
    _place: Turn,
    _watching: Watcher,
}

impl Reading {
    /// What comes next; nothing at the end. Where the file fails, that is the last that comes.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let next = self.reader.next_bytes(most).await;
        let len = next.as_ref().map_or(0, Bytes::len) as u64;
        self.left = if len == 0 {
            0
        } else {
            self.left.saturating_sub(len)
        };
        Ok(Some(next?).filter(|bytes| !bytes.is_empty()))
    }
}

/// The metadata of a torrent that can be read. What is still being fetched is waited for, for a while.
async fn metainfo(shared: &Shared, id: TorrentId) -> Result<Arc<Metainfo>, Problem> {
    let engine = shared.engine();
    let events = engine.events(Category::Status.into(), EVENTS);
    let known = timeout(shared.0.patience, known(engine, id, events)).await;
    let Some(metainfo) = known.unwrap_or(Ok(None))? else {
        let why = "its files are not known yet: the metadata is still being fetched";
        return Err(Problem::new(StatusCode::CONFLICT, why));
    };
    let status = engine.status(id).ok_or_else(Problem::no_download)?;
    let whole = status.size > 0 && status.done >= status.size;
    if !is_at_work(&status.state) && !whole {
        let why = "this download stands still: resume it";
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    Ok(metainfo)
}

/// The metadata of a torrent, as soon as it is there; `None` where nobody fetches it.
async fn known(
    engine: &EngineHandle,
    id: TorrentId,
    mut events: Events,
) -> Result<Option<Arc<Metainfo>>, Problem> {
    loop {
        let known = engine.metainfo(id).await?;
        let status = engine.status(id).ok_or_else(Problem::no_download)?;
        if known.is_some() || !is_at_work(&status.state) {
            return Ok(known);
        }
        // Whichever torrent it is about, and where some were missed: it is looked again.
        if let Err(NoEvent::Closed) = events.recv().await {
            return Err(Problem::stopping());
        }
    }
}

/// A reader of a file, which is wanted from then on.
async fn open(
    engine: &EngineHandle,
    id: TorrentId,
    index: usize,
    ahead: ReadAhead,
) -> Result<FileReader, Problem> {
    match engine.reader_with(id, index, ahead).await {
        Err(FileError::NotWanted) => {
            let wanted = engine.set_file_priority(id, index, Priority::NORMAL);
            wanted.await?;
            Ok(engine.reader_with(id, index, ahead).await?)
        }
        Err(FileError::TooMany) => {
            let why = "there are too many readers of this download";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))
        }
        opened => Ok(opened?),
    }
}

/// The tags of a header, which may be there several times.
fn tags(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(name).into_iter();
    let said = lists.filter_map(|list| list.to_str().ok());
    said.flat_map(|list| list.split(',').map(str::trim))
}

/// Whether the client means another file than that with this tag (RFC 9110, section 13.1.1): a weakened tag is as good as none.
fn is_of_another(headers: &HeaderMap, tag: &str) -> bool {
    let mut said = tags(headers, header::IF_MATCH);
    headers.contains_key(header::IF_MATCH) && !said.any(|one| one == "*" || one == tag)
}

/// Whether the client has the file with this tag already (RFC 9110, section 13.1.2): somebody between may have weakened the tag.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let mut said = tags(headers, header::IF_NONE_MATCH);
    said.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// Whether a range is meant of the file with this tag, and of no other (RFC 9110, section 13.1.5).
fn is_meant(headers: &HeaderMap, tag: &str) -> bool {
    let said = headers.get(header::IF_RANGE);
    said.is_none_or(|said| said.as_bytes() == tag.as_bytes())
}

/// What a page of a file may do, where a browser is led to the file itself. What is in it is a stranger's: it runs nothing, and none but
/// the player that browsers show around sound and films may ask here, for the rest of the same file.
fn policy(kind: &Mime) -> &'static str {
    match kind.type_().as_str() {
        "audio" | "video" => "sandbox allow-same-origin",
        _ => "sandbox",
    }
}

/// The head of an answer.
pub(crate) struct Head(pub(crate) HeaderMap);

impl Head {
    /// Of a file with this name.
    pub(crate) fn new(name: &str, tag: &str) -> Result<Self, Problem> {
        let mut head = Self(HeaderMap::new());
        let kind = mime_guess::from_path(name).first_or_octet_stream();
        let shown = utf8_percent_encode(name, NON_ALPHANUMERIC);
        head.set(header::CONTENT_TYPE, kind.as_ref())?;
        head.set(header::ACCEPT_RANGES, "bytes")?;
        head.set(header::ETAG, tag)?;
        head.set(header::CACHE_CONTROL, "private, no-cache")?;
        head.set(header::CONTENT_SECURITY_POLICY, policy(&kind))?;
        let disposition = format!("inline; filename*=UTF-8''{shown}");
        head.set(header::CONTENT_DISPOSITION, &disposition)?;
        Ok(head)
    }

    fn set(&mut self, name: header::HeaderName, value: &str) -> Result<(), Problem> {
        let value = HeaderValue::from_str(value);
        let value = value.map_err(|error| Problem::failed(error.to_string()))?;
        self.0.insert(name, value);
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends functions that can fail")]
    fn finish(self, status: StatusCode, body: Body) -> Result<Response<Body>, Problem> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = self.0;
        response.extensions_mut().insert(Content);
        Ok(response)
    }
}

#[cfg(test)]
mod tests;
