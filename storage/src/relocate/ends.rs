//! How a move ends: everything is at the new folder, or at the old one again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::{MoveError, MoveStage, MoveWay, Relocation};
use crate::error::{Cause, ErrorKind, Op, StoreError};
use crate::layout::FileKind;
use crate::platform::{self, Root};

impl Relocation {
    /// Gives all files their place at the new folder; nobody may use the old store any more. Takes everything back where that is
    /// not possible.
    ///
    /// # Errors
    /// [`MoveError::Apart`] where it has to be done [by copies](Self::by_copies); else why it is not possible.
    pub fn rename(&self) -> Result<(), MoveError> {
        // Whoever opens it at the new folder does not know what of it has reached the disk.
        self.from.presume_unsynced();
        self.from.flush()?;
        self.from.close_files();
        let (here, there) = match self.roots() {
            Err(error) if self.is_nowhere(&error) => return Ok(()),
            other => other?,
        };
        // A name may reach the disk before the folder that it is in, unless that is there already.
        for (file, path) in self.moved() {
            let made = match here.look(&path) {
                Ok(None) => continue,
                Ok(Some(_)) => there.make_parents(&path),
                Err(cause) => Err(cause),
            };
            made.map_err(|cause| self.error(file, cause))?;
        }
        self.sync_folders(&there)?;
        for (file, path) in self.moved() {
            let renamed = match here.look(&path) {
                Ok(None) => continue,
                Ok(Some(_)) => here.rename_to(&path, &there, &path),
                Err(cause) => Err(cause),
            };
            if let Err(cause) = renamed {
                let apart = cause == Cause::Os(libc::EXDEV);
                let error = self.error(file, cause);
                self.undo()?;
                return Err(if apart {
                    MoveError::Apart
                } else {
                    error.into()
                });
            }
        }
        let synced = self
            .sync_folders(&there)
            .and_then(|()| self.sync_folders(&here));
        if let Err(error) = synced {
            self.undo()?;
            return Err(error.into());
        }
        Ok(())
    }

    /// Makes what was not copied, empty files and links among it, and brings everything to the disk. Everything that is verified was
    /// [copied](Self::copy) before, and nobody uses the old store any more.
    ///
    /// # Errors
    /// Why that was not possible.
    pub fn settle_copies(&self) -> Result<(), MoveError> {
        let (here, there) = match self.roots() {
            Err(error) if self.is_nowhere(&error) => return Ok(()),
            other => other?,
        };
        let inner = &self.to.0;
        for file in 0..inner.part() {
            // It has become wanted since the move began.
            if inner.in_part(file) && !self.from.0.in_part(file) {
                inner.set_wanted(file, true)?;
            }
        }
        for (file, path) in self.moved() {
            let found = here.look(&path).map_err(|cause| self.error(file, cause))?;
            let meta = inner.layout.files().get(file as usize);
            match (found, meta.map(|meta| &meta.kind)) {
                (None, _) | (Some(_), Some(FileKind::Pad)) => {}
                (Some(_), Some(FileKind::Link(text))) => {
                    let made = there.symlink(&path, text);
                    made.map_err(|cause| inner.error(Op::Create, file, cause))?;
                }
                // Also cuts off what a file that was there has beyond its length.
                (Some(_), Some(FileKind::Plain { .. }) | None) => {
                    let new = inner.writer(file)?;
                    let old = self.from.0.reader(file)?;
                    // Whoever knows a file by its time of change knows the copy as well.
                    let kept = platform::copy_mtime(&old.file, &new.file);
                    kept.map_err(|cause| inner.error(Op::Create, file, cause))?;
                }
            }
        }
        // What lay there already counts as well, and loses its other copy.
        self.to.presume_unsynced();
        self.to.flush()?;
        self.sync_folders(&there)?;
        self.to.close_files();
        Ok(())
    }

    /// The content counts at the new folder from now on: the note says so when it is kept next.
    pub fn mark_done(&mut self) {
        self.note.stage = MoveStage::Done;
    }

    /// Removes what the old folder still holds, and the folders in it that are empty then. To be called when it is kept that the
    /// content counts at the new one; may be repeated.
    ///
    /// # Errors
    /// Names the first file that could not be removed.
    pub fn clean_up(&self) -> Result<(), StoreError> {
        self.from.close_files();
        self.remove_at(true)
    }

