//! Moving a torrent's content to another folder.
//!
//! Where one file system holds both folders and nothing is in the way, files are given other names, all of them or none.
//! Else verified pieces are copied and checked where they are then, while the old files serve on; what is not verified yet
//! follows when nobody writes any more, everything is brought to the disk, and only then the old files are removed.
//!
//! The caller keeps the [`MoveNote`] before the first byte, again when the content counts where it went, and removes it at the
//! end. With it [`Relocation::after_restart`] takes back what was not finished, or finishes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use protocol::bitfield::Bitfield;

use crate::Store;
use crate::error::{Op, StoreError};
use crate::platform::Root;

mod copying;
mod ends;
mod note;
mod survey;

pub use note::{MoveNote, MoveStage, MoveWay};
pub(crate) use survey::nearest;

/// What becomes of files that lie already where content is moved to. Bytes that verify are never written over, whatever is
/// chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MoveExisting {
    /// What verifies of them is taken over and the rest is completed; but a file that holds nothing of the torrent stays, and
    /// the move is refused.
    #[default]
    Adopt,
    /// The move is refused where there is any.
    Fail,
    /// They are completed, whatever they are.
    Replace,
}

/// Why content was not moved. It counts where it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// A file is at the new folder already, and the move was to fail then.
    #[error("{}: there is a file already", .0.display())]
    Exists(PathBuf),
    /// A file at the new folder holds nothing of the torrent.
    #[error("{}: there is something else already: not one piece of the torrent", .0.display())]
    Foreign(PathBuf),
    /// The new folder is the old one.
    #[error("{}: the content is there already", .0.display())]
    Same(PathBuf),
    /// The place of a file in the new folder is that of a file in the old one.
    #[error("{}: this is a file of the torrent where it is now", .0.display())]
    Overlap(PathBuf),
    /// A file of the torrent is reached through a symbolic link.
    #[error("{}: this is, or is behind, a symbolic link; move it by hand", .0.display())]
    Linked(PathBuf),
    /// The file system has not enough room.
    #[error("{}: {needed} bytes are needed, and {free} are free", dir.display())]
    NoRoom {
        /// The new folder.
        dir: PathBuf,
        /// Bytes that have to be copied.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The folders are on different file systems after all, so that names do not do.
    #[error("the folders are on different file systems")]
    Apart,
    /// A verified piece is not what it was.
    #[error("piece {0} was changed by another program")]
    Changed(u32),
    /// What was copied does not read as it was written.
    #[error("{}: what was written is not what is read: the disk fails", .0.display())]
    Corrupt(PathBuf),
    /// Reading or writing failed.
    #[error("{message}")]
    Storage {
        /// What kind of failure.
        kind: crate::ErrorKind,
        /// What was tried with which file, and what the system said.
        message: Arc<str>,
    },
}

/// A torrent's content on its way to another folder.
#[derive(Clone, Debug)]
pub struct Relocation {
    from: Store,
    to: Store,
    note: MoveNote,
}

impl Relocation {
    /// What has to be kept of it.
    pub fn note(&self) -> &MoveNote {
        &self.note
    }

    /// The content where it was.
    pub fn source(&self) -> &Store {
        &self.from
    }

    /// The content where it goes.
    pub fn target(&self) -> &Store {
        &self.to
    }

    /// Takes up a move of an earlier run: `at` is a store of the same content, wherever it looks for it.
    pub fn after_restart(at: &Store, note: MoveNote) -> Self {
        let store = |root: &Path| Store(Arc::new(at.0.elsewhere(root.to_owned())));
        Self {
            from: store(&note.from),
            to: store(&note.to),
            note,
        }
    }

    /// Goes on by copies, where names did not do.
    #[must_use]
    pub fn by_copies(mut self) -> Self {
        self.note.way = MoveWay::Copy;
        self
    }

    /// Files by their index in the specification, the part file last, with their paths.
    fn files(&self) -> impl Iterator<Item = (u32, Arc<Path>)> + '_ {
        let inner = &self.from.0;
        let all = (0..=inner.part()).map(|file| (file, inner.relative(file)));
        all.filter(|(_, path)| **path != *Path::new(""))
    }

    /// Those that are moved.
    fn moved(&self) -> impl Iterator<Item = (u32, Arc<Path>)> + '_ {
        self.files()
            .filter(|(file, _)| !self.note.left.contains(file))
    }

    /// Both folders; the new one is made.
    fn roots(&self) -> Result<(Root, Root), StoreError> {
        let open = |store: &Store, create| {
            let inner = &store.0;
            let root = inner.open_root(create);
            root.map_err(|cause| StoreError::new(Op::Rename, &inner.root, cause))
        };
        Ok((open(&self.from, false)?, open(&self.to, true)?))
    }

    fn error(&self, file: u32, cause: crate::error::Cause) -> StoreError {
        self.from.0.error(Op::Rename, file, cause)
    }
}

impl Store {
    /// Begins to move the content to another folder: looks at both, and changes nothing. `have` are the pieces that are
    /// verified here. Stops looking when `cancel` turns
    /// true, and knows less then. Gives the move, and the pieces that lie at the new folder already and are right.
    ///
    /// # Errors
    /// Why it cannot be moved.
    pub fn relocate(
        &self,
        to: &Path,
        existing: MoveExisting,
        have: &Bitfield,
        cancel: &AtomicBool,
    ) -> Result<(Relocation, Bitfield), MoveError> {
        survey::survey(self, to, existing, have, cancel)
    }
}

impl From<StoreError> for MoveError {
    fn from(error: StoreError) -> Self {
        Self::Storage {
            kind: error.kind(),
            message: error.to_string().into(),
        }
    }
}
