use std::time::Duration;

use overlay::key::SecretKey;
use overlay::wire::Address;

use super::world::World;
use crate::message::{IntroPoint, Message, Source};
use crate::node::{Event, Node};
use crate::{CircuitId, Dialect, Flags, Purpose};

pub(super) const SWARM: [u8; 20] = [0x5a; 20];

/// A world in which node 1 seeds and node 0 downloads, and the introduction points that are announced.
pub(super) fn seeded(dialect: Dialect, hops: u8, seed: u64) -> (World, IntroPoint) {
    let mut flags = vec![Flags::default(); 2];
    flags.extend(vec![Flags::RELAY; 5]);
    flags.extend(vec![Flags::RELAY.and(Flags::EXIT); 3]);
    let mut world = World::new(dialect, &flags, seed);
    let now = world.now;
    world.nodes[1].join_swarm(SWARM, hops, true).unwrap();
    let circuit = world.nodes[1].introduce(now, SWARM).unwrap();
    world.settle();
    let introduced = Event::Introduced {
        info_hash: SWARM,
        circuit,
    };
    assert!(
        world.events.contains(&(1, introduced)),
        "{:?}",
        world.events
    );
    let point = world.events.iter().find_map(|(at, event)| match event {
        Event::Introduces { seeder, .. } => Some(IntroPoint {
            addr: world.addrs[*at],
            node: world.nodes[*at].public().as_bytes().to_vec(),
            seeder: seeder.clone(),
            source: Source::Dht,
        }),
        _ => None,
    });
    let point = point.expect("somebody introduces");
    world.nodes[0].join_swarm(SWARM, hops, false).unwrap();
    world.build(hops);
    (world, point)
}

pub(super) fn linked(world: &World) -> CircuitId {
    let linked = world.events.iter().find_map(|(at, event)| match event {
        Event::Linked { circuit, .. } if *at == 0 => Some(*circuit),
        _ => None,
    });
    linked.unwrap_or_else(|| panic!("{:?}", world.events))
}

/// What stands for the peer at the end of a circuit.
fn alias(world: &World, at: usize, circuit: CircuitId) -> Address {
    let circuit = world.nodes[at].circuit(circuit).unwrap();
    circuit.alias.unwrap().addr().into()
}

