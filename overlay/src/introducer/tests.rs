use std::net::SocketAddrV4;

use super::*;
use crate::introduction::{PunctureRequest, Response};
use crate::packet::{Packet, PacketError, plain};
use crate::testing::{from_hex, hex, list, text, vectors};

/// Members at their addresses, and the datagrams that are on their way.
struct Scene {
    now: Instant,
    members: Vec<(SocketAddrV4, Introducer)>,
    sent: Vec<(SocketAddrV4, Transmit)>,
}

impl Scene {
    fn new(members: Vec<(SocketAddrV4, Introducer)>) -> Self {
        Self {
            now: Instant::now(),
            members,
            sent: Vec::new(),
        }
    }

    /// Delivers until nothing is on its way; returns what was sent, in order.
    fn run(&mut self) -> Vec<(SocketAddrV4, Transmit)> {
        let mut all = Vec::new();
        loop {
            for (addr, member) in &mut self.members {
                while let Some(transmit) = member.poll_transmit() {
                    self.sent.push((*addr, transmit));
                }
            }
            if self.sent.is_empty() {
                return all;
            }
            for (from, transmit) in std::mem::take(&mut self.sent) {
                let there = self
                    .members
                    .iter_mut()
                    .find(|(addr, _)| *addr == transmit.to);
                if let Some((_, member)) = there {
                    let packet = Packet::parse(&transmit.bytes).unwrap();
                    assert_eq!(member.handle_packet(self.now, from, &packet), Ok(true));
                }
                all.push((from, transmit));
            }
        }
    }
}

fn settings(key: SecretKey, lan: SocketAddrV4) -> Settings {
    let mut settings = Settings::new(key, CommunityId([7; 20]));
    settings.lan = lan;
    settings
}

fn member(seed: u64, addr: SocketAddrV4) -> Introducer {
    let mut rng = StdRng::seed_from_u64(seed);
    Introducer::new(settings(SecretKey::generate(&mut rng), addr), &mut rng)
}

fn at(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new([51, 1, 1, last].into(), 7000 + u16::from(last))
}

/// Three real members that meet: what ours send is theirs to the byte, in whichever order datagrams leave in one breath.
#[test]
fn a_recorded_walk_of_three_members_is_made_again_byte_for_byte() {
    let vectors = vectors(include_str!("../../tests/vectors/transcript_walk.json"));
    let id = from_hex(text(&vectors["community_id"])).try_into().unwrap();
    let mut scene = Scene::new(Vec::new());
    let mut addrs = Vec::new();
    for node in list(&vectors["nodes"]) {
        let addr: SocketAddrV4 = text(&node["address"]).parse().unwrap();
        let key = SecretKey::from_bytes(&hex(&node["private_bin"])).unwrap();
        let mut settings = Settings::new(key, CommunityId(id));
        settings.lan = text(&node["lan"]).parse().unwrap();
        let mut member = Introducer::new(settings, &mut StdRng::seed_from_u64(1));
        member.wan = addr;
        scene.members.push((addr, member));
        addrs.push(addr);
    }
    let recorded: Vec<(SocketAddrV4, SocketAddrV4, Vec<u8>)> = list(&vectors["events"])
        .iter()
        .filter(|event| event["event"] == "send")
        .map(|event| {
            let addr = |name: &str| text(&event[name]).parse().unwrap();
            (addr("src"), addr("dst"), hex(&event["packet"]))
        })
        .collect();
    let now = scene.now;
    let mut made = Vec::new();
    for (walker, to) in [(2, 1), (0, 1), (0, 2)] {
        scene.members[walker].1.walk_to(now, addrs[to]);
        let step = scene.run();
        made.extend(
            step.into_iter()
                .map(|(from, sent)| (from, sent.to, sent.bytes)),
        );
    }
    assert_eq!(made, recorded);
    for ((_, member), node) in scene.members.iter().zip(list(&vectors["nodes"])) {
        let mids: Vec<String> = member
            .peers()
            .iter()
            .map(|peer| peer.mid().to_string())
            .collect();
        let expected = list(&vectors["final_peers"][text(&node["name"])]);
        assert_eq!(mids, expected.iter().map(text).collect::<Vec<_>>());
    }
}

