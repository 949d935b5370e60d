use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

mod changes;
mod random;

use super::*;
use crate::settings::{ApiSettings, HealthSettings, HttpSettings, Settings, UdpSettings};
use crate::tracker::{Tracker, TrackerHandle};

const TOKEN: &str = "0123456789abcdef+/";
const HASH: &str = "6161616161616161616161616161616161616161";

fn settings() -> Settings {
    let bind = "127.0.0.1:0".parse().unwrap();
    let mut settings = Settings {
        udp: vec![UdpSettings::new(bind)],
        http: vec![HttpSettings::new(bind)],
        api: Some(ApiSettings {
            bind,
            tokens: [("me".to_owned(), Secret(TOKEN.to_owned()))].into(),
            torrust_compat: false,
            certificate: None,
            private_key: None,
        }),
        health: Some(HealthSettings { bind }),
        ..Settings::in_memory()
    };
    settings.swarms.ids = true;
    settings.swarms.reports = true;
    settings
}

fn launch(settings: Settings) -> TrackerHandle {
    Tracker::launch(settings, Path::new("")).unwrap().1
}

/// Status and body of what comes for a whole request, asked from another thread than that of the actor.
async fn whole(at: SocketAddr, request: String) -> (u16, String) {
    let asked = move || {
        let mut stream = TcpStream::connect(at).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        (status, body.to_owned())
    };
    tokio::task::spawn_blocking(asked).await.unwrap()
}

async fn ask(at: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let len = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
    );
    whole(at, request).await
}

async fn get(at: SocketAddr, path: &str) -> (u16, String) {
    whole(
        at,
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
    )
    .await
}

