//! The piece store: a torrent's content on disk.
//!
//! # What
//! [`Store`] lays pieces out over files, hands out block leases ([`Store::activate`], [`ActivePiece::lease`]), takes
//! blocks in ([`Store::write`]), gives views of pieces out ([`Store::view`]), and checks pieces ([`Store::verify`],
//! [`Store::recheck`]). Reading goes through maps of bounded size that never raise a signal, or, to check small files and
//! small pieces, through buffers of 4 MiB a thread; writing goes through positioned vectored writes or, if chosen, through
//! the maps.
//!
//! # What not
//! No runtime, no actors, no peers: everything is synchronous, and callers bring their own threads.
//!
//! # Map of modules
//! - `spec`: what a store is opened with. `layout`: torrent space to files. `error`: what can go wrong, on which file.
//! - `store`: the public handle; `upkeep`: its questions about files as files; `look`: those about files without a store. `inner`: file slots and window cache behind it.
//!   `budget`: bounds shared by stores.
//! - `selection`: wanted files and the part file. `rename`: files get other paths. `donor`: files elsewhere that may hold content, `adopt`: taking it over.
//! - `relocate`: moving content to another folder. `watch`: who is asked before each call to the system.
//! - `resume`: what a torrent had on disk, kept between runs; `hops`: by which way it went.
//! - `active`: block leases, with the digests of their blocks. `write`, `view`, `verify`, `recheck`: one path each; `reserve`: what writes into sparse files do first.
//! - `work`: what was done is counted. `room`: how much can still be written. `anchor`: names on the disk.
//! - `map`: windows of files in memory and their SIGBUS guard: all `unsafe` of the room. `platform`: the seam to the
//!   operating system.
//!
//! # Invariants
//! - Nothing is made, written or removed outside the chosen folder, and no symbolic link below it is followed. What lies
//!   elsewhere is only read, and only to be compared with digests.
//! - No lock is held during input and output but the one of the file that is being opened.
//! - Resident memory from maps, open files and unsynced bytes stay inside the [`Budget`]; beside it, a check has one file
//!   open on each of its threads.

mod active;
mod adopt;
mod anchor;
mod budget;
mod donor;
mod error;
pub mod hops;
mod inner;
mod layout;
mod look;
mod map;
mod platform;
mod recheck;
mod relocate;
mod rename;
mod reserve;
pub mod resume;
mod room;
mod selection;
mod spec;
mod store;
mod upkeep;
mod verify;
mod view;
mod watch;
mod work;
mod write;

pub use active::{ActivePiece, BlockState, Committed, Lease, NOBODY};
pub use adopt::Adopted;
pub use budget::{Budget, Limits, Usage};
pub use donor::Donor;
pub use error::{ErrorKind, Op, StoreError};
pub use look::{stamps_below, sync_below};
pub use recheck::{Progress, RecheckOptions};
pub use relocate::{MoveError, MoveExisting, MoveNote, MoveStage, MoveWay, Relocation};
pub use rename::Renamed;
pub use room::free_space;
pub use spec::{
    FileSpec, MissingPieceLayers, PieceHashes, Preallocate, ReadMode, StoreOptions, StoreSpec,
    WriteMode,
};
pub use store::Store;
pub use upkeep::{OpenFileStatus, hash_lanes};
pub use verify::Verdict;
pub use view::PieceView;
pub use watch::{Call, Watch, Watcher};
pub use work::Work;
pub use write::Chunk;
