//! RC4 as this protocol uses it.

use std::fmt;

/// Bytes of key stream that are left out at the start.
const DISCARDED: usize = 1024;

/// One key stream.
///
/// Both directions of a stream have one; encrypting and decrypting are the same.
#[derive(Clone)]
pub struct Rc4 {
    state: [u8; 256],
    /// Where the next step begins.
    i: u8,
    j: u8,
}

impl Rc4 {
    /// The key stream of a key, without its first 1024 bytes.
    pub(super) fn new(key: &[u8; 20]) -> Self {
        let mut this = Self::undiscarded(key);
        this.apply(&mut [0; DISCARDED]);
        this
    }

    /// The whole key stream of a key of 1 to 256 bytes.
    fn undiscarded(key: &[u8]) -> Self {
        let mut state = [0; 256];
        for (number, place) in (0..=u8::MAX).zip(&mut state) {
            *place = number;
        }
        let mut j = 0u8;
        for (i, key) in (0..=u8::MAX).zip(key.iter().cycle()) {
            j = j.wrapping_add(state[usize::from(i)]).wrapping_add(*key);
            state.swap(usize::from(i), usize::from(j));
        }
        Self { state, i: 1, j: 0 }
    }

    /// Encrypts or decrypts in place.
    pub fn apply(&mut self, data: &mut [u8]) {
        let mut steps = Steps::of(self);
        let (words, rest) = data.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_le_bytes(*word) ^ steps.word()).to_le_bytes();
        }
        for byte in rest {
            *byte ^= steps.byte();
        }
        (self.i, self.j) = steps.place();
    }

    /// Encrypts or decrypts `from` into the front of `to`, as far as both reach; returns how many bytes.
    pub fn apply_to(&mut self, from: &[u8], to: &mut [u8]) -> usize {
        let len = from.len().min(to.len());
        let (from, _) = from.split_at(len);
        let (to, _) = to.split_at_mut(len);
        let mut steps = Steps::of(self);
        let (words, rest) = from.as_chunks::<8>();
        let (to_words, to_rest) = to.as_chunks_mut::<8>();
        for (word, to) in words.iter().zip(to_words) {
            *to = (u64::from_le_bytes(*word) ^ steps.word()).to_le_bytes();
        }
        for (byte, to) in rest.iter().zip(to_rest) {
            *to = byte ^ steps.byte();
        }
        (self.i, self.j) = steps.place();
        len
    }
}

/// The generator at work, with its place in registers.
///
/// Three things make it twice as fast as the plain loop. The value at the next `i` is fetched before this step's
/// exchange is stored, so that the chain of additions to `j` does not wait for memory; where the exchange changes that very
/// place, the value is put right by a conditional move. Indices are words and masked, which needs no check and no widening. Eight bytes
/// of key stream meet the data at once.
struct Steps<'a> {
    state: &'a mut [u8; 256],
    i: usize,
    j: usize,
    /// The value at `i`.
    at_i: usize,
}

#[expect(
    clippy::inline_always,
    reason = "a call for each byte would cost more than the step"
)]
impl<'a> Steps<'a> {
    #[inline(always)]
    fn of(rc4: &'a mut Rc4) -> Self {
        let i = usize::from(rc4.i);
        Self {
            at_i: usize::from(rc4.state[i]),
            i,
            j: usize::from(rc4.j),
            state: &mut rc4.state,
        }
    }

    const fn place(self) -> (u8, u8) {
        (self.i as u8, self.j as u8)
    }

    #[inline(always)]
    fn byte(&mut self) -> u8 {
        let at_i = self.at_i;
        self.j = (self.j + at_i) & 0xff;
        let next = (self.i + 1) & 0xff;
        let at_next = usize::from(self.state[next]);
        let at_j = usize::from(self.state[self.j]);
        self.state[self.i] = at_j as u8;
        self.state[self.j] = at_i as u8;
        self.at_i = if next == self.j { at_i } else { at_next };
        self.i = next;
        self.state[(at_i + at_j) & 0xff]
    }

    #[inline(always)]
    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, at| word | u64::from(self.byte()) << (8 * at))
    }
}

impl fmt::Debug for Rc4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rc4").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
