//! The names below a folder: given, taken away, brought to the disk.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::Root;
use crate::error::Cause;
use crate::watch::{Call, Watcher};

impl Root {
    /// Makes a symbolic link; one that stands there with the same text is as good.
    pub(crate) fn symlink(&self, path: &Path, text: &Path) -> Result<(), Cause> {
        let (parent, name) = self.walk(path, true)?;
        self.may(Call::Link, path)?;
        match fs::symlinkat(text, &parent, name) {
            Err(Errno::EXIST) => match fs::readlinkat(&parent, name, Vec::new()) {
                Ok(there) if there.as_bytes() == text.as_os_str().as_encoded_bytes() => Ok(()),
                _ => Err(Cause::NotAFile),
            },
            other => Ok(other?),
        }
    }

    /// Removes a file or link; nothing there is as good.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), Cause> {
        let (parent, name) = match self.walk(path, false) {
            Err(cause) if cause.is_not_found() => return Ok(()),
            other => other?,
        };
        self.may(Call::Remove, path)?;
        match fs::unlinkat(&parent, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Gives a file a second name, whose folders are made; never that of something that is there already.
    pub(crate) fn link(&self, path: &Path, also: &Path) -> Result<(), Cause> {
        let (parent, name) = self.walk(path, false)?;
        let (new_parent, new_name) = self.walk(also, true)?;
        self.may(Call::Link, path)?;
        Ok(fs::linkat(
            &parent,
            name,
            &new_parent,
            new_name,
            AtFlags::empty(),
        )?)
    }

    /// Gives a file another name, whose folders are made; never that of something that is there already.
    pub(crate) fn rename(&self, path: &Path, to: &Path) -> Result<(), Cause> {
        self.rename_to(path, self, to)
    }

    /// Gives a file or link another name below another folder; never that of something that is there already.
    pub(crate) fn rename_to(&self, path: &Path, other: &Self, to: &Path) -> Result<(), Cause> {
        let (parent, name) = self.walk(path, false)?;
        let (new_parent, new_name) = other.walk(to, true)?;
        self.may(Call::Rename, path)?;
        let flags = RenameFlags::NOREPLACE;
        match fs::renameat_with(&parent, name, &new_parent, new_name, flags) {
            // Not every file system can tell by itself.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if fs::statat(&new_parent, new_name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                    return Err(Errno::EXIST.into());
                }
                Ok(fs::renameat(&parent, name, &new_parent, new_name)?)
            }
            other => Ok(other?),
        }
    }

    /// Removes an empty folder; says whether it is gone.
    pub(crate) fn remove_dir(&self, path: &Path) -> bool {
        self.may(Call::RemoveFolder, path).is_ok()
            && self
                .walk(path, false)
                .is_ok_and(|(parent, name)| fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).is_ok())
    }

    /// Brings to the disk which names the folder of a path holds, and the folders on the way to it; those that are not there are
    /// passed over. What a folder holds is reached by the names on the way: these come to the disk before it.
    pub(crate) fn sync_folders(&self, path: &Path) -> Result<(), Cause> {
        let folders: Vec<&Path> = path.ancestors().skip(1).collect();
        for folder in folders.into_iter().rev() {
            self.sync_folder(folder)?;
        }
        Ok(())
    }

    /// Brings to the disk which names a folder holds, be it this one (an empty path); one that is not there is passed over.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), Cause> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.may(Call::Sync, folder)?;
        let opened = if folder == Path::new("") {
            fs::openat(&self.dir, ".", flags, Mode::empty()).map_err(Cause::from)
        } else {
            self.open_beneath(folder, flags, Mode::empty())
        };
        match opened {
            Err(cause) if cause.is_not_found() => Ok(()),
            other => sync_names_of(other?),
        }
    }

    /// Brings the names in the folder of `path` to the disk.
    pub(crate) fn sync_names(&self, path: &Path) -> Result<(), Cause> {
        let (parent, _) = self.walk(path, false)?;
        self.may(Call::Sync, path.parent().unwrap_or(path))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = fs::openat(&parent, ".", flags, Mode::empty())?;
        sync_names_of(&folder)
    }
}

/// Makes a folder and those that lead to it, and brings to the disk that they are there: content that is found missing later is waited
/// for, so that a folder must not vanish in a power cut.
pub(super) fn make_folders(path: &Path, watch: &Watcher) -> Result<(), Cause> {
    let found = path.ancestors().position(Path::is_dir);
    watch.may(Call::MakeFolder, path)?;
    std::fs::create_dir_all(path)?;
    for above in path.ancestors().take(found.unwrap_or(0) + 1).skip(1) {
        watch.may(Call::Sync, above)?;
        let above = if above == Path::new("") {
            Path::new(".")
        } else {
            above
        };
        // A folder that cannot be read cannot be synced.
        if let Ok(folder) = File::open(above) {
            sync_names_of(&folder)?;
        }
    }
    Ok(())
}

/// Brings the names in a folder to the disk.
fn sync_names_of(folder: impl AsFd) -> Result<(), Cause> {
    match fs::fsync(folder) {
        // File systems that cannot do this to a folder keep its names by other means.
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
