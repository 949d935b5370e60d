//! Torrents that are named by their publisher's key (BEP 46).

use super::{Shared, alone, downloading, events, same};
use crate::support::{run, text};

#[test]
fn what_a_publisher_signs_is_found_and_fetched_by_the_key_alone() {
    let shared = Shared::named("published", "hybrid");
    let (data, output) = (shared.path("seed"), shared.path("out"));
    let (_seeder, listening) = shared.seed_in_dht();
    let node = listening["dht"].as_str().unwrap();

    let key = shared.path("key");
    let network = ["--bootstrap", node, "--listen", "127.0.0.1:0", "--json"];
    let publish = [
        "dht",
        "publish",
        text(&shared.torrent),
        "--key",
        text(&key),
        "--salt",
        "s",
    ];
    let publish = || run(publish.iter().chain(&network)).ok().json();
    let published = publish();
    assert_eq!(published["event"], "published");
    assert_eq!(
        (&published["nodes"], &published["seq"]),
        (&1.into(), &1.into())
    );
    let link = published["magnet"].as_str().unwrap().to_owned();
    assert!(
        link.starts_with("magnet:?xs=urn:btpk:") && link.contains("&s=73&"),
        "{link}"
    );
    assert_eq!(publish()["seq"], 1, "nothing is new");

    let info = run(["info", text(&shared.torrent), "--json"]).ok().json();
    let got = run(["dht", "get", &link].iter().chain(&network))
        .ok()
        .json();
    assert_eq!(got["info_hash"], info["info_hash_v1"]);

    let state = shared.path("state-out");
    let mut fetch = downloading(&link, &output, &state);
    // In a network of two the seeder has told nobody of itself but publishers that are gone.
    let peer = listening["addr"].as_str().unwrap();
    fetch.extend(["--no-lsd", "--dht-bootstrap", node, "--peer", peer]);
    let lines = run(fetch).ok().json_lines();
    let told = events(&lines);
    for event in ["resolving", "resolved", "added", "metadata", "finished"] {
        assert!(told.contains(&event), "{event}: {lines:?}");
    }
    let resolved = lines
        .iter()
        .find(|line| line["event"] == "resolved")
        .unwrap();
    assert_eq!(resolved["info_hash"], info["info_hash_v1"]);
    assert!(same(
        &output.join("published/a.bin"),
        &data.join("published/a.bin")
    ));
}

#[test]
fn a_key_without_the_dht_is_an_error_that_says_so() {
    let shared = Shared::new("v1");
    let key = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
    let link = format!("magnet:?xs=urn:btpk:{key}&s=6e");
    let (down, state) = (shared.path("down"), shared.path("state"));
    let ran = run(alone(downloading(&link, &down, &state)));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("without the DHT"), "{ran:?}");
    let about = run(["info", &link, "--json"]).ok().json();
    assert_eq!(about["magnet"], link);
}

#[test]
fn a_torrent_without_a_v1_hash_cannot_be_published() {
    let shared = Shared::new("v2");
    let (torrent, key) = (text(&shared.torrent), shared.path("key"));
    let ran = run([
        "dht",
        "publish",
        torrent,
        "--key",
        text(&key),
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("hybrid"), "{ran:?}");
    assert!(!key.exists());
}
