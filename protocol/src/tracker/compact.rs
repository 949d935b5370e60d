//! Compact addresses: peers of trackers (BEP 23, BEP 7) and nodes of the DHT (BEP 5, BEP 32).
//!
//! # Format
//! A peer is an address of 4 or 16 bytes and a port of 2, big-endian; a node is its 20-byte id and then a peer. Lists
//! are entries back to back; a rest shorter than an entry is ignored.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes of an IPv4 peer.
pub const V4_LEN: usize = 6;
/// Bytes of an IPv6 peer.
pub const V6_LEN: usize = 18;

/// A node of the DHT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactNode {
    /// Its id.
    pub id: [u8; 20],
    /// Its address; port 0 is possible and not to be used.
    pub addr: SocketAddr,
}

/// The IPv4 peers of a list, port 0 included.
pub fn peers_v4(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> + '_ {
    bytes
        .as_chunks::<V4_LEN>()
        .0
        .iter()
        .map(|bytes| peer_v4(*bytes))
}

/// The IPv6 peers of a list, port 0 included; IPv4 addresses in IPv6 clothes come out as IPv4.
pub fn peers_v6(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> + '_ {
    bytes.as_chunks::<V6_LEN>().0.iter().map(peer_v6)
}

/// The IPv4 nodes of a list.
pub fn nodes_v4(bytes: &[u8]) -> impl Iterator<Item = CompactNode> + '_ {
    nodes::<26, V4_LEN>(bytes, |bytes| peer_v4(*bytes))
}

/// The IPv6 nodes of a list.
pub fn nodes_v6(bytes: &[u8]) -> impl Iterator<Item = CompactNode> + '_ {
    nodes::<38, V6_LEN>(bytes, peer_v6)
}

/// An address without a port: 4 or 16 bytes (BEP 24, `yourip` of BEP 10).
pub fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|b| IpAddr::from(b).to_canonical()))
        .ok()
}

/// An address with a port: 6 or 18 bytes (`ip` of BEP 42).
pub fn peer(bytes: &[u8]) -> Option<SocketAddr> {
    let v4 = <[u8; V4_LEN]>::try_from(bytes).map(peer_v4);
    v4.or_else(|_| <[u8; V6_LEN]>::try_from(bytes).map(|b| peer_v6(&b)))
        .ok()
}

/// Appends a peer: 6 bytes for IPv4, 18 for IPv6.
pub fn write_peer(out: &mut Vec<u8>, addr: SocketAddr) {
    write_ip(out, addr.ip());
    out.extend_from_slice(&addr.port().to_be_bytes());
}

/// Appends a node: 26 bytes for IPv4, 38 for IPv6.
pub fn write_node(out: &mut Vec<u8>, node: &CompactNode) {
    out.extend_from_slice(&node.id);
    write_peer(out, node.addr);
}

/// Appends an address without a port: 4 or 16 bytes.
pub fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

fn peer_v4([a, b, c, d, high, low]: [u8; V4_LEN]) -> SocketAddr {
    let port = u16::from_be_bytes([high, low]);
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port).into()
}

fn peer_v6(bytes: &[u8; V6_LEN]) -> SocketAddr {
    let &[ip @ .., high, low] = bytes;
    let port = u16::from_be_bytes([high, low]);
    let ip = Ipv6Addr::from(ip);
    match ip.to_ipv4_mapped() {
        Some(v4) => SocketAddrV4::new(v4, port).into(),
        None => SocketAddrV6::new(ip, port, 0, 0).into(),
    }
}

fn nodes<const ENTRY: usize, const PEER: usize>(
    bytes: &[u8],
    addr: fn(&[u8; PEER]) -> SocketAddr,
) -> impl Iterator<Item = CompactNode> + '_ {
    let entries = bytes.as_chunks::<ENTRY>().0.iter();
    entries.filter_map(move |entry| {
        let (id, peer) = entry.split_first_chunk::<20>()?;
        let addr = addr(peer.first_chunk::<PEER>()?);
        Some(CompactNode { id: *id, addr })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

    use serde_json::Value as Json;

    use super::*;
    use crate::testing::{hex, vectors};

    #[test]
    fn every_case_of_the_vectors_agrees() {
        let vectors = vectors(include_str!("../../tests/vectors/compact.json"));
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 11);
        for case in cases {
            let kind = case["kind"].as_str().unwrap();
            let bytes = hex(&case["hex"]);
            if let Some(peers) = case["peers"].as_array() {
                let expected: Vec<SocketAddr> = peers.iter().map(addr).collect();
                let v6 = expected.iter().any(SocketAddr::is_ipv6);
                let got: Vec<SocketAddr> = if v6 {
                    peers_v6(&bytes).collect()
                } else {
                    peers_v4(&bytes).collect()
                };
                assert_eq!(got, expected, "{kind}");
                let mut back = Vec::new();
                for peer in &got {
                    write_peer(&mut back, *peer);
                }
                assert!(bytes.starts_with(&back), "{kind}");
                assert!(bytes.len() - back.len() < V4_LEN, "{kind}");
            } else if let Some(expected) = case["nodes"].as_array() {
                let got: Vec<CompactNode> = if kind.contains("nodes6") {
                    nodes_v6(&bytes).collect()
                } else {
                    nodes_v4(&bytes).collect()
                };
                assert_eq!(got.len(), expected.len(), "{kind}");
                let mut back = Vec::new();
                for (node, expected) in got.iter().zip(expected) {
                    assert_eq!(node.id, hex(&expected[0])[..], "{kind}");
                    let parts = Json::from(vec![expected[1].clone(), expected[2].clone()]);
                    assert_eq!(node.addr, addr(&parts), "{kind}");
                    write_node(&mut back, node);
                }
                assert_eq!(back, bytes, "{kind}");
            } else if case["port"].is_u64() {
                let parts = Json::from(vec![case["ip"].clone(), case["port"].clone()]);
                assert_eq!(peer(&bytes), Some(addr(&parts)), "{kind}");
            } else {
                let expected = case["ip"].as_str().unwrap().parse().unwrap();
                assert_eq!(ip(&bytes), Some(expected), "{kind}");
            }
        }
    }

    fn addr(parts: &Json) -> SocketAddr {
        let ip: IpAddr = parts[0].as_str().unwrap().parse().unwrap();
        SocketAddr::new(ip, parts[1].as_u64().unwrap() as u16)
    }

    #[test]
    fn addresses_of_other_lengths_are_none() {
        assert_eq!(ip(&[1; 5]), None);
        assert_eq!(peer(&[1; 17]), None);
        let mapped = "::ffff:1.2.3.4".parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(ip(&mapped), Some([1, 2, 3, 4].into()));
        let mut bytes = mapped.to_vec();
        bytes.extend_from_slice(&[0, 80]);
        assert_eq!(peer(&bytes), Some(([1, 2, 3, 4], 80).into()));
    }
}
