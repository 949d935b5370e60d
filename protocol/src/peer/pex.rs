//! Messages of `ut_pex`: peers tell each other whom they are connected to (BEP 11).
//!
//! # Format
//! A dictionary of `added` and `dropped` (6 bytes each), `added6` and `dropped6` (18 bytes each), and in `added.f` and
//! `added6.f` one byte of flags for each that was added.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddr;

use crate::bencode::{self, Dict, Encoder, Limits};
use crate::peer::codec::MAX_EXTENDED_LEN;
use crate::peer::extension::ExtensionError;
use crate::tracker::compact;

/// Peers added in one message, of both families together, and as many dropped (BEP 11). What a peer tells beyond that is
/// not read.
pub const MAX_PEX: usize = 50;

/// What is known of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PexFlags(pub u8);

/// A peer that is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PexPeer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What is known of it.
    pub flags: PexFlags,
}

/// Whom the sender is connected to since its last message, and whom no longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PexMessage {
    /// New ones.
    pub added: Vec<PexPeer>,
    /// Those that are gone.
    pub dropped: Vec<SocketAddr>,
}

impl PexFlags {
    /// Prefers encryption.
    pub const ENCRYPTION: Self = Self(0x01);
    /// Has everything, or wants nothing.
    pub const SEED: Self = Self(0x02);
    /// Speaks uTP.
    pub const UTP: Self = Self(0x04);
    /// Speaks `ut_holepunch` (BEP 55).
    pub const HOLEPUNCH: Self = Self(0x08);
    /// The sender dialled it: it can be reached.
    pub const OUTGOING: Self = Self(0x10);

    /// These flags and others.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of these are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl PexMessage {
    /// Reads the payload of a `ut_pex` message; at most [`MAX_PEX`] peers of each list, and none with port 0. Flags that
    /// are missing are none.
    ///
    /// # Errors
    /// [`ExtensionError::Pex`] where it is not bencode, [`ExtensionError::PexForm`] where it is no dictionary.
    pub fn parse(payload: &[u8]) -> Result<Self, ExtensionError> {
        let limits = Limits::MESSAGE.with_bytes(MAX_EXTENDED_LEN as usize);
        let value = bencode::decode(payload, &limits).map_err(ExtensionError::Pex)?;
        let dict = value.as_dict().ok_or(ExtensionError::PexForm)?;
        let list = |key| dict.bytes(key).unwrap_or_default();
        let v4 = with_flags(dict, compact::peers_v4(list(b"added")), b"added.f");
        let v6 = with_flags(dict, compact::peers_v6(list(b"added6")), b"added6.f");
        let dropped =
            compact::peers_v4(list(b"dropped")).chain(compact::peers_v6(list(b"dropped6")));
        Ok(Self {
            added: v4
                .chain(v6)
                .filter(|peer| peer.addr.port() != 0)
                .take(MAX_PEX)
                .collect(),
            dropped: dropped
                .filter(|addr| addr.port() != 0)
                .take(MAX_PEX)
                .collect(),
        })
    }

    /// The payload, keys in order and none left out, as deployed clients write it.
    pub fn encode(&self) -> Vec<u8> {
        let peers = |v6: bool| {
            let (mut list, mut flags) = (Vec::new(), Vec::new());
            for peer in self.added.iter().filter(|peer| peer.addr.is_ipv6() == v6) {
                compact::write_peer(&mut list, peer.addr);
                flags.push(peer.flags.0);
            }
            (list, flags)
        };
        let gone = |v6: bool| {
            let mut list = Vec::new();
            for addr in self.dropped.iter().filter(|addr| addr.is_ipv6() == v6) {
                compact::write_peer(&mut list, *addr);
            }
            list
        };
        let ((v4, v4_flags), (v6, v6_flags)) = (peers(false), peers(true));
        let mut e = Encoder::new();
        e.begin_dict();
        e.key(b"added").bytes(&v4);
        e.key(b"added.f").bytes(&v4_flags);
        e.key(b"added6").bytes(&v6);
        e.key(b"added6.f").bytes(&v6_flags);
        e.key(b"dropped").bytes(&gone(false));
        e.key(b"dropped6").bytes(&gone(true));
        e.end();
        e.finish()
    }

