//! The files of a torrent, told slice by slice: there may be hundreds of thousands, and a client that reads slowly has nothing but its
//! place among them.
//!
//! What slices are written of is asked for once for all who read the files of that torrent in the same moment, and kept while they go on
//! soon; who comes later has it asked for anew. So much is kept at most, however many torrents are read by however many.

use std::sync::Arc;

use engine::{EngineHandle, Priority, TorrentId};
use protocol::metainfo::{FileEntry, Metainfo};
use tokio::time::Instant;

use super::kept::Kept;
use super::shown::File;
use crate::problem::Problem;
use crate::shared::Shared;

/// Bytes of a slice, and what the last file of it has more.
pub(super) const SLICE: usize = 96 << 10;

/// Bytes of inventories that are kept, and what comes with the last of them.
const MOST: usize = 32 << 20;

/// Bytes that a file takes beside its name.
const FILE: usize = 96;

/// Inventories, by their torrents.
pub(crate) type Inventories = Kept<TorrentId, Inventory>;

/// What there is to be told of the files of a torrent.
#[derive(Clone, Debug)]
pub(crate) struct Inventory {
    /// When it was asked for: everything is as it was then, or as it was later.
    asked: Instant,
    /// `None` while the metadata is not there.
    files: Option<Arc<Files>>,
}

impl Inventory {
    /// How many hold the files of it.
    #[cfg(test)]
    pub(super) fn holders(&self) -> usize {
        self.files.as_ref().map_or(0, Arc::strong_count)
    }
}

#[derive(Debug)]
pub(super) struct Files {
    metainfo: Arc<Metainfo>,
    priorities: Vec<Priority>,
    progress: Vec<u64>,
    /// It has everything: of one that is not at work only this is known.
    whole: bool,
}

impl Files {
    /// Those of a torrent with this metadata.
    pub(super) async fn of(
        engine: &EngineHandle,
        id: TorrentId,
        metainfo: Arc<Metainfo>,
    ) -> Result<Self, Problem> {
        let priorities = engine.file_priorities(id).await?;
        let progress = engine.file_progress(id).await?;
        let status = engine.status(id).ok_or_else(Problem::no_download)?;
        Ok(Self {
            metainfo,
            priorities,
            progress,
            whole: status.size > 0 && status.done >= status.size,
        })
    }

    /// All files but those that only fill a place.
    pub(super) fn all(&self) -> Vec<File> {
        let places = 0..self.metainfo.files().len();
        places.filter_map(|index| self.file(index)).collect()
    }

    /// The file with a number; `None` where it only fills a place, or there is none.
    fn file(&self, index: usize) -> Option<File> {
        let file = self.metainfo.files().get(index)?;
        if file.attr.pad {
            return None;
        }
        let done = self.progress.get(index).copied();
        let done = done.unwrap_or(if self.whole { file.len } else { 0 });
        // The name of a torrent of several files is the folder that they are in.
        let skip = usize::from(!self.metainfo.is_single_file());
        let path = file.path.get(skip..).unwrap_or_default();
        Some(File {
            index,
            name: path.join("/"),
            size: file.len,
            included: self.priorities.get(index).is_none_or(|of| of.get() > 0),
            progress: if file.len == 0 {
                1.0
            } else {
                (done as f64 / file.len as f64).min(1.0)
            },
        })
    }
}

/// About how many bytes the files of a torrent take when they are told.
pub(super) fn bytes_of(metainfo: &Metainfo) -> usize {
    let len = |file: &FileEntry| FILE + file.path.iter().map(|part| part.len() + 1).sum::<usize>();
    metainfo.files().iter().map(len).sum()
}

/// About how many bytes it takes to keep them.
fn weight(metainfo: &Metainfo) -> usize {
    bytes_of(metainfo) + size_of_val(metainfo.files())
}

/// A place among the files of a torrent.
#[derive(Debug)]
pub(super) struct Reading {
    id: TorrentId,
    begun: Instant,
    /// The number of the file that is told next.
    next: usize,
    /// No file is told yet.
    is_first: bool,
}

impl Reading {
    /// Before the first file of a torrent, which stands from now on as it is told.
    pub(super) fn of(id: TorrentId) -> Self {
        Self {
            id,
            begun: Instant::now(),
            next: 0,
            is_first: true,
        }
    }

    /// Writes the next slice behind what is there, files with commas between them; says whether there are more.
    ///
    /// # Errors
    /// The torrent is gone, or the engine.
    ///
    /// # Cancel safety
    /// The place is where it was; what was written is of no use.
    pub(super) async fn slice(
        &mut self,
        shared: &Shared,
        out: &mut Vec<u8>,
    ) -> Result<bool, Problem> {
        let Some(files) = self.files(shared).await? else {
            return Ok(false);
        };
        let full = out.len() + SLICE;
        while self.next < files.metainfo.files().len() {
            if out.len() >= full {
                return Ok(true);
            }
            if let Some(file) = files.file(self.next) {
                if !self.is_first {
                    out.push(b',');
                }
                self.is_first = false;
                // There is nothing in it that JSON cannot say.
                let _ = serde_json::to_writer(&mut *out, &file);
            }
            self.next += 1;
        }
        Ok(false)
    }

    /// What is told of the files: kept, where it was asked for since this began.
    async fn files(&self, shared: &Shared) -> Result<Option<Arc<Files>>, Problem> {
        let place = shared.0.inventories.place(self.id, MOST);
        let mut kept = place.what.lock().await;
        if let Some(kept) = &*kept
            && kept.asked >= self.begun
        {
            return Ok(kept.files.clone());
        }
        let (engine, asked) = (shared.engine(), Instant::now());
        let metainfo = engine.metainfo(self.id).await?;
        let weight = metainfo.as_ref().map_or(1, |metainfo| weight(metainfo));
        let files = match metainfo {
            Some(metainfo) => Some(Arc::new(Files::of(engine, self.id, metainfo).await?)),
            None => None,
        };
        place.weigh(weight);
        *kept = Some(Inventory {
            asked,
            files: files.clone(),
        });
        Ok(files)
    }
}
