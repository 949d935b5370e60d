//! `download`.

use super::http::serve_once;
use super::{Shared, download, events, same};
use crate::support::{run, run_with, text};

#[test]
fn a_download_says_what_it_does_and_ends_with_the_right_bytes() {
    let shared = Shared::new("hybrid");
    let (seeder, addr) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    let lines = run(download(&torrent, &addr, &down, &state))
        .ok()
        .json_lines();
    let events = events(&lines);
    assert_eq!(events[..2], ["added", "listening"], "{lines:?}");
    assert_eq!(events.last(), Some(&"finished"), "{lines:?}");
    assert!(
        events[2..events.len() - 1]
            .iter()
            .all(|event| *event == "progress"),
        "{lines:?}"
    );
    assert!(events.len() > 3, "{lines:?}");
    assert_eq!(lines[0]["name"], "data");
    assert_eq!(lines[0]["size"], 750_001);
    let progress = &lines[lines.len() - 2];
    assert_eq!(progress["done"], 750_001);
    assert_eq!(progress["size"], 750_001);
    for key in ["down", "up", "peers", "encrypted"] {
        assert!(progress[key].is_u64(), "{progress}");
    }
    assert!(lines.last().unwrap()["seconds"].is_f64());
    for file in ["a.bin", "b/c.bin", "b/empty", "d.txt"] {
        let (one, other) = (
            shared.path("seed/data").join(file),
            down.join("data").join(file),
        );
        assert!(same(&one, &other), "{file}");
    }
    // Once more: all is there, and that is seen without a peer.
    let lines = run(download(&torrent, "127.0.0.1:9", &down, &state))
        .ok()
        .json_lines();
    assert_eq!(lines.last().unwrap()["event"], "finished");
    seeder.signal("TERM");
    assert_eq!(seeder.end(), 0);
}

#[test]
fn several_sources_are_fetched_at_a_time_and_repeated_ones_once() {
    let (one, other) = (Shared::new("v1"), Shared::named("other", "hybrid"));
    let (_first, first) = one.seed();
    let (_second, second) = other.seed();
    let (down, state) = (one.path("down"), one.path("state"));
    let torrent = text(&one.torrent).to_owned();
    let mut args = download(&torrent, &first, &down, &state);
    args.extend([text(&other.torrent), &torrent, "--peer", &second]);
    let ran = run(args).ok();
    let lines = ran.json_lines();
    let count = |name: &str| {
        events(&lines)
            .iter()
            .filter(|event| **event == name)
            .count()
    };
    assert_eq!((count("added"), count("finished")), (2, 2), "{ran:?}");
    assert!(ran.err.contains("twice"), "{ran:?}");
}

#[test]
fn failures_are_json_lines_too() {
    let ran = run(["download", "/nonexistent/x.torrent", "--json"]);
    assert_eq!(ran.code, 3);
    let line = ran.json();
    assert_eq!(line["event"], "error");
    assert!(line["message"].as_str().unwrap().contains("/nonexistent"));
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_at_once() {
    let shared = Shared::new("v1");
    let state = shared.path("state");
    let torrent = text(&shared.torrent).to_owned();
    for output in [
        shared.torrent.clone(),
        shared.torrent.join("below"),
        "/proc/1/x".into(),
    ] {
        let ran = run(download(&torrent, "127.0.0.1:9", &output, &state));
        assert_eq!(ran.code, 1, "{ran:?}");
    }
}

#[test]
fn a_torrent_is_fetched_over_http_and_read_from_standard_input() {
    let shared = Shared::new("hybrid");
    let (_seeder, addr) = shared.seed();
    let torrent = std::fs::read(&shared.torrent).unwrap();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let url = serve_once("200 OK", torrent.clone());
    run(download(&url, &addr, &down, &state)).ok();
    assert!(same(
        &shared.path("seed/data/a.bin"),
        &down.join("data/a.bin")
    ));

    let (down, state) = (shared.path("down2"), shared.path("state2"));
    run_with(download("-", &addr, &down, &state), &torrent).ok();
    assert!(same(
        &shared.path("seed/data/a.bin"),
        &down.join("data/a.bin")
    ));

    let about = run(["info", &serve_once("200 OK", torrent), "--json"])
        .ok()
        .json();
    assert_eq!(about["name"], "data");
    assert_eq!(
        run(["info", &serve_once("404 Not Found", Vec::new())]).code,
        3
    );
    assert_eq!(run(["info", &serve_once("500 Oh", Vec::new())]).code, 1);
    assert_eq!(
        run(["info", &serve_once("200 OK", b"hello".to_vec())]).code,
        1
    );
}

#[test]
fn files_that_hold_nothing_of_the_torrent_are_left_alone_unless_they_may_go() {
    let shared = Shared::new("v1");
    let (_seeder, at) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state-down"));
    let notes = down.join("data/a.bin");
    crate::support::write(&notes, b"precious notes");
    let source = text(&shared.torrent);
    let ran = run(download(source, &at, &down, &state));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("a.bin") && ran.err.contains("--overwrite"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read(&notes).unwrap(), b"precious notes");
    let args = download(source, &at, &down, &state).into_iter();
    run(args.chain(["--overwrite"]).collect::<Vec<_>>()).ok();
    shared.assert_fetched(&down, &["a.bin", "b/c.bin", "d.txt"]);
}

#[test]
fn two_torrents_with_one_file_do_not_write_over_each_other() {
    let (shared, other) = (Shared::new("v1"), Shared::new("v1"));
    crate::support::write(
        &other.path("seed/data/a.bin"),
        &crate::support::content(9, 300_000),
    );
    std::fs::remove_file(&other.torrent).unwrap();
    crate::support::create(
        &other.path("seed/data"),
        &other.torrent,
        &["--piece-length", "32KiB"],
    )
    .ok();
    let (_seeder, at) = shared.seed();
    let (_another, by) = other.seed();
    let (down, state) = (shared.path("down"), shared.path("state-down"));
    let args = download(text(&shared.torrent), &at, &down, &state).into_iter();
    let ran = run(args
        .chain(["--peer", &by, text(&other.torrent)])
        .collect::<Vec<_>>());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("another torrent has this file"), "{ran:?}");
    // Whichever came first has it.
    let both = [&shared, &other].map(|one| one.path("seed/data/a.bin"));
    let won = both
        .iter()
        .filter(|theirs| same(theirs, &down.join("data/a.bin")));
    assert_eq!(won.count(), 1);
}

#[test]
fn people_are_told_where_the_content_of_a_link_lies() {
    let shared = Shared::new("v1");
    let (_seeder, addr) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let link = shared.magnet();
    let mut args = download(&link, &addr, &down, &state);
    args.retain(|arg| *arg != "--json");
    args.extend(["--log", "engine=debug"]);
    let ran = run(&args).ok();
    assert!(
        ran.err.contains(&addr) && ran.err.contains("connected"),
        "{ran:?}"
    );
    let said = ran.out;
    let place = format!(", in {}", text(&down.join("data")));
    assert!(said.contains(&place), "{said}");
}
