//! Checking pieces against their digests, many at once so that the lanes of `hash` are full.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use protocol::geometry::{BLOCK_LEN, PieceIndex};

use crate::error::StoreError;
use crate::inner::Inner;
use crate::layout::FileKind;
use crate::spec::{PieceHashes, ReadMode};
use crate::view::PieceView;
use crate::work::Tally;

mod digests;
mod in_steps;
mod noted;
mod verdict;

pub(crate) use digests::ZeroDigests;
use digests::{blocks_of, digest_of, merkle_roots, right_v1};
use noted::Noted;
pub use verdict::Verdict;

/// Bytes that a piece too large to be mapped whole is hashed in at a time; a multiple of the window's grain.
pub(crate) const STEP: u64 = 4 * 1024 * 1024;
const LEAF: usize = BLOCK_LEN as usize;
/// Bytes that one thread copies at a time at most.
pub(crate) const COPIES: usize = 4 * 1024 * 1024;
/// Mean length of files below which they are copied.
const SMALL: u64 = 64 * 1024;
/// Length of pieces up to which they are copied when they were written a moment ago to a file system that maps page by
/// page: full lanes of them fit into the buffer, and what is copied comes from the processor's cache.
const COPIED_IF_PAGED: u64 = 256 * 1024;

thread_local! {
    /// What pieces are copied to, kept from one verification to the next: at most [`COPIES`].
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Where the bytes of pieces have been before they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// On disk, for however long.
    Disk,
    /// They were written a moment ago, so that they are likely in the cache of the processor.
    Fresh,
    /// As [`Fresh`](Self::Fresh), by those who hold leases: leaves that they noted need no reading.
    Leases,
}

/// The bytes of a piece.
enum Loaded {
    /// In this range of the buffer.
    Copy(Range<usize>),
    View(PieceView),
}

impl Loaded {
    fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Copy(_) => Ok(()),
            Self::View(view) => view.check(),
        }
    }
}

impl Inner {
    /// Verdicts in the order of `pieces`, replacing what `out` held. What was noted of a piece can only show it to be good:
    /// else what stands on disk decides.
    pub(crate) fn verify(
        self: &Arc<Self>,
        pieces: &[PieceIndex],
        origin: Origin,
        out: &mut Vec<Verdict>,
    ) {
        out.clear();
        self.judge(pieces, origin, out);
        for piece in pieces {
            if let Some(active) = self.active.get(*piece) {
                active.hashed();
            }
        }
        if origin != Origin::Leases {
            return;
        }
        for (piece, verdict) in pieces.iter().zip(out) {
            let wrong = matches!(verdict, Verdict::Bad | Verdict::Inconsistent);
            if wrong && self.noted(*piece).is_any() {
                let mut again = Vec::new();
                self.judge(&[*piece], Origin::Fresh, &mut again);
                *verdict = again.pop().unwrap_or(Verdict::Bad);
            }
        }
    }

    /// Appends verdicts.
    fn judge(self: &Arc<Self>, pieces: &[PieceIndex], origin: Origin, out: &mut Vec<Verdict>) {
        let at_once = self.at_once();
        let mut rest = pieces;
        while let Some(first) = rest.first() {
            let mut bytes = u64::from(self.geometry.len_of(*first));
            if bytes > at_once && !self.is_noted(*first, origin) {
                out.push(self.verify_in_steps(*first, origin));
                rest = &rest[1..];
                continue;
            }
            let fits = |piece: &&PieceIndex| {
                bytes += u64::from(self.geometry.len_of(**piece));
                bytes <= at_once
            };
            let (now, later) = rest.split_at(1 + rest[1..].iter().take_while(fits).count());
            self.verify_group(now, origin, out);
            rest = later;
        }
    }

    /// Bytes that one verification maps (or copies) at a time, so that several threads stay inside the budget.
    fn at_once(&self) -> u64 {
        match self.options.read {
            ReadMode::Map => self.options.budget.limits().mapped / 4,
            ReadMode::Pread => 2 * STEP,
        }
    }

