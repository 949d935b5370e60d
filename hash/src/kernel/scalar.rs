//! One lane in plain, safe code: for processors that have nothing better.

use super::{BLOCK, Columns, LANES};

macro_rules! rotate {
    ($a:expr, $left:literal) => {
        $a.rotate_left($left)
    };
}

macro_rules! shift {
    ($a:expr, $right:literal) => {
        $a >> $right
    };
}

/// Advances lane 0 of `state`; see [`Kernel::sha1`](super::Kernel::sha1).
pub(crate) fn sha1(state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
    let mut lane = state.each_ref().map(|column| column[0]);
    for block in &inputs[0].as_chunks::<BLOCK>().0[..blocks] {
        lane = sha1_rounds!(lane, words(block));
    }
    for (column, word) in state.iter_mut().zip(lane) {
        column[0] = word;
    }
}

/// As [`sha1`], for SHA-256.
pub(crate) fn sha256(state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
    let mut lane = state.each_ref().map(|column| column[0]);
    for block in &inputs[0].as_chunks::<BLOCK>().0[..blocks] {
        lane = sha256_rounds!(lane, words(block));
    }
    for (column, word) in state.iter_mut().zip(lane) {
        column[0] = word;
    }
}

/// The 16 big-endian words of a block.
#[inline]
fn words(block: &[u8; BLOCK]) -> [u32; 16] {
    let (words, _) = block.as_chunks::<4>();
    std::array::from_fn(|word| u32::from_be_bytes(words[word]))
}

#[inline]
fn add(a: u32, b: u32) -> u32 {
    a.wrapping_add(b)
}

#[inline]
fn sub(a: u32, b: u32) -> u32 {
    a.wrapping_sub(b)
}

#[inline]
fn xor(a: u32, b: u32) -> u32 {
    a ^ b
}

#[inline]
fn xor3(a: u32, b: u32, c: u32) -> u32 {
    a ^ b ^ c
}

#[inline]
pub(super) fn choose(x: u32, y: u32, z: u32) -> u32 {
    z ^ (x & (y ^ z))
}

#[inline]
pub(super) fn majority(a: u32, b: u32, c: u32) -> u32 {
    (a & b) ^ (c & (a ^ b))
}

#[inline]
fn splat(word: u32) -> u32 {
    word
}

#[inline]
fn pin(a: u32) -> u32 {
    a
}
