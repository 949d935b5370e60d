use overlay::packet::{CommunityId, Prefix};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::testing::{array, from_hex, hex, list, number, vectors};
use crate::{CircuitId, Dialect, Head};

const CLASSIC: &str = include_str!("../../tests/vectors/tunnel_messages.json");
const TRIBLER: &str = include_str!("../../tests/vectors/tribler_tunnel.json");
const EARLY_MODERN: &str = include_str!("../../tests/vectors/later_era_tunnel.json");
const MODERN: &str = include_str!("../../tests/vectors/modern_messages.json");

/// Reads a message, writes it again, and compares.
fn round(dialect: Dialect, bytes: &[u8]) -> Kind {
    let message = Message::read(dialect, bytes).unwrap();
    assert_eq!(message.to_bytes(dialect).unwrap(), bytes, "{message:?}");
    for end in 0..bytes.len() {
        // Whatever is cut off is an error or a message with less at its end, and never a panic.
        let _ = Message::read(dialect, &bytes[..end]);
    }
    message.kind()
}

#[test]
fn messages_of_the_older_dialect_agree_with_the_vectors() {
    let all = vectors(CLASSIC);
    for case in list(&all["cell_messages"]) {
        let bytes = hex(&case["cell_message_plain"]);
        let kind = round(Dialect::Classic, &bytes);
        assert_eq!(u64::from(bytes[0]), number(&case["msg_id"]));
        let unwrapped = hex(&case["unwrapped_packet"]);
        assert_eq!(unwrapped[22], bytes[0]);
        assert_eq!(unwrapped[27..], bytes[1..], "{kind:?}");
    }
    for case in list(&all["ipv8_packets_inside_or_outside_tunnels"]) {
        let packet = hex(&case["packet"]);
        let circuit = usize::from(packet[22] > 18) * 4;
        let bytes = [&packet[22..23], &packet[23 + circuit..]].concat();
        round(Dialect::Classic, &bytes);
    }
    for case in &list(&vectors(TRIBLER)["messages"])[1..] {
        round(Dialect::Classic, &hex(&case["cell_message"]));
    }
}

#[test]
#[expect(clippy::wildcard_enum_match_arm, reason = "the others have one field")]
fn fields_are_where_the_older_dialect_has_them() {
    let all = vectors(CLASSIC);
    for case in list(&all["cell_messages"]) {
        let bytes = hex(&case["cell_message_plain"]);
        let message = Message::read(Dialect::Classic, &bytes).unwrap();
        match message {
            Message::Create { node, x, .. } => {
                assert_eq!(node, hex(&case["node_public_key"]));
                assert_eq!(x[..], hex(&case["key"]));
            }
            Message::Extend { addr, .. } => {
                let expected = case["node_addr"].as_str();
                assert_eq!(addr, expected.map(|addr| addr.parse().unwrap()));
            }
            Message::Created(answer) => {
                assert_eq!(answer.auth[..], hex(&case["auth"]));
                assert_eq!(answer.list, hex(&case["candidate_list_enc"]));
            }
            Message::Data { to, from, data } => {
                assert_eq!(to.to_string(), case["dest"].as_str().unwrap());
                assert_eq!(from.to_string(), case["origin"].as_str().unwrap());
                assert_eq!(data, hex(&case["data"]));
            }
            Message::EstablishIntro { id, seeder, .. } => {
                assert_eq!(u64::from(id), number(&case["identifier"]));
                assert_eq!(seeder, hex(&case["public_key"]));
            }
            Message::RendezvousEstablished { addr, .. } => {
                let expected = case["rendezvous_point_addr"].as_str().unwrap();
                assert_eq!(addr, expected.parse().unwrap());
            }
            Message::PeersResponse { peers, .. } => {
                assert_eq!(peers, hex(&case["peers_blob"]));
                let read = read_peers(Dialect::Classic, peers).unwrap();
                let expected = list(&case["intro_points"]);
                assert_eq!(read.len(), expected.len());
                for (peer, expected) in read.iter().zip(expected) {
                    assert_eq!(peer.addr.to_string(), expected["address"].as_str().unwrap());
                    assert_eq!(peer.node, hex(&expected["intro_point_public_bin"]));
                    assert_eq!(peer.seeder, hex(&expected["seeder_public_bin"]));
                    assert_eq!(peer.source as u64, number(&expected["source"]));
                }
                assert_eq!(write_peers(Dialect::Classic, &read), peers);
            }
            _ => {}
        }
    }
}

