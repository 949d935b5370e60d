use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::world::{World, utp};
use crate::node::{Event, Refusal};
use crate::policy::NoAnswer;
use crate::{CircuitId, Closed, Config, Dialect, Flags, Handled, LIBRARY, Node, Purpose, State};

const BOTH: [Dialect; 2] = [Dialect::Classic, Dialect::Modern];
const TARGET: &str = "93.184.216.34:6881";

#[test]
fn datagrams_go_out_and_come_back_through_one_to_three_hops() {
    for dialect in BOTH {
        for goal in 1..=3 {
            let mut world = World::of(dialect, 4, 2, u64::from(goal));
            let id = world.build(goal);
            let info = world.nodes[0].circuit(id).unwrap();
            assert_eq!(
                (info.state, info.hops.len()),
                (State::Ready, usize::from(goal))
            );
            let hops: BTreeSet<usize> = world.hops(id).into_iter().collect();
            assert_eq!(hops.len(), usize::from(goal), "no hop is used twice");
            let asked = utp(b"there");
            world.say(0, id, TARGET, &asked);
            let (_, circuit, to, data) = world.exits.pop().unwrap();
            assert_eq!((to.to_string().as_str(), &data), (TARGET, &asked));
            let exit = *world.hops(id).last().unwrap();
            let answer = utp(b"and back again");
            world.come_back(exit, circuit, TARGET.parse().unwrap(), &answer);
            world.settle();
            let (at, through, from, data) = world.data.pop().unwrap();
            assert_eq!((at, through), (0, id));
            assert_eq!((from.to_string().as_str(), &data), (TARGET, &answer));
            assert_eq!(world.refused, 0);
        }
    }
}

#[test]
fn only_the_first_hop_hears_from_the_originator() {
    let mut world = World::of(Dialect::Modern, 5, 2, 11);
    let id = world.build(3);
    world.say(0, id, TARGET, &utp(b""));
    let first = world.nodes[0].circuit(id).unwrap().first;
    let heard = world
        .log
        .iter()
        .filter(|(from, _, _)| *from == world.addrs[0]);
    assert!(heard.clone().count() > 3);
    assert!(heard.into_iter().all(|(_, to, _)| *to == first));
}

#[test]
fn a_hop_that_does_not_answer_is_replaced_by_another() {
    for dialect in BOTH {
        for dead in 1..=5 {
            let mut world = World::of(dialect, 5, 3, 20 + dead as u64);
            world.alive[dead] = false;
            let id = world.nodes[0]
                .create_circuit(world.now, Purpose::Data, 3, None)
                .unwrap();
            world.pass(Duration::from_secs(55));
            let ready = world.events.contains(&(0, Event::Ready(id)));
            assert!(
                ready,
                "{dialect:?}: node {dead} is dead; {:?}",
                world.events
            );
            assert!(!world.hops(id).contains(&dead));
        }
    }
}

#[test]
fn a_dead_exit_is_replaced_by_another() {
    for seed in 30..34 {
        let mut world = World::of(Dialect::Modern, 4, 3, seed);
        world.alive[5] = false;
        world.alive[6] = false;
        let id = world.nodes[0]
            .create_circuit(world.now, Purpose::Data, 2, None)
            .unwrap();
        world.pass(Duration::from_secs(45));
        assert!(
            world.events.contains(&(0, Event::Ready(id))),
            "{:?}",
            world.events
        );
        assert_eq!(world.hops(id).last(), Some(&7));
    }
}

#[test]
fn without_anyone_who_joins_a_circuit_ends_and_says_why() {
    let mut world = World::of(Dialect::Classic, 3, 1, 40);
    world.alive[1..].fill(false);
    let id = world.nodes[0]
        .create_circuit(world.now, Purpose::Data, 3, None)
        .unwrap();
    world.pass(Duration::from_secs(70));
    let closed = world.ended(id);
    assert!(
        matches!(closed, Some(Closed::NoHops | Closed::Slow)),
        "{closed:?}"
    );
    assert_eq!(world.nodes[0].circuits().count(), 0);
}

#[test]
fn pings_keep_a_circuit_and_silence_ends_it() {
    for dialect in BOTH {
        let mut world = World::of(dialect, 4, 2, 50);
        let id = world.build(3);
        world.pass(Duration::from_secs(120));
        assert!(world.nodes[0].circuit(id).unwrap().rtt.is_some());
        let exit = *world.hops(id).last().unwrap();
        world.alive[exit] = false;
        world.pass(Duration::from_secs(31));
        assert_eq!(world.ended(id), Some(Closed::Silent));
        world.pass(Duration::from_secs(21));
        for (at, node) in world.nodes.iter().enumerate() {
            if world.alive[at] {
                assert_eq!(node.joined(), (0, 0), "node {at} keeps nothing");
            }
        }
    }
}

