//! Where torrents announce, as far as only so many may.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Queue, Runs, Turn};
use crate::TorrentId;

/// Where torrents announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Dht,
    Trackers,
    LocalDiscovery,
}

/// Where a torrent may announce, as far as the queue has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Voices(pub(super) [bool; 3]);

impl Voices {
    /// Everywhere.
    pub(crate) const ALL: Self = Self([true; 3]);

    /// Whether there.
    pub(crate) const fn has(self, voice: Voice) -> bool {
        self.0[voice as usize]
    }
}

impl Queue {
    /// Says who announces where, of those that are in front.
    pub(super) fn give_voices(&mut self, kinds: [Kind; 2], turns: &mut Vec<Turn>) {
        let mut others: BTreeMap<TorrentId, Voices> = BTreeMap::new();
        for voice in 0..3 {
            let due: Option<BTreeSet<TorrentId>> = self.rules.voices[voice].map(|most| {
                let running = kinds
                    .iter()
                    .flat_map(|kind| self.lines[*kind as usize].running());
                running.take(most as usize).collect()
            });
            let (mut gained, mut lost) = (Vec::new(), Vec::new());
            match due {
                Some(due) => {
                    gained.extend(due.iter().copied());
                    lost.extend(self.heard[voice].difference(&due).copied());
                    self.heard[voice] = due;
                }
                // Nobody is told to be silent any more.
                None if std::mem::take(&mut self.lifted[voice]) => {
                    gained.extend(self.entries.keys().copied());
                    self.heard[voice].clear();
                }
                None => {}
            }
            for (id, on) in (gained.into_iter().map(|id| (id, true)))
                .chain(lost.into_iter().map(|id| (id, false)))
            {
                let Some(entry) = self.entries.get_mut(&id) else {
                    continue;
                };
                if entry.runs != Runs::No && entry.voices.0[voice] != on {
                    entry.voices.0[voice] = on;
                    others.insert(id, entry.voices);
                }
            }
        }
        turns.extend(
            others
                .into_iter()
                .map(|(id, voices)| Turn::Voices(id, voices)),
        );
    }
}
