//! What a daemon takes of the machine, and what it says when that runs short.

use std::process::Command;

use serde_json::Value;

use super::{Daemon, folder};
use crate::running::until;

/// The numbers of `nice` of all threads of a process, each once.
fn nice(pid: u64) -> Vec<i64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut all: Vec<i64> = tasks
        .flatten()
        .filter_map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            let (_, rest) = stat.rsplit_once(')')?;
            // Behind the state, which is the third field: the nineteenth.
            rest.split_ascii_whitespace().nth(16)?.parse().ok()
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn own_nice() -> i64 {
    nice(std::process::id().into())[0]
}

#[test]
fn what_a_daemon_takes_is_shown_as_often_and_as_long_as_it_is_to() {
    let dir = folder();
    let daemon = Daemon::with(dir.path(), &["--set", "resources.every=1s"]);
    let samples = |daemon: &Daemon| -> Vec<Value> {
        let told = daemon.told(&["resources"]).remove(0);
        assert_eq!(told["short"], Value::Array(Vec::new()), "{told}");
        let samples = told["samples"].as_array().unwrap().clone();
        let known = told["most_files"].as_u64().is_some();
        assert_eq!(known, !samples.is_empty(), "{told}");
        samples
    };
    until(|| samples(&daemon).len() > 3);
    let all = samples(&daemon);
    let last = all.last().unwrap();
    assert!(last["memory"].as_u64().unwrap() > 1_000_000, "{last}");
    assert!(last["available"].as_u64().is_some(), "{last}");
    assert!(last["open_files"].as_u64().unwrap() > 5, "{last}");
    assert!(last["cpu"].as_f64().unwrap() >= 0.0, "{last}");
    assert!(all[0].get("cpu").is_none(), "{all:?}");
    let shown = daemon.ctl(&["resources"]).ok().out;
    assert!(
        shown.contains("open files") && !shown.contains("short"),
        "{shown}"
    );
    daemon.ctl(&["settings", "set", "resources.history=2"]).ok();
    until(|| samples(&daemon).len() == 2);
    daemon
        .ctl(&["settings", "set", "resources.enabled=false"])
        .ok();
    until(|| samples(&daemon).is_empty());
}

#[test]
fn what_is_short_is_told_once_and_so_is_its_end() {
    let dir = folder();
    let mut daemon = Daemon::with(dir.path(), &["--set", "resources.every=1s"]);
    // So that the files that are open are more than a few in a hundred of those that may be.
    let pid = daemon.running.child.id().to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, "--nofile=300:300"])
        .status();
    assert!(limited.unwrap().success());
    for (key, tight, wide, resource) in [
        ("open_files", "1", "100", "open_files"),
        ("memory", "1MiB", "0", "memory"),
        ("least_memory", "1024TiB", "0", "available"),
    ] {
        let set = |daemon: &Daemon, value: &str| {
            let pair = format!("resources.{key}={value}");
            daemon.ctl(&["settings", "set", &pair]).ok();
        };
        set(&daemon, tight);
        let short = daemon.running.event("resource_short");
        assert_eq!(short["resource"], resource, "{short}");
        assert!(short["reason"].as_str().unwrap().contains(key), "{short}");
        let told = daemon.told(&["resources"]).remove(0);
        assert_eq!(told["short"].as_array().unwrap().len(), 1, "{told}");
        set(&daemon, wide);
        // Had it been told twice, this were the second.
        let enough = until_either(&mut daemon);
        assert_eq!(enough["event"], "resource_enough", "{enough}");
        assert_eq!(enough["resource"], resource);
    }
}

fn until_either(daemon: &mut Daemon) -> Value {
    loop {
        let line = daemon.running.line().expect("it runs");
        let word = line["event"].as_str().unwrap_or_default().to_owned();
        if word.starts_with("resource_") {
            return line;
        }
    }
}

#[test]
fn all_threads_of_a_daemon_are_as_nice_as_it_is_told() {
    let dir = folder();
    let daemon = Daemon::with(dir.path(), &["--set", "resources.priority=3"]);
    let pid = daemon.running.child.id().into();
    let begun = own_nice();
    until(|| nice(pid) == [begun + 2]);
    daemon
        .ctl(&["settings", "set", "resources.priority=0"])
        .ok();
    until(|| nice(pid) == [begun + 5]);
}
