//! Feeds that torrents are taken from.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{Daemon, folder, many};
use crate::running::until;
use crate::support::text;

/// Pages by their paths: the beginning of the head, and the body.
type Pages = BTreeMap<String, (String, Vec<u8>)>;

/// A server of a few pages; it keeps the heads of what it was asked.
struct Server {
    at: String,
    pages: Arc<Mutex<Pages>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let server = Self {
            at,
            pages: Arc::default(),
            asked: Arc::default(),
        };
        let (pages, asked) = (Arc::clone(&server.pages), Arc::clone(&server.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let head = head(&stream);
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let page = pages.lock().unwrap().get(&path).cloned();
                asked.lock().unwrap().push(head.to_ascii_lowercase());
                let (more, body) =
                    page.unwrap_or_else(|| ("HTTP/1.1 404 No\r\n".to_owned(), Vec::new()));
                let same = more.contains("ETag: ")
                    && head.to_ascii_lowercase().contains("if-none-match: \"1\"");
                let (more, body) = if same {
                    ("HTTP/1.1 304 Same\r\n".to_owned(), Vec::new())
                } else {
                    (more, body)
                };
                let head = format!(
                    "{more}Connection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let _ = (&stream).write_all(&[head.as_bytes(), &body].concat());
            }
        });
        server
    }

    fn put(&self, path: &str, head: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {head}\r\n");
        self.pages
            .lock()
            .unwrap()
            .insert(path.to_owned(), (head, body.to_vec()));
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.at)
    }

    fn asked(&self, words: &str) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|head| head.contains(words))
            .count()
    }
}

