//! Poly1305 of an enciphered message, 16 blocks of 16 bytes at a time.
//!
//! # Numbers
//! Modulo 2^130 - 5, in three limbs of 44, 44 and 42 bits, which may be a little larger: below 2^45. What lies above bit 130 counts five
//! times at bit 0, and so does a product of limbs that lies above bit 132 count 20 times.
//!
//! # Order
//! The message is cut into groups of 8 blocks from its end, where the block with its length stands; blocks before its beginning
//! are nothing. Two sums run side by side, of each second group, and are multiplied by the 16th power of the key for each
//! further pair. A vector has the blocks of a group in the order 0, 4, 1, 5, 2, 6, 3, 7.

use std::arch::x86_64::{
    __m512i, _mm_set_epi64x, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpge_epi64_mask,
    _mm512_inserti32x4, _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_maskz_loadu_epi8, _mm512_maskz_set1_epi64, _mm512_or_si512, _mm512_set1_epi64,
    _mm512_setr_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srli_epi64,
    _mm512_storeu_si512, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use crate::TAG;

/// Bytes of a block, of the vectors that hold a group, and of a pair of groups.
const BLOCK: usize = 16;
const GROUP: usize = 8 * BLOCK;
const PAIR: usize = 2 * GROUP;

const LOW: u64 = (1 << 44) - 1;
const TOP: u64 = (1 << 42) - 1;

/// The bit that stands above each block, in the third limb.
const ABOVE: i64 = 1 << 40;

/// A number.
type Number = [u64; 3];

/// Eight numbers, limb by limb.
type Lanes = [__m512i; 3];

/// Eight numbers to multiply with: their limbs, and 20 times the second and third of them.
#[derive(Clone, Copy)]
struct Factor {
    limbs: Lanes,
    times_20: [__m512i; 2],
}

/// The tag of an enciphered message without associated data, by the first block of the key stream.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(super) fn authenticate(once: &[u8; 64], message: &[u8]) -> [u8; TAG] {
    let word = |at: usize| {
        let bytes = once.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let r = (
        word(0) & 0x0fff_fffc_0fff_ffff,
        word(8) & 0x0fff_fffc_0fff_fffc,
    );
    let r = [r.0 & LOW, (r.0 >> 44 | r.1 << 20) & LOW, r.1 >> 24];
    let sum = evaluate(r, message);
    let tag = sum.wrapping_add(u128::from(word(16)) | u128::from(word(24)) << 64);
    tag.to_le_bytes()
}

/// The polynomial of the message and the block with its length at `r`, modulo 2^130 - 5 and then 2^128.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn evaluate(r: Number, message: &[u8]) -> u128 {
    let blocks = message.len().div_ceil(BLOCK) + 1;
    let pairs = blocks.div_ceil(PAIR / BLOCK);
    let before = pairs * (PAIR / BLOCK) - blocks;
    let powers = powers(r);
    let by_8 = all(powers[7]);
    let by_16 = all(multiply(powers[7], powers[7]));
    let mut sums = [[_mm512_setzero_si512(); 3]; 2];
    for pair in 0..pairs {
        // Before the beginning of the message only in the first pair, and past its end only in the last.
        let at = (pair * PAIR).cast_signed() - (before * BLOCK).cast_signed();
        let is_last = pair + 1 == pairs;
        let whole = usize::try_from(at).ok().filter(|_| !is_last);
        let whole = whole.and_then(|at| message.get(at..at + PAIR)?.first_chunk::<PAIR>());
        let groups = if let Some(bytes) = whole {
            [group(bytes, 0), group(bytes, GROUP)]
        } else {
            let missing = if pair == 0 { before } else { 0 };
            let second = at + GROUP.cast_signed();
            [
                edge(message, at, missing, false),
                edge(message, second, missing.saturating_sub(8), is_last),
            ]
        };
        for (sum, group) in sums.iter_mut().zip(groups) {
            add(sum, group);
            if !is_last {
                *sum = times(*sum, &by_16);
            }
        }
    }
    let [mut sum, second] = sums;
    sum = times(sum, &by_8);
    add(&mut sum, second);
    total(times(sum, &lanes(&powers)))
}

