//! Datagrams that a SOCKS5 proxy passes on (RFC 1928, section 7), as its client and as it reads them.
//!
//! ```text
//! 00 00  fragment  address as in the negotiation  payload
//! ```

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddr;

use super::Destination;
use super::socks5::{Bound, read_address, read_place, write_address};

/// The longest header that [`wrap`] writes for an address.
pub const MOST_HEADER: usize = 22;

/// The longest header that there is: of a name.
pub const MOST_NAMED_HEADER: usize = 262;

/// Writes the header of a datagram to `destination` and the payload behind it.
pub fn wrap(destination: &Destination, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 3]);
    write_address(destination, out);
    out.extend_from_slice(payload);
}

/// Whose datagram it is, and its payload. Nothing where it is a fragment, which nobody has to put together, names its
/// sender, or is none of ours.
pub fn unwrap(datagram: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (head, rest) = datagram.split_first_chunk::<3>()?;
    if head[2] != 0 {
        return None;
    }
    match read_address(rest)? {
        (Bound::Addr(from), payload) => Some((from, payload)),
        (Bound::Named(_), _) => None,
    }
}

/// Where a client's datagram is to go, and its payload. Nothing where it is a fragment, which RFC 1928 has dropped where
/// nobody puts them together, names what no host can be called, or cannot be read.
pub fn requested(datagram: &[u8]) -> Option<(Destination, &[u8])> {
    let (head, rest) = datagram.split_first_chunk::<3>()?;
    if head[2] != 0 {
        return None;
    }
    let (place, payload) = read_place(rest)?;
    Some((place.destination()?, payload))
}
