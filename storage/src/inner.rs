//! The shared state of a store: file slots and window cache.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use protocol::geometry::Geometry;

use crate::active::Registry;
use crate::budget::{OpenTicket, WindowKey};
use crate::error::{Cause, Op, StoreError};
use crate::layout::{FileKind, Layout, Segment};
use crate::map::Window;
use crate::platform::{self, Access, Root, Stat};
use crate::reserve::Reserved;
use crate::spec::{PieceHashes, Preallocate, StoreOptions, WriteMode};
use crate::watch::Call;

mod unsynced;
mod windows;

pub(crate) use unsynced::{AWAIT, FINISH, START};

/// What clones of a store share. Files are named by their index in the layout; one index more names the part file.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    pub(crate) layout: Layout,
    pub(crate) geometry: Geometry,
    pub(crate) hashes: PieceHashes,
    pub(crate) options: StoreOptions,
    pub(crate) active: Arc<Registry>,
    part_file: Arc<Path>,
    /// The device that the folder lies on, once it was there.
    device: OnceLock<u64>,
    slots: Box<[Slot]>,
    windows: [Mutex<BTreeMap<WindowKey, Arc<Window>>>; SHARDS],
    /// See [`Store::anchor`](crate::Store::anchor).
    pub(crate) anchored: AtomicBool,
    sync_failed: AtomicBool,
    sync_error: Mutex<Option<StoreError>>,
    /// Held shared by whoever finds out where bytes lie for as long as they rely on it, and alone by whoever changes that.
    pub(crate) places: RwLock<()>,
}

#[derive(Debug, Default)]
struct Slot {
    open: RwLock<Option<Arc<OpenFile>>>,
    dirty: AtomicU64,
    flags: AtomicU8,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: File,
    writable: bool,
    /// Whether its file system works by page; looked up when asked for.
    paged: OnceLock<bool>,
    /// What has been reserved of a sparse file.
    pub(crate) reserved: Reserved,
    used: AtomicBool,
    _ticket: OpenTicket,
}

/// Locks of the window cache; more than the threads that look at it at once.
const SHARDS: usize = 16;
/// Slot flag: the file has its full length (and room, where asked for).
const PREPARED: u8 = 1;
/// Slot flag: bytes of the file go to the part file.
const IN_PART: u8 = 2;
/// Slot flag: the user wants the file.
const WANTED: u8 = 4;
/// Slot flag: bytes were written that have not reached the disk for sure.
const UNSYNCED: u8 = 8;
/// Slot flag: the file's name has reached the disk.
const NAMED: u8 = 16;

impl Inner {
    pub(crate) fn new(
        root: PathBuf,
        layout: Layout,
        geometry: Geometry,
        hashes: PieceHashes,
        (part_file, options): (String, StoreOptions),
    ) -> Self {
        Self {
            root,
            geometry,
            hashes,
            active: Arc::new(Registry::new(Arc::clone(&options.budget.0.tally))),
            options,
            part_file: Path::new(&part_file).into(),
            device: OnceLock::new(),
            slots: (0..=layout.files().len())
                .map(|_| Slot::default())
                .collect(),
            windows: Default::default(),
            anchored: AtomicBool::new(false),
            sync_failed: AtomicBool::new(false),
            sync_error: Mutex::default(),
            places: RwLock::default(),
            layout,
        }
    }

    /// The same content in another folder, with the same files in the part file.
    pub(crate) fn elsewhere(&self, root: PathBuf) -> Self {
        let options = StoreOptions {
            follow_links: false,
            ..self.options.clone()
        };
        let part_file = self.part_file.to_string_lossy().into_owned();
        let elsewhere = Self::new(
            root,
            self.layout.clone(),
            self.geometry,
            self.hashes.clone(),
            (part_file, options),
        );
        for file in 0..self.part() {
            elsewhere.set_in_part(file, self.in_part(file));
            elsewhere.note_wanted(file, self.is_wanted(file));
        }
        elsewhere
    }

    /// The index of the part file.
    pub(crate) fn part(&self) -> u32 {
        self.layout.files().len() as u32
    }

    /// A file's path below the root.
    pub(crate) fn relative(&self, file: u32) -> Arc<Path> {
        match self.layout.files().get(file as usize) {
            Some(meta) => meta.path(),
            None => Arc::clone(&self.part_file),
        }
    }

