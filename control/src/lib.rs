//! What is said over the command channel of a daemon.
//!
//! # What
//! The channel is a stream of lines in each direction, each line one JSON object. A [`Request`] asks for something, an
//! [`Answer`] with the same number says what became of it, and who has asked for events is sent them as lines in between.
//! All of these are types here, and so are the rules by which words name torrents ([`Names`]).
//!
//! # What not
//! No sockets and no engine: the daemon and `ctl`, both in `bin`, put these together with those.
//!
//! # Map of modules
//! `lines`: lines of a stream. `request`, `add`, `label`, `answer`: what is said. `record`: what torrents, files, peers and trackers
//! look like. `names`: which torrents words mean. `query`: the pages of a list.
//!
//! # Invariants
//! - No line is longer than [`MOST`] bytes, and nothing is gathered beyond that.
//! - A request with a word in it that is not known is refused as a whole.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod add;
mod answer;
mod habit;
mod label;
mod lines;
mod mode;
mod names;
mod query;
mod record;
mod request;

pub use add::{Add, Added, Blob, Origin};
pub use answer::{Answer, Code, Done, Refusal};
pub use habit::{
    Feed, FeedItem, FeedState, FeedsOf, PreviewOf, Rule, RulesOf, Then, Watch, Watched, WatchesOf,
    Wish,
};
pub use label::{CategoriesOf, Category, LabelsOf, label, tags};
pub use lines::{Lines, TooLong};
pub use mode::{ModesOf, QueueOf, Queued, SeedingOf, WebSeedsOf};
pub use names::{Named, Names, Unnamed};
pub use query::{Page, Query};
pub use record::{File, Peer, Resources, Sample, Setting, Stats, Torrent, Tracker};
pub use request::{
    Ask, Backup, Events, Existing, FilesOf, HopsOf, LimitsOf, MoveOf, Nothing, Removal, Request,
    SettingsChange, Show, TrackersOf, Which, Wrong,
};

/// Bytes of the longest line, its line feed not counted: a .torrent file of 30 MiB in base64, and what is around it.
pub const MOST: usize = 48 << 20;

/// The name of the channel's socket in the folder of the daemon's state.
pub const SOCKET: &str = "control.sock";