#[test]
fn a_circuit_that_is_closed_is_forgotten_everywhere_at_once() {
    for dialect in BOTH {
        for goal in 1..=3 {
            let mut world = World::of(dialect, 4, 2, 60 + u64::from(goal));
            let id = world.build(goal);
            world.nodes[0].close_circuit(id);
            world.settle();
            assert!(world.nodes.iter().all(|node| node.joined() == (0, 0)));
            assert_eq!(world.refused, 0);
        }
    }
}

#[test]
fn an_exit_that_stops_ends_the_circuit_at_once() {
    let mut world = World::of(Dialect::Modern, 4, 2, 70);
    let id = world.build(3);
    let exit = *world.hops(id).last().unwrap();
    world.nodes[exit].shut_down();
    world.settle();
    assert_eq!(world.ended(id), Some(Closed::Destroyed));
}

#[test]
fn circuits_live_no_longer_than_the_dialect_lets_them() {
    for dialect in BOTH {
        let mut world = World::of(dialect, 4, 2, 80);
        let id = world.build(2);
        world.pass(dialect.max_age().saturating_sub(Duration::from_secs(5)));
        assert!(world.nodes[0].circuit(id).is_some());
        world.pass(Duration::from_secs(10));
        assert!(world.nodes[0].circuit(id).is_none());
        assert!(world.nodes.iter().all(|node| node.joined() == (0, 0)));
    }
}

#[test]
fn a_test_of_speed_brings_as_many_bytes_as_were_asked_for() {
    let mut flags = vec![Flags::default()];
    flags.extend([Flags::RELAY.and(Flags::EXIT).and(Flags::SPEED_TEST); 3]);
    for dialect in BOTH {
        let mut world = World::new(dialect, &flags, 90);
        let circuit = world.build(2);
        let carried = |world: &World| {
            let info = world.nodes[0].circuit(circuit).unwrap();
            [info.sent, info.bytes - info.sent]
        };
        let before = carried(&world);
        let id = world.nodes[0]
            .test_circuit(circuit, &[1; 100], 700)
            .unwrap();
        world.settle();
        let after = carried(&world);
        let [sent, received] = [0, 1].map(|way| after[way] - before[way]);
        assert!((100..400).contains(&sent), "{sent}");
        assert!((700..1000).contains(&received), "{received}");
        assert!(world.events.contains(&(
            0,
            Event::Tested {
                circuit,
                id,
                bytes: 700
            }
        )));
    }
}

#[test]
fn an_http_reply_comes_back_in_parts() {
    let mut flags = vec![Flags::default(), Flags::RELAY];
    flags.push(Flags::RELAY.and(Flags::EXIT).and(Flags::EXIT_HTTP));
    let mut world = World::new(Dialect::Modern, &flags, 91);
    let circuit = world.build(2);
    let to = overlay::wire::Address::Host("tracker.example.org".to_owned(), 80);
    world.nodes[0]
        .request_http(circuit, 5, to.clone(), b"GET / HTTP/1.1\r\n\r\n")
        .unwrap();
    world.settle();
    let wanted = world.events.iter().find_map(|(at, event)| match event {
        Event::HttpWanted {
            circuit, id, to, ..
        } => Some((*at, *circuit, *id, to.clone())),
        _ => None,
    });
    let (exit, joined, id, asked) = wanted.unwrap();
    assert_eq!((id, asked), (5, to));
    let reply: Vec<u8> = (0..3000_u32).map(|n| n as u8).collect();
    let now = world.now;
    world.nodes[exit]
        .answer_http(now, joined, id, &reply)
        .unwrap();
    world.settle();
    let parts = world.events.iter().filter_map(|(_, event)| match event {
        Event::HttpPart { part, response, .. } => Some((*part, response.clone())),
        _ => None,
    });
    let parts: Vec<_> = parts.collect();
    assert_eq!(
        parts.iter().map(|(part, _)| *part).collect::<Vec<_>>(),
        [(0, 3), (1, 3), (2, 3)]
    );
    let whole: Vec<u8> = parts.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(whole, reply);
    // What nobody waits for any more, or ever did, is told to nobody.
    world.nodes[0].end_http(circuit, id);
    let told = world.events.len();
    for number in [id, id + 1] {
        let exit = &mut world.nodes[exit];
        exit.answer_http(now, joined, number, b"reply").unwrap();
    }
    world.settle();
    assert_eq!(world.events.len(), told);
    assert_eq!(world.nodes[0].counters().of(Refusal::Unexpected), 2);
}

#[test]
fn an_exit_sends_so_many_http_requests_a_second_for_a_circuit_and_says_which_it_did_not() {
    let exit = Flags::RELAY.and(Flags::EXIT).and(Flags::EXIT_HTTP);
    let mut world = World::new(Dialect::Modern, &[Flags::default(), exit], 92);
    let circuit = world.build(1);
    let to = overlay::wire::Address::Host("tracker.example.org".to_owned(), 80);
    let mut wanted = 0;
    for id in 0..100 {
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let ours = &mut world.nodes[0];
        ours.request_http(circuit, id, to.clone(), request).unwrap();
        world.settle();
        let events = world.events.iter();
        wanted = events
            .filter(|(_, event)| matches!(event, Event::HttpWanted { .. }))
            .count();
    }
    let busy = NoAnswer::Busy.reply();
    let told = world.events.iter().filter(|(_, event)| match event {
        Event::HttpPart { response, .. } => *response == busy,
        _ => false,
    });
    let refused = told.count();
    assert!((5..=8).contains(&wanted), "{wanted} at once");
    assert_eq!(wanted + refused, 100);
    let counted = world.nodes[1].counters().of(Refusal::TooFast);
    assert_eq!(counted, refused as u64);
}

