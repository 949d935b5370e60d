//! The compression functions, one module per instruction set.
//!
//! # The boundary
//! A kernel advances the first [`Kernel::width`] lanes of a [`Columns`] by a number of blocks, one input slice per lane.
//! A module of an instruction set offers a token, which only its `detect` makes and only where the processor has the
//! instructions, with safe methods `sha1` and `sha256` that check the length of every input before any pointer is made
//! from it. To add one (NEON with the SHA-1 and SHA-256 extensions is the next candidate: interleaved streams, as in
//! `shani`): write `kernel/neon.rs` under `#[cfg(target_arch = "aarch64")]` with such a token, add a variant here and a
//! [`Backend`](crate::Backend), and a `plan/aarch64.rs` that lists and places it. The tests then cover it without a
//! change, because they ask `Lanes::available`.

#[macro_use]
mod rounds;

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod portable;
pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) mod shani;

/// The block of SHA-1 and SHA-256, in bytes.
pub(crate) const BLOCK: usize = 64;

/// The lanes of a [`Columns`]: what the widest kernel takes.
pub(crate) const LANES: usize = 16;

/// The states of all lanes, word by word: `columns[word][lane]`.
pub(crate) type Columns<const W: usize> = [[u32; LANES]; W];

/// A compression function that this machine can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// 8 lanes of AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    /// 16 lanes of AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    /// 16 lanes of plain arrays, which the compiler maps to whatever vectors the target has.
    Portable,
    /// 1 lane of plain code.
    Scalar,
    /// Interleaved streams of the SHA extensions.
    #[cfg(target_arch = "x86_64")]
    ShaNi(shani::ShaNi),
}

impl Kernel {
    /// How many lanes a call advances.
    pub(crate) fn width(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => avx2::WIDTH,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => LANES,
            Self::Portable => LANES,
            Self::Scalar => 1,
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi(token) => token.width(),
        }
    }

    /// Advances the first [`width`](Self::width) lanes of `state` by the first `blocks` blocks of their inputs; the
    /// other lanes keep their state.
    ///
    /// # Panics
    /// When an input of those lanes is shorter than `blocks` blocks.
    pub(crate) fn sha1(self, state: &mut Columns<5>, inputs: &[&[u8]; LANES], blocks: usize) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.sha1(state, inputs, blocks),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.sha1(state, inputs, blocks),
            Self::Portable => portable::sha1(state, inputs, blocks),
            Self::Scalar => scalar::sha1(state, inputs, blocks),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi(token) => token.sha1(state, inputs, blocks),
        }
    }

    /// As [`sha1`](Self::sha1), for SHA-256.
    ///
    /// # Panics
    /// When an input of those lanes is shorter than `blocks` blocks.
    pub(crate) fn sha256(self, state: &mut Columns<8>, inputs: &[&[u8]; LANES], blocks: usize) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.sha256(state, inputs, blocks),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.sha256(state, inputs, blocks),
            Self::Portable => portable::sha256(state, inputs, blocks),
            Self::Scalar => scalar::sha256(state, inputs, blocks),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi(token) => token.sha256(state, inputs, blocks),
        }
    }
}

/// The first `blocks` blocks of the first `N` inputs, each as an array of blocks.
///
/// # Panics
/// When one of them is shorter.
#[inline]
fn blocks_of<'a, const N: usize>(
    inputs: &[&'a [u8]; LANES],
    blocks: usize,
) -> [&'a [[u8; BLOCK]]; N] {
    std::array::from_fn(|lane| &inputs[lane].as_chunks::<BLOCK>().0[..blocks])
}
