//! What a session remembers: torrents, progress, settings and statistics, in one transactional store.
//!
//! # What
//! - [`Store`]: one file that holds everything. A [`Batch`] of changes is on the disk whole, or not at all. Reading sees
//!   one moment and waits for nobody.
//! - [`Torrent`] is the short record that lists are made of; [`Details`], [`Progress`], [`Traffic`] and the .torrent file
//!   lie apart from it, and are read when they are needed.
//! - [`Keeper`]: the one writer. It takes changes at once, whatever the disk does, and commits them together; it opens the
//!   store again after a failure and loses nothing by it.
//! - A previous generation lies beside the store and takes its place when that cannot be read; backups are one file each.
//!
//! # What not
//! Content files, actors, and what the records are used for: that is the engine's. Whether what a record says of files
//! still holds is for those to find out who look at the files.
//!
//! # Map of modules
//! `torrent`, `progress`: the records. `codec`: their bytes. `tables`: where they are. `batch`: what is written together.
//! `store`: the file, how it is opened, read, copied. `keeper`: the thread that writes. `earlier`: what earlier versions of
//! this program have left. `import`: what other programs remember. `medium`: the folder that it lies in. `platform`: what depends on the
//! system.
//!
//! # Invariants
//! - A record that is damaged or of a later version is refused as a whole, never read in part.
//! - What was written by a later version of this program is never written to.
//! - Nothing is removed before what takes its place is on the disk.

mod batch;
mod codec;
pub mod earlier;
mod error;
pub mod import;
mod keeper;
mod medium;
mod platform;
mod progress;
mod store;
mod tables;
mod torrent;

pub use batch::Batch;
pub use codec::{Reader, Record, RecordError};
pub use error::{Damage, StateError};
pub use keeper::{Health, Keeper, KeeperOptions, OfferError};
pub use medium::{Folder, Medium, is_store};
pub use progress::{FileStamp, Hops, Progress, Totals, Traffic};
pub use redb::StorageBackend;
pub use store::{
    DAMAGED, FILE, OpenOptions, Opening, PREVIOUS, REPLACED, Store, Summaries, Unreadable, replace,
    restore,
};
pub use torrent::{
    Amount, Content, Details, Existing, FileChoice, Follow, SeedingRule, Switches, Torrent,
    TorrentKey,
};
