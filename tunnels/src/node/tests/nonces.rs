//! No key ever seals twice with one nonce, whatever nodes do and however often they begin anew.

use std::time::Duration;

use super::hidden::{SWARM, linked, seeded};
use super::world::utp;
use crate::Dialect;
use crate::crypto::sealed;

#[test]
fn no_nonce_is_used_twice_by_any_node_nor_after_it_has_begun_anew() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        sealed::watch();
        let (mut world, _) = seeded(dialect, 2, 400);
        for time in 0..3_u8 {
            // The same nodes with the same identities, which draw other randomness: as after a start of the program.
            let now = world.now;
            for (node, at) in world.nodes.iter_mut().zip(0..) {
                *node = node.renewed(now, [100 + 20 * time + at; 32]);
            }
            world.data.clear();
            let plain = world.build(3);
            for n in 0..50 {
                world.say(0, plain, "93.184.216.34:6881", &utp(&[n]));
            }
            let (socket, circuit, ..) = world.exits.last().cloned().unwrap();
            let exit = world.addrs.iter().position(|addr| addr.ip() == socket.ip());
            for n in 0..50 {
                let from = "93.184.216.34:6881".parse().unwrap();
                world.come_back(exit.unwrap(), circuit, from, &utp(&[n]));
            }
            world.settle();
            assert_eq!(world.data.len(), 50);
            world.pass(Duration::from_secs(30));

            // Two hidden peers, and who joins them.
            let (mut world, point) = seeded(dialect, 2, 401 + u64::from(time));
            let now = world.now;
            world.nodes[0].contact(now, SWARM, &point).unwrap();
            world.settle();
            let ours = linked(&world);
            world.say(0, ours, "1.2.3.4:1024", b"there");
            let (_, theirs, ..) = world.data.pop().unwrap();
            for _ in 0..50 {
                world.say(0, ours, "1.2.3.4:1024", b"there");
                world.say(1, theirs, "1.2.3.4:1024", b"and back");
            }
            world.pass(Duration::from_secs(30));
        }
        let (keys, times) = sealed::seen();
        assert!(keys >= 60 && times >= 3000, "{keys} keys, {times} times");
    }
}
