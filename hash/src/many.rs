//! The free functions, over the fastest back ends of the machine.

use crate::algorithm::Digest;
use crate::lanes::Lanes;

/// The SHA-1 of one message, by the fastest single stream.
pub fn sha1(data: &[u8]) -> [u8; 20] {
    let mut out = [[0; 20]];
    sha1_many(&[data], &mut out);
    out[0]
}

/// The SHA-256 of one message, by the fastest single stream.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [[0; 32]];
    sha256_many(&[data], &mut out);
    out[0]
}

/// The digests of any number of messages of any lengths, in their order: `[u8; 20]` by SHA-1, `[u8; 32]` by SHA-256.
///
/// ```
/// let digests: Vec<[u8; 20]> = hash::hash_many(&[b"one piece", b"another"]);
/// assert_eq!(digests, [hash::sha1(b"one piece"), hash::sha1(b"another")]);
/// ```
pub fn hash_many<D: Digest>(messages: &[&[u8]]) -> Vec<D> {
    let mut out = vec![D::default(); messages.len()];
    D::many(Lanes::best(), messages, &mut out);
    out
}

/// Writes the SHA-1 of each message to its place in `out`. Any number of messages of any lengths; the more messages (up
/// to [`Lanes::full`]) and the more alike their lengths, the faster.
///
/// # Panics
/// When `out` has another length than `messages`.
pub fn sha1_many(messages: &[&[u8]], out: &mut [[u8; 20]]) {
    Lanes::best().sha1_many(messages, out);
}

/// As [`sha1_many`], for SHA-256.
///
/// # Panics
/// When `out` has another length than `messages`.
pub fn sha256_many(messages: &[&[u8]], out: &mut [[u8; 32]]) {
    Lanes::best().sha256_many(messages, out);
}

/// As [`sha1_many`], for messages given in parts, such as a piece that spans files. Parts may be empty and cut anywhere;
/// nothing is copied but the blocks of 64 bytes that straddle a cut.
///
/// # Panics
/// When `out` has another length than `messages`.
pub fn sha1_many_parts(messages: &[&[&[u8]]], out: &mut [[u8; 20]]) {
    Lanes::best().sha1_many_parts(messages, out);
}

/// As [`sha1_many_parts`], for SHA-256.
///
/// # Panics
/// When `out` has another length than `messages`.
pub fn sha256_many_parts(messages: &[&[&[u8]]], out: &mut [[u8; 32]]) {
    Lanes::best().sha256_many_parts(messages, out);
}

/// Appends the SHA-256 of each block of `block_len` bytes of `data` to `out`, the last block as short as it is: the
/// leaves of a BEP 52 Merkle tree when `block_len` is 16 KiB.
///
/// # Panics
/// When `block_len` is 0.
pub fn sha256_blocks(data: &[u8], block_len: usize, out: &mut Vec<[u8; 32]>) {
    Lanes::best().sha256_blocks(data, block_len, out);
}

/// Writes the SHA-256 of each pair of neighbouring nodes to `out`: one layer of a Merkle tree from the layer below
/// (BEP 52).
///
/// # Panics
/// When `nodes` is not twice as long as `out`.
pub fn sha256_pairs(nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
    Lanes::best().sha256_pairs(nodes, out);
}

/// What the functions of this crate run on: the back end, and how many messages fill it.
pub fn lanes() -> &'static Lanes {
    Lanes::best()
}
