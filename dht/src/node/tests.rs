//! A node and those who speak to it.

use std::time::Duration;

use protocol::bencode::Encoder;
use protocol::id::InfoHash;
use protocol::krpc::{Announce, ErrorCode, Method, Put, Query, Response};
use protocol::tracker::compact;

mod samples;
mod tuning;

use super::*;
use crate::request::{GetPeers, Outcome, Request};
use crate::{AnnounceAs, Rates};

/// A node that can be spoken to.
struct Bench {
    node: Node,
    now: Instant,
    rng: StdRng,
}

const HASH: InfoHash = InfoHash([9; 20]);

impl Bench {
    fn new(config: NodeConfig) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let now = Instant::now();
        let mut node = Node::new(config, now, &mut rng);
        node.handle_timeout(now);
        assert!(node.poll_transmit().is_none());
        Self { node, now, rng }
    }

    /// What is sent because of a datagram.
    fn say(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<Transmit> {
        self.node.handle_datagram(self.now, from, datagram);
        self.sent()
    }

    fn sent(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.node.poll_transmit()).collect()
    }

    fn pass(&mut self, time: Duration) -> Vec<Transmit> {
        self.now += time;
        self.node.handle_timeout(self.now);
        self.sent()
    }

    /// Answers a ping of the node's from its receiver, which proves that this one is there.
    fn prove(&mut self, from: SocketAddr) {
        let sent = self.say(from, &query(Method::Ping, false));
        let asked = sent.iter().find(|t| is_query(&t.bytes));
        let asked = asked.expect("a newcomer is asked back").bytes.clone();
        let pong = pong(&asked);
        self.say(from, &pong);
    }

    /// Stores peers and items, as others would.
    fn fill(&mut self, peers: u32) {
        for n in 0..peers {
            let [a, b, c, d] = (0x5000_0000 + n * 257).to_be_bytes();
            let peer = SocketAddr::from(([a, b, c, d], 7000));
            let own = self.node.id(Family::V4).unwrap();
            self.node.peers.add(self.now, &own, HASH, peer, n % 2 == 0);
        }
        for n in 0..40u32 {
            let id = NodeId::random(&mut self.rng);
            let [a, b, c, _] = (0x6000_0000 + n * 65_536).to_be_bytes();
            let addr = SocketAddr::from(([a, b, c, 1], 6881));
            let took = Duration::from_millis(9);
            let side = self.node.side_mut(Family::V4).unwrap();
            side.table.heard(self.now, id, addr, took);
        }
    }
}

fn query(method: Method<'_>, read_only: bool) -> Vec<u8> {
    let query = Query {
        id: NodeId([7; 20]),
        read_only,
        want: None,
        method,
    };
    let message = Message {
        transaction: b"aa",
        version: None,
        ip: None,
        body: Body::Query(query),
    };
    message.to_bytes()
}

fn is_query(bytes: &[u8]) -> bool {
    let message = Message::decode(bytes).unwrap();
    matches!(message.body, Body::Query(_))
}

fn pong(asked: &[u8]) -> Vec<u8> {
    let message = Message::decode(asked).unwrap();
    let answer = Message {
        body: Body::Response(Response::new(NodeId([7; 20]))),
        ..message
    };
    answer.to_bytes()
}

fn get_peers(scrape: bool) -> Method<'static> {
    Method::GetPeers {
        info_hash: HASH,
        noseed: false,
        scrape,
    }
}

/// The response among what was sent.
fn response(sent: &[Transmit]) -> Response<'_> {
    let mut messages = sent.iter().map(|t| Message::decode(&t.bytes).unwrap());
    let found = messages.find_map(|message| match message.body {
        Body::Response(response) => Some(response),
        Body::Error(_) | Body::Query(_) => None,
    });
    found.expect("a response")
}

fn error_code(sent: &[Transmit]) -> i64 {
    let mut messages = sent.iter().map(|t| Message::decode(&t.bytes).unwrap());
    let found = messages.find_map(|message| match message.body {
        Body::Error(failure) => Some(failure.code),
        Body::Query(_) | Body::Response(_) => None,
    });
    found.expect("an error")
}

