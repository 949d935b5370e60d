//! What the owner of a node allows.

use std::sync::Arc;

use super::world::{World, utp};
use crate::budget::Budget;
use crate::{Dialect, Refusal};

#[test]
fn an_exit_sends_nowhere_that_its_owner_forbids() {
    let mut world = World::of(Dialect::Modern, 2, 1, 400);
    let rules = "allow 9.9.9.9 443\ndeny 9.9.9.0/24".parse().unwrap();
    world.nodes[3].config.exit_rules = Some(Arc::new(rules));
    let id = world.build(2);
    for (to, out) in [("9.9.9.9:443", 1), ("9.9.9.9:444", 0), ("9.9.8.9:444", 1)] {
        let before = world.exits.len();
        world.say(0, id, to, &utp(b"hello"));
        world.settle();
        assert_eq!(world.exits.len() - before, out, "{to}");
    }
    assert_eq!(world.nodes[3].counters().of(Refusal::Target), 1);
}

#[test]
fn who_has_carried_all_that_it_is_to_carries_nothing_more_and_joins_no_circuit() {
    let mut world = World::of(Dialect::Modern, 0, 1, 401);
    let budget = Arc::new(Budget::new(None, Some(1000)));
    world.nodes[1].config.budget = Some(Arc::clone(&budget));
    let id = world.build(1);
    for _ in 0..20 {
        world.say(0, id, "9.9.9.9:443", &utp(&[1; 80]));
        world.settle();
    }
    assert_eq!(world.exits.len(), 10);
    assert_eq!(world.nodes[1].counters().carried, 1000);
    assert_eq!(world.nodes[1].counters().of(Refusal::TooFast), 10);
    let before = world.nodes[1].counters().joined;
    let again = world.nodes[0].create_circuit(world.now, crate::Purpose::Data, 1, None);
    world.settle();
    assert!(again.is_ok() && world.nodes[1].counters().joined == before);
    assert_eq!(world.nodes[1].counters().of(Refusal::Full), 1);
}

#[test]
fn a_relay_counts_what_it_passes_on_in_both_directions_and_no_faster_than_it_may() {
    let mut world = World::of(Dialect::Modern, 1, 1, 402);
    let id = world.build(2);
    let relay = world.hops(id)[0];
    let exit = world.hops(id)[1];
    world.nodes[exit].config.max_unanswered = 1000;
    let limited = &mut world.nodes[relay].config.budget;
    *limited = Some(Arc::new(Budget::new(Some(100_000), None)));
    for _ in 0..200 {
        world.say(0, id, "9.9.9.9:443", &utp(&[1; 980]));
        world.settle();
    }
    // A second's worth at once; the cells are a little larger than what they carry.
    let out = world.exits.len();
    assert!((90..100).contains(&out), "{out}");
    assert!(world.nodes[relay].counters().of(Refusal::TooFast) >= 100);
    world.pass(std::time::Duration::from_secs(1));
    let before = world.exits.len();
    world.say(0, id, "9.9.9.9:443", &utp(b"again"));
    world.settle();
    assert_eq!(world.exits.len(), before + 1, "the circuit lives on");
}
