//! What is said in tunnels: whatever is understood means the same once written again, and the lists inside of messages are
//! bounded.
#![no_main]

use tunnels::message::{
    MAX_CANDIDATES, MAX_PEERS, Message, read_candidates, read_peers, read_rendezvous,
    write_candidates, write_peers, write_rendezvous,
};
use tunnels::{Dialect, Head};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let dialect = match choice % 2 {
        0 => Dialect::Classic,
        _ => Dialect::Modern,
    };
    match choice / 2 % 5 {
        0 => message(dialect, data),
        1 => {
            if let Ok(keys) = read_candidates(dialect, data) {
                assert!(keys.len() <= MAX_CANDIDATES);
                let packed = write_candidates(dialect, keys.iter().map(Vec::as_slice));
                assert_eq!(read_candidates(dialect, &packed).expect("ours"), keys);
            }
        }
        2 => {
            if let Ok(peers) = read_peers(dialect, data) {
                assert!(peers.len() <= MAX_PEERS);
                let packed = write_peers(dialect, &peers);
                assert_eq!(read_peers(dialect, &packed).expect("ours"), peers);
            }
        }
        3 => {
            if let Ok(rendezvous) = read_rendezvous(dialect, data) {
                let packed =
                    write_rendezvous(dialect, &rendezvous).expect("what was read can be said");
                assert_eq!(read_rendezvous(dialect, &packed).expect("ours"), rendezvous);
            }
        }
        _ => {
            if let Some(head) = Head::read(dialect, data) {
                assert!(data.len() > Head::len(dialect));
                assert!(!head.early || dialect == Dialect::Modern);
            }
        }
    }
});

fn message(dialect: Dialect, data: &[u8]) {
    let Ok(message) = Message::read(dialect, data) else {
        return;
    };
    let written = message
        .to_bytes(dialect)
        .expect("what was read can be said");
    assert_eq!(Message::read(dialect, &written).expect("ours"), message);
}