async fn json(at: SocketAddr, path: &str) -> Value {
    let (status, body) = ask(at, "GET", path, "").await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

async fn announce(at: SocketAddr, peer: u16, torrent: char, more: &str) -> String {
    let hash = torrent.to_string().repeat(20);
    let path =
        format!("/announce?info_hash={hash}&peer_id=-qB4630-00000000{peer:04}&port={peer}{more}");
    get(at, &path).await.1
}

#[actix_rt::test]
async fn without_a_good_token_there_is_nothing_but_health() {
    let mut settings = settings();
    let tracker = launch(settings.clone());
    let at = tracker.listening().api.unwrap();
    assert_eq!(
        get(at, "/api/health_check").await,
        (200, r#"{"status":"Ok"}"#.to_owned())
    );
    let paths = [
        "/api/v1/stats",
        "/api/v1/torrents",
        "/api/v1/keys/reload",
        "/api/v1/whitelist/reload",
        "/metrics",
        "/anything",
    ];
    for path in paths {
        let refused = r#"Unhandled rejection: Err { reason: "unauthorized" }"#;
        assert_eq!(get(at, path).await, (401, refused.to_owned()), "{path}");
        let refused = r#"Unhandled rejection: Err { reason: "token not valid" }"#;
        for wrong in ["0123456789abcdef%2B", "", "0123456789abcdef%2B%2G"] {
            let path = format!("{path}?token={wrong}");
            assert_eq!(get(at, &path).await, (401, refused.to_owned()), "{path}");
        }
    }
    assert_eq!(
        get(at, "/api/v1/stats?token=0123456789abcdef%2B%2F")
            .await
            .0,
        200
    );
    // Other tokens hold at once.
    settings.api.as_mut().unwrap().tokens =
        [("you".to_owned(), Secret("another token of 16".to_owned()))].into();
    assert_eq!(
        tracker.reload(settings.clone()).await.unwrap().changed,
        ["api.tokens"]
    );
    assert_eq!(ask(at, "GET", "/api/v1/stats", "").await.0, 401);
    assert_eq!(
        get(at, "/api/v1/stats?token=another%20token%20of%2016")
            .await
            .0,
        200
    );
    drop(tracker);

    settings.api.as_mut().unwrap().torrust_compat = true;
    let tracker = launch(settings);
    let (status, _) = get(tracker.listening().api.unwrap(), "/api/v1/stats").await;
    assert_eq!(status, 500);
}

#[actix_rt::test]
async fn torrents_are_shown_by_pages_by_name_and_with_their_peers() {
    let tracker = launch(settings());
    let (at, http) = (
        tracker.listening().api.unwrap(),
        tracker.listening().http[0],
    );
    assert_eq!(
        json(at, &format!("/api/v1/torrent/{HASH}")).await,
        "torrent not known"
    );
    for (peer, torrent, more) in [
        (1, 'a', "&left=5&uploaded=7&downloaded=3&event=started"),
        (1, 'a', "&left=0&uploaded=9&downloaded=8&event=completed"),
        (2, 'a', "&left=1"),
        (1, 'b', "&left=1"),
        (1, 'c', "&left=0"),
    ] {
        announce(http, peer, torrent, more).await;
    }
    let shown = json(at, &format!("/api/v1/torrent/{}", HASH.to_uppercase())).await;
    assert_eq!(
        (&shown["seeders"], &shown["completed"], &shown["leechers"]),
        (&1.into(), &1.into(), &1.into())
    );
    let seeder = shown["peers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|peer| peer["left"] == 0)
        .unwrap();
    assert_eq!(seeder["peer_addr"], "127.0.0.1:1");
    assert_eq!(
        seeder["peer_id"]["id"],
        "0x2d7142343633302d303030303030303030303031"
    );
    assert_eq!(seeder["peer_id"]["client"], "qBittorrent 4.6.3");
    assert_eq!(
        (&seeder["uploaded"], &seeder["downloaded"], &seeder["event"]),
        (&9.into(), &8.into(), &"Completed".into())
    );
    assert_eq!(seeder["updated"], seeder["updated_milliseconds_ago"]);
    assert!(seeder["updated"].as_u64().unwrap() > 1_700_000_000_000);
    assert!(seeder["last_announce_age_ms"].as_u64().unwrap() < 60_000);

    let hashes = |page: &Value| {
        let torrents = page.as_array().unwrap().iter();
        let mut hashes: Vec<_> = torrents
            .map(|it| it["info_hash"].as_str().unwrap().to_owned())
            .collect();
        hashes.sort();
        hashes
    };
    let all = json(at, "/api/v1/torrents?offset=&limit=").await;
    assert_eq!(
        hashes(&all),
        ["61", "62", "63"].map(|digits| digits.repeat(20))
    );
    assert!(all[0].get("peers").is_none());
    let mut pages = Vec::new();
    for offset in 0..4 {
        pages.extend(hashes(
            &json(at, &format!("/api/v1/torrents?offset={offset}&limit=1")).await,
        ));
    }
    pages.sort();
    assert_eq!(pages, hashes(&all), "each on one page");
    let named = json(
        at,
        &format!(
            "/api/v1/torrents?info_hash={HASH}&info_hash={}",
            "ff".repeat(20)
        ),
    )
    .await;
    assert_eq!(hashes(&named), [HASH]);

    let stats = json(at, "/api/v1/stats").await;
    assert_eq!(
        (
            &stats["torrents"],
            &stats["seeders"],
            &stats["completed"],
            &stats["leechers"]
        ),
        (&3.into(), &2.into(), &1.into(), &2.into())
    );
    assert_eq!(
        (
            &stats["tcp4_announces_handled"],
            &stats["tcp6_announces_handled"]
        ),
        (&5.into(), &0.into())
    );
    assert_eq!(stats.as_object().unwrap().len(), 16);
    for (path, status, words) in [
        (
            "/api/v1/torrent/xyz",
            400,
            r#"Invalid URL: invalid infohash param: string "xyz", expected a 40 character long string"#,
        ),
        (
            "/api/v1/torrents?info_hash=1",
            400,
            "Invalid URL: invalid infohash param",
        ),
        ("/api/v1/torrents?limit=many", 400, "Invalid URL"),
        ("/api/v1/nothing", 404, "no such thing"),
    ] {
        let (got, body) = ask(at, "GET", path, "").await;
        assert!(
            got == status && body.contains(words),
            "{path}: {got} {body}"
        );
    }
    assert_eq!(ask(at, "PUT", "/api/v1/stats", "").await.0, 405);
}

#[actix_rt::test]
async fn figures_are_shown_to_machines() {
    let tracker = launch(settings());
    let (at, http) = (
        tracker.listening().api.unwrap(),
        tracker.listening().http[0],
    );
    announce(http, 1, 'a', "&left=0").await;
    let (status, page) = ask(at, "GET", "/api/v1/metrics", "").await;
    assert_eq!(status, 200);
    for line in [
        "# TYPE tribler_tracker_peers gauge",
        "tribler_tracker_peers{family=\"ipv4\",role=\"seeder\"} 1",
        "tribler_tracker_answers_total{protocol=\"http\",family=\"ipv4\",kind=\"announce\"} 1",
        "tribler_tracker_database_up 1",
        "tribler_tracker_torrents 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(page.ends_with("# EOF\n"));
}

#[actix_rt::test]
async fn health_is_that_of_all_servers() {
    let tracker = launch(settings());
    let listening = tracker.listening().clone();
    let at = listening.health.unwrap();
    assert_eq!(get(at, "/").await, (200, "{}".to_owned()));
    let (_, body) = get(at, "/health_check").await;
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&report["status"], &report["message"]),
        (&"Ok".into(), &"".into()),
        "{body}"
    );
    let details = report["details"].as_array().unwrap();
    assert_eq!(details.len(), 3);
    assert!(
        details
            .iter()
            .any(|it| it["result"]["Ok"] == "200 OK"
                && it["binding"] == listening.http[0].to_string())
    );

    // Nobody answers there.
    let silent = Health::new(vec![Service::Http(([127, 0, 0, 1], 1).into(), "/")]);
    let report = silent.report().await;
    assert!(report.starts_with(r#"{"status":"Error","message":"health check failed","details":[{"binding":"127.0.0.1:1""#), "{report}");
    assert!(
        Health::new(Vec::new())
            .report()
            .await
            .starts_with(r#"{"status":"None""#)
    );
}

#[actix_rt::test]
async fn long_heads_and_bodies_are_refused() {
    let tracker = launch(settings());
    let at = tracker.listening().api.unwrap();
    let (status, _) = ask(at, "POST", "/api/v1/keys", &"a".repeat(70_000)).await;
    assert_eq!(status, 413);
    let (status, _) = get(at, &format!("/{}", "a".repeat(20_000))).await;
    assert!(status == 431 || status == 414, "{status}");
}
