//! The golden vectors of the peer wire, and of the allowed-fast set.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::codec::{Decoder, Frame};
use super::extension::{Extension, ExtensionHandshake, ExtensionIds, Extensions};
use super::fast::allowed_fast_set;
use super::handshake::{Handshake, Reserved};
use super::holepunch::{HolepunchMessage, Refusal};
use super::message::{HashRequest, Message, RawRequest, piece_header};
use super::metadata::MetadataMessage;
use crate::bitfield::Bitfield;
use crate::geometry::Geometry;
use crate::id::{InfoHash, PeerId};
use crate::testing::{hex, vectors};

/// What the bytes of a case mean, as ours has it.
enum Case {
    Handshake(Handshake),
    Message(Message<'static>),
    Piece(RawRequest, &'static [u8]),
    /// An extended message: the sub-id and the payload.
    Extended(u8, Vec<u8>),
    /// Sub-id 0.
    ExtensionHandshake,
    /// Not of the peer wire.
    Elsewhere,
}

fn metadata(message: &MetadataMessage<'_>) -> Case {
    Case::Extended(Extension::Metadata.local_id(), message.encode())
}

fn case(name: &str) -> Case {
    let request = RawRequest {
        piece: 1,
        begin: 16_384,
        len: 16_384,
    };
    let hashes = HashRequest {
        root: [0xcc; 32],
        base_layer: 0,
        index: 8,
        length: 4,
        proof_layers: 5,
    };
    let reserved = Reserved::EXTENSIONS
        .with(Reserved::FAST, true)
        .with(Reserved::DHT, true);
    let handshake = |upgrade| {
        Case::Handshake(Handshake {
            reserved: reserved.with(Reserved::V2_UPGRADE, upgrade),
            info_hash: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            peer_id: PeerId(*b"-XX0001-abcdefghijkl"),
        })
    };
    Case::Message(match name {
        "handshake (reserved: DHT, fast, extension)" => return handshake(false),
        "handshake with v2 upgrade bit" => return handshake(true),
        "keep-alive" => Message::KeepAlive,
        "choke" => Message::Choke,
        "unchoke" => Message::Unchoke,
        "interested" => Message::Interested,
        "not interested" => Message::NotInterested,
        "have 7" => Message::Have(7),
        "bitfield 10 pieces, 0 and 9 set" => {
            let geometry = Geometry::new(10, 1).unwrap();
            let mut set = Bitfield::new(10);
            set.insert(geometry.piece(0).unwrap());
            set.insert(geometry.piece(9).unwrap());
            Message::Bitfield(Cow::Owned(set.as_bytes().to_vec()))
        }
        "request" => Message::Request(request),
        "piece" => return Case::Piece(RawRequest { len: 4, ..request }, b"data"),
        "cancel" => Message::Cancel(request),
        "port" => Message::Port(6881),
        "suggest 3" => Message::Suggest(3),
        "have all" => Message::HaveAll,
        "have none" => Message::HaveNone,
        "reject" => Message::Reject(request),
        "allowed fast 9" => Message::AllowedFast(9),
        "hash request" => Message::HashRequest(hashes),
        "hash reject" => Message::HashReject(hashes),
        "extension handshake" => return Case::ExtensionHandshake,
        "LSD announce (UDP datagram)" => return Case::Elsewhere,
        other => return extended(other),
    })
}

fn extended(name: &str) -> Case {
    let holepunch = |message: HolepunchMessage| {
        Case::Extended(Extension::Holepunch.local_id(), message.encode())
    };
    let at = "1.2.3.4:6881".parse().unwrap();
    match name {
        "ut_metadata request piece 0 (peer id 2)" => {
            metadata(&MetadataMessage::Request { piece: 0 })
        }
        "ut_metadata data piece 1 of 16400" => metadata(&MetadataMessage::Data {
            piece: 1,
            total_size: 16_400,
            data: Cow::Borrowed(&[0xab; 16]),
        }),
        "ut_metadata reject" => metadata(&MetadataMessage::Reject { piece: 0 }),
        "ut_pex" => {
            let payload =
                b"d5:added6:\x01\x02\x03\x04\x1a\xe17:added.f1:\x026:added60:8:added6.f0:\
                7:dropped0:8:dropped60:e";
            Case::Extended(Extension::Pex.local_id(), payload.to_vec())
        }
        "lt_donthave 5 (peer id 7)" => {
            Case::Extended(Extension::DontHave.local_id(), 5_u32.to_be_bytes().to_vec())
        }
        "ut_holepunch rendezvous v4" => holepunch(HolepunchMessage::Rendezvous(at)),
        "ut_holepunch connect v6" => holepunch(HolepunchMessage::Connect(
            "[2001:db8::1]:6881".parse().unwrap(),
        )),
        "ut_holepunch error NotConnected" => {
            holepunch(HolepunchMessage::Error(at, Refusal::NotConnected))
        }
        other => panic!("unknown case {other}"),
    }
}

/// The frames in the bytes, which may not hold more than them.
fn frames(bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut decoder = Decoder::new();
    let mut input = bytes;
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next(&mut input).unwrap() {
        frames.push(frame);
    }
    assert_eq!(decoder.buffered(), 0);
    frames
}

fn check(message: Message<'_>, bytes: &[u8], name: &str) {
    let mut out = Vec::new();
    message.encode(&mut out);
    assert_eq!(out, bytes, "{name}");
    assert_eq!(frames(bytes), [Frame::Message(message)], "{name}");
}

#[test]
fn every_case_of_the_peer_wire_is_written_and_read() {
    let vectors = vectors(include_str!("../../tests/vectors/peer_wire.json"));
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 30);
    for json in cases {
        let name = json["name"].as_str().unwrap();
        let bytes = hex(&json["hex"]);
        match case(name) {
            Case::Handshake(handshake) => {
                assert_eq!(handshake.encode(), bytes[..], "{name}");
                let array = bytes[..].try_into().unwrap();
                assert_eq!(Handshake::parse(array), Some(handshake), "{name}");
                if json["reserved_hex"].is_string() {
                    let reserved = handshake.reserved.0;
                    assert_eq!(reserved[..], hex(&json["reserved_hex"]), "{name}");
                }
            }
            Case::Message(message) => check(message, &bytes, name),
            Case::Extended(id, payload) => {
                let payload = Cow::Owned(payload);
                check(Message::Extended { id, payload }, &bytes, name);
            }
            Case::Piece(head, data) => {
                let header = piece_header(head.piece, head.begin, head.len);
                assert_eq!([&header[..], data].concat(), bytes, "{name}");
                let payload = Frame::Payload {
                    offset: 0,
                    data,
                    last: true,
                };
                assert_eq!(frames(&bytes), [Frame::Piece(head), payload], "{name}");
            }
            Case::ExtensionHandshake => check_extension_handshake(&bytes),
            Case::Elsewhere => assert!(bytes.starts_with(b"BT-SEARCH"), "{name}"),
        }
    }
}

fn check_extension_handshake(bytes: &[u8]) {
    let frames = frames(bytes);
    let [Frame::Message(Message::Extended { id: 0, payload })] = &frames[..] else {
        panic!("{frames:?}");
    };
    let expected = ExtensionHandshake {
        ids: ExtensionIds::local(Extensions::ALL),
        client: Some("ours 1.00".into()),
        metadata_size: Some(31_235),
        port: Some(6881),
        reqq: Some(2000),
        yourip: Some([203, 0, 113, 9].into()),
        ..ExtensionHandshake::default()
    };
    assert_eq!(ExtensionHandshake::parse(payload), Ok(expected.clone()));
    // Ours knows one extension less than the vector.
    let text = String::from_utf8_lossy(payload).replace("10:share_modei8e", "");
    assert_eq!(String::from_utf8_lossy(&expected.encode()), text);
}

#[test]
fn every_allowed_fast_set_of_the_vectors_is_drawn() {
    let vectors = vectors(include_str!("../../tests/vectors/bep6.json"));
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let info_hash: InfoHash = case["info_hash"].as_str().unwrap().parse().unwrap();
        let set = allowed_fast_set(
            case["ip"].as_str().unwrap().parse().unwrap(),
            info_hash,
            case["num_pieces"].as_u64().unwrap() as u32,
            case["k"].as_u64().unwrap() as usize,
        );
        let expected: Vec<u64> = case["allowed_fast"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Json::as_u64)
            .collect();
        let set: Vec<u64> = set.into_iter().map(u64::from).collect();
        assert_eq!(set, expected, "{case}");
    }
}
