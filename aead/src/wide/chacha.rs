//! Key streams of ChaCha20: four blocks in each row of vectors, and as many rows side by side as registers hold.

use std::arch::x86_64::{
    __m512i, _mm_set_epi32, _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_rol_epi32,
    _mm512_set_epi32, _mm512_shuffle_epi32, _mm512_shuffle_i32x4, _mm512_xor_si512,
};

use crate::{KEY, NONCE};

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

/// Blocks of a vector.
pub(super) const PER_VECTOR: usize = 4;

/// Key stream: `PER_VECTOR` blocks for each of `N` vectors, one behind the other.
pub(super) type Blocks<const N: usize> = [[__m512i; PER_VECTOR]; N];

/// The four rows of the state, each with that row of four blocks.
type Rows<const N: usize> = [[__m512i; N]; 4];

const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The blocks from `counter` on.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn key_stream<const N: usize>(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    counter: u32,
) -> Blocks<N> {
    let begin = begin::<N>(key, nonce, counter);
    let mut rows = begin;
    for _ in 0..10 {
        quarters(&mut rows);
        // Each block's diagonals become its columns. The row that is ready last stays where it is.
        turn::<N, 0x93, 0x4e, 0x39>(&mut rows);
        quarters(&mut rows);
        turn::<N, 0x39, 0x4e, 0x93>(&mut rows);
    }
    let mut blocks = [[begin[0][0]; PER_VECTOR]; N];
    for at in 0..N {
        let a = _mm512_add_epi32(rows[0][at], begin[0][at]);
        let b = _mm512_add_epi32(rows[1][at], begin[1][at]);
        let c = _mm512_add_epi32(rows[2][at], begin[2][at]);
        let d = _mm512_add_epi32(rows[3][at], begin[3][at]);
        let (ab, ab_high) = (
            _mm512_shuffle_i32x4::<0x44>(a, b),
            _mm512_shuffle_i32x4::<0xee>(a, b),
        );
        let (cd, cd_high) = (
            _mm512_shuffle_i32x4::<0x44>(c, d),
            _mm512_shuffle_i32x4::<0xee>(c, d),
        );
        blocks[at] = [
            _mm512_shuffle_i32x4::<0x88>(ab, cd),
            _mm512_shuffle_i32x4::<0xdd>(ab, cd),
            _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high),
            _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high),
        ];
    }
    blocks
}

/// The state of each block before the first round.
#[inline]
#[target_feature(enable = "avx512f")]
fn begin<const N: usize>(key: &[u8; KEY], nonce: &[u8; NONCE], counter: u32) -> Rows<N> {
    let word = |bytes: &[u8], at: usize| {
        let word = bytes.get(4 * at..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| i32::from_le_bytes(*word))
    };
    let row = |words: [i32; 4]| {
        let [first, second, third, fourth] = words;
        _mm512_broadcast_i32x4(_mm_set_epi32(fourth, third, second, first))
    };
    let key = |from: usize| row([from, from + 1, from + 2, from + 3].map(|at| word(key, at)));
    let last = [
        counter.cast_signed(),
        word(nonce, 0),
        word(nonce, 1),
        word(nonce, 2),
    ];
    let constants = row(CONSTANTS.map(u32::cast_signed));
    let mut rows = [[constants; N], [key(0); N], [key(4); N], [row(last); N]];
    let numbers = _mm512_set_epi32(0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0);
    let four = _mm512_set_epi32(0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4);
    let mut next = _mm512_add_epi32(row(last), numbers);
    for last in &mut rows[3] {
        *last = next;
        next = _mm512_add_epi32(next, four);
    }
    rows
}

/// A quarter round of each column of each block.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters<const N: usize>(rows: &mut Rows<N>) {
    step::<N, 16>(rows, 0, 1, 3);
    step::<N, 12>(rows, 2, 3, 1);
    step::<N, 8>(rows, 0, 1, 3);
    step::<N, 7>(rows, 2, 3, 1);
}

/// Adds one row to another, and mixes the sum into a third, which is rotated.
#[inline]
#[target_feature(enable = "avx512f")]
fn step<const N: usize, const LEFT: i32>(rows: &mut Rows<N>, to: usize, from: usize, mixed: usize) {
    let added = rows[from];
    for (to, from) in rows[to].iter_mut().zip(added) {
        *to = _mm512_add_epi32(*to, from);
    }
    let sums = rows[to];
    for (mixed, sum) in rows[mixed].iter_mut().zip(sums) {
        *mixed = _mm512_rol_epi32::<LEFT>(_mm512_xor_si512(*mixed, sum));
    }
}

/// Turns the words of the first, third and fourth row of each block.
#[inline]
#[target_feature(enable = "avx512f")]
fn turn<const N: usize, const A: i32, const D: i32, const C: i32>(rows: &mut Rows<N>) {
    let [first, _, third, fourth] = rows;
    for row in first {
        *row = _mm512_shuffle_epi32::<A>(*row);
    }
    for row in third {
        *row = _mm512_shuffle_epi32::<C>(*row);
    }
    for row in fourth {
        *row = _mm512_shuffle_epi32::<D>(*row);
    }
}