    fn verify_group(
        self: &Arc<Self>,
        pieces: &[PieceIndex],
        origin: Origin,
        out: &mut Vec<Verdict>,
    ) {
        let mut buffer = BUFFER.take();
        let mut used = 0;
        let noted: Vec<Noted> = pieces
            .iter()
            .map(|piece| match origin {
                Origin::Disk | Origin::Fresh => Noted::default(),
                Origin::Leases => self.noted(*piece),
            })
            .collect();
        let fresh = origin != Origin::Disk;
        let views: Vec<Result<Loaded, StoreError>> = pieces
            .iter()
            .zip(&noted)
            .map(|(piece, noted)| self.load((*piece, noted), fresh, (&mut buffer, &mut used)))
            .collect();
        let parts: Vec<Vec<&[u8]>> = views
            .iter()
            .flatten()
            .map(|loaded| match loaded {
                Loaded::Copy(range) => vec![&buffer[range.clone()]],
                Loaded::View(view) => view.segments().collect(),
            })
            .collect();
        if fresh {
            self.count_blocks(&parts, Tally::read_back);
        }
        let there = pieces.iter().zip(&noted).zip(&views);
        let judged = self.compare_noted(
            there
                .filter(|(_, view)| view.is_ok())
                .map(|((piece, noted), _)| (*piece, noted)),
            &parts,
        );
        let mut judged = judged.into_iter();
        out.extend(views.iter().map(|view| match view {
            Err(error) => Verdict::Io(error.clone()),
            Ok(loaded) => match (judged.next(), loaded.check()) {
                (_, Err(error)) => Verdict::Io(error),
                (verdict, Ok(())) => verdict.unwrap_or(Verdict::Bad),
            },
        }));
        BUFFER.set(buffer);
    }

    /// The bytes of a piece that have to be read: copied into what is left of the buffer where that is cheaper, else mapped.
    fn load(
        self: &Arc<Self>,
        (piece, noted): (PieceIndex, &Noted),
        fresh: bool,
        (buffer, used): (&mut Vec<u8>, &mut usize),
    ) -> Result<Loaded, StoreError> {
        let (offset, len) = self.hashed_range(piece);
        self.check_files(offset, len)?;
        let (offset, len) = self.unread(piece, noted);
        let range = *used..*used + len as usize;
        if range.end > COPIES || !self.is_copied(offset, len, fresh)? {
            return self.view(offset, len).map(Loaded::View);
        }
        if buffer.len() < range.end {
            buffer.resize(range.end, 0);
        }
        self.read(offset, &mut buffer[range.clone()])?;
        *used = range.end;
        Ok(Loaded::Copy(range))
    }

    /// Whether it costs less to copy a piece than to map it.
    fn is_copied(self: &Arc<Self>, offset: u64, len: u64, fresh: bool) -> Result<bool, StoreError> {
        if self.options.read == ReadMode::Pread || self.is_crumbs(offset, len) {
            return Ok(true);
        }
        if !fresh || u64::from(self.geometry.piece_len()) > COPIED_IF_PAGED {
            return Ok(false);
        }
        let _settled = self.places.read_recursive();
        let file = self.layout.segments(offset, len).next();
        match file.and_then(|segment| self.locate(segment)) {
            Some((file, _)) => Ok(self.reader(file)?.is_paged()),
            None => Ok(false),
        }
    }

    /// Whether a range lies in files so small that mapping each costs more than copying it.
    pub(crate) fn is_crumbs(&self, offset: u64, len: u64) -> bool {
        let segments = self.layout.segments(offset, len);
        let located = segments.filter(|segment| self.locate(*segment).is_some());
        let files = located.count() as u64;
        let first = || self.layout.file(self.layout.file_at(offset)).len;
        files > 0 && len / files < SMALL && (files > 1 || first() < SMALL)
    }

    /// What the digests of each piece, given in parts, say of it.
    pub(crate) fn compare(
        &self,
        pieces: impl Iterator<Item = PieceIndex> + Clone,
        parts: &[Vec<&[u8]>],
    ) -> Vec<Verdict> {
        let nothing = Noted::default();
        self.compare_noted(pieces.map(|piece| (piece, &nothing)), parts)
    }

