use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;
use protocol::id::{InfoHash, PeerId};
use protocol::tracker::udp::{Family, MAGIC, Request, Response};
use protocol::tracker::{Announce, AnnounceEvent, MAX_SCRAPE, ScrapeEntry};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::*;
use crate::access::{Access, Listing, Mode};
use crate::clock::Moment;
use crate::policy::Policy;
use crate::swarms::{Picked, SwarmOptions, Swarms};

const HASH: InfoHash = InfoHash([7; 20]);

/// A tracker without sockets.
struct Bench {
    swarms: Swarms,
    access: Access,
    ids: ConnectionIds,
    external_ip: Option<IpAddr>,
    second: u64,
}

impl Bench {
    fn new(mode: Mode) -> Self {
        Self {
            swarms: Swarms::new(SwarmOptions::default()),
            access: Access::new(mode),
            ids: ConnectionIds::new(),
            external_ip: None,
            second: 1000,
        }
    }

    fn raw(&self, datagram: &[u8], from: SocketAddr) -> Result<(Answer, Vec<u8>), Silence> {
        let mut answerer = Answerer {
            swarms: &self.swarms,
            access: &self.access,
            ids: &self.ids,
            policy: Policy::default(),
            external_ip: self.external_ip,
            picked: Picked::default(),
        };
        let mut out = b"before".to_vec();
        let now = Moment::new(self.second, 1_700_000_000 + self.second);
        let mut rng = SmallRng::seed_from_u64(self.second);
        let answer = answerer.answer(datagram, from, now, &mut rng, &mut out);
        let text = out.split_off(6);
        assert_eq!(out, b"before");
        assert!(answer.is_ok() || text.is_empty());
        answer.map(|answer| (answer, text))
    }

    fn ask(&self, request: &Request, from: SocketAddr) -> Option<Response> {
        let (_, text) = self.raw(&request.encode(), from).ok()?;
        Some(Response::decode(&text, Family::of(&from)).unwrap())
    }

    fn connect(&self, from: SocketAddr) -> u64 {
        match self.ask(&Request::Connect { transaction: 1 }, from) {
            Some(Response::Connect {
                transaction: 1,
                connection,
            }) => connection,
            other => panic!("{other:?}"),
        }
    }

    fn announce(&self, from: SocketAddr, announce: Announce) -> Option<Response> {
        let request = Request::Announce {
            connection: self.connect(from),
            transaction: 2,
            announce,
            url_data: Vec::new(),
        };
        self.ask(&request, from)
    }

    fn scrape(&self, from: SocketAddr, torrents: Vec<InfoHash>) -> Option<Response> {
        let request = Request::Scrape {
            connection: self.connect(from),
            transaction: 3,
            torrents,
        };
        self.ask(&request, from)
    }
}

fn v4(last: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, last), 5000).into()
}

fn v6(last: u16) -> SocketAddr {
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), 5000).into()
}

fn announce(port: u16) -> Announce {
    Announce::new(HASH, PeerId([port as u8; 20]), port)
}

fn peers(response: Option<Response>) -> Vec<SocketAddr> {
    match response {
        Some(Response::Announce { peers, .. }) => peers,
        other => panic!("{other:?}"),
    }
}

#[test]
fn peers_meet_and_numbers_are_told() {
    let bench = Bench::new(Mode::default());
    assert_eq!(peers(bench.announce(v4(1), announce(1))), []);
    let seed = Announce {
        left: Some(0),
        ..announce(2)
    };
    let response = bench.announce(v4(2), seed);
    let expected = Response::Announce {
        transaction: 2,
        interval: 1800,
        leechers: 1,
        seeders: 1,
        peers: vec![(Ipv4Addr::new(192, 0, 2, 1), 1).into()],
    };
    assert_eq!(response, Some(expected));
}

#[test]
fn families_are_never_mixed() {
    let bench = Bench::new(Mode::default());
    bench.announce(v4(1), announce(1));
    assert_eq!(peers(bench.announce(v6(2), announce(2))), []);
    assert_eq!(peers(bench.announce(v6(3), announce(3))).len(), 1);
    let mapped = Ipv4Addr::new(192, 0, 2, 9).to_ipv6_mapped();
    let from: SocketAddr = (mapped, 5000).into();
    let request = Request::Announce {
        connection: bench.connect(from),
        transaction: 2,
        announce: announce(9),
        url_data: Vec::new(),
    };
    let (_, text) = bench.raw(&request.encode(), from).unwrap();
    assert_eq!(text.len(), 26, "one of IPv4");
}

#[test]
fn as_many_peers_are_told_as_are_wanted_and_fit() {
    let bench = Bench::new(Mode::default());
    for last in 0..=120 {
        bench.announce(v4(last), announce(1));
        bench.announce(v6(last.into()), announce(1));
    }
    for (num_want, told) in [(None, 74), (Some(0), 0), (Some(5), 5), (Some(1000), 74)] {
        let announce = Announce {
            num_want,
            ..announce(1)
        };
        let response = bench.announce(v4(200), announce);
        assert_eq!(peers(response).len(), told, "{num_want:?}");
    }
    let text = peers(bench.announce(v6(200), announce(1)));
    assert_eq!(text.len(), 67, "1,232 bytes at most");
}

