//! The agreement on a secret: Diffie-Hellman in the 768-bit group of RFC 2409, "First Oakley Group", with its last bytes
//! changed by the inventors of this protocol.

use std::fmt;

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U192, U768, const_monty_params};
use rand::Rng;

const_monty_params!(
    Group,
    U768,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563"
);

/// A number of the group.
type Element = ConstMontyForm<Group, { U768::LIMBS }>;

/// Bytes of a public key, and of the secret: the length of the prime P. Numbers that need fewer have zeros in front.
pub const KEY_LEN: usize = 96;

/// Bytes of a private key: what is customary, between 128 and 180 bits.
pub(super) const PRIVATE_LEN: usize = 20;

/// What a handshake in the clear begins with (BEP 3): the length of the name of the protocol.
const FIRST_IN_THE_CLEAR: u8 = 19;

/// A private key and the public key that belongs to it.
pub(super) struct KeyPair {
    private: U192,
    public: [u8; KEY_LEN],
}

/// The secret of both sides, `S`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret(pub(super) [u8; KEY_LEN]);

impl KeyPair {
    /// A new pair. One exponentiation, seldom two: no public key begins with 19. With that byte begins a handshake in the clear,
    /// and some (Transmission 3.00) look no further and take the key for one.
    pub(super) fn random(rng: &mut impl Rng) -> Self {
        loop {
            let mut private = [0; PRIVATE_LEN];
            rng.fill_bytes(&mut private);
            let pair = Self::new(private);
            if pair.public[0] != FIRST_IN_THE_CLEAR {
                return pair;
            }
        }
    }

    /// The pair of a private key. One exponentiation.
    pub(super) fn new(private: [u8; PRIVATE_LEN]) -> Self {
        let mut wide = [0; U192::BYTES];
        for (to, from) in wide.iter_mut().rev().zip(private.iter().rev()) {
            *to = *from;
        }
        let private = U192::from_be_slice(&wide);
        let public = power(&U768::from_u8(2), &private);
        Self { private, public }
    }

    /// The public key.
    pub(super) const fn public(&self) -> &[u8; KEY_LEN] {
        &self.public
    }

    /// The secret shared with the owner of a public key; `None` if that is not in 2 to P-2. One exponentiation.
    pub(super) fn agree(&self, theirs: &[u8; KEY_LEN]) -> Option<Secret> {
        let theirs = U768::from_be_slice(theirs);
        let least = U768::from_u8(2);
        let most = PRIME.wrapping_sub(&least);
        (least <= theirs && theirs <= most).then(|| Secret(power(&theirs, &self.private)))
    }
}

/// The prime of the group.
const PRIME: U768 = *<Group as crypto_bigint::modular::ConstMontyParams<{ U768::LIMBS }>>::PARAMS
    .modulus()
    .as_ref();

/// `base^exponent mod P`. The time depends on neither.
fn power(base: &U768, exponent: &U192) -> [u8; KEY_LEN] {
    let power = Element::new(base).pow_bounded_exp(exponent, 8 * PRIVATE_LEN as u32);
    let mut bytes = [0; KEY_LEN];
    bytes.copy_from_slice(power.retrieve().to_be_bytes().as_ref());
    bytes
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").finish_non_exhaustive()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}
