//! The name of a connection within its torrent.

use std::fmt;

/// Names one connection of a torrent; never used again after the connection has ended.
///
/// The store records it as the contributor of a block, so that a bad block leads back to who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub u32);

impl PeerKey {
    /// No connection: numbers begin at 1, and do not come so far.
    pub const NOBODY: Self = Self(u32::MAX);
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
