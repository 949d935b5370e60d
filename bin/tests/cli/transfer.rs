//! `download`, `seed` and `demo`, on the loopback address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{command, content, create, run, run_with, text, write};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with content and its torrent.
struct Shared {
    dir: tempfile::TempDir,
    torrent: PathBuf,
}

impl Shared {
    fn new(format: &str) -> Self {
        Self::named("data", format)
    }

    fn named(name: &str, format: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("seed").join(name);
        write(&data.join("a.bin"), &content(1, 700_000));
        write(&data.join("b/c.bin"), &content(2, 50_000));
        write(&data.join("b/empty"), b"");
        write(&data.join("d.txt"), b"x");
        let torrent = dir.path().join("t.torrent");
        create(
            &data,
            &torrent,
            &["--format", format, "--piece-length", "32KiB"],
        )
        .ok();
        Self { dir, torrent }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The torrent's magnet link.
    fn magnet(&self) -> String {
        let about = run(["info", text(&self.torrent), "--json"]).ok().json();
        about["magnet"].as_str().unwrap().to_owned()
    }

    /// Asserts that of the files with bytes exactly these are below `down`, and right.
    fn assert_fetched(&self, down: &Path, files: &[&str]) {
        for file in ["a.bin", "b/c.bin", "d.txt"] {
            let [ours, theirs] = [down, &self.path("seed")].map(|dir| dir.join("data").join(file));
            assert_eq!(ours.exists(), files.contains(&file), "{file}");
            assert!(!ours.exists() || same(&theirs, &ours), "{file}");
        }
    }

    /// A seeder of the content and the address that peers find it at.
    fn seed(&self) -> (Running, String) {
        let data = self.path("seed");
        let state = self.path("state-seed");
        let mut seeder = Running::start(&[
            "seed",
            text(&self.torrent),
            "--data",
            text(&data),
            "--listen",
            "127.0.0.1:0",
            "--no-lsd",
            "--no-dht",
            "--json",
            "--state",
            text(&state),
        ]);
        let addr = seeder.wait_for("listening")["addr"]
            .as_str()
            .unwrap()
            .to_owned();
        seeder.wait_for("seeding");
        (seeder, addr)
    }
}

/// The arguments of a download of `source` from `peer`.
fn download<'a>(source: &'a str, peer: &'a str, output: &'a Path, state: &'a Path) -> Vec<&'a str> {
    vec![
        "download",
        source,
        "--output",
        text(output),
        "--listen",
        "127.0.0.1:0",
        "--no-lsd",
        "--no-dht",
        "--peer",
        peer,
        "--state",
        text(state),
        "--json",
    ]
}

/// A command that runs; killed when dropped.
struct Running {
    child: Child,
    lines: Receiver<Value>,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut command = command();
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        Self { child, lines }
    }

