use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use proptest::prelude::*;
use protocol::tracker::http::{PeerForm, encode_announce};
use protocol::tracker::{AnnounceReply, TrackerPeer};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::*;
use crate::access::{Listing, Mode};
use crate::clock::Moment;
use crate::core::Core;
use crate::policy::Policy;
use crate::swarms::{Counts, Keep, Picked, Standing, SwarmOptions};

const HASH: &str = "%3B%24U%04%CF%5F%11%BB%DB%E1%20%1C%EAjk%F4Z%EE%1B%C0";
const HEX: &str = "3b245504cf5f11bbdbe1201cea6a6bf45aee1bc0";

struct Bench {
    core: Arc<Core>,
    rules: HttpRules,
}

impl Bench {
    fn new(mode: Mode, rules: HttpRules) -> Self {
        let keep = Keep {
            ids: true,
            ..Keep::default()
        };
        let options = SwarmOptions {
            keep,
            ..SwarmOptions::default()
        };
        let policy = Policy {
            interval: 120,
            min_interval: 120,
            ..Policy::default()
        };
        Self {
            core: Arc::new(Core::new(options, mode, policy, None)),
            rules,
        }
    }

    /// Head and body of the answer to a whole request.
    fn whole(&self, request: &str, from: IpAddr) -> (String, Vec<u8>) {
        let head = read_head(request.as_bytes()).unwrap().unwrap();
        let mut answerer = HttpAnswerer::new(Arc::clone(&self.core), self.rules);
        let mut out = Vec::new();
        let mut rng = SmallRng::seed_from_u64(1);
        let now = Moment::new(5, 1_700_000_005);
        answerer.answer(&head, Who(from), now, &mut rng, &mut out);
        let end = out.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let body = out.split_off(end);
        let head = String::from_utf8(out).unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        (head, body)
    }

    fn get(&self, target: &str, from: u8) -> String {
        let from = Ipv4Addr::new(192, 0, 2, from).into();
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        let (head, body) = self.whole(&request, from);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        String::from_utf8_lossy(&body).into_owned()
    }

    fn announce(&self, more: &str, from: u8) -> String {
        let id = format!("-qB000000000000000{from:02}");
        let target = format!("/announce?info_hash={HASH}&peer_id={id}&port=17548{more}");
        self.get(&target, from)
    }
}

fn open() -> Bench {
    Bench::new(Mode::default(), HttpRules::default())
}

#[test]
fn the_first_seeder_meets_nobody() {
    let body = open().announce("&left=0&event=started", 1);
    let expected = "d8:completei1e10:incompletei0e8:intervali120e12:min intervali120e5:peerslee";
    assert_eq!(body, expected);
    let body = open().announce("&left=0&compact=1", 1);
    let expected =
        "d8:completei1e10:incompletei0e8:intervali120e12:min intervali120e5:peers0:6:peers60:e";
    assert_eq!(body, expected);
}

#[test]
fn lists_are_dictionaries_unless_compact_ones_are_asked_for() {
    let bench = open();
    bench.announce("&left=0", 1);
    let body = bench.announce("&left=7", 2);
    let expected = "d8:completei1e10:incompletei1e8:intervali120e12:min intervali120e5:peersl\
        d2:ip9:192.0.2.17:peer id20:-qB000000000000000014:porti17548eeee";
    assert_eq!(body, expected);
    let body = bench.announce("&left=7&no_peer_id=1", 2);
    assert!(
        body.ends_with("5:peersld2:ip9:192.0.2.14:porti17548eeee"),
        "{body}"
    );
    let body = bench.announce("&left=7&numwant=0", 2);
    assert!(body.ends_with("5:peerslee"), "{body}");
}

