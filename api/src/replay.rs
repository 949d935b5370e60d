//! What a real Tribler 7.5.0 has answered, asked again here: the same status, type and JSON, field by field. What is otherwise is
//! listed in `docs/rest.md`, each with its reason, and what is listed there has to be otherwise.
//!
//! The recording has the requests in their order; `{SEED}` is a download that is complete, `{OTHER}` and `{OTHER_FILE}` one that is
//! added and has nothing, `{CORRUPT_FILE}` a file that is no torrent, `{DIR}` the folder of both.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::testing::{Scene, torrent_of};

/// The recording: statuses, types and answers, of lists the first row.
const RECORDED: &str = include_str!("../tests/vectors/replay.json");

/// Fields of one object that are told one by one where they are missing.
const MANY: usize = 5;

/// The page for users.
const PAGE: &str = include_str!("../../docs/rest.md");

#[derive(Debug, Deserialize)]
struct Asked {
    method: String,
    path: String,
    headers: Map<String, Value>,
    body: Value,
    status: u16,
    #[serde(rename = "type")]
    kind: Option<String>,
    json: Value,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_tribler_is_answered_alike_but_for_what_the_page_for_users_lists() {
    let scene = Scene::start().await;
    let seed = scene.seed(&[("video.avi", 60_000)]).await;
    let made = std::fs::read(scene.dir.path().join("content.torrent")).unwrap();
    *scene.made().lock() = Some(made);
    let (torrent, other) = torrent_of(scene.dir.path(), "other", &[("a.iso", 100)]);
    std::fs::remove_dir_all(scene.dir.path().join("other")).unwrap();
    let file = scene.dir.path().join("other.torrent");
    std::fs::write(&file, torrent).unwrap();
    let corrupt = scene.dir.path().join("corrupt.torrent");
    std::fs::write(&corrupt, b"no torrent").unwrap();
    let places = [
        ("{SEED}", seed),
        ("{OTHER}", other),
        ("{OTHER_FILE}", file.display().to_string()),
        ("{CORRUPT_FILE}", corrupt.display().to_string()),
        ("{DIR}", scene.dir.path().display().to_string()),
    ];
    let filled = |text: &str| {
        let mut text = text.to_owned();
        for (place, value) in &places {
            text = text.replace(place, value);
        }
        text
    };
    let recorded: Vec<Asked> = serde_json::from_str(RECORDED).unwrap();
    assert!(recorded.len() > 50);
    let mut found = BTreeSet::new();
    for asked in recorded {
        // A text is sent as it is, anything else as JSON.
        let body = filled(&as_text(&asked.body));
        let headers = asked.headers.iter();
        let headers = headers.filter(|(name, _)| *name != "Origin");
        let headers = headers
            .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap_or_default()));
        let headers: String = headers.collect();
        let path = filled(&asked.path);
        let reply = scene
            .ask_with(&asked.method, &path, &headers, body.as_bytes())
            .await;
        let range = asked.headers.get("Range").and_then(Value::as_str);
        let what = shown(&asked, range);
        if reply.status != asked.status {
            found.insert(format!(
                "{what}: {} there, {} here",
                asked.status, reply.status
            ));
            continue;
        }
        let kind = reply.header("content-type").map(str::to_owned);
        if asked.status < 300 && kind != asked.kind.map(|it| it.to_lowercase()) {
            found.insert(format!("{what}: type {}", kind.unwrap_or_default()));
        }
        let mut differs = Vec::new();
        compare("", &asked.json, &reply.json, &mut differs);
        found.extend(gathered(&differs).iter().map(|it| format!("{what}: {it}")));
    }
    let listed: BTreeSet<String> = listed();
    let unlisted: Vec<_> = found.difference(&listed).collect();
    let over: Vec<_> = listed.difference(&found).collect();
    assert!(
        unlisted.is_empty() && over.is_empty(),
        "docs/rest.md lacks {unlisted:#?}\nand lists {over:#?}, which are alike"
    );
}

/// Many differences of one object are one.
fn gathered(differs: &[String]) -> Vec<String> {
    let object = |difference: &String| {
        let (field, _) = difference.rsplit_once(" is missing")?;
        Some(field.rsplit_once('.')?.0.to_owned())
    };
    let mut of_object: BTreeMap<Option<String>, Vec<&String>> = BTreeMap::new();
    for difference in differs {
        let object = object(difference);
        of_object.entry(object).or_default().push(difference);
    }
    let told = of_object
        .into_iter()
        .flat_map(|(object, all)| match object {
            Some(object) if all.len() > MANY => {
                vec![format!("{} fields of {object} are missing", all.len())]
            }
            _ => all.into_iter().cloned().collect(),
        });
    told.collect()
}

/// A request as the page names it.
fn shown(asked: &Asked, range: Option<&str>) -> String {
    let body = as_text(&asked.body);
    let space = if body.is_empty() { "" } else { " " };
    let range = range.map_or_else(String::new, |range| format!(" Range: {range}"));
    format!("{} {}{space}{body}{range}", asked.method, asked.path)
}

/// A body as it is sent.
fn as_text(body: &Value) -> String {
    if body.is_null() {
        return String::new();
    }
    body.as_str()
        .map_or_else(|| body.to_string(), str::to_owned)
}

/// What the page lists.
fn listed() -> BTreeSet<String> {
    let (_, rest) = PAGE.split_once("<!-- replayed -->").unwrap();
    let (table, _) = rest.split_once("<!-- end -->").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (what, why) = row.split_once("` |").unwrap();
        assert!(why.trim_matches([' ', '|']).len() > 10, "{what}: no reason");
        what.to_owned()
    })
    .collect()
}

/// Notes where an answer has not what the recorded one has, or not of this kind. It may have more.
fn compare(at: &str, there: &Value, here: &Value, differs: &mut Vec<String>) {
    match (there, here) {
        (Value::Object(there), Value::Object(here)) => {
            for (key, there) in there {
                let at = format!("{at}.{key}");
                match here.get(key) {
                    Some(here) => compare(&at, there, here, differs),
                    None => differs.push(format!("{at} is missing")),
                }
            }
        }
        (Value::Array(there), Value::Array(here)) => {
            // Of a list the rows are alike; which there are is of the moment.
            if let (Some(there), Some(here)) = (there.first(), here.first()) {
                compare(&format!("{at}[]"), there, here, differs);
            }
        }
        (Value::String(there), Value::String(here)) if at == ".error" => {
            if there != here {
                differs.push(format!("{at} is `{here}`"));
            }
        }
        (Value::Null, _)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => {}
        (_, here) => differs.push(format!("{at} is {here}")),
    }
}

#[test]
fn what_is_otherwise_is_seen() {
    let mut differs = Vec::new();
    let there = serde_json::json!({"a": 1, "b": [{"c": "x"}], "d": true, "e": null, "error": "y"});
    let here = serde_json::json!({"a": "1", "b": [{"x": 1}], "d": true, "e": 7, "error": "z"});
    compare("", &there, &here, &mut differs);
    assert_eq!(
        differs,
        [".a is \"1\"", ".b[].c is missing", ".error is `z`"]
    );
    differs.clear();
    compare("", &there, &there, &mut differs);
    assert!(differs.is_empty());
}
