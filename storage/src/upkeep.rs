//! What a store is asked about its files as files: whether there are any, whether they can be written.

use std::fs;
use std::io::IoSlice;
use std::path::Path;

use crate::error::Cause;
use crate::layout::FileKind;
use crate::platform::{self, write_all_at};
use crate::relocate::nearest;
use crate::{Call, Op, Store, StoreError};

/// Bytes that [`Store::probe_room`] writes: enough for the blocks of several peers, so that a disk that passes can be used.
const PROBE_LEN: usize = 1 << 20;

/// Messages that fill the lanes of one hash call on this machine; [`Store::verify`] is cheapest with so many pieces.
pub fn hash_lanes() -> usize {
    hash::lanes().full()
}

/// A file that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFileStatus {
    /// Its index in the specification; one past the last for the part file.
    pub file: usize,
    /// Whether it is open to be written, too.
    pub writable: bool,
    /// Whether it is mapped, in parts or whole.
    pub mapped: bool,
}

impl Store {
    /// The files that are open at this moment, in their order. Which these are changes as others need to be opened.
    pub fn open_files(&self) -> Vec<OpenFileStatus> {
        let mapped = self.0.mapped_files();
        let all = 0..=self.0.part();
        let open = all.filter_map(|file| {
            let open = self.0.opened(file);
            let mapped = mapped.contains(&file);
            (open.is_some() || mapped).then(|| OpenFileStatus {
                file: file as usize,
                writable: open.is_some_and(|open| open.is_writable()),
                mapped,
            })
        });
        open.collect()
    }

    /// Whether any file has bytes on disk already.
    pub fn has_data(&self) -> bool {
        self.has_data_at(self.root())
    }

    /// Whether any file would have bytes on disk if this were the chosen folder.
    pub fn has_data_at(&self, root: &Path) -> bool {
        self.plain_files().any(|at| {
            let path = root.join(self.0.relative(at as u32));
            fs::symlink_metadata(path).is_ok_and(|file| file.len() > 0)
        })
    }

    /// The device that the chosen folder lies on, once it was there.
    pub fn device(&self) -> Option<u64> {
        self.0.device()
    }

    /// Whether content that was there may have been removed on purpose, where none of it is there now: not so if the folder is
    /// gone, empty, or on another device than `device`, as a folder is whose disk was unmounted. Fine where any file has
    /// bytes.
    ///
    /// # Errors
    /// [`Vanished`](crate::ErrorKind::Vanished): the content has to be looked for.
    pub fn find(&self, device: Option<u64>) -> Result<(), StoreError> {
        if self.has_data() {
            return Ok(());
        }
        let fail = |cause| StoreError::new(Op::Find, self.root(), cause);
        let here = match self.0.open_root(false) {
            Err(cause) if cause.is_not_found() => return Err(fail(Cause::NoFolder)),
            here => here.and_then(|root| root.device()).map_err(fail)?,
        };
        if device.is_some_and(|device| device != here) {
            return Err(fail(Cause::OtherDevice));
        }
        let mut entries = fs::read_dir(self.root()).map_err(|error| fail(error.into()))?;
        if entries.next().is_none() {
            return Err(fail(Cause::EmptyFolder));
        }
        Ok(())
    }

    /// By what the file system of the chosen folder is known again, or where that is not there, of the first folder above it that is.
    pub fn file_system(&self) -> Option<u64> {
        platform::file_system(&nearest(self.root())).ok()
    }

    /// As [`find`](Self::find), for content that lay on a [file system](Self::file_system) when its folder was last seen: where the
    /// folder lies on the same one now, its content was removed on purpose.
    ///
    /// # Errors
    /// As there.
    pub fn find_on(&self, file_system: u64) -> Result<(), StoreError> {
        let elsewhere = self.file_system().is_some_and(|here| here != file_system);
        if elsewhere && !self.has_data() {
            return Err(StoreError::new(Op::Find, self.root(), Cause::OtherDevice));
        }
        Ok(())
    }

    /// The files that are there and have bytes, but not as many as they should: their indices, and the bytes they have.
    pub fn odd_sizes(&self) -> Vec<(usize, u64)> {
        let own = |at: &usize| !self.0.in_part(*at as u32);
        let files = self.plain_files().filter(own).filter_map(|at| {
            let file = fs::symlink_metadata(self.path_of(at)).ok()?;
            let odd = file.is_file() && ![0, self.0.layout.files()[at].len].contains(&file.len());
            odd.then_some((at, file.len()))
        });
        files.collect()
    }

    /// Cuts off what files have beyond their length.
    ///
    /// # Errors
    /// Names the first file that can't be cut.
    pub fn cut_to_size(&self) -> Result<(), StoreError> {
        for (at, len) in self.odd_sizes() {
            if len > self.0.layout.files()[at].len {
                // Opening it to be written brings it to its length.
                self.0.writer(at as u32)?;
            }
        }
        Ok(())
    }

    /// Whether the files that hold a range of the torrent are there and reach to its end. What they hold is not read.
    pub fn has_bytes(&self, offset: u64, len: u32) -> bool {
        let len = u64::from(len);
        self.0.layout.contains(offset, len) && self.0.check_files(offset, len).is_ok()
    }

    /// Whether the folder takes a megabyte more: writes it to a file without a name, which is gone when it is closed.
    ///
    /// # Errors
    /// What is in the way, with the name of the folder.
    pub fn probe_room(&self) -> Result<(), StoreError> {
        let fail = |op| move |cause: Cause| StoreError::new(op, self.root(), cause);
        // Makes it, unless it was there and is gone.
        let root = self.0.open_root(true).map_err(fail(Op::Create))?;
        let file = root.open_unnamed().map_err(fail(Op::Write))?;
        let watch = &self.0.options.watch;
        let written = watch.may(Call::Write, self.root()).and_then(|()| {
            let zeros = vec![0; PROBE_LEN];
            write_all_at(&file, &mut [IoSlice::new(&zeros)], 0)
        });
        written.map_err(fail(Op::Write))
    }

    /// Whether files can be read to their end: looks at the last byte of each that `wanted` names by its index.
    ///
    /// # Errors
    /// Names the first file that is missing, too short or can't be read.
    pub fn probe_files(&self, wanted: impl Fn(usize) -> bool) -> Result<(), StoreError> {
        let inner = &self.0;
        for at in self.plain_files().filter(|at| wanted(*at)) {
            let len = inner.layout.files()[at].len;
            let last = inner.layout.start(at as u32) + len - 1;
            self.read(last, &mut [0])?;
        }
        Ok(())
    }

    /// Indices of the files that have bytes.
    fn plain_files(&self) -> impl Iterator<Item = usize> + '_ {
        let files = self.0.layout.files().iter().enumerate();
        files
            .filter(|(_, meta)| matches!(meta.kind, FileKind::Plain { .. }) && meta.len > 0)
            .map(|(at, _)| at)
    }
}
