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
        let (words, rest) = data.as_chunks_mut::<8>();
        let words = words
            .iter_mut()
            .map(|word| |key: u64| *word = (u64::from_le_bytes(*word) ^ key).to_le_bytes());
        let rest = rest.iter_mut().map(|byte| |key: u8| *byte ^= key);
        self.run(words, rest);
    }

    /// Encrypts or decrypts `from` into the front of `to`, as far as both reach; returns how many bytes.
    pub fn apply_to(&mut self, from: &[u8], to: &mut [u8]) -> usize {
        let len = from.len().min(to.len());
        let (from, rest) = from[..len].as_chunks::<8>();
        let (to, to_rest) = to[..len].as_chunks_mut::<8>();
        let words = from.iter().zip(to).map(|(from, to)| {
            move |key: u64| *to = (u64::from_le_bytes(*from) ^ key).to_le_bytes()
        });
        let rest = rest
            .iter()
            .zip(to_rest)
            .map(|(from, to)| move |key: u8| *to = from ^ key);
        self.run(words, rest);
        len
    }

    /// Hands the next eight bytes of the key stream to each of `words`, and then one to each of `bytes`.
    ///
    /// Three things make it twice as fast as the plain loop. The value at the next `i` is fetched before this step's exchange
    /// is stored, so that the chain of additions to `j` does not wait for memory; where the exchange changes that very
    /// place, a conditional move puts the value right. Indices are words and masked, which needs neither check nor
    /// widening. Eight bytes of key stream meet the data at once. All that changes is in variables of this function: fields
    /// of a struct would not stay in registers, which costs half as much again.
    fn run(
        &mut self,
        words: impl Iterator<Item = impl FnOnce(u64)>,
        bytes: impl Iterator<Item = impl FnOnce(u8)>,
    ) {
        let state = &mut self.state;
        let (mut i, mut j) = (usize::from(self.i), usize::from(self.j));
        let mut at_i = usize::from(state[i]);
        let mut step = || {
            j = (j + at_i) & 0xff;
            let next = (i + 1) & 0xff;
            let at_next = usize::from(state[next]);
            let at_j = usize::from(state[j]);
            state[i] = at_j as u8;
            state[j] = at_i as u8;
            let key = state[(at_i + at_j) & 0xff];
            at_i = if next == j { at_i } else { at_next };
            i = next;
            key
        };
        for word in words {
            let mut key = 0;
            for at in 0..8 {
                key |= u64::from(step()) << (8 * at);
            }
            word(key);
        }
        for byte in bytes {
            byte(step());
        }
        (self.i, self.j) = (i as u8, j as u8);
    }
}

impl fmt::Debug for Rc4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rc4").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
