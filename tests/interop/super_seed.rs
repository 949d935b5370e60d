//! Super seeding (BEP 16): one that pretends to have nothing, and others that get everything.

use std::time::{Duration, Instant};

use support::Lab;
use support::clients::tracker::OurTracker;
use support::clients::{Client, Orders, finish, home};
use support::content::Content;
use support::payload::Payload;

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(120);

/// Lets `leechers`, who find each other by a tracker, get a file from a super seeder, and compares the bytes.
pub(crate) fn exchange(lab: &Lab, seeder: Client, leechers: [Client; 3]) {
    let tracker_at = lab.address();
    let payload = Payload::single("super.bin", 12_000_001, 31);
    let urls = [OurTracker::url(tracker_at, "http", false)];
    let content = Content::described(lab, payload, 64 * 1024, &urls);
    let own = lab.folder(&format!("tracker {}", tracker_at.port()));
    let _tracker = OurTracker::start(tracker_at, lab.address(), false, &own);
    let (_, at_seeder) = home(lab, "super seed");
    let orders = Orders {
        super_seed: true,
        ..Orders::default()
    };
    let mut seed = seeder.run(lab, &content.seed(at_seeder).with(orders));
    finish(&mut *seed, READY, "the seed");
    let begin = Instant::now();
    let mut known = vec![at_seeder];
    let mut running = Vec::new();
    for leecher in leechers {
        let (dir, listen) = home(lab, &format!("{} leeches", leecher.name()));
        // It goes on serving the others.
        let stays = Orders {
            stays: true,
            ..Orders::default()
        };
        let job = content.download(&dir, listen, known.clone()).with(stays);
        known.push(listen);
        running.push((leecher.run(lab, &job), dir));
    }
    let end = Instant::now() + DONE;
    for (client, dir) in &mut running {
        let left = end.saturating_duration_since(Instant::now());
        let there = || {
            let (arrived, whole) = (
                content.payload.digest(dir),
                content.payload.digest(&content.dir),
            );
            (arrived.ok()? == whole.expect("the payload")).then_some(())
        };
        let done = support::wait::until(left, there);
        assert!(done.is_some(), "{}", client.process().last_words());
    }
    lab.report(&format!(
        "| super seeding | {} to {} | {:.1} s |",
        seeder.name(),
        leechers.map(Client::name).join(", "),
        begin.elapsed().as_secs_f64()
    ));
    for (client, _) in &mut running {
        client.process().stop();
    }
    seed.process().stop();
}
