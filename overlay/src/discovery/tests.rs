use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::*;
use crate::key::SecretKey;
use crate::testing::{hex, list, number, text, vectors};
use crate::wire::{Reader, Writer};

fn ids(value: &Value) -> Vec<CommunityId> {
    let ids = list(value).iter();
    ids.map(|id| CommunityId(hex(id).try_into().unwrap()))
        .collect()
}

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::new();
    write(&mut out);
    out.finish()
}

#[test]
fn every_message_of_the_vectors_is_read_and_made_again_byte_for_byte() {
    let vectors = vectors(include_str!("../../tests/vectors/discovery.json"));
    let cases = list(&vectors["vectors"]);
    for case in cases {
        if case["packet"].is_null() {
            let bytes = [&[0; 8][..], &hex(&case["payload"])].concat();
            let reader = Reader::new(&bytes);
            let again = if case["introduce_to"].is_null() {
                let response = SimilarityResponse::read(reader).unwrap();
                assert_eq!(response.communities, ids(&case["preference_list"]));
                assert_eq!(response.overlaps.len(), 2);
                assert_eq!(response.overlaps[1].1, u32::MAX);
                written(|out| response.write(out))
            } else {
                let extended = ExtendedRequest::read(reader).unwrap();
                assert_eq!(
                    extended.introduce_to.to_string(),
                    text(&case["introduce_to"])
                );
                assert_eq!(
                    extended.request.destination.to_string(),
                    text(&case["destination"])
                );
                assert_eq!(extended.request.wan.to_string(), text(&case["source_wan"]));
                written(|out| extended.write(out))
            };
            assert_eq!(again, bytes);
            continue;
        }
        let datagram = hex(&case["packet"]);
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(packet.prefix(), Prefix::new(DISCOVERY));
        let key = SecretKey::from_bytes(&hex(&case["signer_private_bin"])).unwrap();
        let message = packet.message();
        let again = match message {
            id::SIMILARITY_REQUEST => {
                let signed = packet.open().unwrap();
                let request = SimilarityRequest::read(signed.body()).unwrap();
                assert_eq!(request.communities, ids(&case["my_overlays_in_order"]));
                assert_eq!(request.lan.to_string(), text(&case["lan"]));
                sign(packet.prefix(), message, &key, |out| request.write(out))
            }
            id::SIMILARITY_RESPONSE => {
                let signed = packet.open().unwrap();
                let response = SimilarityResponse::read(signed.body()).unwrap();
                assert_eq!(response.communities, ids(&case["my_overlays_in_order"]));
                assert_eq!(u64::from(response.identifier), number(&case["identifier"]));
                sign(packet.prefix(), message, &key, |out| response.write(out))
            }
            _ => {
                let ping = Ping::read(packet.body()).unwrap();
                plain(packet.prefix(), message, |out| ping.write(out))
            }
        };
        assert_eq!(again, datagram);
    }
    assert_eq!(cases.len(), 6);
}

fn at(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new([51, 1, 1, last].into(), 7000)
}

fn member(seed: u8, now: Instant) -> Discovery {
    let mut rng = StdRng::seed_from_u64(seed.into());
    let mut settings = Settings::new(SecretKey::generate(&mut rng), DISCOVERY);
    settings.lan = at(seed);
    Discovery::new(&settings, now, &mut rng)
}

/// Delivers between two members until nothing is on its way.
fn deliver(now: Instant, a: &mut (SocketAddrV4, Discovery), b: &mut (SocketAddrV4, Discovery)) {
    loop {
        let mut any = false;
        for (from, to) in [(0, 1), (1, 0)] {
            let pair = [&mut *a, &mut *b];
            let addr = pair[from].0;
            while let Some(sent) = pair[from].1.poll_transmit() {
                any = true;
                if sent.to == pair[to].0 {
                    let packet = Packet::parse(&sent.bytes).unwrap();
                    pair[to].1.handle_packet(now, addr, &packet).unwrap();
                }
            }
        }
        if !any {
            return;
        }
    }
}

#[test]
fn members_that_meet_know_each_others_communities_and_round_trips() {
    let mut now = Instant::now();
    let mut a = (at(1), member(1, now));
    let mut b = (at(2), member(2, now));
    let other = CommunityId([5; 20]);
    b.1.add_service(other);
    a.1.introducer_mut().walk_to(now, at(2));
    deliver(now, &mut a, &mut b);
    let mid = b.1.introducer().key().public().mid();
    assert!(a.1.introducer().directory().offers(mid, other));
    for _ in 0..200 {
        now += STEP_EVERY;
        a.1.handle_timeout(now);
        b.1.handle_timeout(now);
        deliver(now, &mut a, &mut b);
    }
    let directory = a.1.introducer().directory();
    assert_eq!(directory.peer(mid).unwrap().round_trips().len(), 5);
}

#[test]
fn a_peer_that_falls_silent_is_asked_and_forgotten_within_two_minutes() {
    let mut now = Instant::now();
    let mut a = (at(1), member(1, now));
    let mut b = (at(2), member(2, now));
    a.1.introducer_mut().walk_to(now, at(2));
    deliver(now, &mut a, &mut b);
    let start = now;
    let mut lost = None;
    while lost.is_none() {
        now += STEP_EVERY;
        a.1.handle_timeout(now);
        while a.1.poll_transmit().is_some() {}
        while let Some(event) = a.1.poll_event() {
            if matches!(event, Found::Lost(_)) {
                lost = Some(now - start);
            }
        }
    }
    let lost = lost.unwrap().as_secs();
    assert!((57..=120).contains(&lost), "{lost}");
    assert!(a.1.introducer().directory().is_empty());
}

#[test]
fn a_request_in_the_extended_layout_is_answered_as_any_other() {
    let now = Instant::now();
    let mut us = member(1, now);
    let them = SecretKey::generate(&mut StdRng::seed_from_u64(2));
    let extended = ExtendedRequest {
        introduce_to: Mid([9; 20]),
        request: Request {
            global_time: 5,
            destination: at(1),
            lan: at(2),
            wan: at(2),
            connection: ConnectionType::Unknown,
            new_style: false,
            advice: true,
            identifier: 5,
            extra: b"",
        },
    };
    let prefix = Prefix::new(DISCOVERY);
    let datagram = sign(prefix, introduction::id::REQUEST, &them, |out| {
        extended.write(out);
    });
    us.handle_packet(now, at(2), &Packet::parse(&datagram).unwrap())
        .unwrap();
    let sent = us.poll_transmit().unwrap();
    let answer = Packet::parse(&sent.bytes).unwrap();
    assert_eq!(
        (answer.message(), sent.to),
        (introduction::id::RESPONSE, at(2))
    );
    let signed = answer.open().unwrap();
    let response = introduction::Response::read(signed.body()).unwrap();
    assert_eq!(response.identifier, 5);
}
