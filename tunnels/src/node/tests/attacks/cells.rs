//! Cells that were changed, repeated, made up, or come from elsewhere.

use std::net::SocketAddr;

use overlay::wire::Address;
use rand::RngExt;

use super::{BOTH, TARGET, lives, node_of, scene, state};
use crate::Head;
use crate::message::Message;
use crate::node::tests::world::utp;
use crate::node::{Handled, Refusal};
use crate::testing::rng;

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
