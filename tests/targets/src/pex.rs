//! Peer exchange: what is read is within limits, and means the same once written again.

use protocol::peer::pex::{MAX_PEX, PexMessage};

/// Checks one input.
pub fn run(data: &[u8]) {
    let Ok(message) = PexMessage::parse(data) else {
        return;
    };
    assert!(message.added.len() <= MAX_PEX && message.dropped.len() <= MAX_PEX);
    assert!(message.added.iter().all(|peer| peer.addr.port() != 0));
    // Families come out one after the other.
    let mut sorted = message;
    sorted.added.sort_by_key(|peer| peer.addr.is_ipv6());
    sorted.dropped.sort_by_key(std::net::SocketAddr::is_ipv6);
    assert_eq!(PexMessage::parse(&sorted.encode()), Ok(sorted));
}