#[test]
fn messages_of_the_newer_dialect_agree_with_the_vectors() {
    for case in list(&vectors(MODERN)["messages"]) {
        round(Dialect::Modern, &hex(&case["message"]));
    }
    for case in list(&vectors(EARLY_MODERN)["messages"]) {
        let bytes = hex(&case["cell_message"]);
        match case["name"].as_str().unwrap() {
            // Versions before 3 leave out the kind of these addresses; we write it, as versions of today do.
            "ExtendPayload" => {
                let message = Message::read(Dialect::Modern, &bytes).unwrap();
                let Message::Extend { addr, .. } = message else {
                    panic!("{message:?}");
                };
                assert_eq!(addr, Some("5.6.7.8:9".parse().unwrap()));
            }
            "RendezvousEstablishedPayload" => {
                let message = Message::read(Dialect::Modern, &bytes).unwrap();
                let addr = "9.8.7.6:5".parse().unwrap();
                assert_eq!(message, Message::RendezvousEstablished { id: 7, addr });
            }
            _ => drop(round(Dialect::Modern, &bytes)),
        }
    }
}

#[test]
fn lists_of_the_newer_dialect_agree_with_the_vectors() {
    let all = vectors(MODERN);
    for case in list(&all["candidate_lists"]) {
        let keys: Vec<Vec<u8>> = list(&case["keys"]).iter().map(hex).collect();
        let packed = hex(&case["packed"]);
        assert_eq!(read_candidates(Dialect::Modern, &packed).unwrap(), keys);
        let keys = keys.iter().map(Vec::as_slice);
        assert_eq!(write_candidates(Dialect::Modern, keys), packed);
    }
    rendezvous_agrees(
        Dialect::Modern,
        &all["rendezvous_info"],
        ["address", "key", "packed"],
    );
    let peers = list(&all["messages"]).iter();
    let peers = peers.filter(|case| case["name"].as_str().unwrap().starts_with("peers-response"));
    for case in peers {
        let bytes = hex(&case["message"]);
        let Ok(Message::PeersResponse { peers, .. }) = Message::read(Dialect::Modern, &bytes)
        else {
            panic!("{case}");
        };
        let read = read_peers(Dialect::Modern, peers).unwrap();
        assert_eq!(write_peers(Dialect::Modern, &read), peers);
    }
}

#[test]
fn lists_of_the_older_dialect_agree_with_the_vectors() {
    let all = vectors(CLASSIC);
    for case in list(&all["candidate_list_encoding"]) {
        let keys: Vec<Vec<u8>> = list(&case["candidate_public_bins"])
            .iter()
            .map(hex)
            .collect();
        let packed = hex(&case["encoded_plain"]);
        assert_eq!(read_candidates(Dialect::Classic, &packed).unwrap(), keys);
        let keys = keys.iter().map(Vec::as_slice);
        assert_eq!(write_candidates(Dialect::Classic, keys), packed);
    }
    for case in list(&all["rendezvous_info_encoding"]) {
        rendezvous_agrees(
            Dialect::Classic,
            case,
            ["rp_address", "rp_public_bin", "encoded_plain"],
        );
    }
}

fn rendezvous_agrees(dialect: Dialect, case: &Value, [addr, key, packed]: [&str; 3]) {
    let rendezvous = Rendezvous {
        addr: case[addr].as_str().unwrap().parse().unwrap(),
        node: hex(&case[key]),
        cookie: array(&case["cookie"]),
    };
    let packed = hex(&case[packed]);
    assert_eq!(read_rendezvous(dialect, &packed).unwrap(), rendezvous);
    assert_eq!(write_rendezvous(dialect, &rendezvous).unwrap(), packed);
}

#[test]
fn cells_agree_with_the_vectors() {
    let classic = vectors(CLASSIC);
    let mut cells: Vec<(Dialect, Vec<u8>, bool, Vec<u8>)> = list(&classic["cell_messages"])
        .iter()
        .filter(|case| !case["cell_packet_plaintext_flag_set"].is_null())
        .map(|case| {
            let packet = hex(&case["cell_packet_plaintext_flag_set"]);
            (
                Dialect::Classic,
                packet,
                false,
                hex(&case["cell_message_plain"]),
            )
        })
        .collect();
    for case in list(&vectors(EARLY_MODERN)["messages"]) {
        if !case["cell_packet"].is_null() {
            let packet = hex(&case["cell_packet"]);
            cells.push((Dialect::Modern, packet, false, hex(&case["cell_message"])));
        }
    }
    let packet = hex(&vectors(MODERN)["cell_packet"]);
    cells.push((Dialect::Modern, packet, true, from_hex("060005")));
    for (dialect, packet, early, message) in cells {
        let head = Head::read(dialect, &packet).unwrap();
        assert_eq!(head.early, early);
        assert_eq!(head.plaintext, !early);
        assert_eq!(packet[Head::len(dialect)..], message);
        let mut written = packet.clone();
        written[..Head::len(dialect)].fill(0xff);
        let prefix = Prefix::of(&packet).unwrap();
        assert!(head.write(dialect, &prefix, &mut written));
        assert_eq!(written, packet);
    }
}

