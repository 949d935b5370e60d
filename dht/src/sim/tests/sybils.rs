//! Peers are found although somebody has put as many nodes around their torrent as there are honest ones.

use std::net::IpAddr;
use std::sync::Arc;

use protocol::krpc::{NodeId, secure};
use protocol::tracker::compact::CompactNode;

use super::*;

/// The networks that Sybils come from.
const NETWORKS: usize = 10;

/// How Sybils choose their ids.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ids {
    /// Next to the target, whatever their address allows.
    AtWill,
    /// Out of those that their address allows, the nearest to the target.
    Mined,
}

/// Where a Sybil stands, and who it says it is.
fn sybils(world: &mut World, target: NodeId, count: usize, ids: Ids) -> Vec<CompactNode> {
    let networks: Vec<[u8; 3]> = (0..NETWORKS)
        .map(|_| match world.free_address().ip() {
            IpAddr::V4(v4) => [v4.octets()[0], v4.octets()[1], v4.octets()[2]],
            IpAddr::V6(_) => unreachable!("addresses are IPv4"),
        })
        .collect();
    let mut all = Vec::new();
    for host in 0..=255u8 {
        for [a, b, c] in &networks {
            let ip = IpAddr::from([*a, *b, *c, host]);
            let id = match ids {
                Ids::AtWill => target.random_sharing(30, world.rng()),
                Ids::Mined => (0..64)
                    .map(|_| secure::id_for(ip, world.rng()))
                    .min_by_key(|id| target.distance(id))
                    .unwrap(),
            };
            let addr = SocketAddr::new(ip, 6881);
            all.push(CompactNode { id: id.0, addr });
        }
    }
    all.sort_by_key(|node| target.distance(&NodeId(node.id)));
    all.truncate(count);
    all
}

/// Whether a peer that is announced after the Sybils came is found afterwards, by most of ten who look.
fn survives(seed: u64, honest: usize, count: usize, ids: Ids) -> bool {
    let mut world = network(seed, honest, 10);
    let hash = InfoHash(world.rng().random());
    let ring = Arc::new(sybils(&mut world, hash.into(), count, ids));
    let nodes = world.nodes();
    let liars: Vec<HostId> = ring
        .iter()
        .map(|node| {
            let lie = Lie::Ring(Arc::clone(&ring));
            let adversary = Adversary::new(NodeId(node.id), lie, seed);
            world.add_adversary(node.addr, adversary)
        })
        .collect();
    // They make themselves known to everybody near the target and to many others.
    for liar in &liars {
        for _ in 0..20 {
            let node = nodes[world.rng().random_range(0..nodes.len())];
            world.greet(*liar, node);
        }
        world.run_until(world.now() + 2 * MINUTE / count as u32);
    }
    let mut near = nodes;
    near.sort_by_key(|node| world.id(*node).map(|id| id.distance(&hash.into())));
    for node in near.iter().take(30) {
        for liar in &liars {
            world.greet(*liar, *node);
        }
        world.run_until(world.now() + Duration::from_secs(5));
    }
    world.run_until(world.now() + MINUTE);
    let (peer, _) = announce(&mut world, hash);
    let mut found = 0;
    for _ in 0..10 {
        let seeker = some_node(&mut world);
        world.take_log();
        world.begin(seeker, Request::GetPeers(GetPeers::new(hash)));
        world.run_until(world.now() + Duration::from_secs(30));
        let log = world.take_log();
        found += usize::from(log.iter().any(|(_, host, event)| {
            *host == seeker && matches!(event, Event::Peers { peers, .. } if peers.contains(&peer))
        }));
    }
    println!("{honest} honest, {count} Sybils with ids {ids:?}, seed {seed}: {found} of 10 found");
    found == 10
}

#[test]
fn sybils_from_ten_networks_hide_nothing() {
    for ids in [Ids::AtWill, Ids::Mined] {
        assert!(survives(21, 150, 150, ids), "{ids:?}");
    }
}

#[test]
#[ignore = "takes minutes: ./soak dht"]
fn full_size_a_thousand_sybils_hide_nothing_in_19_of_20_seeds() {
    for ids in [Ids::AtWill, Ids::Mined] {
        let survived = (1..=20).filter(|seed| survives(*seed, 1000, 1000, ids));
        let survived = survived.count();
        println!("1,000 honest and 1,000 Sybils with ids {ids:?}: found in {survived} of 20 seeds");
        assert!(survived >= 19);
    }
}
