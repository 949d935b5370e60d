//! aria2 1.36. It cannot be told whom to dial, so every job of its own needs a tracker or a peer that dials it.

use std::path::Path;
use std::process::Command;

use super::{Encryption, Job, Running, Stage, Transport};
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
        let mut command = Command::new("aria2c");
        command
            .args([
                "--no-conf",
                "--summary-interval=0",
                "--enable-color=false",
                "--enable-dht6=false",
                "--bt-enable-lpd=false",
                "--bt-save-metadata=false",
                "--follow-torrent=mem",
                "--file-allocation=none",
            ])
            .args(by_ip(job.listen.is_ipv6()))
            .args(to_encrypt(job.orders.encryption))
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
        } else if job.orders.stays {
            command.arg("--seed-ratio=0.0");
        } else {
            command.arg("--seed-time=0");
        }
        command.arg(&job.source);
        let orders = &job.orders;
        let by_tcp = matches!(orders.transport, None | Some(Transport::Tcp));
        let more = orders.super_seed || orders.dht.is_some() || orders.proxy.is_some();
        assert!(by_tcp && !more, "it cannot be told {orders:?}");
        Self {
            process: Process::start(command, home, "aria2"),
            seed: job.seed,
            port: job.listen.port(),
        }
    }
}

/// aria2 speaks to UDP trackers through its DHT's socket, by IPv4 alone; the network has no DHT node to find.
const fn by_ip(v6: bool) -> [&'static str; 2] {
    if v6 {
        ["--disable-ipv6=false", "--enable-dht=false"]
    } else {
        ["--disable-ipv6=true", "--enable-dht=true"]
    }
}

fn to_encrypt(what: Option<Encryption>) -> &'static [&'static str] {
    match what {
        None | Some(Encryption::Usual) => &[],
        Some(Encryption::Covered) => &["--bt-require-crypto=true", "--bt-min-crypto-level=plain"],
        Some(Encryption::Rc4) => &["--bt-force-encryption=true", "--bt-min-crypto-level=arc4"],
        Some(other) => unreachable!("it cannot be told {other:?}"),
    }
}

impl Running for Aria2 {
    fn stage(&mut self) -> Stage {
        match self.process.ended() {
            Some(status) if status.success() && !self.seed => Stage::Done,
            Some(status) => panic!("aria2 ended with {status}\n{}", self.process.last_words()),
            None if self.seed && super::listens(self.port) => Stage::Done,
            None => Stage::Busy,
        }
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
