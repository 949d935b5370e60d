#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::server::{parse_announce_query, parse_scrape_query};
use super::*;
use crate::id::{InfoHash, PeerId};
use crate::testing::{hex, vectors};
use crate::tracker::{Announce, AnnounceEvent, AnnounceReply, RetryIn, ScrapeEntry, TrackerPeer};

const VECTORS: &str = include_str!("../../../tests/vectors/tracker_http.json");

fn number(json: &Json) -> Option<u32> {
    json.as_u64().map(|n| n as u32)
}

fn announce_reply(input: &Json) -> AnnounceReply {
    let seconds = |json: &Json| json.as_u64().map(Duration::from_secs);
    AnnounceReply {
        complete: number(&input["complete"]),
        incomplete: number(&input["incomplete"]),
        interval: seconds(&input["interval"]),
        min_interval: seconds(&input["min_interval"]),
        external_ip: input["external_ip"].as_str().map(|ip| ip.parse().unwrap()),
        peers: input["peers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|peer| {
                let ip: IpAddr = peer["ip"].as_str().unwrap().parse().unwrap();
                let id = peer["peer_id"].as_str().unwrap().as_bytes();
                TrackerPeer {
                    addr: (ip, peer["port"].as_u64().unwrap() as u16).into(),
                    peer_id: Some(PeerId(id.try_into().unwrap())),
                }
            })
            .collect(),
        ..AnnounceReply::default()
    }
}

#[test]
fn every_response_of_the_vectors_is_written_and_read() {
    let vectors = vectors(VECTORS);
    let cases = vectors["responses"].as_array().unwrap();
    assert_eq!(cases.len(), 14);
    for case in cases {
        let (name, input) = (case["name"].as_str().unwrap(), &case["input"]);
        let expected = hex(&case["hex"]);
        if input["peers"].is_array() {
            let mut reply = announce_reply(input);
            let form = match input["mode"].as_str().unwrap() {
                "compact" => PeerForm::Compact,
                "dict" => PeerForm::Dict,
                "dict_no_peer_id" => PeerForm::DictNoPeerId,
                other => panic!("{other}"),
            };
            assert_eq!(encode_announce(&reply, form), expected, "{name}");
            if form != PeerForm::Dict {
                reply.peers.iter_mut().for_each(|peer| peer.peer_id = None);
            }
            assert_eq!(parse_announce(&expected), Ok(reply), "{name}");
        } else if let Some(files) = input["files"].as_array() {
            let files: BTreeMap<InfoHash, ScrapeEntry> = files
                .iter()
                .map(|file| {
                    let entry = ScrapeEntry {
                        complete: number(&file[1]).unwrap(),
                        downloaded: number(&file[2]).unwrap(),
                        incomplete: number(&file[3]).unwrap(),
                    };
                    (file[0].as_str().unwrap().parse().unwrap(), entry)
                })
                .collect();
            assert_eq!(encode_scrape(&files), expected, "{name}");
            assert_eq!(parse_scrape(&expected), Ok(files), "{name}");
        } else {
            let reason = input["failure_reason"].as_str().unwrap();
            let retry_in = if input["retry_in"] == "never" {
                Some(RetryIn::Never)
            } else {
                let minutes = input["retry_in_minutes"].as_u64();
                minutes.map(|n| RetryIn::After(Duration::from_mins(n)))
            };
            assert_eq!(encode_failure(reason, retry_in), expected, "{name}");
            let error = ReplyError::Failure {
                reason: reason.to_owned(),
                retry_in,
            };
            assert_eq!(parse_announce(&expected), Err(error.clone()), "{name}");
            assert_eq!(parse_scrape(&expected), Err(error), "{name}");
        }
    }
}

#[test]
fn every_request_of_the_vectors_is_taken_or_refused_as_ours_should() {
    let vectors = vectors(VECTORS);
    let cases = vectors["requests"].as_array().unwrap();
    assert_eq!(cases.len(), 51);
    for case in cases {
        let (name, ours) = (case["name"].as_str().unwrap(), &case["ours"]);
        let query = case["query"].as_str();
        let result = match case["path"].as_str().unwrap() {
            "/announce" => parse_announce_query(query).map(|_| ()),
            "/scrape" => parse_scrape_query(query).map(|_| ()),
            other => panic!("{other}"),
        };
        assert_eq!(result.is_ok(), ours["ok"].as_bool().unwrap(), "{name}");
        if let Err(error) = result {
            let contains = ours["reason_contains"].as_str().unwrap();
            assert!(error.to_string().contains(contains), "{name}: {error}");
        }
    }
}

/// The query of a case of the vectors.
fn query(name: &str) -> String {
    let vectors = vectors(VECTORS);
    let cases = vectors["requests"].as_array().unwrap();
    let case = cases.iter().find(|case| case["name"] == name).unwrap();
    case["query"].as_str().unwrap().to_owned()
}

