//! The write path: chunks of blocks to positioned vectored writes.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Cause, Op, StoreError};
use crate::inner::{FINISH, Inner, START};
use crate::platform;
use crate::spec::WriteMode;
use crate::watch::Call;

/// Bytes that belong at an offset of the torrent: a block, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// First byte, counted from the start of the torrent.
    pub offset: u64,
    /// The bytes.
    pub data: &'a [u8],
}

/// Slices that go into one system call. The gathering array lies on the stack, so a write allocates nothing.
const GATHER: usize = 64;

/// Neighbouring slices bound for one place in one file.
struct Run<'a> {
    file: u32,
    at: u64,
    len: u64,
    slices: [IoSlice<'a>; GATHER],
    used: usize,
}

impl Inner {
    pub(crate) fn write(self: &Arc<Self>, chunks: &[Chunk<'_>]) -> Result<(), StoreError> {
        self.take_sync_error()?;
        let _settled = self.places.read_recursive();
        let mut run = Run {
            file: u32::MAX,
            at: 0,
            len: 0,
            slices: [IoSlice::new(&[]); GATHER],
            used: 0,
        };
        for chunk in chunks {
            let len = chunk.data.len() as u64;
            if !self.layout.contains(chunk.offset, len) {
                return Err(StoreError::new(Op::Write, &self.root, Cause::OutOfRange));
            }
            let mut data = chunk.data;
            for segment in self.layout.segments(chunk.offset, len) {
                let (bytes, rest) = data.split_at(segment.len as usize);
                data = rest;
                let Some((file, at)) = self.locate(segment) else {
                    continue;
                };
                if run.file != file || run.at + run.len != at || run.used == GATHER {
                    self.write_run(&mut run)?;
                    (run.file, run.at, run.len, run.used) = (file, at, 0, 0);
                }
                run.slices[run.used] = IoSlice::new(bytes);
                run.used += 1;
                run.len += segment.len;
            }
        }
        self.write_run(&mut run)
    }

    fn write_run(self: &Arc<Self>, run: &mut Run<'_>) -> Result<(), StoreError> {
        if run.used == 0 {
            return Ok(());
        }
        let since = Instant::now();
        let slices = &mut run.slices[..run.used];
        if self.options.write == WriteMode::Map && run.file != self.part() {
            self.copy_run(run.file, run.at, slices)?;
        } else {
            self.pwrite_run(run.file, run.at, slices)?;
        }
        self.options.budget.0.tally.wrote(since);
        self.options.budget.0.wrote(self, run.file, run.len);
        Ok(())
    }

    fn pwrite_run(
        self: &Arc<Self>,
        file: u32,
        at: u64,
        slices: &mut [IoSlice<'_>],
    ) -> Result<(), StoreError> {
        let open = self.writer(file)?;
        let len = slices.iter().map(|slice| slice.len() as u64).sum();
        let asked = self.may(Call::Write, file);
        asked.map_err(|cause| self.error(Op::Write, file, cause))?;
        open.reserved.before_write(&open.file, at, len);
        platform::write_all_at(&open.file, slices, at)
            .map_err(|cause| self.error(Op::Write, file, cause))
    }

    /// Copies into the map; what the map can't take is written.
    fn copy_run(
        self: &Arc<Self>,
        file: u32,
        mut at: u64,
        slices: &[IoSlice<'_>],
    ) -> Result<(), StoreError> {
        for slice in slices {
            let mut data: &[u8] = slice;
            while !data.is_empty() {
                let window = self.window(file, (at, 1), true)?;
                let len = if let Some(window) = &window {
                    let from = (at - window.start()) as usize;
                    let len = data.len().min(window.len() - from);
                    if !window.copy_in(from, &data[..len]) {
                        // The page could not be had; a write says why.
                        self.pwrite_run(file, at, &mut [IoSlice::new(&data[..len])])?;
                    }
                    len
                } else {
                    self.pwrite_run(file, at, &mut [IoSlice::new(data)])?;
                    data.len()
                };
                at += len as u64;
                data = &data[len..];
            }
        }
        Ok(())
    }

    /// Brings every written byte to the disk.
    pub(crate) fn flush(self: &Arc<Self>) -> Result<(), StoreError> {
        self.bring(&self.unsynced_files().collect::<Vec<_>>())
    }

    /// Brings files to the disk.
    pub(crate) fn bring(self: &Arc<Self>, files: &[u32]) -> Result<(), StoreError> {
        let mut first = self.take_sync_error();
        // All at once first, so that the disk can order the work.
        for file in files {
            self.sync_step(*file, START);
        }
        for file in files {
            self.take_unsynced(*file);
            self.sync_step(*file, FINISH);
        }
        if first.is_ok() {
            first = self.take_sync_error();
        }
        first
    }
}
