#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::testing::{hex, list, text, vectors};

#[test]
fn community_ids_and_prefixes_follow_from_the_makers_keys() {
    let vectors = vectors(include_str!("../../tests/vectors/community_ids.json"));
    let cases = list(&vectors["vectors"]);
    for case in cases {
        let maker = PublicKey::from_bytes(&hex(&case["master_public_key"])).unwrap();
        let id = CommunityId::of(&maker);
        assert_eq!(id.to_string(), text(&case["community_id"]));
        assert_eq!(Prefix::new(id).as_bytes().to_vec(), hex(&case["prefix"]));
        assert_eq!(Prefix::new(id).community(), id);
    }
    assert_eq!(cases.len(), 13);
}

#[test]
fn every_packet_of_a_walk_opens_and_is_made_again_byte_for_byte() {
    let vectors = vectors(include_str!("../../tests/vectors/transcript_walk.json"));
    let keys: Vec<SecretKey> = list(&vectors["nodes"])
        .iter()
        .map(|node| SecretKey::from_bytes(&hex(&node["private_bin"])).unwrap())
        .collect();
    let mut opened = 0;
    for event in list(&vectors["events"]) {
        if event["event"] != "send" {
            continue;
        }
        let datagram = hex(&event["packet"]);
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(
            packet.prefix().community().to_string(),
            text(&vectors["community_id"])
        );
        if packet.message() == 250 {
            let body = packet.body().rest().to_vec();
            let again = plain(packet.prefix(), 250, |writer| {
                writer.raw(&body);
            });
            assert_eq!(again, datagram);
            continue;
        }
        let signed = packet.open().unwrap();
        assert_eq!(signed.proof(), Proof::Signature);
        let key = keys
            .iter()
            .find(|key| key.public() == signed.key())
            .unwrap();
        let body = signed.body().rest();
        let again = sign(packet.prefix(), packet.message(), key, |writer| {
            writer.raw(body);
        });
        assert_eq!(again, datagram);
        opened += 1;
    }
    assert_eq!(opened, 8);
}

#[test]
fn packets_of_a_key_of_old_are_cut_at_their_signature_and_marked_as_unchecked() {
    let vectors = vectors(include_str!(
        "../../tests/vectors/legacy_keys_and_tracker.json"
    ));
    let exchange = &vectors["tracker_exchange"];
    let tracker = PublicKey::from_bytes(&hex(&exchange["tracker_public_bin"])).unwrap();
    let mut unchecked = 0;
    for event in list(&exchange["events"]) {
        let datagram = hex(&event["packet"]);
        let packet = Packet::parse(&datagram).unwrap();
        if event["from"] == "tracker" && packet.message() == 245 {
            let signed = packet.open().unwrap();
            assert_eq!(signed.key(), &tracker);
            assert_eq!(signed.proof(), Proof::Unchecked);
            // Global time, five addresses, flags and identifier.
            assert_eq!(signed.body().left(), 8 + 5 * 6 + 1 + 2);
            unchecked += 1;
        }
    }
    assert_eq!(unchecked, 2);
}

#[test]
fn a_changed_bit_anywhere_makes_a_packet_unbelievable() {
    let key = SecretKey::generate(&mut StdRng::seed_from_u64(1));
    let prefix = Prefix::new(CommunityId([3; 20]));
    let datagram = sign(prefix, 246, &key, |body| {
        body.u64(1).raw(b"body");
    });
    for at in 0..datagram.len() {
        for bit in 0..8 {
            let mut changed = datagram.clone();
            changed[at] ^= 1 << bit;
            let opened = Packet::parse(&changed).and_then(|packet| packet.open());
            // A key of another kind may be read out of a changed one; it is believed as little.
            assert!(opened.is_err(), "byte {at} bit {bit}");
        }
    }
    for len in 0..datagram.len() {
        let opened = Packet::parse(&datagram[..len]).and_then(|packet| packet.open());
        assert!(opened.is_err(), "{len} bytes");
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_opened_or_refused(bytes in vec(any::<u8>(), 0..300), framed: bool) {
        let prefix = Prefix::new(CommunityId([3; 20]));
        let bytes = if framed { plain(prefix, 246, |body| { body.var_u16(&bytes); }) } else { bytes };
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert!(packet.open().is_err());
            prop_assert_eq!(packet.body().left() + Packet::HEAD_LEN, bytes.len());
        }
    }

    #[test]
    fn what_is_signed_opens_to_the_same_body(body in vec(any::<u8>(), 0..300), seed: u64, message: u8) {
        let key = SecretKey::generate(&mut StdRng::seed_from_u64(seed));
        let prefix = Prefix::new(CommunityId([3; 20]));
        let datagram = sign(prefix, message, &key, |writer| { writer.raw(&body); });
        let packet = Packet::parse(&datagram).unwrap();
        prop_assert_eq!(packet.message(), message);
        let signed = packet.open().unwrap();
        prop_assert_eq!(signed.body().rest(), &body[..]);
        prop_assert_eq!(signed.key(), key.public());
    }
}
