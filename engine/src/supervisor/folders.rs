//! The folders that content goes to, each path in memory once, however many torrents have it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::TorrentStatus;

/// Paths above which those are looked for that no torrent has any more.
const MANY: usize = 64;

/// Paths that torrents share.
#[derive(Debug)]
pub(super) struct Folders {
    paths: BTreeSet<Arc<Path>>,
    /// Above so many, those that nobody has are let go.
    most: usize,
}

impl Default for Folders {
    fn default() -> Self {
        Self {
            paths: BTreeSet::new(),
            most: MANY,
        }
    }
}

impl Folders {
    /// Has a status say when its torrent was added, and its folder with the path that others have as well.
    pub(super) fn share(&mut self, added: i64, status: &mut Arc<TorrentStatus>) {
        let known = self.paths.get(&status.dir).map(Arc::clone);
        if known.is_none() {
            self.keep(Arc::clone(&status.dir));
        }
        let known = known.filter(|known| !Arc::ptr_eq(known, &status.dir));
        if known.is_none() && status.added == added {
            return;
        }
        let status = Arc::make_mut(status);
        status.added = added;
        if let Some(known) = known {
            status.dir = known;
        }
    }

    fn keep(&mut self, path: Arc<Path>) {
        if self.paths.len() >= self.most {
            self.paths.retain(|path| Arc::strong_count(path) > 1);
            self.most = MANY.max(self.paths.len() * 2);
        }
        self.paths.insert(path);
    }
}

/// Seconds since 1970.
pub(super) fn seconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::asleep::status_of;

    fn status(dir: &str) -> Arc<TorrentStatus> {
        let hashes = protocol::id::InfoHashes::v1(protocol::id::InfoHash([7; 20]));
        let record = state::Torrent::new(hashes, "a".to_owned(), dir.into(), 5);
        Arc::new(status_of(crate::TorrentId(1), &record))
    }

    #[test]
    fn torrents_of_one_folder_share_its_path_and_paths_that_nobody_has_are_let_go() {
        let mut folders = Folders::default();
        let (mut one, mut other) = (status("/a"), status("/a"));
        folders.share(5, &mut one);
        folders.share(6, &mut other);
        assert!(Arc::ptr_eq(&one.dir, &other.dir));
        assert_eq!((one.added, other.added), (5, 6));
        for number in 0..10 * MANY {
            folders.share(5, &mut status(&format!("/{number}")));
            assert!(folders.paths.len() <= MANY, "{number}");
        }
        assert!(folders.paths.contains(&one.dir));
    }
}
