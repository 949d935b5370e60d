//! Taking content over from files elsewhere on this machine, piece by piece and by hash.
//!
//! What is written is what was hashed, byte for byte, so that a donor that changes meanwhile does no harm; and no file of a
//! donor is linked, so that nothing written to this torrent's files ever changes those of another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;

use crate::donor::Donor;
use crate::error::{Cause, Op, StoreError};
use crate::inner::Inner;
use crate::layout::FileKind;
use crate::platform::{self, Access, Root, Stat};
use crate::recheck::Progress;
use crate::verify::{COPIES, Origin, STEP, Verdict};
use crate::{Chunk, Store};

/// What was taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Pieces that are there now.
    pub pieces: u32,
    /// Their bytes, without padding.
    pub bytes: u64,
}

/// Combinations of donors that are tried for one piece, at most.
const MOST_TRIES: usize = 16;

/// Donors that are open at once, at most.
const MOST_OPEN: usize = 64;

/// Pieces beyond this length, in bytes, are hashed in steps, and read a second time to be written.
const LARGE: u64 = COPIES as u64;

impl Store {
    /// Takes pieces over that are not in `have` and that donors hold, all of the piece: reads them, compares them with
    /// their digests, writes those that are right, and adds them to `have`. Pieces of unwanted files alone are left out.
    /// `progress` is called with pieces looked at and found. Stops when `cancel` turns true.
    ///
    /// # Errors
    /// Names the file that could not be written; also where the torrent turns out to contradict itself. Donors that can't
    /// be read are passed over.
    pub fn adopt(
        &self,
        donors: &[Donor],
        have: &mut Bitfield,
        progress: &mut dyn FnMut(Progress),
        cancel: &AtomicBool,
    ) -> Result<Adopted, StoreError> {
        let mut adoption = Adoption::new(&self.0, donors);
        let geometry = self.0.geometry;
        let missing = |piece: &PieceIndex| !have.get(*piece);
        let due: Vec<PieceIndex> = geometry.iter().filter(missing).collect();
        let mut state = Progress {
            total: due.len() as u32,
            ..Progress::default()
        };
        let mut adopted = Adopted::default();
        let mut rest = due.as_slice();
        while !rest.is_empty() && !cancel.load(Ordering::Relaxed) {
            let (good, looked_at) = adoption.some(rest)?;
            rest = rest.get(looked_at..).unwrap_or_default();
            state.done += looked_at as u32;
            state.good += good.len() as u32;
            for piece in good {
                have.insert(piece);
                adopted.pieces += 1;
                adopted.bytes += self.0.content_in(piece);
            }
            progress(state);
        }
        Ok(adopted)
    }
}

/// A piece, and the sources that it was read from: one for each of its stretches of content.
type Tried = (PieceIndex, Vec<usize>);

/// A file that content is taken from.
struct Source<'a> {
    donor: &'a Donor,
    /// Its bytes; `None` where it could not be opened.
    len: Option<u64>,
    open: Option<std::fs::File>,
    /// Pieces that were right, and wrong.
    right: u32,
    wrong: u32,
}

struct Adoption<'a> {
    store: &'a Arc<Inner>,
    sources: Vec<Source<'a>>,
    /// Indices of sources by file, the most promising first.
    of_file: BTreeMap<u32, Vec<usize>>,
    open: usize,
    /// Pieces that were read and not compared yet, each with the sources it was read from and its place in `bytes`.
    batch: Vec<(PieceIndex, Vec<usize>, std::ops::Range<usize>)>,
    bytes: Vec<u8>,
}

