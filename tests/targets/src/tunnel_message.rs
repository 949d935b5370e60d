//! What is said in tunnels: whatever is understood is written again in the same bytes, and the lists inside of messages are
//! bounded.

use overlay::wire::Address;
use tunnels::message::{
    MAX_CANDIDATES, MAX_PEERS, Message, read_announcement, read_candidates, read_peers,
    read_rendezvous, write_announcement, write_candidates, write_peers, write_rendezvous,
};
use tunnels::policy::{NoAnswer, asked_of_tracker};
use tunnels::{Dialect, Head};

/// Checks one input.
pub fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let dialect = match choice % 2 {
        0 => Dialect::Classic,
        _ => Dialect::Modern,
    };
    match choice / 2 % 7 {
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
        4 => {
            if let Ok(Some(point)) = read_announcement(dialect, data) {
                let packed = write_announcement(dialect, &point, 7).expect("what was read");
                let read = read_announcement(dialect, &packed).expect("ours");
                assert_eq!(read, Some(point));
            }
        }
        5 => request(data),
        _ => {
            if let Some(head) = Head::read(dialect, data) {
                assert!(data.len() > Head::len(dialect));
                assert!(!head.early || dialect == Dialect::Modern);
            }
        }
    }
}

/// Whatever is asked for, it is asked of the host that the cell names, over HTTP.
fn request(data: &[u8]) {
    let (host, request) = data.split_at(data.len().min(16));
    let Ok(host) = std::str::from_utf8(host) else {
        return;
    };
    let named = Address::Host(host.to_owned(), 6969);
    if let Some((url, _)) = asked_of_tracker(&named, request) {
        assert!(url.scheme() == "http" && url.port() == Some(6969) && url.username().is_empty());
        assert!(!url.as_str().contains(['\r', '\n', ' ']));
    }
    if let Some(told) = NoAnswer::read(data) {
        assert_eq!(NoAnswer::read(&told.reply()), Some(told));
    }
    let addr = ([1, 2, 3, 4], 6969).into();
    if let Some((url, _)) = asked_of_tracker(&Address::Ip(addr), request) {
        assert_eq!(url.host_str(), Some("1.2.3.4"));
        assert!(!url.as_str().contains(['\r', '\n', ' ']));
    }
}

fn message(dialect: Dialect, data: &[u8]) {
    let Ok(message) = Message::read(dialect, data) else {
        return;
    };
    let mut written = message
        .to_bytes(dialect)
        .expect("what was read can be said");
    assert_eq!(Message::read(dialect, &written).expect("ours"), message);
    // Early versions of the newer dialect leave out the kind of addresses at the end.
    let ends_in_address = matches!(
        message,
        Message::Extend { .. } | Message::RendezvousEstablished { .. }
    );
    if dialect == Dialect::Modern && ends_in_address && written.len() == data.len() + 1 {
        assert_eq!(written.remove(written.len() - 7), 1);
    }
    assert_eq!(written, data);
}