    /// As [`compare`](Self::compare), with what was noted of each piece, given in what has to be read of it.
    fn compare_noted<'a>(
        &self,
        noted: impl Iterator<Item = (PieceIndex, &'a Noted)> + Clone,
        parts: &[Vec<&[u8]>],
    ) -> Vec<Verdict> {
        self.count_blocks(parts, Tally::hashed);
        let pieces = noted.clone().map(|(piece, _)| piece);
        match &self.hashes {
            PieceHashes::V1(expected) => {
                let right = right_v1(expected, pieces, parts);
                right.map(Verdict::of).collect()
            }
            PieceHashes::V2(expected) => {
                let roots = self.roots(noted, parts);
                let right = pieces.zip(roots).map(|(piece, root)| {
                    let right = digest_of(expected, piece, 32) == root;
                    Verdict::of(right)
                });
                right.collect()
            }
            PieceHashes::Both { v1, v2 } => {
                let roots = self.roots(noted, parts);
                let old = right_v1(v1, pieces.clone(), parts);
                let both = pieces.zip(roots).zip(old);
                both.map(|((piece, root), old)| Verdict::of_both(old, v2, piece, &root))
                    .collect()
            }
        }
    }

    /// Counts the bytes of each piece, given in parts.
    fn count_blocks(&self, pieces: &[Vec<&[u8]>], count: fn(&Tally, usize)) {
        for parts in pieces {
            let bytes = parts.iter().map(|part| part.len()).sum();
            count(&self.options.budget.0.tally, bytes);
        }
    }

    /// The Merkle roots of pieces that are given in what has to be read of them; all that is not noted is hashed together.
    fn roots<'a>(
        &self,
        pieces: impl Iterator<Item = (PieceIndex, &'a Noted)>,
        parts: &[Vec<&[u8]>],
    ) -> Vec<[u8; 32]> {
        let mut leaves: Vec<[u8; 32]> = Vec::new();
        let (mut blocks, mut places): (Vec<&[u8]>, Vec<usize>) = Default::default();
        let mut shapes = Vec::with_capacity(parts.len());
        for ((piece, noted), parts) in pieces.zip(parts) {
            let (before, data) = (leaves.len(), self.data_len(piece));
            let count = (data as usize).div_ceil(LEAF);
            leaves.extend((0..count).map(|leaf| noted.get(leaf).unwrap_or_default()));
            let skipped = self.unread(piece, noted).0 - self.geometry.offset_of(piece);
            let read = blocks_of(parts, data.saturating_sub(skipped));
            for (leaf, block) in (skipped as usize / LEAF..).zip(read) {
                if noted.get(leaf).is_none() {
                    blocks.push(block);
                    places.push(before + leaf);
                }
            }
            shapes.push((count, self.leaf_width(piece)));
        }
        let mut digests = vec![[0; 32]; blocks.len()];
        hash::sha256_many(&blocks, &mut digests);
        for (place, digest) in places.into_iter().zip(digests) {
            leaves[place] = digest;
        }
        merkle_roots(&leaves, &shapes)
    }

    /// Bytes of files in a piece.
    pub(crate) fn content_in(&self, piece: PieceIndex) -> u64 {
        let len = u64::from(self.geometry.len_of(piece));
        let segments = self.layout.segments(self.geometry.offset_of(piece), len);
        let plain = segments.filter(|segment| {
            matches!(self.layout.file(segment.file).kind, FileKind::Plain { .. })
        });
        plain.map(|segment| segment.len).sum()
    }

