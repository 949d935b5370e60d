#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::item::MutableItem;
use super::*;
use crate::id::InfoHash;
use crate::testing::{hex, vectors};

const QUERIER: NodeId = NodeId(*b"abcdefghij0123456789");
const TARGET: NodeId = NodeId(*b"mnopqrstuvwxyz123456");

fn query(method: Method<'_>) -> Query<'_> {
    Query {
        id: QUERIER,
        read_only: false,
        want: None,
        method,
    }
}

fn message(body: Body<'_>) -> Message<'_> {
    Message {
        transaction: b"aa",
        version: None,
        ip: None,
        body,
    }
}

/// What each case of the vectors means, by its name.
fn meaning(name: &str) -> Message<'static> {
    const PEERS: &[SocketAddr] = &[
        SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(97, 120, 106, 101)),
            11893,
        ),
        SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(105, 100, 104, 116)),
            28269,
        ),
    ];
    let info_hash = InfoHash::from(TARGET);
    let get_peers = |noseed, scrape| Method::GetPeers {
        info_hash,
        noseed,
        scrape,
    };
    let body = match name {
        "ping query" => Body::Query(query(Method::Ping)),
        "ping response" => Body::Response(Response::new(TARGET)),
        "find_node query" => Body::Query(query(Method::FindNode { target: TARGET })),
        "find_node response" => Body::Response(Response {
            nodes: Some(b"def456..."),
            ..Response::new(NodeId(*b"0123456789abcdefghij"))
        }),
        "get_peers query" => Body::Query(query(get_peers(false, false))),
        "get_peers response with values" => Body::Response(Response {
            token: Some(b"aoeusnth"),
            values: Values::from(PEERS),
            ..Response::new(QUERIER)
        }),
        "announce_peer query (implied port)" => {
            Body::Query(query(Method::AnnouncePeer(Announce {
                info_hash,
                port: None,
                seed: false,
                token: b"aoeusnth",
            })))
        }
        "error" => Body::Error(Failure::new(ErrorCode::Generic, "A Generic Error Ocurred")),
        "read-only query (BEP 43)" => Body::Query(Query {
            read_only: true,
            ..query(Method::Ping)
        }),
        "get_peers with want and scrape (BEP 32, 33)" => Body::Query(Query {
            want: Some(Want::BOTH),
            ..query(get_peers(true, true))
        }),
        "sample_infohashes query (BEP 51)" => {
            Body::Query(query(Method::SampleInfohashes { target: TARGET }))
        }
        "get query (BEP 44)" => Body::Query(query(Method::Get {
            target: TARGET,
            seq: None,
        })),
        other => panic!("unknown case {other}"),
    };
    message(body)
}

