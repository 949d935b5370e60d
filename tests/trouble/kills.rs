//! A daemon that is killed again and again while torrents come, go and move.

mod channel;
mod lane;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::clients::home;
use support::ours;
use support::payload::{Payload, SplitMix};
use support::process::Process;
use support::torrent::Torrent;
use support::{Lab, Need, isolated_test};

use lane::Lane;

/// A torrent that comes and goes, and its bytes.
struct Item {
    payload: Payload,
    torrent: Torrent,
    bytes: Vec<u8>,
}

isolated_test! {
    fn a_daemon_that_is_killed_loses_no_torrent_and_claims_nothing_that_is_not_there(
        lab, limit = 1800, needs = [Need::Ours]
    ) {
        let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
        let kills: usize = number("TRIBLER_TESTS_KILLS", 8) as usize;
        let seed = number("TRIBLER_TESTS_SEED", 1);
        lab.report(&format!("{kills} kills, seed {seed} (TRIBLER_TESTS_KILLS, TRIBLER_TESTS_SEED)"));
        let begin = Instant::now();
        let data = lab.folder("data");
        let items: Arc<[Item]> = (0..ITEMS).map(|number| item(lab, number, &data)).collect();
        let (_seeder, at) = seeder(lab, &items, &data);
        let lanes: Vec<Lane> = (0..LANES)
            .map(|number| Lane::new(lab, number, Arc::clone(&items), at, SplitMix(seed * 100 + number as u64)))
            .collect();
        let done: Vec<lane::Counts> = std::thread::scope(|scope| {
            let running: Vec<_> = lanes
                .into_iter()
                .enumerate()
                .map(|(number, mut lane)| {
                    let kills = (kills + LANES - 1 - number) / LANES;
                    scope.spawn(move || {
                        (0..kills).for_each(|_| lane.round());
                        lane.finish()
                    })
                })
                .collect();
            running.into_iter().map(|lane| lane.join().expect("no panic inside")).collect()
        });
        let sum = |of: fn(&lane::Counts) -> usize| -> usize { done.iter().map(of).sum() };
        assert_eq!(sum(|it| it.kills), kills);
        lab.report(&format!(
            "{kills} kills in {} s: {} torrents added, {} removed, {} moves, {} claims compared with the disk, {} with what was there 5 s \
             before a kill, which {} had something of",
            begin.elapsed().as_secs(),
            sum(|it| it.added),
            sum(|it| it.removed),
            sum(|it| it.moved),
            sum(|it| it.claims),
            sum(|it| it.remembered),
            sum(|it| it.aged),
        ));
        assert!(kills < 100 || sum(|it| it.aged) > kills / 10, "hardly anything was old enough to be remembered");
    }
}

const ITEMS: u64 = 6;
const LANES: usize = 4;

fn item(lab: &Lab, number: u64, data: &std::path::Path) -> Item {
    let name = format!("item {number}");
    let len = (2 + number) << 20;
    let payload = if number.is_multiple_of(2) {
        Payload::single(&name, len + 77, number)
    } else {
        let files = vec![
            ("a/first".into(), len / 3),
            ("empty".into(), 0),
            ("b/second".into(), len / 2 + 5),
            ("small".into(), 9),
        ];
        Payload::folder(&name, files, number)
    };
    payload.write(data).expect("the payload");
    let path = lab.dir().join(format!("{name}.torrent"));
    let torrent = Torrent::write(&path, &payload, data, 64 << 10, &[]).expect("the torrent");
    let bytes = payload.entries().into_iter();
    let bytes = bytes.flat_map(|(path, _)| std::fs::read(data.join(path)).expect("written"));
    Item {
        bytes: bytes.collect(),
        payload,
        torrent,
    }
}

/// A daemon that has all of them and is left alone.
fn seeder(lab: &Lab, items: &[Item], data: &std::path::Path) -> (Process, std::net::SocketAddr) {
    let (home, listen) = home(lab, "seeder");
    let seeder = start(&home, listen, &["--max-up", "12MiB/s"], "seeder");
    let state = home.join("state");
    channel::Channel::open(&state, PATIENCE).expect("the seeder answers");
    for item in items {
        let data = data.to_string_lossy();
        let added = add(&state, item, &["--data", &data, "--no-check"]);
        assert!(added.is_ok(), "{added:?}");
    }
    (seeder, listen)
}

const PATIENCE: Duration = Duration::from_mins(1);

/// Starts a daemon that meets nobody by itself, with its state in a folder.
fn start(
    home: &std::path::Path,
    listen: std::net::SocketAddr,
    more: &[&str],
    name: &str,
) -> Process {
    let mut command = Command::new(ours::binary());
    command
        .args(["daemon", "--json", "--no-dht", "--no-lsd", "--no-portmap"])
        .args(["--listen", &listen.to_string(), "--state"])
        .arg(home.join("state"))
        .arg("--output")
        .arg(home.join("data"))
        .args(more)
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("RUST_BACKTRACE", "full");
    Process::start(command, home, name)
}

/// Adds a torrent; says why not, where the daemon did not say that it is there.
fn add(state: &std::path::Path, item: &Item, more: &[&str]) -> Result<(), String> {
    let path: &PathBuf = &item.torrent.path;
    let output = Command::new(ours::binary())
        .args(["ctl", "--state"])
        .arg(state)
        .arg("add")
        .arg(path)
        .args(more)
        .output()
        .expect("ctl runs");
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
