//! What torrents are sorted and filtered by.

use std::sync::Arc;

use crate::TorrentStatus;

/// The figures of one torrent, side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) id: u64,
    pub(super) state: &'static str,
    pub(super) size: u64,
    pub(super) wanted: u64,
    pub(super) done: u64,
    pub(super) downloaded: u64,
    pub(super) uploaded: u64,
    pub(super) wasted: u64,
    pub(super) down_rate: u64,
    pub(super) up_rate: u64,
    pub(super) peers: u32,
    pub(super) seeds: u32,
    pub(super) hops: u8,
    pub(super) blocked: bool,
}

impl Facts {
    pub(super) fn of(status: &TorrentStatus) -> Self {
        Self {
            id: status.id.0,
            state: status.state.word(),
            size: status.size,
            wanted: status.wanted,
            done: status.done,
            downloaded: status.downloaded,
            uploaded: status.uploaded,
            wasted: status.wasted,
            down_rate: status.down_rate,
            up_rate: status.up_rate,
            peers: status.peers as u32,
            seeds: status.seeds as u32,
            hops: status.hops,
            blocked: status.blocked.is_some(),
        }
    }

    /// The share of what is wanted that is there, in a number that is larger where it is larger.
    pub(super) fn progress(&self) -> u64 {
        in_order(self.done as f64 / self.wanted.max(1) as f64)
    }

    /// Bytes sent for each byte of the torrent's size.
    pub(super) fn ratio(&self) -> u64 {
        in_order(self.uploaded as f64 / self.size.max(1) as f64)
    }

    /// Seconds until all that is wanted is there; the most that there are where nothing comes.
    pub(super) fn left(&self) -> u64 {
        let left = self.wanted.saturating_sub(self.done);
        match (left, self.down_rate) {
            (0, _) if self.wanted > 0 => 0,
            (_, 0) => u64::MAX,
            (left, rate) => left.div_ceil(rate),
        }
    }
}

/// A number that orders as this one does, which is 0 or more.
const fn in_order(number: f64) -> u64 {
    number.to_bits()
}

/// Whether a new status says what the old one did, but for the age of the torrent. One that others hold already is compared
/// with its age.
pub(super) fn is_unchanged(old: &TorrentStatus, new: &mut Arc<TorrentStatus>) -> bool {
    let Some(fresh) = Arc::get_mut(new) else {
        return *old == **new;
    };
    let age = std::mem::replace(&mut fresh.age, old.age);
    let unchanged = *old == *fresh;
    fresh.age = age;
    unchanged
}
