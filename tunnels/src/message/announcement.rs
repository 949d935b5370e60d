//! What the DHT of IPv8 keeps under the name of a swarm of hidden peers.

use std::net::SocketAddr;

use overlay::key::PublicKey;
use overlay::wire::{Reader, WireError, Writer};

use super::{IntroPoint, Source};
use crate::Dialect;

/// What the keys begin with, which announcements leave out.
const MARK: &[u8] = b"LibNaCLPK:";

/// Writes that a node introduces a seeder; `seen` is when, in seconds since 1970. `None` for keys or addresses that cannot be
/// announced.
///
/// # Format
/// Address (classic: 4 bytes and `u16` port; modern: a byte for the kind before that), `u32` seconds since 1970, `u16` length and
/// the key of the node without its first 10 bytes, the same for the key of the seeder.
pub fn write_announcement(dialect: Dialect, point: &IntroPoint, seen: u32) -> Option<Vec<u8>> {
    let mut w = Writer::new();
    match (dialect, point.addr) {
        (Dialect::Classic, SocketAddr::V4(addr)) => w.ipv4(addr),
        (Dialect::Classic, SocketAddr::V6(_)) => return None,
        (Dialect::Modern, addr) => w.address(&addr.into()),
    };
    w.u32(seen);
    w.var_u16(point.node.strip_prefix(MARK)?);
    w.var_u16(point.seeder.strip_prefix(MARK)?);
    Some(w.finish())
}

/// Reads what [`write_announcement`] writes; what follows is passed over. `None` also where nobody can be: keys that are none,
/// or no port.
///
/// # Errors
/// [`WireError`].
pub fn read_announcement(dialect: Dialect, value: &[u8]) -> Result<Option<IntroPoint>, WireError> {
    let mut r = Reader::new(value);
    let addr = match dialect {
        Dialect::Classic => r.ipv4("address")?.into(),
        Dialect::Modern => r.ip_address("address")?,
    };
    r.u32("last seen")?;
    let node = [MARK, r.var_u16("node")?].concat();
    let seeder = [MARK, r.var_u16("seeder")?].concat();
    let whole = |key| PublicKey::from_bytes(key).is_ok_and(|key| key.x25519().is_some());
    let there = addr.port() != 0 && !addr.ip().is_unspecified();
    let source = Source::Dht;
    Ok(
        (there && whole(&node) && whole(&seeder)).then_some(IntroPoint {
            addr,
            node,
            seeder,
            source,
        }),
    )
}

#[cfg(test)]
mod tests {
    use overlay::key::SecretKey;
    use proptest::prelude::*;

    use super::*;

    fn point() -> IntroPoint {
        let key = |byte| {
            let key = SecretKey::from_bytes(&[byte; 64]).unwrap();
            key.public().as_bytes().to_vec()
        };
        IntroPoint {
            addr: "1.2.3.4:7759".parse().unwrap(),
            node: key(1),
            seeder: key(2),
            source: Source::Dht,
        }
    }

    #[test]
    fn announcements_have_the_lengths_that_nodes_store() {
        let point = point();
        for (dialect, len) in [(Dialect::Classic, 142), (Dialect::Modern, 143)] {
            let value = write_announcement(dialect, &point, 7).unwrap();
            assert_eq!(value.len(), len);
            assert_eq!(read_announcement(dialect, &value), Ok(Some(point.clone())));
            let cut = value.get(..len - 1).unwrap();
            assert!(read_announcement(dialect, cut).is_err());
        }
    }

    #[test]
    fn who_is_nowhere_or_nobody_introduces_nobody() {
        let mut nowhere = point();
        nowhere.addr = "1.2.3.4:0".parse().unwrap();
        let value = write_announcement(Dialect::Classic, &nowhere, 7).unwrap();
        assert_eq!(read_announcement(Dialect::Classic, &value), Ok(None));
        let mut nobody = point();
        nobody.seeder = b"LibNaCLPK:short".to_vec();
        let value = write_announcement(Dialect::Modern, &nobody, 7).unwrap();
        assert_eq!(read_announcement(Dialect::Modern, &value), Ok(None));
        nobody.seeder = b"other".to_vec();
        assert_eq!(write_announcement(Dialect::Modern, &nobody, 7), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for dialect in [Dialect::Classic, Dialect::Modern] {
                let _ = read_announcement(dialect, &bytes);
            }
        }
    }
}
