//! Circuits that are to become longer.

use std::net::SocketAddr;
use std::time::Duration;

use overlay::key::SecretKey;
use rand::RngExt;

use super::{BOTH, lives, node_of};
use crate::message::Message;
use crate::node::tests::world::World;
use crate::node::{Handled, Refusal};
use crate::testing::rng;
use crate::{Dialect, Purpose};

#[test]
fn a_circuit_does_not_come_back_to_a_hop_it_has_left() {
    for dialect in BOTH {
        let mut world = World::of(dialect, 2, 1, 307);
        let id = world.build(1);
        let exit = world.hops(id)[0];
        let (us, them) = (
            world.nodes[0].public().clone(),
            world.nodes[exit].public().clone(),
        );
        // To the node that asks, to the node itself, and to where the circuit comes from.
        let other = world.nodes[1].public().clone();
        let cases = [
            (us, None),
            (them, Some(world.addrs[exit])),
            (other, Some(world.addrs[0])),
        ];
        let before = world.nodes[exit].joined();
        for (key, addr) in cases {
            let at = addr.unwrap_or(world.addrs[0]);
            let extend = Message::Extend {
                id: 9,
                node: key.as_bytes(),
                x: [9; 32],
                addr: Some(at),
            };
            world.nodes[exit].remove_candidate(&key);
            world.nodes[exit]
                .joined
                .values_mut()
                .for_each(|joined| joined.offered.clear());
            world.nodes[0].say(id, &extend).unwrap();
            world.settle();
        }
        assert_eq!(world.nodes[exit].counters().of(Refusal::Loop), 3);
        assert_eq!(world.nodes[exit].joined(), before);
        lives(&mut world, id);
    }
}

#[test]
fn a_flood_of_extensions_is_neither_answered_nor_kept() {
    for dialect in BOTH {
        let mut world = World::of(dialect, 2, 1, 314);
        let id = world.build(1);
        let exit = world.hops(id)[0];
        let joined = world.nodes[exit].joined();
        let mut rng = rng(1314);
        for n in 0..1000_u32 {
            let stranger = SecretKey::generate(&mut rng);
            // Somebody who never answers, elsewhere each time: a node must not be made to write to others without end.
            let [a, b, ..] = n.to_le_bytes();
            let extend = Message::Extend {
                id: 9,
                node: stranger.public().as_bytes(),
                x: rng.random(),
                addr: Some(SocketAddr::from(([60, 1, b, a], 7000))),
            };
            world.nodes[0].say(id, &extend).unwrap();
            world.settle();
            assert!(world.nodes[exit].extending.len() <= 1, "one at a time");
        }
        let asked = world
            .log
            .iter()
            .filter(|(_, to, _)| node_of(&world, *to).is_none());
        assert_eq!(asked.count(), 8, "so many may be asked for one circuit");
        let answers = world
            .log
            .iter()
            .filter(|(from, to, _)| (*from, *to) == (world.addrs[exit], world.addrs[0]));
        assert_eq!(
            answers.count(),
            1,
            "no answer but to the one that built the circuit"
        );
        assert_eq!(world.nodes[exit].counters().of(Refusal::TooFast), 992);
        assert_eq!(world.nodes[exit].joined(), joined);
        lives(&mut world, id);
        world.pass(Duration::from_secs(11));
        assert!(
            world.nodes[exit].extending.is_empty(),
            "what nobody answers is forgotten"
        );
        lives(&mut world, id);
    }
}

#[test]
fn a_node_in_the_world_is_not_made_to_write_to_hosts_that_are_nobodys() {
    let mut world = World::of(Dialect::Modern, 2, 1, 315);
    let id = world.build(1);
    let exit = world.hops(id)[0];
    let mut rng = rng(1315);
    let mut extend = |world: &mut World, to: &str| {
        let stranger = SecretKey::generate(&mut rng);
        let extend = Message::Extend {
            id: 9,
            node: stranger.public().as_bytes(),
            x: rng.random(),
            addr: Some(to.parse().unwrap()),
        };
        let sent = |world: &World| {
            let log = world.log.iter();
            log.filter(|(_, to, _)| node_of(world, *to).is_none())
                .count()
        };
        let before = sent(world);
        world.nodes[0].say(id, &extend).unwrap();
        world.settle();
        sent(world) - before
    };
    for to in [
        "127.0.0.1:7000",
        "192.168.1.1:7000",
        "169.254.169.254:80",
        "224.0.0.1:7000",
        "60.1.2.3:53",
    ] {
        assert_eq!(extend(&mut world, to), 0, "{to}");
    }
    assert_eq!(world.nodes[exit].counters().of(Refusal::Target), 5);
    assert_eq!(extend(&mut world, "60.1.2.3:7000"), 1);
    // In a network of one machine there is nothing else.
    let here = "127.0.0.1:7001".parse().unwrap();
    world.nodes[exit].set_addr(here);
    assert_eq!(extend(&mut world, "127.0.0.1:7000"), 1);
    lives(&mut world, id);
}

#[test]
fn an_extension_that_leads_back_to_the_node_by_another_name_ends_there() {
    for dialect in BOTH {
        let mut world = World::of(dialect, 2, 1, 315);
        let id = world.build(1);
        let exit = world.hops(id)[0];
        let us = world.addrs[exit];
        let joined = world.nodes[exit].joined();
        // A node that does not know where others reach it cannot tell that the address is its own.
        world.nodes[exit].addr = None;
        let stranger = SecretKey::generate(&mut rng(1315));
        for _ in 0..100 {
            let extend = Message::Extend {
                id: 9,
                node: stranger.public().as_bytes(),
                x: [9; 32],
                addr: Some(us),
            };
            world.nodes[0].say(id, &extend).unwrap();
            world.settle();
        }
        let to_itself = world.log.iter().filter(|(from, to, _)| from == to);
        assert_eq!(to_itself.count(), 8, "and nothing comes of them");
        assert_eq!(world.nodes[exit].counters().of(Refusal::Loop), 8);
        assert_eq!(world.nodes[exit].counters().of(Refusal::TooFast), 92);
        assert_eq!(world.nodes[exit].joined(), joined);
        lives(&mut world, id);
    }
}

#[test]
fn a_circuit_cannot_grow_without_end() {
    let mut world = World::of(Dialect::Modern, 12, 1, 309);
    let now = world.now;
    let id = world.nodes[0]
        .create_circuit(now, Purpose::Data, 12, None)
        .unwrap();
    world.settle();
    let hops = world.nodes[0].circuit(id).unwrap().hops.len();
    // The first hop passes eight early cells on: the one that made the circuit two hops long, and seven more.
    assert_eq!(hops, 9);
}

#[test]
fn an_extension_that_is_not_early_is_refused() {
    let mut world = World::of(Dialect::Modern, 2, 1, 310);
    let id = world.build(1);
    let exit = world.hops(id)[0];
    let key = world.nodes[1].public().clone();
    let extend = Message::Extend {
        id: 9,
        node: key.as_bytes(),
        x: [9; 32],
        addr: Some(world.addrs[1]),
    };
    let mut payload = Vec::new();
    let prefix = world.nodes[0].prefix();
    let circuit = world.nodes[0].circuits.get_mut(&id).unwrap();
    circuit
        .seal((Dialect::Modern, &prefix), &extend, &mut payload)
        .unwrap();
    payload[28] = 0;
    let us = world.addrs[0];
    assert_eq!(
        world.give(exit, us, &payload),
        Handled::Refused(Refusal::NotEarly)
    );
}
