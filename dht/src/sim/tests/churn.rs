//! Peers are found for as long as they are stored, while nodes come and go.

use std::collections::BTreeMap;

use super::*;
use crate::JobId;

/// Of an hour, how many nodes of a hundred go and are replaced.
const CHURN: f64 = 20.0;

/// A lookup under way.
struct Seek {
    began: Duration,
    peer: SocketAddr,
    found: bool,
}

/// Announces `torrents` peers, then does `lookups` for them over half an hour in which nodes come and go.
fn churn(seed: u64, nodes: usize, torrents: usize, lookups: usize) -> Figures {
    let mut world = network(seed, nodes, 20);
    let mut stored = Vec::new();
    for _ in 0..torrents {
        let hash = InfoHash(world.rng().random());
        let (peer, copies) = announce(&mut world, hash);
        assert!(copies >= 6, "{copies} copies");
        stored.push((hash, peer));
    }
    let begin = world.now();
    let mut moments: Vec<Duration> = (0..lookups)
        .map(|_| begin + (30 * MINUTE).mul_f64(world.rng().random()))
        .collect();
    moments.sort_unstable_by(|a, b| b.cmp(a));
    let gone_per_second = nodes as f64 * CHURN / 100.0 / 3600.0;
    let mut due = 0.0;
    let mut figures = Figures::default();
    let mut seeks: BTreeMap<(HostId, JobId), Seek> = BTreeMap::new();
    let end = begin + 31 * MINUTE;
    while world.now() < end {
        let second = world.now() + Duration::from_secs(1);
        due += gone_per_second;
        while due >= 1.0 {
            due -= 1.0;
            // A lookup ends with its node: who is seeking stays until it has found.
            let victim = some_node(&mut world);
            if !seeks.keys().any(|(host, _)| *host == victim) {
                world.remove(victim);
                join(&mut world, 20);
            }
        }
        while let Some(moment) = moments.pop_if(|moment| *moment < second) {
            world.run_until(moment.max(world.now()));
            let (hash, peer) = stored[world.rng().random_range(0..stored.len())];
            let seeker = some_node(&mut world);
            let job = world.begin(seeker, Request::GetPeers(GetPeers::new(hash)));
            let seek = Seek {
                began: world.now(),
                peer,
                found: false,
            };
            seeks.insert((seeker, job.unwrap()), seek);
            figures.lookups += 1;
        }
        world.run_until(second);
        for (at, host, event) in world.take_log() {
            count(&mut figures, &mut seeks, at, host, event);
        }
    }
    assert!(
        seeks.is_empty() && figures.lookups == lookups,
        "{}",
        seeks.len()
    );
    figures
}

fn count(
    figures: &mut Figures,
    seeks: &mut BTreeMap<(HostId, JobId), Seek>,
    at: Duration,
    host: HostId,
    event: Event,
) {
    match event {
        Event::Peers {
            job,
            peers,
            progress,
        } => {
            if let Some(seek) = seeks.get_mut(&(host, job))
                && peers.contains(&seek.peer)
                && !seek.found
            {
                seek.found = true;
                figures.found += 1;
                figures.hops.push(u64::from(progress.hops));
                figures
                    .first
                    .push(at.saturating_sub(seek.began).as_millis() as u64);
            }
        }
        Event::Done { job, progress, .. } => {
            if seeks.remove(&(host, job)).is_some() {
                let messages = progress.asked + progress.answered;
                figures.messages.push(messages as u64);
            }
        }
        Event::ExternalAddress(_) | Event::Progress { .. } | Event::Sampled { .. } => {}
    }
}

#[test]
fn a_stored_peer_is_found_for_half_an_hour_while_nodes_come_and_go() {
    let figures = churn(11, 300, 4, 200);
    println!("{figures}");
    assert!(figures.part() >= 0.995, "{figures}");
}

#[test]
#[ignore = "takes minutes: ./soak dht"]
fn full_size_ten_thousand_nodes_find_99_5_percent_of_2000_lookups_each_with_five_seeds() {
    let mut all = Figures::default();
    // Two at a time: each takes most of a gigabyte.
    for pair in [&[1, 2][..], &[3, 4], &[5]] {
        let done = std::thread::scope(|scope| {
            let runs = pair
                .iter()
                .map(|seed| scope.spawn(|| (*seed, churn(*seed, 10_000, 20, 2000))));
            let runs: Vec<_> = runs.collect();
            let done = runs.into_iter().map(|run| run.join().unwrap());
            done.collect::<Vec<_>>()
        });
        for (seed, figures) in done {
            println!("10,000 nodes, seed {seed}: {figures}");
            assert!(figures.part() >= 0.995, "{figures}");
            all.add(figures);
        }
    }
    println!("10,000 nodes, all seeds: {all}");
}