    /// The next line of this event.
    fn wait_for(&mut self, event: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until - Instant::now()) {
                Ok(line) if line["event"] == event => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no `{event}` came"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without `{event}`"),
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// The exit code.
    fn end(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The events of JSON lines, in order.
fn events(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect()
}

fn same(one: &Path, other: &Path) -> bool {
    std::fs::read(one).unwrap() == std::fs::read(other).unwrap()
}

#[test]
fn a_download_says_what_it_does_and_ends_with_the_right_bytes() {
    let shared = Shared::new("hybrid");
    let (seeder, addr) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    let lines = run(download(&torrent, &addr, &down, &state))
        .ok()
        .json_lines();
    let events = events(&lines);
    assert_eq!(events[..2], ["added", "listening"], "{lines:?}");
    assert_eq!(events.last(), Some(&"finished"), "{lines:?}");
    assert!(
        events[2..events.len() - 1]
            .iter()
            .all(|event| *event == "progress"),
        "{lines:?}"
    );
    assert!(events.len() > 3, "{lines:?}");
    assert_eq!(lines[0]["name"], "data");
    assert_eq!(lines[0]["size"], 750_001);
    let progress = &lines[lines.len() - 2];
    assert_eq!(progress["done"], 750_001);
    assert_eq!(progress["size"], 750_001);
    for key in ["down", "up", "peers"] {
        assert!(progress[key].is_u64(), "{progress}");
    }
    assert!(lines.last().unwrap()["seconds"].is_f64());
    for file in ["a.bin", "b/c.bin", "b/empty", "d.txt"] {
        let (one, other) = (
            shared.path("seed/data").join(file),
            down.join("data").join(file),
        );
        assert!(same(&one, &other), "{file}");
    }
    // Once more: all is there, and that is seen without a peer.
    let lines = run(download(&torrent, "127.0.0.1:9", &down, &state))
        .ok()
        .json_lines();
    assert_eq!(lines.last().unwrap()["event"], "finished");
    seeder.signal("TERM");
    assert_eq!(seeder.end(), 0);
}

#[test]
fn a_magnet_link_fetches_the_chosen_files_only() {
    let shared = Shared::new("v1");
    let (_seeder, addr) = shared.seed();
    let magnet = shared.magnet();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let mut args = download(&magnet, &addr, &down, &state);
    args.extend(["--files", "c.bin"]);
    let lines = run(args).ok().json_lines();
    assert!(events(&lines).contains(&"metadata"), "{lines:?}");
    shared.assert_fetched(&down, &["b/c.bin"]);
}

#[test]
fn a_magnet_link_may_choose_files_itself() {
    let shared = Shared::new("v1");
    let (_seeder, addr) = shared.seed();
    let magnet = format!("{}&so=1,77", shared.magnet());
    let (down, state) = (shared.path("down"), shared.path("state"));
    run(download(&magnet, &addr, &down, &state)).ok();
    shared.assert_fetched(&down, &["b/c.bin"]);
    // What is asked for on the command line goes before.
    let other = shared.path("other");
    let mut args = download(&magnet, &addr, &other, &state);
    args.extend(["--files", "a.bin"]);
    run(args).ok();
    shared.assert_fetched(&other, &["a.bin"]);
}

#[test]
fn a_magnet_link_that_chooses_no_file_of_the_torrent_is_an_error() {
    let shared = Shared::new("v1");
    let (_seeder, addr) = shared.seed();
    let magnet = format!("{}&so=70-9000", shared.magnet());
    let (down, state) = (shared.path("down"), shared.path("state"));
    let ran = run(download(&magnet, &addr, &down, &state));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("selects no file"), "{ran:?}");
    assert!(!down.join("data").exists());
}

#[test]
fn several_sources_are_fetched_at_a_time_and_repeated_ones_once() {
    let (one, other) = (Shared::new("v1"), Shared::named("other", "hybrid"));
    let (_first, first) = one.seed();
    let (_second, second) = other.seed();
    let (down, state) = (one.path("down"), one.path("state"));
    let torrent = text(&one.torrent).to_owned();
    let mut args = download(&torrent, &first, &down, &state);
    args.extend([text(&other.torrent), &torrent, "--peer", &second]);
    let ran = run(args).ok();
    let lines = ran.json_lines();
    let count = |name: &str| {
        events(&lines)
            .iter()
            .filter(|event| **event == name)
            .count()
    };
    assert_eq!((count("added"), count("finished")), (2, 2), "{ran:?}");
    assert!(ran.err.contains("twice"), "{ran:?}");
}

#[test]
fn failures_are_json_lines_too() {
    let ran = run(["download", "/nonexistent/x.torrent", "--json"]);
    assert_eq!(ran.code, 3);
    let line = ran.json();
    assert_eq!(line["event"], "error");
    assert!(line["message"].as_str().unwrap().contains("/nonexistent"));
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_at_once() {
    let shared = Shared::new("v1");
    let state = shared.path("state");
    let torrent = text(&shared.torrent).to_owned();
    for output in [
        shared.torrent.clone(),
        shared.torrent.join("below"),
        "/proc/1/x".into(),
    ] {
        let ran = run(download(&torrent, "127.0.0.1:9", &output, &state));
        assert_eq!(ran.code, 1, "{ran:?}");
    }
}

#[test]
fn files_are_chosen_by_number() {
    let shared = Shared::new("hybrid");
    let (_seeder, addr) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    let mut args = download(&torrent, &addr, &down, &state);
    args.extend(["--files", "0"]);
    let lines = run(args).ok().json_lines();
    // Padding after the file is not counted.
    let progress = &lines[lines.len() - 2];
    assert_eq!(progress["size"], 700_000, "{progress}");
    assert_eq!(progress["done"], 700_000, "{progress}");
    assert!(same(
        &shared.path("seed/data/a.bin"),
        &down.join("data/a.bin")
    ));
    assert!(!down.join("data/b/c.bin").exists());
    let mut args = download(&torrent, &addr, &down, &state);
    args.extend(["--files", "99"]);
    assert_eq!(run(args).code, 3);
    let mut args = download(&torrent, &addr, &down, &state);
    args.extend(["--files", "*.mkv"]);
    assert_eq!(run(args).code, 3);
}

#[test]
fn a_torrent_is_fetched_over_http_and_read_from_standard_input() {
    let shared = Shared::new("hybrid");
    let (_seeder, addr) = shared.seed();
    let torrent = std::fs::read(&shared.torrent).unwrap();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let url = serve_once("200 OK", torrent.clone());
    run(download(&url, &addr, &down, &state)).ok();
    assert!(same(
        &shared.path("seed/data/a.bin"),
        &down.join("data/a.bin")
    ));

    let (down, state) = (shared.path("down2"), shared.path("state2"));
    run_with(download("-", &addr, &down, &state), &torrent).ok();
    assert!(same(
        &shared.path("seed/data/a.bin"),
        &down.join("data/a.bin")
    ));

    let about = run(["info", &serve_once("200 OK", torrent), "--json"])
        .ok()
        .json();
    assert_eq!(about["name"], "data");
    assert_eq!(
        run(["info", &serve_once("404 Not Found", Vec::new())]).code,
        3
    );
    assert_eq!(run(["info", &serve_once("500 Oh", Vec::new())]).code, 1);
    assert_eq!(
        run(["info", &serve_once("200 OK", b"hello".to_vec())]).code,
        1
    );
}

/// Answers one HTTP request; gives the URL.
fn serve_once(status: &'static str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.torrent", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            head.push(byte[0]);
        }
        let length = body.len();
        let reply = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(reply.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
    });
    url
}