fn head(stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut lines = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

fn rss(items: &[(&str, &str)]) -> Vec<u8> {
    let items: Vec<String> = items
        .iter()
        .map(|(title, url)| format!("<item><title>{title}</title><guid>{title}</guid><enclosure type='application/x-bittorrent' url='{url}'/></item>"))
        .collect();
    format!(
        "<rss><channel><title>F</title>{}</channel></rss>",
        items.concat()
    )
    .into_bytes()
}

fn shows() -> Vec<u8> {
    let link = format!("magnet:?xt=urn:btih:{}&amp;dn=link", "ab".repeat(20));
    rss(&[
        ("Show S01E01 1080p", "/0.torrent"),
        ("Show S01E01 720p", "/1.torrent"),
        ("Show S01E02 CAM", "/2.torrent"),
        ("Show S01E03", &link),
        ("Other", "/1.torrent"),
    ])
}

fn what(items: &[Value]) -> Vec<(&str, &str)> {
    let word = |row: &'_ Value, name: &str| -> &'static str {
        Box::leak(row[name].as_str().unwrap().to_owned().into_boxed_str())
    };
    items
        .iter()
        .map(|row| (word(row, "title"), word(row, "what")))
        .collect()
}

#[test]
fn items_are_taken_by_rules_once_and_a_preview_takes_nothing() {
    let dir = folder();
    many(&dir.path().join("t"), 3);
    let server = Server::start();
    for number in 0..3 {
        let bytes = std::fs::read(dir.path().join(format!("t/f{number:05}.torrent"))).unwrap();
        server.put(&format!("/{number}.torrent"), "200 OK", &bytes);
    }
    server.put("/feed", "200 OK\r\nETag: \"1\"", &shows());
    let daemon = Daemon::start(dir.path());
    let url = server.url("/feed");
    let rule = ["--include", "show", "--exclude", "cam", "--once"];
    let args: Vec<&str> = ["feeds", "preview", &url]
        .iter()
        .chain(&rule)
        .copied()
        .collect();
    let due = [
        ("Show S01E01 1080p", "take"),
        ("Show S01E01 720p", "skip"),
        ("Show S01E02 CAM", "skip"),
        ("Show S01E03", "take"),
        ("Other", "skip"),
    ];
    assert_eq!(what(&daemon.told(&args)), due);
    assert_eq!(daemon.count(), 0);
    assert_eq!(server.asked(".torrent"), 0);

    daemon
        .ctl(&[
            "feeds",
            "add",
            "shows",
            &url,
            "--paused",
            "--category",
            "tv",
        ])
        .ok();
    let more = ["--tag", "new"];
    let args = ["feeds", "rule", "shows", "mine"];
    let args: Vec<&str> = args.iter().chain(&rule).chain(&more).copied().collect();
    daemon.ctl(&args).ok();
    until(|| daemon.count() == 2);
    let shown = &daemon.told(&["show", "f00000"])[0];
    assert_eq!(
        (&shown["category"], &shown["tags"], &shown["state"]),
        (&"tv".into(), &serde_json::json!(["new"]), &"paused".into())
    );
    let taken = "events --since 0 --only feed_taken --count 2";
    let events = daemon.told(&taken.split(' ').collect::<Vec<_>>());
    assert_eq!(
        (&events[0]["rule"], &events[0]["title"]),
        (&"mine".into(), &"Show S01E01 1080p".into())
    );
    until(|| daemon.told(&["feeds"])[0]["taken"] == 2);
    assert_eq!(daemon.told(&["feeds"])[0]["title"], "F");
    // What was removed is not taken again, nor after a restart; and the feed is asked for what is new.
    daemon.ctl(&["remove", "--all"]).ok();
    daemon.ctl(&["shutdown"]).ok();
    let daemon = Daemon::start(dir.path());
    let previewed = daemon.told(&["feeds", "preview", "shows"]);
    assert_eq!(what(&previewed)[0].1, "taken");
    let words = daemon.ctl(&["feeds", "preview", "shows"]).ok().out;
    assert!(words.contains("no rule fits"), "{words}");
    let newer = rss(&[
        ("Show S01E01 1080p", "/0.torrent"),
        ("Show S01E04", "/2.torrent"),
    ]);
    server.put("/feed", "200 OK\r\nETag: \"2\"", &newer);
    daemon.ctl(&["feeds", "fetch", "shows"]).ok();
    until(|| daemon.count() == 1);
    assert_eq!(daemon.told(&["list"])[0]["name"], "f00002");
    assert_eq!(server.asked("get /0.torrent"), 1);
    assert_eq!(server.asked("get /1.torrent"), 0);
    daemon.ctl(&["feeds", "remove", "shows"]).ok();
    assert!(daemon.told(&["feeds"]).is_empty());
}

#[test]
fn a_feed_that_fails_or_is_none_is_told_and_what_cannot_be_is_refused() {
    let dir = folder();
    let server = Server::start();
    server.put("/page", "200 OK", b"<!DOCTYPE html><html></html>");
    let daemon = Daemon::start(dir.path());
    daemon
        .ctl(&["feeds", "add", "page", &server.url("/page")])
        .ok();
    daemon
        .ctl(&["feeds", "add", "gone", &server.url("/gone")])
        .ok();
    let events = daemon.told(&[
        "events",
        "--since",
        "0",
        "--only",
        "feed_failed",
        "--count",
        "2",
    ]);
    let mut told: Vec<_> = events
        .iter()
        .map(|it| it["error"].as_str().unwrap())
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "the server answered with status 404",
            "this is a web page, and no feed"
        ]
    );
    for (args, code, why) in [
        (&["feeds", "add", "x", "ftp://x/"][..], 2, "http://"),
        (&["feeds", "rule", "none", "r"], 3, "no feed none"),
        (&["feeds", "rule", "page", "r", "--remove"], 3, "no rule r"),
        (
            &["feeds", "rule", "page", "r", "--regex", "--include", "("],
            2,
            "regular expression",
        ),
        (
            &["feeds", "rule", "page", "r", "--episodes", "x"],
            2,
            "episodes are such as",
        ),
        (&["feeds", "preview", "none"], 3, "no feed none"),
        (&["feeds", "preview", &server.url("/gone")], 1, "status 404"),
        (&["feeds", "remove", "none"], 3, "no feed none"),
        (&["feeds", "fetch", "none"], 3, "no feed none"),
    ] {
        let ran = daemon.ctl(args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(ran.err.contains(why), "{args:?}: {ran:?}");
    }
}

#[test]
fn only_what_is_new_is_taken_where_that_is_wanted_and_links_may_be_behind_addresses() {
    let dir = folder();
    let server = Server::start();
    let link = format!("magnet:?xt=urn:btih:{}", "cd".repeat(20));
    server.put("/go", &format!("302 Found\r\nLocation: {link}"), b"");
    server.put("/feed", "200 OK", &rss(&[("old", "/go")]));
    let daemon = Daemon::start(dir.path());
    daemon
        .ctl(&[
            "feeds",
            "add",
            "f",
            &server.url("/feed"),
            "--all",
            "--only-new",
            "--paused",
        ])
        .ok();
    until(|| daemon.told(&["feeds"])[0]["taken"] == 1);
    assert_eq!(daemon.count(), 0);
    server.put("/feed", "200 OK", &rss(&[("old", "/go"), ("new", "/go")]));
    daemon.ctl(&["feeds", "fetch", "f"]).ok();
    until(|| daemon.count() == 1);
    assert_eq!(daemon.told(&["list"])[0]["info_hash"], "cd".repeat(20));
    assert_eq!(text(&daemon.state), text(&dir.path().join("state")));
}
