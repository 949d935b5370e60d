//! `ctl` that goes on: until what was asked for is done, or for as long as somebody looks.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{Daemon, folder};
use crate::running::Running;
use crate::support::{command, content, create, text, write};

/// A torrent of a file, and the folder that the file lies in.
fn torrent(dir: &Path) -> (PathBuf, PathBuf) {
    let data = dir.join("data");
    write(&data.join("film"), &content(7, 300_000));
    let torrent = dir.join("film.torrent");
    create(&data.join("film"), &torrent, &[]).ok();
    (torrent, data)
}

/// `ctl` that goes on.
fn going_on(daemon: &Daemon, args: &[&str]) -> Running {
    let mut command = command();
    command
        .args(["ctl", "--state", text(&daemon.state)])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Running::spawned(&mut command)
}

#[test]
fn an_addition_is_waited_for_until_all_is_there_or_it_comes_to_nothing() {
    let dir = folder();
    let (torrent, data) = torrent(dir.path());
    let daemon = Daemon::start(dir.path());
    let empty = dir.path().join("empty");
    // There is nobody who has it.
    let mut waits = going_on(
        &daemon,
        &["add", text(&torrent), "--data", text(&empty), "--wait"],
    );
    assert!(waits.text().unwrap().ends_with(" film\n"));
    daemon.ctl(&["remove", "film"]).ok();
    assert_eq!(waits.child.wait().unwrap().code(), Some(1));
    assert!(waits.errors().contains("removed"));
    let args = ["add", text(&torrent), "--data", text(&data), "--wait"];
    let ran = daemon.ctl(&args).ok();
    assert!(ran.out.ends_with("film: complete\n"), "{ran:?}");
    // What is there already is waited for as well, and told to programs as it is.
    let shown = daemon.told(&args);
    assert_eq!(shown[1]["state"], "seeding", "{shown:?}");
    assert_eq!(shown[1]["done"], 300_000);
    assert_eq!(daemon.ctl(&["add", "x", "--wait", "--paused"]).code, 2);
}

#[test]
fn a_move_is_waited_for_and_why_it_failed_is_told() {
    let dir = folder();
    let (torrent, data) = torrent(dir.path());
    let daemon = Daemon::start(dir.path());
    daemon
        .ctl(&["add", text(&torrent), "--data", text(&data), "--wait"])
        .ok();
    let there = dir.path().join("there");
    for to in [&there, &data] {
        let ran = daemon.ctl(&["move", "film", text(to), "--wait"]).ok();
        let due = format!("film: lies in {} now\n", to.display());
        assert_eq!(ran.out, due);
        assert!(to.join("film").is_file());
    }
    for wrong in ["/proc/nowhere", text(&data)] {
        let ran = daemon.ctl(&["move", "film", wrong, "--wait"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("film: it stays where it was: "), "{ran:?}");
    }
    assert!(data.join("film").is_file());
}

#[test]
fn a_list_that_is_watched_has_what_has_changed_until_the_daemon_ends() {
    let dir = folder();
    let (torrent, data) = torrent(dir.path());
    let daemon = Daemon::start(dir.path());
    daemon
        .ctl(&["add", text(&torrent), "--data", text(&data), "--wait"])
        .ok();
    let mut watches = going_on(&daemon, &["list", "--watch", "--json"]);
    assert_eq!(watches.line().unwrap()["state"], "seeding");
    daemon.ctl(&["pause", "film"]).ok();
    let paused = std::iter::from_fn(|| watches.line()).find(|row| row["state"] == "paused");
    assert_eq!(paused.unwrap()["name"], "film");
    let mut people = going_on(&daemon, &["list", "--watch"]);
    assert!(people.text().unwrap().starts_with("info-hash"));
    assert!(people.text().unwrap().contains(" film "));
    daemon.ctl(&["shutdown"]).ok();
    for mut watcher in [watches, people] {
        while watcher.text().is_some() {}
        assert_eq!(watcher.child.wait().unwrap().code(), Some(4));
    }
}

#[test]
fn a_check_is_waited_for_and_fails_where_something_is_wrong() {
    let dir = folder();
    let (torrent, data) = torrent(dir.path());
    let daemon = Daemon::start(dir.path());
    daemon
        .ctl(&["add", text(&torrent), "--data", text(&data), "--wait"])
        .ok();
    let ran = daemon.ctl(&["check", "film", "--wait"]).ok();
    assert_eq!(ran.out, "film: checked, all 293 KiB are there\n");
    let mut spoilt = content(7, 300_000);
    spoilt[299_999] ^= 1;
    write(&data.join("film"), &spoilt);
    let ran = daemon.ctl(&["check", "--all", "--wait"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.starts_with("film: checked, "), "{ran:?}");
    assert!(ran.out.ends_with("is wrong or missing\n"), "{ran:?}");
    let ran = daemon.ctl(&["check", "film", "--wait", "--json"]);
    let shown = &ran.json_lines()[0];
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(shown["done"].as_u64() < shown["wanted"].as_u64(), "{shown}");
    let nothing = format!("magnet:?xt=urn:btih:{}&dn=nothing", "ab".repeat(20));
    daemon.ctl(&["add", &nothing]).ok();
    let ran = daemon.ctl(&["check", "nothing", "--wait"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("its metadata is not there yet"), "{ran:?}");
    assert_eq!(daemon.ctl(&["check", "nobody", "--wait"]).code, 3);
}
