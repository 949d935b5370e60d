//! The demonstration.

use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use super::{PATIENCE, signal};
use crate::support::command;

#[test]
fn the_demonstration_cleans_up_when_it_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command();
    command
        .args(["demo", "--size", "2GiB"])
        .env("TMPDIR", dir.path());
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    let begun = || {
        let mut folders = std::fs::read_dir(dir.path()).unwrap();
        folders.any(|folder| folder.unwrap().path().join("seeder/demo.bin").exists())
    };
    while !begun() {
        assert!(Instant::now() < until, "no payload came");
        std::thread::yield_now();
    }
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_demonstration_does_the_whole_job_and_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command();
    let ran = command
        .args(["demo", "--size", "3MiB", "--json"])
        .env("TMPDIR", dir.path())
        .output();
    let ran = ran.unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{out}");
    let lines: Vec<Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["event"], &last["equal"]),
        (&"verified".into(), &true.into())
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_demonstration_that_the_disk_has_no_room_for_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command();
    let ran = command
        .args(["demo", "--size", "4000000TiB"])
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(
        (ran.status.code(), said.lines().count()),
        (Some(1), 1),
        "{said}"
    );
    assert!(said.contains(" left"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