#[test]
fn every_case_of_the_vectors_reads_and_is_written_as_it_stands() {
    let vectors = vectors(include_str!("../../tests/vectors/dht_krpc.json"));
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let bytes = hex(&case["hex"]);
        let expected = meaning(name);
        assert_eq!(Message::decode(&bytes), Ok(expected), "{name}");
        // The announce of BEP 5 names a port that nobody is to read.
        if name != "announce_peer query (implied port)" {
            assert_eq!(expected.to_bytes(), bytes, "{name}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_query_is_said_and_everything_else_is_dropped() {
    let answered = |bytes: &[u8]| match Message::decode(bytes) {
        Err(DecodeError::Query {
            transaction, code, ..
        }) => Some((transaction.to_vec(), code.number())),
        Err(_) => None,
        Ok(message) => panic!("{message:?}"),
    };
    let refused = |code| Some((b"aa".to_vec(), code));
    assert_eq!(
        answered(b"d1:ad2:id20:abcdefghij0123456789e1:q4:pang1:t2:aa1:y1:qe"),
        refused(204)
    );
    assert_eq!(
        answered(b"d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe"),
        refused(203)
    );
    assert_eq!(answered(b"d1:q4:ping1:t2:aa1:y1:qe"), refused(203));
    assert_eq!(
        answered(b"d1:ad2:id20:abcdefghij0123456789e1:t2:aa1:y1:qe"),
        refused(203)
    );
    assert_eq!(
        answered(b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe"),
        refused(203)
    );
    let port_0 = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti0e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe";
    assert_eq!(answered(port_0), refused(203));
    for dropped in [
        &b""[..],
        b"x",
        b"i1e",
        b"d1:y1:qe",
        b"d1:t2:aa1:y1:re",
        b"d1:rd2:id3:abce1:t2:aa1:y1:re",
        b"d1:t2:aa1:y1:xe",
        b"d1:t33:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1:y1:ee",
    ] {
        assert_eq!(answered(dropped), None, "{}", dropped.escape_ascii());
    }
}

#[test]
fn distances_order_ids_and_measure_the_space() {
    let zero = NodeId([0; 20]);
    let mut half = zero;
    half.0[0] = 0x80;
    assert_eq!(zero.shared_bits(&zero), 160);
    assert_eq!(zero.shared_bits(&half), 0);
    assert!((zero.distance(&half).fraction() - 0.5).abs() < 1e-12);
    assert!((Distance::MAX.fraction() - 1.0).abs() < 1e-12);
    let mut near = zero;
    near.0[19] = 1;
    assert_eq!(zero.shared_bits(&near), 159);
    assert!((zero.distance(&near).fraction() * 2f64.powi(160) - 1.0).abs() < 1e-6);
    assert!(zero.distance(&near) < zero.distance(&half));
}

#[test]
fn values_without_an_address_are_none_and_are_not_written() {
    let datagram = b"d1:rd2:id20:abcdefghij01234567896:valuesl7:1234567ee1:t2:aa1:y1:re";
    let message = Message::decode(datagram).unwrap();
    let Body::Response(response) = &message.body else {
        panic!("{message:?}");
    };
    assert!(response.values.is_empty());
    let bytes = message.to_bytes();
    assert_eq!(Message::decode(&bytes).unwrap().to_bytes(), bytes);
}

proptest! {
    #[test]
    fn a_random_id_shares_exactly_as_many_bits_as_asked(seed in any::<u64>(), bits in 0u32..=160) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let own = NodeId::random(&mut rng);
        prop_assert_eq!(own.random_sharing(bits, &mut rng).shared_bits(&own), bits);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Message::decode(&bytes);
    }

    #[test]
    fn a_query_comes_back_as_it_was_written(
        id in any::<[u8; 20]>(),
        read_only in any::<bool>(),
        want in option::of((any::<bool>(), any::<bool>())),
        kind in 0..9,
        target in any::<[u8; 20]>(),
        (first, second) in any::<(bool, bool)>(),
        port in 1..=u16::MAX,
        seq in any::<i64>(),
        token in vec(any::<u8>(), 0..20),
        salt in vec(any::<u8>(), 0..=64),
        transaction in vec(any::<u8>(), 0..=MAX_TRANSACTION),
    ) {
        let (key, signature) = ([7; 32], [8; 64]);
        let info_hash = InfoHash(target);
        let target = NodeId(target);
        let port = first.then_some(port);
        let (token, salt) = (&token[..], &salt[..]);
        let item = MutableItem { key: &key, salt, seq, value: b"l1:ai-5ee", signature: &signature };
        let method = match kind {
            0 => Method::Ping,
            1 => Method::FindNode { target },
            2 => Method::SampleInfohashes { target },
            3 => Method::GetPeers { info_hash, noseed: first, scrape: second },
            4 => Method::AnnouncePeer(Announce { info_hash, port, seed: second, token }),
            5 => Method::Get { target, seq: first.then_some(seq) },
            6 => Method::Put(Put::Immutable { token, value: b"d1:a0:e" }),
            _ => Method::Put(Put::Mutable { token, cas: first.then_some(seq), item }),
        };
        let want = want.map(|(v4, v6)| Want { v4, v6 });
        let query = Query { id: NodeId(id), read_only, want, method };
        let message = Message {
            transaction: &transaction,
            version: first.then_some(b"RU01"),
            ip: None,
            body: Body::Query(query),
        };
        let bytes = message.to_bytes();
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
    }

    #[test]
    fn a_response_comes_back_as_it_was_written(
        id in any::<[u8; 20]>(),
        nodes in option::of(vec(any::<u8>(), 0..100)),
        nodes6 in option::of(vec(any::<u8>(), 0..100)),
        token in option::of(vec(any::<u8>(), 0..20)),
        peers in vec(any::<SocketAddr>(), 0..20),
        filters in any::<bool>(),
        item in option::of(any::<i64>()),
        sample in option::of((any::<u32>(), any::<u32>(), vec(any::<u8>(), 0..60))),
        ip in option::of(any::<SocketAddr>()),
    ) {
        // Addresses travel without flow and scope, and IPv4 without its IPv6 clothes.
        let plain = |addr: SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let peers: Vec<_> = peers.into_iter().map(plain).collect();
        let filter = [3; BLOOM_LEN];
        let response = Response {
            nodes: nodes.as_deref(),
            nodes6: nodes6.as_deref(),
            token: token.as_deref(),
            values: Values::from(&peers[..]),
            seeds: filters.then_some(&filter),
            leechers: filters.then_some(&filter),
            value: item.map(|_| &b"5:value"[..]),
            key: item.map(|_| &[1; 32]),
            signature: item.map(|_| &[2; 64]),
            seq: item,
            sample: sample.as_ref().map(|(interval, total, hashes)| Sample {
                interval: *interval,
                total: *total,
                hashes,
            }),
            ..Response::new(NodeId(id))
        };
        let message = Message {
            transaction: b"t",
            version: None,
            ip: ip.map(plain),
            body: Body::Response(response),
        };
        let bytes = message.to_bytes();
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
    }
}
