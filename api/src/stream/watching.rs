//! Who watches which file: those who read one, and downloads that were told to have one come before all else (`vod_mode`), with how much
//! of what a player begins with is there.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::sync::Arc;

use engine::{EngineHandle, FileReader, ReadAhead, TorrentId, TorrentStatus};
use parking_lot::Mutex;
use protocol::bitfield::Bitfield;
use protocol::metainfo::Metainfo;
use serde_json::{Value, json};
use tokio::io::AsyncSeekExt as _;

use super::{metainfo, open};
use crate::downloads::is_at_work;
use crate::problem::Problem;
use crate::shared::Shared;

/// The first bytes of a file, in which players look for what it is.
const HEADER: u64 = 5 << 20;

/// Its last bytes, where many formats have their index.
const FOOTER: u64 = 1 << 20;

/// The part of a file, one of so many, that is fetched before players begin, where that is longer than [`HEADER`].
const BEFORE: u64 = 20;

/// Who watches files of which torrent now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchers(Arc<Mutex<BTreeMap<TorrentId, Watched>>>);

/// What is watched of a torrent.
#[derive(Debug, Default)]
struct Watched {
    /// The file of each who reads, in the order in which they came.
    readers: Vec<usize>,
    /// The file that comes before all else, and what has its beginning and its end do so.
    chosen: Option<(usize, Vec<FileReader>)>,
}

impl Watched {
    /// The file whose progress is told.
    fn file(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref().map(|(file, _)| *file);
        chosen.or_else(|| self.readers.last().copied())
    }
}

impl Watchers {
    /// Tells of somebody who reads a file, as long as what comes back is held.
    pub(crate) fn enter(&self, id: TorrentId, file: usize) -> Watcher {
        self.0.lock().entry(id).or_default().readers.push(file);
        Watcher {
            all: self.clone(),
            id,
            file,
        }
    }

    /// Those among these of which a file is watched, and which.
    pub(crate) fn among(&self, ids: impl Iterator<Item = TorrentId>) -> Vec<(TorrentId, usize)> {
        let all = self.0.lock();
        if all.is_empty() {
            return Vec::new();
        }
        let watched = ids.filter_map(|id| Some((id, all.get(&id)?.file()?)));
        watched.collect()
    }

    /// Has a file of a download come before all else, what players begin with first: its beginning and its end. It is wanted from then
    /// on, and no other file of the download is chosen so any more. Whether it was not chosen before.
    ///
    /// # Errors
    /// 404 where there is no such file, 409 where its metadata does not come, or where the download stands still.
    pub(crate) async fn choose(
        &self,
        shared: &Shared,
        id: TorrentId,
        file: usize,
    ) -> Result<bool, Problem> {
        let metainfo = metainfo(shared, id).await?;
        let entry = metainfo.files().get(file).filter(|file| !file.attr.pad);
        let entry = entry.ok_or_else(|| Problem::missing("Selected file out of range"))?;
        let mut readers = Vec::new();
        for (at, bytes) in [
            (0, before(entry.len)),
            (entry.len.saturating_sub(FOOTER), FOOTER),
        ] {
            let ahead = ReadAhead {
                bytes,
                ..ReadAhead::default()
            };
            let mut reader = open(shared.engine(), id, file, ahead).await?;
            let sought = reader.seek(SeekFrom::Start(at)).await;
            sought.map_err(|error| Problem::failed(error.to_string()))?;
            readers.push(reader);
        }
        let mut all = self.0.lock();
        // Torrents that were removed in any other way than through the API.
        all.retain(|id, of| !of.readers.is_empty() || shared.engine().status(*id).is_some());
        let before = all.entry(id).or_default().chosen.replace((file, readers));
        Ok(before.is_none_or(|(before, _)| before != file))
    }

    /// No file of this download is chosen any more. Whether one was.
    pub(crate) fn let_go(&self, id: TorrentId) -> bool {
        let mut was = false;
        self.change(id, |of| was = of.chosen.take().is_some());
        was
    }

    /// Changes what is watched of a torrent, and forgets it where that is nothing any more.
    fn change(&self, id: TorrentId, change: impl FnOnce(&mut Watched)) {
        let mut all = self.0.lock();
        let Some(of) = all.get_mut(&id) else {
            return;
        };
        change(of);
        if of.file().is_none() {
            all.remove(&id);
        }
    }
}

