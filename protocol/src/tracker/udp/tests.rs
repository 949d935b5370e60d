#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::fault::Fault;
use crate::id::PeerId;
use crate::testing::{hex, vectors};
use crate::tracker::{AnnounceEvent, AnnounceReply, TrackerPeer};

const CONNECTION: u64 = 0x1122_3344_5566_7788;
const TRANSACTION: u32 = 0x0102_0304;
const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

fn announce() -> Announce {
    Announce {
        downloaded: 1000,
        left: Some(2000),
        uploaded: 3000,
        event: AnnounceEvent::Started,
        key: 0xdead_beef,
        ..Announce::new(
            HASH.parse().unwrap(),
            PeerId(*b"-XX0001-abcdefghijkl"),
            6881,
        )
    }
}

fn announce_request(url_data: &[u8]) -> Request {
    Request::Announce {
        connection: CONNECTION,
        transaction: TRANSACTION,
        announce: announce(),
        url_data: url_data.to_vec(),
    }
}

/// The datagram of a case of the vectors as a value, and whether ours would write it just so.
fn value(name: &str) -> (Result<Request, Response>, bool) {
    let transaction = TRANSACTION;
    let entry = |complete, downloaded, incomplete| ScrapeEntry {
        complete,
        downloaded,
        incomplete,
    };
    let announced = |peers: &[&str]| Response::Announce {
        transaction,
        interval: 1800,
        leechers: 5,
        seeders: 7,
        peers: peers.iter().map(|p| p.parse().unwrap()).collect(),
    };
    let long = format!("/{}", "x".repeat(299));
    match name {
        "connect request" => (Ok(Request::Connect { transaction }), true),
        "connect response" => (
            Err(Response::Connect {
                transaction,
                connection: CONNECTION,
            }),
            true,
        ),
        "announce request (started, num_want -1)" => (Ok(announce_request(b"")), true),
        "announce request with BEP 41 URLData" => (Ok(announce_request(b"/dir?a=b&c=d")), true),
        "announce request with BEP 41 URLData, 2 NOP, EndOfOptions" => {
            (Ok(announce_request(b"/dir?a=b&c=d")), false)
        }
        "announce request with empty URLData" => (Ok(announce_request(b"")), false),
        "announce request with 300 byte URLData split 255+45" => {
            (Ok(announce_request(long.as_bytes())), true)
        }
        "announce response v4, two peers" => {
            (Err(announced(&["1.2.3.4:6881", "5.6.7.8:80"])), true)
        }
        "announce response v6, one peer (same action, stride 18)" => {
            (Err(announced(&["[2001:db8::1]:6881"])), true)
        }
        "scrape request, two hashes" => (
            Ok(Request::Scrape {
                connection: CONNECTION,
                transaction,
                torrents: vec![HASH.parse().unwrap(), InfoHash([0xaa; 20])],
            }),
            true,
        ),
        "scrape response" => (
            Err(Response::Scrape {
                transaction,
                entries: vec![entry(1, 2, 3), entry(4, 5, 6)],
            }),
            true,
        ),
        "error response" => (
            Err(Response::Error {
                transaction,
                message: "Connection ID missmatch.".into(),
            }),
            false,
        ),
        other => panic!("unknown case {other}"),
    }
}

#[test]
fn every_case_of_the_vectors_agrees() {
    let vectors = vectors(include_str!("../../../tests/vectors/udp_tracker.json"));
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let bytes = hex(&case["hex"]);
        let (expected, exact) = value(name);
        let family = if name.contains("v6") {
            Family::V6
        } else {
            Family::V4
        };
        let encoded = match &expected {
            Ok(request) => {
                assert_eq!(Request::decode(&bytes).as_ref(), Ok(request), "{name}");
                request.encode()
            }
            Err(response) => {
                let got = Response::decode(&bytes, family);
                assert_eq!(got.as_ref(), Ok(response), "{name}");
                response.encode()
            }
        };
        if exact {
            assert_eq!(encoded, bytes, "{name}");
        } else {
            // Needless options and a trailing NUL are read, not written.
            assert!(bytes.starts_with(&encoded), "{name}");
        }
    }
}

