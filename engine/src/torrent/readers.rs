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
use crate::torrent::picker::MOST_DUE;

/// Readers of one torrent at a time.
const MOST_READERS: usize = 64;

/// Bytes a second that a reader is taken to read until it has read for a while.
const USUAL_RATE: u64 = 1 << 20;

/// The least that a reader is taken to read in a second, so that nothing is due in the far future only.
const LEAST_RATE: u64 = 16 << 10;

/// After how much time the rate of a reader is taken anew.
const RATE_EVERY: Duration = Duration::from_secs(2);

/// What a reader shares with its torrent.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    /// The byte that is read next, counted from the start of the torrent.
    pub(crate) at: AtomicU64,
    /// The torrent was told of a move and has not heard of it yet.
    pub(crate) told: AtomicBool,
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

    /// Takes note that it has moved.
    fn moved(&mut self, now: Instant) {
        let at = self.shared.at.load(Ordering::Relaxed);
        let (from, since) = self.from;
        let ahead = at
            .checked_sub(from)
            .filter(|bytes| *bytes <= self.ahead.bytes);
        let Some(bytes) = ahead else {
            // Elsewhere: the end was read, or is not what it wants.
            self.end_by = None;
            self.from = (at, now);
            return;
        };
        let time = now.saturating_duration_since(since);
        if time >= RATE_EVERY {
            let rate = bytes as f64 / time.as_secs_f64();
            self.rate = (rate as u64).clamp(LEAST_RATE, u64::MAX);
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
