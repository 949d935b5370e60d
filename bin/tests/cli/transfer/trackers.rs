//! Trackers, and what people hear of them.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::http::tracker;
use super::{PATIENCE, Shared, download};
use crate::support::{command, create, text};

#[test]
fn passkeys_of_trackers_stay_out_of_the_log_and_their_warnings_are_passed_on() {
    const KEY: &str = "5ec4e75ec4e75ec4e7";
    let (good, asked) = tracker(b"d8:intervali1800e5:peers0:15:warning message12:mind the gape");
    let (bad, _) = tracker(b"this is not bencode");
    let shared = Shared::new("v1");
    let (_seeder, peer) = shared.seed();
    let (data, torrent) = (shared.path("seed/data"), shared.path("private.torrent"));
    let trackers = [
        format!("http://{bad}/announce?passkey={KEY}"),
        format!("http://{good}/announce/{KEY}"),
    ];
    let more: Vec<&str> = trackers.iter().flat_map(|url| ["--tracker", url]).collect();
    create(
        &data,
        &torrent,
        &[&more[..], &["--piece-length", "32KiB", "--format", "v1"]].concat(),
    )
    .ok();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let mut args = download(text(&torrent), &peer, &down, &state);
    args.retain(|arg| *arg != "--no-trackers" && *arg != "--json");
    args.extend(["--seed-time", "2s"]);
    let mut command = command();
    let output = command
        .args(&args)
        .env("RUST_LOG", "info")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(asked.recv_timeout(PATIENCE).unwrap().contains(KEY));
    assert!(!said.contains(KEY), "{said}");
    assert!(said.contains("mind the gap"), "{said}");
}

#[test]
fn people_hear_once_why_a_tracker_gives_no_peers() {
    let (tracker, _asked) = tracker(b"d14:failure reason13:go away: \x1b[1me");
    let shared = Shared::new("v1");
    let torrent = shared.path("tracked.torrent");
    let url = format!("http://{tracker}/announce/5ec4e7");
    create(&shared.path("seed/data"), &torrent, &["--tracker", &url]).ok();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let mut command = command();
    let mut child = command
        .args(["download", text(&torrent), "-o", text(&down)])
        .args(["--listen", "127.0.0.1:0", "--no-lsd", "--no-dht"])
        .args(["--state", text(&state)])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in lines.map_while(Result::ok) {
        let last = line.contains("no tracker names peers");
        said.push(line);
        if last {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let warning =
        format!("warning: data: no peers from tracker {tracker}: the tracker says: go away: [1m");
    assert_eq!(
        said.iter().filter(|line| **line == warning).count(),
        1,
        "{said:?}"
    );
    assert!(said.last().unwrap().starts_with("data: 0% of "), "{said:?}");
}
