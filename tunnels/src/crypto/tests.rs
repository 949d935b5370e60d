mod onion;
mod transcripts;

use std::collections::BTreeSet;

use overlay::key::SecretKey;
use proptest::prelude::*;
use serde_json::Value;

use super::gcm::Gcm;
use super::layer::Layer;
use super::*;
use crate::Dialect;
use crate::testing::{array, from_hex, hex, list, number, rng, vectors};

const CLASSIC: &str = include_str!("../../tests/vectors/tunnel_crypto.json");
const MODERN: &str = include_str!("../../tests/vectors/later_era_tunnel.json");

fn pair(dialect: Dialect) -> (Session, Session) {
    let shared = Shared::from_bytes([7; 64]);
    let session = |side| Session::new(dialect, &shared, side, 10_000_000).expect("keys");
    (session(Side::Originator), session(Side::Joined))
}

#[test]
fn both_ends_agree_on_the_secret_of_the_vectors() {
    let (classic, modern) = (vectors(CLASSIC), vectors(MODERN));
    let mut all: Vec<(Dialect, &Value, &str, &str)> = list(&classic["key_agreement"])
        .iter()
        .map(|case| {
            (
                Dialect::Classic,
                case,
                "initiator_ephemeral_secret",
                "responder_ephemeral_secret",
            )
        })
        .collect();
    all.push((
        Dialect::Modern,
        &modern["key_agreement"],
        "X_secret",
        "Y_secret",
    ));
    for (dialect, case, x, y) in all {
        let node = SecretKey::from_bytes(&hex(&case["node_private_bin"])).unwrap();
        let (ours, theirs) = (
            Ephemeral::from_secret(&array(&case[x])),
            Ephemeral::from_secret(&array(&case[y])),
        );
        assert_eq!(ours.public()[..], hex(&case["X"]));
        assert_eq!(theirs.public()[..], hex(&case["Y"]));
        let (joined, auth) = answer(&node, &theirs, ours.public()).unwrap();
        assert_eq!(joined.as_bytes()[..], hex(&case["shared_secret"]));
        assert_eq!(auth[..], hex(&case["auth"]));
        let hop = node.public().x25519().unwrap();
        let begun = conclude(&ours, &hop, theirs.public(), &auth).unwrap();
        assert_eq!(begun.as_bytes(), joined.as_bytes());
        derived_keys_are_those_of(dialect, case, &begun);
    }
}

/// Seals with the session and with keys and salts of the vector, and compares.
fn derived_keys_are_those_of(dialect: Dialect, case: &Value, shared: &Shared) {
    for (side, key, salt) in [(Side::Originator, "kb", "sb"), (Side::Joined, "kf", "sf")] {
        let mut session = Session::new(dialect, shared, side, 2).unwrap();
        let sealed = session.seal.seal_copy(b"message").unwrap();
        let salt = array(&case[salt]);
        let mut layer = match dialect {
            Dialect::Classic => Layer::gcm(array(&case[key]), salt),
            Dialect::Modern => Layer::chacha(&array(&case[key]), salt).unwrap(),
        };
        let mut frame = vec![0; OVERHEAD + 7];
        frame[HEAD..HEAD + 7].copy_from_slice(b"message");
        layer.seal(2, &mut frame).unwrap();
        assert_eq!(sealed, frame);
    }
}

fn seals_and_opens(mut layer: impl FnMut() -> Layer, case: &Value) {
    let (plain, output) = (hex(&case["plaintext"]), hex(&case["output"]));
    let mut frame = vec![0; HEAD];
    frame.extend_from_slice(&plain);
    frame.resize(plain.len() + OVERHEAD, 0);
    layer().seal(number(&case["counter"]), &mut frame).unwrap();
    assert_eq!(frame, output, "counter {}", case["counter"]);
    layer().open(&mut frame).unwrap();
    assert_eq!(frame[HEAD..HEAD + plain.len()], plain);
}

