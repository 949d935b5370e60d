//! `check-update` against a small server (BEP 39).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use super::support::{create, run, text, write};

/// Answers one request; gives the address, and the first line of the request.
fn serve(status: &'static str, body: Vec<u8>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    (addr, serve_at(listener, status, body))
}

fn serve_at(listener: TcpListener, status: &'static str, body: Vec<u8>) -> Receiver<String> {
    let (heard, asked) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let first = lines.next().unwrap_or_default();
        let _ = lines.find(String::is_empty);
        let _ = heard.send(first);
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
        let _ = stream.write_all(&[head.as_bytes(), &body].concat());
    });
    asked
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        write(&folder.path("old"), b"old content");
        write(&folder.path("new"), b"new content");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a torrent of `name`; gives its place.
    fn torrent(&self, name: &str, more: &[&str]) -> PathBuf {
        let torrent = self.path(&format!("{name}.torrent"));
        create(&self.path(name), &torrent, &[more, &["--force"]].concat()).ok();
        torrent
    }

    /// Asks for what is newer than the old one, which names `addr`, where this is the answer.
    fn check(&self, status: &'static str, body: Vec<u8>, more: &[&str]) -> (Value, String) {
        let (addr, asked) = serve(status, body);
        let url = format!("http://{addr}/feed");
        let old = self.torrent("old", &[&["--update-url", &url], more].concat());
        let ran = run(["check-update", text(&old), "--json"]).ok().json();
        assert_eq!(ran["update_url"], url);
        (ran, asked.recv().unwrap())
    }
}

fn hash(torrent: &Path) -> Value {
    run(["info", text(torrent), "--json"]).ok().json()["info_hash_v1"].clone()
}

#[test]
fn a_newer_torrent_is_shown_and_asked_for_by_the_hash_of_the_older() {
    let folder = Folder::new();
    let new = folder.torrent("new", &[]);
    let bytes = std::fs::read(&new).unwrap();
    let (found, asked) = folder.check("200 OK", bytes, &[]);
    let old = hash(&folder.path("old.torrent"));
    assert_eq!(
        asked,
        format!("GET /feed?info_hash={} HTTP/1.1", old.as_str().unwrap())
    );
    assert_eq!(
        (&found["state"], &found["info_hash"]),
        (&"newer".into(), &old)
    );
    assert_eq!(found["newer"]["info_hash"], hash(&new));
    assert_eq!(found["newer"]["name"], "new");
    assert_eq!(found["newer"]["signed_by_originator"], Value::Null);
}

#[test]
fn what_is_no_newer_torrent_is_said_to_be_none() {
    let folder = Folder::new();
    let (found, _) = folder.check("404 Not Found", b"no".to_vec(), &[]);
    assert_eq!(found["state"], "none");
    assert!(found["reason"].as_str().unwrap().contains("404"), "{found}");
    let (found, _) = folder.check("200 OK", b"<html>".to_vec(), &[]);
    assert_eq!(found["state"], "none");
    // The same torrent again.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let old = folder.torrent("old", &["--update-url", &url]);
    let _asked = serve_at(listener, "200 OK", std::fs::read(&old).unwrap());
    let found = run(["check-update", text(&old), "--json"]).ok().json();
    assert_eq!(found["state"], "same");
}

#[test]
fn a_url_that_asks_something_else_of_a_neighbour_is_not_followed() {
    let folder = Folder::new();
    let (addr, asked) = serve("200 OK", Vec::new());
    for url in [
        format!("http://{addr}/admin?reboot=1"),
        "http://169.254.169.254/".to_owned(),
    ] {
        let old = folder.torrent("old", &["--update-url", &url]);
        let ran = run(["check-update", text(&old)]);
        assert_eq!(ran.code, 1, "{ran:?}");
    }
    assert!(asked.try_recv().is_err(), "it was asked");
    let none = folder.torrent("new", &[]);
    let ran = run(["check-update", text(&none)]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("names no place"), "{ran:?}");
}

#[test]
fn what_the_originator_has_not_signed_is_written_only_when_that_is_insisted_on() {
    let folder = Folder::new();
    let openssl = |args: &str| {
        let mut command = Command::new("openssl");
        command
            .args(args.split(' '))
            .current_dir(&folder.0)
            .output()
    };
    let made =
        "req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=com.us -keyout key.pem -out cert.pem";
    if openssl(made).is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "in CI openssl must be there"
        );
        println!("skipped: there is no openssl");
        return;
    }
    let [key, cert, output] = ["key.pem", "cert.pem", "written"].map(|name| folder.path(name));
    let sign = ["--sign-key", text(&key), "--certificate", text(&cert)];
    let check = |signed: bool, more: &[&str]| {
        let new = folder.torrent("new", if signed { &sign } else { &[] });
        let (addr, _asked) = serve("200 OK", std::fs::read(&new).unwrap());
        let url = format!("http://{addr}/");
        let old = ["--update-url", &url, "--originator", text(&cert)];
        let old = folder.torrent("old", &old);
        let args = ["check-update", text(&old), "--json", "-o", text(&output)];
        run(args.iter().chain(more))
    };
    let refused = check(false, &[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(refused.json()["newer"]["signed_by_originator"], false);
    assert!(
        !output.exists() && refused.err.contains("not signed"),
        "{refused:?}"
    );
    check(false, &["--unsigned"]).ok();
    std::fs::remove_file(&output).unwrap();
    let signed = check(true, &[]).ok().json();
    assert_eq!(signed["newer"]["signed_by_originator"], true);
    assert_eq!(hash(&output), signed["newer"]["info_hash"]);
    // What is there is never written over.
    assert_eq!(check(true, &[]).code, 1);
}