#[test]
fn a_member_introduces_two_others_who_then_walk_to_each_other() {
    let members = (1..=3)
        .map(|last| (at(last), member(last.into(), at(last))))
        .collect();
    let mut scene = Scene::new(members);
    let now = scene.now;
    for last in [1, 3] {
        scene.members[last - 1].1.walk_to(now, at(2));
        scene.run();
    }
    let walker = &mut scene.members[2].1;
    let walkable: Vec<_> = walker.directory().walkable(walker.community()).collect();
    assert_eq!(walkable, [at(1)]);
    walker.walk_to(now, at(1));
    scene.run();
    for (_, member) in &scene.members {
        assert_eq!(member.peer_count(), 2);
        assert_eq!(
            member.wan(),
            at(member.lan().port() as u8 - (7000u16 % 256) as u8)
        );
    }
}

#[test]
fn answers_to_nothing_and_from_other_hosts_change_nothing() {
    let mut us = member(1, at(1));
    let now = Instant::now();
    let liar = SecretKey::generate(&mut StdRng::seed_from_u64(9));
    us.walk_to(now, at(2));
    let asked = us.poll_transmit().unwrap();
    let request = Packet::parse(&asked.bytes).unwrap().open().unwrap();
    let request = Request::read(request.body()).unwrap();
    let answer = |identifier| {
        let response = Response {
            global_time: 1,
            destination: at(66),
            lan: at(67),
            wan: at(68),
            introduced_lan: NO_ADDRESS,
            introduced_wan: at(69),
            flags: 0,
            identifier,
            extra: b"extra",
        };
        sign(us.prefix(), id::RESPONSE, &liar, |out| response.write(out))
    };
    let (right, wrong) = (answer(request.identifier), answer(request.identifier + 1));
    let elsewhere = SocketAddrV4::new([66, 1, 1, 1].into(), 1);
    for (from, datagram) in [(at(2), &wrong), (elsewhere, &right)] {
        us.handle_packet(now, from, &Packet::parse(datagram).unwrap())
            .unwrap();
        assert_eq!(
            (us.wan(), us.peer_count(), us.directory().known()),
            (at(1), 0, 0)
        );
        assert_eq!(us.poll_event(), None);
    }
    us.handle_packet(now, at(2), &Packet::parse(&right).unwrap())
        .unwrap();
    assert_eq!((us.wan(), us.peer_count()), (at(66), 1));
    assert!(
        matches!(us.poll_event(), Some(Introduced::Answered { extra, .. }) if extra == b"extra")
    );
    us.handle_packet(now, at(2), &Packet::parse(&right).unwrap())
        .unwrap();
    assert_eq!(us.counters().unasked, 3);
}

#[test]
fn with_members_enough_strangers_are_introduced_and_not_noted_and_only_so_many() {
    let mut rng = StdRng::seed_from_u64(444);
    let mut us = settings(SecretKey::generate(&mut rng), at(1));
    us.max_peers = Some(2);
    let mut us = Introducer::new(us, &mut rng);
    let now = Instant::now();
    let mut answered = 0;
    for last in 2..100 {
        let mut other = member(last.into(), at(last));
        other.walk_to(now, at(1));
        let sent = other.poll_transmit().unwrap();
        let packet = Packet::parse(&sent.bytes).unwrap();
        us.handle_packet(now, at(last), &packet).unwrap();
        let sent = std::iter::from_fn(|| us.poll_transmit());
        answered += sent.filter(|sent| sent.to == at(last)).count();
    }
    assert_eq!((us.peer_count(), us.counters().crowded), (3, 95));
    assert_eq!(answered, 3 + 32);
}

#[test]
fn bootstrap_servers_are_asked_together_and_less_and_less_often_while_nobody_answers() {
    let mut us = member(1, at(1));
    us.add_bootstrap([at(8), at(9), at(9)]);
    let now = Instant::now();
    let asked = |us: &mut Introducer, after| {
        us.ask_for_introduction(now + Duration::from_secs(after));
        std::iter::from_fn(|| us.poll_transmit()).count()
    };
    assert_eq!(asked(&mut us, 0), 2);
    let times = (1..120).filter(|after| asked(&mut us, *after) == 2);
    assert_eq!(times.collect::<Vec<_>>(), [2, 5, 10, 17, 28, 44, 67, 97]);
}

