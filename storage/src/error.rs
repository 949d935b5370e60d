//! What can go wrong with a store, and on which file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failed operation of a store: what was tried, on which file, and why it failed.
///
/// Cheap to clone, so that every piece of a failed batch can carry it.
#[derive(Clone)]
pub struct StoreError(Arc<Inner>);

struct Inner {
    op: Op,
    path: PathBuf,
    cause: Cause,
}

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Op {
    /// Comparing a piece with its digests.
    Check,
    /// Creating a file, a folder or a link.
    Create,
    /// Looking for content that was there.
    Find,
    /// Mapping a file into memory.
    Map,
    /// Opening the store: its specification does not hold together.
    Open,
    /// Reserving the file's room on the disk.
    Preallocate,
    /// Reading.
    Read,
    /// Removing the torrent's files.
    Remove,
    /// Giving a file another path, or another folder.
    Rename,
    /// Handing written bytes to the disk.
    Sync,
    /// Writing.
    Write,
}

/// The kind of failure, as far as a reaction may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The disk or the user's quota is full: it may pass by itself.
    Full,
    /// A hybrid torrent contradicts itself: a piece has its v1 digest and not its v2 digest, or the other way round.
    Inconsistent,
    /// A folder, device, pipe or symbolic link stands where a file or folder of the torrent should be.
    InTheWay,
    /// The specification of the store contradicts itself, or an offset lies outside the torrent.
    Invalid,
    /// Access is denied.
    Permission,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The file is larger than the file system can hold.
    TooLarge,
    /// The file ends before the bytes that were asked for.
    TooShort,
    /// The path would lead outside the chosen folder.
    UnsafePath,
    /// The file or its file system has gone away or was cut while in use.
    Vanished,
    /// Anything else, read and write errors of the device among them.
    Other,
}

/// Why a system-level step failed, before it is known for which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The system's error number.
    Os(i32),
    /// Not a regular file (or, for a parent, not a folder).
    NotAFile,
    /// A symbolic link on the way.
    Symlink,
    /// The file ends too early.
    TooShort,
    /// A mapped page could not be read or written: the file was cut, or the device failed.
    Faulted,
    /// The file was removed while it was open.
    Unlinked,
    /// The chosen folder lies on another device than it did.
    OtherDevice,
    /// The chosen folder is not there.
    NoFolder,
    /// Nothing is in the chosen folder.
    EmptyFolder,
    /// A path component that no file may have.
    BadComponent,
    /// Two files of the torrent claim one path.
    Duplicate,
    /// The lengths do not add up.
    Lengths,
    /// Outside the torrent.
    OutOfRange,
    /// A write that took nothing.
    WriteZero,
    /// One of the two digests of a piece is right and the other is wrong.
    OneOfTwo,
}

impl StoreError {
    pub(crate) fn new(op: Op, path: &Path, cause: impl Into<Cause>) -> Self {
        Self(Arc::new(Inner {
            op,
            path: path.to_path_buf(),
            cause: cause.into(),
        }))
    }

    /// What was tried.
    pub fn op(&self) -> Op {
        self.0.op
    }

    /// The file concerned: the chosen folder joined with the path in the torrent.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.cause.kind()
    }

    /// The system's error number, where there is one.
    pub fn os_error(&self) -> Option<i32> {
        if let Cause::Os(errno) = self.0.cause {
            Some(errno)
        } else {
            None
        }
    }
}

impl Cause {
    /// The kind that users of the store see.
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::Os(errno) => kind_of_errno(errno),
            Self::NotAFile => ErrorKind::InTheWay,
            Self::Symlink | Self::BadComponent => ErrorKind::UnsafePath,
            Self::TooShort => ErrorKind::TooShort,
            Self::EmptyFolder
            | Self::Faulted
            | Self::NoFolder
            | Self::OtherDevice
            | Self::Unlinked => ErrorKind::Vanished,
            Self::Duplicate | Self::Lengths | Self::OutOfRange => ErrorKind::Invalid,
            Self::WriteZero => ErrorKind::Other,
            Self::OneOfTwo => ErrorKind::Inconsistent,
        }
    }

    /// Whether the process or the system has no file descriptor left.
    pub(crate) fn is_out_of_descriptors(self) -> bool {
        matches!(self, Self::Os(libc::EMFILE | libc::ENFILE))
    }

    /// Whether this is the answer for a file that is not there.
    pub(crate) fn is_not_found(self) -> bool {
        self == Self::Os(libc::ENOENT)
    }
}

