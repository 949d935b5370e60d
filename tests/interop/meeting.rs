//! Three programs, of which two know only the third: peer exchange (BEP 11) brings them together.

use std::time::Duration;

use support::clients::{Client, Job, Running, finish, home};
use support::content::Content;
use support::ours::Ours;
use support::payload::Payload;
use support::{Lab, wait};

/// How long a meeting may take: a message a minute is what the protocol allows.
const MEETING: Duration = Duration::from_secs(80);

const READY: Duration = Duration::from_secs(30);

/// Lets a program of ours and `other` find each other through a seed, `between`.
pub(crate) fn through(lab: &Lab, between: Client, other: Client) {
    let content = Content::described(
        lab,
        Payload::single("meeting.bin", 40_000_000, 9),
        256 * 1024,
        &[],
    );
    // Slow enough that nobody is done before all have met.
    let start = |client: Client, job: &Job, limit: [&str; 2]| -> Box<dyn Running> {
        let own = lab.folder(&format!("home {}", job.listen.port()));
        if client == Client::Ours {
            return Box::new(Ours::start_with(job, &own, &limit));
        }
        client.start(job, &own)
    };
    let hub = lab.address();
    let mut seed = start(between, &content.seed(hub), ["--max-up", "1MiB/s"]);
    finish(&mut *seed, READY, "the seed");

    let slow = ["--max-down", "100KiB/s"];
    let (dir, at) = home(lab, "ours");
    let job = content.download(&dir, at, vec![hub]);
    let mut ours = Ours::start_with(&job, &dir, &slow);
    let (dir, at) = home(lab, &format!("other {}", other.name()));
    let mut other = start(other, &content.download(&dir, at, vec![hub]), slow);
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
