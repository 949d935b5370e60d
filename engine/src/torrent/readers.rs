//! Those who read files of the torrent while it is fetched: what each is about to read is due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use actix::{AsyncContext as _, Context, Handler, Message};
use parking_lot::Mutex;
use protocol::geometry::{Geometry, PieceIndex};

use crate::content::Content;
use crate::peer::driver::now;
use crate::reader::{FileReader, ReadAhead, ReadError, Source};
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::files::{FileError, Reply};
use crate::torrent::picker::{Ahead, MOST_DUE};

/// Readers of one torrent at a time.
const MOST_READERS: usize = 64;

/// Bytes a second that a reader is taken to read until it has read for a while.
const USUAL_RATE: u64 = 1 << 20;

/// The least that a reader is taken to read in a second, so that nothing is due in the far future only.
const LEAST_RATE: u64 = 16 << 10;

/// After how much time the rate of a reader is taken anew, and after how much where it has become more than twice what it was.
const RATE_EVERY: Duration = Duration::from_secs(2);
const RISE_AFTER: Duration = Duration::from_millis(100);

/// What will be read in so much time is begun in its order.
const AHEAD: Duration = Duration::from_secs(10);

/// What a reader shares with its torrent.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    /// The byte that is read next, counted from the start of the torrent.
    pub(crate) at: AtomicU64,
    /// The torrent was told of a move and has not heard of it yet.
    pub(crate) told: AtomicBool,
    /// It did not come there by reading.
    pub(crate) jumped: AtomicBool,
}

/// How it stands with the torrent.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// What can be read from, while the torrent is at work.
    pub(crate) content: Option<Arc<Content>>,
    /// Why what is missing does not come, at the moment.
    pub(crate) hindered: Option<ReadError>,
    /// Why nothing can be read any more.
    pub(crate) ended: Option<ReadError>,
    pub(crate) waker: Option<Waker>,
}

/// A reader has moved on, found its file to be unreadable, or is gone: reader to Torrent; moves not more than one for each piece.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum ReaderNews {
    /// It reads elsewhere now, be it the next piece or far away.
    Moved(u32),
    /// A verified piece could not be read.
    Unreadable(u32, PieceIndex),
    /// It was dropped.
    Gone(u32),
}

/// The readers of a torrent.
#[derive(Debug, Default)]
pub(crate) struct Readers(BTreeMap<u32, Open>);

impl Readers {
    /// Whether nobody reads.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.keys().copied()
    }
}

#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
    file: usize,
    /// The file in the torrent: its first byte, and the one after its last.
    span: (u64, u64),
    ahead: ReadAhead,
    /// Where it was when its rate was taken last, and when that was.
    from: (u64, Instant),
    rate: u64,
    /// When the end of the file is due, until the reader was moved.
    end_by: Option<Instant>,
}

impl Open {
    /// Its pieces that are due.
    fn due(&self, geometry: &Geometry, now: Instant) -> Vec<(Instant, PieceIndex)> {
        let (start, end) = self.span;
        let at = self.shared.at.load(Ordering::Relaxed);
        let mut due = Vec::new();
        let mut next = geometry.piece_at(at).filter(|_| at < end);
        let until = at.saturating_add(self.ahead.bytes).min(end);
        while let Some(piece) = next {
            let begins = geometry.offset_of(piece).max(start);
            // The piece after the one that is read is due in any case, or there is nothing to read ahead.
            if begins >= until && due.len() > 1 || begins >= end || due.len() >= MOST_DUE {
                break;
            }
            let distance = begins.saturating_sub(at) as f64 / self.rate as f64;
            due.push((now + Duration::from_secs_f64(distance), piece));
            next = geometry.piece(piece.get() + 1);
        }
        if let Some(by) = self.end_by
            && let Some(last) = end.checked_sub(1).and_then(|last| geometry.piece_at(last))
        {
            due.push((by, last));
        }
        due
    }

    /// What it will read before long behind the pieces that are due, as far as it can be told.
    fn ahead(&self, geometry: &Geometry) -> Option<Ahead> {
        let at = self.shared.at.load(Ordering::Relaxed);
        let time = AHEAD.as_secs();
        let until = at.saturating_add(self.rate.saturating_mul(time));
        let last = until.min(self.span.1).checked_sub(1)?;
        let from = geometry.piece_at(at)?;
        let to = geometry.piece_at(last)?.get() + 1;
        let farther = until > at.saturating_add(self.ahead.bytes);
        (farther && from.get() < to).then_some(Ahead { from, to })
    }

