//! Files that are chosen.

use super::{Shared, download, events, same};
use crate::support::{run, text};

#[test]
fn a_magnet_link_fetches_the_chosen_files_only() {
    let shared = Shared::new("v1");
    let (_seeder, addr) = shared.seed();
    let magnet = shared.magnet();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let mut args = download(&magnet, &addr, &down, &state);
    args.extend(["--files", "c.bin"]);
    let lines = run(args).ok().json_lines();
    assert!(events(&lines).contains(&"metadata"), "{lines:?}");
    shared.assert_fetched(&down, &["b/c.bin"]);
}

#[test]
fn a_magnet_link_may_choose_files_itself() {
    let shared = Shared::new("v1");
    let (_seeder, addr) = shared.seed();
    let magnet = format!("{}&so=1,77", shared.magnet());
    let (down, state) = (shared.path("down"), shared.path("state"));
    run(download(&magnet, &addr, &down, &state)).ok();
    shared.assert_fetched(&down, &["b/c.bin"]);
    // What is asked for on the command line goes before.
    let other = shared.path("other");
    let mut args = download(&magnet, &addr, &other, &state);
    args.extend(["--files", "a.bin"]);
    run(args).ok();
    shared.assert_fetched(&other, &["a.bin"]);
}

#[test]
fn a_magnet_link_that_chooses_no_file_of_the_torrent_is_an_error() {
    let shared = Shared::new("v1");
    let (_seeder, addr) = shared.seed();
    let magnet = format!("{}&so=70-9000", shared.magnet());
    let (down, state) = (shared.path("down"), shared.path("state"));
    let ran = run(download(&magnet, &addr, &down, &state));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("selects no file"), "{ran:?}");
    assert!(!down.join("data").exists());
}

#[test]
fn files_are_chosen_by_number() {
    let shared = Shared::new("hybrid");
    let (_seeder, addr) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    let mut args = download(&torrent, &addr, &down, &state);
    args.extend(["--files", "0"]);
    let lines = run(args).ok().json_lines();
    // Padding after the file is not counted.
    let progress = &lines[lines.len() - 2];
    assert_eq!(progress["size"], 700_000, "{progress}");
    assert_eq!(progress["done"], 700_000, "{progress}");
    assert!(same(
        &shared.path("seed/data/a.bin"),
        &down.join("data/a.bin")
    ));
    assert!(!down.join("data/b/c.bin").exists());
    let mut args = download(&torrent, &addr, &down, &state);
    args.extend(["--files", "99"]);
    assert_eq!(run(args).code, 3);
    let mut args = download(&torrent, &addr, &down, &state);
    args.extend(["--files", "*.mkv"]);
    assert_eq!(run(args).code, 3);
}
