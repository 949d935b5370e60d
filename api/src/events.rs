//! What happens, as a stream: Server-Sent Events, or lines of JSON in the older version.
//!
//! Events come from the numbered list that the daemon keeps for everyone who follows, so that a client that does not read has only
//! its place in it, and one that has nothing to hear costs nothing.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, header};
use axum::routing::get;
use bytes::Bytes;
use engine::TorrentStatus;
use futures_util::stream;
use serde_json::{Map, Value, json};
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use crate::asked::{self, Era};
use crate::daemon::{Follow, News};
use crate::describe::About;
use crate::describe::shapes::text;
use crate::problem::Problem;
use crate::routes::{Served, route};
use crate::shared::{Shared, ends};
use crate::turns::Turn;

pub(crate) fn routes() -> Vec<Served> {
    let about = About::new("What happens, as it happens: Server-Sent Events. This page shows them once they end, `curl -N` at once").answers_as(
        200,
        "text/event-stream",
        text(),
    );
    vec![route("GET", "/events", get(events), about)]
}

/// Words of the daemon's events that are told, in either version.
const WORDS: &[&str] = &[
    "circuit_closed",
    "error",
    "finished",
    "low_space",
    "state_saved",
    "stopping",
    "watch_failed",
];

/// How long nothing may be said to a client: what is said then tells whether it is still there, for somebody who has left without a word
/// cannot always be seen.
const QUIET: Duration = Duration::from_secs(300);

/// Events of the API itself that may wait for a client.
const WAITING: usize = 256;

/// What the API itself has to tell those who listen, beside the events of the daemon. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Board(broadcast::Sender<(&'static str, Value)>);

impl Default for Board {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Board {
    pub(crate) fn tell(&self, kind: &'static str, event: Value) {
        // There may be nobody who listens.
        let _ = self.0.send((kind, event));
    }
}

/// What is said when the end has begun.
const LAST_WORDS: &str = "Checkpointing Downloads...";

async fn events(State(shared): State<Shared>, request: Request) -> Result<Response<Body>, Problem> {
    let place = shared.0.followers.now()?;
    let era = asked::era(&request);
    let mut listener = Listener::new(shared, era, place);
    listener.ended = *request.method() == Method::HEAD;
    let told = stream::unfold(listener, |mut listener| async move {
        let next = listener.next().await?;
        Some((Ok::<_, std::convert::Infallible>(next), listener))
    });
    let mut response = Response::new(Body::from_stream(told));
    let kind = match era {
        Era::Now => "text/event-stream",
        Era::V70 => "application/x-ndjson",
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let no_cache = HeaderValue::from_static("no-cache");
    headers.insert(header::CACHE_CONTROL, no_cache);
    Ok(response)
}

/// A client that listens.
struct Listener {
    era: Era,
    follow: Box<dyn Follow>,
    own: broadcast::Receiver<(&'static str, Value)>,
    stopping: watch::Receiver<bool>,
    waiting: VecDeque<Bytes>,
    ended: bool,
    shared: Shared,
    _place: Turn,
}

impl Listener {
    fn new(shared: Shared, era: Era, place: Turn) -> Self {
        Self {
            era,
            follow: shared.daemon().follow(),
            own: shared.0.board.0.subscribe(),
            stopping: shared.0.stopping.clone(),
            waiting: VecDeque::from([begin(era)]),
            ended: false,
            shared,
            _place: place,
        }
    }

    /// What is sent next; nothing when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(next) = self.waiting.pop_front() {
                return Some(next);
            }
            if self.ended {
                return None;
            }
            let news = tokio::select! {
                biased;
                news = self.follow.next(WORDS) => news,
                own = self.own.recv() => {
                    self.waiting.extend(own_line(self.era, own));
                    continue;
                }
                () = ends(&mut self.stopping) => News::Told("stopping", Map::new()),
                // The older version has no words that mean nothing.
                () = sleep(QUIET), if self.era == Era::Now => {
                    return Some(Bytes::from_static(b": \n\n"));
                }
            };
            if let News::Told("stopping", _) = news {
                self.ended = true;
            }
            let line = line(&self.shared, self.era, news).await;
            self.waiting.extend(line);
        }
    }
}

