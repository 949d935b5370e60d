//! What is not said of hops is as it was before, and never the direct way for want of a word.

use std::path::Path;

use serde_json::{Value, json};

use super::{Shared, alone, download, downloading, events, seeding};
use crate::support::{Ran, run, text};

const COMMUNITY: &str = "00112233445566778899aabbccddeeff00112233";

/// No circuit comes about: nobody else is there.
const NOBODY: [&str; 8] = [
    "--overlay-listen",
    "127.0.0.1:0",
    "--overlay-bootstrap",
    "127.0.0.1:9",
    "--overlay-community",
    COMMUNITY,
    "--hops-within",
    "1s",
];

/// A run that has nowhere to go but through circuits that do not come about.
fn in_vain(args: Vec<&str>, more: &[&str]) -> Ran {
    run(alone(args).iter().chain(&NOBODY).chain(more))
}

fn told(ran: &Ran) -> Option<Value> {
    let mut lines = ran.json_lines().into_iter();
    lines.find(|line| line["event"] == "hops")
}

fn hops(hops: u8, before: u8, name: &str) -> Value {
    json!({"event": "hops", "hops": hops, "before": before, "name": name})
}

#[test]
fn a_download_without_a_word_goes_on_by_its_hops_and_directly_only_if_that_is_said() {
    let shared = Shared::new("hybrid");
    let (_seeder, addr) = shared.seed();
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    let vain = |more| in_vain(downloading(&torrent, &down, &state), more);

    let first = vain(&["--hops", "2"]);
    assert_eq!((first.code, told(&first)), (5, None), "{first:?}");
    let second = vain(&[]);
    assert_eq!(second.code, 5, "{second:?}");
    assert_eq!(told(&second), Some(hops(2, 2, "data")), "{second:?}");
    assert!(!events(&second.json_lines()).contains(&"listening"));
    let other = vain(&["--hops", "3"]);
    assert_eq!(told(&other), Some(hops(3, 2, "data")), "{other:?}");
    // A link of it is the same torrent.
    let magnet = shared.magnet();
    let link = in_vain(downloading(&magnet, &down, &state), &[]);
    assert_eq!(link.code, 5, "{link:?}");
    assert_eq!(told(&link), Some(hops(3, 3, "data")), "{link:?}");

    let direct = download(&torrent, &addr, &down, &state);
    let direct = run(direct.into_iter().chain(["--hops", "0"])).ok();
    assert_eq!(told(&direct), Some(hops(0, 3, "data")), "{direct:?}");
    assert!(direct.err.is_empty(), "{direct:?}");
    let again = run(download(&torrent, &addr, &down, &state)).ok();
    assert_eq!(told(&again), None, "{again:?}");
    // All is there, and nothing has to be sent for it.
    let back = vain(&["--hops", "1"]).ok();
    assert_eq!(told(&back), Some(hops(1, 0, "data")), "{back:?}");
}

#[test]
fn people_are_told_which_way_it_goes_where_they_have_not_said() {
    let shared = Shared::new("v1");
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent);
    let plain = |more: &[&str]| {
        let args = downloading(torrent, &down, &state).into_iter();
        let args = args.filter(|arg| *arg != "--json").collect();
        in_vain(args, more)
    };
    plain(&["--hops", "1"]);
    let said = "data goes on by 1 hop, as before; --hops 0 goes the direct way";
    let ran = plain(&[]);
    assert!(ran.out.contains(said) || ran.err.contains(said), "{ran:?}");
    let said = "data went by 1 hop before, and goes by 2 hops from now on";
    let ran = plain(&["--hops", "2"]);
    assert!(ran.out.contains(said) || ran.err.contains(said), "{ran:?}");
}

#[test]
fn a_torrent_at_an_address_is_not_even_asked_for_another_way() {
    let shared = Shared::new("v1");
    let (down, state) = (shared.path("down"), shared.path("state"));
    // Whoever connects here is refused at once, which is exit code 1.
    let address = "http://127.0.0.1:9/t.torrent";
    let vain = |more| in_vain(downloading(address, &down, &state), more);
    assert_eq!(vain(&["--hops", "1"]).code, 5);
    let again = vain(&[]);
    assert_eq!((again.code, told(&again)), (5, Some(hops(1, 1, address))));
    assert_eq!(vain(&["--hops", "0"]).code, 1);
}

#[test]
fn a_seeder_goes_on_by_its_hops_too() {
    let shared = Shared::new("v1");
    let (data, state) = (shared.path("seed"), shared.path("state"));
    let vain = |more| in_vain(seeding(&shared.torrent, &data, &state), more);
    assert_eq!(vain(&["--hops", "2"]).code, 5);
    let again = vain(&[]);
    assert_eq!((again.code, told(&again)), (5, Some(hops(2, 2, "data"))));
}

#[test]
fn torrents_that_went_different_ways_are_not_taken_together_without_a_word() {
    let (one, other) = (Shared::new("v1"), Shared::named("other", "v1"));
    let (down, state) = (one.path("down"), one.path("state"));
    let torrent = |shared: &Shared| text(&shared.torrent).to_owned();
    let (one, other) = (torrent(&one), torrent(&other));
    assert_eq!(
        in_vain(downloading(&one, &down, &state), &["--hops", "2"]).code,
        5
    );
    let both = || {
        let mut args = downloading(&one, &down, &state);
        args.push(&other);
        args
    };
    let refused = in_vain(both(), &[]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let why = "data went by 2 hops before, and other did not: say --hops";
    assert!(refused.err.contains(why), "{refused:?}");
    let together = in_vain(both(), &["--hops", "2"]);
    assert_eq!(together.code, 5, "{together:?}");
    assert_eq!(in_vain(both(), &[]).code, 5);
}

#[test]
fn what_was_kept_and_cannot_be_read_is_said_and_not_gone_past() {
    let shared = Shared::new("v1");
    let (down, state) = (shared.path("down"), shared.path("state"));
    let torrent = text(&shared.torrent).to_owned();
    let vain = |more| in_vain(downloading(&torrent, &down, &state), more);
    assert_eq!(vain(&["--hops", "1"]).code, 5);
    for entry in std::fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() == Some(Path::new("hops").as_os_str()) {
            std::fs::write(path, "").unwrap();
        }
    }
    let refused = vain(&[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("say --hops"), "{refused:?}");
    assert_eq!(vain(&["--hops", "1"]).code, 5);
    assert_eq!(told(&vain(&[])), Some(hops(1, 1, "data")));
}