#[test]
fn keeping_on_seeding_ends_by_the_goal_or_by_a_signal() {
    let shared = Shared::new("hybrid");
    let (_seeder, addr) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    let mut args = download(&torrent, &addr, &down, &state);
    args.extend(["--seed-time", "300ms"]);
    let lines = run(&args).ok().json_lines();
    assert!(events(&lines).contains(&"seeding"), "{lines:?}");

    let mut args = download(&torrent, &addr, &down, &state);
    args.push("--keep-seeding");
    let mut running = Running::start(&args);
    running.wait_for("finished");
    running.wait_for("seeding");
    running.signal("INT");
    assert_eq!(running.end(), 0);
}

#[test]
fn a_download_that_is_stopped_before_its_end_has_failed() {
    let shared = Shared::new("hybrid");
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    // Nobody listens at the discard port.
    let mut running = Running::start(&download(&torrent, "127.0.0.1:9", &down, &state));
    running.wait_for("listening");
    let asked = Instant::now();
    running.signal("INT");
    assert_eq!(running.end(), 1);
    assert!(asked.elapsed() < Duration::from_secs(10));
}

/// A tracker that answers one announce and then takes requests without a word; gives its URL.
fn falling_silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if kept.is_empty() {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                    head.push(byte[0]);
                }
                let body = "d8:intervali1800e5:peers0:e";
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
                )
                .unwrap();
            }
            kept.push(stream);
        }
    });
    url
}

/// A seeder whose tracker knows of it and will not answer its farewell.
fn seeder_with_silent_tracker(shared: &Shared) -> Running {
    let tracker = falling_silent();
    let data = shared.path("seed/data");
    let torrent = shared.path("tracked.torrent");
    create(&data, &torrent, &["--tracker", &tracker]).ok();
    let (data, state) = (shared.path("seed"), shared.path("state-tracked"));
    let mut running = Running::start(&[
        "seed",
        text(&torrent),
        "--data",
        text(&data),
        "--listen",
        "127.0.0.1:0",
        "--no-lsd",
        "--no-dht",
        "--json",
        "--state",
        text(&state),
        "--log",
        "engine=debug",
    ]);
    running.wait_for("seeding");
    running.wait_for("tracker");
    running
}

