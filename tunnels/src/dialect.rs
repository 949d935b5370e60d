//! Which of the two wires a community speaks.

use std::time::Duration;

/// The two wires, which differ in numbers, layouts and ciphers. A community speaks one of them; nodes of both live beside
/// each other on one socket. The newer one is preferred wherever both ends have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// That of Tribler 7.5.0 and pyipv8 up to 2.4: AES-128-GCM, no early cells.
    Classic,
    /// That of the network of today and pyipv8 from 2.5 to 3.2: other numbers, ChaCha20-Poly1305, early cells.
    Modern,
}

impl Dialect {
    /// How long a circuit may live.
    pub const fn max_age(self) -> Duration {
        Duration::from_secs(match self {
            Self::Classic => 600,
            Self::Modern => 3600,
        })
    }

    /// How many bytes a circuit may carry, both ways together.
    pub const fn max_traffic(self) -> u64 {
        match self {
            Self::Classic => 250 << 20,
            Self::Modern => 10 << 30,
        }
    }

    /// How many cells of a circuit may be early, so that a circuit cannot grow without end.
    pub const fn max_early(self) -> u8 {
        match self {
            Self::Classic => u8::MAX,
            Self::Modern => 8,
        }
    }
}
