//! What the connections of one torrent share once its metadata is known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::bitfield::Bitfield;
use protocol::geometry::{Geometry, PieceIndex, Tails};
use storage::Store;

use crate::trees::Trees;

/// A torrent's content, as its connections see it.
#[derive(Debug)]
pub(crate) struct Content {
    /// The pieces on disk.
    pub(crate) store: Store,
    /// Their lengths.
    pub(crate) geometry: Geometry,
    /// Where they end before their length, in a torrent that is v2 alone.
    pub(crate) tails: Option<Arc<Tails>>,
    /// The raw info dictionary, for peers that have only the info-hash.
    pub(crate) info: Bytes,
    /// Which pieces are verified.
    pub(crate) have: Arc<HaveBoard>,
    /// The hash trees of its files, of a torrent that has a v2 part.
    pub(crate) trees: Option<Arc<Trees>>,
}

/// The verified pieces of a torrent: written by its actor, read by every connection.
///
/// New pieces go into a log. A connection keeps a cursor into it and sends what came since; that is how "we have
/// piece n" reaches a thousand peers without a thousand messages.
#[derive(Debug)]
pub(crate) struct HaveBoard {
    bits: Box<[AtomicU8]>,
    pieces: u32,
    log: Mutex<Vec<PieceIndex>>,
    rung: AtomicUsize,
    waiting: Mutex<BTreeMap<u32, Waker>>,
}

impl HaveBoard {
    /// A board that shows the pieces in `have`.
    pub(crate) fn new(have: &Bitfield) -> Self {
        Self {
            bits: have
                .as_bytes()
                .iter()
                .map(|byte| AtomicU8::new(*byte))
                .collect(),
            pieces: have.len(),
            log: Mutex::default(),
            rung: AtomicUsize::new(0),
            waiting: Mutex::default(),
        }
    }

    /// Whether the piece is verified.
    pub(crate) fn contains(&self, piece: PieceIndex) -> bool {
        self.bits
            .get(piece.index() / 8)
            .is_some_and(|byte| byte.load(Ordering::Relaxed) & mask(piece) != 0)
    }

    /// Shows new pieces; connections learn of them at the next [`HaveBoard::ring`], or before if they look.
    pub(crate) fn add(&self, pieces: &[PieceIndex]) {
        let mut log = self.log.lock();
        for piece in pieces {
            if let Some(byte) = self.bits.get(piece.index() / 8) {
                byte.fetch_or(mask(*piece), Ordering::Relaxed);
            }
        }
        log.extend_from_slice(pieces);
    }

    /// Wakes the connections that wait for new pieces, in the order of their numbers.
    pub(crate) fn ring(&self) {
        let len = self.log.lock().len();
        if self.rung.swap(len, Ordering::AcqRel) != len {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            waiting.into_values().for_each(Waker::wake);
        }
    }

    /// Wakes those of these numbers that wait now, before the next ring.
    pub(crate) fn wake(&self, numbers: impl Iterator<Item = u32>) {
        let woken: Vec<Waker> = {
            let mut waiting = self.waiting.lock();
            numbers.filter_map(|it| waiting.remove(&it)).collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// How often the bell has rung, in a manner of speaking: another number each time.
    pub(crate) fn rung(&self) -> usize {
        self.rung.load(Ordering::Acquire)
    }

    /// Has `waker` woken at the next ring, in the place of connection `number`.
    pub(crate) fn wait(&self, number: u32, waker: &Waker) {
        self.waiting.lock().insert(number, waker.clone());
    }

    /// Connection `number` waits no longer.
    pub(crate) fn leave(&self, number: u32) {
        self.waiting.lock().remove(&number);
    }

    /// All pieces shown now, and the cursor from which on [`HaveBoard::since`] tells of more.
    pub(crate) fn all(&self) -> (Bitfield, usize) {
        let log = self.log.lock();
        let bytes: Vec<u8> = self
            .bits
            .iter()
            .map(|byte| byte.load(Ordering::Relaxed))
            .collect();
        let set = Bitfield::from_bytes(&bytes, self.pieces);
        debug_assert!(
            set.is_ok(),
            "the board was made from a bitfield of this length"
        );
        (
            set.unwrap_or_else(|_| Bitfield::new(self.pieces)),
            log.len(),
        )
    }

    /// Appends the pieces shown since `cursor` to `out`; returns the new cursor.
    pub(crate) fn since(&self, cursor: usize, out: &mut Vec<PieceIndex>) -> usize {
        let log = self.log.lock();
        out.extend_from_slice(log.get(cursor..).unwrap_or_default());
        log.len()
    }
}

const fn mask(piece: PieceIndex) -> u8 {
    0x80 >> (piece.get() % 8)
}

/// Bytes of payload that moved, counted by connections and read by their torrent once a second.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Payload received.
    pub(crate) down: AtomicU64,
    /// Payload sent.
    pub(crate) up: AtomicU64,
    /// Payload received that was of no use.
    pub(crate) wasted: AtomicU64,
}

impl Traffic {
    /// What goes on from so many bytes that came, went, and were of no use.
    pub(crate) const fn since([down, up, wasted]: [u64; 3]) -> Self {
        Self {
            down: AtomicU64::new(down),
            up: AtomicU64::new(up),
            wasted: AtomicU64::new(wasted),
        }
    }

    pub(crate) fn add(counter: &AtomicU64, bytes: u64) {
        counter.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_sees_each_new_piece_once() {
        let geometry = Geometry::new(100, 10).unwrap();
        let piece = |n| geometry.piece(n).unwrap();
        let mut have = Bitfield::new(10);
        have.insert(piece(9));
        let board = HaveBoard::new(&have);
        let (all, cursor) = board.all();
        assert_eq!(all, have);
        board.add(&[piece(1), piece(2)]);
        let mut new = Vec::new();
        let cursor = board.since(cursor, &mut new);
        assert_eq!(new, [piece(1), piece(2)]);
        assert_eq!(board.since(cursor, &mut new), cursor);
        assert_eq!(new.len(), 2);
        assert!(board.contains(piece(1)) && !board.contains(piece(3)));
        assert_eq!(board.all().0.count(), 3);
    }
}
