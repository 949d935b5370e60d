//! `dht` on a network of this machine's own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Stdio};

use serde_json::Value;

use super::support::{Ran, command, run};

/// A node that stays: a crawl that never finds anything, at an address of its own.
struct Stays(Child);

impl Drop for Stays {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of the loopback network that is free.
fn free(host: u8) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 77, host, 1), 0)).unwrap();
    socket.local_addr().unwrap().to_string()
}

/// Nodes that know the first of them.
fn network(count: u8) -> (String, Vec<Stays>) {
    let first = free(1);
    let nodes = (1..=count).map(|host| {
        let at = if host == 1 { first.clone() } else { free(host) };
        let child = command()
            .args([
                "dht",
                "crawl",
                "--time",
                "300s",
                "--patience",
                "300s",
                "--json",
            ])
            .args(["--listen", &at, "--bootstrap", &first])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Stays(child.unwrap())
    });
    let nodes = nodes.collect();
    (first, nodes)
}

fn dht(first: &str, host: u8, args: &[&str]) -> Ran {
    let at = free(host);
    let flags = ["--listen", &at, "--bootstrap", first, "--json"];
    run(["dht"].iter().chain(args).chain(&flags))
}

fn event(ran: &Ran, name: &str) -> Value {
    let mut lines = ran.json_lines().into_iter();
    let line = lines.find(|line| line["event"] == name);
    line.unwrap_or_else(|| panic!("no {name}: {ran:?}"))
}

#[test]
fn nodes_are_pinged_peers_announced_and_items_stored() {
    let (first, _nodes) = network(6);
    // The first one is there once it answers.
    let pong = (0..50)
        .map(|_| dht(&first, 100, &["ping", &first]))
        .find(|ran| ran.code == 0)
        .expect("a pong");
    assert_eq!(event(&pong, "pong")["version"], "RU0001");

    let hash = "0123456789abcdef0123456789abcdef01234567";
    let announced = dht(&first, 101, &["announce", hash, "--port", "7777", "--seed"]).ok();
    let announced = event(&announced, "announced");
    assert!(announced["nodes"].as_u64().unwrap() >= 3, "{announced}");
    let found = dht(&first, 102, &["get-peers", hash, "--scrape"]).ok();
    assert_eq!(event(&found, "peers")["peers"][0], "127.77.101.1:7777");
    let done = event(&found, "done");
    assert!(
        (done["seeds"].as_f64().unwrap() - 1.0).abs() < 0.1,
        "{done}"
    );
    assert!(done["leechers"].as_f64().unwrap() < 0.1, "{done}");

    let sampled = dht(&first, 103, &["sample"]).ok();
    assert_eq!(event(&sampled, "info_hashes")["hashes"][0], hash);
    let crawled = dht(&first, 104, &["crawl", "--count", "1"]).ok();
    assert_eq!(event(&crawled, "done")["found"], 1);

    let stored = dht(&first, 105, &["put", "Hello World!"]).ok();
    let target = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
    assert_eq!(event(&stored, "stored")["target"], target);
    let item = dht(&first, 106, &["get", target]).ok();
    assert_eq!(event(&item, "item")["text"], "Hello World!");

    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let key = key.to_str().unwrap();
    let put = |host, value| dht(&first, host, &["put", value, "--key", key, "--salt", "s"]).ok();
    let stored = event(&put(107, "one"), "stored");
    assert_eq!(stored["seq"], 1);
    assert_eq!(event(&put(108, "two"), "stored")["seq"], 2);
    let public = stored["key"].as_str().unwrap();
    let item = dht(&first, 109, &["get", "--key", public, "--salt", "s"]).ok();
    let item = event(&item, "item");
    assert_eq!((&item["text"], &item["seq"]), (&"two".into(), &2.into()));
}

#[test]
fn nobody_there_is_told_and_is_exit_code_1() {
    let nobody = free(200);
    let ran = dht(&nobody, 201, &["ping", &nobody]);
    assert_eq!(
        (ran.code, &event(&ran, "silence")["addr"]),
        (1, &nobody.into())
    );
    // The public hosts are not for a node that cannot be reached from outside.
    let args = ["get-peers", &"0".repeat(40), "--patience", "1ms"];
    let ran = run(["dht"]
        .iter()
        .chain(&args)
        .chain(&["--listen", "127.0.0.1:0"]));
    assert!(ran.code == 1 && ran.err.contains("--bootstrap"), "{ran:?}");
    let nobody = free(202);
    let ran = dht(
        &nobody,
        203,
        &["get-peers", &"0".repeat(40), "--patience", "1s"],
    );
    assert_eq!(ran.code, 1);
    assert!(
        event(&ran, "error")["message"]
            .as_str()
            .unwrap()
            .contains("no node"),
        "{ran:?}"
    );
}

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    for args in [
        &["dht"][..],
        &["dht", "get"],
        &["dht", "get", "xyz"],
        &["dht", "get", "--key", "12"],
        &["dht", "ping", "nowhere"],
        &["dht", "put", "x", "--salt", "s"],
        &["dht", "put", "d1:b0:1:a0:e", "--bencoded"],
        &[
            "dht",
            "get-peers",
            &"0".repeat(40),
            "--bootstrap",
            "nowhere",
        ],
        &["dht", "announce", &"0".repeat(40), "--port", "0"],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
    }
}

#[test]
fn results_are_lines_for_people_too() {
    let nobody = free(210);
    let mut child = command()
        .args(["dht", "ping", &nobody, "--listen", &free(211)])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, format!("{nobody} does not answer\n"));
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
