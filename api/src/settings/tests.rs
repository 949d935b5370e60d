use std::collections::BTreeSet;

use super::*;
use crate::testing::Scene;

#[test]
fn each_key_stands_once_and_what_it_stands_for_is_there() {
    let paths: BTreeSet<String> = tree::KEYS.iter().map(Key::path).collect();
    assert_eq!(paths.len(), tree::KEYS.len());
    for key in tree::KEYS {
        let stands_for: &[&str] = match &key.effect {
            Effect::Setting(path)
            | Effect::Minutes(path)
            | Effect::Seconds(path)
            | Effect::Unbounded(path) => &[*path],
            Effect::Both(paths) => paths,
            Effect::Rate(direction) => &[direction.path()],
            Effect::Proxy(_) => &["network.proxy"],
            Effect::Content | Effect::Port | Effect::Always | Effect::None => &[],
        };
        for path in stands_for {
            assert!(Settings::key(path).is_some(), "{}: {path}", key.path());
        }
        assert_eq!(key.check(&key.default()), Ok(()), "{}", key.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_stand_for_settings_change_those_and_others_are_kept() {
    let scene = Scene::start().await;
    let now = scene.ask("GET", "/settings", b"").await.json;
    let settings = &now["settings"];
    assert_eq!(settings["libtorrent"]["max_download_rate"], 0);
    assert_eq!(settings["libtorrent"]["max_connections_download"], -1);
    assert_eq!(settings["download_defaults"]["seeding_time"], 60.0);
    assert_eq!(settings["http_api"]["port"], now["ports"]["http_api~port"]);
    assert_eq!(settings["http_api"]["key"], Value::Null);
    let wanted = json!({
        "libtorrent": {"max_upload_rate": 100_000, "max_connections_download": 50, "utp": false,
                       "proxy_type": 0, "port": 1234},
        "download_defaults": {"seeding_mode": "ratio", "seeding_time": 90.5, "saveas": "/content"},
        "general": {"version_checker_enabled": false},
        "resource_monitor": {"enabled": false, "cpu_priority": 3, "poll_interval": 90, "history_size": 7},
    });
    let reply = scene
        .ask("POST", "/settings", wanted.to_string().as_bytes())
        .await;
    let expected = json!({
        "modified": true,
        "without_effect": ["general.version_checker_enabled", "libtorrent.port"],
    });
    assert_eq!((reply.status, &reply.json), (200, &expected));
    let now = scene.ask("GET", "/settings", b"").await.json;
    for (section, keys) in wanted.as_object().unwrap() {
        for (key, value) in keys.as_object().unwrap() {
            assert_eq!(&now["settings"][section][key], value, "{section}.{key}");
        }
    }
    let engine = scene.engine().settings();
    assert_eq!(engine.limits.up, Some(100_000));
    assert_eq!(engine.resources.every.as_secs(), 90);
    assert_eq!(setting(&engine, "connections.incoming_utp"), false);
    // The same again changes nothing, and a bound can be taken back.
    let reply = scene
        .ask("POST", "/settings", wanted.to_string().as_bytes())
        .await;
    assert_eq!(reply.json, json!({"modified": true}));
    let back = br#"{"libtorrent":{"max_connections_download":-1}}"#;
    assert_eq!(scene.ask("POST", "/settings", back).await.status, 200);
    let now = scene.ask("GET", "/settings", b"").await.json;
    assert_eq!(
        now["settings"]["libtorrent"]["max_connections_download"],
        -1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_named_and_nothing_of_the_request_is_done() {
    let scene = Scene::start().await;
    for (body, why) in [
        (
            r#"{"nosuch":{"x":1}}"#,
            "Section nosuch with option x does not exist",
        ),
        (
            r#"{"libtorrent":{"nokey":1}}"#,
            "Section libtorrent with option nokey does not exist",
        ),
        (
            r#"{"toplevel":1}"#,
            "Section None with option toplevel does not exist",
        ),
        (
            r#"{"libtorrent":{"max_upload_rate":7,"utp":3}}"#,
            "libtorrent.utp: this is true or false",
        ),
        (
            r#"{"libtorrent":{"max_upload_rate":7,"max_download_rate":-7}}"#,
            "limits.down",
        ),
        (r#"{"libtorrent":{"proxy_type":2}}"#, "proxy_server"),
        (
            r#"{"download_defaults":{"seeding_time":-5}}"#,
            "a number of minutes from 0",
        ),
        (
            r#"{"download_defaults":{"saveas":"Downloads"}}"#,
            "named from the root",
        ),
        ("not json", "not JSON"),
    ] {
        let reply = scene.ask("POST", "/settings", body.as_bytes()).await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(
            reply.json.to_string().contains(why),
            "{body}: {}",
            reply.json
        );
    }
    assert_eq!(scene.engine().settings().limits.up, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_proxy_that_is_none_is_named() {
    let scene = Scene::start().await;
    for (said, idle) in [
        (
            json!({"proxy_server": "box:1"}),
            json!(["libtorrent.proxy_server"]),
        ),
        (
            json!({"proxy_type": 0, "proxy_auth": "me:pw", "proxy_server": "box:1"}),
            json!(["libtorrent.proxy_auth", "libtorrent.proxy_server"]),
        ),
        (
            json!({"proxy_type": 0, "proxy_auth": ":", "proxy_server": ":"}),
            Value::Null,
        ),
    ] {
        let body = json!({"libtorrent": said}).to_string();
        let reply = scene.ask("POST", "/settings", body.as_bytes()).await;
        assert_eq!(
            (reply.status, &reply.json["without_effect"]),
            (200, &idle),
            "{body}"
        );
        let now = scene.ask("GET", "/settings", b"").await.json;
        assert_eq!(now["settings"]["libtorrent"]["proxy_type"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_folder_for_content_is_that_of_the_daemon() {
    let scene = Scene::start().await;
    let own = scene.dir.path().display().to_string();
    for (said, shown) in [("/elsewhere", "/elsewhere"), ("", own.as_str())] {
        let body = json!({"download_defaults": {"saveas": said}}).to_string();
        let reply = scene.ask("POST", "/settings", body.as_bytes()).await;
        assert_eq!(reply.json, json!({"modified": true}));
        let now = scene.ask("GET", "/settings", b"").await.json;
        assert_eq!(now["settings"]["download_defaults"]["saveas"], shown);
    }
}
