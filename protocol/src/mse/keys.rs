//! What is made of the secret.

use std::fmt;

use sha1_smol::Sha1;

use super::dh::Secret;
use super::rc4::Rc4;
use crate::id::InfoHash;

/// The name under which a torrent is asked for, `HASH('req2', SKEY)`: to find the torrent of a handshake, keep a map from
/// these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; 20]);

/// Who encrypts with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A, who dialled.
    Initiator,
    /// B.
    Acceptor,
}

impl Tag {
    /// The tag of a torrent; of a v2 torrent take the shortened hash, of a hybrid both.
    pub fn of(info_hash: InfoHash) -> Self {
        Self(hash([b"req2", &info_hash.0]))
    }

    /// The tag under the cover of a secret, or what it covers.
    fn masked(self, secret: &Secret) -> [u8; 20] {
        let mut bytes = hash([b"req3", &secret.0]);
        for (byte, own) in bytes.iter_mut().zip(self.0) {
            *byte ^= own;
        }
        bytes
    }
}

impl Secret {
    /// `HASH('req1', S)`: what ends the pad of the side that dialled.
    pub(super) fn mark(&self) -> [u8; 20] {
        hash([b"req1", &self.0])
    }

    /// `HASH('req2', SKEY) xor HASH('req3', S)`.
    pub(super) fn cover(&self, tag: Tag) -> [u8; 20] {
        tag.masked(self)
    }

    /// What [`cover`](Self::cover) covers.
    pub(super) fn uncover(&self, covered: [u8; 20]) -> Tag {
        Tag(Tag(covered).masked(self))
    }

    /// The key stream with which a side encrypts.
    pub(super) fn cipher(&self, side: Side, info_hash: InfoHash) -> Rc4 {
        let name: &[u8] = match side {
            Side::Initiator => b"keyA",
            Side::Acceptor => b"keyB",
        };
        Rc4::new(&hash([name, &self.0, &info_hash.0]))
    }
}

fn hash<const N: usize>(parts: [&[u8]; N]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.digest().bytes()
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", InfoHash(self.0))
    }
}
