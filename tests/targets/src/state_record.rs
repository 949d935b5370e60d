//! Records of the state: whatever the bytes, reading them ends well, and what is read has one form. The first byte says which
//! kind of record the rest is.

use std::fmt::Debug;

use state::{Details, Hops, Progress, Record, Torrent, Totals, Traffic};

/// Checks one input.
pub fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind % 6 {
        0 => check::<Torrent>(data),
        1 => check::<Details>(data),
        2 => check::<Progress>(data),
        3 => check::<Traffic>(data),
        4 => check::<Totals>(data),
        _ => check::<Hops>(data),
    }
}

fn check<R: Record + PartialEq + Debug>(data: &[u8]) {
    let _ = R::decode(data);
    // The sum at the end would stop the fuzzer at the door.
    let sealed = [data, &crc32fast::hash(data).to_le_bytes()].concat();
    if let Ok(record) = R::decode(&sealed) {
        let again = record.encode();
        assert_eq!(R::decode(&again).as_ref(), Ok(&record));
        if sealed[0] == R::VERSION {
            assert_eq!(again, sealed);
        }
    }
}
