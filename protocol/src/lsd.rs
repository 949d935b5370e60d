//! Local service discovery (BEP 14): who on this network has which torrent.
//!
//! # Format
//! One datagram to a multicast group is an HTTP-like request, its lines ended by CR LF, its header names in any case:
//!
//! ```text
//! BT-SEARCH * HTTP/1.1
//! Host: 239.192.152.143:6771
//! Port: 6881
//! Infohash: 40 hexadecimal digits        (once or more)
//! cookie: whatever marks the sender's own datagrams
//!
//!
//! ```

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smallvec::SmallVec;

use crate::id::InfoHash;

/// The group of IPv4: administratively scoped.
pub const GROUP_V4: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 192, 152, 143)), 6771);

/// The group of IPv6: site-local, not permanently assigned.
pub const GROUP_V6: SocketAddr = SocketAddr::new(
    IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f)),
    6771,
);

/// Bytes of a datagram that no link of today splits; BEP 14 names the same bound.
pub const MOST_BYTES: usize = 1400;

/// Info-hashes that are taken from one datagram: what fits into [`MOST_BYTES`].
const MOST_HASHES: usize = 26;

/// Bytes of a cookie that is taken for one.
const MOST_COOKIE: usize = 64;

/// What one datagram says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// The TCP and UDP port at which the sender listens for peers; never 0.
    pub port: u16,
    /// The torrents, at least one.
    pub hashes: SmallVec<[InfoHash; 2]>,
    /// What marks the sender, if it is sent.
    pub cookie: Option<&'a str>,
}

/// Why a datagram is no announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LsdError {
    /// It is not text, or does not begin as BEP 14 says.
    #[error("not a BT-SEARCH request")]
    NotARequest,
    /// It has no port, or one that nobody can listen at.
    #[error("no valid Port header")]
    NoPort,
    /// It names no torrent.
    #[error("no valid Infohash header")]
    NoHash,
}

impl<'a> Announcement<'a> {
    /// Reads a datagram. Unknown headers, and hashes that are none, are passed over.
    ///
    /// # Errors
    /// [`LsdError`]: the sender's fault.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, LsdError> {
        let text = std::str::from_utf8(datagram).map_err(|_| LsdError::NotARequest)?;
        let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let request = lines.next().unwrap_or_default();
        if !request.eq_ignore_ascii_case("BT-SEARCH * HTTP/1.1") {
            return Err(LsdError::NotARequest);
        }
        let mut port = None;
        let mut hashes = SmallVec::new();
        let mut cookie = None;
        for line in lines.take_while(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("Port") {
                port = value.parse().ok().filter(|port| *port > 0);
            } else if name.eq_ignore_ascii_case("Infohash") {
                if let Ok(hash) = value.parse()
                    && hashes.len() < MOST_HASHES
                    && !hashes.contains(&hash)
                {
                    hashes.push(hash);
                }
            } else if name.eq_ignore_ascii_case("cookie") && value.len() <= MOST_COOKIE {
                cookie = Some(value);
            }
        }
        let port = port.ok_or(LsdError::NoPort)?;
        if hashes.is_empty() {
            return Err(LsdError::NoHash);
        }
        Ok(Self {
            port,
            hashes,
            cookie,
        })
    }
}

/// Writes an announcement to `group` of as many of `hashes` as fit into [`MOST_BYTES`]; says how many that are.
///
/// `cookie` is printable ASCII of at most 64 bytes.
pub fn write(
    out: &mut Vec<u8>,
    group: SocketAddr,
    port: u16,
    hashes: &[InfoHash],
    cookie: &str,
) -> usize {
    debug_assert!(
        cookie.len() <= MOST_COOKIE && cookie.bytes().all(|byte| byte.is_ascii_graphic())
    );
    let tail = format!("cookie: {cookie}\r\n\r\n\r\n");
    let begin = out.len();
    // A vector takes all that is written to it.
    let _ = write!(
        out,
        "BT-SEARCH * HTTP/1.1\r\nHost: {group}\r\nPort: {port}\r\n"
    );
    let mut written = 0_usize;
    for hash in hashes {
        let line = format!("Infohash: {hash}\r\n");
        let len = out.len().saturating_sub(begin);
        if len.saturating_add(line.len()).saturating_add(tail.len()) > MOST_BYTES {
            break;
        }
        out.extend_from_slice(line.as_bytes());
        written = written.saturating_add(1);
    }
    out.extend_from_slice(tail.as_bytes());
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef01234567";

    fn hash(byte: u8) -> InfoHash {
        InfoHash([byte; 20])
    }

    #[test]
    fn what_deployed_clients_send_is_understood() {
        let text = format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: {}\r\ncookie: 1a2b\r\n\r\n\r\n",
            ONE.to_uppercase()
        );
        let parsed = Announcement::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.port, 6881);
        assert_eq!(parsed.hashes[..], [ONE.parse().unwrap()]);
        assert_eq!(parsed.cookie, Some("1a2b"));
    }

    #[test]
    fn header_names_have_any_case_and_hashes_may_repeat() {
        let text = format!(
            "bt-search * http/1.1\nPORT:1\nINFOHASH:{ONE}\ninfohash: nonsense\nInfoHash: {}\nX: y\nno colon\n\n",
            hash(7)
        );
        let parsed = Announcement::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.hashes.len(), 2);
        assert_eq!(parsed.cookie, None);
    }

    #[test]
    fn what_lacks_a_part_is_refused() {
        let parse = |text: &str| Announcement::parse(text.as_bytes()).unwrap_err();
        assert_eq!(parse(""), LsdError::NotARequest);
        assert_eq!(parse("GET / HTTP/1.1\r\n"), LsdError::NotARequest);
        let head = "BT-SEARCH * HTTP/1.1\r\n";
        assert_eq!(
            parse(&format!("{head}Infohash: {ONE}\r\n\r\n")),
            LsdError::NoPort
        );
        assert_eq!(
            parse(&format!("{head}Port: 0\r\nInfohash: {ONE}\r\n\r\n")),
            LsdError::NoPort
        );
        assert_eq!(
            parse(&format!("{head}Port: 65536\r\nInfohash: {ONE}\r\n\r\n")),
            LsdError::NoPort
        );
        assert_eq!(parse(&format!("{head}Port: 1\r\n\r\n")), LsdError::NoHash);
    }

    #[test]
    fn more_hashes_than_fit_are_left_for_the_next_datagram() {
        let hashes: Vec<InfoHash> = (0..100).map(hash).collect();
        let mut out = Vec::new();
        let written = write(&mut out, GROUP_V6, 6881, &hashes, "cookie");
        assert!((20..=MOST_HASHES).contains(&written), "{written}");
        assert!(out.len() <= MOST_BYTES);
        let parsed = Announcement::parse(&out).unwrap();
        assert!(parsed.hashes.iter().eq(hashes.iter().take(written)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            port in 1_u16..,
            hashes in prop::collection::btree_set(any::<[u8; 20]>(), 1..20),
            cookie in "[!-~]{1,64}",
        ) {
            let hashes: Vec<InfoHash> = hashes.into_iter().map(InfoHash).collect();
            let mut out = Vec::new();
            prop_assert_eq!(write(&mut out, GROUP_V4, port, &hashes, &cookie), hashes.len());
            let parsed = Announcement::parse(&out).unwrap();
            prop_assert_eq!(parsed.port, port);
            prop_assert_eq!(&parsed.hashes[..], &hashes[..]);
            prop_assert_eq!(parsed.cookie, Some(cookie.as_str()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = Announcement::parse(&bytes);
        }
    }
}
