//! The order of downloads: each has a number, and the smaller one comes first.
//!
//! Numbers lie apart, so that a torrent can come between two others and only its own number changes. Where there is no room
//! left, all are numbered anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::TorrentId;

/// Between two neighbours where there is room.
const APART: u32 = 1 << 12;

/// Where the first one is put.
const MIDDLE: u32 = 1 << 31;

/// Where a torrent of the queue is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Before all others.
    Top,
    /// Behind all others.
    Bottom,
    /// Before the one that is in front of it.
    Up,
    /// Behind the one that follows it.
    Down,
    /// Behind so many others.
    At(usize),
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Places {
    of: BTreeMap<TorrentId, u32>,
    order: BTreeSet<(u32, TorrentId)>,
}

impl Places {
    /// The number of a torrent.
    pub(crate) fn of(&self, id: TorrentId) -> Option<u32> {
        self.of.get(&id).copied()
    }

    /// The torrents, in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = TorrentId> + '_ {
        self.order.iter().map(|(_, id)| *id)
    }

    /// How many are before a torrent; takes as long as there are.
    pub(crate) fn position(&self, id: TorrentId) -> Option<usize> {
        let number = self.of(id)?;
        Some(self.order.range(..(number, id)).count())
    }

    /// A torrent that had this number before.
    pub(crate) fn put(&mut self, id: TorrentId, number: u32) {
        self.remove(id);
        self.of.insert(id, number);
        self.order.insert((number, id));
    }

    /// A torrent comes behind all others; says its number, and those of others that are another now.
    pub(crate) fn append(&mut self, id: TorrentId) -> Vec<(TorrentId, u32)> {
        self.insert(id, Place::Bottom)
    }

    /// A torrent has no place any more.
    pub(crate) fn remove(&mut self, id: TorrentId) {
        if let Some(number) = self.of.remove(&id) {
            self.order.remove(&(number, id));
        }
    }

    /// Moves a torrent; says which numbers are others now.
    pub(crate) fn shift(&mut self, id: TorrentId, to: Place) -> Vec<(TorrentId, u32)> {
        let Some(number) = self.of(id) else {
            return Vec::new();
        };
        let own = (number, id);
        let before = self.order.range(..own).next_back().copied();
        let after = self.order.range(own..).nth(1).copied();
        if let (Place::Up | Place::Down, Some((other_number, other))) =
            (to, if to == Place::Up { before } else { after })
            && [number, other_number]
                .iter()
                .all(|number| self.is_lone(*number))
        {
            // They change places.
            self.put(id, other_number);
            self.put(other, number);
            return vec![(id, other_number), (other, number)];
        }
        let at = match to {
            Place::Up if before.is_none() => return Vec::new(),
            Place::Down if after.is_none() => return Vec::new(),
            Place::Up => self.position(id).map(|at| Place::At(at.saturating_sub(1))),
            Place::Down => self.position(id).map(|at| Place::At(at + 1)),
            Place::Top | Place::Bottom | Place::At(_) => Some(to),
        };
        self.remove(id);
        self.insert(id, at.unwrap_or(to))
    }

    /// Whether one torrent alone has this number; those that another program has numbered may share one.
    fn is_lone(&self, number: u32) -> bool {
        let all = (number, TorrentId(0))..=(number, TorrentId(u64::MAX));
        self.order.range(all).nth(1).is_none()
    }

    fn insert(&mut self, id: TorrentId, to: Place) -> Vec<(TorrentId, u32)> {
        let before = match to {
            Place::Top | Place::At(0) | Place::Up => None,
            Place::Bottom | Place::Down => self.order.last().copied(),
            Place::At(at) => self.order.iter().take(at).next_back().copied(),
        };
        let after = match before {
            Some(before) => self.order.range(before..).nth(1),
            None => self.order.first(),
        };
        let between = match (before.map(|it| it.0), after.map(|it| it.0)) {
            (None, None) => Some(MIDDLE),
            (Some(before), None) => before.checked_add(APART),
            (None, Some(after)) => after.checked_sub(APART),
            (Some(before), Some(after)) => {
                let middle = before + after.saturating_sub(before) / 2;
                (middle > before && middle < after).then_some(middle)
            }
        };
        if let Some(number) = between {
            self.put(id, number);
            return vec![(id, number)];
        }
        self.number_anew(before, id)
    }

    /// All get other numbers, and a torrent comes behind another or before all.
    fn number_anew(
        &mut self,
        before: Option<(u32, TorrentId)>,
        id: TorrentId,
    ) -> Vec<(TorrentId, u32)> {
        let mut all: Vec<TorrentId> = self.iter().collect();
        let at = before.and_then(|(_, before)| all.iter().position(|one| *one == before));
        all.insert(at.map_or(0, |at| at + 1), id);
        let apart = (u32::MAX / (all.len() as u32 + 1)).clamp(1, APART);
        let first = MIDDLE.saturating_sub(apart.saturating_mul(all.len() as u32 / 2));
        self.of.clear();
        self.order.clear();
        let mut number = first;
        let mut changed = Vec::with_capacity(all.len());
        for id in all {
            self.put(id, number);
            changed.push((id, number));
            number = number.saturating_add(apart);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(places: &Places) -> Vec<u64> {
        places.iter().map(|id| id.0).collect()
    }

    #[test]
    fn torrents_move_up_down_and_anywhere() {
        let mut places = Places::default();
        for id in 0..5 {
            places.append(TorrentId(id));
        }
        assert_eq!(all(&places), [0, 1, 2, 3, 4]);
        for (id, to, due) in [
            (3, Place::Top, [3, 0, 1, 2, 4]),
            (3, Place::Up, [3, 0, 1, 2, 4]),
            (3, Place::Down, [0, 3, 1, 2, 4]),
            (4, Place::Down, [0, 3, 1, 2, 4]),
            (0, Place::Bottom, [3, 1, 2, 4, 0]),
            (2, Place::Up, [3, 2, 1, 4, 0]),
            (3, Place::At(3), [2, 1, 4, 3, 0]),
            (0, Place::At(0), [0, 2, 1, 4, 3]),
            (0, Place::At(99), [2, 1, 4, 3, 0]),
        ] {
            places.shift(TorrentId(id), to);
            assert_eq!(all(&places), due, "{id} {to:?}");
        }
        assert_eq!(places.position(TorrentId(4)), Some(2));
        places.remove(TorrentId(4));
        assert_eq!(places.position(TorrentId(4)), None);
        assert!(places.shift(TorrentId(4), Place::Top).is_empty());
    }

    #[test]
    fn a_move_changes_one_number_until_there_is_no_room() {
        let mut places = Places::default();
        for id in 0..100 {
            places.append(TorrentId(id));
        }
        let mut anew = 0;
        for id in (1..99).cycle().take(1000) {
            let changed = places.shift(TorrentId(id), Place::At(1)).len();
            assert!(changed == 1 || changed == 100, "{changed}");
            anew += usize::from(changed > 1);
        }
        assert!(anew < 200, "numbered anew {anew} times");
    }

    proptest! {
        /// Whatever is moved where, it is as in a list.
        #[test]
        fn places_are_those_of_a_list(
            numbers in prop::collection::vec(0_u32..8, 0..12),
            moves in prop::collection::vec((0_u64..12, 0_usize..5, 0_usize..14), 0..80),
        ) {
            let mut places = Places::default();
            for (id, number) in numbers.iter().enumerate() {
                // Several may have the same.
                places.put(TorrentId(id as u64), *number);
            }
            let mut list = all(&places);
            for (id, what, at) in moves {
                let id = TorrentId(id);
                let to = [Place::Top, Place::Bottom, Place::Up, Place::Down, Place::At(at)][what];
                let changed = places.shift(id, to);
                if let Some(here) = list.iter().position(|one| *one == id.0) {
                    list.remove(here);
                    let there = match to {
                        Place::Top => 0,
                        Place::Bottom => list.len(),
                        Place::Up => here.saturating_sub(1),
                        Place::Down => (here + 1).min(list.len()),
                        Place::At(at) => at.min(list.len()),
                    };
                    list.insert(there, id.0);
                }
                prop_assert_eq!(&all(&places), &list);
                for (id, number) in changed {
                    prop_assert_eq!(places.of(id), Some(number));
                }
                prop_assert_eq!(places.order.len(), places.of.len());
            }
        }
    }
}
