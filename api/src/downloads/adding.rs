//! Downloads are added: from a file of this machine, a magnet link, an address, or bytes that come with the request.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use control::{Add, Added, Ask, Blob, Code, Origin};
use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::asked::{self, Object, Query};
use crate::describe::About;
use crate::describe::shapes::{count, either, flag, list, object, text};
use crate::problem::{Answer, Problem};
use crate::settings;
use crate::shared::Shared;

/// Bytes of a .torrent file.
const MOST: usize = 30 << 20;

/// Bytes of a body that may have one in base64.
const MOST_ENCODED: usize = MOST / 3 * 4 + asked::SMALL;

/// The type of a body that is a .torrent file.
pub(super) const TORRENT: &str = "application/x-bittorrent";

/// What [`add`] is.
pub(super) fn about() -> About {
    let said = object(&[
        ("uri?", text()),
        ("torrent?", text()),
        ("anon_hops?", count()),
        ("safe_seeding?", either(&[flag(), count()])),
        ("destination?", text()),
        ("selected_files?", list(count())),
    ]);
    About::new("Adds a download: a file of this machine, a magnet link, an address, or the bytes of a .torrent file")
        .takes(said)
        .such_as(json!({"uri": "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567"}))
        .takes_as(TORRENT, json!({"type": "string", "format": "binary"}))
        .answers(object(&[("started", flag()), ("infohash", text())]))
        .refuses(&[404, 500, 501, 502])
}

/// Adds a download.
pub(super) async fn add(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_torrent = kind
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim() == TORRENT);
    let (origin, said) = if is_torrent {
        let query = Query::of(request.uri());
        let bytes = asked::body(request, MOST).await?;
        (Origin::File(Blob(bytes.to_vec())), of_query(&query))
    } else {
        let era = asked::era(&request);
        let bytes = asked::body(request, MOST_ENCODED).await?;
        let said = asked::read(era, &bytes).map_err(|problem| {
            // No JSON and no form begins so.
            let is_torrent = matches!(bytes.get(..2), Some([b'd', b'0'..=b'9']));
            if is_torrent {
                let why =
                    "the body is a .torrent file: say so by Content-Type: application/x-bittorrent";
                return Problem::wrong(why);
            }
            problem
        })?;
        must_be_safe(&said)?;
        (origin(&shared, &said).await?, said)
    };
    let add = wish(&shared, origin, &said)?;
    let answer = shared.daemon().ask(Ask::Add(add)).await?;
    let hash = hash_of(answer)?;
    Ok(Answer(json!({"started": true, "infohash": hash})))
}

/// The info-hash of the only torrent that was added. What is there already is as it should be.
///
/// # Errors
/// Why it is not added.
pub(crate) fn hash_of(mut answer: Value) -> Result<String, Problem> {
    let added = answer.pointer_mut("/torrents/0").map(Value::take);
    let added: Added = serde_json::from_value(added.unwrap_or_default())
        .map_err(|error| Problem::failed(error.to_string()))?;
    let mut hash = added.info_hash.unwrap_or_default();
    hash.truncate(40);
    match added.error {
        Some(refusal) if refusal.code != Code::Duplicate => Err(refusal.into()),
        _ => Ok(hash),
    }
}

/// What is said in a query, as a body would say it.
fn of_query(query: &Query) -> Object {
    let mut map = Map::new();
    for name in ["anon_hops", "destination", "safe_seeding"] {
        if let Some(value) = query.get(name) {
            map.insert(name.to_owned(), value.into());
        }
    }
    if let Some(files) = query.get("selected_files") {
        let files = files.split(',').map(Value::from);
        map.insert("selected_files".to_owned(), files.collect());
    }
    Object(map)
}

