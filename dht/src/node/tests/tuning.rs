//! What is changed while a node runs shows in what it does.

use super::*;
use crate::Tuning;

fn tuned(change: impl FnOnce(&mut Tuning)) -> Bench {
    let mut bench = Bench::new(NodeConfig::default());
    bench.fill(200);
    let mut tuning = Tuning::default();
    change(&mut tuning);
    bench.node.tune(bench.now, tuning);
    bench
}

fn sample_query() -> Vec<u8> {
    let target = NodeId([5; 20]);
    query(Method::SampleInfohashes { target }, false)
}

#[test]
fn no_query_is_answered_once_it_only_reads_and_each_is_when_it_answers_again() {
    let mut bench = Bench::new(NodeConfig::default());
    bench.prove(stranger(1));
    let ping = query(Method::Ping, false);
    bench.node.tune(
        bench.now,
        Tuning {
            read_only: true,
            ..Tuning::default()
        },
    );
    assert!(bench.say(stranger(1), &ping).is_empty());
    bench.node.start(bench.now, Request::Ping(stranger(2)));
    let sent = bench.sent();
    let message = Message::decode(&sent[0].bytes).unwrap();
    let Body::Query(asked) = message.body else {
        panic!("a query")
    };
    assert!(asked.read_only, "others are told");
    bench.node.tune(bench.now, Tuning::default());
    response(&bench.say(stranger(1), &ping));
}

#[test]
fn an_answer_has_as_many_peers_and_info_hashes_as_is_said() {
    let mut bench = tuned(|tuning| tuning.values = 7);
    bench.prove(stranger(1));
    let sent = bench.say(stranger(1), &query(get_peers(false), false));
    assert_eq!(response(&sent).values.iter().count(), 7);
    for n in 1..30 {
        let own = bench.node.id(Family::V4).unwrap();
        let hash = InfoHash([n; 20]);
        bench
            .node
            .peers
            .add(bench.now, &own, hash, stranger(3), false);
    }
    bench.node.tune(
        bench.now,
        Tuning {
            samples: 3,
            sample_for: Duration::from_secs(500),
            ..Tuning::default()
        },
    );
    let sent = bench.say(stranger(1), &sample_query());
    let sample = response(&sent).sample.expect("info-hashes");
    assert_eq!((sample.hashes.len(), sample.interval), (3 * 20, 500));
    let before = sample.hashes.to_vec();
    bench.now += Duration::from_secs(490);
    let sent = bench.say(stranger(1), &sample_query());
    assert_eq!(response(&sent).sample.unwrap().hashes, before);
}

#[test]
fn as_much_is_stored_as_is_said_and_items_for_as_long() {
    let mut bench = tuned(|tuning| tuning.peers.per_torrent = 3);
    let own = bench.node.id(Family::V4).unwrap();
    let hash = InfoHash([1; 20]);
    for n in 1..9 {
        let peer = SocketAddr::from(([90, n, 0, 1], 1));
        bench.node.peers.add(bench.now, &own, hash, peer, false);
    }
    let of_hash = bench.node.peers.some(
        bench.now,
        hash,
        crate::peers::Choice {
            family: None,
            noseed: false,
            most: 100,
        },
        &mut bench.rng,
    );
    assert_eq!(of_hash.len(), 3);
    let mut bench = tuned(|tuning| {
        tuning.items.total = 2;
        tuning.items.lifetime = Duration::from_secs(100);
    });
    for n in 0..5_u8 {
        let value = format!("1:{}", char::from(b'a' + n)).into_bytes();
        let item = crate::Item::Immutable { value };
        let from = stranger(n).ip();
        let _ = bench.node.items.put(bench.now, &own, from, item, None);
    }
    assert_eq!(bench.node.items.len(), 2);
    bench.node.items.sweep(bench.now + Duration::from_secs(99));
    assert_eq!(bench.node.items.len(), 2);
    bench.node.items.sweep(bench.now + Duration::from_secs(100));
    assert_eq!(bench.node.items.len(), 0);
}

