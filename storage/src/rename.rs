//! Files get other paths, while they are read and written.
//!
//! A file has both names for a moment: first it gets the new one, then whoever keeps note of where files lie does so, then it
//! loses the old one. So it is found whenever the process is killed, whatever was noted by then. Where the file system has no
//! second names, the file is moved at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::Store;
use crate::error::{Cause, Op, StoreError};
use crate::layout::{FileKind, first_clash, join};
use crate::platform::Root;

/// Files that have new paths, and may have their old names yet. Whoever drops it leaves them those.
#[must_use = "the files have their old names as well until it is finished or undone"]
#[derive(Debug)]
pub struct Renamed {
    store: Store,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    file: u32,
    old: Arc<Path>,
    new: Arc<Path>,
    done: Done,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// It was not there: only its path is another.
    Absent,
    /// It has both names.
    Linked,
    /// It has moved.
    Moved,
}

impl Store {
    /// Gives files other paths below the folder, by their index in the specification and the components of the path; all of
    /// them or none. Folders are made as needed. A file that is not there yet will come into being at its new path. Pads
    /// have no path, and are passed over; symbolic links of the torrent are left where they are. A `folder` that is named must
    /// not be there yet.
    ///
    /// # Errors
    /// [`UnsafePath`](crate::ErrorKind::UnsafePath) for a component that no file may have, [`Invalid`](crate::ErrorKind::Invalid)
    /// where two files would have one path or there is no such file, [`InTheWay`](crate::ErrorKind::InTheWay) where something
    /// is there already, and whatever the system says.
    pub fn rename(
        &self,
        files: &[(usize, Vec<String>)],
        folder: Option<&str>,
    ) -> Result<Renamed, StoreError> {
        let inner = &self.0;
        let mut steps = Vec::with_capacity(files.len());
        for (file, components) in files {
            let fail = |cause| {
                let path = inner
                    .root
                    .join(components.join("/").trim_start_matches('/'));
                StoreError::new(Op::Rename, &path, cause)
            };
            let meta = inner.layout.files().get(*file);
            let meta = meta.ok_or_else(|| fail(Cause::OutOfRange))?;
            let new: Arc<Path> = join(components).map_err(fail)?.into();
            let old = meta.path();
            if matches!(meta.kind, FileKind::Plain { .. }) && new != old {
                steps.push(Step {
                    file: *file as u32,
                    old,
                    new,
                    done: Done::Absent,
                });
            }
        }
        self.check_new(&steps)?;
        let root = match inner.open_root(false) {
            Ok(root) => Some(root),
            Err(cause) if cause.is_not_found() => None,
            Err(cause) => return Err(StoreError::new(Op::Rename, &inner.root, cause)),
        };
        if let (Some(root), Some(folder)) = (&root, folder)
            && root.is_taken(Path::new(folder))
            // A run that was killed in between may have made it.
            && !steps.iter().any(|step| root.is_linked(&step.old, &step.new))
        {
            let path = inner.root.join(folder);
            return Err(StoreError::new(Op::Rename, &path, Cause::Os(libc::EEXIST)));
        }
        let mut renamed = Renamed {
            store: self.clone(),
            steps: Vec::with_capacity(steps.len()),
        };
        for mut step in steps {
            // Nobody may open it by its old path from now on.
            let alone = inner.places.write();
            let done = root.as_ref().map_or(Ok(Done::Absent), |root| step.go(root));
            match done {
                Ok(done) => {
                    inner.layout.file(step.file).set_path(Arc::clone(&step.new));
                    drop(alone);
                    step.done = done;
                    renamed.steps.push(step);
                }
                Err(cause) => {
                    drop(alone);
                    renamed.undo();
                    let path = inner.root.join(&step.new);
                    return Err(StoreError::new(Op::Rename, &path, cause));
                }
            }
        }
        if let Some(root) = &root
            && let Err(cause) = renamed.sync(root)
        {
            renamed.undo();
            return Err(StoreError::new(Op::Rename, &inner.root, cause));
        }
        Ok(renamed)
    }

