//! Ends of circuits that are somebody else's.

use overlay::key::SecretKey;
use overlay::packet::sign;

use super::{BOTH, lives, node_of, scene, state};
use crate::message::Kind;
use crate::node::{Handled, Refusal};
use crate::testing::rng;
use crate::{Dialect, Head};

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
fn the_word_of_a_neighbour_counts_only_from_its_own_address() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 316);
        let before = state(&world);
        let first = world.nodes[0].circuit(id).unwrap().first;
        let at = node_of(&world, first).unwrap();
        let (prefix, us) = (world.nodes[0].prefix(), world.addrs[0]);
        let number = Kind::Destroy.number(dialect).unwrap();
        let destroy = sign(prefix, number, &world.nodes[0].key, |body| {
            body.u32(id.0).u16(1);
        });
        for from in ["66.6.6.6:7000".parse().unwrap(), world.addrs[2]] {
            let handled = world.give(at, from, &destroy);
            assert_eq!(handled, Handled::Refused(Refusal::ForeignDestroy));
        }
        assert_eq!(state(&world), before);
        lives(&mut world, id);
        // So it would have ended the circuit.
        assert_eq!(world.give(at, us, &destroy), Handled::Done);
        assert_ne!(state(&world), before);
    }
}
