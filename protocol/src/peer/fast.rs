//! The allowed-fast set (BEP 6).

use std::net::IpAddr;

use crate::id::InfoHash;

/// Pieces that a peer at `ip` may ask for while it is choked: `k` of them (BEP 6 suggests 10), or all where the torrent
/// has no more.
///
/// The set follows from the network of the address and the torrent alone, so that a peer gains nothing by
/// reconnecting: IPv4 counts by /24 as BEP 6 says; for IPv6, of which it does not speak, /48 stands for the network.
pub fn allowed_fast_set(ip: IpAddr, info_hash: InfoHash, pieces: u32, k: usize) -> Vec<u32> {
    let k = k.min(pieces as usize);
    let mut set = Vec::with_capacity(k);
    let mut seed = Vec::with_capacity(36);
    match ip.to_canonical() {
        IpAddr::V4(ip) => seed.extend_from_slice(&(ip.to_bits() & 0xffff_ff00).to_be_bytes()),
        IpAddr::V6(ip) => seed.extend_from_slice(&(ip.to_bits() >> 80 << 80).to_be_bytes()),
    }
    seed.extend_from_slice(&info_hash.0);
    let mut digest = sha1_smol::Sha1::from(&seed).digest().bytes();
    // Each round draws five; a set of all pieces of a small torrent needs some more rounds than it has pieces.
    for _ in 0..MAX_ROUNDS {
        let (words, _) = digest.as_chunks::<4>();
        for word in words {
            if set.len() >= k {
                return set;
            }
            let piece = u32::from_be_bytes(*word) % pieces;
            if !set.contains(&piece) {
                set.push(piece);
            }
        }
        digest = sha1_smol::Sha1::from(digest).digest().bytes();
    }
    set
}

/// Rounds after which an unlucky draw ends with a smaller set.
const MAX_ROUNDS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_without_pieces_has_no_set() {
        let ip = "1.2.3.4".parse().unwrap();
        assert!(allowed_fast_set(ip, InfoHash([0; 20]), 0, 10).is_empty());
    }

    #[test]
    fn addresses_of_one_network_share_the_set() {
        let set = |ip: &str| allowed_fast_set(ip.parse().unwrap(), InfoHash([9; 20]), 1000, 10);
        assert_eq!(set("10.1.2.3"), set("10.1.2.250"));
        assert_eq!(set("10.1.2.3"), set("::ffff:10.1.2.9"));
        assert_ne!(set("10.1.2.3"), set("10.1.3.3"));
        assert_eq!(set("2001:db8:1::1"), set("2001:db8:1:ffff::2"));
        assert_ne!(set("2001:db8:1::1"), set("2001:db8:2::1"));
    }
}
