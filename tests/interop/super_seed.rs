//! Super seeding (BEP 16): one that pretends to have nothing, and three that get everything.

use std::path::Path;
use std::time::{Duration, Instant};

use support::Lab;
use support::clients::libtorrent::Libtorrent;
use support::clients::{Client, Job, Running, finish, home};
use support::ours::Ours;
use support::payload::Payload;
use support::torrent::Torrent;

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(120);

/// Lets three `leechers`, who know each other, get a file from a super seeder, and compares the bytes.
pub(crate) fn exchange(lab: &Lab, seeder: Client, leechers: [Client; 3]) {
    let payload = Payload::single("super.bin", 12_000_001, 31);
    let (data, at_seeder) = home(lab, &format!("{} super seeds", seeder.name()));
    payload.write(&data).expect("the payload");
    let file = data.join("input.torrent");
    Torrent::write(&file, &payload, &data, 64 * 1024, &[]).expect("a torrent");
    let job = |dir: &Path, listen, peers, seed| Job {
        source: file.display().to_string(),
        dir: dir.to_owned(),
        listen,
        peers,
        seed,
    };
    let own = lab.folder(&format!("home {at_seeder}"));
    let seed_job = job(&data, at_seeder, Vec::new(), true);
    let more = ["--super-seed"];
    let mut seed: Box<dyn Running> = match seeder {
        Client::Libtorrent(version) => {
            Box::new(Libtorrent::start_with(version, &seed_job, &own, &more))
        }
        Client::Ours => Box::new(Ours::start_with(&seed_job, &own, &more)),
        Client::Aria2 | Client::Transmission => unreachable!("they do not super-seed"),
    };
    finish(&mut *seed, READY, "the seed");
    let begin = Instant::now();
    let mut known = vec![at_seeder];
    let mut running = Vec::new();
    for (number, leecher) in leechers.into_iter().enumerate() {
        let (dir, listen) = home(lab, &format!("{} leeches {number}", leecher.name()));
        let own = lab.folder(&format!("home {listen}"));
        let job = job(&dir, listen, known.clone(), false);
        known.push(listen);
        let client: Box<dyn Running> = if leecher == Client::Ours {
            // It goes on serving the others.
            Box::new(Ours::start_with(&job, &own, &["--keep-seeding"]))
        } else {
            leecher.start(&job, &own)
        };
        running.push((client, dir));
    }
    for (client, dir) in &mut running {
        let there = || {
            let output = client.process().output();
            let done = output.contains("\"event\": \"seeding\"") || output.contains("\"finished\"");
            done.then_some(())
        };
        let done = support::wait::until(DONE, there);
        assert!(done.is_some(), "{}", client.process().last_words());
        payload.assert_equal(&data, dir);
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
