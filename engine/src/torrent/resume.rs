//! Progress that outlives the process.
//!
//! A record of an orderly end is trusted without a check if the files are as it says and the machine has not been
//! started anew since: what was written reaches the disk whether or not this process lives, but not through a power cut.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::bitfield::Bitfield;
use protocol::id::InfoHash;
use storage::Store;
use storage::resume::Record;

use crate::peer::driver::now;
use crate::torrent::actor::{Phase, Torrent};

/// How often progress is saved while it grows.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// Where Linux tells which start of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Keeps saves of one torrent apart and in order: they run on several threads, and an orderly end must have the last
/// word.
#[derive(Debug, Default)]
pub(crate) struct Saves {
    asked: u64,
    /// The newest save that has begun; held while a record is written.
    written: Arc<Mutex<u64>>,
}

impl Torrent {
    /// Where this torrent's progress is kept.
    pub(crate) fn resume_path(&self) -> Option<PathBuf> {
        let dir = self.setup.state_dir.as_deref()?;
        Some(dir.join(format!("{}.resume", self.hashes.wire())))
    }

    pub(super) fn forget_resume(&self) {
        if let Some(path) = self.resume_path()
            && let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "resume data could not be removed");
        }
    }

    /// Saves progress if it has grown and the last time is long enough ago.
    pub(crate) fn save_if_due(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last_save) >= SAVE_EVERY {
            self.save_resume(false);
        }
    }

    /// Saves progress; `clean` says that this is an orderly end, so that the next start may trust it.
    pub(crate) fn save_resume(&mut self, clean: bool) {
        let Some(path) = self.resume_path() else {
            return;
        };
        let Phase::Active(active) = &self.phase else {
            return;
        };
        let have = active.picker.have();
        if !clean && self.saved == Some(have.count()) {
            return;
        }
        self.saved = Some(have.count());
        self.last_save = now();
        let (store, have) = (active.content.store.clone(), have.clone());
        let hash = self.hashes.wire();
        let extra = circumstances(self.add.files.as_deref()).unwrap_or_default();
        self.saves.asked += 1;
        let (number, newest) = (self.saves.asked, Arc::clone(&self.saves.written));
        let save = move || {
            let mut newest = newest.lock();
            if *newest > number {
                return;
            }
            *newest = number;
            if let Err(error) = save(&store, hash, have, (clean, extra), &path) {
                tracing::warn!(path = %path.display(), %error, "progress could not be saved");
            }
        };
        // An orderly end may be the last thing this process does: it must not wait in a queue.
        if clean {
            save();
        } else {
            self.setup.disk.short(save);
        }
    }
}

/// The pieces that resume data vouches for.
pub(super) fn trusted(store: &Store, path: &Path, wanted: Option<&[usize]>) -> Option<Bitfield> {
    let record = match Record::load(path) {
        Ok(record) => record?,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "resume data is of no use: everything is checked");
            return None;
        }
    };
    let same = record.clean
        && record.have.len() == store.geometry().pieces()
        && record.files == store.stamps()
        && circumstances(wanted).is_some_and(|now| now == record.extra);
    same.then_some(record.have)
}

fn save(
    store: &Store,
    info_hash: InfoHash,
    have: Bitfield,
    (clean, extra): (bool, Vec<u8>),
    path: &Path,
) -> io::Result<()> {
    let record = Record {
        info_hash,
        have,
        partial: std::collections::BTreeMap::new(),
        files: store.stamps(),
        clean,
        extra,
    };
    // Not synced: a record that a power cut damages is found out by its digest, and leads to a check.
    let new = path.with_extension("new");
    fs::write(&new, record.encode())?;
    fs::rename(&new, path)
}

/// What must be as it was for a record to be trusted: this start of the machine, and which files are wanted, for bytes
/// of unwanted files lie elsewhere than those of wanted ones.
fn circumstances(wanted: Option<&[usize]>) -> Option<Vec<u8>> {
    let mut bytes = fs::read(BOOT_ID).ok()?;
    let mut wanted = wanted.map_or_else(|| vec![usize::MAX], <[usize]>::to_vec);
    wanted.sort_unstable();
    wanted.dedup();
    bytes.extend(wanted.iter().flat_map(|file| (*file as u64).to_be_bytes()));
    Some(bytes)
}
