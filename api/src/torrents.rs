//! Torrents in the words of the older version: downloads, and what the DHT knows of others.

use axum::extract::{Path, Request, State};
use axum::routing::get;
use engine::TorrentId;
use serde_json::{Map, Value, json};

use crate::asked::Query;
use crate::describe::About;
use crate::describe::shapes::{count, either, list, map, number, object, text};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, old};
use crate::shared::Shared;
use crate::{downloads, health};

pub(crate) fn routes() -> Vec<Served> {
    let [counts, failed] = health::said_shapes();
    let healths = object(&[("health", map(either(&[list(counts), failed])))]);
    let file = object(&[("path", text()), ("size", count())]);
    let torrent = object(&[
        ("id", count()),
        ("infohash", text()),
        ("name", text()),
        ("size", count()),
        ("category", text()),
        ("num_seeders", count()),
        ("num_leechers", count()),
        ("last_tracker_check", count()),
        ("files", list(file)),
        ("trackers", list(text())),
    ]);
    let trackers = object(&[("trackers", list(text()))]);
    vec![
        old(
            "GET",
            "/torrents/{infohash}",
            get(shown),
            About::new("A download as a torrent")
                .answers(torrent)
                .refuses(&[400, 404, 500]),
        ),
        old(
            "GET",
            "/torrents/{infohash}/trackers",
            get(trackers_of),
            About::new("The trackers of a download")
                .answers(trackers)
                .refuses(&[400, 404, 500]),
        ),
        old(
            "GET",
            "/torrents/{infohash}/health",
            get(health_of),
            About::new("How many peers a torrent has, as its trackers and the DHT say")
                .asks("timeout", number(), "Seconds that answers are waited for")
                .flag("refresh", "It always asks")
                .answers(healths)
                .refuses(&[400, 404, 500]),
        ),
    ]
}

/// The download of a hash.
async fn find(shared: &Shared, hash: &str, none: &str) -> Result<TorrentId, Problem> {
    let hash = downloads::info_hash(hash)?;
    let found = shared.engine().find(hash).await?;
    found.ok_or_else(|| Problem::missing(none))
}

async fn shown(State(shared): State<Shared>, Path(hash): Path<String>) -> Result<Answer, Problem> {
    let none = "Unknown torrent";
    let id = find(&shared, &hash, none).await?;
    let engine = shared.engine();
    let status = engine.status(id).ok_or_else(|| Problem::missing(none))?;
    let metainfo = engine.metainfo(id).await?;
    let files = metainfo.iter().flat_map(|metainfo| metainfo.files());
    let files = files.filter(|file| !file.attr.pad);
    let files = files.map(|file| json!({"path": file.path.join("/"), "size": file.len}));
    let name = if status.name.is_empty() {
        "Unnamed torrent"
    } else {
        &status.name
    };
    let category = status.labels.as_ref().and_then(|it| it.category.as_deref());
    Ok(Answer(json!({
        "id": id.number(),
        "infohash": status.hashes.wire().to_string(),
        "name": name,
        "size": status.size,
        "category": category.unwrap_or("unknown"),
        "num_seeders": status.swarm.seeds.unwrap_or_default(),
        "num_leechers": status.swarm.leechers.unwrap_or_default(),
        // When a tracker was asked last is told of each by itself, and not in times of day.
        "last_tracker_check": 0,
        "files": files.collect::<Vec<_>>(),
        "trackers": engine.trackers(id).await?.concat(),
    })))
}

async fn trackers_of(
    State(shared): State<Shared>,
    Path(hash): Path<String>,
) -> Result<Answer, Problem> {
    let id = find(&shared, &hash, "torrent not found in database").await?;
    let trackers = shared.engine().trackers(id).await?;
    Ok(Answer(json!({"trackers": trackers.concat()})))
}

/// As of the newer version, but with a list for each that has told; a torrent that is no download and that nobody knows is not there.
async fn health_of(
    State(shared): State<Shared>,
    Path(hash): Path<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let hash = downloads::info_hash(&hash)?;
    let query = Query::of(request.uri());
    let health = health::heard(&shared, hash, query.get("timeout")).await?;
    let known = shared.engine().find(hash).await?.is_some();
    if !known && !health.values().any(|said| said.get("seeders").is_some()) {
        return Err(Problem::missing("torrent not found in database"));
    }
    let health = health.into_iter().map(|(who, said)| {
        let told = said.get("error").is_none();
        (who, if told { json!([said]) } else { said })
    });
    Ok(Answer(
        json!({"health": health.collect::<Map<String, Value>>()}),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scene;

    /// A hash of which the DHT of these tests knows 7 seeds and 3 others.
    const COUNTED: &str = "7777777777777777777777777777777777777777";

    #[tokio::test(flavor = "multi_thread")]
    async fn downloads_are_torrents_and_others_are_known_by_the_dht_alone() {
        let scene = Scene::start().await;
        let hash = scene.seed(&[("a", 100), ("b", 7)]).await;
        let ask = async |path: String| {
            scene
                .ask("GET", &format!("/v7.0/torrents/{path}"), b"")
                .await
        };
        let torrent = ask(hash.clone()).await;
        assert_eq!(torrent.status, 200);
        let mut torrent = torrent.json;
        assert!(torrent["id"].take().is_u64());
        let due = json!({
            "id": null, "infohash": hash, "name": "content", "size": 107, "category": "unknown", "num_seeders": 0,
            "num_leechers": 0, "last_tracker_check": 0, "trackers": [],
            "files": [{"path": "content/a", "size": 100}, {"path": "content/b", "size": 7}],
        });
        assert_eq!(torrent, due);
        let link = format!("magnet:?xt=urn:btih:{COUNTED}&tr=http://127.0.0.1:1/announce");
        let health = ask(format!("{COUNTED}/health?timeout=5")).await;
        let due = json!({"health": {"DHT": [{"seeders": 7, "leechers": 3, "infohash": COUNTED}]}});
        assert_eq!((health.status, health.json), (200, due));
        let body = json!({"uri": link}).to_string();
        scene.ask("PUT", "/downloads", body.as_bytes()).await;
        let trackers = ask(format!("{COUNTED}/trackers")).await;
        let due = json!({"trackers": ["http://127.0.0.1:1/announce"]});
        assert_eq!((trackers.status, trackers.json), (200, due));
        let health = ask(format!("{COUNTED}/health?timeout=0.5")).await.json;
        let tracker = &health["health"]["http://127.0.0.1:1/announce"];
        assert!(tracker["error"].is_string(), "{health}");
        let none = "ab".repeat(20);
        for (path, status, why) in [
            (none.clone(), 404, "Unknown torrent"),
            (
                format!("{none}/trackers"),
                404,
                "torrent not found in database",
            ),
            (
                format!("{none}/health"),
                404,
                "torrent not found in database",
            ),
            (
                format!("{none}/health?timeout=x"),
                400,
                "Error processing timeout parameter 'x'",
            ),
        ] {
            let reply = ask(path.clone()).await;
            assert_eq!(
                (reply.status, reply.json),
                (status, json!({"error": why})),
                "{path}"
            );
        }
        assert_eq!(ask("zz/health".to_owned()).await.status, 400);
    }
}
