//! 8 lanes of AVX2: one 256-bit vector holds one word of 8 states.

#![allow(
    unsafe_code,
    reason = "vector loads and stores, and calls of functions that need CPU features"
)]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set_epi32, _mm256_set1_epi32, _mm256_shuffle_epi8,
    _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256, _mm256_sub_epi32,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

use super::{BLOCK, Columns, LANES, blocks_of};

/// Proof that the processor and the operating system support AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

/// The lanes of this kernel.
pub(super) const WIDTH: usize = 8;

impl Avx2 {
    /// Looks for the instructions.
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// See [`Kernel::sha1`](super::Kernel::sha1).
    pub(crate) fn sha1(self, state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
        let Self(()) = self;
        // SAFETY: `self` exists only where `detect` found AVX2, all that the function enables.
        unsafe { sha1(state, inputs, blocks) }
    }

    /// See [`Kernel::sha256`](super::Kernel::sha256).
    pub(crate) fn sha256(self, state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
        let Self(()) = self;
        // SAFETY: `self` exists only where `detect` found AVX2, all that the function enables.
        unsafe { sha256(state, inputs, blocks) }
    }
}

macro_rules! rotate {
    ($a:expr, $left:literal) => {{
        let a = $a;
        _mm256_or_si256(
            _mm256_slli_epi32::<$left>(a),
            _mm256_srli_epi32::<{ 32 - $left }>(a),
        )
    }};
}

macro_rules! shift {
    ($a:expr, $right:literal) => {
        _mm256_srli_epi32::<$right>($a)
    };
}

#[target_feature(enable = "avx2")]
fn sha1(state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
    compress(state, inputs, blocks, |lanes, words| {
        sha1_rounds!(lanes, words)
    });
}

#[target_feature(enable = "avx2")]
fn sha256(state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
    compress(state, inputs, blocks, |lanes, words| {
        sha256_rounds!(lanes, words)
    });
}

/// Runs `rounds` over each block.
#[inline]
#[target_feature(enable = "avx2")]
fn compress<const W: usize>(
    state: &mut Columns<W>,
    inputs: &[&[u8]; LANES],
    blocks: usize,
    rounds: impl Fn([__m256i; W], [__m256i; 16]) -> [__m256i; W],
) {
    let inputs = blocks_of::<WIDTH>(inputs, blocks);
    let mut lanes = state.each_ref().map(|column| {
        // SAFETY: a column is 16 words of 4 bytes, and the unaligned load reads the first 32 bytes of them.
        unsafe { _mm256_loadu_si256(column.as_ptr().cast()) }
    });
    for block in 0..blocks {
        let (low, high) = (half::<W, 0>(&inputs, block), half::<W, 1>(&inputs, block));
        let words = std::array::from_fn(|word| if word < 8 { low[word] } else { high[word - 8] });
        lanes = rounds(lanes, words);
    }
    for (column, lane) in state.iter_mut().zip(lanes) {
        // SAFETY: a column is 16 words of 4 bytes, and the unaligned store writes the first 32 bytes of them.
        unsafe { _mm256_storeu_si256(column.as_mut_ptr().cast(), lane) }
    }
}

/// Words 8 * `HALF` to 8 * `HALF` + 7 of one block of each lane, a column per word: half a row per lane is read, its
/// bytes are turned into words, and the rows are transposed.
#[inline]
#[target_feature(enable = "avx2")]
fn half<const W: usize, const HALF: usize>(
    inputs: &[&[[u8; BLOCK]]; WIDTH],
    block: usize,
) -> [__m256i; 8] {
    let [a, b, c, d] = [0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203];
    let swap = _mm256_set_epi32(a, b, c, d, a, b, c, d);
    let rows = inputs.map(|input| {
        let bytes = &input[block].as_chunks::<32>().0[HALF];
        // SAFETY: `bytes` is an array of the 32 bytes that the unaligned load reads.
        let row = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        _mm256_shuffle_epi8(row, swap)
    });
    // The words of four neighbouring rows, within each 128-bit half.
    let mut quads = [rows[0]; 8];
    for g in 0..2 {
        let [a, b, c, d] = [
            rows[4 * g],
            rows[4 * g + 1],
            rows[4 * g + 2],
            rows[4 * g + 3],
        ];
        let (ab, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let (cd, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        quads[4 * g] = _mm256_unpacklo_epi64(ab, cd);
        quads[4 * g + 1] = _mm256_unpackhi_epi64(ab, cd);
        quads[4 * g + 2] = _mm256_unpacklo_epi64(ab_high, cd_high);
        quads[4 * g + 3] = _mm256_unpackhi_epi64(ab_high, cd_high);
    }
    // Then the halves.
    let mut columns = [rows[0]; 8];
    for w in 0..4 {
        columns[w] = _mm256_permute2x128_si256::<0x20>(quads[w], quads[4 + w]);
        columns[4 + w] = _mm256_permute2x128_si256::<0x31>(quads[w], quads[4 + w]);
    }
    columns
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn sub(a: __m256i, b: __m256i) -> __m256i {
    _mm256_sub_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(a, b), c)
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    _mm256_xor_si256(z, _mm256_and_si256(x, _mm256_xor_si256(y, z)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(
        _mm256_and_si256(a, b),
        _mm256_and_si256(c, _mm256_xor_si256(a, b)),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn pin(a: __m256i) -> __m256i {
    a
}
