//! Linux: `openat2`, `fallocate`, `SEEK_DATA`.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::Cause;
use crate::watch::{Call, Watcher};

mod file;
#[cfg(test)]
mod tests;

pub(crate) use self::file::{
    Cached, copy_mtime, is_paged, is_same, next_data, preallocate, read_ahead, read_cached,
    read_exact_at, reserve, reserves_cheaply, write_all_at,
};
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

/// What stands at a path, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Bytes.
    pub(crate) len: u64,
    /// Device and number.
    pub(crate) id: (u64, u64),
    /// What it is.
    pub(crate) kind: StandingKind,
}

/// What may stand at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandingKind {
    File,
    Link,
    Other,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Bytes.
    pub(crate) len: u64,
    /// Last change of the bytes, in ns since 1970.
    pub(crate) mtime: i128,
    /// Number of names; 0 once removed.
    pub(crate) links: u64,
}

impl Root {
    /// Opens the folder, following symbolic links on the way to it (they are the user's choice); makes it first if
    /// told so.
    pub(crate) fn open(path: &Path, create: bool, watch: &Watcher) -> Result<Self, Cause> {
        watch.may(Call::Open, path)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = match fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) if create => {
                make_folders(path, watch)?;
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

    /// What stands at the path, if a plain file does.
    pub(crate) fn stat(&self, path: &Path) -> Result<Stat, Cause> {
        self.may(Call::Stat, path)?;
        let stat = if self.follow {
            must_be_plain(path)?;
            fs::statat(&self.dir, path, AtFlags::empty())?
        } else {
            let (parent, name) = self.walk(path, false)?;
            fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Cause::NotAFile);
        }
        Ok(Stat::new(&stat))
    }

    /// What stands at the path itself, be it a link; `None` where nothing does.
    pub(crate) fn look(&self, path: &Path) -> Result<Option<Standing>, Cause> {
        self.may(Call::Stat, path)?;
        let found = match self.walk(path, false) {
            Ok((parent, name)) => fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW),
            Err(cause) if cause.is_not_found() => return Ok(None),
            Err(cause) => return Err(cause),
        };
        match found {
            Err(Errno::NOENT) => Ok(None),
            other => Ok(Some(Standing::new(&other?))),
        }
    }

    /// The folder that a path is in, as device and number; `None` where it is not there.
    pub(crate) fn folder_of(&self, path: &Path) -> Result<Option<(u64, u64)>, Cause> {
        match self.walk(path, false) {
            Ok((parent, _)) => {
                let stat = fs::fstat(&parent)?;
                Ok(Some((stat.st_dev, stat.st_ino)))
            }
            Err(cause) if cause.is_not_found() => Ok(None),
            Err(cause) => Err(cause),
        }
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

    /// Bytes that its file system has left for us.
    pub(crate) fn room(&self) -> Result<u64, Cause> {
        let stat = fs::fstatvfs(&self.dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

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

    /// Whether something stands at the path: a file, a folder, a link.
    pub(crate) fn is_taken(&self, path: &Path) -> bool {
        let stat = |(parent, name): (OwnedFd, &OsStr)| {
            fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        };
        self.walk(path, false).is_ok_and(stat)
    }

    /// Whether two names are of one file that has both.
    pub(crate) fn is_linked(&self, one: &Path, other: &Path) -> bool {
        let id = |path| {
            let (parent, name) = self.walk(path, false).ok()?;
            let stat = fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            Some((stat.st_dev, stat.st_ino, stat.st_nlink))
        };
        id(one).is_some_and(|first| first.2 > 1 && id(other) == Some(first))
    }

    /// Brings the names in the folder of `path` to the disk.
    pub(crate) fn sync_names(&self, path: &Path) -> Result<(), Cause> {
        let (parent, _) = self.walk(path, false)?;
        self.may(Call::Sync, path.parent().unwrap_or(path))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = fs::openat(&parent, ".", flags, Mode::empty())?;
        sync_names_of(&folder)
    }

    /// Removes an empty folder; says whether it is gone.
    pub(crate) fn remove_dir(&self, path: &Path) -> bool {
        self.may(Call::RemoveFolder, path).is_ok()
            && self
                .walk(path, false)
                .is_ok_and(|(parent, name)| fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).is_ok())
    }
}

/// Makes a folder and those that lead to it, and brings to the disk that they are there: content that is found missing later is waited
/// for, so that a folder must not vanish in a power cut.
fn make_folders(path: &Path, watch: &Watcher) -> Result<(), Cause> {
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

/// Refuses a path that is no sequence of names.
fn must_be_plain(path: &Path) -> Result<(), Cause> {
    let mut components = path.components();
    if components.all(|component| matches!(component, Component::Normal(_))) {
        Ok(())
    } else {
        Err(Cause::BadComponent)
    }
}

impl Standing {
    fn new(stat: &fs::Stat) -> Self {
        Self {
            len: stat.st_size as u64,
            id: (stat.st_dev, stat.st_ino),
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => StandingKind::File,
                FileType::Symlink => StandingKind::Link,
                FileType::BlockDevice
                | FileType::CharacterDevice
                | FileType::Directory
                | FileType::Fifo
                | FileType::Socket
                | FileType::Unknown => StandingKind::Other,
            },
        }
    }
}

impl Stat {
    fn new(stat: &fs::Stat) -> Self {
        Self {
            len: stat.st_size as u64,
            mtime: i128::from(stat.st_mtime) * 1_000_000_000 + stat.st_mtime_nsec as i128,
            links: stat.st_nlink,
        }
    }

    /// Of an open file.
    pub(crate) fn of(file: &File) -> Result<Self, Cause> {
        Ok(Self::new(&fs::fstat(file)?))
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
