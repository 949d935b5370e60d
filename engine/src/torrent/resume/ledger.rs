//! Where the progress of a torrent is kept: in a file of its own, or in the store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use protocol::bitfield::Bitfield;
use protocol::id::InfoHash;
use state::{Batch, Keeper, Progress, TorrentKey};
use storage::resume::{BlockBits, FileStamp, Record};
use storage::{Call, Store};

use crate::Rejection;
use crate::memory::Trouble;
use crate::state_file;
use crate::torrent::resume::ground::Ground;
use crate::torrent::resume::{Known, Partials, Vouched};

/// Where Linux tells which start of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where the progress of a torrent is kept.
#[derive(Clone, Debug)]
pub(crate) enum Ledger {
    /// In this file, of the torrent with this hash.
    File(PathBuf, InfoHash),
    /// In the store, under this number.
    Store(Arc<Keeper>, TorrentKey),
}

/// What is kept of a torrent's content.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) have: Bitfield,
    pub(crate) partial: Partials,
    /// Nothing is at work on the files.
    pub(crate) clean: bool,
    /// Every byte has reached the disk.
    pub(crate) synced: bool,
    /// Which files are wanted; `None` for all.
    pub(crate) wanted: Option<Vec<usize>>,
}

impl Ledger {
    /// Whether it is a store.
    pub(super) const fn is_store(&self) -> bool {
        matches!(self, Self::Store(..))
    }

    /// Keeps what a torrent has, with its files as they are now. A store takes it at once, and has it on the disk a little later.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(super) fn save(&self, store: &Store, entry: Entry) -> Result<(), Trouble> {
        match self {
            Self::File(path, hash) => {
                save_file(store, *hash, entry, path).map_err(|error| Trouble {
                    path: path.clone(),
                    reason: error.to_string(),
                })
            }
            Self::Store(keeper, key) => {
                if (entry.have.count() > 0 || !entry.partial.is_empty())
                    && let Err(error) = store.anchor()
                {
                    tracing::warn!(%error, "the folder of the content may be gone after a power cut");
                }
                let start = if entry.synced {
                    Vec::new()
                } else {
                    start_of_machine().unwrap_or(UNKNOWN).to_vec()
                };
                let partial = entry.partial.iter();
                let progress = Progress {
                    have: entry.have,
                    partial: partial
                        .map(|(piece, bits)| (*piece, bits.to_bitfield()))
                        .collect(),
                    files: store.stamps().into_iter().map(kept).collect(),
                    clean: entry.clean,
                    start,
                    wanted: entry.wanted.map(numbers),
                };
                let mut batch = Batch::new();
                batch.progress(*key, progress);
                let offered = keeper.offer(batch);
                offered.map_err(|error| Trouble::of(keeper, &error))
            }
        }
    }

    /// What it vouches for of the files of a store.
    pub(in crate::torrent) fn load(&self, store: &Store, wanted: Option<&[usize]>) -> Known {
        match self {
            Self::File(path, _) => load_file(store, path, wanted),
            Self::Store(keeper, key) => match keeper.progress(*key) {
                Ok(Some(progress)) => vouched(store, progress, wanted),
                Ok(None) => Known::default(),
                Err(error) => {
                    tracing::warn!(torrent = %key, %error, "progress cannot be read: everything is checked");
                    Known::rejected(Rejection::Unreadable)
                }
            },
        }
    }

    /// The pieces that were there when that was noted last, whatever has become of them.
    pub(in crate::torrent) fn have(&self) -> Option<Bitfield> {
        match self {
            Self::File(path, _) => Record::load(path).ok().flatten().map(|it| it.have),
            Self::Store(keeper, key) => keeper.progress(*key).ok().flatten().map(|it| it.have),
        }
    }

    /// Where a file says that content was, if there was any.
    pub(in crate::torrent) fn ground(&self) -> Option<Ground> {
        let Self::File(path, _) = self else {
            return None;
        };
        let record = Record::load(path).ok().flatten()?;
        let held = record.have.count() > 0 || !record.partial.is_empty();
        Ground::split(&record.extra).1.filter(|_| held)
    }

    /// Forgets it: nothing is vouched for any more.
    pub(super) fn forget(&self) {
        match self {
            Self::File(path, _) => {
                if let Err(error) = fs::remove_file(path)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!(path = %path.display(), %error, "resume data could not be removed");
                }
            }
            Self::Store(keeper, key) => {
                let nothing = Progress {
                    have: Bitfield::new(0),
                    partial: std::collections::BTreeMap::new(),
                    files: Vec::new(),
                    clean: false,
                    start: UNKNOWN.to_vec(),
                    wanted: None,
                };
                let mut batch = Batch::new();
                batch.progress(*key, nothing);
                if let Err(error) = keeper.offer(batch) {
                    tracing::warn!(torrent = %key, %error, "progress could not be forgotten");
                }
            }
        }
    }
}

