//! Linux: `openat2`, `fallocate`, `SEEK_DATA`.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::Cause;
use crate::watch::{Call, Watcher};

mod file;
mod names;
mod standing;
#[cfg(test)]
mod tests;

pub(crate) use self::file::{
    Cached, copy_mtime, is_paged, is_same, next_data, preallocate, read_ahead, read_cached,
    read_exact_at, reserve, reserves_cheaply, write_all_at,
};
pub(crate) use self::standing::{Standing, StandingKind, Stat};
pub(crate) use crate::map::{await_writeback, start_writeback};

/// A folder below which files are opened; no path given to it leads outside, whatever stands on the disk, unless links are
/// followed to read.
#[derive(Debug)]
pub(crate) struct Root {
    dir: OwnedFd,
    /// Whether what is only looked at and read may be reached through symbolic links.
    follow: bool,
    /// Whether the kernel resolves paths for us (`openat2`, Linux 5.6); else they are walked by component.
    resolve: bool,
    watch: Watcher,
    /// Where it is, for somebody who watches.
    at: Option<PathBuf>,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// An existing file, to read.
    Read,
    /// An existing or new file, to read and write.
    Write { executable: bool },
}

impl Root {
    /// Opens the folder, following symbolic links on the way to it (they are the user's choice); makes it first if
    /// told so.
    pub(crate) fn open(path: &Path, create: bool, watch: &Watcher) -> Result<Self, Cause> {
        watch.may(Call::Open, path)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = match fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) if create => {
                names::make_folders(path, watch)?;
                fs::open(path, flags, Mode::empty())
            }
            other => other,
        }?;
        Ok(Self {
            dir,
            follow: false,
            resolve: true,
            watch: watch.clone(),
            at: watch.is_somebody().then(|| path.to_path_buf()),
        })
    }

    /// The same folder, below which symbolic links are followed to look at files and to read them.
    pub(crate) fn following_links(self) -> Self {
        Self {
            follow: true,
            ..self
        }
    }

    /// Asks whoever watches about something below the folder.
    fn may(&self, call: Call, path: &Path) -> Result<(), Cause> {
        match &self.at {
            None => Ok(()),
            Some(at) => self.watch.may(call, &at.join(path)),
        }
    }

    /// The device that it lies on.
    pub(crate) fn device(&self) -> Result<u64, Cause> {
        Ok(fs::fstat(&self.dir)?.st_dev)
    }

    /// Opens a plain file, making it and its folders if it is opened to be written. Never waits for the other end of
    /// a pipe, and refuses whatever is not a plain file.
    pub(crate) fn open_file(&self, path: &Path, access: Access) -> Result<File, Cause> {
        let common = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let (flags, mode) = match access {
            Access::Read => (OFlags::RDONLY | common, Mode::empty()),
            Access::Write { executable } => (
                OFlags::RDWR | OFlags::CREATE | common,
                Mode::from_raw_mode(if executable { 0o777 } else { 0o666 }),
            ),
        };
        let call = match access {
            Access::Read => Call::Open,
            Access::Write { .. } => Call::Create,
        };
        self.may(call, path)?;
        let fd = match self.open_beneath(path, flags, mode) {
            Err(Cause::Symlink) if access == Access::Read && self.follow => {
                must_be_plain(path)?;
                fs::openat(&self.dir, path, flags - OFlags::NOFOLLOW, mode)?
            }
            Err(cause) if cause.is_not_found() && access != Access::Read => {
                self.make_parents(path)?;
                self.open_beneath(path, flags, mode)?
            }
            other => other?,
        };
        let file = File::from(fd);
        if FileType::from_raw_mode(fs::fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(Cause::NotAFile);
        }
        Ok(file)
    }

    /// Opens a new file in the folder that has no name, to write, so that nothing of it stays when it is closed, however the
    /// program ends. Where the file system has no such files, it has a name for a moment.
    pub(crate) fn open_unnamed(&self) -> Result<File, Cause> {
        self.may(Call::Create, Path::new(""))?;
        let mode = Mode::RUSR | Mode::WUSR;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        match fs::openat(&self.dir, ".", flags | OFlags::TMPFILE, mode) {
            Ok(fd) => Ok(File::from(fd)),
            // Kernels and file systems without them; the last two say that they took it for the folder itself.
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::ISDIR) => self.open_forgotten(),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes a file, and removes its name at once.
    fn open_forgotten(&self) -> Result<File, Cause> {
        let chance = RandomState::new().build_hasher().finish();
        let name = format!(".probe-{chance:016x}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = fs::openat(&self.dir, &name, flags, Mode::RUSR | Mode::WUSR)?;
        fs::unlinkat(&self.dir, &name, AtFlags::empty())?;
        Ok(File::from(file))
    }

    fn open_beneath(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Cause> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        // A rename in progress elsewhere makes the kernel ask for another try.
        for _ in 0..16 {
            if !self.resolve {
                break;
            }
            match fs::openat2(&self.dir, path, flags, mode, resolve) {
                Ok(fd) => return Ok(fd),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // Old kernels and sandboxes.
                Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => break,
                Err(Errno::LOOP | Errno::XDEV) => return Err(Cause::Symlink),
                Err(errno) => return Err(errno.into()),
            }
        }
        let (parent, name) = self.walk(path, false)?;
        match fs::openat(&parent, name, flags | OFlags::NOFOLLOW, mode) {
            Err(Errno::LOOP) => Err(Cause::Symlink),
            other => Ok(other?),
        }
    }

    /// Makes the folders that lead to `path`.
    pub(crate) fn make_parents(&self, path: &Path) -> Result<(), Cause> {
        self.walk(path, true).map(|_| ())
    }

    /// Opens the folder of `path` component by component, never through a symbolic link.
    fn walk<'p>(&self, path: &'p Path, create: bool) -> Result<(OwnedFd, &'p OsStr), Cause> {
        let mut dir = self.dir.as_fd().try_clone_to_owned()?;
        let mut components = path.components();
        while let Some(component) = components.next() {
            let Component::Normal(name) = component else {
                return Err(Cause::BadComponent);
            };
            let rest = components.as_path();
            if rest == Path::new("") {
                return Ok((dir, name));
            }
            let made = create.then(|| path.ancestors().nth(rest.components().count()));
            dir = self.step(&dir, name, made.flatten())?;
        }
        Err(Cause::BadComponent)
    }

    /// Opens a folder in another, never through a symbolic link; makes it where it is not there and has a path to be made at.
    fn step(&self, dir: &OwnedFd, name: &OsStr, make: Option<&Path>) -> Result<OwnedFd, Cause> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || fs::openat(dir, name, flags, Mode::empty());
        let opened = match (open(), make) {
            (Err(Errno::NOENT), Some(path)) => {
                self.may(Call::MakeFolder, path)?;
                match fs::mkdirat(dir, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno.into()),
                }
                open()
            }
            (other, _) => other,
        };
        opened.map_err(|errno| {
            let is_link = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
            if is_link {
                Cause::Symlink
            } else {
                errno.into()
            }
        })
    }

    /// Bytes that its file system has left for us.
    pub(crate) fn room(&self) -> Result<u64, Cause> {
        let stat = fs::fstatvfs(&self.dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Refuses a path that is no sequence of names.
fn must_be_plain(path: &Path) -> Result<(), Cause> {
    let mut components = path.components();
    if components.all(|component| matches!(component, Component::Normal(_))) {
        Ok(())
    } else {
        Err(Cause::BadComponent)
    }
}

/// By what the file system that a folder or file lies on is known again: its own number, which most have for good, or that of its
/// device.
pub(crate) fn file_system(path: &Path) -> Result<u64, Cause> {
    match fs::statvfs(path)?.f_fsid {
        0 => Ok(fs::stat(path)?.st_dev),
        own => Ok(own),
    }
}

/// Whether a component that has neither `/` nor NUL is one plain name here.
pub(crate) fn component_is_plain(_component: &str) -> bool {
    true
}

/// Bytes of memory that the machine has.
pub(crate) fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
}
