//! A disk in memory that keeps only what was synced, fails when it is told to, and stalls.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use state::{Medium, StorageBackend};

/// The disk. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct SimDisk(Arc<Shared>);

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.disk.lock().fmt(f)
    }
}

#[derive(Default)]
struct Shared {
    disk: Mutex<Disk>,
    /// A stall is over.
    bell: Condvar,
    told: Mutex<Told>,
}

/// Hears of each change just before it is made, with the number of changes before it.
type Told = Option<Box<dyn Fn(usize, &Op) + Send + Sync>>;

#[derive(Debug, Default)]
struct Disk {
    files: BTreeMap<u64, Vec<u8>>,
    names: BTreeMap<String, u64>,
    next: u64,
    log: Vec<Op>,
    /// Calls so far, reads counted.
    calls: usize,
    fault: Option<Fault>,
    /// Calls that failed.
    failed: usize,
    stalled: bool,
    stalling: usize,
    locked: bool,
    /// The folder that it is said to be.
    place: Option<PathBuf>,
}

/// Something that changes what is on the disk.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write(u64, u64, Vec<u8>),
    SetLen(u64, u64),
    Sync(u64),
    Create(String, u64),
    Rename(String, String),
    Remove(String),
    SyncNames,
}

/// What fails, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The number of the first call that fails, from 0.
    pub(crate) from: usize,
    /// How many fail from there on.
    pub(crate) count: usize,
    pub(crate) kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Anything fails.
    Eio,
    /// What makes something longer, or new, fails.
    Enospc,
    /// What changes anything fails.
    Erofs,
}

impl SimDisk {
    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.0.disk.lock().calls
    }

    /// What has changed the disk so far.
    pub(crate) fn log(&self) -> Vec<Op> {
        self.0.disk.lock().log.clone()
    }

    /// How many changes there were so far.
    pub(crate) fn len(&self) -> usize {
        self.0.disk.lock().log.len()
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.0.disk.lock().fault = fault;
    }

    /// Whether any call has failed.
    #[allow(dead_code, reason = "tests of the engine use it")]
    pub(crate) fn has_failed(&self) -> bool {
        self.0.disk.lock().failed > 0
    }

    /// Says that it is this folder, where other things may lie.
    #[allow(dead_code, reason = "tests of the engine use it")]
    pub(crate) fn place(&self, folder: PathBuf) {
        self.0.disk.lock().place = Some(folder);
    }

    /// Has this hear of each change just before it is made.
    #[allow(dead_code, reason = "tests of the engine use it")]
    pub(crate) fn tell(&self, told: impl Fn(usize, &Op) + Send + Sync + 'static) {
        *self.0.told.lock() = Some(Box::new(told));
    }

    /// From now on whoever syncs waits, until the stall is over.
    pub(crate) fn stall(&self, stalled: bool) {
        self.0.disk.lock().stalled = stalled;
        self.0.bell.notify_all();
    }

    /// Waits until somebody waits.
    pub(crate) fn await_stall(&self) {
        let mut disk = self.0.disk.lock();
        while disk.stalling == 0 {
            self.0.bell.wait(&mut disk);
        }
    }

    /// Flips a bit of a file.
    pub(crate) fn rot(&self, name: &str, at: usize, bit: u8) {
        let mut disk = self.0.disk.lock();
        let file = disk.names[name];
        let bytes = disk.files.get_mut(&file).expect("a file");
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
    }

    /// Replaces what is in a file.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.0.disk.lock();
        let file = disk.names[name];
        disk.files.insert(file, bytes);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.disk.lock().names.contains_key(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let disk = self.0.disk.lock();
        disk.files[&disk.names[name]].clone()
    }

    /// A disk of its own with the same files.
    pub(crate) fn copy(&self) -> Self {
        let (files, names) = self.content();
        Self::with(files, names)
    }

    /// Its files by number, and their numbers by name.
    pub(crate) fn content(&self) -> (BTreeMap<u64, Vec<u8>>, BTreeMap<String, u64>) {
        let disk = self.0.disk.lock();
        (disk.files.clone(), disk.names.clone())
    }

    pub(crate) fn with(files: BTreeMap<u64, Vec<u8>>, names: BTreeMap<String, u64>) -> Self {
        let next = files.keys().last().map_or(0, |last| last + 1);
        let disk = Disk {
            files,
            names,
            next,
            ..Disk::default()
        };
        Self(Arc::new(Shared {
            disk: Mutex::new(disk),
            ..Shared::default()
        }))
    }

    fn call(&self, file: Option<u64>, op: Option<Op>) -> io::Result<()> {
        let mut disk = self.0.disk.lock();
        let number = disk.calls;
        disk.calls += 1;
        if let Some(fault) = disk.fault
            && (fault.from..fault.from.saturating_add(fault.count)).contains(&number)
            && fault.kind.concerns(op.as_ref(), &disk, file)
        {
            disk.failed += 1;
            return Err(fault.kind.error());
        }
        if matches!(op, Some(Op::Sync(_))) && disk.stalled {
            disk.stalling += 1;
            self.0.bell.notify_all();
            while disk.stalled {
                self.0.bell.wait(&mut disk);
            }
            disk.stalling -= 1;
        }
        if let Some(op) = op {
            if let Some(told) = &*self.0.told.lock() {
                told(disk.log.len(), &op);
            }
            apply(&mut disk, &op);
            disk.log.push(op);
        }
        Ok(())
    }

    fn file(&self, file: u64) -> Box<dyn StorageBackend> {
        Box::new(SimFile {
            disk: self.clone(),
            file,
        })
    }
}

