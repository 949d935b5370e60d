//! What others may try. Nothing of it is answered, nothing changes but a counter, and honest circuits live on.

mod cells;
mod creates;
mod destroys;
mod extensions;
mod requests;

use std::net::SocketAddr;

use super::world::{World, utp};
use crate::{CircuitId, Dialect, Node};

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
