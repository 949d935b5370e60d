#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::key::SecretKey;
use crate::packet::{Packet, Prefix, sign};
use crate::testing::{from_hex, hex, list, number, text, vectors};

#[test]
fn every_message_of_the_vectors_is_read_and_made_again_byte_for_byte() {
    let vectors = vectors(include_str!("../../../tests/vectors/dht.json"));
    let dialect = Dialect::Tribler75;
    let cases = list(&vectors["messages"]);
    for case in cases {
        let datagram = hex(&case["packet"]);
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(packet.prefix(), Prefix::new(dialect.community()));
        let signed = packet.open().unwrap();
        let message = Message::read(dialect, packet.message(), signed.body()).unwrap();
        assert_eq!(message.global_time, number(&case["global_time"]));
        assert_eq!(u64::from(message.identifier), number(&case["identifier"]));
        assert_eq!(message.body.number(dialect), packet.message());
        match &message.body {
            Body::Store { values, token, .. } => {
                let expected: Vec<Vec<u8>> = list(&case["values"]).iter().map(hex).collect();
                assert_eq!(*values, expected);
                assert_eq!(token.to_vec(), hex(&case["token"]));
            }
            Body::Find {
                lan,
                target,
                offset,
                force_nodes,
            } => {
                assert_eq!(lan.to_string(), text(&case["lan_address"]));
                assert_eq!(target.to_string(), text(&case["target"]));
                assert_eq!(u64::from(*offset), number(&case["offset"]));
                assert_eq!(*force_nodes, case["force_nodes"].as_bool().unwrap());
            }
            Body::Found { nodes, .. } | Body::PeerFound { nodes } => {
                let expected = list(&case["nodes"]);
                assert_eq!(nodes.len(), expected.len());
                for (node, expected) in nodes.iter().zip(expected) {
                    assert_eq!(node.addr.to_string(), text(&expected["address"]));
                    assert_eq!(node.key.as_bytes(), hex(&expected["public_bin"]));
                }
            }
            Body::Ping
            | Body::Pong
            | Body::Stored
            | Body::StorePeer { .. }
            | Body::PeerStored
            | Body::ConnectPeer { .. } => {}
        }
        let key = SecretKey::from_bytes(&hex(&case["signer_private_bin"])).unwrap();
        let again = sign(packet.prefix(), packet.message(), &key, |out| {
            message.write(dialect, out);
        });
        assert_eq!(again, datagram, "{}", case["name"]);
    }
    assert_eq!(cases.len(), 12);
}

#[test]
fn the_newer_dialect_counts_its_lists_and_marks_its_addresses() {
    let dialect = Dialect::Current;
    let key = PublicKey::from_halves([1; 32], [2; 32]);
    let addr = "1.2.3.4:5".parse().unwrap();
    let node = NodeInfo { key, addr };
    let message = Message {
        global_time: 0,
        identifier: 7,
        body: Body::Found {
            token: [9; 20],
            values: vec![b"ab"],
            nodes: vec![node],
        },
    };
    let mut out = Writer::new();
    message.write(dialect, &mut out);
    let bytes = out.finish();
    let head = [
        &[0, 0, 0, 7][..],
        &[9; 20],
        &[1, 0, 2],
        b"ab",
        &[1, 1, 1, 2, 3, 4, 0, 5, 0, 74],
    ];
    assert_eq!(bytes[..head.concat().len()], head.concat());
    assert_eq!(message.body.number(dialect), 6);
    assert_eq!(Message::read(dialect, 6, Reader::new(&bytes)), Ok(message));
    let six = [&[0, 0, 0, 7][..], &[1], &[3], &[0; 18], &[0, 0]].concat();
    let read = Message::read(dialect, 10, Reader::new(&six)).unwrap();
    assert_eq!(
        read.body,
        Body::PeerFound { nodes: Vec::new() },
        "IPv6 is passed over"
    );
}

#[test]
fn lists_are_bounded_whatever_they_say() {
    let mut out = Writer::new();
    out.u64(1).u32(1).raw(&[0; 20]);
    out.nested(|out| {
        for _ in 0..1000 {
            out.var_u16(b"v");
        }
    });
    out.nested(|out| {
        for _ in 0..100 {
            out.raw(&[1, 2, 3, 4, 0, 5]).var_u16(&from_hex("00"));
        }
    });
    let bytes = out.finish();
    let message = Message::read(Dialect::Tribler75, 12, Reader::new(&bytes)).unwrap();
    let Body::Found { values, nodes, .. } = message.body else {
        panic!("another message");
    };
    assert_eq!(
        (values.len(), nodes.len()),
        (MAX_VALUES, 0),
        "no key, no node"
    );
}

proptest! {
    #[test]
    fn whatever_comes_is_read_to_what_is_written_again_or_refused(
        bytes in vec(any::<u8>(), 0..120),
        number in 0..20u8,
        current: bool,
    ) {
        let dialect = if current { Dialect::Current } else { Dialect::Tribler75 };
        if let Ok(message) = Message::read(dialect, number, Reader::new(&bytes)) {
            let mut out = Writer::new();
            message.write(dialect, &mut out);
            let again = out.finish();
            prop_assert_eq!(Message::read(dialect, number, Reader::new(&again)), Ok(message));
        }
    }
}
