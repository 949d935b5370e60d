//! What peers are told about times and numbers.

/// How often peers come, and of how many others they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Seconds until a peer's next announce.
    pub interval: u32,
    /// Seconds that a peer waits at least (HTTP).
    pub min_interval: u32,
    /// Seconds after which a silent peer is forgotten.
    pub peer_timeout: u32,
    /// Peers for whoever does not say how many it wants.
    pub default_want: u32,
    /// Peers for anybody at most.
    pub most_want: u32,
    /// Peers are told how often the torrent was completed, and how many do not have it (HTTP, BEP 21).
    pub tells_completed: bool,
}

impl Policy {
    /// Of how many peers one is told who asks for `num_want`.
    pub fn want(&self, num_want: Option<u32>) -> usize {
        let want = num_want.unwrap_or(self.default_want);
        want.min(self.most_want) as usize
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            interval: 1800,
            min_interval: 900,
            // A peer may miss one announce.
            peer_timeout: 3780,
            default_want: 74,
            most_want: 74,
            tells_completed: false,
        }
    }
}
