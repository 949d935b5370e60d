//! Checking everything on disk, on all cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use protocol::bitfield::Bitfield;
use protocol::geometry::{Geometry, PieceIndex};

use crate::error::{Cause, ErrorKind, Op, StoreError};
use crate::inner::{Inner, OpenFile};
use crate::platform;
use crate::verify::{COPIES, Origin, Verdict, ZeroDigests};

mod crumbs;

use self::crumbs::{Copies, Crumbs, Outcome};

/// How to check.
#[derive(Clone, Debug)]
pub struct RecheckOptions {
    /// Threads; 0 for one per core.
    pub threads: usize,
    /// Only these pieces; all if `None`.
    pub only: Option<Bitfield>,
    /// Whether stretches that the file system knows to be holes are judged without being read.
    pub skip_holes: bool,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pieces checked.
    pub done: u32,
    /// Pieces to check.
    pub total: u32,
    /// Pieces found good.
    pub good: u32,
}

/// Bytes that a thread takes on at a time, where pieces are small.
const BATCH: u64 = 4 * 1024 * 1024;

impl Default for RecheckOptions {
    /// All pieces, one thread per core, holes skipped.
    fn default() -> Self {
        Self {
            threads: 0,
            only: None,
            skip_holes: true,
        }
    }
}

/// What a thread found in a batch.
struct Found {
    checked: u32,
    good: Vec<PieceIndex>,
}

/// A batch: what is known already, what was read already, and what must be read.
#[derive(Default)]
struct Sorted {
    checked: u32,
    good: Vec<PieceIndex>,
    read: Vec<PieceIndex>,
    copies: Copies,
}

/// What the threads share.
struct Work<'a> {
    store: &'a Arc<Inner>,
    options: &'a RecheckOptions,
    next: AtomicU32,
    batch: u32,
    stop: AtomicBool,
    cancel: &'a AtomicBool,
}

impl Inner {
    pub(crate) fn recheck(
        self: &Arc<Self>,
        options: &RecheckOptions,
        progress: &dyn Fn(Progress),
        cancel: &AtomicBool,
    ) -> Result<Bitfield, StoreError> {
        let pieces = self.geometry.pieces();
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let work = Work {
            store: self,
            options,
            next: AtomicU32::new(0),
            batch: self.batch(threads),
            stop: AtomicBool::new(false),
            cancel,
        };
        let mut have = Bitfield::new(pieces);
        let mut state = Progress {
            total: options.only.as_ref().map_or(pieces, Bitfield::count),
            ..Progress::default()
        };
        let threads = threads.min(pieces.div_ceil(work.batch) as usize);
        let mut failed = Ok(());
        std::thread::scope(|scope| {
            let (sender, found) = sync_channel(2 * threads);
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (sender, work) = (sender.clone(), &work);
                    scope.spawn(move || work.run(&sender))
                })
                .collect();
            drop(sender);
            for found in found {
                match found {
                    Ok(Found { checked, good }) => {
                        state.done += checked;
                        state.good += good.len() as u32;
                        for piece in good {
                            have.insert(piece);
                        }
                        progress(state);
                    }
                    Err(error) => failed = Err(error),
                }
            }
            // The scope itself does not wait until the threads are gone, only until they are done.
            for worker in workers {
                if let Err(panic) = worker.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
        failed.map(|()| have)
    }

    /// Pieces that a thread takes on at a time: full lanes, but no more than its share of the mapped bytes.
    fn batch(&self, threads: usize) -> u32 {
        let piece_len = u64::from(self.geometry.piece_len());
        let wanted = (BATCH / piece_len).max(hash::lanes().full() as u64);
        let share = self.options.budget.limits().mapped / (4 * threads as u64);
        // What is copied must fit into its buffer as a whole.
        let fits = if self.is_crumbs(0, self.geometry.total_len()) {
            COPIES as u64
        } else {
            share
        };
        wanted.min(share.min(fits) / piece_len).clamp(1, 4096) as u32
    }
}

impl Work<'_> {
    fn run(&self, sender: &SyncSender<Result<Found, StoreError>>) {
        let geometry = &self.store.geometry;
        let mut judge = Judge::new(self.store, self.options.skip_holes);
        // The next batch is on its way from the disk while this one is hashed.
        let mut ahead = self.claim(geometry, &mut judge);
        while let Some(sorted) = ahead.take() {
            if self.cancel.load(Ordering::Relaxed) || self.stop.load(Ordering::Relaxed) {
                return;
            }
            ahead = self.claim(geometry, &mut judge);
            let found = sorted.and_then(|sorted| judge.check(sorted));
            if found.is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
            if sender.send(found).is_err() {
                return;
            }
        }
    }

    /// Takes the next batch and starts reading it; `None` when all are taken.
    fn claim(
        &self,
        geometry: &Geometry,
        judge: &mut Judge<'_>,
    ) -> Option<Result<Sorted, StoreError>> {
        let from = self.next.fetch_add(self.batch, Ordering::Relaxed);
        if from >= geometry.pieces() {
            return None;
        }
        let to = from.saturating_add(self.batch).min(geometry.pieces());
        let wanted = |piece: &PieceIndex| {
            let only = self.options.only.as_ref();
            only.is_none_or(|only| only.get(*piece))
        };
        let pieces = (from..to).filter_map(|index| geometry.piece(index));
        Some(judge.sort(pieces.filter(wanted)))
    }
}

