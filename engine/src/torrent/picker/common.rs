//! What two bitfields in wire form have in common, 64 pieces at a step.

/// Bytes that are looked at as one where most have nothing in common: 512 pieces.
const STRETCH: usize = 64;

/// The first piece from `from` on that is in both.
pub(super) fn first_common(a: &[u8], b: &[u8], from: u32) -> Option<u32> {
    let words = a.len().min(b.len()).div_ceil(8);
    let mut at = from as usize / 64;
    let mut mask = u64::MAX >> (from % 64);
    while at < words {
        let both = word(a, at) & word(b, at) & mask;
        if both != 0 {
            return Some(at as u32 * 64 + both.leading_zeros());
        }
        mask = u64::MAX;
        at += 1;
        if at.is_multiple_of(STRETCH / 8) {
            at += empty_stretches(a, b, at * 8) * (STRETCH / 8);
        }
    }
    None
}

/// Calls `each` with every piece that is in both: those from `from` on, then those before.
pub(super) fn each_common(a: &[u8], b: &[u8], from: u32, mut each: impl FnMut(u32)) {
    let words = a.len().min(b.len()).div_ceil(8);
    let start = (from as usize / 64).min(words);
    for at in (start..words).chain(0..start) {
        let mut both = word(a, at) & word(b, at);
        while both != 0 {
            let bit = both.leading_zeros();
            both &= !(1 << (63 - bit));
            each(at as u32 * 64 + bit);
        }
    }
}

/// Number of whole stretches from a byte on in which nothing is common.
fn empty_stretches(a: &[u8], b: &[u8], from: usize) -> usize {
    let stretches = |bytes| {
        let (stretches, _) = <[u8]>::as_chunks::<STRETCH>(bytes);
        stretches
    };
    let a = stretches(a.get(from..).unwrap_or(&[]));
    let b = stretches(b.get(from..).unwrap_or(&[]));
    let nothing_common = |(a, b): &(&[u8; STRETCH], &[u8; STRETCH])| {
        a.iter().zip(*b).fold(0, |any, (a, b)| any | (a & b)) == 0
    };
    a.iter().zip(b).take_while(nothing_common).count()
}

/// The 64 pieces from `64 * at` on, the first in the highest bit; zero past the end.
fn word(bytes: &[u8], at: usize) -> u64 {
    let from = bytes.get(at * 8..).unwrap_or(&[]);
    if let Some(whole) = from.first_chunk::<8>() {
        return u64::from_be_bytes(*whole);
    }
    let mut word = [0; 8];
    for (own, byte) in word.iter_mut().zip(from) {
        *own = *byte;
    }
    u64::from_be_bytes(word)
}
