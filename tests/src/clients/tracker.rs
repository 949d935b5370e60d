//! The project's own tracker, by HTTP and by UDP on one port, with its management API.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
use crate::torrent::hex;
use crate::{ours, wait};

/// The key of private trackers.
pub const KEY: &str = "YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ";

/// The token of the API.
const TOKEN: &str = "the token of the tests";

/// A running tracker.
#[derive(Debug)]
pub struct OurTracker {
    /// Where it answers clients.
    pub address: SocketAddr,
    api: SocketAddr,
    _process: Process,
}

impl OurTracker {
    /// Starts it at `address`, with its API at `api`, and waits until it answers. A private one serves only who has [`KEY`].
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub fn start(address: SocketAddr, api: SocketAddr, private: bool, home: &Path) -> Self {
        let settings = home.join("tracker.toml");
        let text = format!(
            "workers = 2\nannounce.interval = 5\nannounce.min_interval = 2\naccess.private = {private}\n\
             [[udp]]\nbind = \"{address}\"\n[[http]]\nbind = \"{address}\"\n[api]\nbind = \"{api}\"\ntokens.tests = \"{TOKEN}\"\n"
        );
        fs::write(&settings, text).expect("settings");
        let mut command = Command::new(ours::binary());
        command.args(["tracker", "--json", "--log", "tracker=debug", "--config"]);
        command.arg(settings).arg("--state").arg(home.join("state"));
        let mut process = Process::start(command, home, "tracker");
        let up = wait::until(Duration::from_secs(10), || {
            let end = process.ended();
            assert!(end.is_none(), "the tracker ended\n{}", process.last_words());
            process.output().contains("listening").then_some(())
        });
        assert!(
            up.is_some(),
            "the tracker does not answer\n{}",
            process.last_words()
        );
        let tracker = Self {
            address,
            api,
            _process: process,
        };
        if private {
            let body = format!(r#"{{"key":"{KEY}","seconds_valid":600}}"#);
            let made = tracker.ask("POST", "/api/v1/keys", &body);
            assert_eq!(made["key"], KEY);
        }
        tracker
    }

    /// The announce URL, over `http` or `udp`.
    pub fn url(address: SocketAddr, scheme: &str, private: bool) -> String {
        let key = if private {
            format!("/{KEY}")
        } else {
            String::new()
        };
        format!("{scheme}://{address}/announce{key}")
    }

    /// What it knows of a torrent.
    pub fn torrent(&self, info_hash: &[u8; 20]) -> Value {
        self.ask("GET", &format!("/api/v1/torrent/{}", hex(info_hash)), "")
    }

    /// How many complete peers it knows.
    pub fn seeds(&self, info_hash: &[u8; 20]) -> u64 {
        self.torrent(info_hash)["seeders"].as_u64().unwrap_or(0)
    }

    /// Its figures.
    pub fn stats(&self) -> Value {
        self.ask("GET", "/api/v1/stats", "")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(self.api).expect("the API");
        let len = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
        );
        let mut reply = String::new();
        stream.write_all(request.as_bytes()).expect("a request");
        stream.read_to_string(&mut reply).expect("an answer");
        let (_, body) = reply.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {reply}"))
    }
}
