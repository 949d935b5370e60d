//! The bencode scanner: what it accepts is one value, means the same once written again, and is canonical exactly if it
//! is written the same.

use std::collections::BTreeMap;

use protocol::bencode::{
    Kind, Limits, Tree, Value, decode, decode_canonical, decode_prefix, is_canonical, typed,
};

/// Reads every part of a value and finds each to be a value of its own.
fn walk(value: Value<'_>, limits: &Limits) {
    let mut left = vec![value];
    let mut bytes = 0;
    while let Some(value) = left.pop() {
        bytes += value.raw().len();
        assert_eq!(decode(value.raw(), limits), Ok(value));
        match value.kind() {
            Kind::Bytes => assert!(value.as_bytes().is_some()),
            Kind::Dict => {
                let dict = value.as_dict().expect("a dictionary");
                for (key, member) in dict {
                    let first = dict.get(key).expect("the key is there");
                    assert!(first.raw().as_ptr() <= member.raw().as_ptr());
                    assert_eq!(dict.get_many([key]), [Some(first)]);
                    left.push(member);
                }
            }
            Kind::Int => assert!(value.as_int().is_some()),
            Kind::List => left.extend(value.as_list().expect("a list").iter()),
        }
        // Deep values are read once for every level above them: enough is enough.
        if bytes > 100_000 {
            break;
        }
    }
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let limits = Limits {
        depth: 40,
        tokens: 4096,
        bytes: 64 * 1024,
    };
    let canonical = is_canonical(data, &limits);
    let Ok((value, used)) = decode_prefix(data, &limits) else {
        assert!(!canonical);
        return;
    };
    assert_eq!(value.raw(), &data[..used]);
    assert!(decode(&data[..used - 1], &limits).is_err());
    walk(value, &limits);

    let tree = Tree::from(value);
    let written = tree.to_bytes();
    assert_eq!(written == data, canonical);
    let again = decode_canonical(&written, &limits).expect("what is written is canonical");
    assert_eq!(Tree::from(again), tree);

    let numbers = typed::from_bytes::<BTreeMap<String, i64>>(&written, &limits);
    if let (Ok(numbers), Some(dict)) = (numbers, again.as_dict()) {
        assert_eq!(numbers.len(), dict.iter().count());
        for (key, number) in numbers {
            assert_eq!(dict.int(key.as_bytes()), Some(number));
        }
    }
}
