//! What real Triblers have answered, asked again here: the same status, type and JSON, field by field. What is otherwise is
//! listed in `docs/rest.md`, each with its reason, and what is listed there has to be otherwise. Requests of what is not there yet
//! are counted there.
//!
//! The recordings have the requests in their order; `{SEED}` is a download that is complete, `{OTHER}` and `{OTHER_FILE}` one that is
//! added and has nothing, `{CORRUPT_FILE}` and `{BLOB_FILE}` files that are no torrents, `{DIR}` the folder of all.

mod compared;
mod events;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use self::compared::{compare, gathered};
use crate::asked::Era;
use crate::routes::Found;
use crate::testing::{Scene, torrent_of};
use crate::{Access, Key, Limits};

/// The page for users.
const PAGE: &str = include_str!("../../docs/rest.md");

/// The key of those requests that are about keys.
const KEY: &str = "secret";

/// A recording: statuses, types and answers, of lists the first row.
#[derive(Debug, Deserialize)]
struct Recording {
    requests: Vec<Asked>,
    /// Of a server with a key.
    with_key: Vec<Asked>,
    /// As it ended; the last of them when the end had begun.
    at_the_end: Vec<Asked>,
    /// All that was told meanwhile.
    events: Vec<Value>,
    events_type: String,
}

#[derive(Debug, Deserialize)]
struct Asked {
    method: String,
    path: String,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Value,
    status: u16,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    json: Value,
}

/// The recordings: the mark of the tables that are about each, and how many requests there are.
fn recordings() -> [(&'static str, usize, Recording); 2] {
    let read = |text| serde_json::from_str(text).unwrap();
    [
        (
            "7.5.0",
            203,
            read(include_str!("../tests/vectors/tribler_7_5_0.json")),
        ),
        (
            "2021-01",
            182,
            read(include_str!("../tests/vectors/tribler_2021_01.json")),
        ),
    ]
}

impl Asked {
    /// The request as the page names it.
    fn shown(&self) -> String {
        let body = self.body().replace('|', "/");
        let space = if body.is_empty() { "" } else { " " };
        let range = self.headers.get("Range").and_then(Value::as_str);
        let range = range.map_or_else(String::new, |range| format!(" Range: {range}"));
        let key = self.headers.get("X-Api-Key").and_then(Value::as_str);
        let key = key.map_or_else(String::new, |key| format!(" X-Api-Key: {key}"));
        format!("{} {}{space}{body}{range}{key}", self.method, self.path)
    }

    /// The body as it is sent: a text as it is, anything else as JSON.
    fn body(&self) -> String {
        if self.body.is_null() {
            return String::new();
        }
        let text = self.body.as_str();
        text.map_or_else(|| self.body.to_string(), str::to_owned)
    }
}

/// A server, and what stands for the places of requests.
struct Stage {
    scene: Scene,
    places: Vec<(&'static str, String)>,
}

impl Stage {
    async fn new() -> Self {
        let scene = Scene::start().await;
        let seed = scene.seed(&[("video.avi", 60_000)]).await;
        let dir = scene.dir.path().to_owned();
        let made = std::fs::read(dir.join("content.torrent")).unwrap();
        *scene.made().lock() = Some(made);
        let (torrent, other) = torrent_of(&dir, "other", &[("a.iso", 100)]);
        std::fs::remove_dir_all(dir.join("other")).unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = dir.join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let places = vec![
            ("{SEED}", seed),
            ("{OTHER}", other),
            ("{OTHER_FILE}", file("other.torrent", &torrent)),
            ("{CORRUPT_FILE}", file("corrupt.torrent", b"no torrent")),
            ("{BLOB_FILE}", file("channel.mdblob", b"no torrent")),
            ("{DIR}", dir.display().to_string()),
        ];
        Self { scene, places }
    }

    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (place, value) in &self.places {
            text = text.replace(place, value);
        }
        text
    }

    /// Asks, and says what is otherwise; the feature that is missing, where there is no such route yet.
    async fn replay(&self, asked: &Asked) -> Result<Vec<String>, String> {
        let body = self.filled(&asked.body());
        let headers = asked.headers.iter();
        let headers = headers.filter(|(name, _)| *name != "Origin");
        let headers = headers
            .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap_or_default()));
        let headers: String = headers.collect();
        let path = self.filled(&asked.path);
        let ask = self
            .scene
            .ask_with(&asked.method, &path, &headers, body.as_bytes());
        let reply = ask.await;
        let method = asked.method.parse().unwrap();
        let bare = path.split('?').next().unwrap_or_default();
        if let Found::Absent(feature) = self.scene.table().find(Era::Now, &method, bare) {
            assert_eq!(reply.status, 501, "{}", asked.shown());
            assert_eq!(reply.json["feature"], feature, "{}", asked.shown());
            let why = reply.json["error"].as_str().unwrap_or_default();
            assert!(why.contains(feature), "{}: {why}", asked.shown());
            return Err(feature.to_owned());
        }
        if reply.status != asked.status {
            return Ok(vec![format!(
                "{} there, {} here",
                asked.status, reply.status
            )]);
        }
        let mut differs = Vec::new();
        let kind = reply.header("content-type").map(str::to_owned);
        if asked.status < 300 && kind != asked.kind.as_ref().map(|it| it.to_lowercase()) {
            differs.push(format!("type {}", kind.unwrap_or_default()));
        }
        let mut fields = Vec::new();
        compare("", &asked.json, &reply.json, &mut fields);
        differs.extend(gathered(&fields));
        Ok(differs)
    }
}

