//! What an engine remembers from one run to the next, and where.
//!
//! `records` turns torrents into what is kept of them and back, `hops` keeps by how many hops something goes.

pub(crate) mod hops;
pub(crate) mod records;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::id::InfoHash;
use state::{Health, Keeper};

/// What the names of notes of moves end with.
const MOVE: &str = "move";

/// What an engine remembers from one run to the next, and where.
#[derive(Clone, Debug, Default)]
pub enum Memory {
    /// Nothing, nowhere.
    #[default]
    None,
    /// What a torrent has on disk, its metadata and by how many hops it goes, for whoever adds it again: in files of this
    /// folder, which several engines may share.
    Files(PathBuf),
    /// Everything, in a store that no other engine has: the torrents are there again at the next start, as they were. It is
    /// for its owner to [close](Keeper::close) it when the engine has stopped.
    Store(Arc<Keeper>),
}

impl Memory {
    /// The folder, where it is one of files.
    pub(crate) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Files(dir) => Some(dir),
            Self::None | Self::Store(_) => None,
        }
    }

    /// The folder where notes may lie that are no records: that of the files, or of the store.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::None => None,
            Self::Files(dir) => Some(dir.clone()),
            Self::Store(keeper) => keeper.path().parent().map(Path::to_owned),
        }
    }

    /// Where it is kept that the content of a torrent moves.
    pub(crate) fn note_of_move(&self, hash: InfoHash) -> Option<PathBuf> {
        Some(self.folder()?.join(format!("{hash}.{MOVE}")))
    }

    /// The torrents of which it is kept that their content moves.
    pub(crate) fn moving(&self) -> BTreeSet<InfoHash> {
        let entries = self.folder().map(std::fs::read_dir);
        let entries = entries.into_iter().flatten().flatten().flatten();
        let notes = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == MOVE));
        notes
            .filter_map(|path| path.file_stem()?.to_str()?.parse().ok())
            .collect()
    }

    /// The store's writer.
    pub(crate) const fn keeper(&self) -> Option<&Arc<Keeper>> {
        match self {
            Self::Store(keeper) => Some(keeper),
            Self::None | Self::Files(_) => None,
        }
    }

    /// The folder of a store that is not written, for its disk has no room.
    pub(crate) fn full(&self) -> Option<PathBuf> {
        match self.keeper()?.health() {
            Health::Failing(error) => error.full().map(Path::to_owned),
            Health::Well | _ => None,
        }
    }

    /// Whether nothing is remembered.
    pub(crate) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Why something could not be kept, or what was kept could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub(crate) struct Trouble {
    /// The file.
    pub(crate) path: PathBuf,
    /// What the system says.
    pub(crate) reason: String,
}

impl Trouble {
    /// That the store of a keeper does not take or give something.
    pub(crate) fn of(keeper: &Keeper, error: &dyn std::fmt::Display) -> Self {
        Self {
            path: keeper.path(),
            reason: error.to_string(),
        }
    }
}
