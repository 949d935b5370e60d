//! Reading a file of a torrent while it is fetched.

mod pace;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use actix::Recipient;
use actors::tell_recipient;
use bytes::{Buf as _, Bytes};
use protocol::geometry::PieceIndex;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf, SeekFrom};
use tokio::sync::oneshot;

use self::pace::Pace;
use crate::content::Content;
use crate::disk::Disk;
use crate::torrent::due::{Chunk, read};
use crate::torrent::readers::{ReaderNews, Shared};
use crate::{FileError, TorrentError};

/// Bytes that a reader reads at a time. While these are taken, as many behind them are being read.
const CHUNK: u64 = 256 << 10;

/// How far ahead of a reader a torrent fetches first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadAhead {
    /// Bytes after the one that is read next: they come before all else, in their order. The next piece always does.
    pub bytes: u64,
    /// Bytes per second that will be read, where that is known; it is measured after a while in any case. By this and the
    /// distance it is judged by when a piece has to be there, and so which peers are asked for it.
    pub rate: Option<u64>,
    /// Whether the end of the file is fetched at once as well, where many formats have their index.
    pub ends: bool,
}

/// 16 MiB, and the end of the file.
impl Default for ReadAhead {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            rate: None,
            ends: true,
        }
    }
}

/// Why a [`FileReader`] cannot go on. It comes inside an [`io::Error`], whose [`get_ref`](io::Error::get_ref) can be cast down
/// to it. After those that may pass, a later read goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The torrent was removed.
    #[error("the torrent was removed")]
    Removed,
    /// The engine has stopped, or the torrent was started anew after a failure of this program.
    #[error("the torrent has stopped")]
    Stopped,
    /// The torrent is paused; this may pass.
    #[error("the torrent is paused")]
    Paused,
    /// The file is not wanted any more, and what is to be read is not there; this may pass.
    #[error("the file is not wanted, and not all of it is there")]
    NotWanted,
    /// The torrent has stopped with an error; this may pass.
    #[error(transparent)]
    Failed(TorrentError),
    /// The file could not be read; this may pass.
    #[error(transparent)]
    Storage(FileError),
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::Removed | ReadError::Stopped => io::ErrorKind::NotConnected,
            ReadError::Paused | ReadError::NotWanted => io::ErrorKind::WouldBlock,
            ReadError::Failed(_) | ReadError::Storage(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// What a reader has of its torrent.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) shared: Arc<Shared>,
    pub(crate) torrent: Recipient<ReaderNews>,
    pub(crate) disk: Disk,
}

/// A chunk that is being read.
#[derive(Debug)]
struct Coming {
    chunk: Chunk,
    piece: PieceIndex,
    len: u32,
    /// It was begun before anybody waited for it, and nobody has yet.
    in_time: bool,
}

/// A file of a torrent, to be read from anywhere whether or not it is there: a read waits until the piece that it needs has come
/// and is verified. Made by [`EngineHandle::reader`](crate::EngineHandle::reader).
///
/// What lies before it is fetched before everything else; after a seek, what lies there, and no longer what lay before. A
/// file may have several readers. Dropping one lets the torrent go on as before. A reader has at most 512 KiB in memory, and 1.25 MiB
/// while it reads on and on as fast as the disk.
///
/// # Errors
/// Reads fail with [`ReadError`] inside an [`io::Error`]; seeks only before the start of the file.
///
/// # Cancel safety
/// Reads and seeks can be given up at any time: nothing is lost, and the next read goes on where the last that was ready ended.
#[derive(Debug)]
pub struct FileReader {
    number: u32,
    /// The file in the torrent: its first byte, and the one after its last.
    span: (u64, u64),
    source: Source,
    /// What is read next, counted from the start of the file.
    position: u64,
    /// What was read ahead, of which the first byte is at `position`.
    chunk: Bytes,
    /// What is being read, behind `chunk`, in its order.
    coming: VecDeque<Coming>,
    pace: Pace,
    /// The piece that the torrent was told of last.
    told: Option<PieceIndex>,
    /// Where it waits for pieces.
    waits: Option<Arc<Content>>,
}

impl FileReader {
    pub(crate) fn new(number: u32, span: (u64, u64), source: Source) -> Self {
        Self {
            number,
            span,
            source,
            position: 0,
            chunk: Bytes::new(),
            coming: VecDeque::new(),
            pace: Pace::default(),
            told: None,
            waits: None,
        }
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// Bytes of the file.
    pub const fn len(&self) -> u64 {
        self.span.1 - self.span.0
    }

    /// Whether the file has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is read next, counted from the start of the file.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes, as they were read: some, and so many at most; none at the end of the file. Whoever hands bytes on copies
    /// nothing with this.
    ///
    /// # Errors
    /// As reads.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next_bytes(&mut self, most: usize) -> io::Result<Bytes> {
        if self.position >= self.len() || most == 0 {
            return Ok(Bytes::new());
        }
        poll_fn(|cx| self.poll_chunk(cx)).await?;
        let len = self.chunk.len().min(most);
        self.position += len as u64;
        Ok(self.chunk.split_to(len))
    }

    /// Notes where it is, and has the torrent know when that is another piece.
    fn note(&mut self, content: Option<&Content>, jump: bool) {
        let at = self.span.0 + self.position;
        let shared = &self.source.shared;
        shared.at.store(at, Ordering::Relaxed);
        if jump {
            shared.jumped.store(true, Ordering::Release);
        }
        let piece = content.and_then(|content| content.geometry.piece_at(at));
        if !jump && piece == self.told {
            return;
        }
        self.told = piece;
        if !shared.told.swap(true, Ordering::AcqRel) {
            tell_recipient(&self.source.torrent, ReaderNews::Moved(self.number));
        }
    }

