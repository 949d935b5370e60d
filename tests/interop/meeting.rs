//! Three programs, of which two know only the third: peer exchange (BEP 11) brings them together.

use std::path::Path;
use std::time::Duration;

use support::clients::{Client, Job, Running, finish, home};
use support::ours::Ours;
use support::payload::Payload;
use support::torrent::Torrent;
use support::{Lab, wait};

/// How long a meeting may take: a message a minute is what the protocol allows.
const MEETING: Duration = Duration::from_secs(80);

const READY: Duration = Duration::from_secs(30);

/// Lets a program of ours and `other` find each other through a seed, `between`.
pub(crate) fn through(lab: &Lab, between: Client, other: Client) {
    let payload = Payload::single("meeting.bin", 40_000_000, 9);
    let (data, hub) = home(lab, &format!("between {}", between.name()));
    payload.write(&data).expect("the payload");
    let file = data.join("input.torrent");
    Torrent::write(&file, &payload, &data, 256 * 1024, &[]).expect("a torrent");
    let source = file.display().to_string();
    let job = |dir: &Path, listen, seed| Job {
        source: source.clone(),
        dir: dir.to_owned(),
        listen,
        peers: if seed { vec![] } else { vec![hub] },
        seed,
    };
    let own = |at: u16| lab.folder(&format!("home {at}"));
    // Slow enough that nobody is done before all have met.
    let start = |client: Client, job: &Job, limit: [&str; 2]| -> Box<dyn Running> {
        match client {
            Client::Ours => Box::new(Ours::start_with(job, &own(job.listen.port()), &limit)),
            Client::Aria2 | Client::Libtorrent(_) | Client::Transmission => {
                client.start(job, &own(job.listen.port()))
            }
        }
    };
    let mut seed = start(between, &job(&data, hub, true), ["--max-up", "1MiB/s"]);
    finish(&mut *seed, READY, "the seed");

    let (dir, at) = home(lab, "ours");
    let slow = ["--max-down", "100KiB/s"];
    let mut ours = Ours::start_with(&job(&dir, at, false), &own(at.port()), &slow);
    let (dir, at) = home(lab, &format!("other {}", other.name()));
    let mut other = start(other, &job(&dir, at, false), slow);
    let peers = || {
        ours.event("progress")
            .and_then(|event| event["peers"].as_u64())
    };
    let met = wait::until(MEETING, || peers().filter(|count| *count >= 2));
    assert!(
        met.is_some(),
        "ours and {} did not meet through {}\n{}",
        other.process().last_words(),
        between.name(),
        ours.process().last_words()
    );
    lab.report(&format!("| met through {} |", between.name()));
    for client in [&mut *other, &mut ours as &mut dyn Running, &mut *seed] {
        client.process().stop();
    }
}