/// The numbers of eight whole blocks in the middle of a message.
#[inline]
#[target_feature(enable = "avx512f")]
fn group(bytes: &[u8; PAIR], at: usize) -> Lanes {
    let bytes = &bytes[at..at + GROUP];
    // SAFETY: the slice has the 128 bytes that the two unaligned loads read.
    let (low, high) = unsafe {
        (
            _mm512_loadu_si512(bytes.as_ptr().cast()),
            _mm512_loadu_si512(bytes.as_ptr().wrapping_add(64).cast()),
        )
    };
    numbers(low, high, _mm512_set1_epi64(ABOVE))
}

/// The numbers of eight blocks that lie at `at`, perhaps before the beginning or past the end of the message; the first `missing` of them
/// are no blocks, and the last is the one with the length if this is the last group.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn edge(message: &[u8], at: isize, missing: usize, is_last: bool) -> Lanes {
    let low = window(message, at);
    let mut high = window(message, at + 64);
    if is_last {
        let len = (message.len() as u64).cast_signed();
        high = _mm512_inserti32x4::<3>(high, _mm_set_epi64x(len, 0));
    }
    let order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    let there = _mm512_cmpge_epi64_mask(order, _mm512_set1_epi64((missing as u64).cast_signed()));
    numbers(low, high, _mm512_maskz_set1_epi64(there, ABOVE))
}

/// The 64 bytes at `at`; those that lie outside of the message are 0.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn window(message: &[u8], at: isize) -> __m512i {
    let len = message.len().cast_signed();
    let begin = (-at).clamp(0, 64);
    let end = (len - at).clamp(0, 64);
    let below = |bit: isize| if bit == 64 { u64::MAX } else { (1 << bit) - 1 };
    let mask = below(end) & !below(begin);
    // SAFETY: the mask has a bit for each of the bytes that lie in the message, and no other is touched.
    unsafe { _mm512_maskz_loadu_epi8(mask, message.as_ptr().wrapping_offset(at).cast()) }
}

/// Cuts eight blocks into limbs.
#[inline]
#[target_feature(enable = "avx512f")]
fn numbers(first: __m512i, second: __m512i, above: __m512i) -> Lanes {
    let low = _mm512_unpacklo_epi64(first, second);
    let high = _mm512_unpackhi_epi64(first, second);
    let mask = mask(LOW);
    let middle = _mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(high));
    [
        _mm512_and_si512(low, mask),
        _mm512_and_si512(middle, mask),
        _mm512_or_si512(_mm512_srli_epi64::<24>(high), above),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(sum: &mut Lanes, other: Lanes) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum = _mm512_add_epi64(*sum, other);
    }
}