#[test]
fn path_and_query_of_the_url_travel_with_the_announce() {
    assert_eq!(
        url_data("udp://tracker.example.com:80/dir?a=b&c=d"),
        b"/dir?a=b&c=d"
    );
    assert_eq!(url_data("udp://tracker.example.com:80"), b"");
    assert_eq!(url_data("udp://[::1]:80/announce#x"), b"/announce");
    assert_eq!(url_data("udp://t:80?key=1"), b"?key=1");
    let endless = format!("udp://t/{}", "x".repeat(10_000));
    assert_eq!(url_data(&endless).len(), 2040);
}

#[test]
fn foreign_and_broken_datagrams_are_refused() {
    let good = announce_request(b"").encode();
    for len in 0..98 {
        let error = Request::decode(&good[..len]).unwrap_err();
        assert_eq!(error, DecodeError::Short { len });
    }
    let mut no_port = good.clone();
    no_port[96..98].fill(0);
    assert_eq!(Request::decode(&no_port), Err(DecodeError::Field("port")));
    let mut event = good.clone();
    event[83] = 9;
    assert_eq!(Request::decode(&event), Err(DecodeError::Field("event")));
    let mut action = good;
    action[11] = 9;
    assert_eq!(Request::decode(&action), Err(DecodeError::Alien));
    // A connect without the magic number.
    assert_eq!(Request::decode(&[0; 16]), Err(DecodeError::Alien));
    assert_eq!(
        Response::decode(&[0, 0, 0, 9, 0, 0, 0, 0], Family::V4),
        Err(DecodeError::Alien)
    );
}

#[test]
fn options_that_are_unknown_or_cut_do_no_harm() {
    assert_eq!(read_options(&[9, 2, b'x', b'y', 2, 1, b'/']), b"/");
    assert_eq!(read_options(&[2, 1, b'/', 2, 5, b'x']), b"/");
    assert_eq!(read_options(&[2, 1, b'/', 2]), b"/");
    assert_eq!(read_options(&[9]), b"");
    assert_eq!(read_options(&[0, 2, 1, b'/']), b"");
    let endless = [&[2, 255][..], &[b'x'; 255]].concat().repeat(15);
    assert_eq!(read_options(&endless).len(), MAX_URL_DATA);
}

#[test]
fn a_scrape_is_cut_to_what_fits() {
    let request = Request::Scrape {
        connection: 1,
        transaction: 2,
        torrents: vec![InfoHash([1; 20]); 100],
    };
    let bytes = request.encode();
    assert_eq!(bytes.len(), 16 + 74 * 20);
    let mut more = bytes;
    more.extend_from_slice(&[1; 25]);
    let Ok(Request::Scrape { torrents, .. }) = Request::decode(&more) else {
        panic!("a scrape");
    };
    assert_eq!(torrents.len(), 74);
}

/// A client's exchange and a clock.
struct Client {
    exchange: Exchange,
    now: Instant,
    rng: StdRng,
}

impl Client {
    fn new(ask: Ask, connection: Option<Connection>) -> Self {
        Self {
            exchange: Exchange::new(ask, Family::V4, Schedule::default(), connection),
            now: Instant::now(),
            rng: StdRng::seed_from_u64(1),
        }
    }

    fn announcing() -> Self {
        Self::new(Ask::Announce(announce(), b"/x".to_vec()), None)
    }

    fn sent(&mut self) -> Option<Request> {
        let datagram = self.exchange.poll_transmit(self.now, &mut self.rng)?;
        Some(Request::decode(&datagram).unwrap())
    }

    fn transaction(&mut self) -> u32 {
        match self.sent().expect("a datagram is due") {
            Request::Connect { transaction }
            | Request::Announce { transaction, .. }
            | Request::Scrape { transaction, .. } => transaction,
        }
    }

    fn got(&mut self, response: &Response) -> Result<Option<Reply>, ExchangeError> {
        self.exchange.handle_datagram(self.now, &response.encode())
    }

    fn connect(&mut self) {
        let transaction = self.transaction();
        let connection = 77;
        let none = self.got(&Response::Connect {
            transaction,
            connection,
        });
        assert_eq!(none, Ok(None));
    }
}

