//! Which torrent has which files: no two write to one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::metainfo::{FileEntry, Metainfo};

use crate::TorrentId;

/// The files of all torrents at work, shared by them. They are compared only with those of torrents of the same name in
/// the same folder, so that a claim costs nothing otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Arc<Mutex<BTreeMap<PathBuf, Vec<Holder>>>>);

#[derive(Debug)]
struct Holder {
    id: TorrentId,
    metainfo: Arc<Metainfo>,
}

/// The files of one torrent, claimed until this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Claims,
    top: PathBuf,
    id: TorrentId,
}

impl Claims {
    /// Claims the files of a torrent below `dir`, of which it will write those whose numbers `writes` accepts.
    ///
    /// # Errors
    /// The first file that it would write and another torrent has.
    pub(crate) fn claim(
        &self,
        id: TorrentId,
        dir: &Path,
        metainfo: &Arc<Metainfo>,
        writes: impl Fn(usize) -> bool,
    ) -> Result<Claim, PathBuf> {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let top = dir.join(metainfo.name());
        let mut all = self.0.lock();
        let holders = all.entry(top.clone()).or_default();
        for other in holders.iter().filter(|other| other.id != id) {
            let theirs: BTreeSet<&[String]> = stored(&other.metainfo)
                .map(|(_, file)| file.components())
                .collect();
            let wanted = stored(metainfo).filter(|(at, _)| writes(*at));
            let mut wanted = wanted.map(|(_, file)| file.components());
            if let Some(path) = wanted.find(|path| theirs.contains(path)) {
                return Err(dir.join(path.iter().collect::<PathBuf>()));
            }
        }
        holders.retain(|holder| holder.id != id);
        holders.push(Holder {
            id,
            metainfo: Arc::clone(metainfo),
        });
        Ok(Claim {
            claims: self.clone(),
            top,
            id,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut all = self.claims.0.lock();
        if let Some(holders) = all.get_mut(&self.top) {
            holders.retain(|holder| holder.id != self.id);
            if holders.is_empty() {
                all.remove(&self.top);
            }
        }
    }
}

/// The files that have bytes on disk, with their numbers.
fn stored(metainfo: &Metainfo) -> impl Iterator<Item = (usize, &FileEntry)> {
    let files = metainfo.files().iter().enumerate();
    files.filter(|(_, file)| file.is_stored() && file.len > 0)
}
