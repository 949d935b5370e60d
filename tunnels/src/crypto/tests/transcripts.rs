//! Every cell of the transcripts of real nodes: opened with the keys that they derived, read, written and sealed again.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Dialect;
use crate::crypto::layer::{HEAD, Layer, OVERHEAD, TAG};
use crate::message::{Kind, Message};
use crate::testing::{array, hex, list, vectors};

const TRANSCRIPTS: [&str; 5] = [
    include_str!("../../../tests/vectors/transcript_circuit_1hop.json"),
    include_str!("../../../tests/vectors/transcript_circuit_2hop.json"),
    include_str!("../../../tests/vectors/transcript_circuit_3hop.json"),
    include_str!("../../../tests/vectors/transcript_hidden_1hop.json"),
    include_str!("../../../tests/vectors/transcript_hidden_2hop.json"),
];

type Key = ([u8; 16], [u8; 4]);

/// All keys that somebody derived.
fn keys(transcript: &Value) -> Vec<Key> {
    let events = list(&transcript["events"]).iter();
    let derived = events.filter(|event| event["event"] == "session_keys");
    let hidden = transcript
        .get("hs_session_keys")
        .filter(|keys| keys["kf"].is_string());
    let both = derived.chain(hidden).flat_map(|keys| {
        [
            (array(&keys["kf"]), array(&keys["sf"])),
            (array(&keys["kb"]), array(&keys["sb"])),
        ]
    });
    both.collect::<BTreeSet<Key>>().into_iter().collect()
}

/// Takes the one layer off that some key opens, and sees to it that the same key seals it again as it was.
fn peel(keys: &[Key], sealed: &[u8]) -> Option<Vec<u8>> {
    keys.iter().find_map(|(key, salt)| {
        let mut frame = sealed.to_vec();
        let mut layer = Layer::gcm(*key, *salt);
        layer.open(&mut frame).ok()?;
        let message = frame[HEAD..frame.len() - TAG].to_vec();
        let counter = u64::from_be_bytes(sealed[..HEAD].try_into().unwrap());
        layer.seal(counter, &mut frame)?;
        assert_eq!(frame, sealed);
        Some(message)
    })
}

#[test]
fn every_cell_opens_with_derived_keys_and_is_sealed_again_as_it_was() {
    for text in TRANSCRIPTS {
        let transcript = vectors(text);
        let keys = keys(&transcript);
        let mut layers = 0;
        for event in list(&transcript["events"]) {
            let kind = event["event"].as_str().unwrap();
            if !kind.starts_with("cell_") || event["plaintext_flag"] == true {
                continue;
            }
            let (mut outer, inner) = (hex(&event["message_before"]), hex(&event["message_after"]));
            let mut inner = inner;
            if outer.len() < inner.len() {
                std::mem::swap(&mut outer, &mut inner);
            }
            while outer != inner {
                assert!(outer.len() >= inner.len() + OVERHEAD, "{event}");
                outer = peel(&keys, &outer).unwrap_or_else(|| panic!("no key opens {event}"));
                layers += 1;
            }
        }
        assert!(layers > 0);
    }
}

#[test]
fn every_message_is_read_and_written_again_as_it_was() {
    let mut kinds = BTreeSet::new();
    for text in TRANSCRIPTS {
        for event in list(&vectors(text)["events"]) {
            for side in ["message_before", "message_after"] {
                let Some(bytes) = event.get(side).map(hex) else {
                    continue;
                };
                // What is still sealed begins with seven zeros of its counter.
                if event["event"].as_str().unwrap().starts_with("cell_")
                    && bytes.starts_with(&[0; 7])
                {
                    continue;
                }
                if let Ok(message) = Message::read(Dialect::Classic, &bytes) {
                    assert_eq!(message.to_bytes(Dialect::Classic).unwrap(), bytes);
                    kinds.insert(message.kind());
                } else {
                    panic!("cannot be read: {event}");
                }
            }
        }
    }
    for kind in [
        Kind::Data,
        Kind::Create,
        Kind::Created,
        Kind::Extend,
        Kind::Extended,
        Kind::Ping,
        Kind::Pong,
        Kind::EstablishIntro,
        Kind::IntroEstablished,
        Kind::EstablishRendezvous,
        Kind::RendezvousEstablished,
        Kind::LinkE2e,
        Kind::LinkedE2e,
        Kind::PeersRequest,
        Kind::PeersResponse,
    ] {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
}
