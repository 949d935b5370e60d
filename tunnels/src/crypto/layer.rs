//! One layer of an onion: a key of one direction in either dialect.

#[cfg(test)]
pub(crate) mod sealed;

use std::fmt;
use std::io::{Cursor, Write};

use thiserror::Error;

use super::gcm::Gcm;

/// Bytes that a layer puts in front of a message: its counter, as a big-endian `i64`.
pub const HEAD: usize = 8;

/// Bytes that a layer puts behind a message.
pub const TAG: usize = 16;

/// Bytes that a layer adds to a message.
pub const OVERHEAD: usize = HEAD + TAG;

/// Why a layer cannot be taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The message is shorter than the [`OVERHEAD`] of one layer.
    #[error("too short for a layer of encryption")]
    Short,
    /// It was sealed with another key, or was changed on its way.
    #[error("sealed with another key, or changed on its way")]
    Forged,
    /// It has been opened before, or its counter is so old that nobody can tell.
    #[error("came before")]
    Replayed,
}

/// A key of one direction.
pub(super) struct Layer {
    salt: [u8; 4],
    cipher: Cipher,
    /// Which key it is, for tests that look at what is sealed.
    #[cfg(test)]
    key: u64,
}

enum Cipher {
    /// AES-128-GCM; the nonce is the salt and the counter in decimal digits, so that its length is 5 to 23 bytes.
    Gcm(Gcm),
    /// ChaCha20-Poly1305; the nonce is the salt and the counter, 12 bytes.
    ChaCha(aead::Key),
}

impl Layer {
    pub(super) fn gcm(key: [u8; 16], salt: [u8; 4]) -> Self {
        Self {
            salt,
            cipher: Cipher::Gcm(Gcm::new(key)),
            #[cfg(test)]
            key: sealed::name(&key),
        }
    }

    pub(super) fn chacha(key: &[u8; 32], salt: [u8; 4]) -> Option<Self> {
        Some(Self {
            salt,
            cipher: Cipher::ChaCha(aead::Key::new(key)?),
            #[cfg(test)]
            key: sealed::name(key),
        })
    }

    /// Seals `frame` in place: [`HEAD`] bytes of room, the message, [`TAG`] bytes of room. `None` when the frame is shorter
    /// than that.
    pub(super) fn seal(&mut self, counter: u64, frame: &mut [u8]) -> Option<()> {
        let (head, rest) = frame.split_first_chunk_mut::<HEAD>()?;
        let (message, tag) = rest.split_last_chunk_mut::<TAG>()?;
        *head = counter.to_be_bytes();
        #[cfg(test)]
        sealed::note((self.key, self.salt, counter));
        *tag = match &mut self.cipher {
            Cipher::Gcm(gcm) => {
                let nonce = DecimalNonce::new(self.salt, counter);
                gcm.seal(nonce.as_bytes(), message)?
            }
            Cipher::ChaCha(key) => key.seal(binary_nonce(self.salt, counter), message)?,
        };
        Some(())
    }

    /// Takes the layer off `frame` in place: the message is then what lies between its first [`HEAD`] and its last [`TAG`]
    /// bytes.
    pub(super) fn open(&mut self, frame: &mut [u8]) -> Result<(), OpenError> {
        if frame.len() < OVERHEAD {
            return Err(OpenError::Short);
        }
        let (head, sealed) = frame.split_first_chunk_mut().ok_or(OpenError::Short)?;
        let counter = u64::from_be_bytes(*head);
        let opened = match &mut self.cipher {
            Cipher::Gcm(gcm) => {
                let nonce = DecimalNonce::new(self.salt, counter);
                gcm.open(nonce.as_bytes(), sealed)
            }
            Cipher::ChaCha(key) => {
                let (message, tag) = sealed.split_last_chunk_mut().ok_or(OpenError::Short)?;
                key.open(binary_nonce(self.salt, counter), message, *tag)
            }
        };
        if opened {
            Ok(())
        } else {
            Err(OpenError::Forged)
        }
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cipher {
            Cipher::Gcm(_) => "Layer(AES-128-GCM)",
            Cipher::ChaCha(_) => "Layer(ChaCha20-Poly1305)",
        })
    }
}

/// The salt and the counter in decimal digits, a sign included: at most 4 + 20 bytes.
struct DecimalNonce {
    bytes: [u8; 24],
    len: usize,
}

impl DecimalNonce {
    fn new(salt: [u8; 4], counter: u64) -> Self {
        let mut cursor = Cursor::new([0; 24]);
        let written = cursor.write_all(&salt);
        // The wire calls it signed, and who counts below zero writes a minus.
        let written = written.and_then(|()| write!(cursor, "{}", counter.cast_signed()));
        debug_assert!(written.is_ok(), "24 bytes hold a salt and any i64");
        let len = cursor.position() as usize;
        let bytes = cursor.into_inner();
        Self { bytes, len }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

fn binary_nonce(salt: [u8; 4], counter: u64) -> [u8; aead::NONCE] {
    let mut nonce = [0; aead::NONCE];
    let (before, after) = nonce.split_at_mut(salt.len());
    before.copy_from_slice(&salt);
    after.copy_from_slice(&counter.to_be_bytes());
    nonce
}
