//! Selective acknowledgements (BEP 29, "extension").

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::Seq;

/// Which packets after the first gap have come.
///
/// # Format
/// A mask of bits, its length a multiple of 4 bytes where it is ours; libtorrent sends other lengths too. Bit `i` of byte `j`, counted from the least significant one, stands
/// for the packet `ack + 2 + 8 * j + i`. The packet `ack + 1` is the gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectiveAck<'a> {
    ack: Seq,
    mask: &'a [u8],
}

/// Bytes of a mask of ours: the most that is a multiple of 4 and fits into the length field.
pub const MOST_MASK: usize = 252;

impl<'a> SelectiveAck<'a> {
    /// Takes a mask that counts from `ack`; `None` if its length is 0, or more than the length field can tell.
    pub fn new(ack: Seq, mask: &'a [u8]) -> Option<Self> {
        let fits = !mask.is_empty() && u8::try_from(mask.len()).is_ok();
        fits.then_some(Self { ack, mask })
    }

    /// The bits.
    pub const fn mask(&self) -> &'a [u8] {
        self.mask
    }

    /// Whether a packet came; `ack` itself and what is before it did.
    pub fn contains(&self, seq: Seq) -> bool {
        if !seq.is_after(self.ack) {
            return true;
        }
        let Some(bit) = seq.since(self.ack).checked_sub(2) else {
            return false;
        };
        self.mask
            .get(usize::from(bit / 8))
            .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }

    /// The packets that came, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Seq> + '_ {
        let bits = (0_u16..).take(self.mask.len().saturating_mul(8));
        bits.map(|bit| self.ack.plus(2).plus(bit))
            .filter(|seq| self.contains(*seq))
    }
}
