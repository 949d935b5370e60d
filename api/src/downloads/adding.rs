//! Downloads are added: from a file of this machine, a magnet link, an address, or bytes that come with the request.

use axum::extract::{Request, State};
use axum::http::header;
use control::{Add, Added, Ask, Blob, Code, Origin};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use crate::asked::{self, Era, Object, Query};
use crate::describe::About;
use crate::describe::shapes::{count, either, flag, list, object, text};
use crate::named::{self, MOST, Named};
use crate::problem::{Answer, Problem};
use crate::settings;
use crate::shared::Shared;
use crate::turns::Turn;

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
        .refuses(&[404, 500, 501, 502, 507])
}

/// Adds a download.
pub(super) async fn add(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_torrent = kind
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(TORRENT));
    let (origin, wish, _turn) = if is_torrent {
        let wish = Wish::of(&of_query(&Query::of(request.uri())))?;
        let (bytes, turn) = asked::long(request, MOST, &shared).await?;
        (Origin::File(Blob(bytes.to_vec())), wish, turn)
    } else {
        let era = asked::era(&request);
        let (bytes, turn) = asked::long(request, MOST_ENCODED, &shared).await?;
        let said = if bytes.len() > asked::SMALL {
            Shared::apart(move || said(era, &bytes)).await??
        } else {
            said(era, &bytes)?
        };
        let (origin, turn) = origin(&shared, said.origin, said.wish.hops, turn).await?;
        (origin, said.wish, turn)
    };
    let add = wish.add(&shared, origin);
    let answer = shared.daemon().ask(Ask::Add(add)).await?;
    let hash = hash_of(answer)?;
    Ok(Answer(json!({"started": true, "infohash": hash})))
}

/// What a body says.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) origin: Whence,
    pub(crate) wish: Wish,
}

/// Where a torrent comes from.
#[derive(Debug, PartialEq)]
pub(crate) enum Whence {
    /// It is there.
    Bytes(Vec<u8>),
    /// A text names it.
    Named(String),
}

/// Reads a body that is no .torrent file.
pub(crate) fn said(era: Era, bytes: &[u8]) -> Result<Said, Problem> {
    let said = asked::read(era, bytes).map_err(|problem| {
        // No JSON and no form begins so.
        let is_torrent = matches!(bytes.get(..2), Some([b'd', b'0'..=b'9']));
        if is_torrent {
            let why =
                "the body is a .torrent file: say so by Content-Type: application/x-bittorrent";
            return Problem::wrong(why);
        }
        problem
    })?;
    let wish = Wish::of(&said)?;
    let origin = if let Some(encoded) = said.text("torrent")? {
        let bytes = BASE64.decode(encoded.as_bytes());
        Whence::Bytes(bytes.map_err(|error| Problem::wrong(format!("torrent: {error}")))?)
    } else {
        let uri = said.text("uri")?.filter(|uri| !uri.is_empty());
        let uri = uri.ok_or_else(|| Problem::wrong("uri parameter missing"))?;
        Whence::Named(named::decoded(uri).into_owned())
    };
    Ok(Said { origin, wish })
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
pub(crate) fn of_query(query: &Query) -> Object {
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

/// The torrent, or its link. What is fetched or read has a turn.
async fn origin(
    shared: &Shared,
    from: Whence,
    hops: Option<u8>,
    turn: Option<Turn>,
) -> Result<(Origin, Option<Turn>), Problem> {
    let uri = match from {
        Whence::Bytes(bytes) => return Ok((Origin::File(Blob(bytes)), turn)),
        Whence::Named(uri) => uri,
    };
    let (bytes, turn) = match Named::of(&uri)? {
        Named::Link(_) => return Ok((Origin::Link(uri), turn)),
        Named::Address(url) => {
            let turn = shared.0.fetched.wait().await?;
            let fetched = shared.daemon().fetch(url, hops).await;
            (fetched.map_err(Problem::of_fetch)?, turn)
        }
        Named::File(uri) => {
            let turn = match turn {
                Some(turn) => turn,
                None => shared.0.whole.wait().await?,
            };
            named::read_uri(uri, turn).await?
        }
    };
    let link = named::link_in(&bytes).map(str::to_owned);
    let origin = link.map_or_else(|| Origin::File(Blob(bytes)), Origin::Link);
    Ok((origin, Some(turn)))
}

/// The number of hops that a download is to have, where one is said.
///
/// # Errors
/// 400 where there are none of so many.
pub(super) fn hops(said: &Object) -> Result<Option<u8>, Problem> {
    let hops = said.number("anon_hops")?;
    let checked = hops.map(|hops| {
        let hops = u8::try_from(hops).ok().filter(|hops| *hops <= 3);
        hops.ok_or_else(|| Problem::wrong("anon_hops is 0 to 3"))
    });
    checked.transpose()
}

/// What is wanted of a download.
#[derive(Debug, PartialEq)]
pub(crate) struct Wish {
    pub(crate) hops: Option<u8>,
    dir: Option<String>,
    files: Vec<u64>,
}

impl Wish {
    /// Reads what is wanted.
    ///
    /// # Errors
    /// 400 where something cannot be.
    pub(crate) fn of(said: &Object) -> Result<Self, Problem> {
        let hops = hops(said)?;
        let is_safe = said.flag("safe_seeding")?.unwrap_or_default();
        // Whoever downloads through circuits seeds through them.
        if hops.is_some_and(|hops| hops > 0) && !is_safe {
            let why = "Cannot set anonymous download without safe seeding enabled";
            return Err(Problem::wrong(why));
        }
        let dir = said.text("destination")?.filter(|dir| !dir.is_empty());
        Ok(Self {
            hops,
            dir: dir.map(str::to_owned),
            files: said.numbers("selected_files")?.unwrap_or_default(),
        })
    }

    /// What the daemon is asked for.
    fn add(self, shared: &Shared, origin: Origin) -> Add {
        let files = self.files.iter().map(u64::to_string).collect::<Vec<_>>();
        let files = files.join(",");
        let (origin, files) = match origin {
            _ if files.is_empty() => (origin, Vec::new()),
            // A link says itself which files are wanted, for nobody knows yet which there are (BEP 53).
            Origin::Link(link) => (Origin::Link(format!("{link}&so={files}")), Vec::new()),
            Origin::File(_) | Origin::Url(_) => (origin, vec![files]),
        };
        Add {
            torrents: vec![origin],
            dir: self.dir.or_else(|| settings::content_dir(shared)),
            hops: self.hops,
            files,
            ..Add::default()
        }
    }
}
