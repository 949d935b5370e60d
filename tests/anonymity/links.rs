//! What is in a link, looked up through circuits before it is added.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use protocol::metainfo::{LoadLimits, Metainfo};
use serde_json::Value;
use support::Lab;
use support::clients::{Orders, Running as _, Transport, finish};
use support::content::Content;
use support::ours::{Ours, binary};
use support::overlay::Testnet;
use support::payload::Payload;
use support::process::Process;
use support::wait;

const NODES: usize = 8;
const LEN: u64 = 300_001;
const READY: Duration = Duration::from_secs(60);

/// A daemon with an API.
struct Daemon {
    process: Process,
    at: String,
}

impl Daemon {
    fn start(lab: &Lab, flags: &[&str]) -> Self {
        let dir = lab.folder("daemon");
        let mut command = Command::new(binary());
        command
            .args(["daemon", "--json", "--no-dht", "--no-lsd", "--no-portmap"])
            .args([
                "--listen",
                "127.0.0.1:0",
                "--api",
                "127.0.0.1:0",
                "--api-key",
                "",
            ])
            .args(flags)
            .arg("--state")
            .arg(dir.join("state"));
        let mut process = Process::start(command, &dir, "daemon");
        let at = wait::until(READY, || {
            assert!(process.ended().is_none(), "{}", process.last_words());
            let output = process.output();
            let lines = output
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let mut lines = lines.filter(|line: &Value| line["event"] == "api");
            Some(lines.next()?["addr"].as_str()?.to_owned())
        });
        Self {
            at: at.unwrap_or_else(|| panic!("no API\n{}", process.last_words())),
            process,
        }
    }

    fn ask(&self, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.at).expect("the API");
        let patience = stream.set_read_timeout(Some(READY + READY));
        patience.expect("a socket");
        let head = format!(
            "GET {path} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.at
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let body = serde_json::from_str(body);
        (status.expect("a status"), body.unwrap_or_default())
    }
}

/// Looks into a link by two hops: the seed is reached from an exit, and the torrent is not among the downloads.
pub(crate) fn look(lab: &Lab) {
    let mut net = Testnet::start(lab, NODES);
    let content = Content::new(lab, Payload::single("look.bin", LEN, 73));
    let seed_at = lab.address();
    let job = content.seed(seed_at).with(Orders::by(Transport::Utp));
    let mut seed = Ours::start_with(&job, &lab.folder("seed home"), &[]);
    finish(&mut seed, READY, "the seed");
    let mut daemon = Daemon::start(lab, &net.flags());
    let torrent = std::fs::read(content.source()).expect("the torrent");
    let torrent = Metainfo::from_bytes(&torrent, &LoadLimits::default());
    let hash = torrent.expect("a torrent").hashes().wire();
    let path =
        format!("/v7.0/torrentinfo?hops=2&uri=magnet:%3fxt=urn:btih:{hash}%26x.pe={seed_at}");
    let (status, info) = daemon.ask(&path);
    assert_eq!(status, 200, "{info}\n{}", daemon.process.last_words());
    let text = info["metainfo"].as_str().expect("metadata");
    let shown: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(shown["info"]["name"], "look.bin");
    assert_eq!(shown["info"]["length"], LEN);
    let (_, list) = daemon.ask("/downloads");
    assert_eq!(
        list["downloads"].as_array().map(Vec::len),
        Some(0),
        "{list}"
    );
    let (_, circuits) = daemon.ask("/ipv8/tunnel/circuits");
    let circuits = circuits["circuits"].as_array().expect("circuits");
    let of_two = circuits.iter().any(|circuit| circuit["goal_hops"] == 2);
    assert!(of_two, "{circuits:?}");
    daemon.process.stop();
    seed.process().stop();
    net.stop();
}
