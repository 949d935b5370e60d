//! Interleaved streams of the SHA extensions: a round of one stream runs while those of the others wait for their
//! results.

#![allow(
    unsafe_code,
    reason = "vector loads and stores, and calls of functions that need CPU features"
)]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32,
    _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
    _mm_shuffle_epi32, _mm_xor_si128,
};

use super::{BLOCK, Columns, LANES, blocks_of};
use crate::algorithm::SHA256_K;

/// Proof that the processor supports the SHA extensions, SSSE3 and SSE4.1; and how many streams to interleave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShaNi {
    streams: Streams,
}

/// How many streams are interleaved. SHA-1 gains up to 6, SHA-256 is within a twentieth of its best with 6; with 8 too
/// many registers are spilled. 5 streams do as well on 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streams {
    One,
    Two,
    Three,
    Four,
    Six,
}

impl ShaNi {
    /// Looks for the instructions.
    pub(crate) fn detect(streams: Streams) -> Option<Self> {
        let found = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        found.then_some(Self { streams })
    }

    /// How many streams are interleaved.
    pub(crate) fn width(self) -> usize {
        match self.streams {
            Streams::One => 1,
            Streams::Two => 2,
            Streams::Three => 3,
            Streams::Four => 4,
            Streams::Six => 6,
        }
    }

    /// See [`Kernel::sha1`](super::Kernel::sha1).
    pub(crate) fn sha1(self, state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
        // SAFETY: `self` exists only where `detect` found all features that the function enables.
        unsafe {
            match self.streams {
                Streams::One => sha1::<1>(state, inputs, blocks),
                Streams::Two => sha1::<2>(state, inputs, blocks),
                Streams::Three => sha1::<3>(state, inputs, blocks),
                Streams::Four => sha1::<4>(state, inputs, blocks),
                Streams::Six => sha1::<6>(state, inputs, blocks),
            }
        }
    }

    /// See [`Kernel::sha256`](super::Kernel::sha256).
    pub(crate) fn sha256(self, state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
        // SAFETY: `self` exists only where `detect` found all features that the function enables.
        unsafe {
            match self.streams {
                Streams::One => sha256::<1>(state, inputs, blocks),
                Streams::Two => sha256::<2>(state, inputs, blocks),
                Streams::Three => sha256::<3>(state, inputs, blocks),
                Streams::Four => sha256::<4>(state, inputs, blocks),
                Streams::Six => sha256::<6>(state, inputs, blocks),
            }
        }
    }
}

/// The 4-round groups of SHA-1, 20 a block. `abcd` holds a in its highest word; `e` is what the group adds to its first
/// words, before the rotation that `sha1nexte` makes.
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn sha1<const N: usize>(state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
    let inputs = blocks_of::<N>(inputs, blocks);
    let mut abcd: [__m128i; N] = std::array::from_fn(|i| {
        let [a, b, c, d, _] = state.each_ref().map(|column| column[i].cast_signed());
        _mm_set_epi32(a, b, c, d)
    });
    let mut e: [__m128i; N] =
        std::array::from_fn(|i| _mm_set_epi32(state[4][i].cast_signed(), 0, 0, 0));
    let swap = _mm_set_epi32(0x0001_0203, 0x0405_0607, 0x0809_0a0b, 0x0c0d_0e0f);
    for block in 0..blocks {
        let (abcd_before, e_before) = (abcd, e);
        let mut w: [[__m128i; 4]; N] = inputs.map(|input| quarters(&input[block], swap));
        macro_rules! group {
            ($t:literal) => {
                for i in 0..N {
                    let w = &mut w[i];
                    if $t >= 4 {
                        let x = _mm_sha1msg1_epu32(w[$t % 4], w[($t + 1) % 4]);
                        let x = _mm_xor_si128(x, w[($t + 2) % 4]);
                        w[$t % 4] = _mm_sha1msg2_epu32(x, w[($t + 3) % 4]);
                    }
                    let sum = if $t == 0 {
                        _mm_add_epi32(e[i], w[0])
                    } else {
                        _mm_sha1nexte_epu32(e[i], w[$t % 4])
                    };
                    e[i] = abcd[i];
                    abcd[i] = _mm_sha1rnds4_epu32::<{ $t / 5 }>(abcd[i], sum);
                }
            };
        }
        macro_rules! groups {
            ($($t:literal)*) => { $(group!($t);)* };
        }
        groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        for i in 0..N {
            e[i] = _mm_sha1nexte_epu32(e[i], e_before[i]);
            abcd[i] = _mm_add_epi32(abcd[i], abcd_before[i]);
        }
    }
    for i in 0..N {
        state[0][i] = _mm_extract_epi32::<3>(abcd[i]).cast_unsigned();
        state[1][i] = _mm_extract_epi32::<2>(abcd[i]).cast_unsigned();
        state[2][i] = _mm_extract_epi32::<1>(abcd[i]).cast_unsigned();
        state[3][i] = _mm_extract_epi32::<0>(abcd[i]).cast_unsigned();
        state[4][i] = _mm_extract_epi32::<3>(e[i]).cast_unsigned();
    }
}

