//! The back end of AVX-512: F, BW and IFMA.

#![allow(
    unsafe_code,
    reason = "masked loads and stores of vectors, and calls of functions that need CPU features"
)]

mod chacha;
mod poly;

use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8,
    _mm512_storeu_si512, _mm512_xor_si512,
};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{KEY, NONCE, TAG};
use chacha::{BLOCK, Blocks, PER_VECTOR, key_stream};
use poly::authenticate;

/// Vectors of blocks that fill the registers: 24 blocks, the first of which is the key of the authenticator, so that 1472
/// bytes of message are one pass.
const MOST: usize = 6;

/// A key, which exists only where the processor and the operating system support what the functions here enable.
pub(super) struct Wide(Zeroizing<[u8; KEY]>);

/// What is done with a message.
#[derive(Clone, Copy)]
enum Way<'a> {
    Seal,
    Open(&'a [u8; TAG]),
}

impl Wide {
    /// Looks for the instructions.
    pub(super) fn new(key: &[u8; KEY]) -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma");
        found.then(|| Self(Zeroizing::new(*key)))
    }

    /// Enciphers `message`, and gives its tag.
    pub(super) fn seal(&self, nonce: &[u8; NONCE], message: &mut [u8]) -> [u8; TAG] {
        // SAFETY: `self` exists only where `new` found AVX-512 F, BW and IFMA, all that the function enables.
        unsafe { crypt(&self.0, nonce, message, Way::Seal) }
    }

    /// Deciphers `message` if its tag is `tag`.
    pub(super) fn open(&self, nonce: &[u8; NONCE], message: &mut [u8], tag: &[u8; TAG]) -> bool {
        // SAFETY: `self` exists only where `new` found AVX-512 F, BW and IFMA, all that the function enables.
        let right = unsafe { crypt(&self.0, nonce, message, Way::Open(tag)) };
        right.ct_eq(tag).into()
    }
}

/// Seals or opens with a first pass of as many vectors as the message fills; gives the right tag.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn crypt(key: &[u8; KEY], nonce: &[u8; NONCE], message: &mut [u8], way: Way<'_>) -> [u8; TAG] {
    let blocks = 1 + message.len().div_ceil(BLOCK);
    match blocks.div_ceil(PER_VECTOR) {
        0 | 1 => passes::<1>(key, nonce, message, way),
        2 => passes::<2>(key, nonce, message, way),
        3 | 4 => passes::<4>(key, nonce, message, way),
        _ => passes::<MOST>(key, nonce, message, way),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn passes<const N: usize>(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    message: &mut [u8],
    way: Way<'_>,
) -> [u8; TAG] {
    let stream: Blocks<N> = key_stream(key, nonce, 0);
    let once = store(stream[0][0]);
    if let Way::Open(tag) = way {
        let right = authenticate(&once, message);
        if !bool::from(right.ct_eq(tag)) {
            return right;
        }
    }
    let first = message.len().min((PER_VECTOR * N - 1) * BLOCK);
    let (now, mut later) = message.split_at_mut(first);
    mix(now, stream.as_flattened().get(1..).unwrap_or_default());
    let mut counter = (PER_VECTOR * N) as u32;
    while !later.is_empty() {
        let stream: Blocks<MOST> = key_stream(key, nonce, counter);
        let (now, rest) = later.split_at_mut(later.len().min(PER_VECTOR * MOST * BLOCK));
        mix(now, stream.as_flattened());
        counter = counter.wrapping_add((PER_VECTOR * MOST) as u32);
        later = rest;
    }
    match way {
        Way::Seal => authenticate(&once, message),
        Way::Open(tag) => *tag,
    }
}

/// Mixes a key stream into a text that is no longer than it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn mix(text: &mut [u8], stream: &[__m512i]) {
    let (blocks, rest) = text.as_chunks_mut::<BLOCK>();
    for (block, stream) in blocks.iter_mut().zip(stream) {
        *block = store(_mm512_xor_si512(load(block), *stream));
    }
    let stream = stream.get(blocks.len());
    if let Some(stream) = stream.filter(|_| !rest.is_empty()) {
        let mask = (1_u64 << (rest.len() % BLOCK)) - 1;
        // SAFETY: the mask has a bit for each byte of `rest`, which is shorter than a vector, and only those are touched.
        unsafe {
            let block = _mm512_maskz_loadu_epi8(mask, rest.as_ptr().cast());
            let block = _mm512_xor_si512(block, *stream);
            _mm512_mask_storeu_epi8(rest.as_mut_ptr().cast(), mask, block);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; BLOCK]) -> __m512i {
    // SAFETY: the array has the 64 bytes that the unaligned load reads.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(vector: __m512i) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    // SAFETY: the array has the 64 bytes that the unaligned store writes.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), vector) };
    bytes
}
