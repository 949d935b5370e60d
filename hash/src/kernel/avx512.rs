//! 16 lanes of AVX-512 (F and BW): one 512-bit vector holds one word of 16 states.

#![allow(
    unsafe_code,
    reason = "vector loads and stores, an empty assembler line, and calls of functions that need CPU features"
)]

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32,
    _mm512_set1_epi32, _mm512_set4_epi32, _mm512_shuffle_epi8, _mm512_shuffle_i32x4,
    _mm512_srli_epi32, _mm512_storeu_si512, _mm512_sub_epi32, _mm512_ternarylogic_epi32,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use super::{BLOCK, Columns, LANES, blocks_of};

/// Proof that the processor and the operating system support AVX-512 F and BW.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

/// How far ahead of the block at hand input is fetched, in bytes. The hardware follows 16 streams well by itself; this
/// gains 2 to 8 % where lanes start on new pages, and distances of 256 to 2,048 do equally well.
const AHEAD: usize = 8 * BLOCK;

impl Avx512 {
    /// Looks for the instructions.
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        found.then_some(Self(()))
    }

    /// See [`Kernel::sha1`](super::Kernel::sha1).
    pub(crate) fn sha1(self, state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
        let Self(()) = self;
        // SAFETY: `self` exists only where `detect` found AVX-512 F and BW, all that the function enables.
        unsafe { sha1(state, inputs, blocks) }
    }

    /// See [`Kernel::sha256`](super::Kernel::sha256).
    pub(crate) fn sha256(self, state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
        let Self(()) = self;
        // SAFETY: `self` exists only where `detect` found AVX-512 F and BW, all that the function enables.
        unsafe { sha256(state, inputs, blocks) }
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
fn sha1(state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
    compress(state, inputs, blocks, |lanes, words| {
        sha1_rounds!(lanes, words)
    });
}

#[target_feature(enable = "avx512f,avx512bw")]
fn sha256(state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
    compress(state, inputs, blocks, |lanes, words| {
        sha256_rounds!(lanes, words)
    });
}

/// Runs `rounds` over each block. Generic, so that each of the two uses is a function of its own with everything in it:
/// a call per block, with its words passed through memory, costs a tenth of the speed.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn compress<const W: usize>(
    state: &mut Columns<W>,
    inputs: &[&[u8]; LANES],
    blocks: usize,
    rounds: impl Fn([__m512i; W], [__m512i; 16]) -> [__m512i; W],
) {
    let inputs = blocks_of::<LANES>(inputs, blocks);
    let mut lanes = state.each_ref().map(|column| {
        // SAFETY: a column is 16 words of 4 bytes, the 64 bytes that the unaligned load reads.
        unsafe { _mm512_loadu_si512(column.as_ptr().cast()) }
    });
    for block in 0..blocks {
        lanes = rounds(lanes, words::<W>(&inputs, block));
    }
    for (column, lane) in state.iter_mut().zip(lanes) {
        // SAFETY: a column is 16 words of 4 bytes, the 64 bytes that the unaligned store writes.
        unsafe { _mm512_storeu_si512(column.as_mut_ptr().cast(), lane) }
    }
}

/// The 16 words of one block of each lane, a column per word: a row per lane is read, its bytes are turned into words,
/// and the rows are transposed. All steps are spelled out, because in a loop the rows would go through memory.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words<const W: usize>(inputs: &[&[[u8; BLOCK]]; LANES], block: usize) -> [__m512i; 16] {
    let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let row = |lane: usize| {
        let bytes = &inputs[lane][block];
        // A prefetch never faults, so it may point past the end.
        _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(AHEAD).cast());
        // SAFETY: `bytes` is an array of the 64 bytes that the unaligned load reads.
        let row = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        _mm512_shuffle_epi8(row, swap)
    };
    // The words of four neighbouring rows, transposed within each 128-bit quarter: the vector `w` of four holds, in
    // quarter `q`, word `4 * q + w` of the lanes.
    let quads = |lane: usize| {
        let [a, b, c, d] = [row(lane), row(lane + 1), row(lane + 2), row(lane + 3)];
        let (ab, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (cd, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        [
            _mm512_unpacklo_epi64(ab, cd),
            _mm512_unpackhi_epi64(ab, cd),
            _mm512_unpacklo_epi64(ab_high, cd_high),
            _mm512_unpackhi_epi64(ab_high, cd_high),
        ]
    };
    let [a, b, c, d] = [quads(0), quads(4), quads(8), quads(12)];
    // Then the quarters are transposed: words `w`, `4 + w`, `8 + w` and `12 + w` of all lanes.
    let columns = |w: usize| {
        let (a, b, c, d) = (a[w], b[w], c[w], d[w]);
        let ab = _mm512_shuffle_i32x4::<0x44>(a, b);
        let ab_high = _mm512_shuffle_i32x4::<0xee>(a, b);
        let cd = _mm512_shuffle_i32x4::<0x44>(c, d);
        let cd_high = _mm512_shuffle_i32x4::<0xee>(c, d);
        [
            _mm512_shuffle_i32x4::<0x88>(ab, cd),
            _mm512_shuffle_i32x4::<0xdd>(ab, cd),
            _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high),
            _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high),
        ]
    };
    let [a, b, c, d] = [columns(0), columns(1), columns(2), columns(3)];
    [
        a[0], b[0], c[0], d[0], a[1], b[1], c[1], d[1], //
        a[2], b[2], c[2], d[2], a[3], b[3], c[3], d[3],
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sub(a: __m512i, b: __m512i) -> __m512i {
    _mm512_sub_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(x, y, z)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xe8>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

/// Keeps the sum `a` as it was written. The compiler sorts the terms of a sum by its own lights and adds constants last,
/// where they lengthen the chain of every round; that costs SHA-256 a seventh of its speed.
#[inline]
#[target_feature(enable = "avx512f")]
fn pin(mut a: __m512i) -> __m512i {
    // SAFETY: the text is a comment to the assembler; nothing runs, and the register keeps its value.
    unsafe { asm!("/* {0} */", inout(zmm_reg) a, options(pure, nomem, nostack, preserves_flags)) };
    a
}