#[test]
fn an_exchange_connects_asks_and_is_answered() {
    let mut client = Client::announcing();
    client.connect();
    let Some(Request::Announce {
        connection: 77,
        transaction,
        announce: told,
        url_data,
    }) = client.sent()
    else {
        panic!("an announce is due");
    };
    assert_eq!((told, &url_data[..]), (announce(), &b"/x"[..]));
    let mut response = Response::Announce {
        transaction: transaction.wrapping_add(1),
        interval: 900,
        leechers: 1,
        seeders: 2,
        peers: vec!["1.2.3.4:5".parse().unwrap(), "1.2.3.4:0".parse().unwrap()],
    };
    assert_eq!(client.got(&response), Ok(None));
    if let Response::Announce { transaction: t, .. } = &mut response {
        *t = transaction;
    }
    let reply = AnnounceReply {
        interval: Some(Duration::from_mins(15)),
        complete: Some(2),
        incomplete: Some(1),
        peers: vec![TrackerPeer::new("1.2.3.4:5".parse().unwrap())],
        ..AnnounceReply::default()
    };
    assert_eq!(client.got(&response), Ok(Some(Reply::Announce(reply))));
    assert!(client.exchange.is_done());
    assert_eq!(client.got(&response), Ok(None));
    assert_eq!(client.exchange.poll_timeout(), None);
    assert_eq!(client.sent(), None);
}

#[test]
fn silence_is_borne_for_15_seconds_doubled_eight_times() {
    let mut client = Client::announcing();
    let mut waits = Vec::new();
    let error = loop {
        assert!(matches!(client.sent(), Some(Request::Connect { .. })));
        assert_eq!(client.sent(), None);
        let (at, reason) = client.exchange.poll_timeout().unwrap();
        assert_eq!(reason, "connect");
        waits.push((at - client.now).as_secs());
        client.now = at.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(client.exchange.handle_timeout(client.now), Ok(()));
        assert_eq!(client.sent(), None);
        client.now = at;
        if let Err(error) = client.exchange.handle_timeout(client.now) {
            break error;
        }
    };
    assert_eq!(waits, [15, 30, 60, 120, 240, 480, 960, 1920, 3840]);
    assert_eq!(error, ExchangeError::TimedOut);
    assert_eq!(error.fault(), Fault::Network);
}

#[test]
fn a_tracker_that_connects_and_never_answers_is_given_up() {
    let mut client = Client::announcing();
    let mut asked = 0;
    let error = loop {
        match client.sent() {
            Some(Request::Connect { transaction }) => {
                let connection = 77;
                let none = client.got(&Response::Connect {
                    transaction,
                    connection,
                });
                assert_eq!(none, Ok(None));
            }
            Some(_) => asked += 1,
            None => {
                client.now = client.exchange.poll_timeout().unwrap().0;
                if let Err(error) = client.exchange.handle_timeout(client.now) {
                    break error;
                }
            }
        }
    };
    assert_eq!((error, asked), (ExchangeError::TimedOut, 9));
}

#[test]
fn a_late_answer_counts() {
    let mut client = Client::announcing();
    let transaction = client.transaction();
    client.now += Duration::from_secs(15);
    client.exchange.handle_timeout(client.now).unwrap();
    assert_eq!(client.transaction(), transaction);
    let connection = 77;
    let connected = Response::Connect {
        transaction,
        connection,
    };
    assert_eq!(client.got(&connected), Ok(None));
    assert!(matches!(client.sent(), Some(Request::Announce { .. })));
}

#[test]
fn a_connection_that_grew_old_is_made_anew() {
    let mut client = Client::announcing();
    client.connect();
    assert!(matches!(client.sent(), Some(Request::Announce { .. })));
    // 15 s and 30 s later the connection is still good, another 60 s later it is not.
    for expected_connect in [false, false, true] {
        client.now = client.exchange.poll_timeout().unwrap().0;
        client.exchange.handle_timeout(client.now).unwrap();
        let request = client.sent().unwrap();
        assert_eq!(matches!(request, Request::Connect { .. }), expected_connect);
    }
}

