//! `testnet`: real processes on loopback addresses.

use std::fs;
use std::process::Command;
use std::time::Instant;

use super::running::{Running, is_there, until};
use super::support::{command, text};

/// The events up to one, and the numbers of the processes that were started meanwhile.
fn until_event(net: &mut Running, last: &str) -> (Vec<serde_json::Value>, Vec<String>) {
    let (mut lines, mut pids) = (Vec::new(), Vec::new());
    loop {
        let line = net.line();
        let line = line.unwrap_or_else(|| panic!("{}", net.errors()));
        if line["event"] == "node" {
            pids.push(line["pid"].to_string());
        }
        let is_last = line["event"] == last;
        lines.push(line);
        if is_last {
            return (lines, pids);
        }
    }
}

#[test]
fn a_test_network_says_how_to_join_it_and_ends_with_all_its_processes() {
    let mut net = Running::start(&["testnet", "4", "--exits", "1"]);
    let (lines, pids) = until_event(&mut net, "ready");
    assert_eq!(pids.len(), 4);
    let (first, ready) = (&lines[0], &lines[lines.len() - 1]);
    assert_eq!(first["event"], "starting");
    assert_eq!(
        (&first["hops"], &first["hidden_hops"]),
        (&3.into(), &2.into())
    );
    assert_eq!((&ready["relays"], &ready["exits"]), (&2.into(), &1.into()));
    let flags: Vec<&str> = ready["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    assert_eq!(flags[..2], ["--hops", "3"]);
    assert!(pids.iter().all(|pid| is_there(pid)));
    // A node that dies is told of, and the others stay.
    Command::new("kill")
        .args(["-s", "KILL", &pids[1]])
        .status()
        .unwrap();
    assert_eq!(net.event("ended")["pid"].to_string(), pids[1]);
    assert!(is_there(&pids[2]));
    net.signal("INT");
    assert!(net.child.wait().unwrap().success());
    assert!(!pids.iter().any(|pid| is_there(pid)));
}

#[test]
fn the_smallest_test_networks_are_ready_as_soon_as_all_of_their_few_nodes_have_met() {
    for (all, hops) in [("2", 1), ("3", 2)] {
        let begun = Instant::now();
        let mut net = Running::start(&["testnet", all]);
        let (lines, _) = until_event(&mut net, "ready");
        // It would be 30 s where it was waited for nodes that there are not.
        assert!(begun.elapsed().as_secs() < 25, "{:?}", begun.elapsed());
        assert_eq!(lines[0]["hops"], hops);
        net.signal("INT");
        assert!(net.child.wait().unwrap().success());
    }
}

#[test]
fn people_are_shown_commands_that_can_be_copied() {
    let mut net = Running::of(command().args(["testnet", "2"]));
    let mut said = String::new();
    while !said.contains("Ctrl-C ends") {
        let line = net.text();
        said += &line.unwrap_or_else(|| panic!("{said}"));
    }
    let line = said
        .lines()
        .find(|line| line.contains("tribler-rs download TORRENT"));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    for part in [
        " --hops 1 ",
        " --overlay-bootstrap 127.0.0.1:",
        " --peer 127.0.0.1:",
    ] {
        assert!(line.contains(part), "{line}");
    }
    // The smallest network has nobody who could introduce a hidden seed.
    assert!(said.starts_with("starting 2 processes"), "{said}");
    assert!(!said.contains("seed TORRENT --data DIR --hops 1"), "{said}");
}

#[test]
fn a_signal_while_the_nodes_are_started_ends_them_all_and_is_no_failure() {
    let mut net = Running::start(&["testnet", "12"]);
    let (_, pids) = until_event(&mut net, "node");
    net.signal("INT");
    let (_, more) = until_event(&mut net, "stopping");
    assert!(net.child.wait().unwrap().success());
    assert!(!pids.iter().chain(&more).any(|pid| is_there(pid)));
}

#[test]
fn a_test_network_does_not_outlive_who_started_it_and_the_next_one_takes_away_what_it_left() {
    let temporary = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = command();
        command.env("TMPDIR", temporary.path());
        Running::of(command.args(["testnet", "3", "--json"]))
    };
    let folders = || -> Vec<String> {
        let entries = fs::read_dir(temporary.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    let (mut living, mut killed) = (start(), start());
    until_event(&mut living, "ready");
    let (_, pids) = until_event(&mut killed, "ready");
    killed.signal("KILL");
    killed.child.wait().unwrap();
    until(|| !pids.iter().any(|pid| is_there(pid)));
    let left = format!("tribler-rs-testnet-{}", killed.child.id());
    assert!(folders().contains(&left), "{:?}", folders());

    let mut next = start();
    until_event(&mut next, "starting");
    let named = |net: &Running| format!("tribler-rs-testnet-{}", net.child.id());
    let mut there = folders();
    there.sort();
    let mut wanted = [named(&living), named(&next)];
    wanted.sort();
    assert_eq!(there, wanted);
    for mut net in [living, next] {
        net.signal("INT");
        assert!(net.child.wait().unwrap().success());
    }
    assert!(folders().is_empty(), "{:?}", folders());
}

#[test]
fn a_folder_that_was_asked_for_stays_with_what_the_nodes_keep() {
    let folder = tempfile::tempdir().unwrap();
    let mut net = Running::start(&["testnet", "2", "--state", text(folder.path())]);
    until_event(&mut net, "ready");
    net.signal("INT");
    assert!(net.child.wait().unwrap().success());
    assert!(folder.path().join("node-1/overlay.key").exists());
}
