//! Bencoded bodies, written straight from what was picked.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use protocol::tracker::http::PeerForm;

use crate::policy::Policy;
use crate::swarms::{Picked, Standing};

/// The body of an announce's answer. Keys stand in the order that bencoding asks for.
pub(super) fn announce(
    out: &mut Vec<u8>,
    policy: &Policy,
    standing: &Standing,
    picked: &Picked,
    form: PeerForm,
    external_ip: Option<IpAddr>,
) {
    let counts = standing.counts;
    number(out, b"d8:complete", counts.seeders);
    if policy.tells_completed {
        number(out, b"10:downloaded", standing.completed);
        number(out, b"11:downloaders", counts.leechers - counts.partial);
    }
    match external_ip {
        Some(IpAddr::V4(ip)) => bytes(out, b"11:external ip", &ip.octets()),
        Some(IpAddr::V6(ip)) => bytes(out, b"11:external ip", &ip.octets()),
        None => {}
    }
    number(out, b"10:incomplete", counts.leechers);
    number(out, b"8:interval", policy.interval);
    number(out, b"12:min interval", policy.min_interval);
    match form {
        PeerForm::Compact => {
            bytes(out, b"5:peers", picked.v4.as_flattened());
            bytes(out, b"6:peers6", picked.v6.as_flattened());
        }
        PeerForm::Dict | PeerForm::DictNoPeerId => {
            out.extend_from_slice(b"5:peersl");
            let named = form == PeerForm::Dict;
            for (at, [a, b, c, d, high, low]) in picked.v4.iter().enumerate() {
                let ip = Ipv4Addr::new(*a, *b, *c, *d);
                let id = picked.v4_ids.get(at).filter(|_| named);
                peer(out, ip.into(), id, [*high, *low]);
            }
            for (at, addr) in picked.v6.iter().enumerate() {
                let (ip, port) = split(addr);
                let id = picked.v6_ids.get(at).filter(|_| named);
                peer(out, ip.into(), id, port);
            }
            out.push(b'e');
        }
    }
    out.push(b'e');
}

/// The body of a refusal.
pub(super) fn failure(out: &mut Vec<u8>, reason: &str) {
    bytes(out, b"d14:failure reason", reason.as_bytes());
    out.push(b'e');
}

fn peer(out: &mut Vec<u8>, ip: IpAddr, id: Option<&[u8; 20]>, port: [u8; 2]) {
    let mut text = [0; 45];
    let mut rest = &mut text[..];
    // 45 bytes hold every address.
    let written = write!(rest, "{ip}");
    debug_assert!(written.is_ok(), "{ip}");
    let left = rest.len();
    bytes(out, b"d2:ip", &text[..text.len() - left]);
    if let Some(id) = id {
        bytes(out, b"7:peer id", id);
    }
    number(out, b"4:port", u16::from_be_bytes(port).into());
    out.push(b'e');
}

fn split(addr: &[u8; 18]) -> (Ipv6Addr, [u8; 2]) {
    let mut ip = [0; 16];
    ip.copy_from_slice(&addr[..16]);
    (ip.into(), [addr[16], addr[17]])
}

fn number(out: &mut Vec<u8>, key: &[u8], number: u32) {
    out.extend_from_slice(key);
    out.push(b'i');
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.push(b'e');
}

fn bytes(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.extend_from_slice(key);
    out.extend_from_slice(itoa::Buffer::new().format(value.len()).as_bytes());
    out.push(b':');
    out.extend_from_slice(value);
}
