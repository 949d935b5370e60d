//! What others may try. Nothing of it is answered, nothing changes but a counter, and honest circuits live on.

use std::net::SocketAddr;
use std::time::Duration;

use overlay::key::SecretKey;
use overlay::packet::sign;
use overlay::wire::Address;
use rand::RngExt;

use super::world::{World, utp};
use crate::message::{Kind, Message};
use crate::node::{Handled, Refusal};
use crate::testing::rng;
use crate::{CircuitId, Dialect, Flags, Head, Node, Purpose};

const BOTH: [Dialect; 2] = [Dialect::Classic, Dialect::Modern];
const TARGET: &str = "93.184.216.34:6881";

/// A circuit of three hops with one datagram out and one back, and all that was on the links.
fn scene(dialect: Dialect, seed: u64) -> (World, CircuitId) {
    let mut world = World::of(dialect, 4, 2, seed);
    let id = world.build(3);
    world.say(0, id, TARGET, &utp(b"out"));
    let (_, circuit, ..) = world.exits[0].clone();
    let exit = *world.hops(id).last().unwrap();
    world.come_back(exit, circuit, TARGET.parse().unwrap(), &utp(b"back"));
    world.settle();
    (world, id)
}

/// Everything that an attack could have changed.
fn state(world: &World) -> impl PartialEq + std::fmt::Debug + use<> {
    let joined: Vec<_> = world.nodes.iter().map(Node::joined).collect();
    let circuits: Vec<_> = world.nodes[0]
        .circuits()
        .map(|circuit| (circuit.id, circuit.hops, circuit.state))
        .collect();
    (
        joined,
        circuits,
        world.exits.len(),
        world.data.len(),
        world.events.len(),
    )
}

fn lives(world: &mut World, id: CircuitId) {
    let before = world.exits.len();
    world.say(0, id, TARGET, &utp(b"again"));
    assert_eq!(world.exits.len(), before + 1, "the circuit lives on");
}

fn node_of(world: &World, addr: SocketAddr) -> Option<usize> {
    world.addrs.iter().position(|known| *known == addr)
}

#[test]
fn cells_from_a_wrong_address_are_dropped() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 300);
        let before = state(&world);
        let sent = world.log.len();
        for (from, to, payload) in world.log.clone() {
            let Some(at) = node_of(&world, to) else {
                continue;
            };
            for wrong in [
                SocketAddr::new(from.ip(), from.port() + 1),
                "66.6.6.6:7000".parse().unwrap(),
            ] {
                let head = Head::read(dialect, &payload);
                let is_create = head.is_some_and(|head| head.plaintext);
                if !is_create {
                    let handled = world.give(at, wrong, &payload);
                    assert_eq!(handled, Handled::Refused(Refusal::WrongAddress));
                }
            }
        }
        world.settle();
        assert_eq!(state(&world), before);
        assert_eq!(world.log.len(), sent, "nobody has answered");
        lives(&mut world, id);
    }
}

#[test]
fn a_neighbour_that_replays_gets_no_answer_and_no_effect() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 301);
        let before = state(&world);
        let sent = world.log.clone();
        for _ in 0..3 {
            for (from, to, payload) in &sent {
                world.send(*from, *to, payload.clone());
            }
            world.settle();
        }
        assert_eq!(state(&world), before);
        // A relay cannot tell a replayed cell on its way to the originator, who can.
        let replayed: u64 = world
            .nodes
            .iter()
            .map(|node| node.counters().of(Refusal::Replayed))
            .sum();
        assert!(replayed > 0);
        lives(&mut world, id);
    }
}

#[test]
fn cells_may_come_in_another_order() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 302);
        let mut cells = Vec::new();
        for n in 0..50_u8 {
            let mut out = Vec::new();
            let to: SocketAddr = TARGET.parse().unwrap();
            world.nodes[0]
                .send_data(id, to.into(), &utp(&[n]), &mut out)
                .unwrap();
            cells.push(out);
        }
        let first = world.nodes[0].circuit(id).unwrap().first;
        let (us, before) = (world.addrs[0], world.exits.len());
        cells.reverse();
        cells.swap(3, 40);
        for cell in cells {
            world.send(us, first, cell);
        }
        world.settle();
        // One fewer may pass to the silent target than were sent before it answered; it has answered.
        assert_eq!(world.exits.len(), before + 50);
    }
}

