//! `download`, `seed` and `demo`, on the loopback address.

mod choice;
mod demo;
mod discovery;
mod download;
mod ending;
mod http;
mod kept_hops;
mod reuse;
mod seed;
mod trackers;
mod troubles;
mod updates;
mod ways_out;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{command, content, create, run, text, write};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

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
        let (data, state) = (self.path("seed"), self.path("state-seed"));
        let seed = seeding(&self.torrent, &data, &state);
        let mut seeder = Running::start(&alone(seed));
        let addr = seeder.wait_for("listening")["addr"]
            .as_str()
            .unwrap()
            .to_owned();
        seeder.wait_for("seeding");
        (seeder, addr)
    }
}

impl Shared {
    /// A seeder of the content that other hosts find in the DHT alone, and what it said of where it listens.
    fn seed_in_dht(&self) -> (Running, Value) {
        let (data, state) = (self.path("seed"), self.path("state-seed"));
        let mut seed = seeding(&self.torrent, &data, &state);
        seed.push("--no-lsd");
        let mut seeder = Running::start(&seed);
        let listening = seeder.wait_for("listening");
        seeder.wait_for("seeding");
        (seeder, listening)
    }
}

/// The arguments of `seed`, on a port of the system's choice.
fn seeding<'a>(torrent: &'a Path, data: &'a Path, state: &'a Path) -> Vec<&'a str> {
    let paths = ["--data", text(data), "--state", text(state)];
    [&["seed", text(torrent)], &paths[..], &LOCAL].concat()
}

/// The arguments of a download of `source`, on a port of the system's choice.
fn downloading<'a>(source: &'a str, output: &'a Path, state: &'a Path) -> Vec<&'a str> {
    let paths = ["--output", text(output), "--state", text(state)];
    [&["download", source], &paths[..], &LOCAL].concat()
}

/// Where commands listen, and how they speak.
const LOCAL: [&str; 3] = ["--listen", "127.0.0.1:0", "--json"];

/// The arguments of a command that finds nobody by itself.
fn alone(args: Vec<&str>) -> Vec<&str> {
    [args, vec!["--no-lsd", "--no-dht"]].concat()
}

/// The arguments of a download of `source` from `peer`.
fn download<'a>(source: &'a str, peer: &'a str, output: &'a Path, state: &'a Path) -> Vec<&'a str> {
    let args = alone(downloading(source, output, state));
    [args, vec!["--peer", peer]].concat()
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
        signal(&self.child, name);
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

/// Sends a process a signal.
fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
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