/// What stands for a start of the machine that is not known, and so is never the same.
const UNKNOWN: &[u8] = b"unknown";

/// Which start of the machine this is; `None` where the system does not tell.
fn start_of_machine() -> Option<&'static [u8]> {
    static START: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    START.get_or_init(|| fs::read(BOOT_ID).ok()).as_deref()
}

/// The numbers of files, in ascending order.
fn numbers(mut files: Vec<usize>) -> Vec<u32> {
    files.sort_unstable();
    files.dedup();
    files
        .into_iter()
        .filter_map(|file| file.try_into().ok())
        .collect()
}

const fn kept(stamp: FileStamp) -> state::FileStamp {
    state::FileStamp {
        len: stamp.len,
        mtime: stamp.mtime,
    }
}

/// What a record of the store vouches for: the pieces, if nothing was at work on the files, they are as they were, and what was
/// written has reached the disk or the machine still runs; the blocks of others, if it still runs.
fn vouched(store: &Store, progress: Progress, wanted: Option<&[usize]>) -> Known {
    let same = progress.have.len() == store.geometry().pieces()
        && progress.wanted == wanted.map(|files| numbers(files.to_vec()));
    let there = progress.start.is_empty()
        || start_of_machine().is_some_and(|start| start == progress.start);
    if !same || !there {
        let why = if same {
            Rejection::Restarted
        } else {
            Rejection::Other
        };
        // What was forgotten vouches for nothing, and that is no fault of it.
        let forgotten = progress.start == UNKNOWN;
        return Known {
            ours: true,
            rejected: (!forgotten).then_some(why),
            ..Known::default()
        };
    }
    let files: Vec<_> = store.stamps().into_iter().map(kept).collect();
    let trusted = progress.clean && progress.files == files;
    let by = if progress.start.is_empty() {
        Vouched::Synced
    } else {
        Vouched::Started
    };
    let partial = progress.partial.iter();
    Known {
        partial: partial
            .map(|(piece, bits)| (*piece, BlockBits::from(bits)))
            .collect(),
        have: trusted.then_some(progress.have),
        ours: true,
        vouched: trusted.then_some(by),
        rejected: (!trusted).then_some(if progress.clean {
            Rejection::Changed
        } else {
            Rejection::Unfinished
        }),
        ..Known::default()
    }
}

/// What a file of resume data vouches for.
fn load_file(store: &Store, path: &Path, wanted: Option<&[usize]>) -> Known {
    let record = match Record::load(path) {
        Ok(Some(record)) => record,
        Ok(None) => return Known::default(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "resume data is of no use: everything is checked");
            return Known::rejected(Rejection::Unreadable);
        }
    };
    let (then, _) = Ground::split(&record.extra);
    let same = record.have.len() == store.geometry().pieces()
        && circumstances(wanted).is_some_and(|now| now == then);
    if !same {
        return Known::rejected(Rejection::Other);
    }
    let trusted = record.clean && record.files == store.stamps();
    Known {
        have: trusted.then_some(record.have),
        partial: record.partial,
        rejected: (!trusted).then_some(if record.clean {
            Rejection::Changed
        } else {
            Rejection::Unfinished
        }),
        ..Known::default()
    }
}

fn save_file(store: &Store, info_hash: InfoHash, entry: Entry, path: &Path) -> io::Result<()> {
    let clean = entry.clean;
    let mut extra = circumstances(entry.wanted.as_deref()).unwrap_or_default();
    Ground::append(store, &mut extra);
    let record = Record {
        info_hash,
        have: entry.have,
        partial: entry.partial,
        files: store.stamps(),
        clean,
        extra,
    };
    // Not synced: a record that a power cut damages is found out by its digest, and leads to a check.
    let new = path.with_extension("new");
    let watch = &store.options().watch;
    state_file::replace((path, &new), &record.encode(), watch, || {
        if !clean {
            return Ok(());
        }
        // Someone waits for an orderly end, and ext4 brings a file to the disk that takes the place of another, which
        // takes its time behind a fast download. A process that is killed just here finds no record: it checks what is
        // there, and fetches unfinished pieces anew.
        watch.ask(Call::Remove, path)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    })
}

/// What must be as it was for a file to be trusted: this start of the machine, and which files are wanted, for bytes
/// of unwanted files lie elsewhere than those of wanted ones.
fn circumstances(wanted: Option<&[usize]>) -> Option<Vec<u8>> {
    let mut bytes = start_of_machine()?.to_vec();
    let mut wanted = wanted.map_or_else(|| vec![usize::MAX], <[usize]>::to_vec);
    wanted.sort_unstable();
    wanted.dedup();
    bytes.extend(wanted.iter().flat_map(|file| (*file as u64).to_be_bytes()));
    Some(bytes)
}

impl Known {
    /// What is known where that which was kept does not count.
    fn rejected(why: Rejection) -> Self {
        Self {
            rejected: Some(why),
            ..Self::default()
        }
    }
}
