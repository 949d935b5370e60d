//! Requests to join.

use std::net::SocketAddr;
use std::time::Duration;

use overlay::key::SecretKey;
use rand::RngExt;

use super::{BOTH, lives, node_of, scene};
use crate::message::Message;
use crate::node::tests::world::World;
use crate::node::{Handled, Refusal};
use crate::testing::rng;
use crate::{CircuitId, Flags, Head, Hop, Node, Purpose};

#[test]
fn ten_thousand_creates_a_second_keep_nobody_out() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 306);
        let mut rng = rng(1306);
        let first = world.nodes[0].circuit(id).unwrap().first;
        let at = node_of(&world, first).unwrap();
        let stranger = SecretKey::generate(&mut rng);
        let flooder: SocketAddr = "66.6.6.6:7000".parse().unwrap();
        let joined = world.nodes[at].counters().joined;
        for n in 0..10_000 {
            let circuit = CircuitId(0x7000_0000 + n);
            let create = Message::Create {
                id: 1,
                node: stranger.public().as_bytes(),
                x: rng.random(),
            };
            let packet = world.nodes[0].plain(circuit, &create).unwrap();
            world.give(at, flooder, &packet);
        }
        let joined = world.nodes[at].counters().joined - joined;
        assert!(joined <= 20, "{joined} of one host in a second");
        assert!(world.nodes[at].counters().of(Refusal::TooFast) >= 9_900);
        world.settle();
        lives(&mut world, id);
        let build = world.nodes[0]
            .create_circuit(world.now, Purpose::Data, 2, None)
            .unwrap();
        world.settle();
        assert!(world.nodes[0].circuit(build).is_some());
        world.pass(Duration::from_secs(25));
        assert!(
            world.nodes[at].joined().0 <= 2,
            "what nobody uses is forgotten"
        );
    }
}

#[test]
fn ten_thousand_hosts_that_ask_at_once_end_no_circuit_and_leave_nothing_behind() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 317);
        let mut rng = rng(1317);
        let first = world.nodes[0].circuit(id).unwrap().first;
        let at = node_of(&world, first).unwrap();
        let stranger = SecretKey::generate(&mut rng);
        let joined = world.nodes[at].counters().joined;
        for n in 0..10_000_u32 {
            let create = Message::Create {
                id: 1,
                node: stranger.public().as_bytes(),
                x: rng.random(),
            };
            let packet = world.nodes[0].plain(CircuitId(0x7000_0000 + n), &create);
            let [a, b, ..] = n.to_le_bytes();
            let from = SocketAddr::from(([66, 6, b, a], 7000));
            world.give(at, from, &packet.unwrap());
        }
        let places = world.nodes[at].config.max_joined as u64;
        let joined = world.nodes[at].counters().joined - joined;
        assert!(joined <= places, "{joined} joined in {places} places");
        world.settle();
        lives(&mut world, id);
        // Who only asks has gone with the silence, and others find places again.
        world.pass(Duration::from_secs(25));
        assert!(world.nodes[at].joined().0 <= 1);
        lives(&mut world, id);
        let exit = Hop {
            key: world.nodes[at].public().clone(),
            addr: first,
        };
        let build = world.nodes[0].create_circuit(world.now, Purpose::Data, 1, Some(exit));
        world.settle();
        let hops = world.nodes[0].circuit(build.unwrap()).unwrap().hops;
        assert_eq!(hops.len(), 1);
    }
}

#[test]
fn a_node_does_not_join_its_own_circuit() {
    for dialect in BOTH {
        let mut world = World::of(dialect, 2, 1, 308);
        let id = world.build(2);
        world.nodes[0].config.flags = Flags::RELAY;
        let create = Message::Create {
            id: 1,
            node: world.nodes[1].public().as_bytes(),
            x: [7; 32],
        };
        let packet = world.nodes[1].plain(id, &create).unwrap();
        let from = world.nodes[0].circuit(id).unwrap().first;
        assert!(matches!(world.give(0, from, &packet), Handled::Refused(_)));
        let own = Message::Create {
            id: 1,
            node: world.nodes[0].public().as_bytes(),
            x: [7; 32],
        };
        let packet = world.nodes[0].plain(CircuitId(77), &own).unwrap();
        let us = world.addrs[0];
        assert_eq!(world.give(0, us, &packet), Handled::Refused(Refusal::Loop));
        assert_eq!(world.nodes[0].joined(), (0, 0));
        lives(&mut world, id);
    }
}

#[test]
fn a_node_that_starts_again_agrees_on_other_keys() {
    for dialect in BOTH {
        let now = std::time::Instant::now();
        let identity = SecretKey::from_bytes(&[3; 64]).unwrap();
        let mut answers = Vec::new();
        for seed in 0..3 {
            let config = crate::Config::new(dialect, crate::LIBRARY);
            let mut node = Node::new(now, config, identity.clone(), [seed; 32]);
            let asks = SecretKey::from_bytes(&[4; 64]).unwrap();
            let create = Message::Create {
                id: 1,
                node: asks.public().as_bytes(),
                x: [9; 32],
            };
            let packet = node.plain(CircuitId(5), &create).unwrap();
            let mut buffer = vec![0; crate::HEADROOM];
            buffer.extend_from_slice(&packet);
            buffer.resize(buffer.len() + crate::TAILROOM, 0);
            let at = crate::HEADROOM..crate::HEADROOM + packet.len();
            let from = "20.0.0.1:7000".parse().unwrap();
            assert_eq!(
                node.handle_datagram(now, from, &mut buffer, at),
                Handled::Done
            );
            answers.push(node.poll_transmit().unwrap().payload);
        }
        let y_at = Head::len(dialect) + 5;
        let ys: std::collections::BTreeSet<_> = answers
            .iter()
            .map(|answer| &answer[y_at..y_at + 32])
            .collect();
        assert_eq!(
            ys.len(),
            3,
            "a fresh key each time, and with it fresh session keys"
        );
    }
}