#[test]
fn what_does_not_look_like_bittorrent_does_not_leave() {
    let mut world = World::of(Dialect::Classic, 2, 1, 100);
    let id = world.build(2);
    world.say(0, id, TARGET, b"GET / HTTP/1.1\r\n\r\n");
    assert!(world.exits.is_empty());
    let exit = *world.hops(id).last().unwrap();
    assert_eq!(world.nodes[exit].counters().of(Refusal::Content), 1);
}

#[test]
fn private_addresses_and_mail_ports_are_not_reached() {
    let mut world = World::of(Dialect::Modern, 2, 1, 101);
    let id = world.build(2);
    for to in [
        "127.0.0.1:6881",
        "192.168.1.1:6881",
        "10.0.0.1:80",
        "8.8.8.8:25",
        "[::1]:6881",
    ] {
        world.say(0, id, to, &utp(b""));
    }
    assert!(world.exits.is_empty());
    let exit = *world.hops(id).last().unwrap();
    assert_eq!(world.nodes[exit].counters().of(Refusal::Target), 5);
    world.say(0, id, TARGET, &utp(b""));
    assert_eq!(world.exits.len(), 1, "the circuit lives on");
}

#[test]
fn a_target_that_never_answers_is_cut_off_and_others_are_not() {
    let mut world = World::of(Dialect::Classic, 2, 1, 102);
    let id = world.build(2);
    for _ in 0..60 {
        world.say(0, id, TARGET, &utp(b""));
    }
    assert_eq!(world.exits.len(), 50);
    let (_, circuit, ..) = world.exits[0].clone();
    let exit = *world.hops(id).last().unwrap();
    world.say(0, id, "8.8.8.8:6881", &utp(b""));
    assert_eq!(world.exits.len(), 51);
    world.come_back(exit, circuit, TARGET.parse().unwrap(), &utp(b""));
    world.settle();
    for _ in 0..60 {
        world.say(0, id, TARGET, &utp(b""));
    }
    assert_eq!(world.exits.len(), 111);
}

#[test]
fn an_exit_sends_no_more_than_its_cap() {
    let mut world = World::of(Dialect::Modern, 2, 1, 103);
    world.nodes[3].config.exit_bytes_per_s = 1000;
    let id = world.build(2);
    for _ in 0..10 {
        world.say(0, id, TARGET, &utp(&[0; 180]));
    }
    assert_eq!(world.exits.len(), 5);
    world.pass(Duration::from_secs(1));
    for _ in 0..10 {
        world.say(0, id, TARGET, &utp(&[0; 180]));
    }
    assert_eq!(world.exits.len(), 10);
}

#[test]
fn a_node_joins_no_more_circuits_than_it_may() {
    let mut world = World::of(Dialect::Modern, 0, 1, 104);
    world.nodes[1].config.max_joined = 3;
    let mut ready = 0;
    for _ in 0..6 {
        let id = world.nodes[0]
            .create_circuit(world.now, Purpose::Data, 1, None)
            .unwrap();
        world.settle();
        ready += usize::from(world.events.contains(&(0, Event::Ready(id))));
    }
    assert_eq!(ready, 3);
    assert_eq!(world.nodes[1].counters().of(Refusal::Full), 3);
}

#[test]
fn circuits_prefer_first_hops_that_no_other_circuit_has() {
    let mut world = World::of(Dialect::Modern, 6, 2, 105);
    let firsts: BTreeSet<SocketAddr> = (0..6)
        .map(|_| {
            let id = world.build(3);
            world.nodes[0].circuit(id).unwrap().first
        })
        .collect();
    assert_eq!(firsts.len(), 6);
}

#[test]
fn an_idle_node_asks_for_no_timer() {
    let now = std::time::Instant::now();
    let key = overlay::key::SecretKey::from_bytes(&[7; 64]).unwrap();
    let node = Node::new(now, Config::new(Dialect::Modern, LIBRARY), key, [0; 32]);
    assert_eq!(node.poll_timeout(), None);
}

#[test]
fn a_circuit_of_nobody_takes_no_data() {
    let mut world = World::of(Dialect::Modern, 1, 1, 106);
    let mut out = Vec::new();
    let to: SocketAddr = TARGET.parse().unwrap();
    let refused = world.nodes[0].send_data(CircuitId(5), to.into(), &utp(b""), &mut out);
    assert_eq!(refused, Err(Refusal::Unknown));
    let addr = world.addrs[1];
    assert!(matches!(
        world.give(0, addr, b"hello"),
        Handled::Refused(Refusal::Alien)
    ));
}