#[test]
fn a_silent_tracker_does_not_hold_the_end_up_for_long() {
    let shared = Shared::new("hybrid");
    let running = seeder_with_silent_tracker(&shared);
    let asked = Instant::now();
    running.signal("TERM");
    assert_eq!(running.end(), 0);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
}

#[test]
fn a_second_signal_ends_at_once() {
    let shared = Shared::new("hybrid");
    let mut running = seeder_with_silent_tracker(&shared);
    running.signal("INT");
    running.wait_for("stopping");
    running.signal("INT");
    assert_eq!(running.end(), 130);
}

#[test]
fn data_that_is_not_complete_is_not_seeded() {
    let shared = Shared::new("hybrid");
    let file = shared.path("seed/data/a.bin");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (data, state) = (shared.path("seed"), shared.path("state"));
    let ran = run([
        "seed",
        text(&shared.torrent),
        "--data",
        text(&data),
        "--listen",
        "127.0.0.1:0",
        "--no-lsd",
        "--no-dht",
        "--json",
        "--state",
        text(&state),
    ]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(
        ran.json_lines().last().unwrap()["event"],
        "error",
        "{ran:?}"
    );
    assert!(ran.err.contains("1 of"), "{ran:?}");
}

#[test]
fn a_taken_port_is_passed_over_and_a_foreign_address_is_refused() {
    let shared = Shared::new("hybrid");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (data, state) = (shared.path("seed"), shared.path("state"));
    let listen = format!("127.0.0.1:{port}");
    let mut running = Running::start(&[
        "seed",
        text(&shared.torrent),
        "--data",
        text(&data),
        "--listen",
        &listen,
        "--no-lsd",
        "--no-dht",
        "--json",
        "--state",
        text(&state),
        "--no-check",
    ]);
    let addr = running.wait_for("listening");
    assert_ne!(addr["addr"], listen);
    for bind in ["192.0.2.1", "nosuchinterface0"] {
        let ran = run([
            "download",
            &"0".repeat(40),
            "--bind",
            bind,
            "--state",
            text(&state),
        ]);
        assert_eq!(ran.code, 2, "{ran:?}");
    }
}

#[test]
fn the_demonstration_cleans_up_when_it_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command();
    command
        .args(["demo", "--size", "2GiB"])
        .env("TMPDIR", dir.path());
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    let begun = || {
        let mut folders = std::fs::read_dir(dir.path()).unwrap();
        folders.any(|folder| folder.unwrap().path().join("seeder/demo.bin").exists())
    };
    while !begun() {
        assert!(Instant::now() < until, "no payload came");
        std::thread::yield_now();
    }
    let sent = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_demonstration_does_the_whole_job_and_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command();
    let ran = command
        .args(["demo", "--size", "3MiB", "--json"])
        .env("TMPDIR", dir.path())
        .output();
    let ran = ran.unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{out}");
    let lines: Vec<Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["event"], &last["equal"]),
        (&"verified".into(), &true.into())
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_demonstration_that_the_disk_has_no_room_for_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command();
    let ran = command
        .args(["demo", "--size", "4000000TiB"])
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(
        (ran.status.code(), said.lines().count()),
        (Some(1), 1),
        "{said}"
    );
    assert!(said.contains(" left"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn two_that_know_nothing_of_each_other_meet_on_the_local_network() {
    let shared = Shared::named("met on the local network", "hybrid");
    let (data, output) = (shared.path("seed"), shared.path("out"));
    let states = ["seed", "out"].map(|name| shared.path(&format!("state-{name}")));
    let mut seeder = Running::start(&[
        "seed",
        text(&shared.torrent),
        "--data",
        text(&data),
        "--listen",
        "127.0.0.1:0",
        "--json",
        "--state",
        text(&states[0]),
    ]);
    seeder.wait_for("seeding");
    let leecher = Running::start(&[
        "download",
        text(&shared.torrent),
        "--output",
        text(&output),
        "--listen",
        "127.0.0.1:0",
        "--json",
        "--state",
        text(&states[1]),
    ]);
    assert_eq!(leecher.end(), 0);
    let name = "met on the local network/a.bin";
    let [ours, theirs] = [output, data].map(|dir| std::fs::read(dir.join(name)).unwrap());
    assert_eq!(ours, theirs);
}

#[test]
fn a_bare_hash_is_found_in_the_dht() {
    let shared = Shared::named("found in the DHT", "v1");
    let (data, output) = (shared.path("seed"), shared.path("out"));
    let states = ["seed", "out"].map(|name| shared.path(&format!("state-{name}")));
    let mut seeder = Running::start(&[
        "seed",
        text(&shared.torrent),
        "--data",
        text(&data),
        "--listen",
        "127.0.0.1:0",
        "--no-lsd",
        "--json",
        "--state",
        text(&states[0]),
    ]);
    let listening = seeder.wait_for("listening");
    let info = run(["info", text(&shared.torrent), "--json"]);
    let hash = info.json_lines().remove(0)["info_hash_v1"].clone();
    seeder.wait_for("seeding");
    let leecher = Running::start(&[
        "download",
        hash.as_str().unwrap(),
        "--output",
        text(&output),
        "--listen",
        "127.0.0.1:0",
        "--no-lsd",
        "--dht-bootstrap",
        listening["dht"].as_str().unwrap(),
        "--json",
        "--state",
        text(&states[1]),
    ]);
    assert_eq!(leecher.end(), 0);
    let name = "found in the DHT/a.bin";
    let [ours, theirs] = [output, data].map(|dir| std::fs::read(dir.join(name)).unwrap());
    assert_eq!(ours, theirs);
    assert!(states[1].join("dht.table").exists(), "the table is kept");
}

/// A tracker that answers every announce with these bytes, and keeps what it was asked; gives its address.
fn tracker(body: &'static [u8]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (heard, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap_or(0) > 0 {}
            let length = body.len();
            let reply =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            // The client may have ended.
            let _ = stream
                .write_all(reply.as_bytes())
                .and_then(|()| stream.write_all(body));
            if heard.send(head).is_err() {
                return;
            }
        }
    });
    (addr, asked)
}

