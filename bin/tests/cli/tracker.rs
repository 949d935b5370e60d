//! `tracker` as operators and clients meet it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::openmetrics;
use super::support::{command, run, text};

const TOKEN: &str = "0123456789abcdef";

/// A running tracker, and what it has said. It is ended with this.
struct Tracker {
    child: Child,
    out: BufReader<ChildStdout>,
    said: Value,
}

impl Tracker {
    fn start(state: &Path, more: &[&str]) -> Self {
        let mut child = command()
            .args(["tracker", "--json", "--state", text(state)])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut tracker = Self {
            out: BufReader::new(child.stdout.take().unwrap()),
            child,
            said: Value::Null,
        };
        tracker.said = tracker.line();
        assert_eq!(tracker.said["event"], "listening");
        tracker
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &id]).status();
        assert!(kill.unwrap().success());
    }

    /// Ends it as a service manager does.
    fn end(mut self) {
        self.signal("TERM");
        assert_eq!(self.line()["event"], "stopping");
        assert!(self.child.wait().unwrap().success());
    }

    fn get(&self, server: &str, path: &str) -> String {
        let said = &self.said[server];
        let at = said.as_array().map_or(said, |list| &list[0]);
        let at = at.as_str().unwrap();
        let mut stream = TcpStream::connect(at).unwrap();
        let long = Some(Duration::from_secs(60));
        stream.set_read_timeout(long).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        String::from_utf8_lossy(&reply).into_owned()
    }

    fn announce(&self, more: &str) -> String {
        let hash = "a".repeat(20);
        let path = format!("/announce?info_hash={hash}&peer_id={hash}&port=1{more}");
        self.get("http", &path)
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn completions_are_there_again_and_settings_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tracker.toml");
    let settings = |interval: u32| {
        format!(
            "announce.interval = {interval}\n[[http]]\nbind = \"127.0.0.1:0\"\n[api]\nbind = \"127.0.0.1:0\"\n\
             tokens.me = \"{TOKEN}\"\n[health]\nbind = \"127.0.0.1:0\"\n"
        )
    };
    std::fs::write(&config, settings(1800)).unwrap();
    let state = folder.path().join("state");
    let flags = ["--config", text(&config), "--udp", "127.0.0.1:0"];
    let mut tracker = Tracker::start(&state, &flags);
    assert_eq!(tracker.said["udp"].as_array().unwrap().len(), 1);
    assert!(tracker.announce("&left=1").contains("8:intervali1800e"));
    tracker.announce("&left=0&event=completed");

    std::fs::write(&config, settings(1000)).unwrap();
    tracker.signal("HUP");
    let line = tracker.line();
    assert_eq!(
        (&line["event"], &line["changed"][0]),
        (&"reloaded".into(), &"announce".into())
    );
    assert!(tracker.announce("&left=0").contains("8:intervali1000e"));
    std::fs::write(&config, settings(1)).unwrap();
    tracker.signal("HUP");
    let line = tracker.line();
    assert_eq!(line["event"], "not_reloaded");
    assert!(
        line["reason"]
            .as_str()
            .unwrap()
            .contains("announce.interval"),
        "{line}"
    );
    assert!(tracker.announce("&left=0").contains("8:intervali1000e"));

    let page = tracker.get("api", &format!("/metrics?token={TOKEN}"));
    openmetrics::check(page.split_once("\r\n\r\n").unwrap().1, 15);
    let health = tracker.get("health", "/health_check");
    assert!(health.contains(r#""status":"Ok""#), "{health}");
    tracker.end();

    std::fs::write(&config, settings(1800)).unwrap();
    let tracker = Tracker::start(&state, &flags);
    let scraped = tracker.get("http", &format!("/scrape?info_hash={}", "a".repeat(20)));
    assert!(scraped.contains("10:downloadedi1e"), "{scraped}");
    tracker.end();
}

#[test]
fn what_is_wrong_with_settings_is_told_and_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tracker.toml");
    std::fs::write(&config, "[announce]\n# seconds\nintervall = 5\n").unwrap();
    let ran = run(["tracker", "--config", text(&config), "--check"]);
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran:?}");
    assert!(
        ran.err.contains("line 3: unknown field `intervall`"),
        "{ran:?}"
    );
    let ran = run(["tracker", "--config", text(&config)]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = run(["tracker"]);
    assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{ran:?}");
    let ran = run(["tracker", "--config", "/nonexistent/x", "--check"]);
    assert_eq!(ran.code, 3, "{ran:?}");

    let page = run(["tracker", "--print-config"]).ok().out;
    std::fs::write(&config, page).unwrap();
    let flags = [
        "--config",
        text(&config),
        "--http",
        "127.0.0.1:0",
        "--check",
    ];
    run(["tracker"].iter().chain(&flags)).ok();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let ran = run(["tracker", "--http", &at, "--forget"]);
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran:?}");
    assert!(ran.err.contains(&at), "{ran:?}");
}

/// A tracker of this system alone tells what it may have open.
#[cfg(target_os = "linux")]
#[test]
fn all_files_that_a_tracker_may_open_are_connections_and_more_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let like = command();
    let envs = like
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut child = Command::new("prlimit")
        .args(["--nofile=50:100"])
        .arg(like.get_program())
        .args([
            "tracker",
            "--json",
            "--workers",
            "1",
            "--http",
            "127.0.0.1:0",
        ])
        .args(["--state", text(folder.path())])
        .envs(envs)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tracker = Tracker {
        out: BufReader::new(child.stdout.take().unwrap()),
        child,
        said: Value::Null,
    };
    tracker.said = tracker.line();
    let limits = format!("/proc/{}/limits", tracker.child.id());
    let limits = std::fs::read_to_string(limits).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let files: Vec<_> = files.unwrap().split_whitespace().skip(3).collect();
    assert_eq!(files, ["100", "100", "files"]);

    let at = tracker.said["http"][0].as_str().unwrap();
    let guests = [(); 120].map(|()| {
        let mut guest = TcpStream::connect(at).unwrap();
        guest.write_all(b"GET /announce?").unwrap();
        guest
    });
    let err = BufReader::new(tracker.child.stderr.take().unwrap());
    let told = err.lines().find(|line| {
        let line = line.as_ref().unwrap();
        line.contains("the system gives no more connections")
    });
    assert!(told.is_some(), "it ended");
    drop(guests);
    assert!(tracker.announce("").contains("interval"));
    tracker.end();
}