impl<'a> Adoption<'a> {
    fn new(store: &'a Arc<Inner>, donors: &'a [Donor]) -> Self {
        let mut of_file: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, donor) in donors.iter().enumerate() {
            of_file.entry(donor.file as u32).or_default().push(at);
        }
        let source = |donor| Source {
            donor,
            len: None,
            open: None,
            right: 0,
            wrong: 0,
        };
        Self {
            store,
            sources: donors.iter().map(source).collect(),
            of_file,
            open: 0,
            batch: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Looks at the first of these pieces, as many as fit into the buffer: those that are there now, and how many were
    /// looked at.
    fn some(&mut self, pieces: &[PieceIndex]) -> Result<(Vec<PieceIndex>, usize), StoreError> {
        let mut looked_at = 0;
        let mut good = Vec::new();
        for piece in pieces {
            let (offset, len) = self.store.hashed_range(*piece);
            if len > LARGE {
                if looked_at == 0 {
                    looked_at = 1;
                    good.extend(self.large(*piece)?);
                }
                break;
            }
            if self.bytes.len() + len as usize > COPIES {
                break;
            }
            looked_at += 1;
            if let Some(tried) = self.tries(offset, len).into_iter().next() {
                self.read(*piece, tried);
            }
        }
        for (piece, failed) in self.judge(&mut good)? {
            let (offset, len) = self.store.hashed_range(piece);
            let others = self.tries(offset, len).into_iter();
            for tried in others.filter(|tried| *tried != failed) {
                if self.read(piece, tried) && self.judge(&mut good)?.is_empty() {
                    break;
                }
            }
        }
        Ok((good, looked_at))
    }

    /// From which sources the range may be read, one for each of its stretches of content: the most promising first.
    /// Nothing where a stretch has no source, or nobody wants any of it.
    fn tries(&mut self, offset: u64, len: u64) -> Vec<Vec<usize>> {
        let store = self.store;
        let mut stretches = Vec::new();
        let mut wanted = false;
        for segment in store.layout.segments(offset, len) {
            if !matches!(store.layout.file(segment.file).kind, FileKind::Plain { .. }) {
                continue;
            }
            wanted |= !store.in_part(segment.file);
            let listed = self.of_file.get(&segment.file).cloned().unwrap_or_default();
            let end = segment.at + segment.len;
            let able: Vec<usize> = listed
                .into_iter()
                .filter(|at| self.sources[*at].is_promising() && self.len_of(*at) >= end)
                .collect();
            if able.is_empty() {
                return Vec::new();
            }
            stretches.push(able);
        }
        if !wanted || stretches.is_empty() {
            return Vec::new();
        }
        let first: Vec<usize> = stretches.iter().map(|able| able[0]).collect();
        let mut tries = vec![first.clone()];
        for (at, able) in stretches.iter().enumerate() {
            for other in &able[1..] {
                let mut tried = first.clone();
                tried[at] = *other;
                tries.push(tried);
            }
        }
        tries.truncate(MOST_TRIES);
        tries
    }

    /// Reads a piece from these sources to be judged; says whether that went well.
    fn read(&mut self, piece: PieceIndex, tried: Vec<usize>) -> bool {
        let (offset, len) = self.store.hashed_range(piece);
        let from = self.bytes.len();
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize(from + len as usize, 0);
        let read = self.fill((offset, len), &tried, &mut bytes[from..]);
        if read {
            self.batch.push((piece, tried, from..bytes.len()));
        } else {
            bytes.truncate(from);
        }
        self.bytes = bytes;
        read
    }

    /// Copies a range of the torrent from sources, one for each of its stretches of content.
    fn fill(&mut self, (offset, len): (u64, u64), tried: &[usize], out: &mut [u8]) -> bool {
        let mut tried = tried.iter();
        let mut out = out;
        for segment in self.store.layout.segments(offset, len) {
            let (now, later) = out.split_at_mut(segment.len as usize);
            out = later;
            if !matches!(
                self.store.layout.file(segment.file).kind,
                FileKind::Plain { .. }
            ) {
                now.fill(0);
                continue;
            }
            let Some(at) = tried.next() else { return false };
            self.store.options.budget.0.tally.read();
            let read = |file| platform::read_exact_at(file, now, segment.at).is_ok();
            if !self.opened(*at).is_some_and(read) {
                self.sources[*at].len = Some(0);
                return false;
            }
        }
        true
    }

    /// Compares what was read, writes what is right, adds it to `good`, and gives the pieces that are wrong.
    fn judge(&mut self, good: &mut Vec<PieceIndex>) -> Result<Vec<Tried>, StoreError> {
        let batch = std::mem::take(&mut self.batch);
        let parts: Vec<Vec<&[u8]>> = batch
            .iter()
            .map(|(piece, _, range)| self.in_layout(*piece, &self.bytes[range.clone()]))
            .collect();
        let verdicts = self
            .store
            .compare(batch.iter().map(|(piece, ..)| *piece), &parts);
        drop(parts);
        let mut failed = Vec::new();
        for ((piece, tried, range), verdict) in batch.into_iter().zip(verdicts) {
            let right = self.is_right(&verdict)?;
            if right {
                let chunk = Chunk {
                    offset: self.store.geometry.offset_of(piece),
                    data: &self.bytes[range],
                };
                self.store.write(&[chunk])?;
                good.push(piece);
            } else {
                failed.push((piece, tried.clone()));
            }
            self.note(&tried, right);
        }
        self.bytes.clear();
        Ok(failed)
    }

    /// The bytes of a piece in parts that end where stretches of content do.
    fn in_layout<'b>(&self, piece: PieceIndex, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let (offset, len) = self.store.hashed_range(piece);
        let mut rest = bytes;
        let segments = self.store.layout.segments(offset, len);
        segments
            .map(|segment| {
                let (now, later) = rest.split_at(segment.len as usize);
                rest = later;
                now
            })
            .collect()
    }