#[test]
fn bootstrap_servers_are_asked_soon_again_until_a_member_has_answered_and_then_twice_a_minute() {
    let members = [1, 2, 8].map(|number| (at(number), member(number.into(), at(number))));
    let mut scene = Scene::new(members.into());
    let now = scene.now;
    scene.members[0].1.add_bootstrap([at(8)]);
    scene.members[0].1.ask_for_introduction(now);
    scene.run();
    let asked = |us: &mut Introducer, after| {
        us.bootstrap(now + Duration::from_secs(after));
        std::iter::from_fn(|| us.poll_transmit()).count()
    };
    let us = &mut scene.members[0].1;
    assert_eq!((us.counters().responses_in, us.peer_count()), (1, 0));
    assert_eq!((asked(us, 1), asked(us, 2)), (0, 1));
    us.walk_to(now, at(2));
    scene.run();
    let us = &mut scene.members[0].1;
    assert_eq!(us.peer_count(), 1);
    assert_eq!((asked(us, 31), asked(us, 32)), (0, 1));
}

/// The recorded server signs with a key of old.
#[test]
fn a_signature_that_cannot_be_checked_counts_at_the_address_of_a_bootstrap_server_only() {
    let vectors = vectors(include_str!(
        "../../tests/vectors/legacy_keys_and_tracker.json"
    ));
    let exchange = &vectors["tracker_exchange"];
    let nodes = list(&exchange["nodes"]);
    let events = list(&exchange["events"]);
    let server: SocketAddrV4 = text(&events[0]["dst"]).parse().unwrap();
    for trusted in [true, false] {
        let node = nodes.iter().find(|node| node["name"] == "B").unwrap();
        let key = SecretKey::from_bytes(&hex(&node["private_bin"])).unwrap();
        let datagram = hex(&events[2]["packet"]);
        let recorded = Packet::parse(&datagram).unwrap();
        let mut settings = Settings::new(key, recorded.prefix().community());
        let signed = recorded.open().unwrap();
        let request = Request::read(signed.body()).unwrap();
        settings.lan = request.lan;
        settings.clock = GlobalTime::after(request.global_time - 1);
        if trusted {
            settings.bootstrap = vec![server];
        }
        let mut us = Introducer::new(settings, &mut StdRng::seed_from_u64(1));
        us.wan = request.wan;
        us.set_extra(request.extra.to_vec(), Vec::new());
        let now = Instant::now();
        us.walk_to(now, server);
        assert_eq!(us.poll_transmit().unwrap().bytes, datagram);
        let answers = events
            .iter()
            .filter(|event| event["from"] == "tracker" && event["dst"] == nodes[1]["address"]);
        for answer in answers {
            let datagram = hex(&answer["packet"]);
            let packet = Packet::parse(&datagram).unwrap();
            let taken = us.handle_packet(now, server, &packet);
            if packet.message() == id::RESPONSE {
                assert_eq!(taken.is_ok(), trusted);
                let refused = matches!(taken, Err(PacketError::Signature(_)));
                assert_eq!(refused, !trusted);
            }
        }
        let known = us.directory().walkable(us.community()).count();
        assert_eq!((known, us.peer_count()), (usize::from(trusted), 0));
    }
}

#[test]
fn punctures_are_sent_to_usable_addresses_and_only_so_many() {
    let mut us = member(1, at(1));
    let now = Instant::now();
    let ask = |us: &mut Introducer, wan: SocketAddrV4, after: u64| {
        let request = PunctureRequest {
            global_time: 1,
            lan_walker: at(4),
            wan_walker: wan,
            identifier: 5,
        };
        let datagram = plain(us.prefix(), id::PUNCTURE_REQUEST, |out| request.write(out));
        let packet = Packet::parse(&datagram).unwrap();
        us.handle_packet(now + Duration::from_secs(after), at(2), &packet)
            .unwrap();
        us.poll_transmit().map(|sent| sent.to)
    };
    assert_eq!(ask(&mut us, at(3), 0), Some(at(3)));
    let behind_our_nat = SocketAddrV4::new(*at(1).ip(), 99);
    assert_eq!(ask(&mut us, behind_our_nat, 0), Some(at(4)));
    assert_eq!(ask(&mut us, NO_ADDRESS, 0), None);
    let sent = (0..1000)
        .filter(|_| ask(&mut us, at(3), 0).is_some())
        .count();
    assert_eq!(sent, 30);
    assert_eq!(ask(&mut us, at(3), 1), Some(at(3)));
}