    /// Whether these paths can be had beside those of the other files.
    fn check_new(&self, steps: &[Step]) -> Result<(), StoreError> {
        let inner = &self.0;
        let renamed: BTreeSet<u32> = steps.iter().map(|step| step.file).collect();
        let others = (0..=inner.part()).filter(|file| !renamed.contains(file));
        let others = others.map(|file| inner.relative(file));
        let others = others.filter(|path| **path != *Path::new(""));
        let new = steps.iter().map(|step| Arc::clone(&step.new));
        match first_clash(others.chain(new).collect()) {
            Some(path) => {
                let path = inner.root.join(&path);
                Err(StoreError::new(Op::Rename, &path, Cause::Duplicate))
            }
            None => Ok(()),
        }
    }
}

impl Step {
    fn go(&self, root: &Root) -> Result<Done, Cause> {
        match root.stat(&self.old) {
            Err(cause) if cause.is_not_found() => {
                // Nor may it come into being over something.
                return if root.is_taken(&self.new) {
                    Err(Cause::Os(libc::EEXIST))
                } else {
                    Ok(Done::Absent)
                };
            }
            other => other?,
        };
        match root.link(&self.old, &self.new) {
            Ok(()) => Ok(Done::Linked),
            // Left by a run that was killed in between.
            Err(Cause::Os(libc::EEXIST)) if root.is_linked(&self.old, &self.new) => {
                Ok(Done::Linked)
            }
            Err(Cause::Os(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS | libc::EMLINK)) => {
                root.rename(&self.old, &self.new)?;
                Ok(Done::Moved)
            }
            Err(cause) => Err(cause),
        }
    }
}

impl Renamed {
    /// Brings the new names to the disk.
    fn sync(&self, root: &Root) -> Result<(), Cause> {
        let there = self.steps.iter().filter(|step| step.done != Done::Absent);
        let mut folders = BTreeSet::new();
        for step in there {
            if folders.insert(step.new.parent()) {
                root.sync_names(&step.new)?;
            }
        }
        Ok(())
    }

    /// Takes the old names away, and the folders that are empty then.
    ///
    /// # Errors
    /// Names the first old name that could not be removed; the file has its new path nevertheless.
    pub fn finish(self) -> Result<(), StoreError> {
        let inner = &self.store.0;
        let Ok(root) = inner.open_root(false) else {
            return Ok(());
        };
        let mut first = Ok(());
        for step in self.steps.iter().filter(|step| step.done == Done::Linked) {
            if let Err(cause) = root.remove(&step.old)
                && first.is_ok()
            {
                let path = inner.root.join(&step.old);
                first = Err(StoreError::new(Op::Remove, &path, cause));
            }
        }
        let left = self.steps.iter().filter(|step| step.done != Done::Absent);
        remove_empty(&root, left.map(|step| &*step.old));
        first
    }

    /// Gives the files their old paths again, and takes the new names away.
    pub fn undo(self) {
        let inner = &self.store.0;
        let root = inner.open_root(false).ok();
        for step in self.steps.iter().rev() {
            let _alone = inner.places.write();
            let undone = match (&root, step.done) {
                (None, _) | (_, Done::Absent) => Ok(()),
                (Some(root), Done::Linked) => root.remove(&step.new),
                (Some(root), Done::Moved) => root.rename(&step.new, &step.old),
            };
            match undone {
                Ok(()) => inner.layout.file(step.file).set_path(Arc::clone(&step.old)),
                Err(cause) => {
                    let path = inner.root.join(&step.new);
                    tracing::warn!(path = %path.display(), %cause, "the new name stays");
                }
            }
        }
        if let Some(root) = &root {
            let left = self.steps.iter().filter(|step| step.done != Done::Absent);
            remove_empty(root, left.map(|step| &*step.new));
        }
    }
}

/// Removes the folders above these paths that are empty.
fn remove_empty<'a>(root: &Root, paths: impl Iterator<Item = &'a Path>) {
    let above = paths.flat_map(|path| path.ancestors().skip(1));
    let folders: BTreeSet<&Path> = above.filter(|path| *path != Path::new("")).collect();
    // Folders sort before what they hold.
    for folder in folders.into_iter().rev() {
        root.remove_dir(folder);
    }
}
