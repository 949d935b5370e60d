//! What a node carries for others, as people are shown it.

use std::time::Instant;

use super::Node;
use crate::CircuitId;

/// A circuit of somebody else's that goes on from here, or two that have met here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relayed {
    /// Its names on the side of the originator, and on that of the exit, or of the other originator.
    pub ends: [CircuitId; 2],
    /// Whether two circuits have met here.
    pub is_rendezvous: bool,
    /// Bytes of cells that went from the first end to the second, and back.
    pub bytes: [u64; 2],
    /// Since when it goes on.
    pub born: Instant,
}

/// A circuit of somebody else's that ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// Its name on the link.
    pub circuit: CircuitId,
    /// Whether a socket was opened for it: something has left here.
    pub is_open: bool,
    /// Bytes that came from its originator, and that went back.
    pub bytes: [u64; 2],
    /// Since when it ends here.
    pub born: Instant,
    /// Whether its originator is introduced here as a hidden seeder.
    pub introduces: bool,
    /// Whether its originator waits here to be met.
    pub is_rendezvous: bool,
}

impl Node {
    /// The circuits of others that go on from here.
    pub fn relayed(&self) -> impl Iterator<Item = Relayed> {
        self.relays.values().map(|relay| Relayed {
            ends: [relay.back.circuit, relay.on.circuit],
            is_rendezvous: relay.joins_two(),
            bytes: [relay.onward, relay.bytes.saturating_sub(relay.onward)],
            born: relay.born,
        })
    }

    /// The circuits of others that end here.
    pub fn endings(&self) -> impl Iterator<Item = Ending> {
        self.joined.iter().map(|(id, joined)| Ending {
            circuit: *id,
            is_open: joined.exit.used,
            bytes: [
                joined.bytes.saturating_sub(joined.returned),
                joined.returned,
            ],
            born: joined.born,
            introduces: self.introduced.values().any(|(by, _)| by == id),
            is_rendezvous: self.waiting.values().any(|by| by == id),
        })
    }
}