    /// Asks whoever watches about a call on a file.
    #[inline]
    pub(crate) fn may(&self, call: Call, file: u32) -> Result<(), Cause> {
        if self.options.watch.is_somebody() {
            self.options
                .watch
                .may(call, &self.root.join(self.relative(file)))
        } else {
            Ok(())
        }
    }

    /// An error about a file.
    pub(crate) fn error(&self, op: Op, file: u32, cause: impl Into<Cause>) -> StoreError {
        StoreError::new(op, &self.root.join(self.relative(file)), cause)
    }

    /// Where a segment lies on disk: the file and the offset in it; `None` for padding.
    pub(crate) fn locate(&self, segment: Segment) -> Option<(u32, u64)> {
        if matches!(self.layout.file(segment.file).kind, FileKind::Pad) {
            None
        } else if self.in_part(segment.file) {
            // The part file has the torrent's own offsets; what it lacks is a hole.
            Some((self.part(), self.layout.start(segment.file) + segment.at))
        } else {
            Some((segment.file, segment.at))
        }
    }

    /// Whether bytes of the file go to the part file.
    pub(crate) fn in_part(&self, file: u32) -> bool {
        self.slots[file as usize].flags.load(Ordering::Acquire) & IN_PART != 0
    }

    pub(crate) fn set_in_part(&self, file: u32, yes: bool) {
        self.flag(file, IN_PART, yes);
    }

    /// Whether the user wants the file.
    pub(crate) fn is_wanted(&self, file: u32) -> bool {
        self.slots[file as usize].flags.load(Ordering::Acquire) & WANTED != 0
    }

    pub(crate) fn note_wanted(&self, file: u32, yes: bool) {
        self.flag(file, WANTED, yes);
    }

    fn flag(&self, file: u32, flag: u8, yes: bool) {
        let flags = &self.slots[file as usize].flags;
        if yes {
            flags.fetch_or(flag, Ordering::AcqRel);
        } else {
            flags.fetch_and(!flag, Ordering::AcqRel);
        }
    }

    /// The device that the folder lies on, once it was there.
    pub(crate) fn device(&self) -> Option<u64> {
        self.device.get().copied()
    }

    pub(crate) fn open_root(&self, create: bool) -> Result<Root, Cause> {
        // A folder that was there and is gone was not removed to be made again: its disk may have been unmounted.
        let create = create && self.device.get().is_none();
        let root = Root::open(&self.root, create, &self.options.watch)?;
        let device = root.device()?;
        if *self.device.get_or_init(|| device) != device {
            return Err(Cause::OtherDevice);
        }
        Ok(if self.options.follow_links {
            root.following_links()
        } else {
            root
        })
    }

    /// The file, open to read.
    pub(crate) fn reader(self: &Arc<Self>, file: u32) -> Result<Arc<OpenFile>, StoreError> {
        self.handle(file, false)
            .map_err(|(op, cause)| self.error(op, file, cause))
    }

    /// The file, open to write; made if it is not there.
    pub(crate) fn writer(self: &Arc<Self>, file: u32) -> Result<Arc<OpenFile>, StoreError> {
        self.handle(file, true)
            .map_err(|(op, cause)| self.error(op, file, cause))
    }

    fn handle(self: &Arc<Self>, file: u32, write: bool) -> Result<Arc<OpenFile>, (Op, Cause)> {
        let op = if write { Op::Create } else { Op::Read };
        let slot = &self.slots[file as usize];
        if let Some(open) = &*slot.open.read()
            && (open.writable || !write)
        {
            open.touch();
            self.options.budget.0.tally.used_file(true);
            return Ok(Arc::clone(open));
        }
        let opened = {
            let mut place = slot.open.write();
            if let Some(open) = &*place
                && (open.writable || !write)
            {
                self.options.budget.0.tally.used_file(true);
                return Ok(Arc::clone(open));
            }
            self.options.budget.0.tally.used_file(false);
            let access = match self
                .layout
                .files()
                .get(file as usize)
                .map(|meta| &meta.kind)
            {
                _ if !write => Access::Read,
                Some(FileKind::Plain { executable }) => Access::Write {
                    executable: *executable,
                },
                _ => Access::Write { executable: false },
            };
            let open = || {
                self.open_root(write)?
                    .open_file(&self.relative(file), access)
            };
            let handle = match open() {
                Err(cause) if cause.is_out_of_descriptors() => {
                    // The rest of the program needs them as well: make do with fewer files.
                    self.options.budget.0.close_idle_files();
                    open()
                }
                other => other,
            }
            .map_err(|cause| (op, cause))?;
            if write && slot.flags.load(Ordering::Acquire) & PREPARED == 0 && file != self.part() {
                self.give_room(file, &handle)
                    .map_err(|cause| (Op::Preallocate, cause))?;
                slot.flags.fetch_or(PREPARED, Ordering::AcqRel);
            }
            let sparse = self.options.preallocate == Preallocate::Sparse
                && self.options.write == WriteMode::Pwrite;
            let reserved = if write && sparse && file != self.part() {
                Reserved::new(&handle, self.layout.file(file).len)
            } else {
                Reserved::nothing()
            };
            let open = Arc::new(OpenFile {
                reserved,
                paged: OnceLock::new(),
                file: handle,
                writable: write,
                used: AtomicBool::new(true),
                _ticket: self.options.budget.0.ticket(),
            });
            *place = Some(Arc::clone(&open));
            open
        };
        self.options.budget.0.opened(self, file);
        Ok(opened)
    }

