//! A look into a torrent that is not added.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::get;
use control::Code;
use data_encoding::HEXLOWER;
use protocol::bencode::{self, Kind};
use protocol::id::InfoHash;
use protocol::magnet::Magnet;
use protocol::metainfo::{LoadLimits, Metainfo};
use serde_json::{Map, Value, json};

use crate::asked::{self, Era, Query};
use crate::describe::About;
use crate::describe::shapes::{count, flag, object, or_null, text};
use crate::named::{self, Named};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;
use crate::turns::Turn;

pub(crate) fn routes() -> Vec<Served> {
    let shape = object(&[("metainfo", text()), ("download_exists", or_null(flag()))]);
    let about = About::new("What is in a torrent that is named: JSON, in hex")
        .asks(
            "uri",
            text(),
            "A file of this machine, an address or a magnet link",
        )
        .asks("hops", count(), "By how many hops it is fetched, 0 to 3")
        .answers(shape)
        .refuses(&[400, 404, 408, 413, 500, 501, 502]);
    vec![route("GET", "/torrentinfo", get(look), about)]
}

/// What is known of a torrent.
async fn look(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
    let era = asked::era(&request);
    let query = Query::of(request.uri());
    let hops = match query.get("hops").map(|text| (text, text.parse::<u8>())) {
        None => None,
        Some((_, Ok(hops))) if hops <= 3 => Some(hops),
        Some((text, _)) => {
            let why = format!("wrong value of 'hops' parameter: '{text}'");
            return Err(Problem::wrong(why));
        }
    };
    let uri = query
        .get("uri")
        .ok_or_else(|| Problem::wrong("uri parameter missing"))?;
    let uri = named::decoded(uri);
    let (bytes, turn) = match Named::of(&uri)? {
        Named::File(uri) => {
            let turn = shared.0.whole.wait().await?;
            named::read_uri(uri, turn).await?
        }
        Named::Address(url) => {
            let turn = shared.0.fetched.wait().await?;
            let fetched = shared.daemon().fetch(url, hops).await;
            let fetched = fetched.map_err(Problem::of_fetch)?;
            if let Some(link) = named::link_in(&fetched) {
                // Who looks for peers holds nothing yet.
                drop(turn);
                of_link(&shared, link, hops, era).await?
            } else {
                (fetched, turn)
            }
        }
        Named::Link(link) => of_link(&shared, link, hops, era).await?,
    };
    let read = move || {
        let (hash, text) = shown(&bytes)?;
        let text = match era {
            Era::Now => HEXLOWER.encode(text.as_bytes()),
            Era::V70 => text,
        };
        // Whoever asked may be gone: its turn is not over before this is.
        Ok::<_, Problem>((hash, text, turn))
    };
    let (hash, text, _turn) = Shared::apart(read).await??;
    let known = shared.engine().find(hash).await?;
    let known = known.map(|_| true);
    Ok(Answer(json!({"metainfo": text, "download_exists": known})))
}

/// The torrent of a link: that of a download which has its metadata, or what peers say. What is a download is looked for by no fewer
/// hops than that goes.
async fn of_link(
    shared: &Shared,
    link: &str,
    hops: Option<u8>,
    era: Era,
) -> Result<(Vec<u8>, Turn), Problem> {
    let magnet = Magnet::parse(link).map_err(|error| Problem::wrong(error.to_string()))?;
    let hashes = magnet
        .hashes
        .ok_or_else(|| Problem::wrong("missing infohash"))?;
    let engine = shared.engine();
    let known = engine.find(hashes.wire()).await?;
    let metainfo = match known {
        Some(id) => engine.metainfo(id).await?,
        None => None,
    };
    let metainfo = if let Some(metainfo) = metainfo {
        metainfo
    } else {
        let of_download = known.and_then(|id| engine.status(id));
        let of_download = of_download.map(|status| status.hops);
        let found = shared.daemon().metadata(magnet, hops.max(of_download));
        found.await.map_err(|refusal| match (era, refusal.code) {
            (Era::V70, Code::Failed) => Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout"),
            _ => Problem::of_fetch(refusal),
        })?
    };
    let turn = shared.0.whole.wait().await?;
    let bytes = metainfo.to_bytes();
    let bytes = bytes.map_err(|error| Problem::failed(error.to_string()))?;
    Ok((bytes, turn))
}

/// The info-hash of a torrent, and the text that it looks like.
pub(crate) fn shown(bytes: &[u8]) -> Result<(InfoHash, String), Problem> {
    let limits = LoadLimits::default();
    let refused = |why: String| Problem::wrong(format!("error while decoding torrent file: {why}"));
    let metainfo = Metainfo::from_bytes(bytes, &limits).map_err(|it| refused(it.to_string()))?;
    let tree = bencode::decode(bytes, &limits.bencode).map_err(|it| refused(it.to_string()))?;
    Ok((metainfo.hashes().wire(), value(tree, false).to_string()))
}

