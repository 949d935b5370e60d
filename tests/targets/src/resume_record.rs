//! Resume records, notes of hops and notes of moves: whatever the bytes, reading them ends well, and what is read is written back the same.

use storage::MoveNote;
use storage::hops;
use storage::resume::Record;

/// Checks one input.
pub fn run(data: &[u8]) {
    if let Some(number) = hops::decode(data) {
        assert_eq!(hops::encode(number), data);
    }
    let _ = Record::decode(data);
    // The digest at the end would stop the fuzzer at the door.
    let sealed = [data, &hash::sha1(data)].concat();
    let _ = MoveNote::decode(data);
    if let Ok(note) = MoveNote::decode(&sealed) {
        assert_eq!(note.encode(), sealed);
    }
    if let Ok(record) = Record::decode(&sealed) {
        // Unused flag bits are not kept.
        let mut again = record.encode();
        assert_eq!(Record::decode(&again).ok().as_ref(), Some(&record));
        again[5] = sealed[5];
        let body = sealed.len() - 20;
        assert_eq!(again[..body], sealed[..body]);
    }
}
