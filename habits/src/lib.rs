//! What a client does by itself: which files of a watched folder, and which items of a feed, are taken.
//!
//! # What
//! - [`Document`] reads feeds: RSS 2.0, RSS 1.0 and Atom, with what BEP 36 and the usual indexers put in them.
//! - [`Rules`] decide which items are taken, and [`Memory`] knows which were: [`Rules::judge`] puts both together and says why.
//! - [`Pace`] says when a feed is looked at next.
//! - [`Watcher`] says of a folder which files are whole by now and not dealt with yet.
//!
//! # What not
//! No sockets, no files and no clock: `bin` fetches, looks and adds, and says what time it is.
//!
//! # Map of modules
//! `document`, `item`, `date`: what a feed says. `episode`: what titles say.
//! `pattern`, `rules`: what is wanted. `memory`: what was taken. `pace`: when. `watch`: folders.
//!
//! # Invariants
//! - A feed can waste neither memory nor time: what is read of it is bounded, and expressions run in time linear in the title.
//! - Nothing is taken twice while its feed still has it.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod date;
mod document;
mod episode;
mod item;
mod memory;
mod pace;
mod pattern;
mod rules;
mod watch;

pub use document::{Document, FeedError};
pub use episode::{Episode, Episodes, Which};
pub use item::{Item, Torrent, feed_url};
pub use memory::{Mark, Memory};
pub use pace::Pace;
pub use pattern::PatternError;
pub use rules::{Judged, RuleError, Rules, Verdict};
pub use watch::{Outcome, Stamp, Watcher};
