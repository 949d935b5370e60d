use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

fn unhex(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// The input of a case, written out or as a repetition.
fn input(case: &Json) -> Vec<u8> {
    let Some(repeat) = case.get("input_repeat") else {
        return unhex(case["input_hex"].as_str().unwrap());
    };
    let mut bytes = unhex(repeat["prefix_hex"].as_str().unwrap());
    let byte = unhex(repeat["byte_hex"].as_str().unwrap())[0];
    bytes.resize(
        bytes.len() + repeat["count"].as_u64().unwrap() as usize,
        byte,
    );
    bytes
}

/// A value of the vectors as tree.
fn tree(json: &Json) -> Tree {
    if let Some(int) = json.get("int") {
        Tree::Int(int.as_i64().unwrap())
    } else if let Some(bytes) = json.get("bytes") {
        Tree::Bytes(unhex(bytes.as_str().unwrap()))
    } else if let Some(list) = json.get("list") {
        Tree::List(list.as_array().unwrap().iter().map(tree).collect())
    } else {
        let members = json["dict"].as_array().unwrap().iter();
        Tree::Dict(
            members
                .map(|m| (unhex(m[0].as_str().unwrap()), tree(&m[1])))
                .collect(),
        )
    }
}

/// What is wrong with ours in a case, as text.
fn complaint(case: &Json) -> Option<String> {
    let bytes = input(case);
    let limits = Limits::default();
    let column = |name: &str| case[name].as_str().unwrap().starts_with("accept");
    let lenient = decode(&bytes, &limits);
    if lenient.is_ok() != column("ours_lenient") {
        return Some(format!("lenient: {lenient:?}"));
    }
    let strict = decode_canonical(&bytes, &limits);
    if strict.is_ok() != column("ours_strict") {
        return Some(format!("strict: {strict:?}"));
    }
    let value = Tree::from(lenient.ok()?);
    // libtorrent reads the smallest integer as 0.
    let expected = match case["name"].as_str().unwrap() {
        "int min i64" => Some(Tree::Int(i64::MIN)),
        _ => case.get("value").map(tree),
    };
    if expected.as_ref().is_some_and(|expected| *expected != value) {
        return Some(format!("value: {value:?}"));
    }
    let encoded = value.to_bytes();
    let identical = case["reencode_identical"] == true || value == Tree::Int(i64::MIN);
    if identical != (encoded == bytes) {
        return Some(format!("encoded: {}", encoded.escape_ascii()));
    }
    let canonical = case
        .get("reencoded_hex")
        .map(|hex| unhex(hex.as_str().unwrap()));
    if canonical.is_some_and(|canonical| canonical != encoded) && !identical {
        return Some(format!("encoded: {}", encoded.escape_ascii()));
    }
    None
}

#[test]
fn every_case_of_the_vectors_is_read_as_its_columns_say() {
    let vectors = include_str!("../../tests/vectors/bencode.json");
    let vectors: Json = serde_json::from_str(vectors).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 78);
    let mut wrong = String::new();
    for case in cases {
        if let Some(complaint) = complaint(case) {
            let _ = writeln!(wrong, "{}: {complaint}", case["name"]);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn error(bytes: &[u8]) -> (usize, ErrorKind) {
    let error = decode(bytes, &Limits::default()).unwrap_err();
    (error.offset, error.kind)
}

#[test]
fn errors_name_the_byte() {
    assert_eq!(error(b""), (0, ErrorKind::UnexpectedEnd));
    assert_eq!(error(b"d1:ai1e"), (7, ErrorKind::UnexpectedEnd));
    assert_eq!(error(b"i1x"), (2, ErrorKind::ExpectedDigit));
    assert_eq!(error(b"d1:ae"), (4, ErrorKind::ExpectedValue));
    assert_eq!(error(b"l12"), (3, ErrorKind::ExpectedColon));
    assert_eq!(error(b"i9223372036854775808e"), (1, ErrorKind::Overflow));
    assert_eq!(error(&[b'l'; 100]), (99, ErrorKind::TooDeep));
    let strict = |bytes: &[u8]| decode_canonical(bytes, &Limits::default()).unwrap_err();
    let kinds: [(&[u8], usize, ErrorKind); 6] = [
        (b"d1:bi1e1:ai1ee", 7, ErrorKind::UnsortedKeys),
        (b"d1:ai1e1:ai1ee", 7, ErrorKind::DuplicateKey),
        (b"i-0e", 1, ErrorKind::LeadingZero),
        (b"l02:abe", 1, ErrorKind::LeadingZero),
        (b"0:0:", 2, ErrorKind::TrailingBytes),
        (b"d1:ad1:b0:1:a0:ee", 10, ErrorKind::UnsortedKeys),
    ];
    for (bytes, offset, kind) in kinds {
        assert_eq!(
            strict(bytes),
            Error { offset, kind },
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn limits_are_exact() {
    let limits = Limits {
        depth: 3,
        tokens: 7,
        bytes: 12,
    };
    let kind = |bytes: &[u8]| decode(bytes, &limits).err().map(|error| error.kind);
    assert_eq!(kind(b"llee"), None);
    assert_eq!(kind(b"llleee"), Some(ErrorKind::TooDeep));
    assert_eq!(kind(b"l0:0:0:0:0:e"), None);
    let narrow = Limits {
        tokens: 6,
        ..limits
    };
    let refused = decode(b"l0:0:0:0:0:e", &narrow).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TooManyTokens);
    assert_eq!(kind(b"10:aaaaaaaaaa"), Some(ErrorKind::TooLong));
    // A configured depth beyond what the scanner can keep is cut, not overrun.
    let deep = Limits {
        depth: usize::MAX,
        ..Limits::default()
    };
    let nested = |depth| [vec![b'l'; depth], vec![b'e'; depth]].concat();
    assert!(decode(&nested(MAX_DEPTH - 1), &deep).is_ok());
    assert!(decode(&nested(MAX_DEPTH), &deep).is_err());
}

#[test]
fn a_prefix_tells_what_it_takes() {
    let message = b"d8:msg_typei1e5:piecei0eepayload";
    let (value, used) = decode_prefix(message, &Limits::MESSAGE).unwrap();
    assert_eq!(&message[used..], b"payload");
    assert_eq!(value.raw(), &message[..used]);
    assert_eq!(value.as_dict().unwrap().int(b"msg_type"), Some(1));
}

#[test]
fn values_are_read_in_place() {
    let bytes = b"d1:ai-5e1:bl1:x3:\xffyze1:cd0:i1ee1:ai7ee";
    let value = decode(bytes, &Limits::default()).unwrap();
    let dict = value.as_dict().unwrap();
    assert_eq!(dict.int(b"a"), Some(-5), "the first of two keys counts");
    let [c, b, none] = dict.get_many([b"c", b"b", b"zz"]);
    assert_eq!(c.unwrap().as_dict().unwrap().int(b""), Some(1));
    let list: Vec<_> = b.unwrap().as_list().unwrap().iter().collect();
    assert_eq!(list[0].as_str(), Some("x"));
    assert_eq!(
        (list[1].as_bytes(), list[1].as_str()),
        (Some(&b"\xffyz"[..]), None)
    );
    assert_eq!(none, None);
    assert_eq!(dict.iter().count(), 4);
    assert_eq!(b.unwrap().raw(), b"l1:x3:\xffyze");
    assert!(value.as_int().is_none() && value.as_bytes().is_none());
    assert!(value.as_list().is_none() && c.unwrap().kind() == Kind::Dict);
    assert_eq!(format!("{value:?}").len(), bytes.escape_ascii().count());
}

#[test]
fn typed_values_are_scanned_first() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Announce {
        interval: i64,
        #[serde(with = "serde_bytes")]
        peers: Vec<u8>,
    }
    let value = Announce {
        interval: 1800,
        peers: vec![1, 2, 255],
    };
    let bytes = typed::to_bytes(&value).unwrap();
    assert_eq!(bytes, b"d8:intervali1800e5:peers3:\x01\x02\xffe");
    let read: Announce = typed::from_bytes(&bytes, &Limits::MESSAGE).unwrap();
    assert_eq!(read, value);
    let deep = [b"d8:interval".as_slice(), &vec![b'l'; 50_000]].concat();
    let refused = typed::from_bytes::<Announce>(&deep, &Limits::MESSAGE).unwrap_err();
    assert!(matches!(refused, typed::TypedError::Bencode(e) if e.kind == ErrorKind::TooDeep));
    let refused = typed::from_bytes::<Announce>(b"le", &Limits::MESSAGE).unwrap_err();
    assert!(matches!(refused, typed::TypedError::Shape(_)));
}

#[test]
#[should_panic(expected = "key out of order")]
#[cfg(debug_assertions)]
fn the_encoder_notices_keys_out_of_order() {
    let mut e = Encoder::new();
    e.begin_dict().key(b"b").int(1).key(b"a");
}

/// Any value, up to eight containers deep.
fn any_tree() -> impl Strategy<Value = Tree> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![
        any::<i64>().prop_map(Tree::Int),
        bytes.prop_map(Tree::Bytes)
    ];
    leaf.prop_recursive(8, 64, 6, |inner| {
        let key = proptest::collection::vec(any::<u8>(), 0..4);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Tree::List),
            proptest::collection::btree_map(key, inner, 0..6).prop_map(Tree::Dict),
        ]
    })
}

/// Bytes that are often nearly bencode.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => proptest::sample::select(b"dleie0123:-".to_vec()),
        1 => any::<u8>(),
    ];
    let noise = proptest::collection::vec(byte, 0..40);
    let broken = (
        any_tree(),
        any::<proptest::sample::Index>(),
        any::<u8>(),
        0..3,
    )
        .prop_map(|(tree, at, byte, how)| {
            let mut bytes = tree.to_bytes();
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
            bytes
        });
    prop_oneof![noise, broken, proptest::collection::vec(any::<u8>(), 0..60)]
}

