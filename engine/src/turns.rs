//! Who may move the files of a torrent: one job at a time, also where the actor that began one is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::TorrentId;

/// Held by a job for as long as it moves files.
pub(crate) type Turn = Arc<Mutex<()>>;

/// The turns of all torrents that move.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeMap<TorrentId, Weak<Mutex<()>>>>>);

impl Turns {
    /// That of a torrent.
    pub(crate) fn of(&self, id: TorrentId) -> Turn {
        let mut all = self.0.lock();
        if let Some(turn) = all.get(&id).and_then(Weak::upgrade) {
            return turn;
        }
        all.retain(|_, turn| turn.strong_count() > 0);
        let turn = Turn::default();
        all.insert(id, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_has_one_turn_for_as_long_as_somebody_holds_it() {
        let turns = Turns::default();
        let [one, other] = [1, 2].map(|id| turns.of(TorrentId(id)));
        assert!(Arc::ptr_eq(&one, &turns.of(TorrentId(1))));
        assert!(!Arc::ptr_eq(&one, &other));
        drop((one, other));
        let _third = turns.of(TorrentId(3));
        assert_eq!(turns.0.lock().len(), 1);
    }
}
