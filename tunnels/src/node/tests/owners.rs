//! What the owner of a node allows.

use std::net::SocketAddr;
use std::sync::Arc;

use net::Subnet;

use super::world::{World, utp};
use crate::budget::Budget;
use crate::home::Home;
use crate::node::Event;
use crate::{Dialect, Flags, Refusal};

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
    assert_eq!(world.nodes[3].counters().of(Refusal::Policy), 1);
    assert_eq!(world.nodes[3].counters().of(Refusal::Target), 0);
}

#[test]
fn an_exit_sends_nothing_to_its_own_address_but_what_the_community_says() {
    let mut world = World::of(Dialect::Modern, 0, 1, 404);
    let own = world.nodes[1].addr().unwrap();
    let id = world.build(1);
    let other = SocketAddr::new(own.ip(), own.port() + 1);
    for to in [own, other] {
        world.say(0, id, &to.to_string(), &utp(b"hello"));
    }
    world.say(0, id, "9.9.9.9:443", &utp(b"hello"));
    world.settle();
    assert_eq!(world.exits.len(), 1);
    assert_eq!(world.nodes[1].counters().of(Refusal::Target), 2);
    let packet = [world.nodes[1].prefix().as_bytes().as_slice(), &[17, 0]].concat();
    let (now, exit) = (world.now, &mut world.nodes[1]);
    let joined = world.exits[0].1;
    assert_eq!(exit.may_exit(now, joined, own, &packet), Ok(()));
    assert_eq!(
        exit.may_exit(now, joined, other, &packet),
        Err(Refusal::Target)
    );
    // Who has sent something out is met where that came from, as long as the circuit stands.
    let socket = world.exits[0].0;
    assert_eq!(socket.ip(), own.ip());
    assert_eq!(exit.may_exit(now, joined, socket, &packet), Ok(()));
    let refused = exit.may_exit(now, joined, socket, &utp(b"hello"));
    assert_eq!(refused, Err(Refusal::Target));
}

#[test]
fn an_exit_sends_nothing_to_the_networks_that_it_is_in() {
    let mut world = World::of(Dialect::Modern, 0, 1, 405);
    let networks = [("9.9.9.9", 24), ("2a00:1::1", 64), ("9.8.8.8", 32)];
    let networks = networks.map(|(ip, prefix)| Subnet::around(ip.parse().unwrap(), prefix));
    world.nodes[1].set_home(Home::of(&networks));
    let id = world.build(1);
    for (to, out) in [
        ("9.9.9.200:443", 0),
        ("9.9.8.200:443", 1),
        ("9.8.8.8:443", 0),
        ("9.8.8.9:443", 1),
        ("[2a00:1::7]:443", 0),
        ("[2a00:1:1::7]:443", 1),
    ] {
        let before = world.exits.len();
        world.say(0, id, to, &utp(b"hello"));
        assert_eq!(world.exits.len() - before, out, "{to}");
    }
    assert_eq!(world.nodes[1].counters().of(Refusal::Target), 3);
}

#[test]
fn who_takes_leave_joins_no_circuit_and_builds_none() {
    for dialect in [Dialect::Modern, Dialect::Classic] {
        let mut world = World::of(dialect, 0, 1, 406);
        world.build(1);
        world.nodes[1].shut_down();
        world.settle();
        assert_eq!(world.nodes[0].circuits().count(), 0);
        let before = world.nodes[1].counters().joined;
        for _ in 0..3 {
            let again = world.nodes[0].create_circuit(world.now, crate::Purpose::Data, 1, None);
            assert!(again.is_ok());
            world.settle();
        }
        assert_eq!(world.nodes[1].joined(), (0, 0));
        assert_eq!(world.nodes[1].counters().joined, before);
        assert_eq!(world.nodes[1].counters().of(Refusal::NotOffered), 3);
        world.nodes[0].shut_down();
        let own = world.nodes[0].create_circuit(world.now, crate::Purpose::Data, 1, None);
        assert_eq!(own, Err(Refusal::Unknown));
        // Nor does it after a failure of its own.
        let mut renewed = world.nodes[0].renewed(world.now, [1; 32]);
        let own = renewed.create_circuit(world.now, crate::Purpose::Data, 1, None);
        assert_eq!(own, Err(Refusal::Unknown));
    }
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
    assert_eq!(world.nodes[1].counters().of(Refusal::Spent), 10);
    assert_eq!(world.nodes[1].counters().of(Refusal::TooFast), 0);
    let before = world.nodes[1].counters().joined;
    let again = world.nodes[0].create_circuit(world.now, crate::Purpose::Data, 1, None);
    world.settle();
    assert!(again.is_ok() && world.nodes[1].counters().joined == before);
    assert_eq!(world.nodes[1].counters().of(Refusal::Spent), 11);
    assert_eq!(world.nodes[1].counters().of(Refusal::Full), 0);
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

#[test]
fn what_trackers_and_tests_answer_is_carried_as_fast_as_the_owner_allows_and_no_faster() {
    let exit = Flags::EXIT.and(Flags::EXIT_HTTP).and(Flags::SPEED_TEST);
    let mut world = World::new(Dialect::Modern, &[Flags::default(), exit], 403);
    let circuit = world.build(1);
    let joined = *world.nodes[1].joined.keys().next().unwrap();
    world.nodes[1].config.budget = Some(Arc::new(Budget::new(Some(100_000), None)));
    let begun = world.now;
    let reply = vec![7; 40_000];
    let mut answers = |now| {
        let node = &mut world.nodes[1];
        (0..5)
            .filter(|id| node.answer_http(now, joined, *id, &reply).is_ok())
            .count()
    };
    assert_eq!(answers(begun), 2);
    let later = begun + std::time::Duration::from_secs(1);
    assert_eq!(answers(later), 2);
    // 20,000 bytes are left of what may be carried at once.
    world.now = later;
    world.settle();
    world.events.clear();
    for _ in 0..30 {
        let _ = world.nodes[0].test_circuit(circuit, &[1; 100], 2000);
        world.settle();
    }
    let tested = |event: &&(usize, Event)| matches!(event.1, Event::Tested { .. });
    let tested = world.events.iter().filter(tested).count();
    assert_eq!(tested, 10);
    // Each circuit has a cap of its own besides.
    world.nodes[1].config.budget = None;
    world.nodes[1].config.exit_bytes_per_s = 50_000;
    let mut answers = || world.nodes[1].answer_http(later, joined, 9, &reply);
    assert_eq!((answers(), answers()), (Ok(()), Err(Refusal::TooFast)));
}