#[test]
fn aes_gcm_agrees_with_the_vectors_for_nonces_of_5_to_23_bytes() {
    let all = vectors(CLASSIC);
    for case in list(&all["aead"]) {
        seals_and_opens(
            || Layer::gcm(array(&case["key"]), array(&case["salt"])),
            case,
        );
    }
}

#[test]
fn chacha20_poly1305_agrees_with_the_vectors() {
    let all = vectors(MODERN);
    for case in list(&all["aead_chacha20poly1305"]) {
        let layer = || Layer::chacha(&array(&case["key"]), array(&case["salt"])).unwrap();
        seals_and_opens(layer, case);
    }
}

#[test]
fn what_is_shorter_than_a_layer_is_refused() {
    let (mut ours, mut theirs) = pair(Dialect::Classic);
    for len in 0..OVERHEAD {
        assert_eq!(theirs.open.open(&mut vec![0; len]), Err(OpenError::Short));
    }
    let mut empty = vec![0; OVERHEAD];
    ours.seal.seal(&mut empty).unwrap();
    theirs.open.open(&mut empty).unwrap();
}

#[test]
fn nist_test_case_6_for_a_nonce_of_60_bytes() {
    let key = from_hex("feffe9928665731c6d6a8f9467308308");
    let nonce = from_hex(concat!(
        "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728",
        "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b"
    ));
    // The case has associated data; without it the ciphertext is the same and the tag is not.
    let mut message = from_hex(concat!(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    ));
    let ciphertext = from_hex(concat!(
        "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7",
        "01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5"
    ));
    let mut gcm = Gcm::new(key.try_into().unwrap());
    let tag = gcm.seal(&nonce, &mut message).unwrap();
    assert_eq!(message, ciphertext);
    message.extend_from_slice(&tag);
    assert!(gcm.open(&nonce, &mut message));
}

#[test]
fn a_hop_that_is_not_the_one_that_was_asked_is_found_out() {
    let mut rng = rng(3);
    let (asked, other) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let (x, y) = (Ephemeral::generate(&mut rng), Ephemeral::generate(&mut rng));
    let (theirs, mut auth) = answer(&other, &y, x.public()).unwrap();
    let hop = asked.public().x25519().unwrap();
    let ours = conclude(&x, &hop, y.public(), &auth).unwrap();
    let (_, list) = Session::joined(Dialect::Classic, &theirs, 2, 3, b"").unwrap();
    let mut session = Session::new(Dialect::Classic, &ours, Side::Originator, 2).unwrap();
    assert_eq!(session.open_list(&list), Err(OpenError::Forged));
    auth[5] ^= 1;
    let refused = conclude(&x, &hop, y.public(), &auth).unwrap_err();
    assert_eq!(refused, AgreeError::Code);
}

#[test]
fn keys_of_low_order_are_refused_on_both_sides() {
    let mut rng = rng(4);
    let node = SecretKey::generate(&mut rng);
    let pair = Ephemeral::generate(&mut rng);
    let hop = node.public().x25519().unwrap();
    for low in [
        [0; 32],
        array(&Value::from(
            "0100000000000000000000000000000000000000000000000000000000000000",
        )),
    ] {
        assert_eq!(
            answer(&node, &pair, &low).unwrap_err(),
            AgreeError::LowOrder
        );
        let refused = conclude(&pair, &hop, &low, &[0; 32]).unwrap_err();
        assert_eq!(refused, AgreeError::LowOrder);
    }
}

#[test]
fn a_cell_opens_once() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        let (mut ours, mut theirs) = pair(dialect);
        let sealed = ours.seal.seal_copy(b"once").unwrap();
        assert_eq!(theirs.open.open_copy(&sealed).unwrap(), b"once");
        let again = theirs.open.open_copy(&sealed).unwrap_err();
        assert_eq!(again, OpenError::Replayed);
    }
}

