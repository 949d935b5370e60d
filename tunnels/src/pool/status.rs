//! How it stands with circuits of a number of hops.

use std::fmt;

use crate::Flags;
use crate::node::Node;

/// What traffic of a number of hops has to hope for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// As many circuits as wanted are ready.
    Protected,
    /// Some are.
    Degraded(Why),
    /// None is: nothing goes out.
    Blocked(Why),
}

/// Why there are not enough circuits; what stands further below is nearer to having some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Nobody is known who lets traffic out.
    NoExits,
    /// Not enough nodes are known for so many hops.
    NoRelays,
    /// The last ones could not be built.
    Failing,
    /// None is begun yet, though there are nodes for it.
    Due,
    /// They are being built.
    Building,
}

/// How it stands for a number of hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What traffic has to hope for.
    pub protection: Protection,
    /// Circuits that can be used.
    pub ready: usize,
    /// Circuits under way.
    pub building: usize,
    /// Exits that are known.
    pub exits: usize,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoExits => "no exit is known",
            Self::NoRelays => "too few relays are known",
            Self::Failing => "the last ones could not be built",
            Self::Due => "they are about to be built",
            Self::Building => "they are being built",
        })
    }
}

impl Status {
    /// With so many circuits `ready` of those that are `wanted`, and so many `building`; `fails` where the last ones could not be
    /// built.
    pub(super) fn of(
        node: &Node,
        hops: u8,
        (ready, wanted): (usize, usize),
        (building, fails): (usize, bool),
    ) -> Self {
        let known = Known::of(node);
        let why = if known.exits == 0 {
            Why::NoExits
        } else if !known.suffice_for(hops) {
            Why::NoRelays
        } else if fails {
            Why::Failing
        } else if building == 0 {
            Why::Due
        } else {
            Why::Building
        };
        let protection = match ready {
            0 => Protection::Blocked(why),
            _ if ready < wanted => Protection::Degraded(why),
            _ => Protection::Protected,
        };
        Self {
            protection,
            ready,
            building,
            exits: known.exits,
        }
    }
}

/// How many of the nodes that are known do what circuits need.
struct Known {
    exits: usize,
    relays: usize,
    /// Those that do both.
    both: usize,
}

impl Known {
    fn of(node: &Node) -> Self {
        let able = |flags| {
            let known = node.candidates().values();
            known.filter(|known| known.flags.contain(flags)).count()
        };
        Self {
            exits: able(Flags::EXIT),
            relays: able(Flags::RELAY),
            both: able(Flags::EXIT.and(Flags::RELAY)),
        }
    }

    /// Whether there are an exit and, besides it, nodes for the other hops: nobody is in a circuit twice.
    const fn suffice_for(&self, hops: u8) -> bool {
        let exit_relays = self.both == self.exits;
        let others = self.relays.saturating_sub(exit_relays as usize);
        others + 1 >= hops as usize
    }
}
