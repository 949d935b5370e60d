//! Transmission 3.00, driven over its RPC. It dials nobody it is told of, so a job of its own needs a tracker or a peer
//! that dials it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Encryption, Job, Running, Stage, Transport, http};
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
    /// Starts it and hands it the torrent. Who is to download does so when this returns: until then it ends what is dialled to it,
    /// and a second connection may be of another kind.
    ///
    /// # Panics
    /// When it does not take the torrent within twenty seconds.
    pub fn start(job: &Job, home: &Path) -> Self {
        let rpc = super::control_of(job);
        let settings = settings(job, rpc);
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
        let at_work = || (job.seed || matches!(this.status(), Some(4 | 6))).then_some(());
        let runs = wait::until(Duration::from_secs(20), at_work);
        assert!(runs.is_some(), "{}", this.process.last_words());
        this
    }

    /// Has it verify what it has, and waits until it has done so.
    ///
    /// # Panics
    /// When it has not within twenty seconds.
    pub fn verify(&mut self) {
        let verifies = self.call("torrent-verify", &json!({}));
        assert!(verifies.is_some(), "it does not verify");
        // It is soon done with a few files: whoever asks late does not see that it has begun.
        let _ = wait::at_most(Duration::from_secs(2), || self.verifies().then_some(()));
        let done = wait::until(Duration::from_secs(20), || (!self.verifies()).then_some(()));
        assert!(done.is_some(), "{}", self.process.last_words());
    }

    /// Whether it is about to verify what it has, or at it.
    fn verifies(&mut self) -> bool {
        matches!(self.status(), Some(1 | 2))
    }

    /// The number of what it does: 1 and 2 for verifying, 4 for downloading, 6 for seeding.
    fn status(&mut self) -> Option<u64> {
        let reply = self.call("torrent-get", &json!({"fields": ["status"]}));
        reply.and_then(|reply| reply["torrents"][0]["status"].as_u64())
    }

    /// One RPC; `None` while the daemon does not answer, or refuses.
    fn call(&mut self, method: &str, arguments: &Value) -> Option<Value> {
        const SESSION: &str = "X-Transmission-Session-Id";
        let body = json!({"method": method, "arguments": arguments}).to_string();
        for _ in 0..2 {
            let session = format!("{SESSION}: {}", self.session);
            let reply = http::post(self.rpc, "/transmission/rpc", &[&session], &body)?;
            if reply.status() == 409 {
                reply.header(SESSION)?.clone_into(&mut self.session);
                continue;
            }
            let reply: Value = serde_json::from_str(&reply.body).ok()?;
            return (reply["result"] == "success").then(|| reply["arguments"].clone());
        }
        None
    }
}

/// What it reads when it starts. It speaks uTP beside TCP, or TCP alone.
fn settings(job: &Job, rpc: SocketAddr) -> Value {
    let orders = &job.orders;
    let more = orders.super_seed || orders.dht.is_some() || orders.proxy.is_some();
    assert!(!more, "it cannot be told {orders:?}");
    let utp = !matches!(orders.transport, None | Some(Transport::Tcp));
    // 0 takes what comes and selects plain streams, 1 prefers RC4, 2 requires it.
    let encryption = match orders.encryption {
        Some(Encryption::Usual) => 0,
        None | Some(Encryption::Preferred) => 1,
        Some(Encryption::Rc4) => 2,
        Some(other) => unreachable!("it cannot be told {other:?}"),
    };
    let (v4, v6) = match job.listen.ip() {
        IpAddr::V4(own) => (own.to_string(), "::1".to_owned()),
        IpAddr::V6(own) => ("127.0.0.1".to_owned(), own.to_string()),
    };
    json!({
        "download-dir": job.dir, "incomplete-dir-enabled": false, "watch-dir-enabled": false,
        "dht-enabled": false, "lpd-enabled": false, "pex-enabled": true, "utp-enabled": utp,
        "port-forwarding-enabled": false, "encryption": encryption,
        "peer-port": job.listen.port(), "bind-address-ipv4": v4, "bind-address-ipv6": v6,
        "rpc-port": rpc.port(), "rpc-bind-address": rpc.ip().to_string(),
        "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false,
        "download-queue-enabled": false, "seed-queue-enabled": false, "ratio-limit-enabled": false,
        "idle-seeding-limit-enabled": false, "start-added-torrents": true,
    })
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