impl FaultKind {
    fn concerns(self, op: Option<&Op>, disk: &Disk, file: Option<u64>) -> bool {
        let len = file
            .and_then(|file| disk.files.get(&file))
            .map_or(0, Vec::len) as u64;
        match (self, op) {
            (Self::Erofs, op) => op.is_some_and(|op| !matches!(op, Op::Sync(_) | Op::SyncNames)),
            (Self::Eio, _) | (Self::Enospc, Some(Op::Write(..) | Op::Create(..))) => true,
            (Self::Enospc, Some(Op::SetLen(_, new))) => *new > len,
            (Self::Enospc, _) => false,
        }
    }

    fn error(self) -> io::Error {
        match self {
            Self::Eio => io::Error::from_raw_os_error(5),
            Self::Enospc => io::ErrorKind::StorageFull.into(),
            Self::Erofs => io::ErrorKind::ReadOnlyFilesystem.into(),
        }
    }
}

fn apply(disk: &mut Disk, op: &Op) {
    match op {
        Op::Write(..) | Op::SetLen(..) => change(&mut disk.files, op),
        Op::Create(name, file) => {
            disk.files.insert(*file, Vec::new());
            disk.names.insert(name.clone(), *file);
        }
        Op::Rename(..) | Op::Remove(_) => rename(&mut disk.names, op),
        Op::Sync(_) | Op::SyncNames => {}
    }
}

pub(crate) fn change(files: &mut BTreeMap<u64, Vec<u8>>, op: &Op) {
    match op {
        Op::Write(file, at, bytes) => {
            let content = files.entry(*file).or_default();
            let (at, end) = (*at as usize, *at as usize + bytes.len());
            if content.len() < end {
                content.resize(end, 0);
            }
            content[at..end].copy_from_slice(bytes);
        }
        Op::SetLen(file, len) => files.entry(*file).or_default().resize(*len as usize, 0),
        Op::Sync(_) | Op::Create(..) | Op::Rename(..) | Op::Remove(_) | Op::SyncNames => {}
    }
}

pub(crate) fn rename(names: &mut BTreeMap<String, u64>, op: &Op) {
    match op {
        Op::Create(name, file) => {
            names.insert(name.clone(), *file);
        }
        Op::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Op::Remove(name) => {
            names.remove(name);
        }
        Op::Write(..) | Op::SetLen(..) | Op::Sync(_) | Op::SyncNames => {}
    }
}

impl Medium for SimDisk {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageBackend>>> {
        self.call(None, None)?;
        let file = self.0.disk.lock().names.get(name).copied();
        Ok(file.map(|file| self.file(file)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let file = {
            let mut disk = self.0.disk.lock();
            disk.next += 1;
            disk.next
        };
        self.call(None, Some(Op::Create(name.to_owned(), file)))?;
        Ok(self.file(file))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.call(None, None)?;
        let disk = self.0.disk.lock();
        let file = disk.names.get(name).and_then(|file| disk.files.get(file));
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        Ok(file.len() as u64)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if !self.has(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.call(None, Some(Op::Rename(from.to_owned(), to.to_owned())))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if !self.has(name) {
            return Ok(());
        }
        self.call(None, Some(Op::Remove(name.to_owned())))
    }

    fn sync(&self) -> io::Result<()> {
        self.call(None, Some(Op::SyncNames))
    }

    fn lock(&self) -> io::Result<Option<Box<dyn fmt::Debug + Send + Sync>>> {
        let mut disk = self.0.disk.lock();
        if disk.locked {
            return Ok(None);
        }
        disk.locked = true;
        Ok(Some(Box::new(Lock(self.clone()))))
    }

    fn path(&self, name: &str) -> PathBuf {
        let place = self.0.disk.lock().place.clone();
        place.unwrap_or_else(|| "/sim".into()).join(name)
    }
}

#[derive(Debug)]
struct Lock(SimDisk);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.0.disk.lock().locked = false;
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: u64,
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.call(Some(self.file), None)?;
        let disk = self.disk.0.disk.lock();
        Ok(disk.files[&self.file].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.call(Some(self.file), None)?;
        let disk = self.disk.0.disk.lock();
        let at = offset as usize;
        let bytes = disk.files[&self.file].get(at..at + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk
            .call(Some(self.file), Some(Op::SetLen(self.file, len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.call(Some(self.file), Some(Op::Sync(self.file)))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let op = Op::Write(self.file, offset, data.to_vec());
        self.disk.call(Some(self.file), Some(op))
    }
}