#[test]
fn passkeys_of_trackers_stay_out_of_the_log_and_their_warnings_are_passed_on() {
    const KEY: &str = "5ec4e75ec4e75ec4e7";
    let (good, asked) = tracker(b"d8:intervali1800e5:peers0:15:warning message12:mind the gape");
    let (bad, _) = tracker(b"this is not bencode");
    let shared = Shared::new("v1");
    let (_seeder, peer) = shared.seed();
    let (data, torrent) = (shared.path("seed/data"), shared.path("private.torrent"));
    let trackers = [
        format!("http://{bad}/announce?passkey={KEY}"),
        format!("http://{good}/announce/{KEY}"),
    ];
    let more: Vec<&str> = trackers.iter().flat_map(|url| ["--tracker", url]).collect();
    create(
        &data,
        &torrent,
        &[&more[..], &["--piece-length", "32KiB", "--format", "v1"]].concat(),
    )
    .ok();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let mut args = download(text(&torrent), &peer, &down, &state);
    args.retain(|arg| *arg != "--no-trackers" && *arg != "--json");
    args.extend(["--seed-time", "2s"]);
    let mut command = command();
    let output = command
        .args(&args)
        .env("RUST_LOG", "info")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(asked.recv_timeout(PATIENCE).unwrap().contains(KEY));
    assert!(!said.contains(KEY), "{said}");
    assert!(said.contains("mind the gap"), "{said}");
}

#[test]
fn people_hear_once_why_a_tracker_gives_no_peers() {
    let (tracker, _asked) = tracker(b"d14:failure reason13:go away: \x1b[1me");
    let shared = Shared::new("v1");
    let torrent = shared.path("tracked.torrent");
    let url = format!("http://{tracker}/announce/5ec4e7");
    create(&shared.path("seed/data"), &torrent, &["--tracker", &url]).ok();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let mut command = command();
    let mut child = command
        .args(["download", text(&torrent), "-o", text(&down)])
        .args(["--listen", "127.0.0.1:0", "--no-lsd", "--no-dht"])
        .args(["--state", text(&state)])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in lines.map_while(Result::ok) {
        let last = line.contains("no tracker names peers");
        said.push(line);
        if last {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let warning =
        format!("warning: data: no peers from tracker {tracker}: the tracker says: go away: [1m");
    assert_eq!(
        said.iter().filter(|line| **line == warning).count(),
        1,
        "{said:?}"
    );
    assert!(said.last().unwrap().starts_with("data: 0% of "), "{said:?}");
}
