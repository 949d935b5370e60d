//! 16 lanes of AVX-512 (F and BW): one 512-bit vector holds one word of 16 states.

#![allow(
    unsafe_code,
    reason = "vector loads and stores, and calls of functions that need CPU features"
)]

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32,
    _mm512_set1_epi32, _mm512_set4_epi32, _mm512_shuffle_epi8, _mm512_shuffle_i32x4,
    _mm512_srli_epi32, _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::{BLOCK, Columns, LANES, blocks_of};

/// Proof that the processor and the operating system support AVX-512 F and BW.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

/// The blocks of 16 lanes, all of one length.
type Inputs<'a> = [&'a [[u8; BLOCK]]; LANES];

impl Avx512 {
    /// Looks for the instructions.
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        found.then_some(Self(()))
    }

    /// See [`Kernel::sha1`](super::Kernel::sha1).
    pub(crate) fn sha1(self, state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
        let Self(()) = self;
        let inputs = blocks_of::<LANES>(inputs, blocks);
        // SAFETY: `self` exists only where `detect` found AVX-512 F and BW, all that the function enables.
        unsafe { sha1(state, &inputs, blocks) }
    }

    /// See [`Kernel::sha256`](super::Kernel::sha256).
    pub(crate) fn sha256(self, state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
        let Self(()) = self;
        let inputs = blocks_of::<LANES>(inputs, blocks);
        // SAFETY: `self` exists only where `detect` found AVX-512 F and BW, all that the function enables.
        unsafe { sha256(state, &inputs, blocks) }
    }
}

macro_rules! rotate {
    ($a:expr, $left:literal) => {
        _mm512_rol_epi32::<$left>($a)
    };
}

macro_rules! shift {
    ($a:expr, $right:literal) => {
        _mm512_srli_epi32::<$right>($a)
    };
}

#[target_feature(enable = "avx512f,avx512bw")]
fn sha1(state: &mut Columns<5>, inputs: &Inputs<'_>, blocks: usize) {
    let mut lanes = load(state);
    for block in 0..blocks {
        let words = words(inputs, block);
        lanes = sha1_rounds!(lanes, words);
    }
    store(state, lanes);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn sha256(state: &mut Columns<8>, inputs: &Inputs<'_>, blocks: usize) {
    let mut lanes = load(state);
    for block in 0..blocks {
        let words = words(inputs, block);
        lanes = sha256_rounds!(lanes, words);
    }
    store(state, lanes);
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load<const W: usize>(state: &Columns<W>) -> [__m512i; W] {
    // SAFETY: a column is 16 words of 4 bytes, the 64 bytes that the unaligned load reads.
    state
        .each_ref()
        .map(|column| unsafe { _mm512_loadu_si512(column.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn store<const W: usize>(state: &mut Columns<W>, lanes: [__m512i; W]) {
    for (column, lane) in state.iter_mut().zip(lanes) {
        // SAFETY: a column is 16 words of 4 bytes, the 64 bytes that the unaligned store writes.
        unsafe { _mm512_storeu_si512(column.as_mut_ptr().cast(), lane) }
    }
}

/// How far ahead of the block at hand input is fetched, in bytes.
const AHEAD: usize = 8 * BLOCK;

/// The 16 big-endian words of one block of each lane: a row per lane is read, swapped and transposed.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words(inputs: &Inputs<'_>, block: usize) -> [__m512i; 16] {
    let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let rows = inputs.map(|input| {
        let bytes = input[block].as_ptr();
        // A prefetch never faults, so it may point past the end.
        _mm_prefetch::<_MM_HINT_T0>(bytes.wrapping_add(AHEAD).cast());
        // SAFETY: `bytes` points to a whole block, the 64 bytes that the unaligned load reads.
        let row = unsafe { _mm512_loadu_si512(bytes.cast()) };
        _mm512_shuffle_epi8(row, swap)
    });
    transpose(&rows)
}

/// Turns a row per lane into a column per word.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transpose(rows: &[__m512i; 16]) -> [__m512i; 16] {
    let mut quads = [rows[0]; 16];
    // Within each 128-bit quarter: 4x4 transposition of the words of four neighbouring rows. Then `quads[4 * g + w]`
    // holds, in quarter q, word 4 * q + w of lanes 4 * g to 4 * g + 3.
    for g in 0..4 {
        let [a, b, c, d] = [
            rows[4 * g],
            rows[4 * g + 1],
            rows[4 * g + 2],
            rows[4 * g + 3],
        ];
        let (ab, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (cd, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        quads[4 * g] = _mm512_unpacklo_epi64(ab, cd);
        quads[4 * g + 1] = _mm512_unpackhi_epi64(ab, cd);
        quads[4 * g + 2] = _mm512_unpacklo_epi64(ab_high, cd_high);
        quads[4 * g + 3] = _mm512_unpackhi_epi64(ab_high, cd_high);
    }
    let mut columns = [rows[0]; 16];
    // Then a 4x4 transposition of quarters.
    for w in 0..4 {
        let [a, b, c, d] = [quads[w], quads[4 + w], quads[8 + w], quads[12 + w]];
        let (ab, ab_high) = (
            _mm512_shuffle_i32x4::<0x44>(a, b),
            _mm512_shuffle_i32x4::<0xee>(a, b),
        );
        let (cd, cd_high) = (
            _mm512_shuffle_i32x4::<0x44>(c, d),
            _mm512_shuffle_i32x4::<0xee>(c, d),
        );
        columns[w] = _mm512_shuffle_i32x4::<0x88>(ab, cd);
        columns[4 + w] = _mm512_shuffle_i32x4::<0xdd>(ab, cd);
        columns[8 + w] = _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high);
        columns[12 + w] = _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high);
    }
    columns
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn choose(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(x, y, z)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn majority(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xe8>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}
