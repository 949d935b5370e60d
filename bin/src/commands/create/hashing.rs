//! Hashes the files of a new torrent on all cores, many pieces at a time.
//!
//! The pieces are cut into jobs of whole lanes; threads take jobs in turn, and the results are put in order at the end,
//! so the outcome does not depend on the number of threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use protocol::merkle;
use storage::{Budget, Limits, StoreOptions};

use super::layout::{Layout, Stretch};
use super::read::Reader;
use super::walk::Found;
use crate::failure::Failure;

/// Bytes of a leaf of a v2 hash tree: 16 KiB (BEP 52).
const LEAF_LEN: u64 = 16 * 1024;

/// Pieces hashed side by side: as many as the widest back end has lanes.
const LANES: u64 = 16;

/// Least bytes of a job, so that taking one costs nothing: 4 MiB.
const JOB_LEN: u64 = 4 << 20;

/// Most bytes of a job, unless a single piece is larger: 256 MiB.
const MAX_JOB_LEN: u64 = 256 << 20;

/// Zeros for padding.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// What to hash.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    /// The files.
    pub(crate) files: &'a [Found],
    /// Where they lie in piece space.
    pub(crate) layout: &'a Layout,
    /// Whether to make SHA-1 digests of pieces (BEP 3).
    pub(crate) v1: bool,
    /// Whether to make SHA-256 trees of files (BEP 52); the layout is aligned then.
    pub(crate) v2: bool,
    /// Turns true when nobody wants it any more.
    pub(crate) stop: &'a AtomicBool,
}

/// The digests of all pieces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Digests {
    /// SHA-1 of each piece, where asked for.
    pub(crate) v1: Vec<[u8; 20]>,
    /// For each piece, the root of its part of its file's hash tree, where asked for: padded with zero leaves to a whole
    /// piece, or, in a file that is no longer than a piece, to the next power of two.
    pub(crate) v2: Vec<[u8; 32]>,
}

/// The pieces from `first` on, as one job leaves them.
struct Done {
    first: u64,
    digests: Digests,
}