/// What serde_bencode makes of a value, as tree.
fn from_serde(value: serde_bencode::value::Value) -> Tree {
    use serde_bencode::value::Value as Theirs;
    match value {
        Theirs::Bytes(bytes) => Tree::Bytes(bytes),
        Theirs::Int(int) => Tree::Int(int),
        Theirs::List(list) => Tree::List(list.into_iter().map(from_serde).collect()),
        Theirs::Dict(dict) => {
            let members: BTreeMap<_, _> = dict.into_iter().collect();
            Tree::Dict(
                members
                    .into_iter()
                    .map(|(k, v)| (k, from_serde(v)))
                    .collect(),
            )
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(tree in any_tree()) {
        let bytes = tree.to_bytes();
        let value = decode_canonical(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(value.raw(), bytes.as_slice());
        prop_assert_eq!(Tree::from(value), tree);
    }

    #[test]
    fn serde_agrees_on_canonical_values(tree in any_tree()) {
        let theirs = serde_bencode::from_bytes(&tree.to_bytes()).unwrap();
        prop_assert_eq!(from_serde(theirs), tree);
    }

    #[test]
    fn canonical_is_what_encoding_gives_and_nothing_else(bytes in nearly()) {
        let limits = Limits::default();
        let canonical = is_canonical(&bytes, &limits);
        match decode_prefix(&bytes, &limits) {
            Ok((value, used)) => {
                prop_assert_eq!(value.raw(), &bytes[..used]);
                let encoded = Tree::from(value).to_bytes();
                prop_assert!(is_canonical(&encoded, &limits));
                prop_assert_eq!(encoded == bytes, canonical);
                // Every prefix of the value is incomplete, and what follows it does not matter.
                prop_assert!(decode(&bytes[..used - 1], &limits).is_err());
                prop_assert_eq!(decode(&bytes[..used], &limits), Ok(value));
            }
            Err(error) => {
                prop_assert!(!canonical);
                prop_assert!(error.offset <= bytes.len());
            }
        }
    }

    #[test]
    fn every_part_of_a_value_is_a_value(bytes in nearly()) {
        let limits = Limits::default();
        let Ok(value) = decode(&bytes, &limits) else { return Ok(()) };
        let mut left = vec![value];
        while let Some(value) = left.pop() {
            let (again, used) = decode_prefix(value.raw(), &limits).unwrap();
            prop_assert_eq!((again, used), (value, value.raw().len()));
            match value.kind() {
                Kind::Int => prop_assert!(value.as_int().is_some()),
                Kind::Bytes => prop_assert!(value.as_bytes().is_some()),
                Kind::List => {
                    let list = value.as_list().unwrap();
                    prop_assert_eq!(list.is_empty(), list.iter().next().is_none());
                    left.extend(list.iter());
                }
                Kind::Dict => {
                    let dict = value.as_dict().unwrap();
                    prop_assert_eq!(dict.is_empty(), dict.iter().next().is_none());
                    for (key, _) in dict {
                        let first = dict.iter().find(|(k, _)| *k == key).map(|(_, v)| v);
                        prop_assert_eq!(dict.get(key), first);
                        prop_assert_eq!(dict.get_many([key]), [first]);
                    }
                    left.extend(dict.iter().map(|(_, value)| value));
                }
            }
        }
    }
}