fn kind_of_errno(errno: i32) -> ErrorKind {
    match errno {
        libc::ENOSPC | libc::EDQUOT => ErrorKind::Full,
        libc::EROFS => ErrorKind::ReadOnly,
        libc::EACCES | libc::EPERM => ErrorKind::Permission,
        libc::ENOENT | libc::ESTALE | libc::ENODEV | libc::ENOTCONN | libc::ESHUTDOWN => {
            ErrorKind::Vanished
        }
        libc::EFBIG => ErrorKind::TooLarge,
        libc::EISDIR | libc::ENOTDIR | libc::ENXIO | libc::EEXIST => ErrorKind::InTheWay,
        libc::ELOOP | libc::EXDEV => ErrorKind::UnsafePath,
        _ => ErrorKind::Other,
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::Os(errno),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::TooShort,
            None => Self::Os(libc::EIO),
        }
    }
}

impl From<rustix::io::Errno> for Cause {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Os(errno.raw_os_error())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(errno) => io::Error::from_raw_os_error(*errno).fmt(f),
            Self::NotAFile => f.write_str("something that is not a plain file is in the way"),
            Self::Symlink => f.write_str("a symbolic link is in the way"),
            Self::TooShort => f.write_str("the file is shorter than it should be"),
            Self::Faulted => f.write_str("the file was cut or its device failed while it was read"),
            Self::Unlinked => f.write_str("the file was removed while it was in use"),
            Self::NoFolder => f.write_str("there is no such folder"),
            Self::EmptyFolder => f.write_str("the folder is empty"),
            Self::OtherDevice => f.write_str("the folder is on another disk than before: it seems to be unmounted"),
            Self::BadComponent => f.write_str("the path would lead outside the chosen folder"),
            Self::Duplicate => f.write_str("two files of the torrent claim this path"),
            Self::Lengths => f.write_str("the lengths of the files do not add up"),
            Self::OutOfRange => f.write_str("outside the torrent"),
            Self::WriteZero => f.write_str("the device takes no more bytes"),
            Self::OneOfTwo => f.write_str("the hybrid torrent contradicts itself: the v1 and v2 hashes of a piece are of different bytes"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check => "can't check",
            Self::Create => "can't create",
            Self::Find => "can't find the content in",
            Self::Map => "can't map",
            Self::Open => "can't open the store at",
            Self::Preallocate => "can't reserve room for",
            Self::Read => "can't read",
            Self::Remove => "can't remove",
            Self::Rename => "can't move to",
            Self::Sync => "can't sync",
            Self::Write => "can't write",
        })
    }
}

/// What to do about a file system that is read-only. For a service it is where its unit does not say otherwise, which nobody
/// sees who looks at the folder.
const LET_WRITE: &str = "name another folder, or have this one mounted for writing; a service of systemd writes only where its unit lets it: \
    `systemctl edit` with the lines `[Service]` and `ReadWritePaths=` and the folder, then `systemctl restart`";

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.0.op,
            self.0.path.display(),
            self.0.cause
        )?;
        if self.kind() == ErrorKind::ReadOnly {
            write!(f, "; {LET_WRITE}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("op", &self.0.op)
            .field("path", &self.0.path)
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_only_is_told_with_what_to_do_about_it() {
        let told =
            |errno| StoreError::new(Op::Create, Path::new("/srv/a"), Cause::Os(errno)).to_string();
        let read_only = told(libc::EROFS);
        for part in [
            "can't create /srv/a: Read-only",
            "name another folder",
            "`ReadWritePaths=`",
            "systemctl edit",
        ] {
            assert!(read_only.contains(part), "{part}: {read_only}");
        }
        for errno in [libc::EACCES, libc::ENOSPC, libc::ENOENT] {
            assert!(!told(errno).contains("systemctl"), "{}", told(errno));
        }
    }
}
