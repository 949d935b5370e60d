//! What was written and has not reached the disk.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Inner, NAMED, UNSYNCED};
use crate::error::{ErrorKind, Op, StoreError};
use crate::layout::FileKind;
use crate::platform;
use crate::watch::Call;

/// A step of bringing a file to the disk, and what whoever watches is asked about it.
pub(crate) type SyncStep = (Call, fn(&File) -> io::Result<()>);

/// The disk is told to write what there is.
pub(crate) const START: SyncStep = (Call::StartSync, platform::start_writeback);
/// What it was told to write is waited for. A power cut may take it yet.
pub(crate) const AWAIT: SyncStep = (Call::StartSync, platform::await_writeback);
/// What there is reaches the disk, with what is needed to find it in the file.
pub(crate) const FINISH: SyncStep = (Call::Sync, File::sync_data);

impl Inner {
    /// Counts written bytes; `true` if the file had none before.
    #[inline]
    pub(crate) fn add_dirty(&self, file: u32, bytes: u64) -> bool {
        let slot = &self.slots[file as usize];
        let first = slot.dirty.fetch_add(bytes, Ordering::AcqRel) == 0;
        if first {
            slot.flags.fetch_or(UNSYNCED, Ordering::AcqRel);
        }
        first
    }

    pub(crate) fn take_dirty(&self, file: u32) -> u64 {
        self.slots[file as usize].dirty.swap(0, Ordering::AcqRel)
    }

    /// Files with bytes that have not reached the disk for sure, those among them that it was told to write.
    pub(crate) fn unsynced_files(&self) -> impl Iterator<Item = u32> + '_ {
        let flags = |file: &u32| self.slots[*file as usize].flags.load(Ordering::Acquire);
        (0..self.slots.len() as u32).filter(move |file| flags(file) & UNSYNCED != 0)
    }

    /// See [`Store::presume_unsynced`](crate::Store::presume_unsynced).
    pub(crate) fn presume_unsynced(&self) {
        for file in 0..=self.part() {
            let meta = self.layout.files().get(file as usize);
            let plain = meta.is_none_or(|meta| matches!(meta.kind, FileKind::Plain { .. }));
            if plain && meta.is_none_or(|meta| meta.len > 0) {
                self.flag(file, UNSYNCED, true);
            }
        }
    }

    /// Takes all bytes of a file as synced that were written before this; what is written from now on is noted anew.
    pub(crate) fn take_unsynced(&self, file: u32) {
        // In this order: bytes that are written after they were counted off are the first again, and set the flag.
        self.flag(file, UNSYNCED, false);
        self.options.budget.0.synced(self.take_dirty(file));
    }

    /// Whether the file's name is known to be on the disk.
    pub(crate) fn is_named(&self, file: u32) -> bool {
        self.slots[file as usize].flags.load(Ordering::Acquire) & NAMED != 0
    }

    pub(crate) fn note_named(&self, file: u32) {
        self.flag(file, NAMED, true);
    }

    /// Does one step of bringing a file to the disk on behalf of whichever store; an error is kept for this store's
    /// next write or flush.
    pub(crate) fn sync_step(self: &Arc<Self>, file: u32, (call, step): SyncStep) {
        let done = self.reader(file).and_then(|open| {
            let asked = self.may(call, file);
            let done = asked.and_then(|()| Ok(step(&open.file)?));
            done.map_err(|cause| self.error(Op::Sync, file, cause))
        });
        // A file that was removed has nothing left to bring to the disk.
        if let Err(error) = done
            && error.kind() != ErrorKind::Vanished
        {
            *self.sync_error.lock() = Some(error);
            self.sync_failed.store(true, Ordering::Release);
        }
    }

    /// The error that a sync step met since the last call.
    #[inline]
    pub(crate) fn take_sync_error(&self) -> Result<(), StoreError> {
        if self.sync_failed.load(Ordering::Acquire) {
            self.sync_failed.store(false, Ordering::Release);
            if let Some(error) = self.sync_error.lock().take() {
                return Err(error);
            }
        }
        Ok(())
    }
}