#[test]
fn values_of_queries_mean_what_the_notes_say() {
    let get = |name| parse_announce_query(Some(&query(name))).unwrap();
    let lower = get("info_hash lower-case escapes and raw letters");
    let expected = "3b245504cf5f11bbdbe1201cea6a6bf45aee1bc0";
    assert_eq!(lower.announce.info_hash.to_string(), expected);
    assert_eq!(
        get("info_hash with a plus sign byte").announce.info_hash.0[0],
        b'+'
    );
    assert_eq!(get("duplicate parameter").announce.port, 17548);
    assert_eq!(get("minimal").announce.left, None);
    assert_eq!(get("left -1").announce.left, None);
    assert_eq!(get("left empty").announce.left, None);
    assert_eq!(get("event paused").announce.event, AnnounceEvent::Paused);
    assert_eq!(get("event empty").announce.event, AnnounceEvent::None);
    assert_eq!(get("numwant 0").announce.num_want, Some(0));
    assert_eq!(get("numwant -1").announce.num_want, None);
    assert_eq!(get("compact 1").form(), PeerForm::Compact);
    assert_eq!(get("compact empty").form(), PeerForm::Dict);
    assert_eq!(get("minimal").form(), PeerForm::Dict);
    let unknown = get("unknown parameters");
    assert_eq!(unknown.form(), PeerForm::DictNoPeerId);
    assert_eq!(unknown.announce.key, 0xABCD_EF01);
    assert_eq!(unknown.announce.tracker_id.as_deref(), Some(&b"x"[..]));
    let scrape = parse_scrape_query(Some(&query("scrape 75 hashes"))).unwrap();
    assert_eq!(scrape.len(), 74);
}

fn sample() -> Announce {
    Announce {
        uploaded: 1,
        downloaded: 2,
        left: Some(3),
        event: AnnounceEvent::Started,
        key: 0xbeef,
        num_want: Some(50),
        tracker_id: Some(b"a b&".to_vec()),
        ..Announce::new(
            InfoHash(*b"\x00\x01+ %&=?#/aZ09-._~\xff\x80"),
            PeerId([b'-'; 20]),
            6881,
        )
    }
}

#[test]
fn an_announce_url_keeps_what_the_tracker_put_there() {
    let tail = "info_hash=%00%01%2B%20%25%26%3D%3F%23%2FaZ09-._~%FF%80\
        &peer_id=--------------------&port=6881&uploaded=1&downloaded=2&left=3&key=0000BEEF\
        &event=started&numwant=50&compact=1&no_peer_id=1&trackerid=a%20b%26";
    for (tracker, start) in [
        ("http://t.example/announce", "http://t.example/announce?"),
        (
            "https://t.example:8443/PassKey/announce",
            "https://t.example:8443/PassKey/announce?",
        ),
        (
            "http://t.example/announce.php?passkey=a%2Fb",
            "http://t.example/announce.php?passkey=a%2Fb&",
        ),
        ("http://t.example/announce?", "http://t.example/announce?"),
        (
            "http://t.example/announce?a=b&",
            "http://t.example/announce?a=b&",
        ),
        ("http://t.example", "http://t.example/?"),
        ("http://t.example?x=1", "http://t.example/?x=1&"),
        (" HTTP://[::1]:80/a#frag ", "HTTP://[::1]:80/a?"),
    ] {
        let url = announce_url(tracker, &sample()).unwrap();
        assert_eq!(url, format!("{start}{tail}"));
    }
    for bad in [
        "udp://t.example:80/announce",
        "t.example/announce",
        "http:///announce",
        "http://a/\nb",
    ] {
        assert_eq!(announce_url(bad, &sample()), Err(UrlError::NotHttp));
    }
}

#[test]
fn what_is_unknown_is_not_said() {
    let mut announce = Announce::new(InfoHash([b'a'; 20]), PeerId([b'b'; 20]), 1);
    announce.ipv6 = Some("2001:db8::1".parse().unwrap());
    announce.ipv4 = Some([192, 0, 2, 1].into());
    let url = announce_url("http://t/announce", &announce).unwrap();
    assert!(!url.contains("event=") && !url.contains("numwant=") && !url.contains("trackerid="));
    assert!(url.contains("&left=16384&"));
    assert!(url.ends_with("&ipv4=192.0.2.1&ipv6=2001%3Adb8%3A%3A1"));
}

#[test]
fn a_scrape_url_is_made_from_the_announce_url() {
    // The examples of BEP 48, and passkeys.
    for (announce, scrape) in [
        ("http://example.com/announce", "http://example.com/scrape?"),
        (
            "http://example.com/x/announce",
            "http://example.com/x/scrape?",
        ),
        (
            "http://example.com/announce.php",
            "http://example.com/scrape.php?",
        ),
        (
            "http://example.com/announce?x2%0644",
            "http://example.com/scrape?x2%0644&",
        ),
        (
            "http://example.com/announce?x=2/4",
            "http://example.com/scrape?x=2/4&",
        ),
        (
            "http://example.com/k3y/announce",
            "http://example.com/k3y/scrape?",
        ),
    ] {
        let url = scrape_url(announce, &[InfoHash([b'a'; 20]), InfoHash([1; 20])]).unwrap();
        let hashes = format!(
            "info_hash={}&info_hash={}",
            "a".repeat(20),
            "%01".repeat(20)
        );
        assert_eq!(url, format!("{scrape}{hashes}"));
    }
    for none in [
        "http://example.com/a",
        "http://example.com/x%064announce",
        "http://example.com",
    ] {
        assert_eq!(scrape_url(none, &[]), Err(UrlError::NoScrape));
    }
    assert_eq!(scrape_url("udp://x/announce", &[]), Err(UrlError::NotHttp));
}

