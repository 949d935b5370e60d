//! When a peer was last heard of, and what it is, in four bytes.

/// Whole seconds since a server began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(u32);

/// What stands beside a peer's address: seconds in the upper 29 bits (17 years), then whether it has everything, whether it
/// has told of its completion, and whether it is a partial seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark([u8; 4]);

const SEEDER: u32 = 1;
const COMPLETED: u32 = 2;
const PARTIAL: u32 = 4;
const FLAGS: u32 = 3;

impl Seconds {
    /// The latest time that can be told.
    const MAX: u32 = u32::MAX >> FLAGS;

    /// So many seconds after the beginning.
    pub const fn new(seconds: u64) -> Self {
        if seconds > Self::MAX as u64 {
            Self(Self::MAX)
        } else {
            Self(seconds as u32)
        }
    }

    /// `seconds` earlier than this; the beginning at the earliest.
    #[must_use]
    pub const fn before(self, seconds: u32) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `earlier` to this; 0 where that is later.
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Mark {
    pub(super) const fn new(seen: Seconds, seeder: bool, completed: bool, partial: bool) -> Self {
        let mut bits = seen.0 << FLAGS;
        if seeder {
            bits |= SEEDER;
        }
        if completed {
            bits |= COMPLETED;
        }
        if partial {
            bits |= PARTIAL;
        }
        Self(bits.to_ne_bytes())
    }

    const fn bits(self) -> u32 {
        u32::from_ne_bytes(self.0)
    }

    pub(super) const fn seen(self) -> Seconds {
        Seconds(self.bits() >> FLAGS)
    }

    pub(super) const fn is_seeder(self) -> bool {
        self.bits() & SEEDER != 0
    }

    pub(super) const fn has_completed(self) -> bool {
        self.bits() & COMPLETED != 0
    }

    pub(super) const fn is_partial(self) -> bool {
        self.bits() & PARTIAL != 0
    }
}
