//! When a command ends, and how.

use std::time::{Duration, Instant};

use super::http::falling_silent;
use super::{Running, Shared, alone, download, downloading, events, seeding};
use crate::support::{create, run, text};

/// How long an end may take on a machine that has much else to do: less than the 30 s that a tracker may take to answer.
const PROMPT: Duration = Duration::from_secs(25);

/// A seeder whose tracker knows of it and will not answer its farewell.
fn seeder_with_silent_tracker(shared: &Shared) -> Running {
    let tracker = falling_silent();
    let data = shared.path("seed/data");
    let torrent = shared.path("tracked.torrent");
    create(&data, &torrent, &["--tracker", &tracker]).ok();
    let (data, state) = (shared.path("seed"), shared.path("state-tracked"));
    let mut args = alone(seeding(&torrent, &data, &state));
    args.extend(["--log", "engine=debug"]);
    let mut running = Running::start(&args);
    running.wait_for("seeding");
    running.wait_for("tracker");
    running
}

#[test]
fn keeping_on_seeding_ends_by_the_goal_or_by_a_signal() {
    let shared = Shared::new("hybrid");
    let (_seeder, addr) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    let mut args = download(&torrent, &addr, &down, &state);
    args.extend(["--seed-time", "300ms"]);
    let lines = run(&args).ok().json_lines();
    assert!(events(&lines).contains(&"seeding"), "{lines:?}");

    let mut args = download(&torrent, &addr, &down, &state);
    args.push("--keep-seeding");
    let mut running = Running::start(&args);
    running.wait_for("finished");
    running.wait_for("seeding");
    running.signal("INT");
    assert_eq!(running.end(), 0);
}

#[test]
fn a_download_that_is_stopped_before_its_end_has_failed() {
    let shared = Shared::new("hybrid");
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    // Nobody listens at the discard port.
    let mut running = Running::start(&download(&torrent, "127.0.0.1:9", &down, &state));
    running.wait_for("listening");
    let asked = Instant::now();
    running.signal("INT");
    assert_eq!(running.end(), 1);
    assert!(asked.elapsed() < PROMPT);
}

#[test]
fn a_silent_tracker_does_not_hold_the_end_up_for_long() {
    let shared = Shared::new("hybrid");
    let running = seeder_with_silent_tracker(&shared);
    let asked = Instant::now();
    running.signal("TERM");
    assert_eq!(running.end(), 0);
    assert!(asked.elapsed() < PROMPT, "{:?}", asked.elapsed());
}

#[test]
fn a_second_signal_ends_at_once() {
    let shared = Shared::new("hybrid");
    let mut running = seeder_with_silent_tracker(&shared);
    running.signal("INT");
    running.wait_for("stopping");
    running.signal("INT");
    assert_eq!(running.end(), 130);
}

#[test]
fn a_download_whose_lines_nobody_reads_ends() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let shared = Shared::new("v1");
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    let mut child = crate::support::command()
        .args(alone(downloading(&torrent, &down, &state)))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // As `head -1` does.
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    assert!(line.contains("added"), "{line}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn progress_that_cannot_be_saved_is_told_once() {
    let shared = Shared::new("v1");
    let (_seeder, addr) = shared.seed();
    let about = run(["info", text(&shared.torrent), "--json"]).ok().json();
    let hash = about["info_hash_v1"].as_str().unwrap();
    let (down, state) = (shared.path("down"), shared.path("state"));
    // A folder in the way of the file, as a full disk would be.
    std::fs::create_dir_all(state.join(format!("{hash}.new"))).unwrap();
    let ran = run(download(text(&shared.torrent), &addr, &down, &state)).ok();
    let lines = ran.json_lines();
    let told = lines.iter().filter(|line| line["event"] == "unsaved");
    let folders: Vec<&str> = told.map(|line| line["folder"].as_str().unwrap()).collect();
    assert_eq!(folders, [text(&state)], "{ran:?}");
    let words = format!("warning: can't save resume data in {}: ", text(&state));
    assert_eq!(ran.err.matches(&words).count(), 1, "{ran:?}");
}