    /// Takes note that it has moved.
    fn moved(&mut self, now: Instant) {
        let at = self.shared.at.load(Ordering::Relaxed);
        let (from, since) = self.from;
        let jumped = self.shared.jumped.swap(false, Ordering::AcqRel);
        let ahead = at
            .checked_sub(from)
            .filter(|bytes| !jumped || *bytes <= self.ahead.bytes);
        let Some(bytes) = ahead else {
            // Elsewhere: the end was read, or is not what it wants.
            self.end_by = None;
            self.from = (at, now);
            return;
        };
        let time = now.saturating_duration_since(since);
        if time < RISE_AFTER {
            return;
        }
        let rate = (bytes as f64 / time.as_secs_f64()) as u64;
        if time >= RATE_EVERY || rate / 2 > self.rate {
            self.rate = rate.max(LEAST_RATE);
            self.from = (at, now);
        }
    }
}

impl Readers {
    /// The pieces that are due for them, some of them there.
    pub(super) fn due(&self, geometry: &Geometry, now: Instant) -> Vec<(Instant, PieceIndex)> {
        let open = self.0.values();
        open.flat_map(|reader| reader.due(geometry, now)).collect()
    }

    /// What they will read before long.
    pub(super) fn ahead(&self, geometry: &Geometry) -> Vec<Ahead> {
        let open = self.0.values();
        open.filter_map(|reader| reader.ahead(geometry)).collect()
    }

    /// Lets them know that nothing can be read any more.
    pub(super) fn end(&self, why: &ReadError) {
        for reader in self.0.values() {
            let mut state = reader.shared.state.lock();
            state.content = None;
            state.ended.get_or_insert_with(|| why.clone());
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.end(&ReadError::Stopped);
    }
}

impl Torrent {
    /// Lets somebody read a file.
    pub(super) fn open_reader(
        &mut self,
        (file, ahead): (usize, ReadAhead),
        reply: Reply<FileReader>,
        ctx: &mut Context<Self>,
    ) {
        let opened = self.new_reader((file, ahead), ctx);
        let number = opened.as_ref().map_or(0, FileReader::number);
        // Where nobody waits any more it is dropped, and says so.
        let _ = reply.send(opened);
        if self.readers.0.contains_key(&number) {
            self.tend_readers();
            self.refresh_due(now());
        }
    }

    fn new_reader(
        &mut self,
        (file, ahead): (usize, ReadAhead),
        ctx: &mut Context<Self>,
    ) -> Result<FileReader, FileError> {
        let metainfo = self.metainfo.as_ref().ok_or(FileError::NoMetadata)?;
        let entry = metainfo.files().get(file).filter(|file| file.is_stored());
        let entry = entry.ok_or(FileError::NoSuchFile(file))?;
        let span = (entry.offset, entry.offset + entry.len);
        if !self.add.priority(file).is_wanted() {
            return Err(FileError::NotWanted);
        }
        if self.readers.0.len() >= MOST_READERS {
            return Err(FileError::TooMany);
        }
        let shared = Arc::new(Shared::default());
        shared.at.store(span.0, Ordering::Relaxed);
        let number = self.peers.number().0;
        let now = now();
        let open = Open {
            shared: Arc::clone(&shared),
            file,
            span,
            ahead,
            from: (span.0, now),
            rate: ahead.rate.unwrap_or(USUAL_RATE).max(LEAST_RATE),
            end_by: ahead.ends.then_some(now),
        };
        self.readers.0.insert(number, open);
        let source = Source {
            shared,
            torrent: ctx.address().recipient(),
            disk: self.setup.disk.clone(),
        };
        Ok(FileReader::new(number, span, source))
    }

    /// Has those who wait for pieces look at once whether these are theirs, where there are any.
    pub(super) fn wake_readers(&self, new: &[PieceIndex]) {
        if let Phase::Active(active) = &self.phase
            && !new.is_empty()
            && !self.readers.is_empty()
        {
            active.content.have.wake(self.readers.numbers());
        }
    }

