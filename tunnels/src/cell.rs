//! How cells lie in datagrams, and what can be said of one without a key.
//!
//! # Format
//! | bytes | classic | modern |
//! |---|---|---|
//! | 22 | prefix of the community | the same |
//! | 1 | 1 | 0 |
//! | 4 | circuit, `u32` | the same |
//! | 1 | not 0: the message is not encrypted | the same |
//! | 1 | - | not 0: an early cell |
//! | | the message, under its layers | the same |
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

use overlay::packet::Prefix;

use crate::Dialect;

/// The name of a circuit on one link; each link of a circuit has its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CircuitId(pub u32);

/// What stands in front of the message of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// On which circuit.
    pub circuit: CircuitId,
    /// The message is not encrypted.
    pub plaintext: bool,
    /// One of the few cells that may make a circuit longer. Always false in the older dialect.
    pub early: bool,
}

impl Head {
    /// Bytes before the message, the prefix of the community included.
    pub const fn len(dialect: Dialect) -> usize {
        match dialect {
            Dialect::Classic => 28,
            Dialect::Modern => 29,
        }
    }

    /// The number that cells have among the packets of a community.
    pub const fn packet_id(dialect: Dialect) -> u8 {
        match dialect {
            Dialect::Classic => 1,
            Dialect::Modern => 0,
        }
    }

    /// Whether a packet of the community is a cell.
    pub fn is_cell(dialect: Dialect, packet: &[u8]) -> bool {
        packet.get(Prefix::LEN) == Some(&Self::packet_id(dialect))
            && packet.len() > Self::len(dialect)
    }

    /// Reads the head of a cell. `None` when there is no message behind it.
    pub fn read(dialect: Dialect, packet: &[u8]) -> Option<Self> {
        if !Self::is_cell(dialect, packet) {
            return None;
        }
        let rest = packet.get(Prefix::LEN.saturating_add(1)..)?;
        let (circuit, rest) = rest.split_first_chunk()?;
        let plaintext = *rest.first()? != 0;
        let early = dialect == Dialect::Modern && *rest.get(1)? != 0;
        Some(Self {
            circuit: CircuitId(u32::from_be_bytes(*circuit)),
            plaintext,
            early,
        })
    }

    /// Writes the head at the front of `packet`. False when there is no room for it.
    pub fn write(&self, dialect: Dialect, prefix: &Prefix, packet: &mut [u8]) -> bool {
        let [a, b, c, d] = self.circuit.0.to_be_bytes();
        let flags = [u8::from(self.plaintext), u8::from(self.early)];
        let id = Self::packet_id(dialect);
        let head = [id, a, b, c, d].into_iter().chain(flags);
        let bytes = prefix.as_bytes().iter().copied().chain(head);
        let Some(room) = packet.get_mut(..Self::len(dialect)) else {
            return false;
        };
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        true
    }
}

impl fmt::Display for CircuitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for CircuitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CircuitId({self})")
    }
}
