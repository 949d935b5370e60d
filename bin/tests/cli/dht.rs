//! `dht` on a network of this machine's own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Stdio};

use serde_json::Value;

use super::support::{Ran, command, create, run, text, write};

/// A node that stays: that of a download which looks for nobody in the DHT, at an address of its own.
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
struct Nodes {
    first: String,
    _running: Vec<Stays>,
    _folder: tempfile::TempDir,
}

/// Starts nodes at `addrs`.
fn nodes(addrs: &[String]) -> Nodes {
    let folder = tempfile::tempdir().unwrap();
    let torrent = folder.path().join("t.torrent");
    let content = folder.path().join("content");
    write(&content, b"x");
    create(&content, &torrent, &["--private"]).ok();
    let nodes = addrs.iter().map(|at| {
        let child = command()
            .args(["download", text(&torrent), "--listen", at])
            .args(["--dht-bootstrap", &addrs[0], "--no-lsd"])
            .args(["-o", text(&folder.path().join(at.replace(':', "_")))])
            .args(["--state", text(&folder.path().join("state"))])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Stays(child.unwrap())
    });
    Nodes {
        first: addrs[0].clone(),
        _running: nodes.collect(),
        _folder: folder,
    }
}

/// Nodes at addresses of their own.
fn network(count: u8) -> Nodes {
    nodes(&(1..=count).map(free).collect::<Vec<_>>())
}

/// Waits until a node answers.
fn wait_for(first: &str, host: u8) -> Ran {
    let mut pongs = (0..50).map(|_| dht(first, host, &["ping", first]));
    pongs.find(|ran| ran.code == 0).expect("a pong")
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
    let network = network(6);
    let first = &network.first;
    // The first one is there once it answers.
    let pong = wait_for(first, 100);
    let pong = event(&pong, "pong");
    assert_eq!(pong["version"], "RU0001");
    assert!(pong["rtt_ms"].as_f64().unwrap() > 0.0, "{pong}");

    let hash = "0123456789abcdef0123456789abcdef01234567";
    let announced = dht(first, 101, &["announce", hash, "--port", "7777", "--seed"]).ok();
    let announced = event(&announced, "announced");
    assert!(announced["nodes"].as_u64().unwrap() >= 3, "{announced}");
    let found = dht(first, 102, &["get-peers", hash, "--scrape"]).ok();
    assert_eq!(event(&found, "peers")["peers"][0], "127.77.101.1:7777");
    let done = event(&found, "done");
    assert!(
        (done["seeds"].as_f64().unwrap() - 1.0).abs() < 0.1,
        "{done}"
    );
    assert!(done["leechers"].as_f64().unwrap() < 0.1, "{done}");

    let sampled = dht(first, 103, &["sample"]).ok();
    assert_eq!(event(&sampled, "info_hashes")["hashes"][0], hash);
    let crawled = dht(first, 104, &["crawl", "--count", "1"]).ok();
    assert_eq!(event(&crawled, "done")["found"], 1);

    let stored = dht(first, 105, &["put", "Hello World!"]).ok();
    let target = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
    assert_eq!(event(&stored, "stored")["target"], target);
    let item = dht(first, 106, &["get", target]).ok();
    assert_eq!(event(&item, "item")["text"], "Hello World!");

    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let key = key.to_str().unwrap();
    let put = |host, value| dht(first, host, &["put", value, "--key", key, "--salt", "s"]).ok();
    let stored = event(&put(107, "one"), "stored");
    assert_eq!(stored["seq"], 1);
    assert_eq!(event(&put(108, "two"), "stored")["seq"], 2);
    let public = stored["key"].as_str().unwrap();
    let item = dht(first, 109, &["get", "--key", public, "--salt", "s"]).ok();
    let item = event(&item, "item");
    assert_eq!((&item["text"], &item["seq"]), (&"two".into(), &2.into()));
    // The owner's own file names it as well.
    let own = dht(first, 110, &["get", "--key", key, "--salt", "s"]).ok();
    assert_eq!(event(&own, "item")["text"], "two");
    let old = dht(
        first,
        111,
        &["put", "zero", "--key", key, "--salt", "s", "--seq", "1"],
    );
    assert_eq!(
        (old.code, &event(&old, "stored")["refused"]),
        (1, &302.into())
    );
    // A long item is given to those only who answer queries, so that it takes another try.
    let long = "long ".repeat(150);
    let stored = dht(first, 112, &["put", &long]).ok();
    let target = event(&stored, "stored")["target"].clone();
    let item = dht(first, 113, &["get", target.as_str().unwrap()]).ok();
    assert_eq!(event(&item, "item")["text"], long);
}

#[test]
fn a_small_network_is_crawled_once_and_left_in_peace() {
    let network = network(4);
    wait_for(&network.first, 120);
    let crawled = dht(&network.first, 121, &["crawl", "--time", "60s"]).ok();
    let done = event(&crawled, "done");
    assert_eq!(done["why"], "no further nodes");
    // Each node once for info-hashes, and a few times for others' addresses.
    assert!(done["asked"].as_u64().unwrap() <= 4 * 5, "{done}");
    let here = dht(&network.first, 122, &["sample", "--at", &network.first]).ok();
    let done = event(&here, "done");
    assert_eq!((&done["asked"], &done["answered"]), (&1.into(), &1.into()));
}

#[test]
fn nodes_of_one_address_are_followed_when_the_first_is_on_this_machine() {
    let ports = [(); 4].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let addrs = ports.map(|socket| socket.local_addr().unwrap().to_string());
    let network = nodes(&addrs);
    wait_for(&network.first, 130);
    let asked = |_| {
        let hash = "0123456789abcdef0123456789abcdef01234567";
        let args = ["dht", "get-peers", hash, "--bootstrap", &network.first];
        let ran = run(args.iter().chain(&["--json"]));
        event(&ran, "done")["answered"].as_u64().unwrap()
    };
    let found = (0..20).map(asked).find(|answered| *answered >= 3);
    assert!(found.is_some(), "the others are not asked");
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
    let ran = dht(&nobody, 204, &["sample", "--at", &nobody]);
    assert_eq!(
        (ran.code, &event(&ran, "silence")["addr"]),
        (1, &nobody.into())
    );
    let args = ["get-peers", &"0".repeat(40), "--patience", "3s"];
    let ran = dht("nosuchhost.invalid:1", 205, &args);
    assert!(
        ran.code == 1 && ran.err.contains("--bootstrap nosuchhost.invalid:1"),
        "{ran:?}"
    );
}

#[test]
fn a_key_is_not_made_where_there_is_no_folder() {
    let ran = run(["dht", "put", "x", "--key", "/nonexistent/k"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("no folder /nonexistent"), "{ran:?}");
    let ran = run(["dht", "get"]);
    assert!(ran.code == 2 && ran.err.contains("--key"), "{ran:?}");
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
