//! Names on the disk, so that files are found after a power cut.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use crate::Store;
use crate::error::{Op, StoreError};

impl Store {
    /// Brings to the disk what the chosen folder holds, once; to be called when something was written. Whoever keeps that there is
    /// content, and [looks for it](Self::find) after a power cut, must not take the folder for that of an unmounted disk.
    ///
    /// # Errors
    /// Why the folder could not be synced; the next call tries again.
    pub fn anchor(&self) -> Result<(), StoreError> {
        if !self.0.anchored.load(Ordering::Relaxed) {
            self.sync_folders([PathBuf::new()])?;
            self.0.anchored.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Brings to the disk what was written since the last time, and the names of the files that it is in: from then on a power
    /// cut takes none of it.
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and names the first folder that could not be synced.
    pub fn sync(&self) -> Result<(), StoreError> {
        let inner = &self.0;
        let files: Vec<u32> = inner.unsynced_files().collect();
        let unnamed: Vec<u32> = files
            .iter()
            .copied()
            .filter(|file| !inner.is_named(*file))
            .collect();
        inner.bring(&files)?;
        let mut folders = BTreeSet::new();
        for file in &unnamed {
            let path = inner.relative(*file);
            folders.extend(path.ancestors().skip(1).map(Path::to_path_buf));
        }
        self.sync_folders(folders)?;
        for file in unnamed {
            inner.note_named(file);
        }
        Ok(())
    }

    /// Whether there is anything for [`sync`](Self::sync) to do.
    pub fn is_unsynced(&self) -> bool {
        self.0.unsynced_files().next().is_some()
    }

    /// Takes it that nothing of the files has reached the disk yet, whoever wrote them.
    pub fn presume_unsynced(&self) {
        self.0.presume_unsynced();
    }

    /// Brings the names of all files to the disk, and of the folders that they lie in below the chosen one; with
    /// [`flush`](Self::flush) everything that there is.
    ///
    /// # Errors
    /// Names the first folder that could not be synced.
    pub fn flush_names(&self) -> Result<(), StoreError> {
        let mut folders = BTreeSet::new();
        for file in (0..self.0.part()).filter(|file| !self.0.in_part(*file)) {
            let path = self.0.relative(file);
            folders.extend(path.ancestors().skip(1).map(Path::to_path_buf));
        }
        self.sync_folders(folders)
    }

    fn sync_folders(&self, folders: impl IntoIterator<Item = PathBuf>) -> Result<(), StoreError> {
        let fail =
            |folder: &Path, cause| StoreError::new(Op::Sync, &self.root().join(folder), cause);
        let root = match self.0.open_root(false) {
            Err(cause) if cause.is_not_found() => return Ok(()),
            root => root.map_err(|cause| fail(Path::new(""), cause))?,
        };
        for folder in folders {
            root.sync_folder(&folder)
                .map_err(|cause| fail(&folder, cause))?;
        }
        Ok(())
    }
}
