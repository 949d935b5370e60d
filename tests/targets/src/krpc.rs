//! Datagrams of the DHT: read, and written again.

use std::net::IpAddr;

use protocol::krpc::item::{immutable_target, torrent_of, torrent_value};
use protocol::krpc::{Bloom, Body, DecodeError, MAX_TRANSACTION, Message, Method, Put, secure};

/// Checks one input.
pub fn run(data: &[u8]) {
    let message = match Message::decode(data) {
        Ok(message) => message,
        Err(DecodeError::Query {
            transaction, code, ..
        }) => {
            assert!(transaction.len() <= MAX_TRANSACTION && code.number() >= 201);
            return;
        }
        Err(_) => return,
    };
    match &message.body {
        Body::Query(query) => {
            let ip = IpAddr::from([8, 8, 8, 8]);
            secure::is_valid(&query.id, ip);
            if let Method::Put(Put::Immutable { value, .. }) = query.method {
                immutable_target(value);
                torrent_of(value);
            }
            if let Method::Put(Put::Mutable { item, .. }) = query.method {
                item.target();
                if let Some(torrent) = torrent_of(item.value) {
                    assert_eq!(torrent_of(&torrent_value(torrent)), Some(torrent));
                }
                item.is_authentic();
            }
        }
        Body::Response(response) => {
            assert!(response.all_nodes().count() <= data.len() / 26);
            assert!(response.values.iter().count() <= data.len() / 6);
            let filters: Vec<Bloom> = [response.seeds, response.leechers]
                .into_iter()
                .flatten()
                .map(|filter| Bloom::from(*filter))
                .collect();
            assert!(Bloom::agreed(&filters, 2).estimate() >= 0.0);
        }
        Body::Error(_) => {}
    }
    // What was read is written and read as the same; what was unknown, repeated or out of order is gone by then, so that
    // a second writing changes nothing. IPv4 in IPv6 clothes is written as IPv4.
    let bytes = message.to_bytes();
    let again = Message::decode(&bytes).expect("own datagram");
    assert_eq!(again, message);
    assert_eq!(again.to_bytes(), bytes);
}
