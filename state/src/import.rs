//! What other programs remember of their torrents, read into the records of this one.
//!
//! # What
//! - [`Source`] finds the records of a program in a folder and reads them one at a time.
//! - [`libtorrent`], [`transmission`], [`rqbit`] and [`deluge`] are the formats, pure: bytes in, an [`Imported`] out.
//! - [`Imported`] is a torrent as the record has it, with a list of what could not be taken over. What it is said to have on
//!   disk is a [`Claim`], which [`Imported::settle`] holds against the files as they are.
//!
//! # What not
//! Content files are looked at by the caller. Nothing that belongs to the other program is written to.
//!
//! # Invariants
//! - Nothing is claimed that the record does not say: where lengths or times of files differ, where the record ends early, or
//!   says nothing, the torrent is to be checked.
//! - A file's name leads nowhere outside the torrent's folder.
//! - A record that is malformed is refused as a whole, and the error names the file and the field.
//! - What a program only remembers to be faster, as peers of Transmission, replies of trackers, and digests that can be
//!   computed, is left out without a word.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use protocol::metainfo::Metainfo;

use crate::{Batch, Details, Progress, Torrent, TorrentKey, Traffic};

mod claim;
pub mod deluge;
mod draft;
mod fault;
mod fields;
mod folder;
pub mod libtorrent;
pub mod rqbit;
mod settle;
pub mod transmission;

pub use claim::{Claim, Doubt, DoubtKind, FileTime, Times};
pub use fault::{Fault, FaultKind, ImportError};
pub use folder::Source;
pub use settle::{Look, Settled, Standing};

/// A program whose torrents can be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// A program on libtorrent that keeps a `.fastresume` file for each torrent.
    Libtorrent,
    /// qBittorrent: libtorrent's records with keys of its own.
    Qbittorrent,
    /// Deluge: libtorrent's records in one file.
    Deluge,
    /// Transmission 2.20 and later.
    Transmission,
    /// rqbit with its session in `session.json`.
    Rqbit,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Qbittorrent,
        Self::Libtorrent,
        Self::Deluge,
        Self::Transmission,
        Self::Rqbit,
    ];

    /// Its name in one word of small letters.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Libtorrent => "libtorrent",
            Self::Qbittorrent => "qbittorrent",
            Self::Deluge => "deluge",
            Self::Transmission => "transmission",
            Self::Rqbit => "rqbit",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Libtorrent => "libtorrent",
            Self::Qbittorrent => "qBittorrent",
            Self::Deluge => "Deluge",
            Self::Transmission => "Transmission",
            Self::Rqbit => "rqbit",
        })
    }
}

/// A torrent as another program's record has it.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The short record.
    pub torrent: Torrent,
    /// Everything else that was decided about it.
    pub details: Details,
    /// Its .torrent file: as it came where the program kept one, else made of what the record holds.
    pub metainfo: Option<Bytes>,
    /// The same, read.
    pub parsed: Option<Metainfo>,
    /// What it has done so far.
    pub traffic: Traffic,
    /// What it is said to have on disk; `None` where the record does not say.
    pub claim: Option<Claim>,
    /// Another folder where the content lies as long as it is not complete.
    pub elsewhere: Option<PathBuf>,
    /// What the names of files end in as long as these are not complete.
    pub unfinished_suffix: Option<&'static str>,
    /// What the record says and this program does not do, or cannot make sense of.
    pub left_out: Vec<LeftOut>,
}

/// Something of a record that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name in the record.
    pub field: String,
    /// Why, for people.
    pub why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.why)
    }
}

impl Imported {
    /// The paths of its files below the torrent's folder, in the order of the metadata; empty for what has no bytes of its
    /// own, as padding.
    pub fn paths(&self) -> Vec<Vec<String>> {
        let files = self.parsed.as_ref().map_or(&[][..], Metainfo::files);
        let mut paths = Vec::with_capacity(files.len());
        for (at, file) in (0_u32..).zip(files) {
            let renamed = self.details.files.get(&at);
            let renamed = renamed.and_then(|choice| choice.renamed.as_deref());
            paths.push(match renamed {
                _ if !file.is_stored() => Vec::new(),
                Some(path) => path.split('/').map(str::to_owned).collect(),
                None => file.components().to_vec(),
            });
        }
        paths
    }

    /// Adds it to what is written together, under a number of its own.
    pub fn add_to(self, batch: &mut Batch, key: TorrentKey, progress: Option<Progress>) {
        batch.torrent(key, self.torrent).details(key, self.details);
        if let Some(bytes) = self.metainfo {
            batch.metainfo(key, bytes);
        }
        if let Some(progress) = progress {
            batch.progress(key, progress);
        }
        if self.traffic != Traffic::default() {
            batch.traffic(key, self.traffic);
        }
    }

    fn leave_out(&mut self, field: &str, why: impl Into<String>) {
        if self.left_out.len() < MOST_LEFT_OUT {
            self.left_out.push(LeftOut {
                field: field.to_owned(),
                why: why.into(),
            });
        }
    }
}

/// Things of one record that are told of.
const MOST_LEFT_OUT: usize = 100;

/// What a .torrent file, a record or a session may have at most, in bytes.
const MOST_BYTES: usize = 64 << 20;
/// What Deluge's file with the records of all torrents may have, in bytes.
const MOST_DELUGE: usize = 512 << 20;
