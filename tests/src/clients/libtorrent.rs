//! libtorrent through its Python binding: `tests/interop/lt_peer.py` is the program.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Encryption, Job, Running, Stage, Transport};
use crate::process::Process;

/// The versions that the tests drive.
pub const VERSIONS: [&str; 2] = ["2.0.11", "2.1.1"];

/// A running libtorrent.
#[derive(Debug)]
pub struct Libtorrent {
    process: Process,
}

impl Libtorrent {
    /// Starts it; it serves until it is ended.
    pub fn start(version: &str, job: &Job, home: &Path) -> Self {
        let mut command = program(version);
        command
            .args(["get", &job.source, "--dir"])
            .arg(&job.dir)
            .args(["--listen", &job.listen.to_string()]);
        for peer in &job.peers {
            command.args(["--peer", &peer.to_string()]);
        }
        let orders = &job.orders;
        match orders.transport {
            None | Some(Transport::Tcp) => {}
            Some(Transport::Utp) => _ = command.arg("--utp"),
            Some(Transport::Both) => _ = command.arg("--both"),
        }
        let encryption = match orders.encryption.unwrap_or(Encryption::Usual) {
            Encryption::Covered => "covered",
            Encryption::Obfuscated => "obfuscated",
            Encryption::Plain => "plain",
            Encryption::Rc4 => "rc4",
            Encryption::Preferred | Encryption::Usual => "usual",
        };
        command.args(["--encryption", encryption]);
        command.args(orders.super_seed.then_some("--super-seed"));
        for (name, at) in [("--dht", orders.dht), ("--proxy", orders.proxy)] {
            if let Some(at) = at {
                command.args([name, &at.to_string()]);
            }
        }
        Self {
            process: Process::start(command, home, "libtorrent"),
        }
    }
}

impl Running for Libtorrent {
    fn stage(&mut self) -> Stage {
        let output = self.process.output();
        if let Some(status) = self.process.ended() {
            let end = status.signal().map_or_else(
                || status.to_string(),
                |signal| format!("ended by signal {signal}"),
            );
            panic!("libtorrent: {end}\n{}", self.process.last_words());
        }
        let failed = output.contains("\"event\": \"error\"");
        assert!(!failed, "libtorrent failed\n{}", self.process.last_words());
        if output.contains("\"event\": \"seeding\"") {
            Stage::Done
        } else {
            Stage::Busy
        }
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Has libtorrent describe `path` in a .torrent file `out`; `kind` is `v1`, `v2` or `hybrid`.
///
/// # Panics
/// When it fails.
pub fn create(version: &str, path: &Path, out: &Path, piece_len: u64, kind: &str) {
    let mut command = program(version);
    command.arg("create").arg(path).arg(out).args([
        "--piece",
        &piece_len.to_string(),
        "--kind",
        kind,
    ]);
    let output = command.output().expect("python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Has libtorrent ask the tracker of a torrent how many there are; returns its last word.
///
/// # Panics
/// When it fails.
pub fn scrape(version: &str, source: &str, listen: SocketAddr) -> Value {
    let mut command = program(version);
    command.args(["scrape", source, "--listen", &listen.to_string()]);
    let output = command.output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = said.lines().last().unwrap_or_default();
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {said}{errors}"))
}

/// Where `tests/setup` installs what Python needs.
pub(crate) fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    cache.join("tribler-rs-tests")
}

/// The Python interpreter that knows this version, whether it is there or not.
pub fn python(version: &str) -> PathBuf {
    cache()
        .join(format!("libtorrent-{version}"))
        .join("bin/python")
}

fn program(version: &str) -> Command {
    let mut command = Command::new(python(version));
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/lt_peer.py"))
        .env("PYTHONUNBUFFERED", "1");
    command
}
