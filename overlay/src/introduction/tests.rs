#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::key::SecretKey;
use crate::packet::{Packet, plain, sign};
use crate::testing::{hex, list, text, vectors};

fn addr(value: &Value) -> SocketAddrV4 {
    text(value).parse().expect("an address")
}

/// Reads a packet, compares it with what the vector says, and makes it again.
fn check(case: &Value) {
    let datagram = hex(&case["packet"]);
    let packet = Packet::parse(&datagram).unwrap();
    let key = SecretKey::from_bytes(&hex(&case["signer_private_bin"])).unwrap();
    let again = match packet.message() {
        id::REQUEST => {
            let signed = packet.open().unwrap();
            let request = Request::read(signed.body()).unwrap();
            assert_eq!(u64::from(request.identifier), request.global_time % 65_536);
            if !case["destination"].is_null() {
                assert_eq!(request.destination, addr(&case["destination"]));
                assert_eq!(
                    (request.lan, request.wan),
                    (addr(&case["lan"]), addr(&case["wan"]))
                );
            }
            if !case["extra"].is_null() {
                assert_eq!(request.extra, hex(&case["extra"]));
            }
            assert!(request.advice && request.connection == ConnectionType::Unknown);
            sign(packet.prefix(), id::REQUEST, &key, |out| {
                request.write(out);
            })
        }
        id::RESPONSE => {
            let signed = packet.open().unwrap();
            let response = Response::read(signed.body()).unwrap();
            assert_eq!(response.destination, addr(&case["destination"]));
            assert_eq!(
                u64::from(response.identifier),
                case["identifier"].as_u64().unwrap()
            );
            if !case["introduced_wan"].is_null() {
                assert_eq!(response.introduced_wan, addr(&case["introduced_wan"]));
                assert_eq!(response.introduced_lan, addr(&case["introduced_lan"]));
            }
            assert_eq!(response.flags, 0);
            sign(packet.prefix(), id::RESPONSE, &key, |out| {
                response.write(out);
            })
        }
        id::PUNCTURE => {
            let puncture = Puncture::read(packet.open().unwrap().body()).unwrap();
            sign(packet.prefix(), id::PUNCTURE, &key, |out| {
                puncture.write(out);
            })
        }
        id::PUNCTURE_REQUEST => {
            let request = PunctureRequest::read(packet.body()).unwrap();
            plain(packet.prefix(), id::PUNCTURE_REQUEST, |out| {
                request.write(out);
            })
        }
        other => panic!("message {other}"),
    };
    assert_eq!(again, datagram, "{}", case["name"]);
}

#[test]
fn every_message_of_the_vectors_is_read_and_made_again_byte_for_byte() {
    let vectors = vectors(include_str!("../../tests/vectors/introduction.json"));
    let (mut packets, mut payloads) = (0, 0);
    for case in list(&vectors["vectors"]) {
        if case["packet"].is_null() {
            let bytes = [&[0; 8][..], &hex(&case["payload"])].concat();
            let request = Request::read(Reader::new(&bytes)).unwrap();
            let connection = match text(&case["connection_type"]) {
                "public" => ConnectionType::Public,
                "symmetric-NAT" => ConnectionType::SymmetricNat,
                _ => ConnectionType::Unknown,
            };
            assert_eq!(request.connection, connection);
            assert_eq!(request.advice, case["advice"].as_bool().unwrap());
            let mut out = Writer::new();
            request.write(&mut out);
            assert_eq!(out.finish(), bytes);
            payloads += 1;
        } else {
            check(case);
            packets += 1;
        }
    }
    assert_eq!((packets, payloads), (20, 5));
}

proptest! {
    #[test]
    fn whatever_comes_is_read_to_what_is_written_again_or_refused(bytes in vec(any::<u8>(), 0..80)) {
        let mut out = Writer::new();
        if let Ok(request) = Request::read(Reader::new(&bytes)) {
            request.write(&mut out);
            let again = out.finish();
            prop_assert_eq!(Request::read(Reader::new(&again)), Ok(request));
        }
        let mut out = Writer::new();
        if let Ok(response) = Response::read(Reader::new(&bytes)) {
            response.write(&mut out);
            prop_assert_eq!(out.as_bytes(), &bytes[..]);
        }
        let mut out = Writer::new();
        if let Ok(request) = PunctureRequest::read(Reader::new(&bytes)) {
            request.write(&mut out);
            prop_assert_eq!(out.as_bytes(), &bytes[..]);
        }
        let mut out = Writer::new();
        if let Ok(puncture) = Puncture::read(Reader::new(&bytes)) {
            puncture.write(&mut out);
            prop_assert_eq!(out.as_bytes(), &bytes[..]);
        }
    }
}