/// Where the torrent comes from.
async fn origin(shared: &Shared, said: &Object) -> Result<Origin, Problem> {
    if let Some(encoded) = said.text("torrent")? {
        let bytes = BASE64.decode(encoded.as_bytes());
        let bytes = bytes.map_err(|error| Problem::wrong(format!("torrent: {error}")))?;
        return Ok(Origin::File(Blob(bytes)));
    }
    let uri = said.text("uri")?;
    let uri = uri.ok_or_else(|| Problem::wrong("uri parameter missing"))?;
    let starts = |prefix: &str| {
        let start = uri.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if starts("magnet:") {
        return Ok(Origin::Link(uri.to_owned()));
    }
    if starts("http://") || starts("https://") {
        let hops = said
            .number("anon_hops")?
            .and_then(|hops| u8::try_from(hops).ok());
        let fetched = shared.daemon().fetch(uri, hops).await;
        return Ok(of_bytes(fetched.map_err(Problem::of_fetch)?));
    }
    if starts("file:") {
        return Ok(Origin::File(Blob(read_uri(uri).await?)));
    }
    Err(Problem::wrong(INVALID))
}

/// What is said of a text that names no torrent.
pub(crate) const INVALID: &str =
    "invalid uri: it is a magnet link, or begins with http://, https:// or file:/";

/// A .torrent file, or a text with a magnet link in it: servers send either.
fn of_bytes(bytes: Vec<u8>) -> Origin {
    let text = std::str::from_utf8(&bytes).ok().map(str::trim);
    match text.filter(|text| text.starts_with("magnet:")) {
        Some(link) => Origin::Link(link.to_owned()),
        None => Origin::File(Blob(bytes)),
    }
}

/// The bytes behind a `file:` address.
pub(crate) async fn read_uri(uri: &str) -> Result<Vec<u8>, Problem> {
    let path = file_path(uri)?;
    let kind = path.extension();
    if kind.is_some_and(|kind| kind == "mdblob" || kind == "lz4") {
        return Err(Problem::not_there("channels"));
    }
    let read = tokio::task::spawn_blocking(move || read_file(&path)).await;
    read.map_err(|error| Problem::failed(error.to_string()))?
}

/// The path of a `file:` address, from the root.
fn file_path(uri: &str) -> Result<PathBuf, Problem> {
    let rest = uri.get(5..).unwrap_or_default();
    let path = match rest.strip_prefix("//") {
        // A host may stand there, and only this one.
        Some(after) if after.starts_with('/') => after,
        Some(after) => after.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    let path = percent_decode_str(path).decode_utf8().ok();
    let absolute = path.filter(|path| path.starts_with('/') && !path.starts_with("//"));
    let path = absolute.map(|path| PathBuf::from(path.into_owned()));
    path.ok_or_else(|| Problem::wrong(format!("{uri}: a file is named from the root")))
}

/// Reads a .torrent file of this machine.
fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let why = format!("{shown}: {error}");
        if error.kind() == std::io::ErrorKind::NotFound {
            return Problem::missing(why);
        }
        Problem::wrong(why)
    };
    let kind = std::fs::metadata(path).map_err(failed)?;
    if !kind.is_file() {
        return Err(Problem::wrong(format!("{shown}: this is no file")));
    }
    if kind.len() > MOST as u64 {
        let why = format!("{shown}: this has more than {MOST} bytes and is no torrent");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MOST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// Whoever downloads through circuits seeds through them.
fn must_be_safe(said: &Object) -> Result<(), Problem> {
    let hidden = said.number("anon_hops")?.is_some_and(|hops| hops > 0);
    if hidden && !said.flag("safe_seeding")?.unwrap_or_default() {
        let why = "Cannot set anonymous download without safe seeding enabled";
        return Err(Problem::wrong(why));
    }
    Ok(())
}

/// What is wanted of it.
fn wish(shared: &Shared, origin: Origin, said: &Object) -> Result<Add, Problem> {
    must_be_safe(said)?;
    let hops = said.number("anon_hops")?;
    let hops = hops.map(|hops| u8::try_from(hops).unwrap_or(u8::MAX));
    let dir = said.text("destination")?.filter(|dir| !dir.is_empty());
    let dir = dir.map(str::to_owned);
    let files = said.numbers("selected_files")?.unwrap_or_default();
    let files = files.iter().map(u64::to_string).collect::<Vec<_>>();
    let files = files.join(",");
    let (origin, files) = match origin {
        _ if files.is_empty() => (origin, Vec::new()),
        // A link says itself which files are wanted, for nobody knows yet which there are (BEP 53).
        Origin::Link(link) => (Origin::Link(format!("{link}&so={files}")), Vec::new()),
        Origin::File(_) | Origin::Url(_) => (origin, vec![files]),
    };
    Ok(Add {
        torrents: vec![origin],
        dir: dir.or_else(|| settings::content_dir(shared)),
        hops,
        files,
        ..Add::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_files_are_paths_from_the_root_on_this_machine() {
        for (uri, path) in [
            ("file:/a/b.torrent", "/a/b.torrent"),
            ("file:///a/b%20c.torrent", "/a/b c.torrent"),
            ("file://localhost/a", "/a"),
        ] {
            assert_eq!(file_path(uri), Ok(PathBuf::from(path)), "{uri}");
        }
        for uri in [
            "file:",
            "file:a",
            "file://evil.example/a",
            "file:../a",
            "file:%00%ff",
        ] {
            assert!(file_path(uri).is_err(), "{uri}");
        }
    }
}
