//! Which files are wanted, and the part file that takes what must be kept of the others.
//!
//! A piece that reaches into an unwanted file can only be checked whole, so the unwanted bytes are kept too: in a sparse
//! hidden file that has the torrent's own offsets.

use std::io::IoSlice;
use std::sync::Arc;

use crate::error::{Cause, ErrorKind, Op, StoreError};
use crate::inner::Inner;
use crate::layout::FileKind;
use crate::platform;
use crate::watch::Call;

/// Bytes that are copied at a time.
const COPY: u64 = 256 * 1024;

impl Inner {
    pub(crate) fn set_wanted(self: &Arc<Self>, file: u32, wanted: bool) -> Result<(), StoreError> {
        let Some(meta) = self.layout.files().get(file as usize) else {
            return Err(StoreError::new(Op::Open, &self.root, Cause::OutOfRange));
        };
        let _alone = self.places.write();
        if !matches!(meta.kind, FileKind::Plain { .. }) || self.in_part(file) != wanted {
            self.note_wanted(file, wanted);
            return Ok(());
        }
        if wanted {
            self.take_over(file, meta.len)?;
            self.set_in_part(file, false);
            if (0..self.part()).all(|file| !self.in_part(file)) {
                self.drop_part();
            }
        } else {
            let there = self
                .open_root(false)
                .is_ok_and(|root| root.stat(&meta.path()).is_ok());
            self.set_in_part(file, !there);
        }
        self.note_wanted(file, wanted);
        Ok(())
    }

    /// Takes over from the part file what wanted files that are not there have in it.
    pub(crate) fn reclaim(self: &Arc<Self>) -> Result<(), StoreError> {
        let Ok(root) = self.open_root(false) else {
            return Ok(());
        };
        if root.stat(&self.relative(self.part())).is_err() {
            return Ok(());
        }
        let _alone = self.places.write();
        for (file, meta) in (0..).zip(self.layout.files()) {
            let plain = matches!(meta.kind, FileKind::Plain { .. }) && !self.in_part(file);
            if plain && meta.len > 0 && root.stat(&meta.path()).is_err() {
                self.take_over(file, meta.len)?;
            }
        }
        if (0..self.part()).all(|file| !self.in_part(file)) {
            self.drop_part();
        }
        Ok(())
    }

    /// Copies a file's bytes out of the part file.
    fn take_over(self: &Arc<Self>, file: u32, len: u64) -> Result<(), StoreError> {
        let part = match self.reader(self.part()) {
            Err(error) if error.kind() == ErrorKind::Vanished => return Ok(()),
            other => other?,
        };
        let end_of_part = self.check(self.part(), &part.file)?.len;
        let start = self.layout.start(file);
        let end = (start + len).min(end_of_part);
        let mut at = start;
        let mut buffer = Vec::new();
        while let Some(data) = platform::next_data(&part.file, at).filter(|data| *data < end) {
            buffer.resize(COPY.min(end - data) as usize, 0);
            let asked = self.may(Call::Read, self.part());
            asked
                .and_then(|()| platform::read_exact_at(&part.file, &mut buffer, data))
                .map_err(|cause| self.error(Op::Read, self.part(), cause))?;
            let open = self.writer(file)?;
            let slices = &mut [IoSlice::new(&buffer)];
            let asked = self.may(Call::Write, file);
            asked
                .and_then(|()| platform::write_all_at(&open.file, slices, data - start))
                .map_err(|cause| self.error(Op::Write, file, cause))?;
            self.options.budget.0.wrote(self, file, buffer.len() as u64);
            at = data + buffer.len() as u64;
        }
        Ok(())
    }

    /// Removes the part file, which holds nothing that is needed any more.
    fn drop_part(&self) {
        self.forget(self.part());
        self.options.budget.0.synced(self.take_dirty(self.part()));
        if let Ok(root) = self.open_root(false)
            && let Err(cause) = root.remove(&self.relative(self.part()))
        {
            tracing::debug!(%cause, "the part file stays");
        }
    }
}
