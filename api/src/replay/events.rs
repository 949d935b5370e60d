//! The streams of events of the recordings, beside ours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::compared::compare;
use super::{listed, recordings};
use crate::testing::{Reply, Scene, parsed, until};

/// A hash of which the DHT of these tests knows peers.
const COUNTED: &str = "7777777777777777777777777777777777777777";

/// Has each event happen that there is, up to the end. What was told of them, by name, and the answer that they came in.
async fn all_of_ours() -> (BTreeMap<String, Value>, Reply) {
    let scene = Scene::start().await;
    // Of nothing that was there already, which finishes no download.
    let hash = "cd".repeat(20);
    let (mut stream, mut told) = scene.listen().await;
    let path = format!("/metadata/torrents/{COUNTED}/health?nowait=1");
    scene.ask("GET", &path, b"").await;
    until(&mut stream, &mut told, "\"channel_entity_updated\"").await;
    let dir = scene.dir.path().display().to_string();
    for (word, fields, name) in [
        (
            "finished",
            json!({"info_hash": hash, "fetched": true}),
            "torrent_finished",
        ),
        (
            "circuit_closed",
            json!({"circuit": 7, "sent": 1, "received": 2, "seconds": 1.5, "reason": "over"}),
            "tunnel_remove",
        ),
        ("low_space", json!({"dir": dir, "free": 7}), "low_space"),
        ("state_saved", json!({"error": "full"}), "tribler_exception"),
        (
            "watch_failed",
            json!({"file": "/bad.torrent", "error": "bad"}),
            "watch_folder_corrupt_file",
        ),
    ] {
        scene.tell(word, fields);
        until(&mut stream, &mut told, &format!("\"{name}\"")).await;
    }
    scene.stop();
    stream.read_to_end(&mut told).await.unwrap();
    let reply = parsed(&told);
    let text = String::from_utf8(reply.body.clone()).unwrap();
    let events = text.split_terminator("\n\n").map(|event| {
        // One line, with nothing else to it.
        let line = event.strip_prefix("data: ").unwrap();
        let event: Value = serde_json::from_str(line).unwrap();
        (event["type"].as_str().unwrap().to_owned(), event)
    });
    (events.collect(), reply)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_the_names_and_fields_of_those_that_were_recorded() {
    let (ours, reply) = all_of_ours().await;
    let listed = listed("events").into_iter().map(|(name, _)| name);
    let listed: BTreeSet<String> = listed.collect();
    let mut absent = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for (mark, _, recorded) in recordings() {
        let (events, kind) = (&recorded.events, &recorded.events_type);
        assert_eq!(reply.header("content-type"), Some(kind.as_str()));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        assert!(events.len() > 15, "{mark}");
        for event in events {
            let name = event["type"].as_str().unwrap();
            let Some(here) = ours.get(name) else {
                absent.insert(name.to_owned());
                continue;
            };
            seen.insert(name.to_owned());
            let mut differs = Vec::new();
            compare("", event, here, &mut differs);
            assert!(differs.is_empty(), "{mark}: {name}: {differs:?}: {here}");
        }
    }
    assert_eq!(absent, listed);
    assert_eq!(seen.len(), ours.len(), "{ours:?}");
}