    fn is_right(&self, verdict: &Verdict) -> Result<bool, StoreError> {
        match verdict {
            Verdict::Good => Ok(true),
            Verdict::Bad => Ok(false),
            Verdict::Inconsistent => {
                let root = &self.store.root;
                Err(StoreError::new(Op::Check, root, Cause::OneOfTwo))
            }
            Verdict::Io(error) => Err(error.clone()),
        }
    }

    /// A piece that is too large for the buffer: hashed in steps, then written in steps and checked where it lies now.
    fn large(&mut self, piece: PieceIndex) -> Result<Option<PieceIndex>, StoreError> {
        let (offset, len) = self.store.hashed_range(piece);
        for tried in self.tries(offset, len) {
            let mut ends = Vec::new();
            for at in (0..len).step_by(STEP as usize) {
                ends.push((offset + at, STEP.min(len - at)));
            }
            let mut bytes = vec![0; STEP.min(len) as usize];
            let mut judge = self.store.in_steps(piece);
            let read = ends.iter().all(|(from, len)| {
                let part = &mut bytes[..*len as usize];
                let shares = self.share(piece, (*from, *len), &tried);
                let read = self.fill((*from, *len), &shares, part);
                judge.update(part);
                read
            });
            let right = read && self.is_right(&judge.verdict())?;
            self.note(&tried, right);
            if !right {
                continue;
            }
            for (from, len) in ends {
                let part = &mut bytes[..len as usize];
                let shares = self.share(piece, (from, len), &tried);
                if !self.fill((from, len), &shares, part) {
                    return Ok(None);
                }
                let chunk = Chunk {
                    offset: from,
                    data: part,
                };
                self.store.write(&[chunk])?;
            }
            let mut verdicts = Vec::new();
            self.store.verify(&[piece], Origin::Fresh, &mut verdicts);
            let there = verdicts.first().is_some_and(Verdict::is_good);
            return Ok(there.then_some(piece));
        }
        Ok(None)
    }

    /// Those of a piece's sources that a part of the piece is read from.
    fn share(&self, piece: PieceIndex, (from, len): (u64, u64), tried: &[usize]) -> Vec<usize> {
        let layout = &self.store.layout;
        let (offset, all) = self.store.hashed_range(piece);
        let plain = |file: u32| matches!(layout.file(file).kind, FileKind::Plain { .. });
        let whole = layout.segments(offset, all).filter(|it| plain(it.file));
        let by_file: BTreeMap<u32, usize> =
            whole.map(|it| it.file).zip(tried.iter().copied()).collect();
        let parts = layout.segments(from, len);
        parts
            .filter_map(|segment| by_file.get(&segment.file).copied())
            .collect()
    }

    /// Remembers of sources whether what they gave was right: who was right is asked first from now on.
    fn note(&mut self, tried: &[usize], right: bool) {
        for at in tried {
            let source = &mut self.sources[*at];
            if right {
                source.right += 1;
                let file = source.donor.file as u32;
                if let Some(listed) = self.of_file.get_mut(&file)
                    && let Some(place) = listed.iter().position(|it| it == at)
                    && let Some(listed) = listed.get_mut(..=place)
                {
                    listed.rotate_right(1);
                }
            } else {
                source.wrong += 1;
            }
        }
    }

    /// Bytes of a source; 0 where it can't be read, or is the file that it should be taken over to.
    fn len_of(&mut self, at: usize) -> u64 {
        if self.sources[at].len.is_none() {
            let len = match self.opened(at) {
                Some(file) => Stat::of(file).map_or(0, |stat| stat.len),
                None => 0,
            };
            let file = self.sources[at].donor.file as u32;
            let own = self.store.reader(file).ok();
            let same = own.is_some_and(|own| {
                let source = self.opened(at);
                source.is_some_and(|source| platform::is_same(&own.file, source))
            });
            self.sources[at].len = Some(if same { 0 } else { len });
        }
        self.sources[at].len.unwrap_or(0)
    }

    fn opened(&mut self, at: usize) -> Option<&std::fs::File> {
        if self.sources[at].open.is_none() {
            if self.open >= MOST_OPEN {
                self.sources
                    .iter_mut()
                    .for_each(|source| source.open = None);
                self.open = 0;
            }
            let donor = self.sources[at].donor;
            let watch = &self.store.options.watch;
            let root = Root::open(&donor.root, false, watch).ok()?;
            let file = root.open_file(&donor.path, Access::Read).ok()?;
            self.sources[at].open = Some(file);
            self.open += 1;
        }
        self.sources[at].open.as_ref()
    }
}

impl Source<'_> {
    /// Whether it is worth to be read: something else that happens to have the length or the name is wrong from the
    /// start.
    fn is_promising(&self) -> bool {
        self.wrong <= 8 + 4 * self.right
    }
}
