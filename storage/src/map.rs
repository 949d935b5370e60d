//! Windows of files mapped into memory, and the guard that turns a failing page into an error.
//!
//! This module and its children hold all `unsafe` of the room.
#![allow(
    unsafe_code,
    reason = "memory maps, the signal guard and one system call that no safe crate offers"
)]

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::budget::Reservation;
use crate::map::guard::Registration;

mod guard;
mod sync;
#[cfg(test)]
mod tests;

pub(crate) use sync::{await_writeback, start_writeback};

/// A stretch of a file mapped into memory and watched by the guard.
///
/// Stays readable for as long as it lives, whatever happens to the file: pages that can't be read turn into zeros and
/// [`faulted`](Self::faulted) says so.
#[derive(Debug)]
pub(crate) struct Window {
    // Dropped in this order: a range must leave the guard's table before its addresses can be used again, and the
    // budget must not be credited before the memory is gone.
    watch: Registration,
    map: MmapRaw,
    _reservation: Reservation,
    writable: bool,
    used: AtomicBool,
    start: u64,
    path: PathBuf,
}

impl Window {
    /// Maps `len` bytes of the file from `start` on; the file holds them now.
    pub(crate) fn map(
        file: &File,
        (start, len): (u64, usize),
        writable: bool,
        path: PathBuf,
        reservation: Reservation,
    ) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        options.offset(start).len(len);
        let map = if writable {
            options.map_raw(file)?
        } else {
            options.map_raw_read_only(file)?
        };
        if writable {
            // Lets one fault bring a large folio instead of 4 KiB. Refused by kernels without huge pages: no matter.
            let _ = map.advise(Advice::HugePage);
        }
        Ok(Self {
            watch: Registration::new(map.as_ptr().addr(), len)?,
            map,
            _reservation: reservation,
            writable,
            used: AtomicBool::new(true),
            start,
            path,
        })
    }

    /// Offset of the window's first byte in the file.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether bytes may be copied in.
    pub(crate) fn writable(&self) -> bool {
        self.writable
    }

    /// The file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether some page of the window could not be read or written, so that what was read since may be zeros.
    pub(crate) fn faulted(&self) -> bool {
        self.watch.faulted()
    }

    /// Marks the window as used since the last sweep.
    pub(crate) fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Takes the mark off; says whether it was there.
    pub(crate) fn untouch(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The bytes of a range of the window.
    ///
    /// The store hands out ranges of verified pieces and of pieces under verification; the bytes of those are not
    /// written by this process. Another process may change the file, as with every map; no invariant of this program
    /// rests on the bytes staying equal.
    pub(crate) fn bytes(&self, at: usize, len: usize) -> &[u8] {
        assert!(
            at <= self.len() && len <= self.len() - at,
            "inside the window"
        );
        // SAFETY: the range lies inside the mapping (asserted), which lives as long as `self` and is readable: it was
        // made so, and the guard replaces pages only by readable ones. Bytes have no invalid values.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(at), len) }
    }

    /// Copies bytes into a writable window; says whether they reached the file's pages (else a page failed).
    pub(crate) fn copy_in(&self, at: usize, data: &[u8]) -> bool {
        assert!(self.writable, "a window to write");
        assert!(
            at <= self.len() && data.len() <= self.len() - at,
            "inside the window"
        );
        // SAFETY: the range lies inside the mapping (asserted), which lives as long as `self` and is writable: it was
        // made so (asserted), and the guard replaces pages only by writable ones. `data` can't overlap it: a slice of
        // a window is only ever read from verified pieces, a write goes to unverified ones.
        unsafe {
            std::ptr::copy_nonoverlapping(data.as_ptr(), self.map.as_mut_ptr().add(at), data.len());
        }
        !self.faulted()
    }

    /// Asks the system to read a range ahead.
    pub(crate) fn will_need(&self, at: usize, len: usize) {
        let _ = self.map.advise_range(Advice::WillNeed, at, len);
    }
}
