//! The REST API before a daemon: its key, what is done by it, and its end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Daemon, flags, folder, many};
use crate::running::until;
use crate::support::{content, run, text};

/// An API and its key.
pub(super) struct Api {
    at: String,
    key: String,
}

impl Api {
    pub(super) fn of(daemon: &mut Daemon) -> Self {
        let at = daemon.running.event("api")["addr"]
            .as_str()
            .unwrap()
            .to_owned();
        let key = std::fs::read_to_string(daemon.state.join("api.key")).unwrap();
        Self {
            at,
            key: key.trim().to_owned(),
        }
    }

    pub(super) fn open(&self, method: &str, path: &str, body: &str) -> BufReader<TcpStream> {
        let Self { at, key } = self;
        let mut stream = TcpStream::connect(at).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let len = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {at}\r\nX-Api-Key: {key}\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        BufReader::new(stream)
    }

    pub(super) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut answer = String::new();
        self.open(method, path, body)
            .read_to_string(&mut answer)
            .unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let begin = answer.find('{').unwrap_or(answer.len());
        let end = answer.rfind('}').map_or(begin, |end| end + 1);
        (
            status,
            serde_json::from_str(&answer[begin..end]).unwrap_or_default(),
        )
    }
}

#[test]
fn what_is_done_by_the_api_and_by_ctl_is_the_same() {
    let dir = folder();
    many(dir.path(), 1);
    let mut daemon = Daemon::with(dir.path(), &["--api", "127.0.0.1:0"]);
    let api = Api::of(&mut daemon);
    let mode = std::fs::metadata(daemon.state.join("api.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let stranger = Api {
        key: "wrong".to_owned(),
        at: api.at.clone(),
    };
    assert_eq!(stranger.ask("GET", "/state", "").0, 401);
    assert_eq!(api.ask("GET", "/state", "").1["state"], "STARTED");
    let uri = format!("file:{}", text(&dir.path().join("f00000.torrent")));
    let there = dir.path().join("there");
    std::fs::create_dir(&there).unwrap();
    let wanted = json!({"uri": uri, "destination": there}).to_string();
    let (status, added) = api.ask("PUT", "/downloads", &wanted);
    assert_eq!((status, &added["started"]), (200, &json!(true)));
    let hash = added["infohash"].as_str().unwrap();
    assert_eq!(daemon.told(&["show", hash])[0]["name"], "f00000");
    let (_, again) = api.ask("PUT", "/downloads", &wanted);
    assert_eq!(again, added);
    daemon.ctl(&["pause", hash]).ok();
    until(|| {
        let (_, list) = api.ask("GET", "/downloads", "");
        list["downloads"][0]["status"] == "DLSTATUS_STOPPED"
    });
    let (_, list) = api.ask("GET", "/downloads", "");
    assert_eq!(list["downloads"][0]["destination"], text(&there));
    let set =
        r#"{"libtorrent":{"max_upload_rate":1024},"general":{"version_checker_enabled":false}}"#;
    let (_, done) = api.ask("POST", "/settings", set);
    assert_eq!(
        done["without_effect"],
        json!(["general.version_checker_enabled"])
    );
    assert_eq!(
        daemon.told(&["settings", "get", "limits.up"])[0]["value"],
        "1KiB/s"
    );
    let (status, _) = api.ask(
        "DELETE",
        &format!("/downloads/{hash}"),
        r#"{"remove_data":false}"#,
    );
    assert_eq!((status, daemon.count()), (200, 0));
    // All of it is there the next time, the key as well.
    daemon.ctl(&["shutdown"]).ok();
    let mut daemon = Daemon::with(dir.path(), &["--api", "127.0.0.1:0"]);
    let next = Api::of(&mut daemon);
    assert_eq!(next.key, api.key);
    let (_, settings) = next.ask("GET", "/settings", "");
    assert_eq!(
        settings["settings"]["general"]["version_checker_enabled"],
        false
    );
    assert_eq!(settings["settings"]["libtorrent"]["max_upload_rate"], 1024);
}

#[test]
fn torrents_are_made_by_the_api_and_seeded_from_where_they_are() {
    let dir = folder();
    let mut daemon = Daemon::with(dir.path(), &["--api", "127.0.0.1:0"]);
    let api = Api::of(&mut daemon);
    let film = dir.path().join("films");
    std::fs::create_dir(&film).unwrap();
    for (name, len) in [("a.mp4", 50_000), ("b.mp4", 70_000), ("other", 7)] {
        std::fs::write(film.join(name), vec![7; len]).unwrap();
    }
    let files = [film.join("b.mp4"), film.join("a.mp4")];
    let wanted =
        json!({"files": files, "description": "two films", "export_dir": film, "name": "two"});
    let (status, made) = api.ask("POST", "/createtorrent?download=1", &wanted.to_string());
    assert_eq!(status, 200, "{made}");
    assert!(film.join("two.torrent").exists());
    let mut list = Value::Null;
    until(|| {
        list = api.ask("GET", "/downloads?get_files=1", "").1;
        list["downloads"][0]["status"] == "DLSTATUS_SEEDING"
    });
    let one = &list["downloads"][0];
    assert_eq!(
        (&one["name"], &one["size"]),
        (&json!("films"), &json!(120_000))
    );
    assert_eq!(one["destination"], text(dir.path()));
    let names: Vec<&Value> = one["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["name"])
        .collect();
    assert_eq!(names, ["a.mp4", "b.mp4"]);
    let uri = format!("file:{}", text(&film.join("two.torrent")));
    let (_, info) = api.ask("GET", &format!("/torrentinfo?uri={uri}"), "");
    assert_eq!(info["download_exists"], true);
    // What comes by HTTP comes from the open net alone; nobody is asked for it.
    let local = json!({"uri": "http://127.0.0.1:1/x.torrent"}).to_string();
    let (status, refused) = api.ask("PUT", "/downloads", &local);
    let why = refused["error"].as_str().unwrap();
    assert!(
        status == 400 && why.contains("--api-local-urls"),
        "{status} {why}"
    );
    for none in ["http://", "http://[::1"] {
        let (status, refused) = api.ask("PUT", "/downloads", &json!({"uri": none}).to_string());
        assert_eq!(status, 400, "{none}: {refused}");
    }
    let (_, health) = api.ask(
        "GET",
        &format!(
            "/metadata/torrents/{}/health?timeout=1",
            one["infohash"].as_str().unwrap()
        ),
        "",
    );
    assert!(health["health"]["DHT"]["error"].is_string(), "{health}");
}

#[test]
fn who_follows_hears_of_the_end_that_was_asked_for() {
    let dir = folder();
    let mut daemon = Daemon::with(dir.path(), &["--api", "127.0.0.1:0"]);
    let api = Api::of(&mut daemon);
    let mut events = api.open("GET", "/events", "").lines();
    let mut hear = |word: &str| {
        let found = events
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(word));
        found.unwrap_or_else(|| panic!("{word} is not told"))
    };
    assert!(hear("events_start").contains("\"tribler_started\":true"));
    let (status, done) = api.ask("PUT", "/shutdown", "");
    assert_eq!((status, done), (200, json!({"shutdown": true})));
    assert!(hear("tribler_shutdown_state").starts_with("data: {"));
    assert!(events.all(|line| line.is_ok()), "the stream ends");
    assert_eq!(daemon.running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn this_machine_is_not_asked_for_torrents_however_its_address_is_written() {
    let dir = folder();
    let mut daemon = Daemon::with(dir.path(), &["--api", "127.0.0.1:0"]);
    let api = Api::of(&mut daemon);
    let (door, asked) = server(|_| "HTTP/1.0 200 OK\r\n\r\nd4:infode".to_owned());
    let port = door.port();
    let hosts = [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.1",
        "0",
        "localhost",
        "LOCALHOST.",
        "any.localhost",
        "%31%32%37.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "user:password@127.0.0.1",
    ];
    for host in hosts {
        let url = format!("http://{host}:{port}/x.torrent");
        let body = json!({"uri": url}).to_string();
        let query = url.replace('%', "%25").replace('@', "%40");
        for (status, refused) in [
            api.ask("PUT", "/downloads", &body),
            api.ask("GET", &format!("/torrentinfo?uri={query}"), ""),
        ] {
            let why = refused["error"].as_str().unwrap();
            assert!(matches!(status, 400 | 502), "{host}: {status} {why}");
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn servers_of_the_home_network_are_asked_where_that_is_allowed_and_send_nobody_round_in_circles() {
    let dir = folder();
    let flags = ["--api", "127.0.0.1:0", "--api-local-urls"];
    let mut daemon = Daemon::with(dir.path(), &flags);
    let api = Api::of(&mut daemon);
    let (door, asked) = server(|at| {
        format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{at}/again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    });
    let body = json!({"uri": format!("http://{door}/x.torrent")}).to_string();
    let (status, refused) = api.ask("PUT", "/downloads", &body);
    let why = refused["error"].as_str().unwrap();
    assert!(
        status == 502 && why.contains("redirected too often"),
        "{status} {why}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 6, "once, and five times more");
}

/// A server that answers every connection like this, and counts them.
fn server(
    answer: impl Fn(SocketAddr) -> String + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = door.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in door.incoming() {
            let mut stream = stream.unwrap();
            asked.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer(at).as_bytes());
        }
    });
    (at, count)
}

#[test]
fn what_is_in_a_link_is_shown_before_it_is_added_and_looks_into_the_process_are_real() {
    let dir = folder();
    many(dir.path(), 1);
    let theirs = dir.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::write(theirs.join("f00000"), content(0, 100)).unwrap();
    let mut seed = Daemon::with(
        &theirs,
        &["--output", text(&theirs), "--api", "127.0.0.1:0"],
    );
    let uri = format!("file:{}", text(&dir.path().join("f00000.torrent")));
    let wanted = json!({"uri": uri}).to_string();
    let (_, added) = Api::of(&mut seed).ask("PUT", "/downloads", &wanted);
    let hash = added["infohash"].as_str().unwrap();
    seed.until(hash, |torrent| torrent["state"] == "seeding");
    let peer = seed.serving["listen"].as_str().unwrap();
    let path = format!("/torrentinfo?uri=magnet:%3fxt=urn:btih:{hash}%26x.pe={peer}");
    let ours = dir.path().join("ours");
    std::fs::create_dir(&ours).unwrap();
    let more = ["--api", "127.0.0.1:0", "--api-local-urls"];
    let mut daemon = Daemon::with(&ours, &more);
    let api = Api::of(&mut daemon);
    let (status, info) = api.ask("GET", &path, "");
    assert_eq!(
        (status, &info["download_exists"]),
        (200, &Value::Null),
        "{info}"
    );
    let shown = info["metainfo"].as_str().unwrap().as_bytes().chunks(2);
    let shown = shown.map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16));
    let shown: Vec<u8> = shown.map(Result::unwrap).collect();
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(
        (&shown["info"]["name"], &shown["info"]["length"]),
        (&json!("f00000"), &json!(100))
    );
    // Nothing of it is left.
    assert_eq!(daemon.count(), 0);
    let left = std::fs::read_dir(&daemon.state)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().starts_with("look"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let (_, dump) = api.ask("GET", "/debug/memory/dump", "");
    assert!(dump["kinds"]["heap"]["rss"].as_u64().unwrap() > 0, "{dump}");
    assert_eq!(api.ask("PUT", "/debug/profiler", "").0, 200);
    assert_eq!(api.ask("GET", "/debug/profiler", "").1["state"], "STARTED");
    let (status, stopped) = api.ask("DELETE", "/debug/profiler", "");
    let file = stopped["profiler_file"].as_str().unwrap();
    assert!(
        status == 200 && std::path::Path::new(file).starts_with(&daemon.state),
        "{stopped}"
    );
    assert!(std::path::Path::new(file).exists());
    let (_, log) = api.ask("GET", "/debug/log?max_lines=1000", "");
    let log = log["content"].as_str().unwrap();
    assert!(log.contains(" INFO ") && log.contains("Serving"), "{log}");
    assert!(!log.contains(&api.key), "{log}");
}

#[test]
fn a_key_that_no_header_can_have_is_refused() {
    let dir = folder();
    let state = dir.path().join("state");
    // A daemon that took the key would end as well, for its port is taken.
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = door.local_addr().unwrap().to_string();
    for key in ["two words", "line\n", "schl\u{fc}ssel", &"x".repeat(2000)] {
        let more = ["--api", &at, "--api-key", key];
        let ran = run([flags(text(&state)), more.to_vec()].concat());
        assert_eq!(ran.code, 2, "{key}: {ran:?}");
        assert!(ran.err.contains("CORE_API_KEY"), "{ran:?}");
    }
}
