//! ChaCha20-Poly1305 (RFC 8439) in place, with the widest vectors of the machine.
//!
//! # What
//! [`Key`] seals and opens messages without associated data where they lie: what tunnels do with each cell, once for each
//! layer. Where the machine has AVX-512 with IFMA, a cell of 1400 bytes is one pass: the key of its authenticator and all
//! blocks of its key stream are made side by side in registers, and 16 blocks of the message are authenticated at a time. Any other machine has
//! the code of `ring`, which uses the vectors that it finds.
//!
//! # What not
//! No counters: nonces are the caller's, who must never seal twice with the same one. No associated data, no streams.
//!
//! # Map of modules
//! - `wide`: the back end of AVX-512; `chacha` makes key streams, `poly` authenticates.
//!
//! # Invariants
//! - `unsafe` is in `wide` only. It can be reached only with a token that proves that its instructions were found at run time,
//!   and each of its loads and stores is of an array of the right size, or masked to the bytes that are there.
//! - Neither time nor addresses depend on keys, messages or tags, only on lengths.
//! - A message whose tag is wrong is never deciphered.
//! - Both back ends give the same bytes, for all lengths.
//!
//! # Checking it
//! Property tests compare the back ends with each other and with a plain Poly1305. AddressSanitizer runs over the same tests:
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test -p tribler-aead --lib --target x86_64-unknown-linux-gnu
//! ```

#[cfg(target_arch = "x86_64")]
mod wide;

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

#[cfg(target_arch = "x86_64")]
use wide::Wide;

/// Bytes of a key.
pub const KEY: usize = 32;

/// Bytes of a nonce.
pub const NONCE: usize = 12;

/// Bytes of a tag.
pub const TAG: usize = 16;

/// The longest message, in bytes: far below where the counter of blocks, which has 32 bits, would begin anew.
pub const LONGEST: usize = 1 << 30;

/// A key of ChaCha20-Poly1305.
pub struct Key(Cipher);

enum Cipher {
    #[cfg(target_arch = "x86_64")]
    Wide(Wide),
    Ring(Box<LessSafeKey>),
}

impl Key {
    /// A key for the fastest back end of this machine.
    pub fn new(key: &[u8; KEY]) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = Wide::new(key) {
            return Some(Self(Cipher::Wide(wide)));
        }
        Self::of_ring(key)
    }

    /// A key for the code of `ring`, whatever else the machine has.
    fn of_ring(key: &[u8; KEY]) -> Option<Self> {
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, key).ok()?;
        Some(Self(Cipher::Ring(Box::new(LessSafeKey::new(unbound)))))
    }

    /// A key for each back end of this machine and its name, to compare them.
    #[doc(hidden)]
    pub fn available(key: &[u8; KEY]) -> Vec<(&'static str, Self)> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        all.extend(Wide::new(key).map(|wide| ("AVX-512", Self(Cipher::Wide(wide)))));
        all.extend(Self::of_ring(key).map(|ring| ("ring", ring)));
        all
    }

    /// Enciphers `message` in place and gives its tag. `None` where it is longer than [`LONGEST`].
    ///
    /// The nonce must not have been used with this key before.
    pub fn seal(&self, nonce: [u8; NONCE], message: &mut [u8]) -> Option<[u8; TAG]> {
        if message.len() > LONGEST {
            return None;
        }
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Cipher::Wide(wide) => Some(wide.seal(&nonce, message)),
            Cipher::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), message);
                tag.ok()?.as_ref().try_into().ok()
            }
        }
    }

    /// Deciphers `message` in place if the tag is the right one; else says false, and the message has no meaning any more.
    #[must_use]
    pub fn open(&self, nonce: [u8; NONCE], message: &mut [u8], tag: [u8; TAG]) -> bool {
        if message.len() > LONGEST {
            return false;
        }
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Cipher::Wide(wide) => wide.open(&nonce, message, &tag),
            Cipher::Ring(key) => {
                let (nonce, tag) = (Nonce::assume_unique_for_key(nonce), Tag::from(tag));
                key.open_in_place_separate_tag(nonce, Aad::empty(), tag, message, 0..)
                    .is_ok()
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            #[cfg(target_arch = "x86_64")]
            Cipher::Wide(_) => "Key(AVX-512)",
            Cipher::Ring(_) => "Key(ring)",
        })
    }
}

#[cfg(test)]
mod tests;
