//! SIGKILL in the middle of a download.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use support::clients::{Job, Running as _, finish, home};
use support::ours::Ours;
use support::payload::{Payload, SplitMix};
use support::torrent::Torrent;
use support::wire::Relay;
use support::{Lab, Need, isolated_test, wait};

isolated_test! {
    fn a_killed_download_ends_with_the_right_bytes_and_fetches_little_twice(
        lab, limit = 1200, needs = [Need::Ours]
    ) {
        let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
        let kills: usize = number("TRIBLER_TESTS_KILLS", 8) as usize;
        let seed = number("TRIBLER_TESTS_SEED", 1);
        lab.report(&format!("{kills} kills, seed {seed} (TRIBLER_TESTS_KILLS, TRIBLER_TESTS_SEED)"));

        let payload = Payload::single("crash.bin", LEN, 0xC4A5);
        let data = lab.folder("data");
        payload.write(&data).expect("the payload");
        let path = lab.dir().join("crash.torrent");
        let torrent = Torrent::write(&path, &payload, &data, 256 * 1024, &[]).expect("the torrent");
        let (seeder_home, at) = home(lab, "seeder");
        let job = Job::seed(&torrent.path.display().to_string(), &data, at);
        let mut seeder = Ours::start(&job, &seeder_home);
        finish(&mut seeder, Duration::from_secs(30), "the seeder");

        let mut rng = SplitMix(seed);
        let whole = Duration::from_secs(LEN / RATE);
        let moments: VecDeque<Duration> =
            (0..kills).map(|_| Duration::from_millis(100 + rng.below(whole.as_millis() as u64 - 200))).collect();
        let moments = Mutex::new(moments);
        let twice = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let Some(moment) = moments.lock().expect("no panic inside").pop_front() else { break };
                        let bytes = kill_once(lab, &job, at, moment);
                        payload.assert_equal(&data, &output_of(lab, moment));
                        twice.lock().expect("no panic inside").push((bytes, moment));
                    }
                });
            }
        });
        let mut twice = twice.into_inner().expect("no panic inside");
        twice.sort();
        assert_eq!(twice.len(), kills);
        let (most, moment) = twice[kills - 1];
        lab.report(&format!(
            "fetched twice: median {} KiB, most {} KiB (killed after {moment:?}); 5 s are {} KiB",
            twice[kills / 2].0 / 1024, most / 1024, 5 * RATE / 1024
        ));
        assert!(most <= 5 * RATE, "killed after {moment:?}, {most} bytes were fetched twice");
    }
}

/// Downloads, kills at `moment`, downloads the rest; returns how many bytes came over the wire beyond the payload.
fn kill_once(lab: &Lab, seeder: &Job, at: SocketAddr, moment: Duration) -> u64 {
    let relay = Relay::start(lab.address(), at, RATE);
    let output = output_of(lab, moment);
    let (home, listen) = home(lab, "killed");
    let job = Job {
        dir: output,
        listen,
        peers: vec![relay.address()],
        seed: false,
        ..seeder.clone()
    };
    let mut first = Ours::start(&job, &home);
    wait::pause(moment);
    first.process().kill();
    let second_listen = SocketAddr::new(listen.ip(), 0);
    let mut second = Ours::start(
        &Job {
            listen: second_listen,
            ..job
        },
        &home,
    );
    finish(&mut second, Duration::from_mins(2), "the second download");
    relay.passed().saturating_sub(LEN)
}

fn output_of(lab: &Lab, moment: Duration) -> std::path::PathBuf {
    lab.folder(&format!("output {} us", moment.as_micros()))
}

const LEN: u64 = 20 << 20;
/// Bytes a second: slow enough that kills fall into every part of the download.
const RATE: u64 = 2 << 20;
const AT_ONCE: usize = 8;
