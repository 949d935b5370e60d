//! AES-128-GCM with nonces of any length (NIST SP 800-38D, sections 7.1 and 7.2), without associated data.
//!
//! Nonces of 12 bytes, which is what our own counters give, go through `ring`, whose kernels are twice as fast. All others
//! begin at a counter block that is itself a GHASH; `ring` cannot start there, so they are put together from AES in counter
//! mode and GHASH. Each half is made when the first nonce asks for it.

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher};
use ctr::{Ctr32BE, CtrCore};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::layer::TAG;

type Block = ghash::Block;

/// A key, ready for nonces of any length.
pub(super) struct Gcm {
    key: Zeroizing<[u8; 16]>,
    usual: Option<Box<LessSafeKey>>,
    unusual: Option<Box<Unusual>>,
}

/// The parts of GCM for nonces that are not 12 bytes long.
struct Unusual {
    aes: Aes128Enc,
    ghash: GHash,
}

impl Gcm {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self {
            key: Zeroizing::new(key),
            usual: None,
            unusual: None,
        }
    }

    /// Encrypts `message` in place; gives the tag.
    pub(super) fn seal(&mut self, nonce: &[u8], message: &mut [u8]) -> Option<[u8; TAG]> {
        let Ok(nonce) = <[u8; NONCE_LEN]>::try_from(nonce) else {
            return Some(self.unusual().seal(nonce, message));
        };
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .usual()?
            .seal_in_place_separate_tag(nonce, Aad::empty(), message);
        tag.ok()?.as_ref().try_into().ok()
    }

    /// Decrypts `message`, the ciphertext followed by the tag, in place. False when the tag is wrong; then the bytes have no
    /// meaning any more.
    pub(super) fn open(&mut self, nonce: &[u8], message: &mut [u8]) -> bool {
        let Ok(nonce) = <[u8; NONCE_LEN]>::try_from(nonce) else {
            return self.unusual().open(nonce, message);
        };
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.usual().is_some_and(|key| {
            let opened = key.open_in_place(nonce, Aad::empty(), message);
            opened.is_ok()
        })
    }

    fn usual(&mut self) -> Option<&LessSafeKey> {
        if self.usual.is_none() {
            let key = UnboundKey::new(&AES_128_GCM, self.key.as_ref()).ok()?;
            self.usual = Some(Box::new(LessSafeKey::new(key)));
        }
        self.usual.as_deref()
    }

    fn unusual(&mut self) -> &Unusual {
        let key = &self.key;
        self.unusual.get_or_insert_with(|| {
            let aes = Aes128Enc::new(&(**key).into());
            let mut h = Block::default();
            aes.encrypt_block(&mut h);
            let ghash = GHash::new(&h);
            Box::new(Unusual { aes, ghash })
        })
    }
}

impl Unusual {
    fn seal(&self, nonce: &[u8], message: &mut [u8]) -> [u8; TAG] {
        let first = self.first_block(nonce);
        self.keystream(&first, message);
        self.tag(&first, message)
    }

    fn open(&self, nonce: &[u8], message: &mut [u8]) -> bool {
        let Some((message, tag)) = message.split_last_chunk_mut::<TAG>() else {
            return false;
        };
        let first = self.first_block(nonce);
        let right = self.tag(&first, message).ct_eq(tag).into();
        if right {
            self.keystream(&first, message);
        }
        right
    }

    /// The counter block before the first of the message: the GHASH of the nonce and its length in bits.
    fn first_block(&self, nonce: &[u8]) -> Block {
        let mut ghash = self.ghash.clone();
        ghash.update_padded(nonce);
        ghash.update(&[lengths(0, nonce.len())]);
        ghash.finalize()
    }

    /// Adds the keystream behind the block `first`, whose last 32 bits count.
    fn keystream(&self, first: &Block, message: &mut [u8]) {
        let mut start: [u8; 16] = (*first).into();
        let [.., a, b, c, d] = &mut start;
        let next = u32::from_be_bytes([*a, *b, *c, *d]).wrapping_add(1);
        [*a, *b, *c, *d] = next.to_be_bytes();
        let core = CtrCore::inner_iv_init(&self.aes, &start.into());
        let mut stream = Ctr32BE::<&Aes128Enc>::from_core(core);
        stream.apply_keystream(message);
    }

    fn tag(&self, first: &Block, ciphertext: &[u8]) -> [u8; TAG] {
        let mut ghash = self.ghash.clone();
        ghash.update_padded(ciphertext);
        ghash.update(&[lengths(0, ciphertext.len())]);
        let sum = ghash.finalize();
        let mut mask = *first;
        self.aes.encrypt_block(&mut mask);
        let mut tag: [u8; TAG] = sum.into();
        tag.iter_mut()
            .zip(mask)
            .for_each(|(tag, mask)| *tag ^= mask);
        tag
    }
}

/// The block that ends each GHASH: two lengths in bits.
fn lengths(first: usize, second: usize) -> Block {
    let bits = |bytes: usize| (bytes as u128) << 3;
    let block = (bits(first) << 64) | bits(second);
    block.to_be_bytes().into()
}
