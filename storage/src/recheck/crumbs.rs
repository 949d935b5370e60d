//! Pieces of small files, read into memory: to open, map and unmap a file costs several times what it costs to copy it.
//!
//! A file is opened, read and closed in one go, past the slots of the store, which hold fewer files than such a torrent
//! has. Only what is in the page cache is read here, so that nobody waits; what is not is left to those who read ahead.

use std::fs::File;
use std::sync::Arc;

use protocol::geometry::PieceIndex;

use crate::inner::{Inner, OpenFile};
use crate::platform::{self, Access, Cached, Root, Stat};
use crate::verify::COPIES;
use crate::watch::Call;

/// Copied pieces, one after the other.
#[derive(Debug, Default)]
pub(super) struct Copies {
    pub(super) pieces: Vec<PieceIndex>,
    bytes: Vec<u8>,
    /// Where each piece ends.
    ends: Vec<usize>,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is not all there.
    Absent,
    /// It was copied.
    Copied,
    /// It is none of small files, it is not in memory, or its files can't be opened here.
    Left,
}

/// One thread's hand: keeps the folder open, and the file that the next piece may go on with.
#[derive(Debug)]
pub(super) struct Crumbs<'a> {
    store: &'a Arc<Inner>,
    root: Option<Root>,
    last: Option<(u32, Held)>,
    /// Whether the file system reads without waiting when told so.
    nowait: bool,
}

/// A file, if it is there.
#[derive(Debug)]
enum Held {
    Missing,
    There { file: Handle, len: u64 },
}

#[derive(Debug)]
enum Handle {
    Own(File),
    Shared(Arc<OpenFile>),
}

impl Copies {
    /// Forgets the pieces, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.ends.clear();
    }

    /// The bytes of each piece.
    pub(super) fn parts(&self) -> Vec<Vec<&[u8]>> {
        let mut from = 0;
        let piece = |end: &usize| {
            let bytes = &self.bytes[from..*end];
            from = *end;
            vec![bytes]
        };
        self.ends.iter().map(piece).collect()
    }

    /// Room for one more piece; `None` where it is full.
    fn room(&mut self, len: usize) -> Option<(usize, &mut [u8])> {
        let from = self.ends.last().copied().unwrap_or(0);
        let end = from + len;
        if end > COPIES {
            return None;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        Some((end, &mut self.bytes[from..end]))
    }
}

impl<'a> Crumbs<'a> {
    pub(super) fn new(store: &'a Arc<Inner>) -> Self {
        Self {
            store,
            root: store.open_root(false).ok(),
            last: None,
            nowait: true,
        }
    }

    /// Copies a piece of small files.
    pub(super) fn copy(&mut self, piece: PieceIndex, copies: &mut Copies) -> Outcome {
        let (offset, len) = self.store.hashed_range(piece);
        if !self.store.is_crumbs(offset, len) {
            return Outcome::Left;
        }
        let Some((end, mut room)) = copies.room(len as usize) else {
            return Outcome::Left;
        };
        let store = self.store;
        for segment in store.layout.segments(offset, len) {
            let (now, later) = room.split_at_mut(segment.len as usize);
            room = later;
            match store.locate(segment) {
                None => now.fill(0),
                Some((file, at)) => match self.read(file, at, now) {
                    Outcome::Copied => {}
                    Outcome::Absent => return Outcome::Absent,
                    Outcome::Left => return Outcome::Left,
                },
            }
        }
        copies.pieces.push(piece);
        copies.ends.push(end);
        Outcome::Copied
    }

    fn read(&mut self, number: u32, at: u64, out: &mut [u8]) -> Outcome {
        if self.last.as_ref().is_none_or(|(last, _)| *last != number) {
            // The last one is closed first.
            self.last = None;
            let Some(held) = self.open(number) else {
                return Outcome::Left;
            };
            self.last = Some((number, held));
        }
        let Some((_, Held::There { file, len })) = &self.last else {
            return Outcome::Absent;
        };
        if *len < at + out.len() as u64 {
            return Outcome::Absent;
        }
        if self.store.may(Call::Read, number).is_err() {
            return Outcome::Left;
        }
        self.store.options.budget.0.tally.read();
        let handle = match file {
            Handle::Own(file) => file,
            Handle::Shared(open) => &open.file,
        };
        if self.nowait {
            match platform::read_cached(handle, out, at) {
                Cached::Read => return Outcome::Copied,
                Cached::Elsewhere => return Outcome::Left,
                Cached::Unknown => self.nowait = false,
            }
        }
        match platform::read_exact_at(handle, out, at) {
            Ok(()) => Outcome::Copied,
            Err(_) => Outcome::Left,
        }
    }

    /// The file; `None` where the store itself should see what is the matter.
    fn open(&self, file: u32) -> Option<Held> {
        if let Some(open) = self.store.opened(file) {
            let len = self.store.check(file, &open.file).ok()?.len;
            let file = Handle::Shared(open);
            return Some(Held::There { file, len });
        }
        let root = self.root.as_ref()?;
        match root.open_file(&self.store.relative(file), Access::Read) {
            Ok(file) => {
                let len = Stat::of(&file).ok()?.len;
                let file = Handle::Own(file);
                Some(Held::There { file, len })
            }
            Err(cause) => cause.is_not_found().then_some(Held::Missing),
        }
    }
}