#[test]
fn no_two_messages_have_one_number() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        for (at, kind) in Kind::ALL.iter().enumerate() {
            let Some(number) = kind.number(dialect) else {
                continue;
            };
            assert_eq!(Kind::of(dialect, number), Some(*kind));
            let cell = Head::packet_id(dialect);
            assert!(number != cell, "{kind:?} of {dialect:?} at {at}");
        }
    }
}

#[test]
fn a_cell_without_a_message_is_none() {
    let prefix = Prefix::new(CommunityId([1; 20]));
    for dialect in [Dialect::Classic, Dialect::Modern] {
        let mut packet = vec![0; Head::len(dialect)];
        let head = Head {
            circuit: CircuitId(1),
            plaintext: false,
            early: false,
        };
        assert!(head.write(dialect, &prefix, &mut packet));
        assert_eq!(Head::read(dialect, &packet), None);
        packet.push(0);
        assert_eq!(Head::read(dialect, &packet), Some(head));
    }
}

#[test]
fn values_that_lie_too_deep_or_promise_too_much_are_refused() {
    let deep = [b"a".as_slice(), &b"1l".repeat(5000)].concat();
    assert!(read_candidates(Dialect::Classic, &deep).is_err());
    assert!(read_candidates(Dialect::Classic, b"a99999l0b").is_err());
    assert!(read_candidates(Dialect::Classic, b"a9999999l").is_err());
    assert!(read_candidates(Dialect::Classic, b"a2l5bhello").is_err());
    assert!(read_candidates(Dialect::Classic, b"al").is_err());
}

/// Whatever is read can be said again in the same bytes, but for addresses that lack their kind, as first versions of the
/// newer dialect wrote them.
fn comes_back(dialect: Dialect, bytes: &[u8]) {
    let Ok(message) = Message::read(dialect, bytes) else {
        return;
    };
    let written = message.to_bytes(dialect);
    let mut written = written.unwrap_or_else(|| panic!("{message:?} cannot be said"));
    let read = Message::read(dialect, &written);
    assert_eq!(read.as_ref(), Ok(&message), "{dialect:?} {bytes:02x?}");
    let ends_in_address = matches!(message.kind(), Kind::Extend | Kind::RendezvousEstablished);
    if dialect == Dialect::Modern && ends_in_address && written.len() == bytes.len() + 1 {
        assert_eq!(written.remove(written.len() - 7), 1);
    }
    assert_eq!(written, bytes, "{dialect:?} {message:?}");
}

/// Messages of each kind, as they are on the wire.
fn said(dialect: Dialect) -> Vec<Vec<u8>> {
    match dialect {
        Dialect::Classic => {
            let (all, tribler) = (vectors(CLASSIC), vectors(TRIBLER));
            let cells = list(&all["cell_messages"]).iter();
            let cells = cells.map(|case| hex(&case["cell_message_plain"]));
            let others = list(&tribler["messages"])[1..].iter();
            cells
                .chain(others.map(|case| hex(&case["cell_message"])))
                .collect()
        }
        Dialect::Modern => {
            let (all, early) = (vectors(MODERN), vectors(EARLY_MODERN));
            let messages = list(&all["messages"]).iter();
            let messages = messages.map(|case| hex(&case["message"]));
            let early = list(&early["messages"]).iter();
            messages
                .chain(early.map(|case| hex(&case["cell_message"])))
                .collect()
        }
    }
}