/// What became of the requests of a recording.
#[derive(Debug, Default)]
struct Outcome {
    alike: usize,
    differs: BTreeSet<String>,
    /// By the feature that is missing.
    absent: BTreeMap<String, usize>,
}

impl Outcome {
    fn note(&mut self, asked: &Asked, replayed: Result<Vec<String>, String>) {
        match replayed {
            Ok(differs) => {
                self.alike += usize::from(differs.is_empty());
                let what = asked.shown();
                let differs = differs.iter().map(|it| format!("{what}: {it}"));
                self.differs.extend(differs);
            }
            Err(feature) => *self.absent.entry(feature).or_default() += 1,
        }
    }

    /// The counts as the page has them.
    fn counts(&self, of: usize) -> String {
        let counts = self.absent.iter();
        let counts = counts.map(|(feature, count)| format!("{feature} {count}"));
        let counts: Vec<String> = counts.collect();
        format!("{} of {of}; 501: {}", self.alike, counts.join(", "))
    }
}

/// Asks all of a recording again.
async fn outcome(recording: &Recording) -> Outcome {
    let stage = Stage::new().await;
    let mut outcome = Outcome::default();
    let (last, ending) = recording.at_the_end.split_last().unwrap();
    for asked in recording.requests.iter().chain(ending) {
        outcome.note(asked, stage.replay(asked).await);
    }
    let access = Access {
        key: Key::new(KEY),
        ..Access::default()
    };
    let locked = Stage {
        scene: Scene::with(access, Limits::default()).await,
        places: Vec::new(),
    };
    for asked in &recording.with_key {
        outcome.note(asked, locked.replay(asked).await);
    }
    stage.scene.stop();
    let (status, json) = stage.scene.refused(&last.method, &last.path).await;
    let mut differs = Vec::new();
    compare("", &last.json, &json, &mut differs);
    if status != last.status {
        differs.push(format!("{} there, {status} here", last.status));
    }
    // The path is that of the first request.
    let what = format!("then {}", last.shown());
    let differs = differs.iter().map(|it| format!("{what}: {it}"));
    outcome.differs.extend(differs);
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_of_triblers_are_answered_alike_but_for_what_the_page_for_users_lists() {
    let (mut found, mut counts) = (BTreeMap::new(), BTreeSet::new());
    for (version, count, recording) in recordings() {
        let parts = [
            &recording.requests,
            &recording.with_key,
            &recording.at_the_end,
        ];
        let all = parts.map(Vec::len).iter().sum::<usize>();
        assert_eq!(all, count, "{version}");
        let outcome = outcome(&recording).await;
        counts.insert((version.to_owned(), outcome.counts(count)));
        for what in outcome.differs {
            let of = found.entry(what).or_insert_with(BTreeSet::new);
            of.insert(version);
        }
    }
    let found = found.into_iter().map(|(what, of)| {
        let of: Vec<&str> = of.into_iter().collect();
        (what, of.join(", "))
    });
    for (mark, found) in [("asked", counts), ("replayed", found.collect())] {
        let listed = listed(mark);
        let unlisted: Vec<_> = found.difference(&listed).collect();
        let over: Vec<_> = listed.difference(&found).collect();
        assert!(
            unlisted.is_empty() && over.is_empty(),
            "docs/rest.md lacks {unlisted:#?}\nand lists {over:#?}, which are not so"
        );
    }
}

/// What a table of the page lists: what is in marks, and the cell behind it. Where there is a third, it says why.
fn listed(mark: &str) -> BTreeSet<(String, String)> {
    let (_, rest) = PAGE.split_once(&format!("<!-- {mark} -->")).unwrap();
    let (table, _) = rest.split_once("<!-- end -->").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (what, rest) = row.split_once("` | ").unwrap();
        let (of, why) = rest.split_once(" |").unwrap();
        let why = why.trim_matches([' ', '|']);
        assert!(why.is_empty() || why.len() > 10, "{what}: no reason");
        (what.to_owned(), of.to_owned())
    })
    .collect()
}
