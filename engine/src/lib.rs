//! The BitTorrent engine: Supervisor, Torrent, Peer, Announcer, Disk and Listener over pure policies.
//!
//! # What
//! Actors are the control plane: each owns a lifecycle and decides. One driver task per connection is the data
//! plane: it moves bytes between its socket and the store. Policies (picker, choker, candidates, pipeline and their like) are plain
//! structs without clock or IO.
//!
//! There are two doors: [`EngineHandle`] for everyone, and the [`Supervisor`]'s messages for actix programs.
//!
//! # What not
//! No sockets of its own: every connection starts in `net`. No files: content is the store's. No HTTP, no tunnels: what is
//! behind a route is nobody's business here.
//!
//! # Map of modules
//! - `supervisor`, `listener`, `disk`, `seats`: one each in an engine.
//! - `torrent`: the actor and its policies.
//! - `peer`: the actor of a connection, its driver and the pipeline of requests.
//! - `web`: the actor of a web seed, and the task that fetches from it.
//! - `route`, `reach`: ways into the world, and what stands on one that is open.
//! - `announce`: trackers.
//! - `lookups`: peers from the DHT.
//! - `lsd`: peers on the local network.
//! - `board`: how all torrents stand, for who asks for a part of it.
//! - `metrics`: counters and gauges, and the text that they are asked for in.
//! - `mixed`: the shares of TCP and uTP.
//! - `modes`: the switches of a torrent.
//! - `seeding`: until when torrents are seeded.
//! - `queue`: which torrents run, and in which order; `checks`: whose files are checked.
//! - `settings`: what can be set, as one tree; `units`: sizes, rates and times as people write them.
//! - `memory`: what is kept from one run to the next.
//! - `encryption`, `cover`: whether streams are encrypted, and the handshake that it takes.
//! - `labels`: what the user sorts torrents by.
//! - `classes`: peers with limits and rights of their own. `plugins`: extensions that programs bring along.
//! - `choices`: what was decided about files, and the note of it; `reader`: files that are read while they are fetched.
//! - `content`: what the connections of a torrent share; `trees`: the hash trees among it.
//!
//! # Invariants
//! - No payload byte rides in a mailbox.
//! - Only verified pieces are served.
//! - What a peer sends can end its connection, never the process.
//! - What a torrent sends leaves by its own route, and what came by one route is used on no other.

pub mod announce;
pub mod board;
mod checks;
mod choices;
mod claims;
pub mod classes;
mod command;
mod config;
mod content;
mod cover;
mod disk;
mod encryption;
mod event;
mod handle;
mod history;
mod labels;
mod listener;
mod lookups;
mod lsd;
mod memory;
pub mod metrics;
mod mixed;
pub mod modes;
pub mod peer;
pub mod plugins;
mod queue;
mod reach;
mod reader;
mod route;
#[cfg(test)]
mod scene;

mod seats;
mod seeding;
pub mod settings;
mod shelf;
mod snapshot;
mod state_file;
mod supervisor;
pub mod torrent;
mod trees;
mod turns;
pub mod units;
mod updates;
mod web;

pub use announce::farewells::Farewells;
pub use announce::settings::AnnounceMode;
pub use announce::{AnnounceError, TrackerClient};
pub use board::{Changes, Filter, Outline, Page, Query, Sort, Stretch, StretchOf};
pub use choices::Choices;
pub use classes::{
    AddressClasses, AddressRange, ClassChange, ClassError, ClassKind, ClassList, KindClasses,
    KindRule, PeerClass,
};
pub use command::{
    AddTorrent, CommandError, Existing, LocalFile, Reuse, Source, TorrentError, TorrentId,
};
pub use config::{DhtDoor, EngineConfig, Limits};
pub use encryption::{Encryption, Wire};
pub use event::{
    Categories, Category, Event, Events, NoEvent, Parting, Refusal, Rejection, Warning,
};
pub use handle::EngineHandle;
pub use history::History;
pub use labels::Labels;
pub use memory::Memory;
pub use metrics::Metrics;
pub use mixed::MixedMode;
pub use modes::{Mode, Modes};
pub use plugins::{
    ExtensionEvent, ExtensionPeer, ExtensionPort, ExtensionRefusal, ExtensionSpec, SendRefused,
};
pub use queue::places::Place;
pub use reader::{FileReader, ReadAhead, ReadError};
pub use route::{Direct, DirectWay, HiddenSwarms, Route, RouteError, RoutePolicy, Routes};
pub use seeding::{SeedingEnd, SeedingMode};
pub use settings::Settings;
pub use snapshot::{
    MoveStatus, PeerInfo, PeerStatus, Snapshot, State, SwarmCounts, TorrentStatus, WebSeedState,
    WebSeedStatus,
};
pub use state::SeedingRule;
pub use supervisor::messages::{
    Add, GetAvailability, GetFileProgress, GetPeers, GetPieces, GetSettings, GetSnapshot,
    GetTrackers, Pause, Reannounce, Recheck, Remove, ReplaceTrackers, Resume, Scrape, SetHops,
    SetLabels, SetLimits, SetMaxPeers, SetModes, SetSequential, SetSettings, SetUploadSlots,
    Shutdown, TakeOver,
};
pub use supervisor::{StartError, Supervisor};
pub use torrent::files::FileError;
pub use torrent::picker::Priority;
pub use torrent::pieces::{BegunPiece, BlockStatus};
pub use torrent::relocation::MoveFailure;
pub use torrent::tracker_list::{TrackerState, TrackerStatus};
pub use updates::{Published, ResolveError};