/// Somebody who reads.
pub(crate) struct Watcher {
    all: Watchers,
    id: TorrentId,
    file: usize,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let file = self.file;
        self.all.change(self.id, |of| {
            if let Some(at) = of.readers.iter().position(|it| *it == file) {
                of.readers.remove(at);
            }
        });
    }
}

/// Bytes that are fetched before players begin with a file of this length.
fn before(len: u64) -> u64 {
    (len / BEFORE).max(HEADER).min(len)
}

/// How much of what a player begins with is there: shares of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Begun {
    /// Of what is fetched before it begins.
    pub(crate) before: f64,
    /// Of the same, up to the first byte that is missing.
    pub(crate) in_row: f64,
    /// Of the first bytes.
    pub(crate) header: f64,
    /// Of the last bytes.
    pub(crate) footer: f64,
}

impl Begun {
    /// How a change of what is watched is answered.
    pub(crate) async fn answer(
        shared: &Shared,
        (id, hash): (TorrentId, &str),
        modified: bool,
    ) -> Result<Value, Problem> {
        let engine = shared.engine();
        let status = engine.status(id).ok_or_else(Problem::no_download)?;
        let watched = shared.0.watchers.among(std::iter::once(id));
        let begun = match watched.first() {
            Some((_, file)) => Self::of(engine, &status, *file).await,
            None => Self::NOTHING,
        };
        Ok(json!({
            "vod_prebuffering_progress": begun.before,
            "vod_prebuffering_progress_consec": begun.in_row,
            "vod_header_progress": begun.header,
            "vod_footer_progress": begun.footer,
            "vod_mode": !watched.is_empty(),
            "infohash": hash,
            "modified": modified,
        }))
    }

    const NOTHING: Self = Self::all(0.0);
    const WHOLE: Self = Self::all(1.0);

    const fn all(share: f64) -> Self {
        Self {
            before: share,
            in_row: share,
            header: share,
            footer: share,
        }
    }

    /// Of a file of a torrent; where the torrent is at rest and not whole, what it has is not known.
    pub(crate) async fn of(engine: &EngineHandle, status: &TorrentStatus, file: usize) -> Self {
        if status.size > 0 && status.done >= status.size {
            return Self::WHOLE;
        }
        if !is_at_work(&status.state) {
            return Self::NOTHING;
        }
        let metainfo = engine.metainfo(status.id).await.ok().flatten();
        let pieces = engine.pieces(status.id).await.ok();
        let begun = metainfo.zip(pieces);
        let begun = begun.and_then(|(metainfo, pieces)| Self::told_by(&metainfo, &pieces, file));
        begun.unwrap_or(Self::NOTHING)
    }

    /// By the pieces that are there.
    fn told_by(metainfo: &Metainfo, pieces: &Bitfield, file: usize) -> Option<Self> {
        let file = metainfo.files().get(file)?;
        let share = |(from, to): (u64, u64), in_row: bool| {
            let span = (file.offset + from, file.offset + to);
            let there = there(metainfo, pieces, span, in_row);
            if from == to {
                1.0
            } else {
                there as f64 / (to - from) as f64
            }
        };
        let before = (0, before(file.len));
        Some(Self {
            before: share(before, false),
            in_row: share(before, true),
            header: share((0, HEADER.min(file.len)), false),
            footer: share((file.len.saturating_sub(FOOTER), file.len), false),
        })
    }
}

/// Bytes of this span that are there; with `in_row` only those before the first that is missing.
fn there(metainfo: &Metainfo, pieces: &Bitfield, (from, to): (u64, u64), in_row: bool) -> u64 {
    let geometry = metainfo.geometry();
    let (mut at, mut there) = (from, 0);
    while at < to {
        let Some(piece) = geometry.piece_at(at) else {
            break;
        };
        let end = geometry.offset_of(piece) + u64::from(geometry.len_of(piece));
        let end = end.min(to);
        if pieces.get(piece) {
            there += end - at;
        } else if in_row {
            break;
        }
        at = end;
    }
    there
}

#[cfg(test)]
mod tests;