/// One thread's view of the disk: remembers the file it looked at last and how far it knows its holes.
struct Judge<'a> {
    store: &'a Arc<Inner>,
    skip_holes: bool,
    zeros: ZeroDigests,
    last: Option<(u32, Probe)>,
    verdicts: Vec<Verdict>,
    crumbs: Crumbs<'a>,
    /// Memory that waits for its next use.
    spare: Vec<Copies>,
}

enum Probe {
    Missing,
    There {
        open: Arc<OpenFile>,
        len: u64,
        /// No data in this range of the file.
        hole: std::ops::Range<u64>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    Hole,
    Data,
    Absent,
}

impl<'a> Judge<'a> {
    fn new(store: &'a Arc<Inner>, skip_holes: bool) -> Self {
        Self {
            store,
            skip_holes,
            zeros: ZeroDigests::default(),
            last: None,
            verdicts: Vec::new(),
            crumbs: Crumbs::new(store),
            spare: Vec::new(),
        }
    }

    /// Judges what needs no reading, copies what lies in many small files, and starts reading the rest.
    fn sort(&mut self, pieces: impl Iterator<Item = PieceIndex>) -> Result<Sorted, StoreError> {
        let mut sorted = Sorted {
            copies: self.spare.pop().unwrap_or_default(),
            ..Sorted::default()
        };
        for piece in pieces {
            sorted.checked += 1;
            match self.crumbs.copy(piece, &mut sorted.copies) {
                Outcome::Absent | Outcome::Copied => continue,
                Outcome::Left => {}
            }
            match self.extent_of(piece)? {
                Extent::Data => {
                    self.read_ahead(piece)?;
                    sorted.read.push(piece);
                }
                Extent::Hole if self.store.is_zeros(piece, &mut self.zeros) => {
                    sorted.good.push(piece);
                }
                Extent::Hole | Extent::Absent => {}
            }
        }
        Ok(sorted)
    }

    fn read_ahead(&self, piece: PieceIndex) -> Result<(), StoreError> {
        let (offset, len) = self.store.hashed_range(piece);
        for segment in self.store.layout.segments(offset, len) {
            if let Some((file, at)) = self.store.locate(segment) {
                let open = self.store.reader(file)?;
                platform::read_ahead(&open.file, at, segment.len);
            }
        }
        Ok(())
    }

    fn check(&mut self, sorted: Sorted) -> Result<Found, StoreError> {
        let Sorted {
            checked,
            mut good,
            read,
            mut copies,
        } = sorted;
        let copied = copies.pieces.iter().copied();
        let judged = self.store.compare(copied.clone(), &copies.parts());
        let of_copies: Vec<(PieceIndex, Verdict)> = copied.zip(judged).collect();
        copies.clear();
        self.spare.push(copies);
        self.store.verify(&read, Origin::Disk, &mut self.verdicts);
        let of_read = read.into_iter().zip(self.verdicts.drain(..));
        for (piece, verdict) in of_copies.into_iter().chain(of_read) {
            match verdict {
                Verdict::Good => good.push(piece),
                Verdict::Bad => {}
                Verdict::Inconsistent => {
                    let root = &self.store.root;
                    return Err(StoreError::new(Op::Check, root, Cause::OneOfTwo));
                }
                Verdict::Io(error) if passes_for_bad(&error) => {
                    tracing::warn!(piece = piece.get(), %error, "counted as missing");
                }
                Verdict::Io(error) => return Err(error),
            }
        }
        Ok(Found { checked, good })
    }

    /// What the disk has of a piece: the worst of its stretches.
    fn extent_of(&mut self, piece: PieceIndex) -> Result<Extent, StoreError> {
        let (offset, len) = self.store.hashed_range(piece);
        let store = self.store;
        let mut worst = Extent::Hole;
        for segment in store.layout.segments(offset, len) {
            if let Some((file, at)) = store.locate(segment) {
                worst = worst.max(self.extent(file, at, segment.len)?);
            }
        }
        Ok(worst)
    }

    fn extent(&mut self, file: u32, at: u64, segment_len: u64) -> Result<Extent, StoreError> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != file) {
            self.last = Some((file, self.probe(file)?));
        }
        let Some((_, Probe::There { open, len, hole })) = &mut self.last else {
            return Ok(Extent::Absent);
        };
        let end = at + segment_len;
        if end > *len {
            return Ok(Extent::Absent);
        }
        if !self.skip_holes {
            return Ok(Extent::Data);
        }
        if !hole.contains(&at) {
            *hole = at..platform::next_data(&open.file, at).unwrap_or(u64::MAX);
        }
        Ok(if hole.start <= at && end <= hole.end {
            Extent::Hole
        } else {
            Extent::Data
        })
    }

    fn probe(&self, file: u32) -> Result<Probe, StoreError> {
        let open = match self.store.reader(file) {
            Err(error) if passes_for_bad(&error) => return Ok(Probe::Missing),
            other => other?,
        };
        let len = match self.store.check(file, &open.file) {
            Err(error) if passes_for_bad(&error) => return Ok(Probe::Missing),
            other => other?.len,
        };
        Ok(Probe::There {
            open,
            len,
            hole: 0..0,
        })
    }
}

/// Bytes that are not there are bad pieces; everything else stops the check.
fn passes_for_bad(error: &StoreError) -> bool {
    matches!(error.kind(), ErrorKind::Vanished | ErrorKind::TooShort)
}
