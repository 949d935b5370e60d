//! Metadata that outlives the process: what a magnet link led to, with the piece layers that came from peers, lies beside
//! the resume data as a .torrent file. The same link needs nobody's help the next time, nor does a .torrent file that came
//! without its piece layers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::Context;
use actors::tell_recipient;
use bytes::Bytes;
use protocol::metainfo::Metainfo;
use state::{Batch, Keeper, TorrentKey};
use storage::Watcher;

use crate::memory::Trouble;
use crate::memory::records::metainfo_of;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::News;
use crate::torrent::starts::StartReply;
use crate::{Event, Memory, Source, state_file};

/// Where the metadata of a torrent is kept.
enum Place {
    File(PathBuf),
    Store(Arc<Keeper>, TorrentKey),
}

impl Torrent {
    /// The file of the metadata of a link, or of a file that lacks some of it.
    pub(super) fn metadata_path(&self) -> Option<PathBuf> {
        match self.metadata_place()? {
            Place::File(path) => Some(path),
            Place::Store(..) => None,
        }
    }

    fn metadata_place(&self) -> Option<Place> {
        let hashes = match &self.add.source {
            Source::Magnet(magnet) => magnet.hashes?,
            Source::Metainfo(metainfo) if !metainfo.has_piece_layers() => metainfo.hashes(),
            Source::Metainfo(_) => return None,
        };
        match &self.setup.memory {
            Memory::None => None,
            Memory::Files(dir) => Some(Place::File(dir.join(format!("{}.torrent", hashes.wire())))),
            Memory::Store(keeper) => {
                let key = TorrentKey(self.id.0);
                Some(Place::Store(Arc::clone(keeper), key))
            }
        }
    }

    /// Keeps the metadata, once nothing of it is missing.
    pub(super) fn remember_metadata(&self) {
        let (Some(place), Some(metainfo)) = (self.metadata_place(), self.metainfo.clone()) else {
            return;
        };
        let (id, supervisor) = (self.id, self.setup.supervisor.clone());
        self.setup.disk.short(move || {
            // Without its piece layers a torrent cannot be written.
            let Ok(bytes) = metainfo.to_bytes() else {
                return;
            };
            if let Err(error) = place.save(bytes) {
                tracing::warn!(%error, "metadata could not be saved");
                let event = Event::Unsaved {
                    id,
                    path: error.path,
                    reason: error.reason,
                };
                tell_recipient(&supervisor, News::Event(event));
            }
        });
    }

    /// Looks for metadata that was kept; [`StartReply::Recalled`] comes back. Says whether there is a place to look at.
    pub(super) fn recall_metadata(&mut self, ctx: &mut Context<Self>) -> bool {
        let Some(place) = self.metadata_place() else {
            return false;
        };
        self.phase = Phase::Opening;
        let (asker, hashes) = (self.ask_to_start(ctx), self.hashes);
        self.setup.disk.short(move || {
            let bytes = place.load();
            let metainfo = bytes.and_then(|bytes| metainfo_of(&bytes, &hashes));
            asker.tell(StartReply::Recalled(metainfo.map(Arc::new)));
        });
        true
    }
}

impl Place {
    /// Keeps the bytes of a .torrent file.
    fn save(&self, bytes: Vec<u8>) -> Result<(), Trouble> {
        match self {
            Self::File(path) => {
                let new = path.with_extension("torrent.new");
                let replaced =
                    state_file::replace((path, &new), &bytes, &Watcher::default(), || Ok(()));
                replaced.map_err(|error| Trouble {
                    path: path.clone(),
                    reason: error.to_string(),
                })
            }
            Self::Store(keeper, key) => {
                let mut batch = Batch::new();
                batch.metainfo(*key, bytes.into());
                let offered = keeper.offer(batch);
                offered.map_err(|error| Trouble::of(keeper, &error))
            }
        }
    }

    fn load(&self) -> Option<Bytes> {
        match self {
            Self::File(path) => read(path).map(Bytes::from),
            Self::Store(keeper, key) => keeper.metainfo(*key).unwrap_or_else(|error| {
                tracing::warn!(torrent = %key, %error, "metadata could not be read");
                None
            }),
        }
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "metadata could not be read");
            }
            None
        }
    }
}

impl Torrent {
    /// Goes on with what was kept, if anything was.
    pub(super) fn on_recalled(&mut self, found: Option<Arc<Metainfo>>, ctx: &mut Context<Self>) {
        let Some(known) = &self.metainfo else {
            return match found {
                Some(metainfo) => self.take_metadata(metainfo, ctx),
                None => self.seek_metadata(ctx),
            };
        };
        if let Some(found) = found {
            let mut whole = Metainfo::clone(known);
            for root in found.files().iter().filter_map(|file| file.root) {
                if let Some(layer) = found.piece_layer(&root) {
                    whole.set_piece_layer(&root, layer.clone());
                }
            }
            self.metainfo = Some(Arc::new(whole));
        }
        self.begin_content(ctx);
    }
}
