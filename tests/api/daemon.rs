//! A daemon whose API the tests ask.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::process::Process;
use support::{Lab, ours, wait};

/// How long its start may take.
const SOON: Duration = Duration::from_secs(20);

/// The folder of the lab that content goes to.
pub(crate) const DOWNLOADS: &str = "downloads";

/// A daemon that meets whom it is told of.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Process,
    /// Where its API is.
    pub(crate) api: SocketAddr,
    /// The key of its API.
    pub(crate) key: String,
}

impl Daemon {
    /// Starts it with its content and its state in the lab.
    pub(crate) fn start(lab: &Lab, more: &[&str]) -> Self {
        let home = lab.folder("daemon");
        let mut command = Command::new(ours::binary());
        command
            .args(["daemon", "--json", "--no-dht", "--no-lsd", "--no-portmap"])
            .args([
                "--listen",
                &lab.address().to_string(),
                "--api",
                "127.0.0.1:0",
            ])
            .arg("--output")
            .arg(lab.folder(DOWNLOADS))
            .arg("--state")
            .arg(home.join("state"))
            .args(more)
            .env("HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .env("RUST_BACKTRACE", "full");
        let mut process = Process::start(command, &home, "daemon");
        let told = wait::until(SOON, || {
            assert!(
                process.ended().is_none(),
                "it ended\n{}",
                process.last_words()
            );
            let lines = process.output();
            let mut lines = lines
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["event"] == "api")
        });
        let told = told.unwrap_or_else(|| panic!("no API\n{}", process.last_words()));
        let api = told["addr"].as_str().and_then(|addr| addr.parse().ok());
        let key = std::fs::read_to_string(home.join("state/api.key")).expect("its key");
        Self {
            process,
            api: api.expect("where it is"),
            key: key.trim().to_owned(),
        }
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// The ends of its logs.
    pub(crate) fn last_words(&self) -> String {
        self.process.last_words()
    }
}
