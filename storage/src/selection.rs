//! Which files are wanted, and the part file that takes what must be kept of the others.
//!
//! A piece that reaches into an unwanted file can only be checked whole, so the unwanted bytes are kept too: in a sparse
//! hidden file that has the torrent's own offsets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Cause, ErrorKind, Op, StoreError};
use crate::inner::{Inner, OpenFile};
use crate::layout::FileKind;
use crate::platform::{self, Access, Root};
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
        self.remove_taken(&root)?;
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

    /// Copies a file's bytes out of the part file. Where the file is not there, it comes into being with all of them at once, on the
    /// disk: who finds it does not look into the part file any more.
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
        let mut taking = None;
        while let Some(data) = platform::next_data(&part.file, at).filter(|data| *data < end) {
            buffer.resize(COPY.min(end - data) as usize, 0);
            self.options.budget.0.tally.read();
            let asked = self.may(Call::Read, self.part());
            asked
                .and_then(|()| platform::read_exact_at(&part.file, &mut buffer, data))
                .map_err(|cause| self.error(Op::Read, self.part(), cause))?;
            let taking = match &taking {
                Some(taking) => taking,
                None => taking.insert(Taking::begin(self, file)?),
            };
            taking.write(&buffer, data - start)?;
            at = data + buffer.len() as u64;
        }
        taking.map_or(Ok(()), |taking| taking.finish(len))
    }

    /// Removes what files have been taken over into when the process was killed.
    pub(crate) fn remove_taken(&self, root: &Root) -> Result<(), StoreError> {
        let files = (0..).zip(self.layout.files());
        let plain = files.filter(|(_, meta)| matches!(meta.kind, FileKind::Plain { .. }));
        let folders: BTreeMap<PathBuf, u32> = plain
            .map(|(file, _)| (self.taken_path(file), file))
            .collect();
        for (path, file) in folders {
            if root.stat(&path).is_ok() {
                root.remove(&path)
                    .map_err(|cause| self.error(Op::Remove, file, cause))?;
            }
        }
        Ok(())
    }

    /// What a file is made of that is taken over: a hidden file beside it.
    fn taken_path(&self, file: u32) -> PathBuf {
        let mut name = self.relative(self.part()).as_os_str().to_owned();
        name.push(".new");
        self.relative(file).with_file_name(name)
    }

    /// Removes the part file, which holds nothing that is needed any more.
    fn drop_part(&self) {
        self.forget(self.part());
        self.take_unsynced(self.part());
        if let Ok(root) = self.open_root(false)
            && let Err(cause) = root.remove(&self.relative(self.part()))
        {
            tracing::debug!(%cause, "the part file stays");
        }
    }
}

/// A file that is being made of its bytes in the part file.
struct Taking<'a> {
    store: &'a Arc<Inner>,
    file: u32,
    to: Target,
    done: bool,
}

/// Where they go.
enum Target {
    /// A hidden file, which gets the name when it is whole.
    New(Root, PathBuf, File),
    /// The file, which somebody else has made meanwhile.
    There(Arc<OpenFile>),
}

impl<'a> Taking<'a> {
    fn begin(store: &'a Arc<Inner>, file: u32) -> Result<Self, StoreError> {
        let fail = |cause| store.error(Op::Create, file, cause);
        let root = store.open_root(true).map_err(fail)?;
        let meta = store.layout.file(file);
        let to = if root.stat(&meta.path()).is_ok() {
            Target::There(store.writer(file)?)
        } else {
            let path = store.taken_path(file);
            let executable = matches!(meta.kind, FileKind::Plain { executable: true });
            let made = root
                .remove(&path)
                .and_then(|()| root.open_file(&path, Access::Write { executable }));
            let made = made.map_err(fail)?;
            Target::New(root, path, made)
        };
        Ok(Self {
            store,
            file,
            to,
            done: false,
        })
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), StoreError> {
        let slices = &mut [IoSlice::new(bytes)];
        let store = self.store;
        let budget = &store.options.budget.0;
        let since = Instant::now();
        let written = match &self.to {
            Target::New(_, path, made) => {
                let asked = store.options.watch.may(Call::Write, &store.root.join(path));
                asked.and_then(|()| platform::write_all_at(made, slices, at))
            }
            Target::There(open) => {
                let asked = store.may(Call::Write, self.file);
                asked.and_then(|()| platform::write_all_at(&open.file, slices, at))
            }
        };
        written.map_err(|cause| store.error(Op::Write, self.file, cause))?;
        budget.tally.wrote(since);
        if matches!(self.to, Target::There(_)) {
            budget.wrote(store, self.file, bytes.len() as u64);
        }
        Ok(())
    }

    /// Has the file be there, `len` bytes long.
    fn finish(mut self, len: u64) -> Result<(), StoreError> {
        let Target::New(root, path, made) = &self.to else {
            return Ok(());
        };
        let store = self.store;
        let whole = store.root.join(path);
        let watch = &store.options.watch;
        let name = store.relative(self.file);
        let cut = watch.may(Call::Truncate, &whole);
        cut.and_then(|()| Ok(made.set_len(len)?))
            .and_then(|()| watch.may(Call::Sync, &whole))
            .and_then(|()| Ok(made.sync_data()?))
            .and_then(|()| root.rename(path, &name))
            .and_then(|()| root.sync_folders(&name))
            .map_err(|cause| store.error(Op::Create, self.file, cause))?;
        store.note_named(self.file);
        self.done = true;
        Ok(())
    }
}

impl Drop for Taking<'_> {
    /// Nothing is left of what did not come about.
    fn drop(&mut self) {
        if let (Target::New(root, path, _), false) = (&self.to, self.done)
            && let Err(cause) = root.remove(path)
        {
            tracing::debug!(%cause, "a hidden file stays until the torrent is opened again");
        }
    }
}
