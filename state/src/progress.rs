//! What a torrent has on disk, and what it has done so far.

use std::collections::BTreeMap;

use protocol::bitfield::Bitfield;
use protocol::geometry::{BLOCK_LEN, MAX_PIECE_LEN, MAX_PIECES};

use crate::codec::{Field, Item, Reader, Record, RecordError, fields, put_bits, record, take_bits};

/// Blocks in the largest acceptable piece.
const MAX_BLOCKS: u32 = MAX_PIECE_LEN / BLOCK_LEN;

/// What a torrent had on disk when it was last looked at.
///
/// # Format
/// `clean`; the start; `wanted`; 0 and the number of pieces where all of them are there, or 1 and the bitfield; the files,
/// each its length plus 1 (0 if it was not there) and its time of change; the partial pieces, each its index and the bits
/// of its blocks. A bitfield is the number of its bits and these, the highest bit of a byte first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Verified pieces.
    pub have: Bitfield,
    /// Written, unverified blocks of pieces, by piece index.
    pub partial: BTreeMap<u32, Bitfield>,
    /// The files as they were, in the order of the metadata.
    pub files: Vec<FileStamp>,
    /// Whether everything had been written and nothing was at work. What is not clean is a hint: check its pieces.
    pub clean: bool,
    /// Which start of the machine this was. What was written before another one may not have reached the disk; empty
    /// where it was synced.
    pub start: Vec<u8>,
    /// Which files were wanted, in ascending order; `None` is all. Bytes of unwanted files lie elsewhere than those of
    /// wanted ones, so that this says nothing about another choice.
    pub wanted: Option<Vec<u32>>,
}

/// A file's length and time of change, by which it is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Bytes, at most `u64::MAX - 1`; `None` if the file is not there.
    pub len: Option<u64>,
    /// Last change of its bytes, in ns since 1970.
    pub mtime: i64,
}

/// By how many hops something goes, whether it is in the store or not: whoever says nothing about that goes on by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// By so many; 0 is the direct way.
    Said(u8),
    /// That was said, and it is not known any more: it may not go the direct way.
    Unknown,
}

/// What a torrent has done since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Payload bytes from others.
    pub downloaded: u64,
    /// Payload bytes to others.
    pub uploaded: u64,
    /// Bytes that came and were of no use.
    pub wasted: u64,
    /// Seconds in which it ran.
    pub active_seconds: u64,
    /// Seconds in which it had everything that was wanted.
    pub finished_seconds: u64,
    /// Seconds in which it had everything.
    pub seeding_seconds: u64,
    /// When payload last came: seconds since 1970.
    pub last_download: Option<i64>,
    /// When payload last went: seconds since 1970.
    pub last_upload: Option<i64>,
    /// When somebody was last seen who has everything: seconds since 1970.
    pub last_seen_complete: Option<i64>,
}

/// What all sessions of a store have done, torrents that are gone counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Payload bytes from others.
    pub downloaded: u64,
    /// Payload bytes to others.
    pub uploaded: u64,
    /// Bytes that came and were of no use.
    pub wasted: u64,
    /// How many sessions there were.
    pub sessions: u64,
    /// How long they lasted together, in seconds.
    pub seconds: u64,
}

record!(Traffic {
    downloaded,
    uploaded,
    wasted,
    active_seconds,
    finished_seconds,
    seeding_seconds,
    last_download,
    last_upload,
    last_seen_complete,
});

record!(Totals {
    downloaded,
    uploaded,
    wasted,
    sessions,
    seconds
});

/// Absent where it is not known.
impl Record for Hops {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Said(hops) => Some(*hops),
            Self::Unknown => None,
        }
        .put(out);
    }

    fn read(_: u8, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let said: Option<u8> = Option::parse(from)?;
        Ok(said.map_or(Self::Unknown, Self::Said))
    }
}

impl Field for FileStamp {
    fn put(&self, out: &mut Vec<u8>) {
        self.len.map_or(0, |len| len.saturating_add(1)).put(out);
        self.mtime.put(out);
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            len: u64::parse(from)?.checked_sub(1),
            mtime: i64::parse(from)?,
        })
    }
}

impl Item for FileStamp {}

/// A set of blocks of a piece.
struct Blocks(Bitfield);

impl Field for Blocks {
    fn put(&self, out: &mut Vec<u8>) {
        put_bits(&self.0, out);
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        take_bits(from, MAX_BLOCKS).map(Self)
    }
}

/// A piece with some of its blocks.
struct Partial {
    piece: u32,
    blocks: Blocks,
}

fields!(Partial { piece, blocks });
impl Item for Partial {}

impl Record for Progress {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Vec<u8>) {
        self.clean.put(out);
        self.start.put(out);
        self.wanted.put(out);
        if self.have.is_full() {
            out.push(0);
            self.have.len().put(out);
        } else {
            out.push(1);
            put_bits(&self.have, out);
        }
        self.files.put(out);
        (self.partial.len() as u64).put(out);
        for (piece, blocks) in &self.partial {
            piece.put(out);
            put_bits(blocks, out);
        }
    }

    fn read(_: u8, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let clean = bool::parse(from)?;
        let start = Vec::parse(from)?;
        let wanted: Option<Vec<u32>> = Option::parse(from)?;
        let damaged = from.damaged();
        let have = match from.byte()? {
            0 => {
                let pieces = u32::parse(from)?;
                (pieces <= MAX_PIECES).then(|| Bitfield::full(pieces))
            }
            1 => Some(take_bits(from, MAX_PIECES)?).filter(|have| !have.is_full()),
            _ => None,
        };
        let have = have.ok_or(damaged)?;
        let files = Vec::parse(from)?;
        let damaged = from.damaged();
        let partial: Vec<Partial> = Vec::parse(from)?;
        let ordered = partial.is_sorted_by(|a, b| a.piece < b.piece);
        let inside = partial.last().is_none_or(|last| last.piece < have.len());
        let wanted_ordered = wanted
            .as_ref()
            .is_none_or(|wanted| wanted.is_sorted_by(|a, b| a < b));
        if !ordered || !inside || !wanted_ordered {
            return Err(damaged);
        }
        let partial = partial.into_iter();
        Ok(Self {
            have,
            partial: partial
                .map(|partial| (partial.piece, partial.blocks.0))
                .collect(),
            files,
            clean,
            start,
            wanted,
        })
    }
}