#[test]
fn a_server_reads_what_the_client_asks() {
    let url = announce_url("http://t/announce?passkey=x", &sample()).unwrap();
    let (_, query) = url.split_once('?').unwrap();
    let got = parse_announce_query(Some(query)).unwrap();
    assert_eq!(got.announce, sample());
    assert_eq!(got.form(), PeerForm::Compact);
    let hashes = [InfoHash([0xfe; 20]), InfoHash([b'%'; 20])];
    let url = scrape_url("http://t/announce", &hashes).unwrap();
    let (_, query) = url.split_once('?').unwrap();
    assert_eq!(parse_scrape_query(Some(query)), Ok(hashes.to_vec()));
}

#[test]
fn replies_in_every_dress_are_read() {
    let reply = parse_announce(
        b"d10:incompletei-1e8:intervali1800e5:peersld2:ip9:host.test4:porti80eed2:ip7:1.2.3.44:porti0ee\
        d2:ip11:bad host/..4:porti1eed2:ip7:1.2.3.47:peer id3:abc4:porti5eed2:ip3:::14:porti99999eei7ee\
        6:peers618:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50\
        10:tracker id2:\xff\x0115:warning message8:slow\x1b[1me",
    )
    .unwrap();
    let addrs: Vec<String> = reply.peers.iter().map(|p| p.addr.to_string()).collect();
    assert_eq!(addrs, ["1.2.3.4:5", "[::1]:80"]);
    assert_eq!(reply.peers[0].peer_id, None);
    assert_eq!(reply.named_peers, [("host.test".to_owned(), 80)]);
    assert_eq!(reply.incomplete, None);
    assert_eq!(reply.tracker_id.as_deref(), Some(&[0xff, 1][..]));
    assert_eq!(reply.warning.as_deref(), Some("slow[1m"));
    // An empty dictionary is a reply, if a useless one.
    assert_eq!(parse_announce(b"de"), Ok(AnnounceReply::default()));
    assert_eq!(
        parse_announce(b"le"),
        Err(ReplyError::Missing("dictionary"))
    );
    assert!(matches!(
        parse_announce(b"<html>"),
        Err(ReplyError::Bencode(_))
    ));
    assert_eq!(parse_scrape(b"de"), Err(ReplyError::Missing("files")));
    let short =
        parse_scrape(b"d5:filesd3:abcde20:aaaaaaaaaaaaaaaaaaaade20:bbbbbbbbbbbbbbbbbbbbi1eee");
    assert_eq!(
        short.unwrap(),
        BTreeMap::from([(InfoHash([b'a'; 20]), ScrapeEntry::default())])
    );
}

#[test]
fn retry_in_is_minutes_never_or_nothing() {
    let retry = |text: &str| {
        let body = format!("d14:failure reason1:x8:retry in{text}e");
        match parse_announce(body.as_bytes()) {
            Err(ReplyError::Failure { retry_in, .. }) => retry_in,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(retry("i5e"), Some(RetryIn::After(Duration::from_mins(5))));
    assert_eq!(retry("2:15"), Some(RetryIn::After(Duration::from_mins(15))));
    assert_eq!(retry("5:never"), Some(RetryIn::Never));
    assert_eq!(retry("i-5e"), None);
    assert_eq!(retry("3:now"), None);
}

proptest! {
    #[test]
    fn any_body_is_borne(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_announce(&body);
        let _ = parse_scrape(&body);
    }

    #[test]
    fn any_query_is_borne(query in "[a-z_&=%0-9A-F+?]{0,200}|\\PC{0,80}") {
        let _ = parse_announce_query(Some(&query));
        let _ = parse_scrape_query(Some(&query));
    }

    #[test]
    fn any_announce_reaches_the_server(
        hash: [u8; 20], id: [u8; 20], port in 1_u16.., up in 0..i64::MAX as u64, key: u32,
        want: Option<u32>,
    ) {
        let announce = Announce {
            uploaded: up,
            left: Some(7),
            key,
            num_want: want,
            ..Announce::new(InfoHash(hash), PeerId(id), port)
        };
        let url = announce_url("http://t/announce", &announce).unwrap();
        prop_assert!(url.is_ascii());
        let got = parse_announce_query(url.split_once('?').map(|(_, query)| query)).unwrap();
        prop_assert_eq!(got.announce, announce);
    }
}
