//! Which torrent has which files: no two write to one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::metainfo::{FileEntry, Metainfo};

use crate::TorrentId;

/// The files of all torrents at work, shared by them. They are compared only with those of torrents that have the same
/// folder or file at the top, so that a claim costs nothing otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    by_top: BTreeMap<PathBuf, Vec<Holder>>,
    /// Number of the last claim.
    last: u64,
}

#[derive(Clone, Debug)]
struct Holder {
    id: TorrentId,
    number: u64,
    metainfo: Arc<Metainfo>,
}

/// The files of one torrent, claimed until this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Claims,
    tops: BTreeSet<PathBuf>,
    number: u64,
}

impl Claims {
    /// Claims the files of a torrent below `dir`, of which it will write those whose numbers `writes` accepts. What the same
    /// torrent has claimed before is its own.
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
        let tops = tops(metainfo).into_iter().map(|top| dir.join(top));
        let tops: BTreeSet<PathBuf> = tops.collect();
        let mut books = self.0.lock();
        for other in tops
            .iter()
            .filter_map(|top| books.by_top.get(top))
            .flatten()
        {
            if other.id == id {
                continue;
            }
            let theirs: BTreeSet<&[String]> = stored(&other.metainfo)
                .map(|(_, file)| file.components())
                .collect();
            let wanted = stored(metainfo).filter(|(at, _)| writes(*at));
            let mut wanted = wanted.map(|(_, file)| file.components());
            if let Some(path) = wanted.find(|path| theirs.contains(path)) {
                return Err(dir.join(path.iter().collect::<PathBuf>()));
            }
        }
        books.last += 1;
        let holder = Holder {
            id,
            number: books.last,
            metainfo: Arc::clone(metainfo),
        };
        for top in &tops {
            let holders = books.by_top.entry(top.clone()).or_default();
            holders.push(holder.clone());
        }
        Ok(Claim {
            claims: self.clone(),
            tops,
            number: holder.number,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut books = self.claims.0.lock();
        for top in &self.tops {
            if let Some(holders) = books.by_top.get_mut(top) {
                holders.retain(|holder| holder.number != self.number);
                if holders.is_empty() {
                    books.by_top.remove(top);
                }
            }
        }
    }
}

/// What the files of a torrent begin with: its name, but for those that lie elsewhere.
fn tops(metainfo: &Metainfo) -> BTreeSet<&str> {
    let mut tops = BTreeSet::new();
    let mut last = "";
    for top in stored(metainfo).filter_map(|(_, file)| file.components().first()) {
        if top != last {
            last = top;
            tops.insert(last);
        }
    }
    tops
}

/// The files that have bytes on disk, with their numbers.
fn stored(metainfo: &Metainfo) -> impl Iterator<Item = (usize, &FileEntry)> {
    let files = metainfo.files().iter().enumerate();
    files.filter(|(_, file)| file.is_stored() && file.len > 0)
}

#[cfg(test)]
mod tests {
    use protocol::metainfo::LoadLimits;

    use super::*;

    fn torrent(name: &str) -> Metainfo {
        let file = "d6:lengthi1e4:pathl1:aee";
        let torrent = format!(
            "d4:infod5:filesl{file}e4:name1:{name}12:piece lengthi16384e6:pieces20:{}ee",
            "x".repeat(20)
        );
        Metainfo::from_bytes(torrent.as_bytes(), &LoadLimits::default()).unwrap()
    }

    #[test]
    fn files_are_kept_from_others_at_the_paths_that_they_have_and_no_longer_at_those_before() {
        let (claims, dir) = (Claims::default(), Path::new("/d"));
        let all = |_| true;
        let [one, other] = ["t", "u"].map(|name| Arc::new(torrent(name)));
        let mut moved = torrent("u");
        moved.set_paths([(0, vec!["t".to_owned(), "a".to_owned()])]);
        let moved = Arc::new(moved);
        let [first, second] = [1, 2].map(TorrentId);
        let held = claims.claim(first, dir, &one, all).unwrap();
        let refused = claims.claim(second, dir, &moved, all).unwrap_err();
        assert_eq!(refused, Path::new("/d/t/a"));
        let mut theirs = claims.claim(second, dir, &other, all).unwrap();
        drop(held);
        // The new claim lasts although the one before ends after it.
        theirs = {
            let next = claims.claim(second, dir, &moved, all).unwrap();
            drop(theirs);
            next
        };
        assert!(claims.claim(first, dir, &one, all).is_err());
        assert!(claims.claim(first, dir, &other, all).is_ok());
        drop(theirs);
        assert!(claims.claim(first, dir, &one, all).is_ok());
        assert!(claims.0.lock().by_top.is_empty());
    }
}
