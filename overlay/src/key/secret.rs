//! The secret half of an identity.

use std::fmt;
use std::sync::Arc;

use rand::CryptoRng;
use ring::signature::{Ed25519KeyPair, KeyPair};
use thiserror::Error;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use super::{KeyError, PublicKey};

/// How secret keys begin where they carry a mark.
const MARK: &[u8; 10] = b"LibNaCLSK:";

/// A key with which no secret can be agreed: everyone would know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the other key has a low order")]
pub struct LowOrder;

/// An identity. Cheap to clone; `Debug` shows its public half.
///
/// # Format
/// 32 bytes X25519 secret, 32 bytes Ed25519 seed, which are independent of each other. As text of py-ipv8 with
/// `"LibNaCLSK:"` in front.
#[derive(Clone)]
pub struct SecretKey(Arc<Inner>);

struct Inner {
    bytes: Zeroizing<[u8; SecretKey::LEN]>,
    x25519: StaticSecret,
    ed25519: Ed25519KeyPair,
    public: PublicKey,
}

impl SecretKey {
    /// Bytes of a secret key without its mark.
    pub const LEN: usize = 64;

    /// A new identity; `rng` must be unpredictable outside of tests.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        loop {
            let mut bytes = Zeroizing::new([0; Self::LEN]);
            rng.fill_bytes(bytes.as_mut());
            if let Ok(key) = Self::from_bytes(bytes.as_ref()) {
                return key;
            }
        }
    }

    /// Reads a key, with or without its mark.
    ///
    /// # Errors
    /// [`KeyError::Length`] unless it is 64 bytes, or 74 with the mark.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let halves = bytes.strip_prefix(MARK).unwrap_or(bytes);
        let wrong = KeyError::Length(bytes.len());
        let bytes: [u8; Self::LEN] = halves.try_into().map_err(|_| wrong)?;
        let bytes = Zeroizing::new(bytes);
        let (secret, seed) = (bytes.first_chunk::<32>(), bytes.last_chunk::<32>());
        let (secret, seed) = secret.zip(seed).ok_or(wrong)?;
        let x25519 = StaticSecret::from(*secret);
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Kind)?;
        let signing = ed25519.public_key().as_ref().first_chunk();
        let agreeing = x25519_dalek::PublicKey::from(&x25519).to_bytes();
        let public = PublicKey::from_halves(agreeing, *signing.ok_or(KeyError::Kind)?);
        Ok(Self(Arc::new(Inner {
            bytes,
            x25519,
            ed25519,
            public,
        })))
    }

    /// The key without its mark, as files keep it.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0.bytes
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.0.public
    }

    /// Signs a message: plain Ed25519, which gives the same signature each time.
    pub fn sign(&self, message: &[u8]) -> [u8; PublicKey::SIGNATURE_LEN] {
        let signature = self.0.ed25519.sign(message);
        let signature = signature.as_ref().first_chunk().copied();
        signature.unwrap_or([0; PublicKey::SIGNATURE_LEN])
    }

    /// The secret that the owner of the X25519 key `theirs` and this identity share: plain X25519.
    ///
    /// # Errors
    /// [`LowOrder`] when the result would not depend on our secret.
    pub fn agree(&self, theirs: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, LowOrder> {
        let theirs = x25519_dalek::PublicKey::from(*theirs);
        let shared = self.0.x25519.diffie_hellman(&theirs);
        if shared.was_contributory() {
            Ok(Zeroizing::new(shared.to_bytes()))
        } else {
            Err(LowOrder)
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public().mid())
    }
}
