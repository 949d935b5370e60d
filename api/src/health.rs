//! How many peers a torrent has, as its trackers and the DHT say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, Request, State};
use axum::routing::get;
use engine::{TorrentId, TorrentStatus, TrackerStatus};
use futures_util::future::join;
use protocol::id::InfoHash;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::asked::Query;
use crate::describe::About;
use crate::describe::shapes::{count, either, map, number, object, text};
use crate::downloads;
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;
use crate::turns::Turn;

pub(crate) fn routes() -> Vec<Served> {
    let [counts, failed] = said_shapes();
    let told = object(&[("health", map(either(&[counts, failed])))]);
    let begun = object(&[("checking", text())]);
    let about = About::new("How many peers a torrent has, as its trackers and the DHT say")
        .asks("timeout", number(), "Seconds that answers are waited for")
        .flag("refresh", "It always asks")
        .flag(
            "nowait",
            "Answers at once; what was heard comes as an event",
        )
        .answers(either(&[told, begun]))
        .refuses(&[400]);
    vec![route(
        "GET",
        "/metadata/torrents/{infohash}/health",
        get(check),
        about,
    )]
}

/// What is told of one who was asked: what it said, or why it did not.
pub(crate) fn said_shapes() -> [Value; 2] {
    let counts = object(&[
        ("seeders", count()),
        ("leechers", count()),
        ("infohash", text()),
    ]);
    [counts, object(&[("error", text())])]
}

/// Seconds that answers are waited for where nothing is said, and at most.
const PATIENCE: f64 = 20.0;
const MOST_PATIENCE: f64 = 300.0;

/// What is said of the DHT.
const DHT: &str = "DHT";

/// Checks a torrent: answers with what was heard, or at once where that is to come as an event.
async fn check(
    State(shared): State<Shared>,
    Path(hash): Path<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let hash = downloads::info_hash(&hash)?;
    let query = Query::of(request.uri());
    if query.flag("nowait") {
        let patience = patience(query.get("timeout"))?;
        let turn = shared.0.checks.now()?;
        tokio::spawn(tell(shared, hash, patience, turn));
        return Ok(Answer(json!({"checking": "1"})));
    }
    let health = heard(&shared, hash, query.get("timeout")).await?;
    Ok(Answer(json!({"health": health})))
}

/// Checks a torrent: what is heard within so many seconds, by who says it.
///
/// # Errors
/// 400 where the seconds are none, 503 where too many are checked.
pub(crate) async fn heard(
    shared: &Shared,
    hash: InfoHash,
    seconds: Option<&str>,
) -> Result<Map<String, Value>, Problem> {
    let patience = patience(seconds)?;
    let _turn = shared.0.checks.now()?;
    ask(shared, hash, patience).await
}

pub(crate) fn patience(said: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = said else {
        return Ok(Duration::from_secs_f64(PATIENCE));
    };
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds >= 0.0);
    let seconds = seconds.map(|seconds| seconds.min(MOST_PATIENCE));
    let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    span.ok_or_else(|| Problem::wrong(format!("Error processing timeout parameter '{text}'")))
}

/// Checks a torrent, and tells it as an event.
async fn tell(shared: Shared, hash: InfoHash, patience: Duration, turn: Turn) {
    let health = ask(&shared, hash, patience).await.unwrap_or_default();
    drop(turn);
    let most = |of: &str| {
        let counts = health.values().filter_map(|one| one.get(of)?.as_u64());
        counts.max().unwrap_or_default()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let event = json!({
        "infohash": hash.to_string(),
        "num_seeders": most("seeders"),
        "num_leechers": most("leechers"),
        "last_tracker_check": now.map_or(0, |now| now.as_secs()),
        "health": "updated",
    });
    shared.0.board.tell("channel_entity_updated", event);
}

/// What trackers and the DHT say, by who says it.
async fn ask(
    shared: &Shared,
    hash: InfoHash,
    patience: Duration,
) -> Result<Map<String, Value>, Problem> {
    let engine = shared.engine();
    let status = match engine.find(hash).await? {
        Some(id) => engine.status(id),
        None => None,
    };
    let trackers = async {
        match &status {
            Some(status) => trackers(shared, status.id, patience).await,
            None => Vec::new(),
        }
    };
    let (trackers, dht) = join(trackers, in_dht(shared, hash, status.as_deref(), patience)).await;
    let mut all = Map::new();
    for tracker in trackers {
        let said = of_tracker(&tracker, hash);
        let known = all
            .get(&tracker.url)
            .is_some_and(|it: &Value| it.get("seeders").is_some());
        // A hybrid is asked about under both of its hashes.
        if !known {
            all.insert(tracker.url, said);
        }
    }
    all.insert(DHT.to_owned(), said(hash, dht));
    Ok(all)
}

/// Has the trackers of a torrent asked, by its own way, and reads what they said of late.
async fn trackers(shared: &Shared, id: TorrentId, patience: Duration) -> Vec<TrackerStatus> {
    let engine = shared.engine();
    // Where none answers in time, what was heard before is all there is.
    let _ = timeout(patience, engine.scrape(id)).await;
    engine.tracker_list(id).await.unwrap_or_default()
}

fn of_tracker(tracker: &TrackerStatus, hash: InfoHash) -> Value {
    let counts = tracker.swarm;
    if counts.seeds.is_none() && counts.leechers.is_none() {
        let message = tracker.message.clone();
        return said(
            hash,
            Err(message.unwrap_or_else(|| "it has not answered".to_owned())),
        );
    }
    let counts = [counts.seeds, counts.leechers];
    said(
        hash,
        Ok(counts.map(|count| u64::from(count.unwrap_or_default()))),
    )
}

/// Counts in the DHT. Of what goes through circuits nothing is asked there by us, for that would tell who is interested.
async fn in_dht(
    shared: &Shared,
    hash: InfoHash,
    status: Option<&TorrentStatus>,
    patience: Duration,
) -> Result<[u64; 2], String> {
    if status.is_some_and(|status| status.hops > 0) {
        return Err("torrents that go through circuits are not counted in the DHT".to_owned());
    }
    let metainfo = match status {
        Some(status) => shared.engine().metainfo(status.id).await.ok().flatten(),
        None => None,
    };
    if metainfo.is_some_and(|metainfo| metainfo.is_private()) {
        return Err("this torrent is private: only its trackers are asked".to_owned());
    }
    let counted = timeout(patience, shared.daemon().count_in_dht(hash)).await;
    counted.unwrap_or_else(|_| Err("no node of the DHT has told in time".to_owned()))
}

fn said(hash: InfoHash, counts: Result<[u64; 2], String>) -> Value {
    match counts {
        Ok([seeders, leechers]) => {
            json!({"seeders": seeders, "leechers": leechers, "infohash": hash.to_string()})
        }
        Err(why) => json!({"error": why}),
    }
}

#[cfg(test)]
mod tests;