/// The products of eight numbers and eight others.
///
/// The instructions multiply 52 bits by 52 and give the lower or the upper 52 bits of the product, which lie 8 bits higher
/// than the limb after, or 10 above the last.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn times(a: Lanes, b: &Factor) -> Lanes {
    let zero = _mm512_setzero_si512();
    let [b0, b1, b2] = b.limbs;
    let [b1_20, b2_20] = b.times_20;
    let by = [[b0, b2_20, b1_20], [b1, b0, b2_20], [b2, b1, b0]];
    let (mut low, mut high) = ([zero; 3], [zero; 3]);
    for limb in 0..3 {
        for at in 0..3 {
            low[limb] = _mm512_madd52lo_epu64(low[limb], a[at], by[limb][at]);
            high[limb] = _mm512_madd52hi_epu64(high[limb], a[at], by[limb][at]);
        }
    }
    let low = [
        _mm512_add_epi64(low[0], five(_mm512_slli_epi64::<10>(high[2]))),
        _mm512_add_epi64(low[1], _mm512_slli_epi64::<8>(high[0])),
        _mm512_add_epi64(low[2], _mm512_slli_epi64::<8>(high[1])),
    ];
    let carried = [
        five(_mm512_srli_epi64::<42>(low[2])),
        _mm512_srli_epi64::<44>(low[0]),
        _mm512_srli_epi64::<44>(low[1]),
    ];
    [
        _mm512_add_epi64(_mm512_and_si512(low[0], mask(LOW)), carried[0]),
        _mm512_add_epi64(_mm512_and_si512(low[1], mask(LOW)), carried[1]),
        _mm512_add_epi64(_mm512_and_si512(low[2], mask(TOP)), carried[2]),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn five(of: __m512i) -> __m512i {
    _mm512_add_epi64(of, _mm512_slli_epi64::<2>(of))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn mask(bits: u64) -> __m512i {
    _mm512_set1_epi64(bits.cast_signed())
}

/// The same number in all lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn all([a, b, c]: Number) -> Factor {
    factor([
        _mm512_set1_epi64(a.cast_signed()),
        _mm512_set1_epi64(b.cast_signed()),
        _mm512_set1_epi64(c.cast_signed()),
    ])
}

/// For each lane the power that its block of the last group is multiplied with; the first power comes first.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes(powers: &[Number; 8]) -> Factor {
    let mut limbs = [_mm512_setzero_si512(); 3];
    for (limb, lanes) in limbs.iter_mut().enumerate() {
        let of = |power: usize| powers[power - 1][limb].cast_signed();
        *lanes = _mm512_setr_epi64(of(8), of(4), of(7), of(3), of(6), of(2), of(5), of(1));
    }
    factor(limbs)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn factor(limbs: Lanes) -> Factor {
    let [_, b, c] = limbs;
    Factor {
        limbs,
        times_20: [
            _mm512_slli_epi64::<2>(five(b)),
            _mm512_slli_epi64::<2>(five(c)),
        ],
    }
}

/// The first eight powers of a number.
#[inline]
fn powers(r: Number) -> [Number; 8] {
    let second = multiply(r, r);
    let third = multiply(second, r);
    let fourth = multiply(second, second);
    [
        r,
        second,
        third,
        fourth,
        multiply(fourth, r),
        multiply(fourth, second),
        multiply(fourth, third),
        multiply(fourth, fourth),
    ]
}

#[inline]
fn multiply([a0, a1, a2]: Number, [b0, b1, b2]: Number) -> Number {
    let wide = |a: u64, b: u64| u128::from(a) * u128::from(b);
    let (b1_20, b2_20) = (20 * b1, 20 * b2);
    carry([
        wide(a0, b0) + wide(a1, b2_20) + wide(a2, b1_20),
        wide(a0, b1) + wide(a1, b0) + wide(a2, b2_20),
        wide(a0, b2) + wide(a1, b1) + wide(a2, b0),
    ])
}

/// Carries what the limbs have above their bits; the second one may keep a bit too many.
#[inline]
fn carry([a, b, c]: [u128; 3]) -> Number {
    let b = b + (a >> 44);
    let c = c + (b >> 44);
    // What is above the last limb is below 2^60.
    let a = (a as u64 & LOW) + 5 * (c >> 42) as u64;
    [a & LOW, (b as u64 & LOW) + (a >> 44), c as u64 & TOP]
}

/// The sum of all lanes, modulo 2^130 - 5 and then 2^128.
#[inline]
#[target_feature(enable = "avx512f")]
fn total(sums: Lanes) -> u128 {
    let mut limbs = [0; 3];
    for (limb, sums) in limbs.iter_mut().zip(sums) {
        let mut lanes = [0_u64; 8];
        // SAFETY: the array has the 64 bytes that the unaligned store writes.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), sums) };
        *limb = lanes.iter().map(|lane| u128::from(*lane)).sum();
    }
    // The first time the second limb may keep a bit too many, and then the others have so few that it does not again.
    let number = carry(carry(limbs).map(u128::from));
    // Five more leave bit 130 only where the number is not below 2^130 - 5.
    let more = carry_up([number[0] + 5, number[1], number[2]]);
    let over = 0_u64.wrapping_sub(more[2] >> 42);
    let [a, b, c] = [0, 1, 2].map(|at| more[at] & over | number[at] & !over);
    u128::from(a) | u128::from(b) << 44 | u128::from(c & TOP) << 88
}

/// Carries upwards, and keeps what is above bit 130.
#[inline]
fn carry_up([a, b, c]: Number) -> Number {
    let b = b + (a >> 44);
    [a & LOW, b & LOW, c + (b >> 44)]
}

#[cfg(test)]
mod tests;