    /// The leaves of a piece as it stands on disk.
    pub(crate) fn leaves(self: &Arc<Self>, piece: PieceIndex) -> Result<Vec<[u8; 32]>, StoreError> {
        let (start, len) = (self.geometry.offset_of(piece), self.data_len(piece));
        let mut leaves = Vec::with_capacity((len as usize).div_ceil(LEAF));
        self.check_files(start, len)?;
        for from in (0..len).step_by(STEP as usize) {
            let view = self.view(start + from, STEP.min(len - from))?;
            let parts: Vec<&[u8]> = view.segments().collect();
            let blocks: Vec<&[u8]> = blocks_of(&parts, STEP).collect();
            let done = leaves.len();
            leaves.resize(done + blocks.len(), [0; 32]);
            hash::sha256_many(&blocks, &mut leaves[done..]);
            self.count_blocks(&[parts], Tally::hashed);
            view.check()?;
        }
        Ok(leaves)
    }

    /// Looks whether the files of the range are still there and long enough: a removed file can be read for as long as
    /// it is open, and a cut one through windows made before.
    pub(crate) fn check_files(self: &Arc<Self>, offset: u64, len: u64) -> Result<(), StoreError> {
        let _settled = self.places.read_recursive();
        for segment in self.layout.segments(offset, len) {
            if let Some((file, at)) = self.locate(segment) {
                let open = self.reader(file)?;
                if self.check(file, &open.file)?.len < at + segment.len {
                    return Err(self.error(
                        crate::error::Op::Read,
                        file,
                        crate::error::Cause::TooShort,
                    ));
                }
            }
        }
        Ok(())
    }

    /// The bytes that a piece's digest is over: all of it (BEP 3), or without padding (BEP 52).
    pub(crate) fn hashed_range(&self, piece: PieceIndex) -> (u64, u64) {
        let offset = self.geometry.offset_of(piece);
        let len = u64::from(self.geometry.len_of(piece));
        match &self.hashes {
            PieceHashes::V1(_) | PieceHashes::Both { .. } => (offset, len),
            PieceHashes::V2(_) => (offset, self.data_len(piece)),
        }
    }

    /// Bytes of a piece before its padding.
    fn data_len(&self, piece: PieceIndex) -> u64 {
        let offset = self.geometry.offset_of(piece);
        let len = u64::from(self.geometry.len_of(piece));
        let data = self.layout.segments(offset, len).take_while(|segment| {
            matches!(self.layout.file(segment.file).kind, FileKind::Plain { .. })
        });
        data.map(|segment| segment.len).sum()
    }

    /// Leaves that a v2 piece's tree is padded to: a whole piece's in files longer than a piece, else the next power
    /// of two (BEP 52).
    fn leaf_width(&self, piece: PieceIndex) -> usize {
        let len = self.data_len(piece);
        let file = self.layout.file_at(self.geometry.offset_of(piece));
        if self.layout.file(file).len > u64::from(self.geometry.piece_len()) {
            self.geometry.piece_len() as usize / LEAF
        } else {
            (len as usize).div_ceil(LEAF).next_power_of_two()
        }
    }

    /// SHA-1 of every block of a piece.
    pub(crate) fn block_digests(
        self: &Arc<Self>,
        piece: PieceIndex,
    ) -> Result<Vec<[u8; 20]>, StoreError> {
        let offset = self.geometry.offset_of(piece);
        let len = u64::from(self.geometry.len_of(piece));
        let mut out = Vec::with_capacity(self.geometry.blocks_in(piece) as usize);
        for from in (0..len).step_by(STEP as usize) {
            let len = STEP.min(len - from);
            let views: Vec<PieceView> = (0..len)
                .step_by(LEAF)
                .map(|at| self.view(offset + from + at, (LEAF as u64).min(len - at)))
                .collect::<Result<_, _>>()?;
            let parts: Vec<Vec<&[u8]>> =
                views.iter().map(|view| view.segments().collect()).collect();
            let messages: Vec<&[&[u8]]> = parts.iter().map(Vec::as_slice).collect();
            let done = out.len();
            out.resize(done + messages.len(), [0; 20]);
            hash::sha1_many_parts(&messages, &mut out[done..]);
            self.count_blocks(&parts, Tally::hashed);
            views.iter().try_for_each(PieceView::check)?;
        }
        Ok(out)
    }
}
