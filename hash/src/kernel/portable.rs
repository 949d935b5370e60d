//! Lanes as plain arrays, in safe code: for processors without a kernel of their own.

use super::{BLOCK, Columns, LANES, blocks_of};

/// The lanes of the portable kernel: a 128-bit vector, which every 64-bit target has.
pub(crate) const WIDTH: usize = 4;

macro_rules! rotate {
    ($a:expr, $left:literal) => {
        $a.map(|word| word.rotate_left($left))
    };
}

macro_rules! shift {
    ($a:expr, $right:literal) => {
        $a.map(|word| word >> $right)
    };
}

/// Advances the first `N` lanes of `state`; see [`Kernel::sha1`](super::Kernel::sha1).
pub(crate) fn sha1<const N: usize>(state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
    let inputs = blocks_of::<N>(inputs, blocks);
    let mut lanes = load::<5, N>(state);
    for block in 0..blocks {
        let words = words(&inputs, block);
        lanes = sha1_rounds!(lanes, words);
    }
    store(state, &lanes);
}

/// As [`sha1`], for SHA-256.
pub(crate) fn sha256<const N: usize>(
    state: &mut Columns<8>,
    inputs: &[&[u8]; LANES],
    blocks: usize,
) {
    let inputs = blocks_of::<N>(inputs, blocks);
    let mut lanes = load::<8, N>(state);
    for block in 0..blocks {
        let words = words(&inputs, block);
        lanes = sha256_rounds!(lanes, words);
    }
    store(state, &lanes);
}

fn load<const W: usize, const N: usize>(state: &Columns<W>) -> [[u32; N]; W] {
    std::array::from_fn(|word| std::array::from_fn(|lane| state[word][lane]))
}

fn store<const W: usize, const N: usize>(state: &mut Columns<W>, lanes: &[[u32; N]; W]) {
    for (column, words) in state.iter_mut().zip(lanes) {
        column[..N].copy_from_slice(words);
    }
}

/// The 16 big-endian words of one block of each lane.
#[inline]
fn words<const N: usize>(inputs: &[&[[u8; BLOCK]]; N], block: usize) -> [[u32; N]; 16] {
    std::array::from_fn(|word| {
        std::array::from_fn(|lane| u32::from_be_bytes(inputs[lane][block].as_chunks().0[word]))
    })
}

#[inline]
fn zip<const N: usize>(a: [u32; N], b: [u32; N], f: impl Fn(u32, u32) -> u32) -> [u32; N] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

#[inline]
fn add<const N: usize>(a: [u32; N], b: [u32; N]) -> [u32; N] {
    zip(a, b, u32::wrapping_add)
}

#[inline]
fn xor<const N: usize>(a: [u32; N], b: [u32; N]) -> [u32; N] {
    zip(a, b, |a, b| a ^ b)
}

#[inline]
fn xor3<const N: usize>(a: [u32; N], b: [u32; N], c: [u32; N]) -> [u32; N] {
    xor(xor(a, b), c)
}

#[inline]
fn and<const N: usize>(a: [u32; N], b: [u32; N]) -> [u32; N] {
    zip(a, b, |a, b| a & b)
}

#[inline]
fn choose<const N: usize>(x: [u32; N], y: [u32; N], z: [u32; N]) -> [u32; N] {
    xor(z, and(x, xor(y, z)))
}

#[inline]
fn majority<const N: usize>(a: [u32; N], b: [u32; N], c: [u32; N]) -> [u32; N] {
    xor(and(a, b), and(c, xor(a, b)))
}

#[inline]
fn splat<const N: usize>(word: u32) -> [u32; N] {
    [word; N]
}
