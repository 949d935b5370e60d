//! 16 lanes of plain arrays, in safe code: for processors without a kernel of their own.
//!
//! State and schedule stay in memory, and each step is a loop over the lanes of one row: in this form the compiler makes
//! vectors of the lanes, whatever their width. (Kept in variables, the lanes become scalars and are spilled.)

#![allow(
    clippy::many_single_char_names,
    reason = "the standard names its variables a to h"
)]

use std::ops::Range;

use super::scalar::{choose, majority};
use super::{BLOCK, Columns, LANES, blocks_of};
use crate::algorithm::{SHA1_K, SHA256_K};

/// One word of all lanes.
type Row = [u32; LANES];

/// Advances all lanes of `state`; see [`Kernel::sha1`](super::Kernel::sha1).
pub(crate) fn sha1(state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
    let inputs = blocks_of::<LANES>(inputs, blocks);
    for block in 0..blocks {
        let mut w = words(&inputs, block);
        let mut s = *state;
        sha1_rounds(&mut s, &mut w, 0..20, choose);
        sha1_rounds(&mut s, &mut w, 20..40, |b, c, d| b ^ c ^ d);
        sha1_rounds(&mut s, &mut w, 40..60, majority);
        sha1_rounds(&mut s, &mut w, 60..80, |b, c, d| b ^ c ^ d);
        accumulate(state, &s);
    }
}

fn sha1_rounds(
    s: &mut [Row; 5],
    w: &mut [Row; 16],
    rounds: Range<usize>,
    f: impl Fn(u32, u32, u32) -> u32,
) {
    let k = SHA1_K[rounds.start / 20];
    for t in rounds {
        if t >= 16 {
            let [x, y, z] = [13, 8, 2].map(|back| (t + back) % 16);
            w[t % 16] = row(|i| (w[x][i] ^ w[y][i] ^ w[z][i] ^ w[t % 16][i]).rotate_left(1));
        }
        let [a, b, c, d, e]: [usize; 5] = std::array::from_fn(|role| (80 - t + role) % 5);
        s[e] = row(|i| {
            let sum = s[e][i].wrapping_add(w[t % 16][i]).wrapping_add(k);
            let sum = sum.wrapping_add(f(s[b][i], s[c][i], s[d][i]));
            sum.wrapping_add(s[a][i].rotate_left(5))
        });
        s[b] = row(|i| s[b][i].rotate_left(30));
    }
}

/// Advances all lanes of `state`; see [`Kernel::sha256`](super::Kernel::sha256).
pub(crate) fn sha256(state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
    let inputs = blocks_of::<LANES>(inputs, blocks);
    for block in 0..blocks {
        let mut w = words(&inputs, block);
        let mut s = *state;
        for (t, k) in SHA256_K.into_iter().enumerate() {
            sha256_round(&mut s, &mut w, t, k);
        }
        accumulate(state, &s);
    }
}

fn sha256_round(s: &mut [Row; 8], w: &mut [Row; 16], t: usize, k: u32) {
    if t >= 16 {
        let [x, y, z] = [1, 14, 9].map(|back| (t + back) % 16);
        w[t % 16] = row(|i| {
            let (x, y) = (w[x][i], w[y][i]);
            let s0 = x.rotate_left(25) ^ x.rotate_left(14) ^ (x >> 3);
            let s1 = y.rotate_left(15) ^ y.rotate_left(13) ^ (y >> 10);
            w[t % 16][i]
                .wrapping_add(w[z][i])
                .wrapping_add(s0)
                .wrapping_add(s1)
        });
    }
    let [a, b, c, d, e, f, g, h]: [usize; 8] = std::array::from_fn(|role| (64 - t + role) % 8);
    let t1 = row(|i| {
        let x = s[e][i];
        let s1 = x.rotate_left(26) ^ x.rotate_left(21) ^ x.rotate_left(7);
        let sum = s[h][i].wrapping_add(w[t % 16][i]).wrapping_add(k);
        sum.wrapping_add(choose(x, s[f][i], s[g][i]))
            .wrapping_add(s1)
    });
    s[h] = row(|i| {
        let x = s[a][i];
        let s0 = x.rotate_left(30) ^ x.rotate_left(19) ^ x.rotate_left(10);
        t1[i]
            .wrapping_add(s0)
            .wrapping_add(majority(x, s[b][i], s[c][i]))
    });
    s[d] = row(|i| s[d][i].wrapping_add(t1[i]));
}

/// A row, lane by lane.
#[inline]
fn row(lane: impl Fn(usize) -> u32) -> Row {
    std::array::from_fn(lane)
}

/// Adds the result of the rounds to the state.
fn accumulate<const W: usize>(state: &mut Columns<W>, s: &[Row; W]) {
    for (column, s) in state.iter_mut().zip(s) {
        *column = row(|i| column[i].wrapping_add(s[i]));
    }
}

/// The 16 big-endian words of one block of each lane.
fn words(inputs: &[&[[u8; BLOCK]]; LANES], block: usize) -> [Row; 16] {
    let mut words = [[0; LANES]; 16];
    for (lane, input) in inputs.iter().enumerate() {
        for (word, bytes) in words.iter_mut().zip(input[block].as_chunks::<4>().0) {
            word[lane] = u32::from_be_bytes(*bytes);
        }
    }
    words
}
