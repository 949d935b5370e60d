//! Whom members of communities hear, and what answers look like to them.

use std::net::SocketAddrV4;

use overlay::packet::Packet;

/// Another member's address.
pub(crate) fn addr(host: u8) -> SocketAddrV4 {
    SocketAddrV4::new([8, 8, 8, host].into(), 100 + u16::from(host))
}

/// A body that begins as the one that was sent last.
pub(crate) fn answer(last: &[u8], change: &[u8]) -> Vec<u8> {
    let sent = Packet::parse(last)
        .and_then(|packet| packet.open().map(|signed| signed.body().rest().to_vec()));
    let mut body = sent.unwrap_or_default();
    body.truncate(12);
    body.extend_from_slice(change);
    body
}