fn stranger(n: u8) -> SocketAddr {
    SocketAddr::from(([33, n, 44, 55], 1234))
}

#[test]
fn spoofed_queries_get_back_at_most_three_times_their_bytes() {
    let mut bench = Bench::new(NodeConfig::default());
    bench.fill(300);
    let item = crate::Item::Immutable {
        value: [b"990:".to_vec(), vec![b'x'; 990]].concat(),
    };
    let target = item.target();
    let (now, own) = (bench.now, bench.node.id(Family::V4).unwrap());
    let stored = bench
        .node
        .items
        .put(now, &own, stranger(0).ip(), item, None);
    stored.unwrap();
    let mut queries = Vec::new();
    for read_only in [false, true] {
        for method in [
            Method::Ping,
            Method::FindNode { target },
            get_peers(false),
            get_peers(true),
            Method::Get { target, seq: None },
            Method::SampleInfohashes { target },
            Method::AnnouncePeer(Announce {
                info_hash: HASH,
                port: Some(1),
                seed: false,
                token: b"guess",
            }),
            Method::Put(Put::Immutable {
                token: b"",
                value: b"0:",
            }),
        ] {
            queries.push(query(method, read_only));
        }
    }
    queries.push(b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q1:x1:t0:1:y1:qe".to_vec());
    queries.push(b"d1:q0:1:t0:1:y1:qe".to_vec());
    let mut victim = 0;
    for query in &queries {
        for times in [1usize, 5] {
            victim += 1;
            let from = stranger(victim);
            let mut bytes = 0;
            for _ in 0..times {
                bytes += bench
                    .say(from, query)
                    .iter()
                    .map(|t| t.bytes.len())
                    .sum::<usize>();
            }
            // What was held back comes later, and what is not answered may be asked again.
            for _ in 0..100 {
                let sent = bench.pass(Duration::from_millis(50));
                let to_victim = sent.iter().filter(|t| t.to == from);
                bytes += to_victim.map(|t| t.bytes.len()).sum::<usize>();
            }
            let most = 3 * times * query.len();
            assert!(bytes <= most, "{bytes} of {most}: {}", query.escape_ascii());
        }
    }
}

#[test]
fn an_answer_that_is_too_long_for_a_stranger_waits_for_a_proof() {
    let mut bench = Bench::new(NodeConfig::default());
    bench.fill(100);
    let from = stranger(1);
    let sent = bench.say(from, &query(get_peers(true), false));
    assert_eq!(sent.len(), 1);
    assert!(is_query(&sent[0].bytes));
    let released = bench.say(from, &pong(&sent[0].bytes));
    let answer = response(&released);
    assert!(answer.seeds.is_some() && answer.leechers.is_some());
    assert!(answer.values.iter().count() > 20 && answer.nodes.unwrap().len() == 8 * 26);
    // From then on it gets all at once.
    let sent = bench.say(from, &query(get_peers(true), false));
    assert!(response(&sent).seeds.is_some());
    // Who does not answer, or does not answer queries at all, gets what fits.
    let silent = stranger(2);
    let sent = bench.say(silent, &query(get_peers(true), false));
    assert!(is_query(&sent[0].bytes));
    let late = bench.pass(Duration::from_millis(600));
    assert!(response(&late).seeds.is_none() && response(&late).token.is_some());
    let sent = bench.say(stranger(3), &query(get_peers(true), true));
    let short = response(&sent);
    assert!(short.seeds.is_none() && !short.values.is_empty() && !short.nodes.unwrap().is_empty());
}

#[test]
fn peers_are_stored_with_a_good_token_only() {
    let mut bench = Bench::new(NodeConfig::default());
    let from = stranger(1);
    let announce = |token| {
        Method::AnnouncePeer(Announce {
            info_hash: HASH,
            port: None,
            seed: true,
            token,
        })
    };
    let refused = bench.say(from, &query(announce(b"guess"), false));
    assert_eq!(
        error_code(&refused),
        i64::from(ErrorCode::Protocol.number())
    );
    let sent = bench.say(from, &query(get_peers(false), false));
    let token = response(&sent).token.unwrap().to_vec();
    let elsewhere = bench.say(stranger(2), &query(announce(&token), false));
    assert_eq!(error_code(&elsewhere), 203);
    bench.say(from, &query(announce(&token), false));
    let sent = bench.say(stranger(3), &query(get_peers(false), false));
    assert_eq!(response(&sent).values.iter().collect::<Vec<_>>(), [from]);
    assert_eq!(bench.node.status().peers, 1);
}

#[test]
fn read_only_nodes_answer_nothing_and_say_so() {
    let mut bench = Bench::new(NodeConfig {
        tuning: Tuning {
            read_only: true,
            ..Tuning::default()
        },
        ..NodeConfig::default()
    });
    assert!(
        bench
            .say(stranger(1), &query(Method::Ping, false))
            .is_empty()
    );
    bench.node.start(bench.now, Request::Ping(stranger(2)));
    let sent = bench.sent();
    let message = Message::decode(&sent[0].bytes).unwrap();
    assert!(matches!(
        message.body,
        Body::Query(Query {
            read_only: true,
            ..
        })
    ));
}

#[test]
fn a_node_says_what_program_it_is_unless_nobody_is_to_know() {
    for version in [Some(*b"XY\x00\x07"), None] {
        let mut bench = Bench::new(NodeConfig {
            version,
            ..NodeConfig::default()
        });
        // An answer, and a query of its own to the newcomer.
        let sent = bench.say(stranger(1), &query(Method::Ping, false));
        assert_eq!(sent.len(), 2);
        for said in &sent {
            let told = Message::decode(&said.bytes).unwrap().version;
            assert_eq!(told, version.as_ref().map(<[u8; 4]>::as_slice));
        }
    }
}

#[test]
fn who_asks_read_only_is_not_asked_back_and_others_are() {
    let mut bench = Bench::new(NodeConfig::default());
    assert_eq!(bench.say(stranger(1), &query(Method::Ping, true)).len(), 1);
    assert_eq!(bench.say(stranger(2), &query(Method::Ping, false)).len(), 2);
    bench.prove(stranger(3));
    assert_eq!(bench.node.status().families[0].as_ref().unwrap().nodes, 1);
}

#[test]
fn floods_are_dropped() {
    let mut bench = Bench::new(NodeConfig {
        tuning: Tuning {
            rates: Rates {
                each_per_s: 10.0,
                total_per_s: 1000.0,
            },
            ..Tuning::default()
        },
        ..NodeConfig::default()
    });
    let ping = query(Method::Ping, true);
    let answered = (0..1000).filter(|_| !bench.say(stranger(1), &ping).is_empty());
    assert_eq!(answered.count(), 40);
    assert_eq!(bench.node.status().counters.refused, 960);
}

#[test]
fn only_the_asked_address_answers() {
    let mut bench = Bench::new(NodeConfig::default());
    let (asked, other) = (stranger(1), stranger(2));
    let job = bench.node.start(bench.now, Request::Ping(asked));
    let ping = bench.sent().remove(0).bytes;
    bench.say(other, &pong(&ping));
    assert!(bench.node.poll_event().is_none());
    assert_eq!(bench.node.status().counters.alien, 1);
    bench.now += Duration::from_millis(70);
    bench.say(asked, &pong(&ping));
    let Some(Event::Done {
        job: done,
        outcome: Outcome::Pong(pong),
        ..
    }) = bench.node.poll_event()
    else {
        panic!("no pong");
    };
    assert_eq!((done, pong.rtt), (job, Duration::from_millis(70)));
    // A silent one is given up.
    bench.node.start(bench.now, Request::Ping(other));
    bench.sent();
    bench.pass(Duration::from_secs(1));
    bench.pass(Duration::from_secs(5));
    let event = bench.node.poll_event();
    assert!(
        matches!(
            event,
            Some(Event::Done {
                outcome: Outcome::Silence,
                ..
            })
        ),
        "{event:?}"
    );
}

#[test]
fn the_id_follows_the_address_that_others_see() {
    let mut bench = Bench::new(NodeConfig::default());
    let before = bench.node.id(Family::V4).unwrap();
    let seen = SocketAddr::from(([85, 6, 7, 8], 6881));
    for n in 0..6 {
        let node = SocketAddr::from(([60 + n, 1, 2, 3], 6881));
        bench.node.start(bench.now, Request::Ping(node));
        let ping = bench.sent().remove(0).bytes;
        let message = Message::decode(&ping).unwrap();
        let id = NodeId::random(&mut bench.rng);
        let answer = Message {
            ip: Some(seen),
            body: Body::Response(Response::new(id)),
            ..message
        };
        bench.say(node, &answer.to_bytes());
    }
    let after = bench.node.id(Family::V4).unwrap();
    assert_ne!(before, after);
    assert!(protocol::krpc::secure::is_valid(&after, seen.ip()));
    let status = bench.node.status();
    let side = status.families[0].as_ref().unwrap();
    assert_eq!((side.external, side.nodes), (Some(seen.ip()), 6));
}

#[test]
fn a_job_without_anybody_to_ask_ends_at_once() {
    let mut bench = Bench::new(NodeConfig::default());
    let announce = Some(AnnounceAs {
        port: None,
        seed: false,
    });
    let get = GetPeers {
        announce,
        ..GetPeers::new(HASH)
    };
    let job = bench.node.start(bench.now, Request::GetPeers(get));
    let Some(Event::Done {
        job: done,
        outcome: Outcome::Peers(outcome),
        ..
    }) = bench.node.poll_event()
    else {
        panic!("no end");
    };
    assert_eq!((done, outcome.announced.unwrap().nodes), (job, 0));
    assert_eq!(bench.node.status().jobs, 0);
}

#[test]
fn a_full_table_and_ten_thousand_peers_stay_within_their_bounds() {
    let mut bench = Bench::new(NodeConfig::default());
    let now = bench.now;
    for n in 0..60_000u32 {
        let [a, b, c, d] = (0x0b00_0000 + n * 613).to_be_bytes();
        let peer = SocketAddr::from(([a, b, c, d], 7000));
        let mut hash = [0; 20];
        hash[..2].copy_from_slice(&((n % 500) as u16).to_be_bytes());
        let own = bench.node.id(Family::V4).unwrap();
        bench.node.peers.add(now, &own, InfoHash(hash), peer, false);
        let id = NodeId::random(&mut bench.rng);
        let side = bench.node.side_mut(Family::V4).unwrap();
        side.table.heard(now, id, peer, Duration::from_millis(1));
    }
    let status = bench.node.status();
    assert!(
        status.peers <= 20_000 && status.peers >= 10_000,
        "{status:?}"
    );
    assert!(
        status.families[0].as_ref().unwrap().nodes < 250,
        "{status:?}"
    );
}

#[test]
fn nodes_are_named_in_both_families_when_both_are_wanted() {
    let mut bench = Bench::new(NodeConfig::default());
    bench.fill(0);
    for n in 0..20u16 {
        let addr = SocketAddr::from(([0x2001, 0xdb8, n, 0, 0, 0, 0, 1], 6881));
        let id = NodeId::random(&mut bench.rng);
        let side = bench.node.side_mut(Family::V6).unwrap();
        side.table
            .heard(bench.now, id, addr, Duration::from_millis(1));
    }
    bench.prove(stranger(1));
    let asked = Query {
        id: NodeId([7; 20]),
        read_only: false,
        want: Some(protocol::krpc::Want::BOTH),
        method: Method::FindNode {
            target: NodeId([1; 20]),
        },
    };
    let message = Message {
        transaction: b"aa",
        version: None,
        ip: None,
        body: Body::Query(asked),
    };
    let sent = bench.say(stranger(1), &message.to_bytes());
    let answer = response(&sent);
    assert_eq!(compact::nodes_v4(answer.nodes.unwrap()).count(), 8);
    assert_eq!(compact::nodes_v6(answer.nodes6.unwrap()).count(), 8);
}

#[test]
fn any_datagrams_are_borne() {
    let mut bench = Bench::new(NodeConfig::default());
    bench.fill(10);
    for n in 0..20_000u32 {
        let mut e = Encoder::new();
        e.begin_dict().key(b"t").bytes(&n.to_be_bytes()).key(b"y");
        e.str(["q", "r", "e", "x"][n as usize % 4]).end();
        let mut bytes = e.finish();
        let at = bench.rng.next_u32() as usize % bytes.len();
        bytes[at] = bench.rng.next_u32() as u8;
        bench.say(stranger(n as u8), &bytes);
    }
}

#[test]
fn queries_are_counted_by_kind_and_shown_to_who_watches() {
    let mut bench = Bench::new(NodeConfig::default());
    let asker = stranger(1);
    bench.prove(asker);
    bench.say(asker, &query(get_peers(false), false));
    assert!(bench.node.poll_sight().is_none(), "nobody watches");
    bench.node.watch(true);
    bench.say(asker, &query(get_peers(false), false));
    let announce = |token| {
        Method::AnnouncePeer(Announce {
            info_hash: HASH,
            port: Some(77),
            seed: false,
            token,
        })
    };
    bench.say(asker, &query(announce(b"wrong"), false));
    let token = bench.node.tokens.make(asker.ip());
    bench.say(asker, &query(announce(&token), false));
    // One without its target, and one of a kind that does not exist.
    bench.say(
        asker,
        b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe",
    );
    bench.say(
        asker,
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:pang1:t2:aa1:y1:qe",
    );
    let status = bench.node.status();
    let counters = status.counters;
    let of = |all: [u64; 7], kind: MethodKind| all[kind as usize];
    assert_eq!(of(counters.queries_in_of, MethodKind::GetPeers), 2);
    assert_eq!(of(counters.queries_in_of, MethodKind::AnnouncePeer), 2);
    assert_eq!(of(counters.queries_in_of, MethodKind::Ping), 1);
    assert_eq!(of(counters.queries_out_of, MethodKind::Ping), 1);
    assert_eq!(of(counters.invalid_of, MethodKind::AnnouncePeer), 1);
    assert_eq!(of(counters.invalid_of, MethodKind::FindNode), 1);
    assert_eq!(counters.invalid_of.iter().sum::<u64>(), 2);
    assert_eq!((status.items, status.mutable_items), (0, 0));
    assert_eq!(bench.node.contacts().len(), 1);
    let sights: Vec<Sight> = std::iter::from_fn(|| bench.node.poll_sight()).collect();
    let (from, info_hash) = (asker, HASH);
    assert_eq!(
        sights,
        [
            Sight::Asked { from, info_hash },
            Sight::Announced {
                from,
                info_hash,
                port: 77
            },
        ]
    );
    bench
        .node
        .start(bench.now, Request::GetPeers(GetPeers::new(HASH)));
    let asking = bench.node.poll_sight();
    assert_eq!(
        asking,
        Some(Sight::Asking {
            to: from,
            info_hash
        })
    );
    bench.node.watch(false);
    bench.say(asker, &query(get_peers(false), false));
    assert!(bench.node.poll_sight().is_none());
}

#[test]
fn sights_that_nobody_fetches_are_bounded() {
    let mut bench = Bench::new(NodeConfig::default());
    bench.node.watch(true);
    for n in 0..3 * MAX_SIGHTS {
        bench.node.see(|| Sight::Asked {
            from: stranger((n % 200) as u8),
            info_hash: HASH,
        });
    }
    let sights = std::iter::from_fn(|| bench.node.poll_sight());
    assert_eq!(sights.count(), MAX_SIGHTS);
}
