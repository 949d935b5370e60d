//! A daemon at several addresses of its machine (BEP 45).

use std::collections::BTreeSet;
use std::net::{TcpStream, UdpSocket};

use super::folder;
use crate::running::{Running, until};
use crate::support::{command, run, text};

#[test]
fn peers_and_nodes_meet_a_daemon_at_each_address_and_nodes_take_it_for_several() {
    let dir = folder();
    let state = dir.path().join("state");
    // It has to be the same one when the daemon listens anew.
    let port = UdpSocket::bind("127.78.1.1:0").unwrap();
    let first = port.local_addr().unwrap();
    drop(port);
    let mut running = Running::of(
        command()
            .args(["daemon", "--json", "--state", text(&state)])
            .args(["--listen", &first.to_string(), "--no-lsd", "--no-portmap"])
            .args(["--set", "network.also_at=127.78.1.2, 127.78.1.3"])
            .env("XDG_RUNTIME_DIR", dir.path()),
    );
    let serving = running.event("serving");
    assert_eq!(serving["listen"], first.to_string());
    let all: Vec<String> = (1..=3)
        .map(|last| format!("127.78.1.{last}:{}", first.port()))
        .collect();
    let mut ids = BTreeSet::new();
    for at in &all {
        TcpStream::connect(at).unwrap();
        let args = ["dht", "ping", at, "--listen", "127.78.1.9:0", "--json"];
        until(|| {
            let asked = run(args);
            let id = asked.json_lines().iter().find_map(|line| {
                let id = line["id"].as_str();
                id.map(str::to_owned)
            });
            ids.extend(id.clone());
            id.is_some()
        });
    }
    assert_eq!(ids.len(), all.len(), "{ids:?}");
    let ctl = |args: &[&str]| run(["ctl", "--state", text(&state)].iter().chain(args));
    // One of them is left, and the others are there.
    ctl(&["settings", "set", "network.also_at=127.78.1.3"]).ok();
    until(|| TcpStream::connect(&all[1]).is_err());
    until(|| TcpStream::connect(&all[0]).is_ok() && TcpStream::connect(&all[2]).is_ok());
}

#[test]
fn further_addresses_beside_all_of_them_are_refused_with_what_to_do() {
    let dir = folder();
    let state = dir.path().join("state");
    let args = ["daemon", "--state", text(&state), "--listen", "0.0.0.0:0"];
    let more = ["--set", "network.also_at=127.78.1.2", "--no-portmap"];
    let ran = run(args.iter().chain(&more));
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("network.also_at"), "{}", ran.err);
}
