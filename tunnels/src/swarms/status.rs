//! How it stands with a swarm.

/// How it stands with a swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwarmStatus {
    /// In a word.
    pub state: SwarmState,
    /// Seeders that are known.
    pub seeders: usize,
    /// Those that we are linked with.
    pub links: usize,
    /// Nodes that introduce us.
    pub introductions: usize,
}

/// Where one stands with a swarm, the worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SwarmState {
    /// It was not joined.
    #[default]
    Outside,
    /// The node has no place for one more swarm: it waits until another is left.
    Full,
    /// A seeder whose turn to be introduced has not come, for only so many ways to introduction points are built at once.
    Waiting,
    /// A seeder for which ways to introduction points are built.
    Introducing,
    /// Seeders are looked for, and none is linked with.
    Seeking,
    /// A seeder that can be found.
    Introduced,
    /// A downloader that has links.
    Linked,
}

impl SwarmStatus {
    /// The same swarm in two dialects.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            state: self.state.max(other.state),
            seeders: self.seeders + other.seeders,
            links: self.links + other.links,
            introductions: self.introductions + other.introductions,
        }
    }
}
