//! `daemon` and `ctl`, as processes that talk to each other.

mod addresses;
mod channel;
mod ending;
mod feeds;
mod figures;
mod overlay;
mod playing;
mod ports;
mod resources;
mod rest;
mod service;
mod sorting;
mod torrents;
mod turns;
mod waiting;
mod watching;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::running::Running;
use crate::support::{Ran, command, content, run, text, write};

/// A daemon that meets nobody, and the folder of its state.
pub(crate) struct Daemon {
    pub(crate) running: Running,
    pub(crate) state: PathBuf,
    pub(crate) serving: Value,
}

impl Daemon {
    pub(crate) fn start(dir: &Path) -> Self {
        Self::with(dir, &[])
    }

    pub(crate) fn with(dir: &Path, more: &[&str]) -> Self {
        let state = dir.join("state");
        let mut command = command();
        command
            .args(flags(text(&state)))
            .args(more)
            .env("XDG_RUNTIME_DIR", dir);
        let mut running = Running::of(&mut command);
        let serving = running.event("serving");
        Self {
            running,
            state,
            serving,
        }
    }

    /// Runs `ctl`.
    pub(crate) fn ctl(&self, args: &[&str]) -> Ran {
        run(["ctl", "--state", text(&self.state)].iter().chain(args))
    }

    /// Runs `ctl`, which must go well, and reads its lines.
    pub(crate) fn told(&self, args: &[&str]) -> Vec<Value> {
        let json: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        self.ctl(&json).ok().json_lines()
    }

    /// How many torrents there are.
    pub(crate) fn count(&self) -> usize {
        let count = self.ctl(&["list", "--count"]).ok().out;
        count.trim().parse().unwrap()
    }

    /// What is told of a torrent, once something is so.
    pub(crate) fn until(&self, torrent: &str, so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        crate::running::until(|| {
            last = self.told(&["show", torrent])[0].clone();
            so(&last)
        });
        last
    }

    /// As [`Self::until`], of a torrent that need not be there yet.
    pub(crate) fn until_there(&self, torrent: &str, so: impl Fn(&Value) -> bool) -> Value {
        crate::running::until(|| self.ctl(&["show", torrent]).code == 0);
        self.until(torrent, so)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.state.join("control.sock")
    }

    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).unwrap()
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(mut self) {
        self.running.child.kill().unwrap();
        self.running.child.wait().unwrap();
    }
}

/// The flags of a daemon that meets nobody.
pub(crate) fn flags(state: &str) -> Vec<&str> {
    vec![
        "daemon",
        "--json",
        "--state",
        state,
        "--listen",
        "127.0.0.1:0",
        "--no-dht",
        "--no-lsd",
        "--no-portmap",
    ]
}

/// Writes so many torrents of one small file each into a folder.
pub(crate) fn many(dir: &Path, count: u32) {
    for number in 0..count {
        let (name, data) = (format!("f{number:05}"), content(number, 100));
        let piece = hash::sha1(&data);
        let mut torrent = format!(
            "d4:infod6:lengthi{}e4:name{}:{name}12:piece lengthi16384e6:pieces20:",
            data.len(),
            name.len()
        )
        .into_bytes();
        torrent.extend(piece);
        torrent.extend(b"ee");
        write(&dir.join(format!("{name}.torrent")), &torrent);
    }
}

/// A folder for a test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}
