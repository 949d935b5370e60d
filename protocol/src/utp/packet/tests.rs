#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::testing::{hex, vectors};

fn golden() -> Json {
    vectors(include_str!("../../../tests/vectors/utp.json"))
}

fn number(case: &Json, field: &str) -> Option<u64> {
    case.get(field).map(|value| value.as_u64().unwrap())
}

#[test]
fn every_golden_packet_is_read_as_it_says() {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let bytes = hex(&case["hex"]);
        let packet = Packet::parse(&bytes).unwrap_or_else(|error| panic!("{case}: {error}"));
        let header = packet.header;
        let says = [
            ("type", u64::from(header.kind as u8)),
            ("connection_id", u64::from(header.id)),
            ("timestamp", u64::from(header.timestamp)),
            ("timestamp_diff", u64::from(header.delay)),
            ("wnd", u64::from(header.window)),
            ("seq", u64::from(header.seq.0)),
            ("ack", u64::from(header.ack.0)),
        ];
        for (field, value) in says {
            assert_eq!(
                number(case, field).unwrap_or(value),
                value,
                "{field} of {case}"
            );
        }
        assert_eq!(
            number(case, "extension").unwrap_or_else(|| bytes[1].into()),
            u64::from(bytes[1])
        );
        let payload = case.get("payload").map(hex).unwrap_or_default();
        assert_eq!(packet.payload, payload, "{case}");
        let reason = number(case, "close_reason").map(|reason| reason as u16);
        assert_eq!(packet.close_reason, reason, "{case}");
        let acked: Vec<u64> = packet
            .sack
            .iter()
            .flat_map(|sack| sack.iter().map(|seq| u64::from(seq.0)).collect::<Vec<_>>())
            .collect();
        let expected: Vec<u64> = case
            .get("acked")
            .map(|list| {
                list.as_array()
                    .unwrap()
                    .iter()
                    .map(|n| n.as_u64().unwrap())
                    .collect()
            })
            .unwrap_or_default();
        assert_eq!(acked, expected, "{case}");
        if let Some(mask) = case.get("sack_mask") {
            assert_eq!(packet.sack.unwrap().mask(), hex(mask));
        }
        let name = case["name"].as_str().unwrap();
        if !name.contains("unknown extension") {
            let mut out = Vec::new();
            packet.write(0, &mut out);
            assert_eq!(out, bytes, "written again: {name}");
        }
    }
}

#[test]
fn every_golden_reject_is_refused() {
    let golden = golden();
    let cases = golden["rejects"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let bytes = hex(&case["hex"]);
        assert!(Packet::parse(&bytes).is_err(), "{case}");
    }
    let dht = hex(&cases[5]["hex"]);
    assert!(!Packet::is_likely(&dht));
}

#[test]
fn endless_extensions_are_refused() {
    let mut bytes = vec![0x21, 9];
    bytes.resize(HEADER_LEN, 0);
    for _ in 0..100 {
        bytes.extend_from_slice(&[9, 0]);
    }
    assert_eq!(Packet::parse(&bytes), Err(PacketError::Extensions));
}

fn any_kind() -> impl Strategy<Value = Kind> {
    (0_u8..5).prop_map(|number| Kind::parse(number).unwrap())
}

/// Exits of anonymous circuits drop what begins with another extension than the first two, and a probe that never arrives makes
/// a path look narrow. Old clients drop bits that are no eight bytes.
#[test]
fn a_probe_begins_as_exits_and_old_clients_want_it() {
    let packet = Packet {
        header: Header {
            kind: Kind::Data,
            id: 1,
            timestamp: 2,
            delay: 3,
            window: 4,
            seq: Seq(5),
            ack: Seq(6),
        },
        sack: None,
        close_reason: None,
        payload: b"payload",
    };
    for padding in (12..=MOST_PADDING).chain([0, 10]) {
        let mut out = Vec::new();
        packet.write(padding, &mut out);
        assert!(out[1] <= 2, "{padding}");
        if padding > 0 {
            assert_eq!(
                out[HEADER_LEN + 1..HEADER_LEN + 10],
                [8, 0, 0, 0, 0, 0, 0, 0, 0]
            );
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        kind in any_kind(),
        (id, seq, ack) in any::<(u16, u16, u16)>(),
        (timestamp, delay, window) in any::<(u32, u32, u32)>(),
        mask in prop::collection::vec(any::<u8>(), 0..=255),
        close_reason in any::<Option<u16>>(),
        payload in prop::collection::vec(any::<u8>(), 0..1500),
        padding in (0..=MOST_PADDING).prop_filter("no head fits", |padding| *padding != 1),
    ) {
        let (seq, ack) = (Seq(seq), Seq(ack));
        let packet = Packet {
            header: Header { kind, id, timestamp, delay, window, seq, ack },
            sack: SelectiveAck::new(ack, &mask),
            close_reason,
            payload: &payload,
        };
        let mut out = Vec::new();
        packet.write(0, &mut out);
        let plain = out.len();
        prop_assert_eq!(Packet::parse(&out).unwrap(), packet);
        prop_assert!(Packet::is_likely(&out));
        out.clear();
        packet.write(padding, &mut out);
        prop_assert_eq!(out.len(), plain + padding);
        prop_assert_eq!(Packet::parse(&out).unwrap(), packet);
    }

    #[test]
    fn no_bytes_make_it_panic(
        first in 0_u8..6,
        bytes in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = bytes;
        if let Some(byte) = bytes.first_mut() {
            *byte = first << 4 | 1;
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert!(packet.sack.iter().all(|sack| sack.iter().count() <= MOST_MASK_BITS));
            prop_assert!(Packet::is_likely(&bytes));
        }
    }
}

const MOST_MASK_BITS: usize = 8 * 255;