#[test]
fn both_samples_of_the_specification_are_written_to_the_byte() {
    let mut picked = Picked::default();
    picked.v4.push([105, 105, 105, 105, 0x70, 0x70]);
    picked.v4_ids.push(*b"-qB00000000000000001");
    let mut v6 = [0x69; 18];
    v6[16..].copy_from_slice(&[0x70, 0x70]);
    picked.v6.push(v6);
    picked.v6_ids.push(*b"-qB00000000000000002");
    let counts = Counts {
        seeders: 333,
        leechers: 444,
        partial: 0,
    };
    let standing = Standing {
        counts,
        ..Standing::default()
    };
    let policy = Policy {
        interval: 111,
        min_interval: 222,
        ..Policy::default()
    };
    for (form, expected) in [
        (
            PeerForm::Dict,
            "d8:completei333e10:incompletei444e8:intervali111e12:min intervali222e5:peersld2:ip15:105.105.105.1057:peer id20:-qB000000000000000014:porti28784eed2:ip39:6969:6969:6969:6969:6969:6969:6969:69697:peer id20:-qB000000000000000024:porti28784eeee",
        ),
        (
            PeerForm::Compact,
            "d8:completei333e10:incompletei444e8:intervali111e12:min intervali222e5:peers6:iiiipp6:peers618:iiiiiiiiiiiiiiiippe",
        ),
    ] {
        let mut out = Vec::new();
        reply::announce(&mut out, &policy, &standing, &picked, form, None);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn scrapes_are_sorted_and_show_zeros_for_what_is_not_known() {
    let bench = open();
    bench.announce("&left=7", 1);
    bench.announce("&left=0", 2);
    let other = "i".repeat(20);
    let target = format!("/scrape?info_hash={other}&info_hash={HASH}&info_hash={other}");
    let (_, body) = bench.whole(
        &format!("GET {target} HTTP/1.1\r\n\r\n"),
        Ipv4Addr::LOCALHOST.into(),
    );
    let mut expected = b"d5:filesd20:".to_vec();
    expected.extend((0..20).map(|at| u8::from_str_radix(&HEX[2 * at..2 * at + 2], 16).unwrap()));
    expected.extend_from_slice(b"d8:completei1e10:downloadedi0e10:incompletei1ee20:");
    expected.extend_from_slice(other.as_bytes());
    expected.extend_from_slice(b"d8:completei0e10:downloadedi0e10:incompletei0eeee");
    assert_eq!(body, expected);
}

#[test]
fn what_cannot_be_read_is_refused_in_words() {
    let bench = open();
    for (target, words) in [
        ("/announce", "missing query params for announce request"),
        ("/scrape", "missing query params for scrape request"),
        ("/announce?a=b", "missing param info_hash"),
        (
            "/announce?info_hash=x",
            "invalid param value x for info_hash",
        ),
    ] {
        let body = bench.get(target, 1);
        assert!(body.starts_with("d14:failure reason"), "{body}");
        assert!(body.contains(words), "{body}");
    }
    assert_eq!(bench.core.swarms.totals().torrents, 0);
}

#[test]
fn other_paths_and_methods_have_a_status_of_their_own() {
    let bench = open();
    let ip = Ipv4Addr::LOCALHOST.into();
    for (line, status) in [
        ("GET / HTTP/1.1", "404"),
        ("GET /announcement HTTP/1.1", "404"),
        ("POST /announce HTTP/1.1", "405"),
        ("GET /health_check HTTP/1.0", "200"),
        ("GET http://tracker/health_check HTTP/1.1", "200"),
    ] {
        let (head, _) = bench.whole(&format!("{line}\r\n\r\n"), ip);
        assert_eq!(head.split(' ').nth(1), Some(status), "{line}: {head}");
    }
    let (head, body) = bench.whole(
        "GET /health_check HTTP/1.1\r\nx-request-id: abc\r\n\r\n",
        ip,
    );
    assert_eq!(body, br#"{"status":"Ok"}"#);
    assert!(head.contains("x-request-id: abc\r\n"), "{head}");
}

#[test]
fn keys_lists_and_proxies_decide_in_this_order() {
    let mode = Mode {
        listing: Listing::Allow,
        private: true,
        keys_expire: true,
    };
    let rules = HttpRules {
        behind_proxy: true,
        ..HttpRules::default()
    };
    let bench = Bench::new(mode, rules);
    let key = "YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ";
    let query = format!("info_hash={HASH}&peer_id=-qB00000000000000001&port=1&left=1");
    let get = |path: &str, forwarded: &str| {
        let request = format!("GET {path}?{query} HTTP/1.1\r\n{forwarded}\r\n");
        let (_, body) = bench.whole(&request, Ipv4Addr::LOCALHOST.into());
        String::from_utf8_lossy(&body).into_owned()
    };
    let with_key = format!("/announce/{key}");
    assert!(get("/announce", "").contains("Missing authentication key"));
    assert!(get("/announce/short", "").contains("Invalid format for authentication key"));
    let unknown = get(&with_key, "");
    assert!(
        unknown.contains("is not known") && !unknown.contains(key),
        "{unknown}"
    );
    bench.core.access.add_key(key.parse().unwrap(), None);
    assert!(get(&with_key, "").contains(&format!("The torrent: {HEX}, is not whitelisted")));
    bench.core.access.list(HEX.parse().unwrap());
    assert!(get(&with_key, "").contains("missing or invalid the right most X-Forwarded-For IP"));
    for bad in ["1.2.3.4:5678", "[::1]", "x", ""] {
        let answer = get(&with_key, &format!("X-Forwarded-For: 1.1.1.1, {bad}\r\n"));
        assert!(
            answer.contains("missing or invalid the right most"),
            "{bad}"
        );
    }
    let two = "X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2, 2001:db8::7\r\n";
    assert!(get(&with_key, two).starts_with("d8:complete"));
    let peers = bench.core.swarms.peers(&HEX.parse().unwrap(), 9);
    let ip: IpAddr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).into();
    assert_eq!(peers[0].addr, (ip, 1).into());
    // A scrape without a good key shows nothing.
    let zeros = "d8:completei0e10:downloadedi0e10:incompletei0e";
    assert!(get("/scrape", "").contains(zeros));
    assert!(get("/scrape/short", "").contains("Invalid format"));
    assert!(!get(&format!("/scrape/{key}"), "").contains(zeros));
}

#[test]
fn who_does_not_say_what_is_left_has_it_or_not_as_is_wished() {
    for (absent_left_is_none, seeders) in [(false, 0), (true, 1)] {
        let rules = HttpRules {
            absent_left_is_none,
            ..HttpRules::default()
        };
        let bench = Bench::new(Mode::default(), rules);
        bench.announce("", 1);
        bench.announce("&left=-1", 2);
        let entry = bench.core.swarms.scrape(&HEX.parse().unwrap());
        assert_eq!((entry.complete, entry.incomplete), (seeders, 2 - seeders));
    }
}

#[test]
fn clients_are_told_their_address_where_that_is_wished() {
    let rules = HttpRules {
        external_ip: true,
        compact: true,
        ..HttpRules::default()
    };
    let bench = Bench::new(Mode::default(), rules);
    let policy = Policy {
        tells_completed: true,
        ..Policy::default()
    };
    bench.core.policy.store(Arc::new(policy));
    bench.announce("&left=1&event=paused", 2);
    let (_, body) = bench.whole(
        &format!("GET /announce?info_hash={HASH}&peer_id=-qB00000000000000001&port=1&left=1 HTTP/1.1\r\n\r\n"),
        Ipv4Addr::new(1, 2, 3, 4).into(),
    );
    let expected = b"d8:completei0e10:downloadedi0e11:downloadersi1e11:external ip4:\x01\x02\x03\x0410:incompletei2e8:intervali1800e12:min intervali900e5:peers6:";
    assert_eq!(&body[..expected.len()], expected);
}

#[test]
fn heads_are_bounded_and_read_piece_by_piece() {
    let request = b"GET /announce?a=b HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.0\r\n\r\n";
    let len = 39;
    for cut in 0..len {
        assert_eq!(read_head(&request[..cut]), Ok(None), "{cut}");
    }
    let head = read_head(request).unwrap().unwrap();
    assert_eq!(
        (head.path, head.query, head.len),
        ("/announce", Some("a=b"), len)
    );
    assert!(head.keep_alive);
    assert!(!read_head(&request[len..]).unwrap().unwrap().keep_alive);
    for (connection, keep_alive) in [("close", false), ("Keep-Alive, upgrade", true)] {
        let request = format!("GET / HTTP/1.0\r\nConnection: {connection}\r\n\r\n");
        let head = read_head(request.as_bytes()).unwrap().unwrap();
        assert_eq!(head.keep_alive, keep_alive);
    }
    let body = b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    assert!(!read_head(body).unwrap().unwrap().keep_alive);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_HEAD));
    assert_eq!(read_head(long.as_bytes()), Err(HeadError::TooLarge));
    assert_eq!(
        read_head(&long.as_bytes()[..MAX_HEAD]),
        Err(HeadError::TooLarge)
    );
    let lines = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
    assert_eq!(read_head(lines.as_bytes()), Err(HeadError::TooLarge));
    assert_eq!(read_head(b"\x16\x03\x01\x02"), Err(HeadError::Malformed));
}

