//! A look into a torrent that is not added.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::routing::get;
use data_encoding::HEXLOWER;
use protocol::bencode::{self, Kind};
use protocol::magnet::Magnet;
use protocol::metainfo::{LoadLimits, Metainfo};
use serde_json::{Map, Value, json};

use crate::asked::Query;
use crate::describe::About;
use crate::describe::shapes::{count, flag, object, or_null, text};
use crate::downloads;
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;

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
        .refuses(&[400, 404, 500, 501, 502]);
    vec![route("GET", "/torrentinfo", get(look), about)]
}

/// What is known of a torrent.
async fn look(State(shared): State<Shared>, request: Request) -> Result<Answer, Problem> {
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
    let starts = |prefix: &str| {
        let start = uri.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let bytes = if starts("file:") {
        downloads::read_uri(uri).await?
    } else if starts("http://") || starts("https://") {
        let fetched = shared.daemon().fetch(uri, hops).await;
        fetched.map_err(Problem::of_fetch)?
    } else if starts("magnet:") {
        of_link(&shared, uri).await?
    } else {
        return Err(Problem::wrong("invalid uri"));
    };
    let shown = tokio::task::spawn_blocking(move || shown(&bytes)).await;
    let (metainfo, text) = shown.map_err(|error| Problem::failed(error.to_string()))??;
    let known = shared.engine().find(metainfo.hashes().wire()).await?;
    Ok(Answer(json!({
        "metainfo": HEXLOWER.encode(text.as_bytes()),
        "download_exists": known.map(|_| true),
    })))
}

/// The torrent of a link, where it is among the downloads and has its metadata.
async fn of_link(shared: &Shared, link: &str) -> Result<Vec<u8>, Problem> {
    let magnet = Magnet::parse(link).map_err(|error| Problem::wrong(error.to_string()))?;
    let hashes = magnet
        .hashes
        .ok_or_else(|| Problem::wrong("missing infohash"))?;
    let engine = shared.engine();
    let metainfo = match engine.find(hashes.wire()).await? {
        Some(id) => engine.metainfo(id).await?,
        None => None,
    };
    // Nobody is asked for it: whoever wants it adds the link, with no files wanted.
    let metainfo =
        metainfo.ok_or_else(|| Problem::not_there("metadata of links that are no downloads"))?;
    let bytes = metainfo.to_bytes();
    bytes.map_err(|error| Problem::failed(error.to_string()))
}

/// A torrent, and the text that it looks like.
fn shown(bytes: &[u8]) -> Result<(Arc<Metainfo>, String), Problem> {
    let limits = LoadLimits::default();
    let refused = |why: String| Problem::wrong(format!("error while decoding torrent file: {why}"));
    let metainfo = Metainfo::from_bytes(bytes, &limits).map_err(|it| refused(it.to_string()))?;
    let tree = bencode::decode(bytes, &limits.bencode).map_err(|it| refused(it.to_string()))?;
    Ok((Arc::new(metainfo), value(tree, false).to_string()))
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
        let hash = scene.seed(&[("b", 100)]).await;
        let path = format!("/torrentinfo?uri=magnet:%3fxt=urn:btih:{hash}");
        let reply = scene.ask("GET", &path, b"").await;
        assert_eq!(
            (reply.status, &reply.json["download_exists"]),
            (200, &json!(true))
        );
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
                501,
                "metadata of links",
            ),
            ("?uri=file:/nofile".to_owned(), 404, "/nofile: No such file"),
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
