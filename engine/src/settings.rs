//! What can be set, in one tree: typed, documented, and changed while the engine runs.
//!
//! [`Settings`] is the tree. Its declaration in `tree` is the only place where a key is named: type, default, range and words for
//! people stand there, and what is generated from it, the reference in `docs/settings.md` and the commented file of
//! [`Settings::commented`], can't differ.
//!
//! A change is a [`Patch`]: keys and values, from a file, a program or the command line. It is applied as a whole or not at all
//! ([`Settings::with`]), and each key that is not known, of another kind or out of its range is named with what would be
//! right ([`SettingsError`]). [`Layers`] puts defaults, a preset, a file and flags on top of each other.
//!
//! An engine reads its settings where it uses them, so that a change holds at once; what has to be done about a change is done
//! by the Supervisor and each Torrent when they hear of it.

mod addresses;
mod docs;
mod error;
mod file;
mod hosts;
mod key;
mod listed;
mod live;
mod names;
mod patch;
mod places;
mod ports;
mod preset;
mod tree;
mod tuning;
mod value;
mod words;

pub use self::addresses::Addresses;
pub use self::docs::reference;
pub use self::error::{SettingsError, Wrong, WrongKind};
pub use self::file::{Layers, OwnKey, OwnTable};
pub use self::hosts::Hosts;
pub use self::key::{Group, Key};
pub(crate) use self::live::Live;
pub use self::names::{ClientName, Fingerprint};
pub use self::patch::Patch;
pub use self::places::ProxyUrl;
pub use self::ports::PortRanges;
pub use self::preset::Preset;
pub use self::tree::{
    Choking, ClassSettings, Connections, Dht, Disk, GROUPS, Identity, LimitSettings,
    LocalDiscovery, Metadata, NetworkSettings, Peers, Picking, QueueSettings, ResourceSettings,
    Seeding, Settings, Trackers, WebSeedSettings, Wires,
};
pub use self::value::Value;
pub(crate) use self::value::{Setting, not};

#[cfg(test)]
mod tests;
