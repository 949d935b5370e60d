#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use super::*;
use crate::testing::{hex, list, number, text, vectors};

#[test]
fn values_agree_with_the_vectors_byte_for_byte() {
    let vectors = vectors(include_str!("../../../tests/vectors/dht.json"));
    for case in list(&vectors["values"]) {
        let (data, bytes) = (hex(&case["data"]), hex(&case["value"]));
        let read = Value::read(&bytes).unwrap();
        assert_eq!(read.data, data);
        if text(&case["kind"]) == "signed" {
            let key = SecretKey::from_bytes(&hex(&case["signer_private_bin"])).unwrap();
            let version = number(&case["version_unix_time"]) as u32;
            assert_eq!(read.signer, Some((key.public().clone(), version)));
            assert_eq!(Value::signed(&data, version, &key), bytes);
            assert_eq!(key.public().mid().0.to_vec(), hex(&case["storage_id"]));
            for at in 1..bytes.len() {
                let mut changed = bytes.clone();
                if let Some(byte) = changed.get_mut(at) {
                    *byte ^= 1;
                }
                assert!(Value::read(&changed).is_err(), "byte {at}");
            }
        } else {
            assert_eq!(read.signer, None);
            assert_eq!(Value::plain(&data), bytes);
        }
    }
    let announce = &vectors["announce_value"];
    let data = hex(&announce["value_without_type_byte"]);
    let stored = Value::plain(&data);
    assert_eq!(stored, hex(&announce["value_as_stored"]));
    assert_eq!(stored.len() as u64, number(&announce["length_as_stored"]));
}

#[test]
fn what_is_of_no_kind_is_no_value_and_23_bytes_can_be_signed_and_stored() {
    let key = SecretKey::from_bytes(&[7; 64]).unwrap();
    assert_eq!(Value::plain(&[0; 169]).len(), MAX_VALUE);
    assert_eq!(Value::signed(&[0; 23], 1, &key).len(), MAX_VALUE);
    assert_eq!(Value::read(&[]), Err(ValueError::Kind));
    assert_eq!(Value::read(&[2, 1, 1]), Err(ValueError::Kind));
}
