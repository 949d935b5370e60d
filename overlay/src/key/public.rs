//! The public half of an identity.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use thiserror::Error;

use super::legacy::{self, Curve};

/// How public keys of the current kind begin.
const MARK: &[u8; 10] = b"LibNaCLPK:";

/// Why bytes are not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Begins as a key of the current kind and is not 74 bytes long.
    #[error("a key of {0} bytes instead of 74")]
    Length(usize),
    /// Neither of the current kind nor a key on one of the curves of old.
    #[error("no key of a kind that is known")]
    Kind,
}

/// Why a signature is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It was not made by this key over this message.
    #[error("the signature does not belong to key and message")]
    Forged,
    /// The key lies on a curve of old whose signatures are not checked here.
    #[error("signatures on {0} are not checked")]
    Unchecked(Curve),
}

/// The short name of an identity: the SHA-1 of its public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mid(pub [u8; 20]);

/// A public key. Cheap to clone.
///
/// # Format
/// `"LibNaCLPK:"`, 32 bytes X25519, 32 bytes Ed25519: 74 bytes. Whatever begins otherwise is a DER SubjectPublicKeyInfo
/// on one of the curves of [`Curve`].
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    mid: Mid,
    kind: Kind,
}

enum Kind {
    Nacl([u8; PublicKey::LEN]),
    Legacy(Box<[u8]>, Curve),
}

impl PublicKey {
    /// Bytes of a key of the current kind.
    pub const LEN: usize = 74;

    /// Bytes of a signature by a key of the current kind.
    pub const SIGNATURE_LEN: usize = 64;

    /// Reads a key.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let kind = if bytes.starts_with(MARK) {
            let whole = bytes.try_into();
            Kind::Nacl(whole.map_err(|_| KeyError::Length(bytes.len()))?)
        } else {
            let curve = legacy::curve_of(bytes).ok_or(KeyError::Kind)?;
            Kind::Legacy(bytes.into(), curve)
        };
        let mid = Mid(sha1(bytes));
        Ok(Self(Arc::new(Inner { mid, kind })))
    }

    /// The key with these halves.
    pub fn from_halves(x25519: [u8; 32], ed25519: [u8; 32]) -> Self {
        let mut bytes = [0; Self::LEN];
        let parts = MARK.iter().chain(&x25519).chain(&ed25519);
        bytes
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = *from);
        let mid = Mid(sha1(&bytes));
        let kind = Kind::Nacl(bytes);
        Self(Arc::new(Inner { mid, kind }))
    }

    /// The key with these halves, given without the mark in front, as some messages carry it.
    pub fn from_unmarked(halves: &[u8; 64]) -> Self {
        let ([x25519, ed25519], _) = halves.as_chunks::<32>() else {
            return Self::from_halves([0; 32], [0; 32]);
        };
        Self::from_halves(*x25519, *ed25519)
    }

    /// The short name.
    pub fn mid(&self) -> Mid {
        self.0.mid
    }

    /// The key as packets carry it.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0.kind {
            Kind::Nacl(bytes) => bytes,
            Kind::Legacy(bytes, _) => bytes,
        }
    }

    /// Both halves without the mark in front; `None` on the curves of old.
    pub fn unmarked(&self) -> Option<&[u8; 64]> {
        match &self.0.kind {
            Kind::Nacl(bytes) => bytes.last_chunk(),
            Kind::Legacy(..) => None,
        }
    }

    /// The half for agreeing on secrets; `None` on the curves of old.
    pub fn x25519(&self) -> Option<[u8; 32]> {
        self.unmarked()?.first_chunk().copied()
    }

    /// The half for signatures; `None` on the curves of old.
    pub fn ed25519(&self) -> Option<[u8; 32]> {
        self.unmarked()?.last_chunk().copied()
    }

    /// The curve of old that the key lies on, if it does.
    pub fn curve(&self) -> Option<Curve> {
        match &self.0.kind {
            Kind::Nacl(_) => None,
            Kind::Legacy(_, curve) => Some(*curve),
        }
    }

    /// Bytes of each signature by this key.
    pub fn signature_len(&self) -> usize {
        self.curve()
            .map_or(Self::SIGNATURE_LEN, Curve::signature_len)
    }

    /// Whether `signature` was made by this key over `message`.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        if let Some(curve) = self.curve() {
            return Err(VerifyError::Unchecked(curve));
        }
        let key = self.ed25519().ok_or(VerifyError::Forged)?;
        let checked = UnparsedPublicKey::new(&ED25519, key).verify(message, signature);
        checked.map_err(|_| VerifyError::Forged)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.mid().hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.mid())
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mid({self})")
    }
}

/// The SHA-1 of some bytes.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}