#[test]
fn a_scrape_is_answered_in_its_order_with_doubles() {
    let bench = Bench::new(Mode::default());
    bench.announce(v4(1), announce(1));
    let other = InfoHash([9; 20]);
    let one = ScrapeEntry {
        incomplete: 1,
        ..ScrapeEntry::default()
    };
    let zero = ScrapeEntry::default();
    let response = bench.scrape(v4(2), vec![HASH, other, HASH]);
    let expected = Response::Scrape {
        transaction: 3,
        entries: vec![one, zero, one],
    };
    assert_eq!(response, Some(expected));

    let mut request = Request::Scrape {
        connection: bench.connect(v4(2)),
        transaction: 3,
        torrents: vec![HASH; MAX_SCRAPE],
    }
    .encode();
    for _ in 0..2 {
        let (_, text) = bench.raw(&request, v4(2)).unwrap();
        assert_eq!(text.len(), 8 + 12 * MAX_SCRAPE);
        // A 75th is left out.
        request.extend_from_slice(&HASH.0);
    }
}

#[test]
fn unproven_addresses_hear_nothing() {
    let mut bench = Bench::new(Mode::default());
    let connection = bench.connect(v4(1));
    let request = Request::Announce {
        connection,
        transaction: 2,
        announce: announce(1),
        url_data: Vec::new(),
    }
    .encode();
    assert!(bench.raw(&request, v4(1)).is_ok());
    assert_eq!(bench.raw(&request, v4(2)), Err(Silence::Unproven));
    let mut no_port = v4(1);
    no_port.set_port(0);
    assert_eq!(bench.raw(&request, no_port), Err(Silence::NoPort));
    let scrape = Request::Scrape {
        connection: connection ^ 1,
        transaction: 2,
        torrents: vec![HASH],
    };
    assert_eq!(bench.ask(&scrape, v4(1)), None);
    bench.second += 121;
    assert_eq!(bench.raw(&request, v4(1)), Err(Silence::Unproven));
    bench.second = 3;
    assert_eq!(bench.raw(&request, v4(1)), Err(Silence::Unproven));
}

#[test]
fn what_stops_goes_and_hears_of_nobody() {
    let bench = Bench::new(Mode::default());
    bench.announce(v4(1), announce(1));
    bench.announce(v4(2), announce(2));
    let stopped = Announce {
        event: AnnounceEvent::Stopped,
        ..announce(2)
    };
    assert_eq!(peers(bench.announce(v4(2), stopped)), []);
    assert_eq!(bench.swarms.scrape(&HASH).incomplete, 1);
}

#[test]
fn loopback_stands_for_the_external_address() {
    let mut bench = Bench::new(Mode::default());
    bench.external_ip = Some(Ipv4Addr::new(203, 0, 113, 5).into());
    bench.announce((Ipv4Addr::LOCALHOST, 5000).into(), announce(1));
    bench.announce((Ipv6Addr::LOCALHOST, 5000).into(), announce(1));
    let told = peers(bench.announce(v4(1), announce(2)));
    assert_eq!(told, [(Ipv4Addr::new(203, 0, 113, 5), 1).into()]);
    let told = peers(bench.announce(v6(1), announce(2)));
    assert_eq!(told, [(Ipv6Addr::LOCALHOST, 1).into()]);
}

#[test]
fn what_is_not_on_the_list_is_refused_and_shown_as_nothing() {
    let mode = Mode {
        listing: Listing::Allow,
        ..Mode::default()
    };
    let bench = Bench::new(mode);
    match bench.announce(v4(1), announce(1)) {
        Some(Response::Error {
            transaction: 2,
            message,
        }) => assert!(message.ends_with("is not whitelisted"), "{message}"),
        other => panic!("{other:?}"),
    }
    bench.access.list(HASH);
    bench.announce(v4(1), announce(1)).unwrap();
    bench.access.unlist(&HASH);
    let entries = vec![ScrapeEntry::default()];
    let expected = Response::Scrape {
        transaction: 3,
        entries,
    };
    assert_eq!(bench.scrape(v4(1), vec![HASH]), Some(expected));
}

#[test]
fn a_private_tracker_takes_the_key_out_of_the_path() {
    let mode = Mode {
        private: true,
        ..Mode::default()
    };
    let bench = Bench::new(mode);
    let key = "YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ";
    bench.access.add_key(key.parse().unwrap(), None);
    for (path, served) in [
        (String::new(), false),
        ("/announce".into(), false),
        (format!("/announce/{key}"), true),
        (format!("/announce/{key}?a=b"), true),
        (format!("/announce/x{}", &key[1..]), false),
    ] {
        let request = Request::Announce {
            connection: bench.connect(v4(1)),
            transaction: 2,
            announce: announce(1),
            url_data: path.clone().into_bytes(),
        };
        let answer = bench.raw(&request.encode(), v4(1)).unwrap().0;
        let expected = if served {
            Answer::Announce
        } else {
            Answer::Refusal
        };
        assert_eq!(answer, expected, "{path}");
    }
}

proptest! {
    #[test]
    fn nobody_gets_more_than_came_before_the_address_is_proven(
        mut datagram in proptest::collection::vec(any::<u8>(), 0..200),
        action in proptest::option::of(0..5_u32),
        magic in any::<bool>(),
    ) {
        if let Some(action) = action && datagram.len() >= 16 {
            datagram[8..12].copy_from_slice(&action.to_be_bytes());
            if magic {
                datagram[..8].copy_from_slice(&MAGIC.to_be_bytes());
            }
        }
        let bench = Bench::new(Mode::default());
        if let Ok((answer, text)) = bench.raw(&datagram, v4(1)) {
            prop_assert_eq!(answer, Answer::Connect);
            prop_assert!(text.len() <= datagram.len());
        }
    }
}
