//! Sequence numbers.

use std::fmt;

/// The number of a packet, modulo 2^16; what is less than half of the circle ahead counts as later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seq(pub u16);

impl Seq {
    /// The number `by` packets later.
    #[must_use]
    pub const fn plus(self, by: u16) -> Self {
        Self(self.0.wrapping_add(by))
    }

    /// The number `by` packets earlier.
    #[must_use]
    pub const fn minus(self, by: u16) -> Self {
        Self(self.0.wrapping_sub(by))
    }

    /// How many packets later than `earlier` this one is, the whole circle round.
    pub const fn since(self, earlier: Self) -> u16 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Whether this packet comes later than `other`.
    pub const fn is_after(self, other: Self) -> bool {
        let ahead = self.since(other);
        ahead != 0 && ahead < 0x8000
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap() {
        assert_eq!(Seq(0xffff).plus(2), Seq(1));
        assert_eq!(Seq(1).minus(2), Seq(0xffff));
        assert_eq!(Seq(1).since(Seq(0xffff)), 2);
        assert!(Seq(1).is_after(Seq(0xffff)));
        assert!(!Seq(0xffff).is_after(Seq(1)));
        assert!(!Seq(7).is_after(Seq(7)));
        assert!(Seq(0x7fff).is_after(Seq(0)));
        assert!(!Seq(0x8000).is_after(Seq(0)));
    }
}