    /// What there is to read from, if what is to be read next is there.
    fn poll_there(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Arc<Content>, PieceIndex)>> {
        let at = self.span.0 + self.position;
        let (content, hindered) = {
            let mut state = self.source.shared.state.lock();
            if let Some(error) = &state.ended {
                return Poll::Ready(Err(error.clone().into()));
            }
            state.waker = Some(cx.waker().clone());
            (state.content.clone(), state.hindered.clone())
        };
        let piece = content.as_ref().and_then(|content| {
            let piece = content.geometry.piece_at(at)?;
            Some((content, piece))
        });
        let piece = piece.map(|(content, piece)| (Arc::clone(content), piece));
        let Some((content, piece)) = piece else {
            return match hindered {
                Some(error) => Poll::Ready(Err(error.into())),
                None => Poll::Pending,
            };
        };
        self.note(Some(&content), false);
        // Whoever shows it between the two looks wakes us.
        content.have.wait(self.number, cx.waker());
        if content.have.contains(piece) {
            content.have.leave(self.number);
            return Poll::Ready(Ok((content, piece)));
        }
        if let Some(error) = hindered {
            content.have.leave(self.number);
            return Poll::Ready(Err(error.into()));
        }
        self.waits = Some(content);
        Poll::Pending
    }

    /// Has what comes behind the chunk read, while that is taken, where it is there.
    fn read_ahead(&mut self) {
        let coming: u64 = self.coming.iter().map(|it| u64::from(it.len)).sum();
        let mut at = self.span.0 + self.position + self.chunk.len() as u64 + coming;
        if self.coming.len() >= self.pace.depth() || at >= self.span.1 {
            return;
        }
        let Some(content) = self.source.shared.state.lock().content.clone() else {
            return;
        };
        while self.coming.len() < self.pace.depth()
            && at < self.span.1
            && let Some(piece) = content.geometry.piece_at(at)
            && content.have.contains(piece)
        {
            at += u64::from(self.begin(&content, (piece, at), true));
        }
    }

    /// Begins to read a chunk from a piece that is there; says how many bytes it will have.
    fn begin(
        &mut self,
        content: &Arc<Content>,
        (piece, at): (PieceIndex, u64),
        in_time: bool,
    ) -> u32 {
        let geometry = &content.geometry;
        let end = geometry.offset_of(piece) + u64::from(geometry.len_of(piece));
        // A part of a chunk: it fits.
        let len = end.min(self.span.1).min(at + CHUNK).saturating_sub(at) as u32;
        let (done, chunk) = oneshot::channel();
        self.coming.push_back(Coming {
            chunk,
            piece,
            len,
            in_time,
        });
        let content = Arc::clone(content);
        self.source.disk.short(move || {
            // It may have been given up.
            let _ = done.send(read(&content, at, len));
        });
        len
    }

    /// Has some of what is to be read next in memory.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            let Some(first) = self.coming.front_mut() else {
                let (content, piece) = ready!(self.poll_there(cx))?;
                self.waits = None;
                let at = self.span.0 + self.position;
                self.begin(&content, (piece, at), false);
                self.read_ahead();
                continue;
            };
            let Poll::Ready(read) = Pin::new(&mut first.chunk).poll(cx) else {
                if std::mem::take(&mut first.in_time) {
                    self.pace.note(u64::from(first.len), false);
                }
                return Poll::Pending;
            };
            let (piece, in_time) = (first.piece, first.in_time);
            self.coming.pop_front();
            match read {
                Ok(Ok(bytes)) => {
                    if in_time {
                        self.pace.note(bytes.len() as u64, true);
                    }
                    self.chunk = bytes;
                    let content = self.source.shared.state.lock().content.clone();
                    self.note(content.as_deref(), false);
                    self.read_ahead();
                }
                Ok(Err(error)) => {
                    self.coming.clear();
                    let news = ReaderNews::Unreadable(self.number, piece);
                    tell_recipient(&self.source.torrent, news);
                    return Poll::Ready(Err(ReadError::Storage(error).into()));
                }
                Err(_) => {
                    self.coming.clear();
                    return Poll::Ready(Err(ReadError::Stopped.into()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for FileReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reader = self.get_mut();
        if reader.position >= reader.len() || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        ready!(reader.poll_chunk(cx))?;
        let len = reader.chunk.len().min(buf.remaining());
        let (now, _) = reader.chunk.split_at(len);
        buf.put_slice(now);
        reader.chunk.advance(len);
        reader.position += len as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for FileReader {
    fn start_seek(self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        let reader = self.get_mut();
        let (from, by) = match to {
            SeekFrom::Start(to) => (to, 0),
            SeekFrom::Current(by) => (reader.position, by),
            SeekFrom::End(by) => (reader.len(), by),
        };
        let to = from.checked_add_signed(by).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "before the start of the file")
        })?;
        let ahead = to.checked_sub(reader.position);
        let inside = ahead.filter(|ahead| *ahead < reader.chunk.len() as u64);
        if to == reader.position {
            return Ok(());
        }
        if let Some(ahead) = inside {
            reader.chunk.advance(ahead as usize);
        } else {
            reader.chunk.clear();
            reader.coming.clear();
            reader.pace = Pace::default();
        }
        reader.position = to;
        if inside.is_none() {
            reader.note(None, true);
        }
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}

impl Drop for FileReader {
    fn drop(&mut self) {
        if let Some(content) = &self.waits {
            content.have.leave(self.number);
        }
        tell_recipient(&self.source.torrent, ReaderNews::Gone(self.number));
    }
}