/// Hashes everything with this many threads. `progress` counts the bytes that are done.
///
/// # Errors
/// [`Failure::Failed`] names the first file that could not be read, or says that it was broken off.
pub(crate) fn hash_all(
    work: &Work<'_>,
    threads: usize,
    progress: &AtomicU64,
) -> Result<Digests, Failure> {
    let pieces = work.layout.pieces();
    let per_job = job_pieces(pieces, work.layout.piece_len(), threads as u64);
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let results = Mutex::new(Vec::new());
    let options = reading_options(per_job * work.layout.piece_len(), threads as u64);
    let worker = || {
        let mut reader = Reader::new(work.files, options.clone());
        while !failed.load(Ordering::Relaxed) && !work.stop.load(Ordering::Relaxed) {
            let first = next.fetch_add(per_job, Ordering::Relaxed);
            if first >= pieces {
                break;
            }
            let outcome = job(
                work,
                first,
                (first + per_job).min(pieces),
                &mut reader,
                progress,
            );
            if outcome.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            results
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(outcome);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    if work.stop.load(Ordering::Relaxed) {
        return Err(broken_off());
    }
    let mut done = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    done.sort_unstable_by_key(|job| job.first);
    let mut all = Digests::default();
    for job in done {
        all.v1.extend(job.digests.v1);
        all.v2.extend(job.digests.v2);
    }
    Ok(all)
}

/// Why there is nothing where nobody wants it any more.
pub(super) fn broken_off() -> Failure {
    Failure::Failed("it was broken off: nobody waits for it any more".to_owned())
}

/// How many pieces a job takes: whole lanes, but no fewer jobs than threads.
fn job_pieces(pieces: u64, piece_len: u64, threads: u64) -> u64 {
    let full = JOB_LEN.div_ceil(piece_len).next_multiple_of(LANES);
    let most = (MAX_JOB_LEN / piece_len).min(pieces.div_ceil(threads.max(1)));
    full.min(most).max(1)
}

/// Room in the maps for every thread's job, in windows large enough that most pieces lie in one.
fn reading_options(job_len: u64, threads: u64) -> StoreOptions {
    let window = 16 << 20;
    let budget = Budget::new(Limits {
        mapped: threads * (job_len + 2 * window),
        window,
        ..Limits::default()
    });
    StoreOptions {
        budget,
        ..StoreOptions::default()
    }
}

fn job(
    work: &Work<'_>,
    first: u64,
    end: u64,
    reader: &mut Reader<'_>,
    progress: &AtomicU64,
) -> Result<Done, Failure> {
    let piece_len = work.layout.piece_len();
    let stretches = work.layout.pieces_in(first, end);
    let loaded = reader.load(&stretches)?;
    let data: Vec<Vec<&[u8]>> = (0..stretches.len()).map(|i| loaded.slices(i)).collect();
    let mut digests = Digests::default();
    if work.v1 {
        digests.v1 = sha1_pieces(&stretches, &data, piece_len);
    }
    if work.v2 {
        digests.v2 = trees_of_pieces(work.files, &stretches, &data, piece_len);
    }
    loaded.verify()?;
    let bytes = data.iter().flatten().map(|part| part.len() as u64).sum();
    progress.fetch_add(bytes, Ordering::Relaxed);
    Ok(Done { first, digests })
}

/// SHA-1 of each piece of a run of whole pieces.
fn sha1_pieces(stretches: &[Stretch], data: &[Vec<&[u8]>], piece_len: u64) -> Vec<[u8; 20]> {
    let mut pieces = Pieces::new(piece_len);
    for (stretch, slices) in stretches.iter().zip(data) {
        match stretch {
            Stretch::File { .. } => slices.iter().for_each(|slice| pieces.push(slice)),
            Stretch::Pad { len } => pieces.pad(*len),
        }
    }
    let messages: Vec<&[&[u8]]> = pieces.done.iter().map(Vec::as_slice).collect();
    let mut digests = vec![[0; 20]; messages.len()];
    hash::sha1_many_parts(&messages, &mut digests);
    digests
}

/// Cuts a run of bytes into pieces, each a list of slices.
struct Pieces<'a> {
    done: Vec<Vec<&'a [u8]>>,
    piece_len: u64,
    /// Bytes that the last piece still takes.
    room: u64,
}

impl<'a> Pieces<'a> {
    fn new(piece_len: u64) -> Self {
        Self {
            done: Vec::new(),
            piece_len,
            room: 0,
        }
    }

    fn push(&mut self, mut bytes: &'a [u8]) {
        while !bytes.is_empty() {
            if self.room == 0 {
                self.done.push(Vec::new());
                self.room = self.piece_len;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.room as usize));
            bytes = rest;
            self.room -= part.len() as u64;
            if let Some(piece) = self.done.last_mut() {
                piece.push(part);
            }
        }
    }

    fn pad(&mut self, mut len: u64) {
        while len > 0 {
            let part = &ZEROS[..len.min(ZEROS.len() as u64) as usize];
            self.push(part);
            len -= part.len() as u64;
        }
    }
}

/// Root of the hash tree over each piece's leaves, for a run of whole pieces of an aligned layout.
fn trees_of_pieces(
    files: &[Found],
    stretches: &[Stretch],
    data: &[Vec<&[u8]>],
    piece_len: u64,
) -> Vec<[u8; 32]> {
    let mut leaves = Pieces::new(LEAF_LEN);
    for slices in data {
        for slice in slices {
            leaves.push(slice);
        }
        leaves.room = 0;
    }
    let messages: Vec<&[&[u8]]> = leaves.done.iter().map(Vec::as_slice).collect();
    let mut digests = vec![[0; 32]; messages.len()];
    hash::sha256_many_parts(&messages, &mut digests);
    let mut roots = Vec::new();
    let mut left = digests.as_slice();
    for stretch in stretches {
        let Stretch::File { file, len, .. } = *stretch else {
            continue;
        };
        for start in (0..len).step_by(piece_len as usize) {
            let count = (len - start).min(piece_len).div_ceil(LEAF_LEN);
            let (piece, rest) = left.split_at(count as usize);
            left = rest;
            roots.push(if files[file].len > piece_len {
                merkle::piece_node(piece, piece_len as u32)
            } else {
                merkle::root_of_leaves(piece)
            });
        }
    }
    roots
}
