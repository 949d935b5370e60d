//! The list of torrents stretch by stretch, for whoever reads all of it at a pace of its own and keeps nothing but its place.

use std::ops::Bound;
use std::sync::Arc;

use super::Table;
use crate::{TorrentId, TorrentStatus};

/// Which stretch of the list is asked for.
#[derive(Clone, Copy, Debug)]
pub struct StretchOf {
    /// The torrent behind which it begins; without one it begins with the first.
    pub after: Option<TorrentId>,
    /// The last torrent that may be in it.
    pub through: TorrentId,
    /// Only torrents that were added or have changed since this revision; 0 for all.
    pub since: u64,
    /// So many torrents at most.
    pub most: usize,
}

/// A stretch of the list. Two that were asked for alike and have the same revisions have the same torrents, which stand as they
/// stood but for their age.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// Torrents in the order in which they were added.
    pub torrents: Vec<Arc<TorrentStatus>>,
    /// When one of these changed last, and when any torrent of all was removed last.
    pub revisions: [u64; 2],
}

/// What there is to be told of changes, but for the torrents that have changed.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// As in [`Changes`](super::Changes).
    pub revision: u64,
    /// As in [`Changes`](super::Changes).
    pub whole: bool,
    /// The torrent that was added last, where there is any.
    pub last: Option<TorrentId>,
    /// As in [`Changes`](super::Changes).
    pub removed: Vec<TorrentId>,
}

impl Table {
    pub(super) fn outline(&self, since: u64) -> Outline {
        let whole = since < self.forgotten || since > self.revision;
        let removed = self.removed.iter().rev();
        let removed = removed.take_while(|(revision, _)| !whole && *revision > since);
        let mut removed: Vec<TorrentId> = removed.map(|(_, id)| *id).collect();
        removed.reverse();
        Outline {
            revision: self.revision,
            whole,
            last: self.places.last_key_value().map(|(id, _)| *id),
            removed,
        }
    }

    pub(super) fn stretch(&self, of: &StretchOf) -> Stretch {
        let removal = self.removed.back().map_or(self.forgotten, |last| last.0);
        let mut stretch = Stretch {
            torrents: Vec::new(),
            revisions: [0, removal],
        };
        if of.after.is_some_and(|after| after >= of.through) {
            return stretch;
        }
        let after = of.after.map_or(Bound::Unbounded, Bound::Excluded);
        let places = self.places.range((after, Bound::Included(of.through)));
        let rows = places.filter_map(|(_, place)| {
            let revision = *self.revisions.get(*place as usize)?;
            let row = self.rows.get(*place as usize)?;
            let status = row.status.as_ref().filter(|_| revision > of.since)?;
            Some((revision, status))
        });
        for (revision, status) in rows.take(of.most) {
            stretch.revisions[0] = stretch.revisions[0].max(revision);
            stretch.torrents.push(Arc::clone(status));
        }
        stretch
    }
}
