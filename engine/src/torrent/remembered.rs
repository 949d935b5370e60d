//! Metadata that outlives the process: what a magnet link led to, with the piece layers that came from peers, lies beside
//! the resume data as a .torrent file. The same link needs nobody's help the next time, nor does a .torrent file that came
//! without its piece layers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::{AsyncContext as _, Context};
use actors::{tell, tell_recipient};
use protocol::id::InfoHashes;
use protocol::metainfo::{LoadLimits, Metainfo};

use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::{DiskReply, News};
use crate::{Event, Source, state_file};

impl Torrent {
    /// Where the metadata of a link, or of a file that lacks some of it, is kept.
    pub(super) fn metadata_path(&self) -> Option<PathBuf> {
        let hashes = match &self.add.source {
            Source::Magnet(magnet) => magnet.hashes?,
            Source::Metainfo(metainfo) if !metainfo.has_piece_layers() => metainfo.hashes(),
            Source::Metainfo(_) => return None,
        };
        let dir = self.setup.state_dir.as_deref()?;
        Some(dir.join(format!("{}.torrent", hashes.wire())))
    }

    /// Keeps the metadata, once nothing of it is missing.
    pub(super) fn remember_metadata(&self) {
        let (Some(path), Some(metainfo)) = (self.metadata_path(), self.metainfo.clone()) else {
            return;
        };
        let (id, supervisor) = (self.id, self.setup.supervisor.clone());
        self.setup.disk.short(move || {
            // Without its piece layers a torrent cannot be written.
            let Ok(bytes) = metainfo.to_bytes() else {
                return;
            };
            let new = path.with_extension("torrent.new");
            if let Err(error) = state_file::replace((&path, &new), &bytes, || Ok(())) {
                tracing::warn!(path = %path.display(), %error, "metadata could not be saved");
                let event = Event::Unsaved {
                    id,
                    path,
                    reason: error.to_string(),
                };
                tell_recipient(&supervisor, News::Event(event));
            }
        });
    }

    /// Looks for metadata that was kept; [`DiskReply::Recalled`] comes back. Says whether there is a place to look at.
    pub(super) fn recall_metadata(&mut self, ctx: &mut Context<Self>) -> bool {
        let Some(path) = self.metadata_path() else {
            return false;
        };
        self.phase = Phase::Opening;
        let (me, hashes) = (ctx.address(), self.hashes);
        self.setup.disk.short(move || {
            let metainfo = load(&path, &hashes).map(Arc::new);
            tell(&me, DiskReply::Recalled(metainfo));
        });
        true
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

/// The metadata in a file, if it is of the torrent that has these hashes.
fn load(path: &Path, hashes: &InfoHashes) -> Option<Metainfo> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "metadata could not be read");
            }
            return None;
        }
    };
    let metainfo = Metainfo::from_bytes(&bytes, &LoadLimits::metadata()).ok()?;
    hashes.describe(metainfo.info_bytes()).then_some(metainfo)
}