#[test]
fn as_many_queries_are_answered_as_is_said_and_as_long_as_there_is_room_to_send() {
    let answered = |bench: &mut Bench| {
        let ping = query(Method::Ping, true);
        let from = |n: u16| stranger(1 + (n % 50) as u8);
        let tries = (0..2000).filter(|n| !bench.say(from(*n), &ping).is_empty());
        tries.count()
    };
    let usual = answered(&mut tuned(|_| {}));
    assert_eq!(usual, 2000);
    let few = answered(&mut tuned(|tuning| tuning.rates.total_per_s = 100.0));
    assert_eq!(few, 100);
    let each = answered(&mut tuned(|tuning| tuning.rates.each_per_s = 2.0));
    assert_eq!(each, 50 * 8, "four seconds' worth at once");
    let mut bench = tuned(|tuning| tuning.up = Some(5000));
    let before = bench.node.status().counters.bytes_out;
    let first = answered(&mut bench);
    let sent = bench.node.status().counters.bytes_out - before;
    assert!(first > 10 && (5000..5200).contains(&sent), "{sent}");
    bench.now += Duration::from_secs(1);
    assert!(answered(&mut bench) > 10, "a second later there is room");
}

#[test]
fn nodes_with_ids_that_are_not_theirs_are_passed_over_where_that_is_said() {
    for enforce in [false, true] {
        let mut bench = Bench::new(NodeConfig::default());
        let tuning = Tuning {
            enforce_ids: enforce,
            ..Tuning::default()
        };
        bench.node.tune(bench.now, tuning);
        // 0x07.. is no id of this address.
        let sent = bench.say(stranger(1), &query(Method::Ping, false));
        if enforce {
            assert_eq!(error_code(&sent), 203);
        } else {
            response(&sent);
            bench.prove(stranger(2));
        }
        let known = bench.node.status().families[0].as_ref().unwrap().nodes;
        assert_eq!(known == 0, enforce);
        bench.node.start(bench.now, Request::Ping(stranger(3)));
        let asked = bench.sent().remove(0).bytes;
        bench.say(stranger(3), &pong(&asked));
        let known = bench.node.status().families[0].as_ref().unwrap().nodes;
        assert_eq!(known == 0, enforce);
    }
}

#[test]
fn a_look_up_asks_as_many_at_once_as_is_said() {
    for (branching, at_once) in [(1, 1), (4, 4), (8, 8)] {
        let mut bench = tuned(|tuning| tuning.branching = branching);
        bench
            .node
            .start(bench.now, Request::GetPeers(GetPeers::new(HASH)));
        assert_eq!(bench.sent().len(), at_once);
    }
}

#[test]
fn one_network_fills_the_table_only_where_that_is_said_and_never_where_it_was_not_to() {
    for (ever, now, alike) in [(true, true, 4), (true, false, 20), (false, true, 20)] {
        let mut bench = Bench::new(NodeConfig {
            restrict_networks: ever,
            ..NodeConfig::default()
        });
        let tuning = Tuning {
            restrict_networks: now,
            ..Tuning::default()
        };
        bench.node.tune(bench.now, tuning);
        let took = Duration::from_millis(9);
        for n in 1..=20 {
            let id = NodeId::random(&mut bench.rng);
            let addr = SocketAddr::from(([81, 2, 3, n], 6881));
            let side = bench.node.side_mut(Family::V4).unwrap();
            side.table.heard(bench.now, id, addr, took);
        }
        let known = bench.node.status().families[0].as_ref().unwrap().nodes;
        assert!(known == alike || alike == 20 && known > 10, "{known}");
    }
}

#[test]
fn a_node_is_forgotten_after_as_many_failures_as_is_said() {
    for give_up in [1, 4, 9] {
        let mut bench = tuned(|tuning| tuning.give_up = give_up);
        let side = bench.node.side_mut(Family::V4).unwrap();
        let known = side.table.len();
        let addr = side.table.contacts().next().unwrap().addr;
        for failures in 1..=give_up {
            assert_eq!(side.table.len(), known, "after {failures} failures");
            side.table.failed(&addr);
        }
        assert_eq!(side.table.len(), known - 1);
    }
}
