//! Peers are found soon although three of ten nodes lie.

use protocol::krpc::{NodeId, secure};

use super::*;

/// A network of which three of ten are liars of each kind, and how long it takes to find a true peer in it.
fn liars(seed: u64, count: usize, lookups: usize) -> Figures {
    println!("seed {seed}");
    let mut world = World::new(seed, LinkModel::default());
    let mut honest = Vec::new();
    for at in 0..count {
        if at > 16 && at % 10 < 3 {
            let addr = world.free_address();
            let (id, lie) = match at % 3 {
                0 => (secure::id_for(addr.ip(), world.rng()), Lie::DeadNodes),
                1 => (secure::id_for(addr.ip(), world.rng()), Lie::FalsePeers),
                _ => (NodeId::random(world.rng()), Lie::FalseId),
            };
            let liar = world.add_adversary(addr, Adversary::new(id, lie, seed + at as u64));
            for _ in 0..20 {
                let node = honest[world.rng().random_range(0..honest.len())];
                world.greet(liar, node);
            }
        } else {
            honest.push(join(&mut world, 10));
        }
        world.run_until(world.now() + 2 * MINUTE / count as u32);
    }
    world.run_until(world.now() + 3 * MINUTE);
    let hash = InfoHash(world.rng().random());
    let (peer, copies) = announce(&mut world, hash);
    println!("{copies} say that they have it");
    let mut figures = Figures::default();
    for _ in 0..lookups {
        let seeker = some_node(&mut world);
        world.take_log();
        let began = world.now();
        let job = world.begin(seeker, Request::GetPeers(GetPeers::new(hash)));
        world.run_until(began + Duration::from_secs(20));
        figures.lookups += 1;
        let mut found = false;
        for (at, host, event) in world.take_log() {
            match event {
                Event::Peers {
                    peers, progress, ..
                } if host == seeker && !found && peers.contains(&peer) => {
                    found = true;
                    figures.found += 1;
                    figures.hops.push(u64::from(progress.hops));
                    figures
                        .first
                        .push(at.saturating_sub(began).as_millis() as u64);
                }
                Event::Done {
                    job: done,
                    progress,
                    ..
                } if host == seeker && Some(done) == job => {
                    figures
                        .messages
                        .push((progress.asked + progress.answered) as u64);
                }
                Event::Done { .. }
                | Event::ExternalAddress(_)
                | Event::Peers { .. }
                | Event::Progress { .. }
                | Event::Sampled { .. } => {}
            }
        }
    }
    figures
}

#[test]
fn true_peers_are_found_soon_among_liars() {
    let figures = liars(31, 200, 40);
    println!("{figures}");
    assert!(figures.part() >= 0.95, "{figures}");
    assert!(spread(&figures.first).0 < 1500, "{figures}");
}

#[test]
#[ignore = "takes minutes: ./soak dht"]
fn full_size_true_peers_are_found_soon_among_liars_with_twenty_seeds() {
    let mut all = Figures::default();
    for seed in 1..=20 {
        all.add(liars(seed, 200, 50));
    }
    println!("200 nodes with 30 % liars: {all}");
    assert!(all.part() >= 0.99 && spread(&all.first).0 < 1500, "{all}");
}
