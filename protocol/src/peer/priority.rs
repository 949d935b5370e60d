//! Which of two peers to be connected to, so that everyone agrees on it (BEP 40).
//!
//! Both ends of a connection give it the same number, without having talked. When everyone keeps the connections with the
//! greatest numbers, swarms stay well connected, and an attacker with many addresses in a few networks gets few places.

use std::net::{IpAddr, SocketAddr};

use crate::crc32c::crc32c;

/// The priority of a connection between two addresses, the same from both ends; greater is better. `None` for addresses of
/// different families, between which there is none.
pub fn canonical_priority(one: SocketAddr, other: SocketAddr) -> Option<u32> {
    match (one.ip().to_canonical(), other.ip().to_canonical()) {
        (a, b) if a == b => {
            let ports = [one.port(), other.port()].map(u16::to_be_bytes);
            Some(checksum(ports, usize::MAX))
        }
        (IpAddr::V4(a), IpAddr::V4(b)) => Some(masked([a.octets(), b.octets()], 2)),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some(masked([a.octets(), b.octets()], 6)),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// The checksum of both addresses, of which `least` bytes count in full: and where those agree, all that agree and one
/// more. Of the other bytes every second bit counts.
fn masked<const N: usize>(addrs: [[u8; N]; 2], least: usize) -> u32 {
    let [one, other] = &addrs;
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let whole = if same < least { least } else { same + 1 };
    checksum(addrs, whole)
}

fn checksum<const N: usize>(mut parts: [[u8; N]; 2], whole: usize) -> u32 {
    for part in &mut parts {
        for byte in part.iter_mut().skip(whole) {
            *byte &= 0x55;
        }
    }
    parts.sort_unstable();
    crc32c(parts.as_flattened())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::vectors;

    #[test]
    fn every_case_of_the_vectors_agrees_from_both_ends() {
        let vectors = vectors(include_str!("../../tests/vectors/bep40.json"));
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 7);
        for case in cases {
            let addr = |who: &str| {
                let ip: IpAddr = case[who].as_str().unwrap().parse().unwrap();
                let port = case[format!("{who}_port")].as_u64().unwrap();
                SocketAddr::new(ip, port as u16)
            };
            let (client, peer) = (addr("client"), addr("peer"));
            let expected = u32::from_str_radix(case["priority_hex"].as_str().unwrap(), 16).ok();
            assert_eq!(canonical_priority(client, peer), expected, "{case}");
            assert_eq!(canonical_priority(peer, client), expected, "{case}");
        }
    }

    #[test]
    fn families_do_not_mix() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(
            canonical_priority(addr("1.2.3.4:1"), addr("[2a00::1]:1")),
            None
        );
        let mapped = canonical_priority(addr("[::ffff:123.213.32.10]:0"), addr("98.76.54.32:0"));
        assert_eq!(mapped, Some(0xec2d_7224));
    }
}