#[test]
fn a_connection_serves_the_next_exchange_for_a_minute() {
    let mut first = Client::announcing();
    first.connect();
    let connection = first.exchange.connection();
    let mut second = Client::new(Ask::Scrape(vec![InfoHash([1; 20])]), connection);
    second.now = first.now + Duration::from_secs(59);
    let transaction = match second.sent() {
        Some(Request::Scrape {
            transaction,
            connection: 77,
            ..
        }) => transaction,
        other => panic!("{other:?}"),
    };
    let entries = vec![ScrapeEntry::default(); 3];
    let reply = second.got(&Response::Scrape {
        transaction,
        entries: entries.clone(),
    });
    assert_eq!(reply, Ok(Some(Reply::Scrape(entries[..1].to_vec()))));
    let mut third = Client::new(Ask::Scrape(vec![]), connection);
    third.now = first.now + Duration::from_mins(1);
    assert!(matches!(third.sent(), Some(Request::Connect { .. })));
}

#[test]
fn a_forgotten_connection_is_made_anew_once() {
    let mut first = Client::announcing();
    first.connect();
    let connection = first.exchange.connection();
    let mut second = Client::new(Ask::Announce(announce(), vec![]), connection);
    let error = |transaction| Response::Error {
        transaction,
        message: "no".into(),
    };
    let transaction = second.transaction();
    assert_eq!(second.got(&error(transaction)), Ok(None));
    second.connect();
    let transaction = second.transaction();
    let refused = second.got(&error(transaction)).unwrap_err();
    assert_eq!(refused, ExchangeError::Refused("no".into()));
    assert_eq!(refused.fault(), Fault::Peer);
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    let mut client = Client::announcing();
    let transaction = client.transaction();
    let early = Response::Announce {
        transaction,
        interval: 1,
        leechers: 0,
        seeders: 0,
        peers: vec![],
    };
    assert_eq!(client.got(&early), Ok(None));
    let connected = Response::Connect {
        transaction,
        connection: 77,
    };
    assert_eq!(client.got(&connected), Ok(None));
    let transaction = client.transaction();
    let scrape = Response::Scrape {
        transaction,
        entries: vec![],
    };
    assert_eq!(client.got(&scrape), Ok(None));
    assert_eq!(client.got(&connected), Ok(None));
    assert!(!client.exchange.is_done());
}

proptest! {
    #[test]
    fn any_datagram_is_borne(bytes in vec(any::<u8>(), 0..200), action in 0_u32..5) {
        let mut near = bytes.clone();
        if let Some(place) = near.get_mut(8..12) {
            place.copy_from_slice(&action.to_be_bytes());
        }
        for bytes in [&bytes, &near] {
            if let Ok(request) = Request::decode(bytes) {
                prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
            }
        }
        if let Some(place) = near.get_mut(..4) {
            place.copy_from_slice(&action.to_be_bytes());
        }
        for family in [Family::V4, Family::V6] {
            let _ = Response::decode(&bytes, family);
            let _ = Response::decode(&near, family);
        }
    }

    #[test]
    fn an_exchange_bears_any_datagrams(
        datagrams in vec((vec(any::<u8>(), 0..60), 0_u32..4, any::<bool>()), 0..40),
    ) {
        let mut client = Client::announcing();
        let mut transaction = 0;
        for (mut bytes, action, right) in datagrams {
            if let Some(request) = client.exchange.poll_transmit(client.now, &mut client.rng) {
                transaction = u32::from_be_bytes(request[12..16].try_into().unwrap());
            }
            if right && bytes.len() >= 8 {
                bytes[..4].copy_from_slice(&action.to_be_bytes());
                bytes[4..8].copy_from_slice(&transaction.to_be_bytes());
            }
            let done = client.exchange.is_done();
            let result = client.exchange.handle_datagram(client.now, &bytes);
            if done {
                prop_assert_eq!(result, Ok(None));
            } else {
                prop_assert_eq!(client.exchange.is_done(), !matches!(result, Ok(None)));
            }
        }
    }
}