#[test]
fn a_forged_cell_does_not_spoil_the_counter_that_it_names() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        let (mut ours, mut theirs) = pair(dialect);
        let sealed = ours.seal.seal_copy(b"true").unwrap();
        let mut forged = sealed.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(theirs.open.open_copy(&forged), Err(OpenError::Forged));
        assert_eq!(theirs.open.open_copy(&sealed).unwrap(), b"true");
    }
}

#[test]
fn the_list_of_a_node_that_joins_never_has_a_nonce_of_the_originator() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        let shared = Shared::from_bytes([9; 64]);
        let mut rng = rng(5);
        let first = first_counter(&mut rng);
        let (_, list) = Session::joined(dialect, &shared, first, ANSWER_COUNTER, b"list").unwrap();
        let mut ours = Session::new(dialect, &shared, Side::Originator, first).unwrap();
        assert_eq!(ours.open_list(&list).unwrap(), b"list");
        let mut seen = BTreeSet::from([list[..HEAD].to_vec()]);
        for _ in 0..1000 {
            let sealed = ours.seal.seal_copy(b"").unwrap();
            assert!(seen.insert(sealed[..HEAD].to_vec()));
        }
    }
}

#[test]
fn counters_begin_with_eight_digits_and_keep_them_for_all_that_a_circuit_may_carry() {
    let mut rng = rng(6);
    let most_cells = Dialect::Classic.max_traffic() / 60;
    for _ in 0..1000 {
        let first = first_counter(&mut rng);
        assert!((10_000_000..100_000_000).contains(&first));
        assert!(first + most_cells < 100_000_000);
    }
}

#[test]
fn no_counter_is_used_twice_in_sixteen_million_cells() {
    std::thread::scope(|scope| {
        for dialect in [Dialect::Classic, Dialect::Modern] {
            scope.spawn(move || {
                let (mut ours, _) = pair(dialect);
                let mut frame = [0; OVERHEAD];
                let mut last = 0;
                for _ in 0..1 << 24 {
                    ours.seal.seal(&mut frame).unwrap();
                    let counter = u64::from_be_bytes(*frame.first_chunk().unwrap());
                    assert!(counter > last);
                    last = counter;
                }
                assert!(last < ANSWER_COUNTER);
            });
        }
    });
}

#[test]
fn an_idle_session_takes_a_kilobyte() {
    let size = size_of::<Session>();
    assert!(size <= 640, "{size} bytes in place");
}

proptest! {
    #[test]
    fn what_is_sealed_opens_on_the_other_side(
        modern: bool, message in prop::collection::vec(any::<u8>(), 0..300), first in 0_u64..1 << 62,
    ) {
        let dialect = if modern { Dialect::Modern } else { Dialect::Classic };
        let shared = Shared::from_bytes([1; 64]);
        let mut ours = Session::new(dialect, &shared, Side::Originator, first).unwrap();
        let mut theirs = Session::new(dialect, &shared, Side::Joined, first).unwrap();
        let sealed = ours.seal.seal_copy(&message).unwrap();
        prop_assert_eq!(theirs.open.open_copy(&sealed).unwrap(), &message[..]);
        let sealed = theirs.seal.seal_copy(&message).unwrap();
        prop_assert_eq!(ours.open.open_copy(&sealed).unwrap(), message);
    }

    #[test]
    fn both_halves_of_gcm_are_one_cipher(
        key: [u8; 16], nonce in prop::collection::vec(any::<u8>(), 1..30),
        message in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>(),
    ) {
        let mut sealed = message.clone();
        let tag = Gcm::new(key).seal(&nonce, &mut sealed).unwrap();
        sealed.extend_from_slice(&tag);
        let mut opened = sealed.clone();
        prop_assert!(Gcm::new(key).open(&nonce, &mut opened));
        prop_assert_eq!(&opened[..message.len()], &message[..]);
        let at = flip.index(sealed.len());
        sealed[at] ^= 0x10;
        prop_assert!(!Gcm::new(key).open(&nonce, &mut sealed));
    }
}
