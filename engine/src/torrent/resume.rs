//! Progress that outlives the process.
//!
//! A record of an orderly end is trusted without a check if the files are as it says and the machine has not been
//! started anew since: what was written reaches the disk whether or not this process lives, but not through a power cut.
//!
//! The blocks of unfinished pieces are taken up from a record of any end, orderly or not, of the same start of the
//! machine: a block is noted after it was written, so it is there unless somebody else changed the files. If it is not,
//! the piece fails its hash and is fetched whole; nobody is blamed for a block of an earlier run, for it has no sender.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use actors::tell_recipient;
use parking_lot::Mutex;
use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use protocol::id::InfoHash;
use storage::resume::{BlockBits, FileStamp, Record};
use storage::{BlockState, Store};

use crate::peer::driver::now;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::messages::News;
use crate::{Event, state_file};

/// Where Linux tells which start of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Keeps saves of one torrent apart and in order: they run on several threads, and an orderly end must have the last
/// word.
#[derive(Debug, Default)]
pub(crate) struct Saves {
    asked: u64,
    /// The record is removed before the content is opened again.
    pub(super) forgets: bool,
    /// The newest save that has begun; held while a record is written.
    written: Arc<Mutex<u64>>,
}

/// Written, unverified blocks of pieces, by piece index.
pub(crate) type Partials = BTreeMap<u32, BlockBits>;

/// What is on disk, as far as that is known without a check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The pieces that are there and right; `None` where only a check can tell.
    pub(crate) have: Option<Bitfield>,
    /// Blocks of other pieces.
    pub(crate) partial: Partials,
    /// The files when that was found out: where they are not so any more, only a check can tell. `None` where nobody had
    /// the time to change them.
    pub(crate) files: Option<Vec<FileStamp>>,
    /// Whether wanted pieces are missing for sure, so that nothing can go on that can't write.
    pub(crate) lacking: bool,
}

impl Torrent {
    /// Where this torrent's progress is kept.
    pub(crate) fn resume_path(&self) -> Option<PathBuf> {
        let dir = self.setup.state_dir.as_deref()?;
        Some(dir.join(format!("{}.resume", self.hashes.wire())))
    }

    /// What removes the record; a save that was asked for before does not bring it back.
    pub(super) fn forgetting(&mut self) -> impl FnOnce() + Send + use<> {
        let path = self.resume_path();
        self.saves.asked += 1;
        let (number, newest) = (self.saves.asked, Arc::clone(&self.saves.written));
        move || {
            let mut newest = newest.lock();
            let Some(path) = path.filter(|_| *newest <= number) else {
                return;
            };
            *newest = number;
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "resume data could not be removed");
            }
        }
    }

    /// Saves progress if it has grown and the last time is long enough ago.
    pub(crate) fn save_if_due(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last_save)
            >= self.setup.settings.get().disk.save_every
        {
            self.save_resume();
        }
    }

    /// Saves progress, if there is any that was not saved.
    pub(crate) fn save_resume(&mut self) {
        let Phase::Active(active) = &self.phase else {
            return;
        };
        if self.saved != Some(active.progress())
            && let Some(save) = self.saving(false)
        {
            self.setup.disk.short(save);
        }
    }

    /// Saves progress at an orderly end, so that the next start may trust it. `then` is told afterwards, on the Disk, what
    /// is known.
    pub(super) fn save_at_rest(&mut self, then: impl FnOnce(Option<Known>) + Send + 'static) {
        let save = self.saving(true);
        let Phase::Active(active) = &self.phase else {
            then(None);
            return;
        };
        let store = active.content.store.clone();
        let known = Known {
            have: Some(active.picker.have().clone()),
            partial: active.partials(),
            files: None,
            lacking: !active.finished,
        };
        self.setup.disk.short(move || {
            if let Some(save) = save {
                save();
            }
            let files = Some(store.stamps());
            then(Some(Known { files, ..known }));
        });
    }

    /// What saves the progress of this moment; `clean` says that this is an orderly end.
    fn saving(&mut self, clean: bool) -> Option<impl FnOnce() + Send + use<>> {
        let path = self.resume_path()?;
        let Phase::Active(active) = &self.phase else {
            return None;
        };
        let have = active.picker.have();
        self.saved = Some(active.progress());
        self.last_save = now();
        let store = active.content.store.clone();
        let (have, partial) = (have.clone(), active.partials());
        let hash = self.hashes.wire();
        let files = self.wanted_files();
        let (id, supervisor) = (self.id, self.setup.supervisor.clone());
        self.saves.asked += 1;
        let (number, newest) = (self.saves.asked, Arc::clone(&self.saves.written));
        Some(move || {
            let mut newest = newest.lock();
            if *newest > number {
                return;
            }
            *newest = number;
            let extra = circumstances(files.as_deref()).unwrap_or_default();
            if let Err(error) = save(&store, hash, (have, partial), (clean, extra), &path) {
                tracing::warn!(path = %path.display(), %error, "progress could not be saved");
                let event = Event::Unsaved {
                    id,
                    path,
                    reason: error.to_string(),
                };
                tell_recipient(&supervisor, News::Event(event));
            }
        })
    }
}

