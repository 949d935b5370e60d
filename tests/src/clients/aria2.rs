//! aria2 1.36. It cannot be told whom to dial, so every job of its own needs a tracker or a peer that dials it.

use std::path::Path;
use std::process::Command;

use super::{Job, Running, Stage};
use crate::process::Process;

/// A running `aria2c`.
#[derive(Debug)]
pub struct Aria2 {
    process: Process,
    seed: bool,
    port: u16,
}

impl Aria2 {
    /// Starts it; a download ends by itself when it is complete.
    pub fn start(job: &Job, home: &Path) -> Self {
        Self::start_with(job, home, &[])
    }

    /// Starts it with further arguments.
    pub fn start_with(job: &Job, home: &Path, more: &[&str]) -> Self {
        let mut command = Command::new("aria2c");
        command
            .args([
                "--no-conf",
                "--summary-interval=0",
                "--enable-color=false",
                "--disable-ipv6=true",
            ])
            // aria2 speaks to UDP trackers through its DHT's socket; the network has no DHT node to find.
            .args([
                "--enable-dht=true",
                "--enable-dht6=false",
                "--bt-enable-lpd=false",
            ])
            .args([
                "--bt-save-metadata=false",
                "--follow-torrent=mem",
                "--file-allocation=none",
            ])
            .arg(format!("--dht-listen-port={}", job.listen.port()))
            .arg(format!(
                "--dht-file-path={}",
                home.join("dht.dat").display()
            ))
            .arg(format!("--dir={}", job.dir.display()))
            .arg(format!("--listen-port={}", job.listen.port()))
            .arg(format!("--interface={}", job.listen.ip()))
            .env("HOME", home);
        if job.seed {
            command.args(["--check-integrity=true", "--seed-ratio=0.0"]);
        } else {
            command.arg("--seed-time=0");
        }
        command.args(more).arg(&job.source);
        Self {
            process: Process::start(command, home, "aria2"),
            seed: job.seed,
            port: job.listen.port(),
        }
    }
}

impl Running for Aria2 {
    fn stage(&mut self) -> Stage {
        match self.process.ended() {
            Some(status) if status.success() && !self.seed => Stage::Done,
            Some(status) => panic!("aria2 ended with {status}\n{}", self.process.last_words()),
            None if self.seed && listens(self.port) => Stage::Done,
            None => Stage::Busy,
        }
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Whether anyone in this network namespace listens on this TCP port, as the kernel tells.
fn listens(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("0A")
    })
}
