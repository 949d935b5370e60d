//! How an originator and a hop agree on a secret that is fresh on both sides, and how the hop shows who it is.
//!
//! The originator sends X of a pair that it throws away. The hop answers with Y of such a pair and with a code under the secret
//! of the two fresh keys. What keys are made of is two agreements: X with Y, and X with the lasting key of the hop.
//! The code shows that nobody changed Y; that the hop is the one that was asked shows only what it seals with those keys, first
//! of all the list of its neighbours, which is why the list is opened even where nobody reads it.

use std::fmt;

use overlay::key::SecretKey;
use rand::CryptoRng;
use ring::hmac;
use salsa20::cipher::array::Array;
use salsa20::cipher::consts::U10;
use subtle::ConstantTimeEq;
use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// Bytes of the code that comes with Y.
pub const AUTH_LEN: usize = 32;

/// A pair of keys for one exchange.
pub struct Ephemeral {
    secret: StaticSecret,
    public: [u8; 32],
}

/// What both ends know after an exchange, and nobody else: 64 bytes.
pub struct Shared(Zeroizing<[u8; 64]>);

/// Why there is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AgreeError {
    /// The other side sent a key with which everyone would know the secret.
    #[error("a key of low order")]
    LowOrder,
    /// The code does not belong to this exchange.
    #[error("the code of another exchange")]
    Code,
}

impl Ephemeral {
    /// A new pair; `rng` must be unpredictable outside of tests.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut());
        Self::from_secret(&secret)
    }

    /// The pair with this secret.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let secret = StaticSecret::from(*secret);
        let public = PublicKey::from(&secret).to_bytes();
        Self { secret, public }
    }

    /// What is sent to the other side.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    fn agree(&self, theirs: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, AgreeError> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(*theirs));
        if shared.was_contributory() {
            Ok(before(shared.as_bytes()))
        } else {
            Err(AgreeError::LowOrder)
        }
    }
}

/// The hop's part: the secret for the originator's X, and the code that goes with Y.
///
/// # Errors
/// [`AgreeError::LowOrder`].
pub fn answer(
    identity: &SecretKey,
    ephemeral: &Ephemeral,
    x: &[u8; 32],
) -> Result<(Shared, [u8; AUTH_LEN]), AgreeError> {
    let fresh = ephemeral.agree(x)?;
    let lasting = identity.agree(x).map_err(|_| AgreeError::LowOrder)?;
    let auth = code(&fresh, ephemeral.public());
    Ok((Shared::new(&fresh, &before(&lasting)), auth))
}

/// The originator's part: the secret for Y of the hop whose lasting X25519 key is `hop`.
///
/// # Errors
/// See [`AgreeError`].
pub fn conclude(
    ephemeral: &Ephemeral,
    hop: &[u8; 32],
    y: &[u8; 32],
    auth: &[u8; AUTH_LEN],
) -> Result<Shared, AgreeError> {
    let fresh = ephemeral.agree(y)?;
    if !bool::from(code(&fresh, y).ct_eq(auth)) {
        return Err(AgreeError::Code);
    }
    let lasting = ephemeral.agree(hop)?;
    Ok(Shared::new(&fresh, &lasting))
}

impl Shared {
    fn new(fresh: &[u8; 32], lasting: &[u8; 32]) -> Self {
        let mut bytes = Zeroizing::new([0; 64]);
        let both = fresh.iter().chain(lasting);
        bytes
            .iter_mut()
            .zip(both)
            .for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// A secret that was agreed on elsewhere.
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral")
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// What libsodium makes of the result of an X25519 (`crypto_box_beforenm`): HSalsa20 of 16 zero bytes.
fn before(raw: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let key = salsa20::hsalsa::<U10>(&Array::from(*raw), &Array::default());
    Zeroizing::new(key.into())
}

/// The first half of the HMAC-SHA512 of the hop's Y (`crypto_auth` of libsodium).
fn code(fresh: &[u8; 32], y: &[u8; 32]) -> [u8; AUTH_LEN] {
    let key = hmac::Key::new(hmac::HMAC_SHA512, fresh);
    let tag = hmac::sign(&key, y);
    tag.as_ref().first_chunk().copied().unwrap_or_default()
}
