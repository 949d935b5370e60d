//! What `ctl` does to torrents.

use std::fs;

use serde_json::Value;

use super::{Daemon, folder, many};
use crate::running::Running;
use crate::support::{content, create, run, text, write};

#[test]
fn torrents_are_added_listed_changed_and_removed() {
    let dir = folder();
    let (torrents, data) = (dir.path().join("t"), dir.path().join("data"));
    many(&torrents, 3);
    let daemon = Daemon::start(dir.path());
    let added = daemon.told(&["add", "--paused", "--data", text(&data), text(&torrents)]);
    assert_eq!(added.len(), 3);
    assert_eq!(daemon.count(), 3);
    let hash = added[1]["info_hash"].as_str().unwrap().to_owned();
    let rows = daemon.told(&["list", "--sort", "name", "--descending", "--limit", "2"]);
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["f00002", "f00001"]);
    let paused = daemon.ctl(&["list", "--only", "paused", "f00001"]).ok();
    assert_eq!(paused.out.lines().count(), 2, "{}", paused.out);
    // By hash, by its beginning and by name.
    for named in [&hash, &hash[..12], "f00001"] {
        assert_eq!(daemon.told(&["show", named])[0]["info_hash"], hash.as_str());
    }
    let file = &daemon.told(&["files", "f00001"])[0];
    assert_eq!(
        (&file["path"], &file["size"]),
        (&"f00001".into(), &100.into())
    );
    daemon
        .ctl(&["trackers", &hash, "--add", "udp://127.0.0.1:9/a"])
        .ok();
    let trackers = daemon.told(&["trackers", &hash]);
    assert_eq!(trackers[0]["url"], "udp://127.0.0.1:9/a");
    assert_eq!(trackers.len(), 1, "{trackers:?}");
    assert_eq!(trackers[0].get("info_hash"), None);
    let wrong = daemon.ctl(&["trackers", &hash, "--add", "gopher://x"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    daemon
        .ctl(&["limits", &hash, "--down", "1MiB/s", "--max-peers", "7"])
        .ok();
    let shown = &daemon.told(&["show", &hash])[0];
    assert_eq!(shown["dir"], text(&data));
    assert_eq!(shown["down_limit"], 1 << 20);
    assert_eq!(shown["up_limit"], Value::Null);
    let words = daemon.ctl(&["show", &hash]).ok().out;
    for part in [text(&data), "1.00 MiB/s at most", "managed"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    daemon.ctl(&["resume", "--all"]).ok();
    daemon.until(&hash, |row| row["state"] == "downloading");
    daemon.ctl(&["pause", &hash]).ok();
    daemon.until(&hash, |row| row["state"] == "paused");
    let again = daemon.ctl(&["add", text(&torrents)]).ok();
    assert!(again.err.contains("already here"), "{again:?}");
    // What is removed is not listed any more, and can be added again at once.
    for _ in 0..2 {
        daemon.ctl(&["remove", &hash]).ok();
        assert_eq!(daemon.count(), 2);
        let again = daemon.ctl(&["add", "--paused", text(&torrents)]).ok();
        assert_eq!(again.err.matches("already here").count(), 2, "{again:?}");
        assert_eq!(daemon.count(), 3);
    }
    daemon.ctl(&["remove", &hash]).ok();
    assert!(daemon.told(&["peers", "f00000"]).is_empty());
    let stats = &daemon.told(&["stats"])[0];
    assert_eq!(stats["torrents"], 2);
    let reopened = daemon.ctl(&["reopen"]).ok();
    assert!(
        reopened.out.contains("listening on 127.0.0.1:"),
        "{reopened:?}"
    );
    assert_eq!(stats["listen"], daemon.serving["listen"]);
}

#[test]
fn a_torrent_comes_from_a_peer_to_where_it_was_asked_for() {
    let dir = folder();
    let (data, torrent) = (
        dir.path().join("payload"),
        dir.path().join("payload.torrent"),
    );
    let bytes = content(7, 300_000);
    write(&data, &bytes);
    create(&data, &torrent, &[]).ok();
    let seed_state = dir.path().join("seed");
    let mut seed = Running::start(&[
        "seed",
        text(&torrent),
        "--data",
        text(dir.path()),
        "--listen",
        "127.0.0.1:0",
        "--no-dht",
        "--no-lsd",
        "--no-portmap",
        "--state",
        text(&seed_state),
    ]);
    let peer = seed.event("listening")["addr"].as_str().unwrap().to_owned();
    let mut daemon = Daemon::start(dir.path());
    let to = dir.path().join("to");
    daemon
        .ctl(&["add", text(&torrent), "-o", text(&to), "--peer", &peer])
        .ok();
    let finished = daemon.running.event("finished");
    let shown = daemon.until("payload", |row| row["state"] == "seeding");
    assert_eq!(finished["info_hash"], shown["info_hash"]);
    assert!(finished["seq"].is_u64(), "{finished}");
    assert_eq!(fs::read(to.join("payload")).unwrap(), bytes);
    // A hybrid is announced under both of its hashes.
    let add = ["trackers", "payload", "--add", "udp://127.0.0.1:9/a"];
    let trackers = daemon.told(&add);
    let hashes: Vec<&Value> = trackers.iter().map(|row| &row["info_hash"]).collect();
    assert_eq!(hashes, [&shown["info_hash"], &shown["info_hash_v2"]]);
    // Given another name, and refused one outside of the folder or two at a time.
    let rename = |choose: &str, path: &str| {
        daemon.ctl(&["files", "payload", "--choose", choose, "--rename", path])
    };
    assert_eq!(rename("0", "../payload").code, 1);
    assert_eq!(rename("7", "sub/film").code, 2);
    let words = rename("0", "sub/film").ok().out;
    assert!(words.contains("payload, lies at sub/film"), "{words}");
    assert_eq!(daemon.told(&["files", "payload"])[0]["renamed"], "sub/film");
    assert_eq!(fs::read(to.join("sub/film")).unwrap(), bytes);
    assert!(!to.join("payload").exists());
    // Removed with its content, and nothing else.
    write(&to.join("other"), b"mine");
    daemon.ctl(&["remove", "--data", "payload"]).ok();
    crate::running::until(|| !to.join("sub/film").exists());
    assert!(to.join("other").exists());
}

#[test]
fn what_was_added_and_changed_is_there_after_a_crash() {
    let dir = folder();
    let torrents = dir.path().join("t");
    many(&torrents, 1000);
    let daemon = Daemon::start(dir.path());
    let data = dir.path().join("data");
    daemon
        .ctl(&["add", "--paused", "--data", text(&data), text(&torrents)])
        .ok();
    daemon.ctl(&["limits", "f00007", "--up", "123KiB/s"]).ok();
    daemon
        .ctl(&[
            "settings",
            "set",
            "limits.down=4MiB/s",
            "connections.half_open=11",
        ])
        .ok();
    daemon.kill();

    let daemon = Daemon::start(dir.path());
    crate::running::until(|| daemon.count() == 1000);
    let paused = daemon.ctl(&["list", "--only", "paused", "--count"]).ok();
    assert_eq!(paused.out.trim(), "1000");
    let keys = ["limits.down", "connections.half_open"];
    let settings = daemon.told(&[&["settings", "get"], &keys[..]].concat());
    let of = |key: &str| {
        settings
            .iter()
            .find(|row| row["key"] == key)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&of(keys[0])["value"], &of(keys[0])["kept"]),
        (&"4MiB/s".into(), &true.into())
    );
    assert_eq!(of(keys[1])["value"], 11);
    daemon.ctl(&["settings", "reset", keys[1]]).ok();
    daemon.ctl(&["remove", "f00999"]).ok();
    crate::running::until(|| daemon.count() == 999);
    daemon.ctl(&["shutdown"]).ok();

    let daemon = Daemon::start(dir.path());
    crate::running::until(|| daemon.count() == 999);
    let settings = daemon.told(&["settings", "get", keys[1]]);
    assert_eq!(settings[0]["kept"], false);
    assert_ne!(settings[0]["value"], 11);
    let shown = daemon.told(&["show", "f00007"]);
    assert_eq!(shown[0]["name"], "f00007");
    let files = daemon.told(&["files", "f00007"]);
    assert_eq!(files[0]["path"], "f00007", "its metadata is there");
}

#[test]
fn what_names_no_torrent_or_several_and_what_cannot_be_has_an_exit_code() {
    let dir = folder();
    let torrents = dir.path().join("t");
    many(&torrents, 40);
    let daemon = Daemon::start(dir.path());
    daemon.ctl(&["add", "--paused", text(&torrents)]).ok();
    let mut firsts: Vec<String> = daemon
        .told(&["list"])
        .iter()
        .map(|row| row["info_hash"].as_str().unwrap()[..1].to_owned())
        .collect();
    firsts.sort();
    // Of forty hashes two begin alike.
    let twice = firsts.windows(2).find(|pair| pair[0] == pair[1]).unwrap()[0].clone();
    let absent = dir.path().join("none.torrent");
    let no_torrent = dir.path().join("text.torrent");
    write(&no_torrent, b"hello");
    for (args, code, told) in [
        (&["show", "nothing"][..], 3, "no torrent is `nothing`"),
        (&["pause", "f00001", "nothing"], 3, "`nothing`"),
        (&["show", &twice], 2, "torrents"),
        (&["settings", "set", "limits.dwn=1"], 2, "limits.down"),
        (&["settings", "set", "limits.down=fast"], 2, "limits.down"),
        (&["settings", "get", "nothing"], 2, "no setting nothing"),
        (&["add", text(&absent)], 3, "does not exist"),
        (&["add", text(&no_torrent)], 2, "not a torrent"),
        (&["add", "magnet:?dn=x"], 2, "magnet link"),
        (
            &["add", "--files", "x", &"0".repeat(40)],
            2,
            "not known yet",
        ),
        (&["add", "http://127.0.0.1:1/x.torrent"], 1, "127.0.0.1:1"),
        (&["list", "--only", "lazy"], 2, "--only lazy"),
        (&["events", "--only", "nonsense"], 2, "nonsense"),
        (&["limits", "f00001"], 2, "--down"),
        (&["set", "f00001"], 2, "--seed-ratio"),
        (&["tag", "f00001"], 2, "--no-category"),
    ] {
        let ran = daemon.ctl(args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(ran.err.contains(told), "{args:?}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{args:?}: {ran:?}");
    }
    // Nothing was done to the one that was named rightly.
    assert_eq!(daemon.told(&["show", "f00001"])[0]["state"], "paused");
}

#[test]
fn the_daemon_that_runs_is_found_without_its_state_and_another_with_it_is_refused() {
    let dir = folder();
    let ctl = |more: &[&str]| {
        let mut command = crate::support::command();
        command
            .env("XDG_RUNTIME_DIR", dir.path())
            .arg("ctl")
            .args(more);
        command.output().unwrap()
    };
    let none = ctl(&["list"]);
    assert_eq!(none.status.code(), Some(4), "{none:?}");
    let daemon = Daemon::start(dir.path());
    let found = ctl(&["list", "--count"]);
    assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), "0");
    let second = run(super::flags(text(&daemon.state)));
    let pid = daemon.running.child.id().to_string();
    assert_eq!(second.code, 1, "{second:?}");
    assert!(
        second.err.contains(&format!("with id {pid} ")),
        "{second:?}"
    );
    let elsewhere = dir.path().join("elsewhere");
    let nobody = run(["ctl", "--state", text(&elsewhere), "list"]);
    assert_eq!(nobody.code, 4, "{nobody:?}");
    let other = folder();
    let other_state = other.path().join("state");
    let mut command = crate::support::command();
    command.args(super::flags(text(&other_state)));
    let mut other = Running::of(command.env("XDG_RUNTIME_DIR", dir.path()));
    other.event("serving");
    let several = ctl(&["list"]);
    assert_eq!(several.status.code(), Some(2), "{several:?}");
    assert!(String::from_utf8_lossy(&several.stderr).contains("--state"));
}