/// What is sent for an event, where it is told in this version.
async fn line(shared: &Shared, era: Era, news: News) -> Option<Bytes> {
    let (word, told) = match news {
        News::Told(word, told) => (word, told),
        News::Missed(count) if era == Era::Now => {
            return Some(format!(": {count} events were missed\n\n").into());
        }
        News::Missed(_) => return None,
    };
    let mut name = String::new();
    if word == "finished" {
        // What is there already, when it is opened or checked, finishes no download.
        if told.get("fetched").and_then(Value::as_bool) != Some(true) {
            return None;
        }
        if let Some(hash) = told.get("info_hash").and_then(Value::as_str)
            && let Some(status) = status_of(shared, hash).await
        {
            name.clone_from(&status.name);
        }
    }
    // Of room it is looked how much there is, for which the disk is waited for.
    let (kind, event) = Shared::apart(move || event(era, word, &told, &name))
        .await
        .ok()??;
    Some(framed(era, kind, &event))
}

/// What is sent for an event of the API itself. The older version has none of them.
fn own_line(
    era: Era,
    own: Result<(&'static str, Value), broadcast::error::RecvError>,
) -> Option<Bytes> {
    match (era, own) {
        (Era::Now, Ok((kind, event))) => Some(framed(era, kind, &event)),
        (Era::Now, Err(broadcast::error::RecvError::Lagged(count))) => {
            Some(format!(": {count} events were missed\n\n").into())
        }
        // Whoever tells lives as long as whoever listens.
        (Era::Now, Err(broadcast::error::RecvError::Closed)) | (Era::V70, _) => None,
    }
}

/// How the torrent stands that an event is about, where it is still there.
async fn status_of(shared: &Shared, hash: &str) -> Option<Arc<TorrentStatus>> {
    let hash = hash.get(..40)?.parse().ok()?;
    let engine = shared.engine();
    let id = engine.find(hash).await.ok()??;
    engine.status(id)
}

/// The first word of a stream.
fn begin(era: Era) -> Bytes {
    let version = env!("CARGO_PKG_VERSION");
    let event = json!({"tribler_started": true, "version": version});
    framed(era, "events_start", &event)
}

/// One event as it goes out.
fn framed(era: Era, kind: &str, event: &Value) -> Bytes {
    let mut line = json!({"type": kind, "event": event});
    if let (Era::Now, "tribler_exception", Value::Object(line)) = (era, kind, &mut line) {
        // Front ends look for what would be reported of it, and whether its user is to be asked. Nothing ever is.
        line.insert("sentry_event".to_owned(), json!({}));
        line.insert(
            "error_reporting_requires_user_consent".to_owned(),
            true.into(),
        );
    }
    match era {
        Era::Now => format!("data: {line}\n\n").into(),
        Era::V70 => format!("{line}\n").into(),
    }
}

/// What an event of the daemon is called there, and what is told of it; `name` is that of its torrent.
fn event(
    era: Era,
    word: &str,
    told: &Map<String, Value>,
    name: &str,
) -> Option<(&'static str, Value)> {
    let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default();
    let old = era == Era::V70;
    let hash = text("info_hash");
    let hash = hash.get(..40).unwrap_or(hash);
    match word {
        "finished" if old => Some(("torrent_finished", json!({"infohash": hash, "name": name}))),
        "finished" => Some((
            "torrent_finished",
            json!({"infohash": hash, "name": name, "hidden": false}),
        )),
        "error" if old => Some((
            "torrent_error",
            json!({"infohash": hash, "error": text("error")}),
        )),
        "circuit_closed" if !old => {
            let field = |name: &str| told.get(name).cloned().unwrap_or_default();
            let gone = json!({
                "circuit_id": field("circuit"),
                "bytes_up": field("sent"),
                "bytes_down": field("received"),
                "uptime": field("seconds"),
                "additional_info": field("reason"),
            });
            Some(("tunnel_remove", gone))
        }
        "low_space" => {
            let kind = if old { "signal_low_space" } else { "low_space" };
            Some((kind, space(Path::new(text("dir")), told.get("free"))))
        }
        "state_saved" => {
            let why = told.get("error").and_then(Value::as_str)?;
            let why = format!("the state cannot be saved: {why}");
            Some(("tribler_exception", json!({"text": why})))
        }
        "watch_failed" => {
            let kind = if old {
                "watch_folder_corrupt_torrent"
            } else {
                "watch_folder_corrupt_file"
            };
            Some((kind, json!({"name": text("file")})))
        }
        "stopping" => {
            let kind = if old {
                "shutdown"
            } else {
                "tribler_shutdown_state"
            };
            Some((kind, LAST_WORDS.into()))
        }
        _ => None,
    }
}

/// The room of the disk that a folder is on.
fn space(dir: &Path, free: Option<&Value>) -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = since.map_or(0.0, |since| since.as_secs_f64());
    let free = free.and_then(Value::as_u64).unwrap_or_default();
    let total = rustix::fs::statvfs(dir).map_or(free, |stat| stat.f_blocks * stat.f_frsize);
    let used = total.saturating_sub(free);
    let percent = used as f64 * 100.0 / total.max(1) as f64;
    let percent = (percent * 10.0).round() / 10.0;
    json!({"time": time, "total": total, "used": used, "free": free, "percent": percent})
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    fn told(fields: Value) -> Map<String, Value> {
        let Value::Object(map) = fields else {
            panic!("no object: {fields}");
        };
        map
    }

    #[test]
    fn events_have_the_names_and_fields_of_both_versions() {
        let hash = "ab".repeat(20);
        let finished = told(json!({"event": "finished", "info_hash": hash, "seconds": 1.5}));
        assert_eq!(
            event(Era::Now, "finished", &finished, "film"),
            Some((
                "torrent_finished",
                json!({"infohash": hash, "name": "film", "hidden": false})
            ))
        );
        assert_eq!(
            event(Era::V70, "finished", &finished, "film"),
            Some((
                "torrent_finished",
                json!({"infohash": hash, "name": "film"})
            ))
        );
        let failed = told(json!({"info_hash": hash, "error": "no room"}));
        assert_eq!(event(Era::Now, "error", &failed, ""), None);
        assert_eq!(
            event(Era::V70, "error", &failed, ""),
            Some((
                "torrent_error",
                json!({"infohash": hash, "error": "no room"})
            ))
        );
        let low = told(json!({"dir": "/", "free": 7}));
        let (kind, space) = event(Era::Now, "low_space", &low, "").unwrap();
        assert_eq!((kind, &space["free"]), ("low_space", &json!(7)));
        let (total, used) = (space["total"].as_u64(), space["used"].as_u64());
        assert_eq!(used.map(|used| used + 7), total);
        assert!(space["percent"].is_f64() && space["time"].is_f64());
        assert_eq!(
            event(Era::V70, "low_space", &low, "").unwrap().0,
            "signal_low_space"
        );
        let gone = told(json!({
            "circuit": 7, "purpose": "data", "hops": 2, "reason": "it is not needed any more",
            "seconds": 1.5, "sent": 10, "received": 20,
        }));
        let due = json!({
            "circuit_id": 7, "bytes_up": 10, "bytes_down": 20, "uptime": 1.5,
            "additional_info": "it is not needed any more",
        });
        let now = event(Era::Now, "circuit_closed", &gone, "");
        assert_eq!(now, Some(("tunnel_remove", due)));
        assert_eq!(event(Era::V70, "circuit_closed", &gone, ""), None);
        let saved = told(json!({"error": null}));
        assert_eq!(event(Era::Now, "state_saved", &saved, ""), None);
        assert_eq!(
            event(Era::Now, "stopping", &Map::new(), ""),
            Some(("tribler_shutdown_state", LAST_WORDS.into()))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_hears_nothing_for_long_is_told_that_there_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (stopping, shared) = crate::testing::shared(dir.path());
        let place = || shared.0.followers.now().unwrap();
        let mut listener = Listener::new(shared.clone(), Era::Now, place());
        assert_eq!(listener.next().await, Some(begin(Era::Now)));
        for _ in 0..2 {
            let begun = Instant::now();
            assert_eq!(listener.next().await.as_deref(), Some(&b": \n\n"[..]));
            assert_eq!(begun.elapsed(), QUIET);
        }
        let mut old = Listener::new(shared.clone(), Era::V70, place());
        assert_eq!(old.next().await, Some(begin(Era::V70)));
        assert!(timeout(10 * QUIET, old.next()).await.is_err());
        stopping.send_replace(true);
        let last = old.next().await.unwrap();
        assert!(last.ends_with(b"\n") && !last.starts_with(b":"));
    }

    #[test]
    fn lines_are_framed_as_each_version_has_them() {
        let event = json!({"text": "a\nb"});
        let now = framed(Era::Now, "x", &event);
        assert_eq!(
            &now[..],
            b"data: {\"event\":{\"text\":\"a\\nb\"},\"type\":\"x\"}\n\n"
        );
        let old = framed(Era::V70, "x", &event);
        assert_eq!(
            &old[..],
            b"{\"event\":{\"text\":\"a\\nb\"},\"type\":\"x\"}\n"
        );
    }
}
