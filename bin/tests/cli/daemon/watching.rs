//! Folders that are watched.

use std::fs;
use std::io::Write as _;

use super::{Daemon, folder, many};
use crate::running::until;
use crate::support::{content, text, write};

#[test]
fn files_in_a_watched_folder_are_taken_as_it_is_wanted_and_put_away() {
    let dir = folder();
    let source = dir.path().join("t");
    many(&source, 3);
    let (watched, data) = (dir.path().join("watched"), dir.path().join("data"));
    fs::create_dir(&watched).unwrap();
    write(&data.join("f00000"), &content(0, 100));
    let daemon = Daemon::start(dir.path());
    let wish = ["--data", text(&data), "--category", "films", "--tag", "new"];
    let add = |then: &'static str| -> Vec<&str> {
        ["watch", "add", text(&watched), "--then", then]
            .iter()
            .chain(&wish)
            .copied()
            .collect()
    };
    daemon.ctl(&add("rename")).ok();
    // Half of it first, then the rest.
    let bytes = fs::read(source.join("f00000.torrent")).unwrap();
    let path = watched.join("f00000.torrent");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&bytes[..40]).unwrap();
    until(|| daemon.told(&["watch"]).len() == 1);
    file.write_all(&bytes[40..]).unwrap();
    drop(file);
    let shown = daemon.until_there("f00000", |row| row["state"] == "seeding");
    assert_eq!(
        (&shown["category"], &shown["tags"]),
        (&"films".into(), &serde_json::json!(["new"]))
    );
    until(|| watched.join("f00000.torrent.added").exists());
    assert!(!path.exists());
    // From another folder into this one, in one step; and a link.
    daemon.ctl(&add("delete")).ok();
    fs::rename(
        source.join("f00001.torrent"),
        watched.join("f00001.torrent"),
    )
    .unwrap();
    write(
        &watched.join("x.magnet"),
        format!("magnet:?xt=urn:btih:{}&dn=link\n", "ab".repeat(20)).as_bytes(),
    );
    until(|| daemon.count() == 3);
    until(|| fs::read_dir(&watched).unwrap().count() == 1);
    let told = &daemon.told(&["watch"])[0];
    assert_eq!(told["taken"], 3);
    let events = daemon.told(&[
        "events",
        "--since",
        "0",
        "--only",
        "watch_taken",
        "--count",
        "3",
    ]);
    assert_eq!(events[0]["file"], text(&path));
    daemon.ctl(&["watch", "remove", text(&watched)]).ok();
    assert!(daemon.told(&["watch"]).is_empty());
}

#[test]
fn a_file_that_stays_is_not_taken_again_even_after_a_crash() {
    let dir = folder();
    let watched = dir.path().join("watched");
    many(&watched, 2);
    let daemon = Daemon::start(dir.path());
    daemon
        .ctl(&["watch", "add", text(&watched), "--then", "keep", "--paused"])
        .ok();
    until(|| daemon.count() == 2);
    daemon.ctl(&["remove", "f00000"]).ok();
    until(|| daemon.count() == 1);
    // What was taken is kept by the next change that is waited for.
    daemon.ctl(&["tag", "f00001", "--add", "x"]).ok();
    daemon.kill();
    let daemon = Daemon::start(dir.path());
    let other = dir.path().join("other");
    many(&other, 3);
    fs::copy(other.join("f00002.torrent"), watched.join("f00002.torrent")).unwrap();
    until(|| daemon.count() == 2);
    let names: Vec<_> = daemon
        .told(&["list", "--sort", "name"])
        .into_iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(names, ["f00001", "f00002"]);
}

#[test]
fn a_folder_that_is_not_there_is_told_and_watched_again_when_it_is_back() {
    let dir = folder();
    let (watched, source) = (dir.path().join("watched"), dir.path().join("t"));
    many(&source, 1);
    let daemon = Daemon::start(dir.path());
    let missing = daemon.ctl(&["watch", "add", text(&watched)]);
    assert_eq!(missing.code, 3, "{missing:?}");
    fs::create_dir(&watched).unwrap();
    daemon
        .ctl(&["watch", "add", text(&watched), "--paused"])
        .ok();
    fs::remove_dir(&watched).unwrap();
    until(|| daemon.told(&["watch"])[0]["error"].is_string());
    fs::rename(&source, &watched).unwrap();
    until(|| daemon.count() == 1);
    assert!(daemon.told(&["watch"])[0]["error"].is_null());
    for (args, code) in [
        (&["watch", "remove", "/nonexistent"][..], 3),
        (&["watch", "add", text(&watched), "--category", "a\nb"], 2),
    ] {
        let ran = daemon.ctl(args);
        assert_eq!(ran.code, code, "{ran:?}");
    }
}