#[test]
fn truncated_and_changed_cells_are_dropped_wherever_they_arrive() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 303);
        let mut rng = rng(303);
        let before = state(&world);
        let log = world.log.clone();
        for (from, to, payload) in log {
            let Some(at) = node_of(&world, to) else {
                continue;
            };
            let Some(head) = Head::read(dialect, &payload) else {
                continue;
            };
            if head.plaintext {
                continue;
            }
            for _ in 0..20 {
                let mut changed = payload.clone();
                let cut = rng.random_bool(0.3);
                if cut {
                    changed.truncate(rng.random_range(0..payload.len()));
                } else {
                    let at = rng.random_range(Head::len(dialect)..payload.len());
                    changed[at] ^= 1 << rng.random_range(0..8);
                }
                // What goes to the originator gets another layer at each relay and is found out by it.
                world.give(at, from, &changed);
                world.settle();
            }
        }
        assert_eq!(state(&world), before);
        lives(&mut world, id);
    }
}

#[test]
fn nobody_but_a_neighbour_ends_a_circuit() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 304);
        let before = state(&world);
        let mut rng = rng(1304);
        let stranger = SecretKey::generate(&mut rng);
        let number = Kind::Destroy.number(dialect).unwrap();
        let cells: Vec<_> = world
            .log
            .iter()
            .filter_map(|(from, to, payload)| {
                Some((*from, *to, Head::read(dialect, payload)?.circuit))
            })
            .collect();
        for (from, to, circuit) in cells {
            let Some(at) = node_of(&world, to) else {
                continue;
            };
            let prefix = world.nodes[at].prefix();
            let forged = sign(prefix, number, &stranger, |body| {
                body.u32(circuit.0).u16(1);
            });
            // Another's key from the right address, and from another one.
            for from in [from, "66.6.6.6:7000".parse().unwrap()] {
                let handled = world.give(at, from, &forged);
                assert_eq!(handled, Handled::Refused(Refusal::ForeignDestroy));
            }
        }
        assert_eq!(state(&world), before);
        lives(&mut world, id);
    }
}

#[test]
fn a_destroy_with_a_broken_signature_is_dropped() {
    let (mut world, id) = scene(Dialect::Modern, 305);
    let before = state(&world);
    let first = world.nodes[0].circuit(id).unwrap().first;
    let at = node_of(&world, first).unwrap();
    let (prefix, us) = (world.nodes[0].prefix(), world.addrs[0]);
    let number = Kind::Destroy.number(Dialect::Modern).unwrap();
    let mut forged = sign(prefix, number, &world.nodes[0].key, |body| {
        body.u32(id.0).u16(1);
    });
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(world.give(at, us, &forged), Handled::Refused(_)));
    assert_eq!(state(&world), before);
    lives(&mut world, id);
}

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

#[test]
fn plaintext_reaches_neither_relays_nor_last_hops() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 311);
        let before = state(&world);
        let cells: Vec<_> = world
            .log
            .iter()
            .filter_map(|(from, to, payload)| {
                let head = Head::read(dialect, payload)?;
                (!head.plaintext).then_some((*from, *to, head.circuit))
            })
            .collect();
        let to: SocketAddr = TARGET.parse().unwrap();
        for (from, addr, circuit) in cells {
            let Some(at) = node_of(&world, addr) else {
                continue;
            };
            let data = utp(b"clear");
            let messages = [
                Message::Data {
                    to: to.into(),
                    from: Address::from(to),
                    data: &data,
                },
                Message::Ping(5),
                Message::EstablishRendezvous {
                    id: 1,
                    cookie: [1; 20],
                },
            ];
            for message in messages {
                let packet = world.nodes[0].plain(circuit, &message).unwrap();
                let handled = world.give(at, from, &packet);
                assert_eq!(handled, Handled::Refused(Refusal::Plain));
            }
        }
        world.settle();
        assert_eq!(state(&world), before);
        lives(&mut world, id);
    }
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 312);
        let before = state(&world);
        let sent = world.log.clone();
        for (from, to, payload) in sent {
            let Some(at) = node_of(&world, to) else {
                continue;
            };
            if Head::read(dialect, &payload).is_some_and(|head| head.plaintext) {
                world.give(at, from, &payload);
            }
        }
        world.settle();
        assert_eq!(state(&world), before);
        lives(&mut world, id);
    }
}

#[test]
fn arbitrary_datagrams_change_nothing() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 313);
        let mut rng = rng(313);
        let before = state(&world);
        let log = world.log.clone();
        let links: Vec<_> = log
            .iter()
            .filter(|(_, to, _)| node_of(&world, *to).is_some())
            .collect();
        for _ in 0..5_000 {
            let (from, to, payload) = links[rng.random_range(0..links.len())];
            let at = node_of(&world, *to).unwrap();
            let mut bytes = payload.clone();
            bytes.truncate(rng.random_range(0..=bytes.len()));
            let from_byte = rng.random_range(0..=bytes.len());
            rand::Rng::fill_bytes(&mut rng, &mut bytes[from_byte..]);
            if bytes == *payload || Head::read(dialect, &bytes).is_some_and(|head| head.plaintext) {
                continue;
            }
            world.give(at, *from, &bytes);
        }
        world.settle();
        assert_eq!(state(&world), before);
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
