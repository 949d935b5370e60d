//! Checking pieces against their digests, many at once so that the lanes of `hash` are full.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use protocol::geometry::{BLOCK_LEN, PieceIndex};

use crate::error::StoreError;
use crate::inner::Inner;
use crate::layout::FileKind;
use crate::spec::{PieceHashes, ReadMode};
use crate::view::{PieceView, ZEROS};

/// What checking a piece brought out.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The digest is right.
    Good,
    /// The digest is wrong.
    Bad,
    /// The piece could not be read.
    Io(StoreError),
}

impl Verdict {
    /// Whether the digest is right.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good)
    }
}

/// Bytes that a piece too large to be mapped whole is hashed in at a time; a multiple of the window's grain.
const STEP: u64 = 4 * 1024 * 1024;
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
    /// Verdicts in the order of `pieces`, replacing what `out` held. `fresh` says that the pieces were written a moment
    /// ago, so that they are likely in the cache of the processor.
    pub(crate) fn verify(
        self: &Arc<Self>,
        pieces: &[PieceIndex],
        fresh: bool,
        out: &mut Vec<Verdict>,
    ) {
        out.clear();
        let at_once = self.at_once();
        let mut rest = pieces;
        while let Some(first) = rest.first() {
            let mut bytes = u64::from(self.geometry.len_of(*first));
            if bytes > at_once {
                out.push(self.verify_in_steps(*first));
                rest = &rest[1..];
                continue;
            }
            let fits = |piece: &&PieceIndex| {
                bytes += u64::from(self.geometry.len_of(**piece));
                bytes <= at_once
            };
            let (now, later) = rest.split_at(1 + rest[1..].iter().take_while(fits).count());
            self.verify_group(now, fresh, out);
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

    fn verify_group(self: &Arc<Self>, pieces: &[PieceIndex], fresh: bool, out: &mut Vec<Verdict>) {
        let mut buffer = BUFFER.take();
        let mut used = 0;
        let views: Vec<Result<Loaded, StoreError>> = pieces
            .iter()
            .map(|piece| self.load(*piece, fresh, (&mut buffer, &mut used)))
            .collect();
        let parts: Vec<Vec<&[u8]>> = views
            .iter()
            .flatten()
            .map(|loaded| match loaded {
                Loaded::Copy(range) => vec![&buffer[range.clone()]],
                Loaded::View(view) => view.segments().collect(),
            })
            .collect();
        let good = self.compare(
            pieces
                .iter()
                .zip(&views)
                .filter(|(_, view)| view.is_ok())
                .map(|(piece, _)| *piece),
            &parts,
        );
        let mut good = good.into_iter();
        out.extend(views.iter().map(|view| match view {
            Err(error) => Verdict::Io(error.clone()),
            Ok(loaded) => match (good.next(), loaded.check()) {
                (_, Err(error)) => Verdict::Io(error),
                (Some(true), Ok(())) => Verdict::Good,
                _ => Verdict::Bad,
            },
        }));
        BUFFER.set(buffer);
    }

    /// The bytes of a piece: copied into what is left of the buffer where that is cheaper, else mapped.
    fn load(
        self: &Arc<Self>,
        piece: PieceIndex,
        fresh: bool,
        (buffer, used): (&mut Vec<u8>, &mut usize),
    ) -> Result<Loaded, StoreError> {
        let (offset, len) = self.hashed_range(piece);
        self.check_files(offset, len)?;
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

    /// Whether each piece, given in parts, has the right digest.
    pub(crate) fn compare(
        &self,
        pieces: impl Iterator<Item = PieceIndex>,
        parts: &[Vec<&[u8]>],
    ) -> Vec<bool> {
        match &self.hashes {
            PieceHashes::V1(expected) => {
                let messages: Vec<&[&[u8]]> = parts.iter().map(Vec::as_slice).collect();
                let mut digests = vec![[0; 20]; messages.len()];
                hash::sha1_many_parts(&messages, &mut digests);
                pieces
                    .zip(digests)
                    .map(|(piece, digest)| digest_of(expected, piece, 20) == digest)
                    .collect()
            }
            PieceHashes::V2(expected) => {
                // Segments break at multiples of the window size and of the piece length, so never inside a leaf.
                let leaves: Vec<Vec<&[u8]>> = parts
                    .iter()
                    .map(|parts| parts.iter().flat_map(|part| part.chunks(LEAF)).collect())
                    .collect();
                let all: Vec<&[u8]> = leaves.iter().flatten().copied().collect();
                let mut digests = vec![[0; 32]; all.len()];
                hash::sha256_many(&all, &mut digests);
                let mut digests = digests.as_slice();
                pieces
                    .zip(&leaves)
                    .map(|(piece, leaves)| {
                        let (now, later) = digests.split_at(leaves.len());
                        digests = later;
                        let root = merkle_root(now.to_vec(), self.leaf_width(piece));
                        digest_of(expected, piece, 32) == root
                    })
                    .collect()
            }
        }
    }

    /// A piece that is larger than may be mapped at once.
    fn verify_in_steps(self: &Arc<Self>, piece: PieceIndex) -> Verdict {
        let (start, len) = self.hashed_range(piece);
        let mut sha1 = sha1_smol::Sha1::new();
        let mut leaves = Vec::new();
        let steps = || -> Result<(), StoreError> {
            self.check_files(start, len)?;
            for from in (0..len).step_by(STEP as usize) {
                let view = self.view(start + from, STEP.min(len - from))?;
                for part in view.segments() {
                    match &self.hashes {
                        PieceHashes::V1(_) => sha1.update(part),
                        PieceHashes::V2(_) => hash::sha256_blocks(part, LEAF, &mut leaves),
                    }
                }
                view.check()?;
            }
            Ok(())
        };
        if let Err(error) = { steps }() {
            return Verdict::Io(error);
        }
        let good = match &self.hashes {
            PieceHashes::V1(expected) => digest_of(expected, piece, 20) == sha1.digest().bytes(),
            PieceHashes::V2(expected) => {
                digest_of(expected, piece, 32) == merkle_root(leaves, self.leaf_width(piece))
            }
        };
        if good { Verdict::Good } else { Verdict::Bad }
    }

    /// Looks whether the files of the range are still there and long enough: a removed file can be read for as long as
    /// it is open, and a cut one through windows made before.
    pub(crate) fn check_files(self: &Arc<Self>, offset: u64, len: u64) -> Result<(), StoreError> {
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
            PieceHashes::V1(_) => (offset, len),
            PieceHashes::V2(_) => {
                let data = self.layout.segments(offset, len).take_while(|segment| {
                    matches!(self.layout.file(segment.file).kind, FileKind::Plain { .. })
                });
                (offset, data.map(|segment| segment.len).sum())
            }
        }
    }

    /// Leaves that a v2 piece's tree is padded to: a whole piece's in files longer than a piece, else the next power
    /// of two (BEP 52).
    fn leaf_width(&self, piece: PieceIndex) -> usize {
        let (offset, len) = self.hashed_range(piece);
        let file = self.layout.file_at(offset);
        if self.layout.file(file).len > u64::from(self.geometry.piece_len()) {
            self.geometry.piece_len() as usize / LEAF
        } else {
            (len as usize).div_ceil(LEAF).next_power_of_two()
        }
    }

    /// Whether the piece consists of zeros, by its digest.
    pub(crate) fn is_zeros(&self, piece: PieceIndex, cache: &mut ZeroDigests) -> bool {
        let (_, len) = self.hashed_range(piece);
        match &self.hashes {
            PieceHashes::V1(expected) => {
                if cache.v1.is_none_or(|(cached, _)| cached != len) {
                    cache.v1 = Some((len, sha1_of_zeros(len)));
                }
                cache
                    .v1
                    .is_some_and(|(_, zeros)| digest_of(expected, piece, 20) == zeros)
            }
            PieceHashes::V2(expected) => {
                let leaf = *cache
                    .leaf
                    .get_or_insert_with(|| hash::sha256(&ZEROS[..LEAF]));
                let mut leaves = vec![leaf; len as usize / LEAF];
                if !len.is_multiple_of(LEAF as u64) {
                    leaves.push(hash::sha256(&ZEROS[..len as usize % LEAF]));
                }
                digest_of(expected, piece, 32) == merkle_root(leaves, self.leaf_width(piece))
            }
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
            views.iter().try_for_each(PieceView::check)?;
        }
        Ok(out)
    }
}

/// Digests of zeros that were needed before.
#[derive(Debug, Default)]
pub(crate) struct ZeroDigests {
    v1: Option<(u64, [u8; 20])>,
    leaf: Option<[u8; 32]>,
}

fn sha1_of_zeros(len: u64) -> [u8; 20] {
    let whole = (len / ZEROS.len() as u64) as usize;
    let mut parts: Vec<&[u8]> = vec![&ZEROS; whole];
    parts.push(&ZEROS[..len as usize % ZEROS.len()]);
    let mut out = [[0; 20]];
    hash::sha1_many_parts(&[&parts], &mut out);
    out[0]
}

fn digest_of(all: &Bytes, piece: PieceIndex, len: usize) -> &[u8] {
    all.get(piece.index() * len..(piece.index() + 1) * len)
        .unwrap_or_default()
}

/// The root over `leaves`, padded with zero leaves to `width`, a power of two (BEP 52).
fn merkle_root(mut leaves: Vec<[u8; 32]>, width: usize) -> [u8; 32] {
    leaves.resize(width.max(1), [0; 32]);
    while leaves.len() > 1 {
        let mut above = vec![[0; 32]; leaves.len() / 2];
        hash::sha256_pairs(&leaves, &mut above);
        leaves = above;
    }
    leaves[0]
}
