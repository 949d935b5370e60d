//! Classes of peers: limits, shares and rights of their own, for those at some addresses or with some kind of connection.
//!
//! Which classes there are, and who belongs to them, is a group of settings ([`ClassList`], [`AddressClasses`], [`KindClasses`]), so
//! that it is kept, changed and refused as any other. What holds at the moment is [`Classes`], which all connections share: a
//! connection looks up once where it belongs, and again when that changes; what it moves meets the limits of its classes
//! as it meets those of its torrent, and nothing where they have none.

mod change;
mod table;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub use self::change::{ClassChange, ClassError};
pub(crate) use self::table::{Bounds, Classes, Membership, Table};
pub(crate) use self::text::unknown;
use crate::Limits;
use crate::settings::Settings;

/// The class of those for whom the limits of the session and of torrents hold. Everyone, but peers of the local networks where
/// the setting `limits.local` says so.
pub const GLOBAL: &str = "global";

/// The class of connections of TCP, web seeds included.
pub const TCP: &str = "tcp";

/// The class of peers of the local networks and of this machine.
pub const LOCAL: &str = "local";

/// Classes that there always are, in their order.
pub const ALWAYS: [&str; 3] = [GLOBAL, TCP, LOCAL];

/// Classes that there may be, those that there always are included.
pub const MOST_CLASSES: usize = 32;

/// Ranges of addresses that classes may be said of.
pub const MOST_RANGES: usize = 1024;

/// A class of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerClass {
    /// What all its connections together may move, beside all other limits. Of [`GLOBAL`] these are the settings `limits.down`
    /// and `limits.up`.
    pub limits: Limits,
    /// How many times the usual share its connections get of what they receive where a limit makes them wait, 1 to 6.
    pub down_priority: u32,
    /// As much of what they are sent.
    pub up_priority: u32,
    /// Its peers are served whenever they want something, beside the slots.
    pub free_slots: bool,
    /// Up to which part of the most connections, in percent, its peers are let in: with 200, until there are twice as many
    /// as there may be.
    pub connections: u32,
}

impl Default for PeerClass {
    /// A class that changes nothing.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            down_priority: 1,
            up_priority: 1,
            free_slots: false,
            connections: 100,
        }
    }
}

/// How a peer is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ClassKind {
    /// By TCP.
    Tcp,
    /// By uTP.
    Utp,
    /// It is a web seed.
    Web,
}

impl ClassKind {
    /// All of them.
    pub const EACH: [Self; 3] = [Self::Tcp, Self::Utp, Self::Web];

    /// Its word in settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Utp => "utp",
            Self::Web => "web",
        }
    }

    /// What a connection to a peer is.
    pub(crate) const fn of(utp: bool) -> Self {
        if utp { Self::Utp } else { Self::Tcp }
    }
}

/// The classes, by their names; one that there always is stands here where something was said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassList(pub BTreeMap<String, PeerClass>);

/// A range of addresses of one family, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The first.
    pub first: IpAddr,
    /// The last.
    pub last: IpAddr,
}

/// The classes of ranges of addresses, in place of the usual ones; of ranges that overlap, the last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressClasses(pub Vec<(AddressRange, BTreeSet<String>)>);

/// The classes that connections of a kind come into, and those that they leave, whatever their address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindClasses(pub BTreeMap<ClassKind, KindRule>);

/// What a kind of connection changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindRule {
    /// Classes that its connections leave; this comes first.
    pub leave: BTreeSet<String>,
    /// Classes that they come into.
    pub join: BTreeSet<String>,
}

impl Settings {
    /// The classes as they are set, those that there always are included.
    pub fn peer_classes(&self) -> BTreeMap<String, PeerClass> {
        let mut all = self.classes.list.0.clone();
        for name in ALWAYS {
            let class = all.entry(name.to_owned()).or_default();
            if name == GLOBAL {
                class.limits = Limits {
                    down: self.limits.down,
                    up: self.limits.up,
                };
            }
        }
        all
    }
}