/// The 4-round groups of SHA-256, 16 a block, over the two halves of the state as the extensions want them.
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn sha256<const N: usize>(state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
    let inputs = blocks_of::<N>(inputs, blocks);
    let lane = |i: usize| state.each_ref().map(|column| column[i].cast_signed());
    let mut abef: [__m128i; N] = std::array::from_fn(|i| {
        let [a, b, _, _, e, f, _, _] = lane(i);
        _mm_set_epi32(a, b, e, f)
    });
    let mut cdgh: [__m128i; N] = std::array::from_fn(|i| {
        let [_, _, c, d, _, _, g, h] = lane(i);
        _mm_set_epi32(c, d, g, h)
    });
    let swap = _mm_set_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    for block in 0..blocks {
        let (abef_before, cdgh_before) = (abef, cdgh);
        let mut w: [[__m128i; 4]; N] = inputs.map(|input| quarters(&input[block], swap));
        macro_rules! group {
            ($t:literal) => {
                let k = _mm_set_epi32(
                    SHA256_K[4 * $t + 3].cast_signed(),
                    SHA256_K[4 * $t + 2].cast_signed(),
                    SHA256_K[4 * $t + 1].cast_signed(),
                    SHA256_K[4 * $t].cast_signed(),
                );
                for i in 0..N {
                    let w = &mut w[i];
                    if $t >= 4 {
                        let x = _mm_sha256msg1_epu32(w[$t % 4], w[($t + 1) % 4]);
                        let y = _mm_alignr_epi8::<4>(w[($t + 3) % 4], w[($t + 2) % 4]);
                        w[$t % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(x, y), w[($t + 3) % 4]);
                    }
                    let sum = _mm_add_epi32(w[$t % 4], k);
                    cdgh[i] = _mm_sha256rnds2_epu32(cdgh[i], abef[i], sum);
                    let sum = _mm_shuffle_epi32::<0x0e>(sum);
                    abef[i] = _mm_sha256rnds2_epu32(abef[i], cdgh[i], sum);
                }
            };
        }
        macro_rules! groups {
            ($($t:literal)*) => { $(group!($t);)* };
        }
        groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for i in 0..N {
            abef[i] = _mm_add_epi32(abef[i], abef_before[i]);
            cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);
        }
    }
    for i in 0..N {
        state[0][i] = _mm_extract_epi32::<3>(abef[i]).cast_unsigned();
        state[1][i] = _mm_extract_epi32::<2>(abef[i]).cast_unsigned();
        state[4][i] = _mm_extract_epi32::<1>(abef[i]).cast_unsigned();
        state[5][i] = _mm_extract_epi32::<0>(abef[i]).cast_unsigned();
        state[2][i] = _mm_extract_epi32::<3>(cdgh[i]).cast_unsigned();
        state[3][i] = _mm_extract_epi32::<2>(cdgh[i]).cast_unsigned();
        state[6][i] = _mm_extract_epi32::<1>(cdgh[i]).cast_unsigned();
        state[7][i] = _mm_extract_epi32::<0>(cdgh[i]).cast_unsigned();
    }
}

/// The four quarters of a block, their bytes in the order that `swap` makes.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn quarters(block: &[u8; BLOCK], swap: __m128i) -> [__m128i; 4] {
    let (quarters, _) = block.as_chunks::<16>();
    std::array::from_fn(|quarter| {
        // SAFETY: a quarter is an array of the 16 bytes that the unaligned load reads.
        let bytes = unsafe { _mm_loadu_si128(quarters[quarter].as_ptr().cast()) };
        _mm_shuffle_epi8(bytes, swap)
    })
}
