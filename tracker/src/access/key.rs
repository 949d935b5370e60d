//! Keys of private trackers.

use std::fmt;
use std::str::FromStr;

use rand::{CryptoRng, RngExt as _};

/// What a client shows in the path of its URL: 32 letters and digits.
///
/// It is a secret: its `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; LEN]);

const LEN: usize = 32;

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It has not 32 bytes.
    #[error("a key has 32 letters and digits, not {0}")]
    Length(usize),
    /// There is something else than letters and digits of ASCII in it.
    #[error("a key has only letters and digits")]
    Letter,
}

impl Key {
    /// A key at random: 190 bits.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self([(); LEN].map(|()| LETTERS[rng.random_range(0..LETTERS.len())]))
    }

    /// The key itself, for whoever asked for it.
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes: [u8; LEN] = text
            .as_bytes()
            .try_into()
            .map_err(|_| KeyError::Length(text.len()))?;
        if bytes.iter().all(u8::is_ascii_alphanumeric) {
            Ok(Self(bytes))
        } else {
            Err(KeyError::Letter)
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_random_key_is_one_and_another_each_time() {
        let mut rng = StdRng::seed_from_u64(1);
        let [a, b] = [(); 2].map(|()| Key::random(&mut rng));
        assert_ne!(a, b);
        assert_eq!(a.as_str().parse(), Ok(a));
        assert_eq!(format!("{a:?}"), "Key(..)");
    }

    #[test]
    fn anything_else_is_none() {
        assert_eq!("abc".parse::<Key>(), Err(KeyError::Length(3)));
        let umlaut = format!("{}ä", "a".repeat(30));
        assert_eq!(umlaut.parse::<Key>(), Err(KeyError::Letter));
    }
}
