//! What strangers ask outside of circuits.

use std::net::SocketAddr;

use overlay::packet::plain;

use super::{BOTH, lives, scene};
use crate::message::{Kind, Message};
use crate::node::{Handled, Refusal};
use crate::{CircuitId, Node, Purpose};

/// A request for whoever is introduced in a swarm.
fn asks(node: &Node, info_hash: [u8; 20]) -> Vec<u8> {
    let dialect = node.config.dialect;
    let number = Kind::PeersRequest.number(dialect).unwrap();
    plain(node.prefix(), number, |body| {
        body.u32(7);
        let request = Message::PeersRequest { id: 1, info_hash };
        request.write_body(dialect, body).unwrap();
    })
}

#[test]
fn a_flood_of_requests_costs_neither_much_nor_the_places_of_circuits() {
    for dialect in BOTH {
        let (mut world, id) = scene(dialect, 320);
        let at = world.hops(id)[0];
        let introducer = &mut world.nodes[at];
        introducer
            .introduced
            .insert(vec![7; 74], (CircuitId(1), [5; 20]));
        let joins = introducer.config.joins_per_host_s as usize;
        let from: SocketAddr = world.addrs[0];
        let (there, elsewhere) = (
            asks(&world.nodes[at], [5; 20]),
            asks(&world.nodes[at], [6; 20]),
        );
        let sent = world.log.len();
        for n in 0..1000 {
            // Whether there is something to tell or not, one host is heard so often in a second.
            let packet = if n % 2 == 0 { &there } else { &elsewhere };
            let handled = world.give(at, from, packet);
            let late = handled == Handled::Refused(Refusal::TooFast);
            assert_eq!(late, n >= joins, "{n} {handled:?}");
        }
        world.settle();
        assert_eq!(world.log.len(), sent + joins / 2);
        // It may still have circuits joined.
        let refused = world.nodes[at].counters().of(Refusal::TooFast);
        let hop = (world.nodes[at].public().clone(), world.addrs[at]);
        let exit = crate::Hop {
            key: hop.0,
            addr: hop.1,
        };
        let build = world.nodes[0]
            .create_circuit(world.now, Purpose::Data, 1, Some(exit))
            .unwrap();
        world.settle();
        assert_eq!(world.nodes[0].circuit(build).unwrap().hops.len(), 1);
        assert_eq!(world.nodes[at].counters().of(Refusal::TooFast), refused);
        lives(&mut world, id);
    }
}
