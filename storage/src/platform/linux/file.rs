//! A file that is open: what is read of it and written to it, and how it lies on the disk.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;

use rustix::fs::{self, Advice, FallocateFlags, SeekFrom, Timespec, Timestamps};
use rustix::io::{Errno, ReadWriteFlags};

use crate::error::Cause;

/// Gives a file the time of change of another.
pub(crate) fn copy_mtime(from: &File, to: &File) -> Result<(), Cause> {
    let stat = fs::fstat(from)?;
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec.cast_signed()),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
    };
    Ok(fs::futimens(to, &times)?)
}

/// Whether both are one file, by whatever names they were opened.
pub(crate) fn is_same(one: &File, other: &File) -> bool {
    let id = |file| fs::fstat(file).map(|stat| (stat.st_dev, stat.st_ino));
    matches!((id(one), id(other)), (Ok(one), Ok(other)) if one == other)
}

/// Reads exactly `out.len()` bytes.
pub(crate) fn read_exact_at(file: &File, out: &mut [u8], at: u64) -> Result<(), Cause> {
    Ok(file.read_exact_at(out, at)?)
}

/// What a read that must not wait brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    /// All bytes.
    Read,
    /// Not all of them are in memory, or they can't be read.
    Elsewhere,
    /// The file system can't read so.
    Unknown,
}

/// Reads exactly `out.len()` bytes if that takes no waiting for a disk.
pub(crate) fn read_cached(file: &File, out: &mut [u8], at: u64) -> Cached {
    let len = out.len();
    match rustix::io::preadv2(
        file,
        &mut [IoSliceMut::new(out)],
        at,
        ReadWriteFlags::NOWAIT,
    ) {
        Ok(read) if read == len => Cached::Read,
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Cached::Unknown,
        Ok(_) | Err(_) => Cached::Elsewhere,
    }
}

/// Whether the file system keeps the file in memory page by page, so that mapping it takes a fault for every few pages
/// rather than for every large folio.
pub(crate) fn is_paged(file: &File) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    fs::fstatfs(file).is_ok_and(|stat| matches!(stat.f_type as u64, TMPFS | RAMFS))
}

/// Starts reading a range into memory, unless it is there already (judged by its ends); does not wait.
pub(crate) fn read_ahead(file: &File, at: u64, len: u64) {
    let cached = |at| {
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        rustix::io::preadv2(file, &mut into, at, ReadWriteFlags::NOWAIT).is_ok()
    };
    if len > 0 && !(cached(at) && cached(at + len - 1)) {
        let _ = fs::fadvise(file, at, NonZeroU64::new(len), Advice::WillNeed);
    }
}

/// Writes all slices, one after the other, from `at` on.
pub(crate) fn write_all_at(
    file: &File,
    mut slices: &mut [IoSlice<'_>],
    mut at: u64,
) -> Result<(), Cause> {
    while !slices.is_empty() {
        match rustix::io::pwritev(file, slices, at) {
            Ok(0) => return Err(Cause::WriteZero),
            Ok(wrote) => {
                at += wrote as u64;
                IoSlice::advance_slices(&mut slices, wrote);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Reserves room for the whole file. `Ok(false)` where the file system can't.
pub(crate) fn preallocate(file: &File, len: u64) -> Result<bool, Cause> {
    loop {
        match fs::fallocate(file, FallocateFlags::empty(), 0, len) {
            Ok(()) => return Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Reserves room for a stretch of a file inside its length, as far as there is any; a hint, so failures pass.
pub(crate) fn reserve(file: &File, at: u64, len: u64) {
    let _ = fs::fallocate(file, FallocateFlags::KEEP_SIZE, at, len);
}

/// Whether reserving room only notes it down, so that it is cheaper than what it saves the writes.
pub(crate) fn reserves_cheaply(file: &File) -> bool {
    const EXT4: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    const F2FS: u64 = 0xf2f5_2010;
    fs::fstatfs(file).is_ok_and(|stat| matches!(stat.f_type as u64, EXT4 | XFS | BTRFS | F2FS))
}

/// First offset from `from` on that may hold something other than a hole; `None` if only holes follow. Moves the
/// file's cursor, which nothing here uses.
pub(crate) fn next_data(file: &File, from: u64) -> Option<u64> {
    match fs::seek(file, SeekFrom::Data(from)) {
        Ok(at) => Some(at),
        Err(Errno::NXIO) => None,
        Err(_) => Some(from),
    }
}