proptest! {
    #[test]
    fn replies_are_those_of_the_protocol(
        v4 in proptest::collection::vec(any::<([u8; 6], [u8; 20])>(), 0..5),
        v6 in proptest::collection::vec(any::<([u8; 16], u16, [u8; 20])>(), 0..5),
        seeders in any::<u32>(),
        leechers in any::<u32>(),
    ) {
        let mut picked = Picked::default();
        let mut peers = Vec::new();
        for ([a, b, c, d, high, low], id) in v4 {
            picked.v4.push([a, b, c, d, high, low]);
            picked.v4_ids.push(id);
            let addr = (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into();
            peers.push(TrackerPeer { addr, peer_id: Some(protocol::id::PeerId(id)) });
        }
        for (ip, port, id) in v6 {
            let mut addr = [0; 18];
            addr[..16].copy_from_slice(&ip);
            addr[16..].copy_from_slice(&port.to_be_bytes());
            picked.v6.push(addr);
            picked.v6_ids.push(id);
            let addr = (Ipv6Addr::from(ip), port).into();
            peers.push(TrackerPeer { addr, peer_id: Some(protocol::id::PeerId(id)) });
        }
        let policy = Policy::default();
        let standing = Standing {
            counts: Counts { seeders, leechers, partial: 0 },
            ..Standing::default()
        };
        let expected = AnnounceReply {
            interval: Some(std::time::Duration::from_secs(policy.interval.into())),
            min_interval: Some(std::time::Duration::from_secs(policy.min_interval.into())),
            complete: Some(seeders),
            incomplete: Some(leechers),
            peers,
            ..AnnounceReply::default()
        };
        for form in [PeerForm::Compact, PeerForm::Dict, PeerForm::DictNoPeerId] {
            let mut out = Vec::new();
            reply::announce(&mut out, &policy, &standing, &picked, form, None);
            prop_assert_eq!(out, encode_announce(&expected, form));
        }
    }

    #[test]
    fn anything_is_answered_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        query in "[a-z_%0-9=&+?]{0,80}",
    ) {
        let _ = read_head(&bytes);
        let bench = open();
        bench.get(&format!("/announce?{query}"), 1);
        bench.get(&format!("/scrape?{query}"), 1);
    }
}
