//! Categories and tags.

use super::{Daemon, folder, many};
use crate::support::{content, text, write};

/// The names of what is listed.
fn names(daemon: &Daemon, filter: &[&str]) -> Vec<String> {
    let args = ["list", "--sort", "name"].iter().chain(filter);
    let rows = daemon.told(&args.copied().collect::<Vec<_>>());
    let name = |row: &serde_json::Value| row["name"].as_str().unwrap().to_owned();
    rows.iter().map(name).collect()
}

#[test]
fn categories_have_folders_and_torrents_are_sorted_by_them_and_by_tags() {
    let dir = folder();
    let torrents = dir.path().join("t");
    let films = dir.path().join("films");
    many(&torrents, 3);
    // What is there is found, for it lies in the folder of the category.
    write(&films.join("f00000"), &content(0, 100));
    let daemon = Daemon::start(dir.path());
    let made = daemon.told(&["categories", "set", "films", "--dir", text(&films)]);
    assert_eq!(made[0]["dir"], text(&films));
    let [first, second, third] = [0, 1, 2].map(|n| torrents.join(format!("f{n:05}.torrent")));
    let (first, second, third) = (text(&first), text(&second), text(&third));
    let films_too = ["--category", "films", "--tag", "new", "--tag", "hd"];
    let add = |more: &[&str], torrent: &str| {
        let args: Vec<&str> = ["add"]
            .iter()
            .chain(more)
            .copied()
            .chain([torrent])
            .collect();
        daemon.ctl(&args).ok();
    };
    add(&films_too, first);
    add(&["--paused", "--category", "other"], second);
    add(&["--paused"], third);
    daemon.until("f00000", |row| row["state"] == "seeding");
    let shown = daemon.told(&["show", "f00000"]);
    assert_eq!(shown[0]["category"], "films");
    assert_eq!(shown[0]["tags"], serde_json::json!(["hd", "new"]));
    assert_eq!(names(&daemon, &["--category", "films"]), ["f00000"]);
    assert_eq!(names(&daemon, &["--category", ""]), ["f00002"]);
    assert_eq!(names(&daemon, &["--tag", "new", "--tag", "hd"]), ["f00000"]);
    // With an actor, and without one.
    daemon
        .ctl(&[
            "tag",
            "f00000",
            "f00002",
            "--category",
            "films",
            "--remove",
            "hd",
            "--add",
            "seen",
        ])
        .ok();
    daemon.kill();

    let daemon = Daemon::start(dir.path());
    crate::running::until(|| daemon.count() == 3);
    assert_eq!(
        names(&daemon, &["--category", "films", "--tag", "seen"]),
        ["f00000", "f00002"]
    );
    assert!(names(&daemon, &["--tag", "hd"]).is_empty());
    let all = daemon.told(&["categories"]);
    let counts: Vec<_> = all
        .iter()
        .map(|row| {
            (
                row["name"].as_str().unwrap(),
                row["torrents"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(counts, [("films", 2), ("other", 1)]);
    daemon.ctl(&["categories", "remove", "films"]).ok();
    assert_eq!(names(&daemon, &["--category", ""]), ["f00000", "f00002"]);
}

#[test]
fn labels_that_cannot_be_are_refused() {
    let dir = folder();
    many(&dir.path().join("t"), 1);
    let daemon = Daemon::start(dir.path());
    daemon
        .ctl(&["add", "--paused", text(&dir.path().join("t"))])
        .ok();
    for (args, code) in [
        (&["categories", "remove", "films"][..], 3),
        (&["categories", "set", ""], 2),
        (&["tag", "f00000"], 2),
        (&["tag", "f00000", "--add", "a\nb"], 2),
    ] {
        let ran = daemon.ctl(args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
    }
}
