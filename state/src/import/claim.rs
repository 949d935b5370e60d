//! What a record says that a torrent has on disk, and whether the files are such that it can be believed.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::fmt;

use protocol::bitfield::Bitfield;
use protocol::geometry::{Geometry, PieceIndex};
use protocol::metainfo::FileEntry;

use crate::FileStamp;

/// What a record says that a torrent has on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Pieces that are said to be there and right.
    pub have: Bitfield,
    /// Blocks of other pieces that are said to be there, by piece index.
    pub partial: BTreeMap<u32, Bitfield>,
    /// Whether the record says so of all pieces: one that was written while a check went on says nothing about the others.
    pub whole: bool,
    /// When files may have changed last.
    pub times: Times,
}

/// By which times of change files are known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Times {
    /// It is not known when the record was written.
    Unknown,
    /// None of them has changed after the record was written: ns since 1970.
    NotAfter(i64),
    /// One for each file, in the order of the metadata.
    Each(Vec<FileTime>),
}

/// By which time of change a file is known again; seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileTime {
    /// The record does not say.
    Unknown,
    /// It has changed last in this second.
    Exactly(i64),
    /// It has not changed after this second.
    NotAfter(i64),
}

/// Why a file is not believed to hold what the record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The file, by its number in the metadata; `None` for the record as a whole.
    pub file: Option<u32>,
    /// What is the matter.
    pub kind: DoubtKind,
}

/// What can be the matter with a file, or with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoubtKind {
    /// It is not there.
    Missing,
    /// It ends before what is said to be in it.
    Short,
    /// It has more bytes than it should.
    Long,
    /// It has changed since the record was written.
    Changed,
    /// The record does not say when it has changed last.
    NoTime,
    /// The record does not say what it has of all pieces.
    Unsaid,
    /// The record says that nothing is there, and something is.
    Surplus,
}

impl fmt::Display for DoubtKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Short => "is too short",
            Self::Long => "is too long",
            Self::Changed => "has changed since the record was written",
            Self::NoTime => "the record does not say when it changed last",
            Self::Unsaid => "the record does not say what is there",
            Self::Surplus => "is there, and the record says nothing of it",
        })
    }
}

impl Times {
    fn doubt(&self, file: usize, mtime: i64) -> Option<DoubtKind> {
        let time = match self {
            Self::Unknown => FileTime::Unknown,
            Self::NotAfter(written) => {
                return (mtime > *written).then_some(DoubtKind::Changed);
            }
            Self::Each(times) => times.get(file).copied().unwrap_or(FileTime::Unknown),
        };
        let seconds = mtime.div_euclid(NANOS);
        let same = match time {
            FileTime::Unknown => return Some(DoubtKind::NoTime),
            FileTime::Exactly(time) => seconds == time,
            FileTime::NotAfter(time) => seconds <= time,
        };
        (!same).then_some(DoubtKind::Changed)
    }
}

const NANOS: i64 = 1_000_000_000;

/// Content, as its metadata lays it out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<'a> {
    pub(super) geometry: Geometry,
    pub(super) files: &'a [FileEntry],
}

impl Layout<'_> {
    /// The pieces that a file reaches into.
    fn pieces(&self, file: &FileEntry) -> impl DoubleEndedIterator<Item = PieceIndex> + use<> {
        let geometry = self.geometry;
        let last = file
            .offset
            .checked_add(file.len)
            .and_then(|end| end.checked_sub(1));
        let span = geometry
            .piece_at(file.offset)
            .zip(last.and_then(|last| geometry.piece_at(last)))
            .filter(|_| file.len > 0);
        let range = span.map(|(first, last)| first.get()..=last.get());
        let range = range.into_iter().flatten();
        range.filter_map(move |index| geometry.piece(index))
    }

    /// Bytes of wanted files that lie in some pieces.
    pub(super) fn bytes_in(&self, have: &Bitfield, wanted: impl Fn(u32) -> bool) -> u64 {
        let stored = (0_u32..).zip(self.files);
        let stored = stored.filter(|(at, file)| file.is_stored() && wanted(*at));
        let bytes = stored.flat_map(|(_, file)| {
            let pieces = self.pieces(file).filter(|piece| have.get(*piece));
            pieces.map(|piece| {
                let from = self.geometry.offset_of(piece).saturating_sub(file.offset);
                self.end_in(file, piece).saturating_sub(from)
            })
        });
        bytes.fold(0, u64::saturating_add)
    }

    /// Where a piece ends in a file that it reaches into.
    fn end_in(&self, file: &FileEntry, piece: PieceIndex) -> u64 {
        let len = u64::from(self.geometry.len_of(piece));
        let end = self.geometry.offset_of(piece).saturating_add(len);
        end.saturating_sub(file.offset).min(file.len)
    }
}

impl Claim {
    /// Takes back what is said of pieces that reach into a file; says how many of them there were.
    fn take_back(&mut self, layout: Layout<'_>, file: &FileEntry) -> u32 {
        let mut taken = 0_u32;
        for piece in layout.pieces(file) {
            let had = self.have.remove(piece);
            let begun = self.partial.remove(&piece.get()).is_some();
            taken = taken.saturating_add(u32::from(had || begun));
        }
        taken
    }

    /// Holds it against the files as they are. What lies in files that are not wanted and are not there is taken back: other
    /// programs keep such bytes elsewhere. Returns how many pieces that were, and what there is to doubt.
    pub(super) fn judge(
        &mut self,
        layout: Layout<'_>,
        stamps: &[FileStamp],
        wanted: impl Fn(u32) -> bool,
    ) -> (u32, Vec<Doubt>) {
        let mut taken = 0_u32;
        let mut doubts = Vec::new();
        let stored = || {
            (0_u32..)
                .zip(layout.files.iter().zip(stamps))
                .filter(|(_, (file, _))| file.is_stored())
        };
        for (at, (file, stamp)) in stored() {
            if !wanted(at) && stamp.len.is_none_or(|len| len < file.len) {
                taken = taken.saturating_add(self.take_back(layout, file));
            }
        }
        if !self.whole {
            doubts.push(Doubt {
                file: None,
                kind: DoubtKind::Unsaid,
            });
        }
        let claims_none = self.have.count() == 0 && self.partial.is_empty();
        for (at, (file, stamp)) in stored() {
            let doubt = if claims_none {
                let there = stamp.len.is_some_and(|len| len > 0) && wanted(at);
                there.then_some(DoubtKind::Surplus)
            } else {
                self.doubt(layout, at, file, *stamp)
            };
            doubts.extend(doubt.map(|kind| Doubt {
                file: Some(at),
                kind,
            }));
        }
        (taken, doubts)
    }

    /// What there is to doubt about a file.
    fn doubt(
        &self,
        layout: Layout<'_>,
        at: u32,
        file: &FileEntry,
        stamp: FileStamp,
    ) -> Option<DoubtKind> {
        let mut claimed = layout.pieces(file).rev();
        let claimed = claimed
            .find(|piece| self.have.get(*piece) || self.partial.contains_key(&piece.get()))?;
        let Some(len) = stamp.len else {
            return Some(DoubtKind::Missing);
        };
        if len > file.len {
            return Some(DoubtKind::Long);
        }
        // Of blocks that were not verified only those are taken up later that the file reaches to.
        if self.have.get(claimed) && len < layout.end_in(file, claimed) {
            return Some(DoubtKind::Short);
        }
        self.times.doubt(at as usize, stamp.mtime)
    }
}