    /// Takes back what was done, so that the content is at the old folder as it was. May be repeated. What was copied is removed
    /// only where the original is.
    ///
    /// # Errors
    /// Names a file that could not be taken back.
    pub fn undo(&self) -> Result<(), StoreError> {
        self.to.close_files();
        match self.note.way {
            MoveWay::Copy => self.remove_at(false),
            MoveWay::Rename => self.rename_back(),
        }
    }

    /// Removes the files at the old folder, or those at the new one that were not there before; each only where it is at the
    /// other, too.
    fn remove_at(&self, old: bool) -> Result<(), StoreError> {
        let (store, other) = if old {
            (&self.from.0, &self.to.0)
        } else {
            (&self.to.0, &self.from.0)
        };
        let fail = |path: &Path, cause| StoreError::new(Op::Remove, path, cause);
        let root = match store.open_root(false) {
            Err(cause) if cause.is_not_found() => return Ok(()),
            root => root.map_err(|cause| fail(&store.root, cause))?,
        };
        let due = self.standing_at(&root)?;
        let mut due = due
            .into_iter()
            .filter(|(file, _)| old || !self.note.theirs.contains(file))
            .peekable();
        if due.peek().is_none() {
            self.remove_empty_folders(&root);
            return Ok(());
        }
        let kept = other.open_root(false);
        let kept = kept.map_err(|cause| fail(&other.root, cause))?;
        let mut first = Ok(());
        for (file, path) in due {
            let removed = match kept.look(&path) {
                Ok(Some(_)) => root.remove(&path),
                Ok(None) => Err(Cause::Os(libc::ENOENT)),
                Err(cause) => Err(cause),
            };
            if let (Err(cause), Ok(())) = (removed, &first) {
                first = Err(other.error(Op::Remove, file, cause));
            }
        }
        self.remove_empty_folders(&root);
        first
    }

    /// Whether there was nothing to move: the old folder was never made.
    fn is_nowhere(&self, error: &StoreError) -> bool {
        error.kind() == ErrorKind::Vanished && error.path() == self.note.from
    }

    /// Those of the files that are at a folder.
    fn standing_at(&self, root: &Root) -> Result<Vec<(u32, Arc<Path>)>, StoreError> {
        let mut standing = Vec::new();
        for (file, path) in self.moved() {
            if root
                .look(&path)
                .map_err(|cause| self.error(file, cause))?
                .is_some()
            {
                standing.push((file, path));
            }
        }
        Ok(standing)
    }

    fn rename_back(&self) -> Result<(), StoreError> {
        let there = match self.to.0.open_root(false) {
            Err(cause) if cause.is_not_found() => return Ok(()),
            other => other.map_err(|cause| StoreError::new(Op::Rename, &self.note.to, cause))?,
        };
        let due = self.standing_at(&there)?;
        if due.is_empty() {
            self.remove_empty_folders(&there);
            return Ok(());
        }
        let here = self.from.0.open_root(false);
        let here = here.map_err(|cause| StoreError::new(Op::Rename, &self.note.from, cause))?;
        for (file, path) in due {
            let back = match here.look(&path) {
                Ok(None) => there.rename_to(&path, &here, &path),
                Ok(Some(_)) => Ok(()),
                Err(cause) => Err(cause),
            };
            back.map_err(|cause| self.error(file, cause))?;
        }
        self.sync_folders(&here)?;
        self.sync_folders(&there)?;
        self.remove_empty_folders(&there);
        Ok(())
    }

    fn remove_empty_folders(&self, root: &Root) {
        let paths: Vec<Arc<Path>> = self.files().map(|(_, path)| path).collect();
        let folders = paths.iter().flat_map(|path| path.ancestors().skip(1));
        let folders: BTreeSet<&Path> = folders.filter(|path| *path != Path::new("")).collect();
        // Folders sort before what they hold.
        for folder in folders.into_iter().rev() {
            root.remove_dir(folder);
        }
    }

    fn sync_folders(&self, root: &Root) -> Result<(), StoreError> {
        let mut synced = BTreeSet::new();
        for (file, path) in self.moved() {
            if synced.insert(path.parent().map(Path::to_path_buf)) {
                let done = root.sync_folders(&path);
                done.map_err(|cause| self.from.0.error(Op::Sync, file, cause))?;
            }
        }
        Ok(())
    }
}
