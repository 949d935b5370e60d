use serde_json::{Value, json};

use crate::testing::{Scene, torrent_of};

/// Whether a value is of a kind.
type Is = fn(&Value) -> bool;

/// The keys of a download, with the kind of each.
const KEYS: &[(&str, Is)] = &[
    ("name", Value::is_string),
    ("progress", Value::is_f64),
    ("infohash", Value::is_string),
    ("speed_down", Value::is_u64),
    ("speed_up", Value::is_u64),
    ("status", Value::is_string),
    ("size", Value::is_u64),
    ("eta", Value::is_f64),
    ("num_peers", Value::is_u64),
    ("num_seeds", Value::is_u64),
    ("num_connected_peers", Value::is_u64),
    ("num_connected_seeds", Value::is_u64),
    ("total_up", Value::is_u64),
    ("total_down", Value::is_u64),
    ("ratio", Value::is_f64),
    ("trackers", Value::is_array),
    ("hops", Value::is_u64),
    ("anon_download", Value::is_boolean),
    ("safe_seeding", Value::is_boolean),
    ("max_upload_speed", Value::is_u64),
    ("max_download_speed", Value::is_u64),
    ("destination", Value::is_string),
    ("availability", Value::is_f64),
    ("total_pieces", Value::is_u64),
    ("vod_mode", Value::is_boolean),
    ("vod_prebuffering_progress", Value::is_f64),
    ("vod_prebuffering_progress_consec", Value::is_f64),
    ("vod_header_progress", Value::is_f64),
    ("vod_footer_progress", Value::is_f64),
    ("error", Value::is_string),
    ("time_added", Value::is_i64),
    ("channel_download", Value::is_boolean),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_download_has_all_its_fields_and_more_where_they_are_asked_for() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a.txt", 20_000), ("b.txt", 40_000)]).await;
    let plain = scene.ask("GET", "/downloads", b"").await;
    assert_eq!(plain.header("content-type"), Some("application/json"));
    let one = &plain.json["downloads"][0];
    for (key, is) in KEYS {
        assert!(is(&one[key]), "{key}: {}", one[key]);
    }
    assert_eq!(one.as_object().unwrap().len(), KEYS.len());
    assert_eq!(one["name"], "content");
    assert_eq!(
        (&one["size"], &one["total_pieces"]),
        (&json!(60_000), &json!(4))
    );
    assert_eq!((&one["progress"], &one["eta"]), (&json!(1.0), &json!(0.0)));
    assert_eq!(one["destination"], scene.dir.path().to_str().unwrap());
    assert!(one["time_added"].as_i64().unwrap() > 1_700_000_000);
    let urls: Vec<&Value> = one["trackers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["url"])
        .collect();
    assert_eq!(urls, ["[DHT]", "[PeX]"]);
    let flags = "/downloads?get_peers=1&get_pieces=1&get_files=1";
    let full = scene.ask("GET", flags, b"").await.json;
    let one = &full["downloads"][0];
    assert_eq!(
        (&one["peers"], &one["pieces"]),
        (&json!([]), &json!("8A=="))
    );
    let files = json!([
        {"index": 0, "name": "a.txt", "size": 20_000, "included": true, "progress": 1.0},
        {"index": 1, "name": "b.txt", "size": 40_000, "included": true, "progress": 1.0},
    ]);
    assert_eq!(one["files"], files);
    let listed = scene
        .ask("GET", &format!("/downloads/{hash}/files"), b"")
        .await;
    assert_eq!(listed.json, json!({"files": files}));
    let other = "/downloads?get_files=1&infohash=0000000000000000000000000000000000000000";
    assert_eq!(scene.ask("GET", other, b"").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torrent_file_comes_back_as_it_was_added() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a.txt", 100)]).await;
    let reply = scene
        .ask("GET", &format!("/downloads/{hash}/torrent"), b"")
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        Some("application/x-bittorrent")
    );
    let named = format!("attachment; filename=\"{hash}.torrent\"");
    assert_eq!(reply.header("content-disposition"), Some(named.as_str()));
    let (torrent, _) = torrent_of(scene.dir.path(), "content", &[("a.txt", 100)]);
    assert_eq!(reply.body, torrent);
    let zeros = "0".repeat(40);
    for path in ["torrent", "files"] {
        let reply = scene
            .ask("GET", &format!("/downloads/{zeros}/{path}"), b"")
            .await;
        assert_eq!(
            (reply.status, &reply.json["error"]),
            (404, &json!("this download does not exist"))
        );
        let reply = scene
            .ask("GET", &format!("/downloads/zz/{path}"), b"")
            .await;
        assert_eq!(
            (reply.status, &reply.json["error"]["code"]),
            (400, &json!("Error"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_are_added_by_links_files_and_bytes_and_what_cannot_be_is_named() {
    let scene = Scene::start().await;
    let magnet = json!({"uri": format!("magnet:?xt=urn:btih:{}&dn=Some+name", "ab".repeat(20))});
    for _ in 0..2 {
        let reply = scene
            .ask("PUT", "/downloads", magnet.to_string().as_bytes())
            .await;
        let expected = json!({"started": true, "infohash": "ab".repeat(20)});
        assert_eq!((reply.status, reply.json), (200, expected));
    }
    let one = scene.until(&"ab".repeat(20), "DLSTATUS_METADATA").await;
    assert_eq!(
        (&one["name"], &one["total_pieces"]),
        (&json!("Some name"), &json!(0))
    );
    let (torrent, hash) = torrent_of(scene.dir.path(), "sent", &[("a", 100), ("b", 100)]);
    let kind = "Content-Type: Application/X-BitTorrent; x=y\r\n";
    let path = "/downloads?selected_files=1";
    let reply = scene.ask_with("PUT", path, kind, &torrent).await;
    assert_eq!(reply.json, json!({"started": true, "infohash": hash}));
    let files = scene
        .ask("GET", &format!("/downloads/{hash}/files"), b"")
        .await
        .json;
    assert_eq!(
        (
            &files["files"][0]["included"],
            &files["files"][1]["included"]
        ),
        (&json!(false), &json!(true))
    );
    let (torrent, hash) = torrent_of(scene.dir.path(), "coded", &[("a", 100)]);
    let coded = json!({"torrent": data_encoding::BASE64.encode(&torrent)});
    let reply = scene
        .ask("PUT", "/downloads", coded.to_string().as_bytes())
        .await;
    assert_eq!(reply.json, json!({"started": true, "infohash": hash}));
    let unsaid = scene.ask("PUT", "/downloads", &torrent).await;
    let why = unsaid.json["error"].as_str().unwrap();
    assert!(
        unsaid.status == 400 && why.contains("x-bittorrent"),
        "{why}"
    );
    let folder = scene.dir.path().display();
    for (body, status, why) in [
        (json!({}), 400, "uri parameter missing"),
        (json!({"uri": ""}), 400, "uri parameter missing"),
        (json!({"uri": "abc"}), 400, "invalid uri"),
        (json!({"uri": 7}), 400, "uri is a text, and not 7"),
        (
            json!({"uri": "file:/no/file.torrent"}),
            404,
            "/no/file.torrent: No such file",
        ),
        (
            json!({"uri": format!("file:{folder}")}),
            400,
            "this is no file",
        ),
        (json!({"uri": "file:../x"}), 400, "from the root"),
        (
            json!({"uri": "magnet:?xt=urn:btih:cd", "anon_hops": 1}),
            400,
            "Cannot set anonymous download without safe seeding enabled",
        ),
        (json!({"uri": "file:/a/channel.mdblob"}), 501, "channels"),
        (json!({"torrent": "!"}), 400, "torrent: "),
    ] {
        let reply = scene
            .ask("PUT", "/downloads", body.to_string().as_bytes())
            .await;
        assert_eq!(reply.status, status, "{body}");
        let error = reply.json["error"].as_str().unwrap();
        assert!(error.contains(why), "{body}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_for_what_cannot_be() {
    let scene = Scene::start().await;
    for (more, why) in [
        (json!({"anon_hops": 300}), "anon_hops is 0 to 3"),
        (json!({"selected_files": "x"}), "selected_files is a list"),
    ] {
        let mut body = json!({"uri": "http://t.example/x", "safe_seeding": true});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let reply = scene
            .ask("PUT", "/downloads", body.to_string().as_bytes())
            .await;
        let error = reply.json["error"].as_str().unwrap();
        // What is fetched is refused here with the address.
        assert!(
            reply.status == 400 && error.contains(why),
            "{body}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_are_changed_and_removed() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a.txt", 100), ("b.txt", 100)]).await;
    let path = format!("/downloads/{hash}");
    let done = json!({"modified": true, "infohash": hash});
    let patch = async |body: Value| scene.ask("PATCH", &path, body.to_string().as_bytes()).await;
    assert_eq!(patch(json!({"state": "stop"})).await.json, done);
    scene.until(&hash, "DLSTATUS_STOPPED").await;
    assert_eq!(patch(json!({"state": "resume"})).await.json, done);
    scene.until(&hash, "DLSTATUS_SEEDING").await;
    assert_eq!(patch(json!({"state": "recheck"})).await.json, done);
    assert_eq!(patch(json!({})).await.json, done);
    assert_eq!(patch(json!({"selected_files": [1]})).await.json, done);
    let files = scene.ask("GET", &format!("{path}/files"), b"").await.json;
    assert_eq!(files["files"][0]["included"], false);
    assert_eq!(patch(json!({"selected_files": []})).await.json, done);
    let files = scene.ask("GET", &format!("{path}/files"), b"").await.json;
    for file in files["files"].as_array().unwrap() {
        assert_eq!(file["included"], true, "{file}");
    }
    let there = scene.dir.path().join("there");
    std::fs::create_dir(&there).unwrap();
    let moves = json!({"state": "move_storage", "dest_dir": there});
    assert_eq!(patch(moves).await.json, done);
    for (body, why) in [
        (json!({"state": "dance"}), "unknown state parameter"),
        (json!({"selected_files": [5]}), "index out of range"),
        (
            json!({"anon_hops": 1, "state": "stop"}),
            "anon_hops must be the only parameter in this request",
        ),
        (json!({"anon_hops": 4}), "anon_hops is 0 to 3"),
        (
            json!({"state": "move_storage", "dest_dir": "/nonexistent"}),
            "Target directory (/nonexistent) does not exist",
        ),
        (
            json!({"state": "move_storage", "dest_dir": "a"}),
            "from the root",
        ),
    ] {
        let reply = patch(body.clone()).await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(
            reply.json["error"].as_str().unwrap().contains(why),
            "{}",
            reply.json
        );
    }
    let reply = scene.ask("DELETE", &path, b"{}").await;
    assert_eq!(
        (reply.status, &reply.json["error"]),
        (400, &json!("remove_data parameter missing"))
    );
    let gone = br#"{"remove_data":true}"#;
    let reply = scene.ask("DELETE", &path, gone).await;
    assert_eq!(reply.json, json!({"removed": true, "infohash": hash}));
    for (method, body) in [("DELETE", gone.as_slice()), ("PATCH", b"{}")] {
        let reply = scene.ask(method, &path, body).await;
        assert_eq!(
            (reply.status, &reply.json["error"]),
            (404, &json!("this download does not exist"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_version_tells_what_is_there_to_earn_credit_and_which_file_there_is_not() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a.txt", 100), ("b.txt", 100)]).await;
    // Each is asked for after the other, so that no piece of a list is taken for one of the other version.
    for _ in 0..2 {
        for (path, own, other) in [
            ("/downloads", "channel_download", "credit_mining"),
            ("/v7.0/downloads", "credit_mining", "channel_download"),
        ] {
            let list = scene.ask("GET", path, b"").await.json;
            let one = list["downloads"][0].as_object().unwrap();
            assert_eq!(one.get(own), Some(&json!(false)), "{path}");
            assert!(!one.contains_key(other), "{path}");
            assert_eq!(one.len(), KEYS.len(), "{path}");
        }
    }
    let path = format!("/v7.0/downloads/{hash}");
    let chosen = b"selected_files[]=0&selected_files[]=7";
    let reply = scene.ask("PATCH", &path, chosen).await;
    let why = json!({"error": "index 7 out of range"});
    assert_eq!((reply.status, reply.json), (400, why));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_has_changed_since_is_told_and_what_is_gone() {
    let scene = Scene::start().await;
    for byte in ["aa", "bb"] {
        let body = json!({"uri": format!("magnet:?xt=urn:btih:{}", byte.repeat(20))});
        scene
            .ask("PUT", "/downloads", body.to_string().as_bytes())
            .await;
        scene.until(&byte.repeat(20), "DLSTATUS_METADATA").await;
        let pause = br#"{"state":"stop"}"#;
        scene
            .ask("PATCH", &format!("/downloads/{}", byte.repeat(20)), pause)
            .await;
        scene.until(&byte.repeat(20), "DLSTATUS_STOPPED").await;
    }
    let since = async |revision: &Value| {
        let path = format!("/downloads?since={revision}");
        scene.ask("GET", &path, b"").await.json
    };
    let first = since(&json!(0)).await;
    assert_eq!(
        (
            &first["whole"],
            first["downloads"].as_array().unwrap().len()
        ),
        (&json!(true), 2)
    );
    let again = since(&first["revision"]).await;
    assert_eq!(
        (&again["whole"], &again["downloads"], &again["removed"]),
        (&json!(false), &json!([]), &json!([]))
    );
    let gone = br#"{"remove_data":false}"#;
    scene
        .ask("DELETE", &format!("/downloads/{}", "aa".repeat(20)), gone)
        .await;
    let third = since(&again["revision"]).await;
    assert_eq!(
        (&third["downloads"], &third["removed"]),
        (&json!([]), &json!(["aa".repeat(20)]))
    );
    let bad = scene.ask("GET", "/downloads?since=x", b"").await;
    assert_eq!(
        (bad.status, &bad.json["error"]),
        (400, &json!("since: x is no number"))
    );
}
