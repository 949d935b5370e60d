//! Which ids a node may have at an address (BEP 42).

use std::net::IpAddr;

use rand::{Rng, RngExt};

use super::NodeId;
use crate::crc32c::crc32c;

const MASK_V4: [u8; 4] = [0x03, 0x0f, 0x3f, 0xff];
const MASK_V6: [u8; 8] = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];

/// Of the first 32 bits of an id, those that the address decides.
const DECIDED: u32 = 0xffff_f800;

/// A random id that is in order for this address.
pub fn id_for(ip: IpAddr, rng: &mut impl Rng) -> NodeId {
    let mut id = NodeId::random(rng);
    let [first @ .., last] = &mut id.0;
    let prefix = prefix(ip, *last).to_be_bytes();
    let free: u8 = rng.random();
    for ((byte, prefix), decided) in first.iter_mut().zip(prefix).zip(DECIDED.to_be_bytes()) {
        *byte = prefix & decided | free & !decided;
    }
    // The fourth byte of the prefix is all free.
    if let Some(fourth) = first.get_mut(3) {
        *fourth = rng.random();
    }
    id
}

/// Whether this id is in order for a node at this address; addresses of private networks may have any.
pub fn is_valid(id: &NodeId, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    if is_exempt(ip) {
        return true;
    }
    let [a, b, c, d, .., last] = id.0;
    let head = u32::from_be_bytes([a, b, c, d]);
    (head ^ prefix(ip, last)) & DECIDED == 0
}

/// Whether the address says nothing about where its node is: private, loopback and link-local networks.
pub fn is_exempt(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local(),
    }
}

/// The checksum whose first 21 bits begin an id; `last` is the id's last byte, of which three bits count.
fn prefix(ip: IpAddr, last: u8) -> u32 {
    fn masked<const N: usize>(bytes: &[u8], mask: [u8; N], r: u8) -> u32 {
        let mut masked = mask;
        for (out, byte) in masked.iter_mut().zip(bytes) {
            *out &= byte;
        }
        if let Some(first) = masked.first_mut() {
            *first |= r << 5;
        }
        crc32c(&masked)
    }
    let r = last & 7;
    match ip.to_canonical() {
        IpAddr::V4(ip) => masked(&ip.octets(), MASK_V4, r),
        IpAddr::V6(ip) => masked(&ip.octets(), MASK_V6, r),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;
    use crate::testing::vectors;

    #[test]
    fn every_case_of_the_vectors_agrees() {
        let vectors = vectors(include_str!("../../tests/vectors/bep42.json"));
        let cases = vectors["cases"].as_array().unwrap();
        assert!(cases.len() >= 12);
        for case in cases {
            let ip: IpAddr = case["ip"].as_str().unwrap().parse().unwrap();
            let id = case["example_node_id"]
                .as_str()
                .or_else(|| case["node_id"].as_str());
            let id: NodeId = id.unwrap().parse().unwrap();
            assert_eq!(
                is_valid(&id, ip),
                case["valid"].as_bool().unwrap(),
                "{case}"
            );
            if let Some(crc) = case["crc32c_hex"].as_str() {
                let rand = case["rand"].as_u64().unwrap() as u8;
                assert_eq!(format!("{:08x}", prefix(ip, rand)), crc, "{case}");
            }
        }
    }

    #[test]
    fn private_addresses_may_have_any_id() {
        let id = NodeId([0x55; 20]);
        for ip in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.9",
            "127.9.9.9",
            "169.254.1.1",
            "::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_valid(&id, ip.parse().unwrap()), "{ip}");
        }
        assert!(!is_valid(&id, "8.8.8.8".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn a_made_id_is_valid_for_its_address_alone(ip in any::<IpAddr>(), seed in any::<u64>()) {
            let id = id_for(ip, &mut SmallRng::seed_from_u64(seed));
            prop_assert!(is_valid(&id, ip));
            let mut other = id;
            other.0[0] ^= 1;
            prop_assert!(is_exempt(ip) || !is_valid(&other, ip));
        }
    }
}
