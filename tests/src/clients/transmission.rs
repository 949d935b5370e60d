//! Transmission 3.00, driven over its RPC. It dials nobody it is told of, so a job of its own needs a tracker or a peer
//! that dials it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Job, Running, Stage};
use crate::process::Process;
use crate::wait;

/// A running `transmission-daemon` with one torrent.
#[derive(Debug)]
pub struct Transmission {
    process: Process,
    rpc: SocketAddr,
    session: String,
    seed: bool,
}

impl Transmission {
    /// Starts it and hands it the torrent.
    ///
    /// # Panics
    /// When it does not take the torrent within twenty seconds.
    pub fn start(job: &Job, home: &Path) -> Self {
        Self::start_with(job, home, 1)
    }

    /// Starts it with an encryption of its own: 0 takes what comes, 1 prefers it, 2 requires it.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(job: &Job, home: &Path, encryption: u8) -> Self {
        let rpc = SocketAddr::new(job.listen.ip(), 9091);
        let settings = json!({
            "download-dir": job.dir, "incomplete-dir-enabled": false, "watch-dir-enabled": false,
            "dht-enabled": false, "lpd-enabled": false, "pex-enabled": true, "utp-enabled": false,
            "port-forwarding-enabled": false, "encryption": encryption,
            "peer-port": job.listen.port(), "bind-address-ipv4": job.listen.ip().to_string(),
            "bind-address-ipv6": "::1",
            "rpc-port": rpc.port(), "rpc-bind-address": rpc.ip().to_string(),
            "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false,
            "download-queue-enabled": false, "seed-queue-enabled": false, "ratio-limit-enabled": false,
            "idle-seeding-limit-enabled": false, "start-added-torrents": true,
        });
        fs::write(home.join("settings.json"), settings.to_string()).expect("its settings");
        let mut command = Command::new("transmission-daemon");
        command
            .arg("-f")
            .arg("-g")
            .arg(home)
            .env("TRANSMISSION_HOME", home);
        let process = Process::start(command, home, "transmission");
        let mut this = Self {
            process,
            rpc,
            session: String::new(),
            seed: job.seed,
        };
        let arguments = json!({"filename": job.source, "download-dir": job.dir});
        let added = wait::until(Duration::from_secs(20), || {
            this.call("torrent-add", &arguments)
        });
        assert!(
            added.is_some(),
            "transmission takes no torrent\n{}",
            this.process.last_words()
        );
        this
    }

    /// One RPC; `None` while the daemon does not answer, or refuses.
    fn call(&mut self, method: &str, arguments: &Value) -> Option<Value> {
        let body = json!({"method": method, "arguments": arguments}).to_string();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(self.rpc).ok()?;
            let request = format!(
                "POST /transmission/rpc HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
                 X-Transmission-Session-Id: {}\r\nContent-Length: {}\r\n\r\n{body}",
                self.rpc,
                self.session,
                body.len()
            );
            stream.write_all(request.as_bytes()).ok()?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).ok()?;
            let (head, body) = reply.split_once("\r\n\r\n")?;
            if head.starts_with("HTTP/1.1 409") {
                let line = head
                    .lines()
                    .find(|line| line.starts_with("X-Transmission-Session-Id: "))?;
                line.split(": ").nth(1)?.clone_into(&mut self.session);
                continue;
            }
            let reply: Value = serde_json::from_str(body).ok()?;
            return (reply["result"] == "success").then(|| reply["arguments"].clone());
        }
        None
    }
}

impl Running for Transmission {
    fn stage(&mut self) -> Stage {
        assert!(
            self.process.ended().is_none(),
            "transmission ended\n{}",
            self.process.last_words()
        );
        let fields = [
            "status",
            "leftUntilDone",
            "sizeWhenDone",
            "metadataPercentComplete",
            "error",
            "errorString",
        ];
        let Some(reply) = self.call("torrent-get", &json!({"fields": fields})) else {
            return Stage::Busy;
        };
        let row = &reply["torrents"][0];
        // 3 is a local error, such as of the disk; 1 and 2 are the tracker's words.
        assert_ne!(row["error"], 3, "transmission: {}", row["errorString"]);
        let whole = row["leftUntilDone"] == 0
            && row["sizeWhenDone"].as_u64() > Some(0)
            && row["metadataPercentComplete"].as_f64() == Some(1.0);
        // 6: the check is over and it serves.
        if whole && (!self.seed || row["status"] == 6) {
            Stage::Done
        } else {
            Stage::Busy
        }
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
