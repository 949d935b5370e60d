//! The constants of SHA-1 and SHA-256 (FIPS 180-4), and how a state becomes a digest.

use crate::kernel::{Columns, Kernel, LANES};
use crate::lanes::Lanes;
use crate::message::Message;
use crate::plan::Plan;

/// A digest that [`hash_many`](crate::hash_many) can make: `[u8; 20]` by SHA-1, `[u8; 32]` by SHA-256.
pub trait Digest: Copy + Default + Eq + Send + Sync + 'static {
    /// Hashes `messages` by `lanes`; `out` has one place per message.
    ///
    /// # Panics
    /// When `out` has another length than `messages`.
    fn many(lanes: &Lanes, messages: &[&[u8]], out: &mut [Self]);
}

impl Digest for [u8; 20] {
    fn many(lanes: &Lanes, messages: &[&[u8]], out: &mut [Self]) {
        lanes.sha1_many(messages, out);
    }
}

impl Digest for [u8; 32] {
    fn many(lanes: &Lanes, messages: &[&[u8]], out: &mut [Self]) {
        lanes.sha256_many(messages, out);
    }
}

/// One of the two hash functions, with a state of `W` words.
pub(crate) trait Algorithm<const W: usize> {
    /// The digest as bytes.
    type Digest: Copy;

    /// The state before the first block.
    const INITIAL: [u32; W];

    /// The plan of this function, out of the two.
    fn plan<'a>(sha1: &'a Plan, sha256: &'a Plan) -> &'a Plan;

    /// The digest of one message by the library.
    fn library(message: &Message<'_>) -> Self::Digest;

    /// Advances the first lanes of `state` by `blocks` blocks; see [`Kernel::sha1`].
    fn compress(kernel: Kernel, state: &mut Columns<W>, inputs: &[&[u8]; LANES], blocks: usize);

    /// The digest of a state after the last block.
    fn digest(words: [u32; W]) -> Self::Digest;
}

/// SHA-1.
#[derive(Debug)]
pub(crate) struct Sha1;

/// SHA-256.
#[derive(Debug)]
pub(crate) struct Sha256;

impl Algorithm<5> for Sha1 {
    type Digest = [u8; 20];

    const INITIAL: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];

    fn plan<'a>(sha1: &'a Plan, _: &'a Plan) -> &'a Plan {
        sha1
    }

    fn library(message: &Message<'_>) -> [u8; 20] {
        let mut sha1 = sha1_smol::Sha1::new();
        message.each(|part| sha1.update(part));
        sha1.digest().bytes()
    }

    fn compress(kernel: Kernel, state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
        kernel.sha1(state, inputs, blocks);
    }

    fn digest(words: [u32; 5]) -> [u8; 20] {
        let mut digest = [0; 20];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

impl Algorithm<8> for Sha256 {
    type Digest = [u8; 32];

    const INITIAL: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    fn plan<'a>(_: &'a Plan, sha256: &'a Plan) -> &'a Plan {
        sha256
    }

    fn library(message: &Message<'_>) -> [u8; 32] {
        let mut sha256 = ring::digest::Context::new(&ring::digest::SHA256);
        message.each(|part| sha256.update(part));
        let mut digest = [0; 32];
        digest.copy_from_slice(sha256.finish().as_ref());
        digest
    }

    fn compress(kernel: Kernel, state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
        kernel.sha256(state, inputs, blocks);
    }

    fn digest(words: [u32; 8]) -> [u8; 32] {
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

/// The additive constants of SHA-1, one per 20 rounds.
pub(crate) const SHA1_K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

/// The additive constants of SHA-256, one per round.
#[rustfmt::skip]
pub(crate) const SHA256_K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];
