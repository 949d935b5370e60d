//! Magnet links: what is accepted names a torrent and means the same once written again.

use protocol::magnet::Magnet;

/// Checks one input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(magnet) = Magnet::parse(text) else {
        return;
    };
    assert!(magnet.hashes.is_some() || magnet.mutable.is_some());
    assert!(magnet.peers.iter().all(|peer| peer.port() > 0));
    assert!(
        magnet
            .nodes
            .iter()
            .all(|(host, port)| !host.is_empty() && *port > 0)
    );
    let link = magnet.to_string();
    assert!(link.is_ascii() && !link.contains(char::is_whitespace));
    let again = Magnet::parse(&link).expect("a link of ours");
    assert_eq!(again, magnet);
    assert_eq!(again.to_string(), link);
}