impl Active {
    /// What is written of the pieces that are not verified.
    pub(super) fn partials(&self) -> Partials {
        let begun = self.pieces.iter().filter(|(_, state)| state.written() > 0);
        begun
            .map(|(piece, state)| (piece.get(), BlockBits::of(state)))
            .collect()
    }

    /// Verified pieces, and unverified blocks.
    fn progress(&self) -> (u32, u64) {
        let states = self.pieces.values();
        let blocks = states.map(|state| u64::from(state.written()));
        (self.picker.have().count(), blocks.sum())
    }

    /// Goes on with pieces where an earlier run left them; returns those of which every block is there.
    pub(super) fn take_up(&mut self, partial: &Partials) -> Vec<PieceIndex> {
        let mut full = Vec::new();
        let geometry = self.content.geometry;
        for (index, bits) in partial {
            let Some(piece) = geometry.piece(*index) else {
                continue;
            };
            if self.picker.have().get(piece) || !self.picker.priority(piece).is_wanted() {
                continue;
            }
            let store = &self.content.store;
            let state = store.activate_with(piece, |block| bits.get(block));
            let written = |block: &u32| state.state(*block) == BlockState::Written;
            self.picker
                .written_before(piece, (0..state.blocks()).filter(written));
            full.extend(state.is_complete().then_some(piece));
            self.pieces.insert(piece, state);
        }
        full
    }
}

/// What resume data vouches for.
pub(super) fn load(store: &Store, path: &Path, wanted: Option<&[usize]>) -> Known {
    let record = match Record::load(path) {
        Ok(Some(record)) => record,
        Ok(None) => return Known::default(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "resume data is of no use: everything is checked");
            return Known::default();
        }
    };
    let same = record.have.len() == store.geometry().pieces()
        && circumstances(wanted).is_some_and(|now| now == record.extra);
    if !same {
        return Known::default();
    }
    let trusted = record.clean && record.files == store.stamps();
    Known {
        have: trusted.then_some(record.have),
        partial: record.partial,
        ..Known::default()
    }
}

impl Known {
    /// What of it still holds.
    pub(super) fn unless_changed(mut self, store: &Store) -> Self {
        let changed = |files: &Vec<FileStamp>| *files != store.stamps();
        if self.files.as_ref().is_some_and(changed) {
            self.have = None;
        }
        self
    }
}

/// Drops pieces of which the files can't hold what is said to be written: they are missing, or were cut.
pub(super) fn drop_absent(store: &Store, partial: &mut Partials) {
    let geometry = store.geometry();
    partial.retain(|index, bits| {
        let Some(piece) = geometry.piece(*index) else {
            return false;
        };
        let present = |block: u32| {
            let block = geometry.block(piece, block);
            block.is_some_and(|block| {
                store.has_bytes(geometry.block_offset(block), geometry.block_len(block))
            })
        };
        let mut written = (0..bits.blocks()).filter(|block| bits.get(*block));
        bits.blocks() == geometry.blocks_in(piece) && written.all(present)
    });
}

fn save(
    store: &Store,
    info_hash: InfoHash,
    (have, partial): (Bitfield, Partials),
    (clean, extra): (bool, Vec<u8>),
    path: &Path,
) -> io::Result<()> {
    let record = Record {
        info_hash,
        have,
        partial,
        files: store.stamps(),
        clean,
        extra,
    };
    // Not synced: a record that a power cut damages is found out by its digest, and leads to a check.
    let new = path.with_extension("new");
    state_file::replace((path, &new), &record.encode(), || {
        if !clean {
            return Ok(());
        }
        // Someone waits for an orderly end, and ext4 brings a file to the disk that takes the place of another, which
        // takes its time behind a fast download. A process that is killed just here finds no record: it checks what is
        // there, and fetches unfinished pieces anew.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    })
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