    /// Brings a file to its length, and reserves its room if the options say so.
    fn give_room(&self, file: u32, handle: &File) -> Result<(), Cause> {
        let len = self.layout.file(file).len;
        let full =
            self.options.preallocate == Preallocate::Full || self.options.write == WriteMode::Map;
        if len > 0 && full {
            self.may(Call::Reserve, file)?;
            platform::preallocate(handle, len)?;
        }
        if Stat::of(handle)?.len != len {
            self.may(Call::Truncate, file)?;
            handle.set_len(len)?;
        }
        Ok(())
    }

    /// Closes the file unless it was used since the last call; `true` if it is closed now.
    pub(crate) fn close_if_idle(&self, file: u32) -> bool {
        let Some(mut place) = self.slots[file as usize].open.try_write() else {
            return false;
        };
        if place
            .as_ref()
            .is_some_and(|open| open.used.swap(false, Ordering::Relaxed))
        {
            return false;
        }
        *place = None;
        true
    }

    /// Forgets everything about an open file, so that the next use looks at the disk again.
    pub(crate) fn forget(&self, file: u32) {
        let slot = &self.slots[file as usize];
        let closed = slot.open.write().take();
        slot.flags.fetch_and(!(PREPARED | NAMED), Ordering::AcqRel);
        for shard in &self.windows {
            let mut shard = shard.lock();
            let dropped: Vec<_> = shard
                .extract_if((file, 0)..=(file, u32::MAX), |_, _| true)
                .collect();
            drop(shard);
            drop(dropped);
        }
        drop(closed);
    }

    /// Forgets everything about all files.
    pub(crate) fn forget_all(&self) {
        for shard in &self.windows {
            let dropped = std::mem::take(&mut *shard.lock());
            drop(dropped);
        }
        for slot in &self.slots {
            let closed = slot.open.write().take();
            drop(closed);
            slot.flags.fetch_and(!(PREPARED | NAMED), Ordering::AcqRel);
        }
    }

    /// The file if it is open.
    pub(crate) fn opened(&self, file: u32) -> Option<Arc<OpenFile>> {
        self.slots[file as usize].open.read().clone()
    }

    /// Whether the file is open.
    pub(crate) fn is_open(&self, file: u32) -> bool {
        self.slots[file as usize].open.read().is_some()
    }

    /// Looks whether an open file is still there; forgets it if not.
    pub(crate) fn check(&self, file: u32, handle: &File) -> Result<Stat, StoreError> {
        let stat = Stat::of(handle).map_err(|cause| self.error(Op::Read, file, cause))?;
        if stat.links == 0 {
            self.forget(file);
            return Err(self.error(Op::Read, file, Cause::Unlinked));
        }
        Ok(stat)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let left = self
            .slots
            .iter_mut()
            .map(|slot| *slot.dirty.get_mut())
            .sum();
        self.options.budget.0.synced(left);
    }
}

impl OpenFile {
    /// See [`platform::is_paged`].
    pub(crate) fn is_paged(&self) -> bool {
        *self.paged.get_or_init(|| platform::is_paged(&self.file))
    }

    /// Whether it is open to be written.
    pub(crate) const fn is_writable(&self) -> bool {
        self.writable
    }

    fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}