#[test]
fn the_older_dialect_takes_and_writes_no_ipv6() {
    let v6: SocketAddr = "[2001:db8::1]:7".parse().unwrap();
    let bytes = from_hex("0320010db80000000000000000000000010007");
    let met = [from_hex("100001").as_slice(), &bytes].concat();
    assert!(Message::read(Dialect::Classic, &met).is_err());
    let established = Message::RendezvousEstablished { id: 1, addr: v6 };
    assert_eq!(established.to_bytes(Dialect::Classic), None);
    let with_kind = from_hex("10000101010203040007");
    assert!(Message::read(Dialect::Classic, &with_kind).is_err());

    let data = [
        from_hex("000013").as_slice(),
        &bytes,
        &from_hex("000701000000000000ff"),
    ]
    .concat();
    assert!(Message::read(Dialect::Classic, &data).is_err());
    let to = v6.into();
    let from = overlay::wire::NO_ADDRESS.into();
    let data = Message::Data {
        to,
        from,
        data: b"d",
    };
    assert_eq!(data.to_bytes(Dialect::Classic), None);
    assert!(data.to_bytes(Dialect::Modern).is_some());
}

#[test]
fn addresses_of_the_older_dialect_end_where_their_length_says() {
    let longer = from_hex("00000801010203040005ff000701000000000000");
    assert!(Message::read(Dialect::Classic, &longer).is_err());
    let key = [&[0, 32][..], &[9; 32]].concat();
    let nowhere = [&[4, 0, 0][..], &key, &[0; 6]].concat();
    assert!(Message::read(Dialect::Classic, &nowhere).is_err());
    assert!(Message::read(Dialect::Classic, &nowhere[..nowhere.len() - 6]).is_ok());
}

proptest! {
    #[test]
    fn what_is_understood_is_said_again_in_the_same_bytes(
        modern: bool, which: prop::sample::Index,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..4),
    ) {
        let dialect = if modern { Dialect::Modern } else { Dialect::Classic };
        let said = said(dialect);
        let mut bytes = which.get(&said).clone();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len().max(1));
            match edit {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        comes_back(dialect, &bytes);
    }

    #[test]
    fn addresses_come_back_in_the_same_bytes(
        modern: bool, number: u8, kind in 0_u8..5, id: u16, body in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        // Whatever stands where messages have addresses.
        let dialect = if modern { Dialect::Modern } else { Dialect::Classic };
        let addr = [&[kind], body.as_slice()].concat();
        let met = if modern { 12 } else { 16 };
        comes_back(dialect, &[&[met], &id.to_be_bytes()[..], &addr].concat());
        comes_back(dialect, &[&[met], &id.to_be_bytes()[..], &body].concat());
        let key = [&[0, 32][..], &[number; 32]].concat();
        let id = if modern { id.to_be_bytes().to_vec() } else { Vec::new() };
        comes_back(dialect, &[&[4], &id[..], &[0, 0], &key, &addr].concat());
        comes_back(dialect, &[&[4], &id[..], &[0, 0], &key, &body].concat());
        let classic = [&[0, addr.len() as u8][..], &addr].concat();
        let data = if modern { [addr.clone(), addr].concat() } else { [classic.clone(), classic].concat() };
        comes_back(dialect, &[&[u8::from(modern)], data.as_slice()].concat());
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(
        modern: bool, number in 0_u8..40, body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let dialect = if modern { Dialect::Modern } else { Dialect::Classic };
        let bytes = [&[number], body.as_slice()].concat();
        comes_back(dialect, &bytes);
        let _ = read_candidates(dialect, &bytes);
        let _ = read_peers(dialect, &bytes);
        let _ = read_rendezvous(dialect, &bytes);
    }

    #[test]
    fn lists_come_back_as_they_were(
        modern: bool, keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8),
        port: u16, ip: [u8; 4], cookie: [u8; 20],
    ) {
        let dialect = if modern { Dialect::Modern } else { Dialect::Classic };
        let packed = write_candidates(dialect, keys.iter().map(Vec::as_slice));
        prop_assert_eq!(&read_candidates(dialect, &packed).unwrap(), &keys);
        let addr = SocketAddr::from((ip, port));
        let peers: Vec<IntroPoint> = keys.iter().take(MAX_PEERS).map(|key| IntroPoint {
            addr, node: key.clone(), seeder: vec![1; 74], source: Source::Pex,
        }).filter(|peer| peer.addr != SocketAddr::from(([0; 4], 0))).collect();
        let packed = write_peers(dialect, &peers);
        prop_assert_eq!(read_peers(dialect, &packed).unwrap(), peers);
        let rendezvous = Rendezvous { addr, node: vec![2; 74], cookie };
        let packed = write_rendezvous(dialect, &rendezvous).unwrap();
        prop_assert_eq!(read_rendezvous(dialect, &packed).unwrap(), rendezvous);
    }
}