#[test]
fn what_stands_for_a_hidden_peer_tells_nothing_of_its_circuit_and_stands_for_nobody_when_that_is_gone()
 {
    let (mut world, point) = seeded(Dialect::Modern, 2, 215);
    let now = world.now;
    let mut seen = Vec::new();
    for _ in 0..4 {
        world.events.clear();
        world.nodes[0].contact(now, SWARM, &point).unwrap();
        world.settle();
        let circuit = linked(&world);
        let alias = world.nodes[0].circuit(circuit).unwrap().alias.unwrap();
        assert_eq!(alias.addr().port(), 1024);
        assert_ne!(alias.addr().ip().to_bits(), circuit.0);
        let link = world.nodes[0].link(alias).map(|link| link.id);
        assert_eq!(link, Some(circuit));
        world.nodes[0].close_circuit(circuit);
        world.settle();
        assert!(world.nodes[0].link(alias).is_none());
        seen.push(alias);
    }
    assert!(world.nodes.iter().all(|node| node.aliases.is_empty()));
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_downloader_reaches_a_hidden_seeder_and_back() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        for hops in 1..=3 {
            let (mut world, point) = seeded(dialect, hops, 200 + u64::from(hops));
            let now = world.now;
            world.nodes[0].contact(now, SWARM, &point).unwrap();
            world.settle();
            let circuit = linked(&world);
            assert_eq!(
                world.nodes[0].linked_seeders(world.now, &SWARM),
                std::slice::from_ref(&point.seeder)
            );
            world.say(0, circuit, "1.2.3.4:1024", b"anything at all");
            let (at, theirs, from, data) = world.data.pop().unwrap();
            assert_eq!((at, data.as_slice()), (1, b"anything at all".as_slice()));
            assert_eq!(from, alias(&world, 1, theirs));
            world.say(1, theirs, "1.2.3.4:1024", b"and back");
            let (at, ours, from, data) = world.data.pop().unwrap();
            assert_eq!(
                (at, ours, data.as_slice()),
                (0, circuit, b"and back".as_slice())
            );
            assert_eq!(from, alias(&world, 0, circuit));
            assert_eq!(
                world.refused,
                0,
                "{:?}",
                world
                    .nodes
                    .iter()
                    .map(|n| n.counters().clone())
                    .collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn a_link_lives_on_pings() {
    let (mut world, point) = seeded(Dialect::Classic, 2, 210);
    let now = world.now;
    world.nodes[0].contact(now, SWARM, &point).unwrap();
    world.settle();
    let circuit = linked(&world);
    world.pass(Duration::from_secs(300));
    assert!(world.nodes[0].circuit(circuit).unwrap().rtt.is_some());
    world.say(0, circuit, "1.2.3.4:1024", b"still");
    assert_eq!(world.data.len(), 1);
}

#[test]
fn no_address_of_either_end_reaches_the_other() {
    let (mut world, point) = seeded(Dialect::Modern, 1, 211);
    let now = world.now;
    world.nodes[0].contact(now, SWARM, &point).unwrap();
    world.settle();
    let (us, them) = (world.addrs[0], world.addrs[1]);
    let direct =
        |(from, to, _): &(_, _, _)| (*from, *to) == (us, them) || (*from, *to) == (them, us);
    assert!(!world.log.iter().any(direct));
}

#[test]
fn an_introduction_point_tells_of_the_seeders_it_introduces() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        let (mut world, point) = seeded(dialect, 1, 212);
        let now = world.now;
        world.nodes[0].find_peers(now, SWARM, Some(&point)).unwrap();
        world.settle();
        let found = world.events.iter().find_map(|(_, event)| match event {
            Event::PeersFound { peers, .. } => Some(peers.clone()),
            _ => None,
        });
        let found = found.unwrap();
        assert_eq!(
            (found.len(), &found[0].seeder, found[0].addr),
            (1, &point.seeder, point.addr)
        );
    }
}

#[test]
fn an_exit_is_asked_to_look_up_who_introduces() {
    let (mut world, point) = seeded(Dialect::Modern, 2, 213);
    let now = world.now;
    world.nodes[0].find_peers(now, SWARM, None).unwrap();
    world.settle();
    let wanted = world.events.iter().find_map(|(at, event)| match event {
        Event::PeersWanted { circuit, id, .. } => Some((*at, *circuit, *id)),
        _ => None,
    });
    if let Some((exit, circuit, id)) = wanted {
        world.nodes[exit]
            .answer_peers(circuit, id, SWARM, &[point])
            .unwrap();
        world.settle();
    }
    assert!(
        world
            .events
            .iter()
            .any(|(_, event)| matches!(event, Event::PeersFound { .. }))
    );
}

#[test]
fn who_leaves_a_swarm_ends_what_it_has_there() {
    let (mut world, point) = seeded(Dialect::Modern, 1, 214);
    let now = world.now;
    world.nodes[0].contact(now, SWARM, &point).unwrap();
    world.settle();
    world.nodes[0].leave_swarm(&SWARM);
    world.nodes[1].leave_swarm(&SWARM);
    world.settle();
    assert_eq!(world.nodes[1].circuits().count(), 0);
    let left: Vec<_> = world.nodes[0].circuits().collect();
    assert!(left.iter().all(|circuit| circuit.purpose == Purpose::Data));
    world.nodes[0].join_swarm(SWARM, 1, false).unwrap();
    let _ = world.nodes[0].contact(now, SWARM, &point);
    world.settle();
    assert_eq!(
        world.nodes[1].circuits().count(),
        0,
        "nobody listens there any more"
    );
}

#[test]
fn one_circuit_does_not_take_the_places_of_all_who_want_to_be_found() {
    let mut world = World::of(Dialect::Modern, 1, 1, 214);
    let circuit = world.build(1);
    for nth in 0..20_u8 {
        let seeder = SecretKey::from_bytes(&[nth + 1; 64]).unwrap();
        let intro = Message::EstablishIntro {
            id: nth.into(),
            info_hash: SWARM,
            seeder: seeder.public().as_bytes(),
        };
        world.nodes[0].say(circuit, &intro).unwrap();
        let cookie = [nth; 20];
        let meet = Message::EstablishRendezvous {
            id: nth.into(),
            cookie,
        };
        world.nodes[0].say(circuit, &meet).unwrap();
        world.settle();
    }
    let places = |node: &Node| (node.introduced.len(), node.waiting.len());
    assert_eq!(places(&world.nodes[2]), (4, 4));
    // They are free again with the circuit.
    world.nodes[0].close_circuit(circuit);
    world.settle();
    assert_eq!(places(&world.nodes[2]), (0, 0));
}