    /// Lets readers know how it stands.
    pub(super) fn tend_readers(&self) {
        if self.readers.0.is_empty() {
            return;
        }
        let content = match &self.phase {
            Phase::Active(active) => Some(&active.content),
            Phase::Checking(_)
            | Phase::Failed(..)
            | Phase::Layers(_)
            | Phase::Metadata(_)
            | Phase::Opening
            | Phase::Paused => None,
        };
        let hindered = match &self.phase {
            Phase::Failed(error, _) => Some(ReadError::Failed(error.clone())),
            Phase::Paused => Some(ReadError::Paused),
            Phase::Active(_)
            | Phase::Checking(_)
            | Phase::Layers(_)
            | Phase::Metadata(_)
            | Phase::Opening => None,
        };
        for reader in self.readers.0.values() {
            let unwanted = !self.add.priority(reader.file).is_wanted();
            let hindered = hindered
                .clone()
                .or_else(|| unwanted.then_some(ReadError::NotWanted));
            let mut state = reader.shared.state.lock();
            let same = match (&state.content, content) {
                (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                (None, None) => true,
                (None, Some(_)) | (Some(_), None) => false,
            };
            if same && state.hindered == hindered {
                continue;
            }
            state.content = content.cloned();
            state.hindered = hindered;
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Handler<ReaderNews> for Torrent {
    type Result = ();

    fn handle(&mut self, news: ReaderNews, ctx: &mut Context<Self>) {
        let now = now();
        match news {
            ReaderNews::Moved(number) => {
                if let Some(reader) = self.readers.0.get_mut(&number) {
                    reader.shared.told.store(false, Ordering::Release);
                    reader.moved(now);
                }
            }
            ReaderNews::Unreadable(number, piece) => {
                if self.readers.0.contains_key(&number) {
                    self.look_again(piece, ctx);
                }
            }
            ReaderNews::Gone(number) => {
                self.readers.0.remove(&number);
            }
        }
        self.refresh_due(now);
        self.drive(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = 1 << 18;

    /// A reader of a file of so many pieces.
    fn open(pieces: u64, now: Instant) -> (Open, Geometry) {
        let geometry = Geometry::new(pieces * PIECE, PIECE).unwrap();
        let reader = Open {
            shared: Arc::new(Shared::default()),
            file: 0,
            span: (0, pieces * PIECE),
            ahead: ReadAhead::default(),
            from: (0, now),
            rate: USUAL_RATE,
            end_by: None,
        };
        (reader, geometry)
    }

    fn go(reader: &mut Open, (at, jumped): (u64, bool), now: Instant) {
        reader.shared.at.store(at, Ordering::Relaxed);
        reader.shared.jumped.store(jumped, Ordering::Relaxed);
        reader.moved(now);
    }

    #[test]
    fn who_reads_fast_has_what_it_will_come_to_begun_in_order_and_who_reads_slowly_has_not() {
        let begin = now();
        let (mut reader, geometry) = open(100_000, begin);
        let span = |reader: &Open| {
            let ahead = reader.ahead(&geometry)?;
            Some((u64::from(ahead.from.get()), u64::from(ahead.to)))
        };
        assert_eq!(span(&reader), None, "nothing is known of it");
        // A hundred pieces in a tenth of a second, which is more than lies directly before a reader.
        go(&mut reader, (100 * PIECE, false), begin + RISE_AFTER);
        assert_eq!(reader.rate, 1000 * PIECE);
        assert_eq!(span(&reader), Some((100, 100 + 1000 * AHEAD.as_secs())));
        // Half as fast is not believed at once.
        go(&mut reader, (150 * PIECE, false), begin + RISE_AFTER * 2);
        assert_eq!(reader.rate, 1000 * PIECE);
        // Somebody who jumps has not read what lies between.
        go(&mut reader, (50_000 * PIECE, true), begin + RISE_AFTER * 3);
        assert_eq!(reader.rate, 1000 * PIECE);
        let later = begin + RISE_AFTER * 3 + RATE_EVERY;
        go(&mut reader, (50_002 * PIECE, false), later);
        assert_eq!(reader.rate, PIECE);
        assert_eq!(span(&reader), None);
        // At the end there is nothing left.
        go(&mut reader, (99_000 * PIECE, true), later);
        go(&mut reader, (99_500 * PIECE, false), later + RISE_AFTER);
        assert_eq!(span(&reader), Some((99_500, 100_000)));
        go(
            &mut reader,
            (100_000 * PIECE, false),
            later + RISE_AFTER * 2,
        );
        assert_eq!(span(&reader), None);
    }
}
