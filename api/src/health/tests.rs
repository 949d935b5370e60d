use super::*;
use crate::testing::{Scene, until};

/// A hash of which the DHT of these tests knows 7 seeds and 3 others.
const COUNTED: &str = "7777777777777777777777777777777777777777";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_download_is_counted_in_the_dht() {
    let scene = Scene::start().await;
    let path = format!("/metadata/torrents/{COUNTED}/health?refresh=1");
    let reply = scene.ask("GET", &path, b"").await;
    let due = json!({"health": {"DHT": {"seeders": 7, "leechers": 3, "infohash": COUNTED}}});
    assert_eq!((reply.status, reply.json), (200, due));
    let none = "ab".repeat(20);
    let reply = scene
        .ask("GET", &format!("/metadata/torrents/{none}/health"), b"")
        .await;
    let due = json!({"health": {"DHT": {"error": "nobody knows it"}}});
    assert_eq!((reply.status, reply.json), (200, due));
    for (path, why) in [
        (
            format!("{none}/health?timeout=x"),
            "Error processing timeout parameter 'x'",
        ),
        (
            format!("{none}/health?timeout=-1"),
            "Error processing timeout parameter '-1'",
        ),
        (
            format!("{none}/health?timeout=NaN"),
            "Error processing timeout parameter 'NaN'",
        ),
        ("zz/health".to_owned(), "Non-hexadecimal digit found"),
    ] {
        let reply = scene
            .ask("GET", &format!("/metadata/torrents/{path}"), b"")
            .await;
        assert!(
            reply.status == 400 && reply.json.to_string().contains(why),
            "{path}: {reply:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tracker_of_a_download_says_what_it_knows_or_why_not() {
    let scene = Scene::start().await;
    let link = format!("magnet:?xt=urn:btih:{COUNTED}&tr=http://127.0.0.1:1/announce");
    let body = json!({"uri": link}).to_string();
    scene.ask("PUT", "/downloads", body.as_bytes()).await;
    let path = format!("/metadata/torrents/{COUNTED}/health?timeout=0.5");
    let health = &scene.ask("GET", &path, b"").await.json["health"];
    let tracker = &health["http://127.0.0.1:1/announce"]["error"];
    assert!(
        tracker.as_str().is_some_and(|why| !why.is_empty()),
        "{health}"
    );
    assert_eq!(health["DHT"]["seeders"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_wait_hears_of_it_as_an_event() {
    let scene = Scene::start().await;
    let (mut events, mut told) = scene.listen().await;
    let path = format!("/metadata/torrents/{COUNTED}/health?nowait=1");
    let reply = scene.ask("GET", &path, b"").await;
    assert_eq!(reply.json, json!({"checking": "1"}));
    until(&mut events, &mut told, "\"channel_entity_updated\"}\n\n").await;
    let told = String::from_utf8(told).unwrap();
    let line = told.lines().find(|line| line.contains("entity")).unwrap();
    let line: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
    let event = &line["event"];
    assert_eq!(
        (&event["infohash"], &event["health"]),
        (&json!(COUNTED), &json!("updated"))
    );
    assert_eq!(
        (&event["num_seeders"], &event["num_leechers"]),
        (&json!(7), &json!(3))
    );
    assert!(event["last_tracker_check"].as_u64().unwrap() > 1_600_000_000);
}