/// A value as JSON; what is no text is in hex. The nesting has a bound, which it was read with.
fn value(of: bencode::Value<'_>, hex: bool) -> Value {
    match of.kind() {
        Kind::Int => of.as_int().map_or(Value::Null, Value::from),
        Kind::List => {
            let list = of.as_list().into_iter().flat_map(bencode::List::iter);
            list.map(|one| value(one, false)).collect()
        }
        Kind::Dict => {
            let pairs = of.as_dict().into_iter().flat_map(bencode::Dict::iter);
            let pairs =
                pairs.map(|(key, one)| (readable(key, false), value(one, key == b"pieces")));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Kind::Bytes => readable(of.as_bytes().unwrap_or_default(), hex).into(),
    }
}

fn readable(bytes: &[u8], hex: bool) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !hex => text.to_owned(),
        _ => HEXLOWER.encode(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, torrent_of};

    #[tokio::test(flavor = "multi_thread")]
    async fn links_are_those_of_downloads_or_looked_up_by_the_way_that_is_said() {
        let scene = Scene::start().await;
        let hash = scene.seed(&[("b", 100)]).await;
        let path = format!("/torrentinfo?uri=magnet:%3fxt=urn:btih:{hash}");
        let reply = scene.ask("GET", &path, b"").await;
        assert_eq!(
            (reply.status, &reply.json["download_exists"]),
            (200, &json!(true))
        );
        let (made, hash) = torrent_of(scene.dir.path(), "y", &[("c", 100)]);
        *scene.made().lock() = Some(made);
        let path = format!("/torrentinfo?uri=magnet:%3fxt=urn:btih:{hash}");
        let reply = scene.ask("GET", &path, b"").await;
        assert_eq!(
            (reply.status, &reply.json["download_exists"]),
            (200, &Value::Null)
        );
        let old = scene.ask("GET", &format!("/v7.0{path}"), b"").await;
        let text = old.json["metainfo"].as_str().unwrap();
        let shown: Value = serde_json::from_str(text).unwrap();
        assert_eq!((old.status, &shown["info"]["name"]), (200, &json!("y")));
        // The circuits of these tests find nothing.
        let path = format!("{path}&hops=3");
        let none = scene.ask("GET", &path, b"").await;
        assert_eq!(
            (none.status, none.json),
            (502, json!({"error": "metainfo error: Some(3)"}))
        );
        let old = scene.ask("GET", &format!("/v7.0{path}"), b"").await;
        assert_eq!((old.status, old.json), (408, json!({"error": "timeout"})));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_torrent_is_shown_as_text_in_hex_and_what_is_none_is_refused() {
        let scene = Scene::start().await;
        let (torrent, _) = torrent_of(scene.dir.path(), "x", &[("a", 20_000)]);
        let file = scene.dir.path().join("x.torrent");
        std::fs::write(&file, torrent).unwrap();
        let path = format!("/torrentinfo?uri=file:{}", file.display());
        let reply = scene.ask("GET", &path, b"").await;
        assert_eq!(
            (reply.status, &reply.json["download_exists"]),
            (200, &Value::Null)
        );
        let text = HEXLOWER
            .decode(reply.json["metainfo"].as_str().unwrap().as_bytes())
            .unwrap();
        let shown: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(shown["info"]["name"], "x");
        assert_eq!(
            shown["info"]["files"],
            json!([{"length": 20_000, "path": ["a"]}])
        );
        assert_eq!(shown["info"]["pieces"].as_str().unwrap().len(), 80);
        let long = scene.dir.path().join("long");
        std::fs::File::create(&long)
            .unwrap()
            .set_len(named::MOST as u64 + 1)
            .unwrap();
        let bad = scene.dir.path().join("bad");
        std::fs::write(&bad, b"d4:info").unwrap();
        for (query, status, why) in [
            (String::new(), 400, "uri parameter missing"),
            ("?torrent=x".to_owned(), 400, "uri parameter missing"),
            ("?uri=bad".to_owned(), 400, "invalid uri"),
            (
                "?uri=magnet:&hops=x".to_owned(),
                400,
                "wrong value of 'hops' parameter: 'x'",
            ),
            ("?uri=magnet:%3fxt=urn:btih:xx".to_owned(), 400, ""),
            (
                format!("?uri=magnet:%3fxt=urn:btih:{}", "ab".repeat(20)),
                502,
                "metainfo error: None",
            ),
            ("?uri=file:/nofile".to_owned(), 404, "/nofile: No such file"),
            ("?uri=file:/x.mdblob".to_owned(), 501, "no channels"),
            (
                format!("?uri=file:{}", long.display()),
                413,
                "more than 31457280 bytes",
            ),
            (
                format!("?uri=file:{}", bad.display()),
                400,
                "error while decoding torrent file",
            ),
            (
                "?uri=http://127.0.0.1:1/x".to_owned(),
                400,
                "http://127.0.0.1:1/x",
            ),
        ] {
            let reply = scene.ask("GET", &format!("/torrentinfo{query}"), b"").await;
            assert_eq!(reply.status, status, "{query}");
            let error = reply.json["error"].as_str().unwrap();
            assert!(error.contains(why), "{query}: {error}");
        }
    }
}