#[test]
fn all_that_is_kept_goes_to_a_file() {
    let dir = folder();
    many(&dir.path().join("t"), 2);
    let daemon = Daemon::start(dir.path());
    daemon
        .ctl(&["add", "--paused", text(&dir.path().join("t"))])
        .ok();
    let backup = dir.path().join("backup");
    let told: Vec<Value> = daemon.told(&["backup", text(&backup)]);
    assert_eq!(told[0]["file"], text(&backup));
    assert!(fs::metadata(&backup).unwrap().len() > 1000);
    let living = daemon.ctl(&["backup", text(&daemon.state.join("state.redb"))]);
    assert_eq!(living.code, 1, "{living:?}");
}

#[test]
fn what_a_seed_keeps_in_the_same_state_is_left_to_it_without_a_complaint() {
    let dir = folder();
    let (data, torrent) = (dir.path().join("data"), dir.path().join("film.torrent"));
    write(&data.join("film"), &content(7, 300_000));
    create(&data.join("film"), &torrent, &[]).ok();
    let state = dir.path().join("state");
    let mut seed = Running::start(&[
        "seed",
        text(&torrent),
        "--data",
        text(&data),
        "--state",
        text(&state),
        "--listen",
        "127.0.0.1:0",
        "--no-dht",
        "--no-lsd",
        "--no-portmap",
    ]);
    seed.event("seeding");
    seed.signal("TERM");
    assert_eq!(seed.child.wait().unwrap().code(), Some(0));
    let left = || {
        let mut names = fs::read_dir(&state).unwrap();
        names.any(|entry| {
            entry
                .unwrap()
                .path()
                .extension()
                .is_some_and(|end| end == "resume")
        })
    };
    assert!(left());
    let mut daemon = Daemon::start(dir.path());
    assert!(left());
    // It says nothing of another folder.
    let elsewhere = dir.path().join("elsewhere");
    daemon
        .ctl(&["add", text(&torrent), "--data", text(&elsewhere)])
        .ok();
    daemon.until("film", |shown| shown["state"] == "downloading");
    daemon.ctl(&["remove", "film"]).ok();
    daemon
        .ctl(&["add", text(&torrent), "--data", text(&data), "--wait"])
        .ok();
    daemon.ctl(&["shutdown"]).ok();
    assert_eq!(daemon.running.errors(), "");
}