    /// Whether it says nothing.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
    }
}

fn with_flags<'a>(
    dict: Dict<'a>,
    addrs: impl Iterator<Item = SocketAddr> + 'a,
    key: &[u8],
) -> impl Iterator<Item = PexPeer> + 'a {
    let flags = dict.bytes(key).unwrap_or_default().iter().copied();
    addrs
        .zip(flags.chain(std::iter::repeat(0)))
        .map(|(addr, flags)| PexPeer {
            addr,
            flags: PexFlags(flags),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_message_of_the_vectors_is_read_and_written() {
        let payload = b"d5:added6:\x01\x02\x03\x04\x1a\xe17:added.f1:\x026:added60:8:added6.f0:\
            7:dropped0:8:dropped60:e";
        let message = PexMessage {
            added: vec![PexPeer {
                addr: addr("1.2.3.4:6881"),
                flags: PexFlags::SEED,
            }],
            dropped: Vec::new(),
        };
        assert_eq!(PexMessage::parse(payload), Ok(message.clone()));
        assert_eq!(message.encode(), payload);
        assert!(!message.is_empty());
    }

    #[test]
    fn what_is_missing_or_wrong_is_left_out() {
        type Counts = Result<(usize, usize), &'static str>;
        let cases: &[(&[u8], Counts)] = &[
            (b"de", Ok((0, 0))),
            (b"d5:addedi3ee", Ok((0, 0))),
            (b"d5:added7:\x01\x02\x03\x04\x1a\xe1\x00e", Ok((1, 0))),
            (b"d5:added6:\x01\x02\x03\x04\x00\x00e", Ok((0, 0))),
            (
                b"d7:dropped12:\x01\x02\x03\x04\x1a\xe1\x01\x02\x03\x04\x00\x00e",
                Ok((0, 1)),
            ),
            (b"le", Err("ut_pex: not a dictionary")),
            (b"", Err("ut_pex: ")),
        ];
        for (payload, expected) in cases {
            let got = PexMessage::parse(payload);
            match (got, expected) {
                (Ok(message), Ok(counts)) => {
                    assert_eq!(
                        (message.added.len(), message.dropped.len()),
                        *counts,
                        "{payload:?}"
                    );
                }
                (Err(error), Err(text)) => assert!(error.to_string().starts_with(text), "{error}"),
                (got, _) => panic!("{payload:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn no_more_than_fifty_are_read() {
        let many = (1..=200).map(|port| addr(&format!("1.2.3.4:{port}")));
        let message = PexMessage {
            added: many
                .clone()
                .map(|addr| PexPeer {
                    addr,
                    flags: PexFlags::default(),
                })
                .collect(),
            dropped: many.collect(),
        };
        let read = PexMessage::parse(&message.encode()).unwrap();
        assert_eq!((read.added.len(), read.dropped.len()), (MAX_PEX, MAX_PEX));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            added in prop::collection::vec((any::<[u8; 4]>(), 1_u16.., any::<u8>()), 0..20),
            added6 in prop::collection::vec((any::<[u8; 16]>(), 1_u16.., any::<u8>()), 0..20),
            dropped in prop::collection::vec((any::<[u8; 4]>(), 1_u16..), 0..20),
        ) {
            let v4 = added.into_iter().map(|(ip, port, flags)| (SocketAddr::from((ip, port)), flags));
            let v6 = added6.into_iter().map(|(ip, port, flags)| (SocketAddr::from((ip, port)), flags));
            let v6 = v6.filter(|(addr, _)| addr.ip().to_canonical().is_ipv6());
            let peer = |(addr, flags)| PexPeer { addr, flags: PexFlags(flags) };
            let message = PexMessage {
                added: v4.chain(v6).map(peer).collect(),
                dropped: dropped.into_iter().map(SocketAddr::from).collect(),
            };
            prop_assert_eq!(PexMessage::parse(&message.encode()), Ok(message));
        }

        #[test]
        fn garbage_is_an_error_or_within_limits(garbage: Vec<u8>) {
            if let Ok(message) = PexMessage::parse(&garbage) {
                prop_assert!(message.added.len() <= MAX_PEX);
            }
        }
    }
}
