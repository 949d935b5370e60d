//! What was taken from a feed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Episode, Item};

/// Marks that are remembered of a feed, and of each of its rules.
const MOST: usize = 10_000;

/// How often a torrent that cannot be had is tried.
pub(crate) const TRIES: u8 = 5;

/// Items that were tried in vain and are tried again.
const MOST_FAILED: usize = 2000;

/// What something is remembered by: the beginning of the SHA-256 of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark([u8; 8]);

impl Mark {
    /// That of a name.
    pub fn of(name: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        let first = digest.as_ref().first_chunk::<8>();
        Self(first.copied().unwrap_or_default())
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes());
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("no mark"))
    }
}

/// Marks, of which the oldest goes where there is no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Marks {
    order: VecDeque<Mark>,
    all: BTreeSet<Mark>,
}

impl Marks {
    fn add(&mut self, mark: Mark) {
        if !self.all.insert(mark) {
            return;
        }
        self.order.push_back(mark);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }

    /// Those of them that are still met go last.
    fn renew(&mut self, met: &BTreeSet<Mark>) {
        let (met, gone): (VecDeque<Mark>, VecDeque<Mark>) =
            self.order.iter().partition(|mark| met.contains(mark));
        self.order = gone;
        self.order.extend(met);
    }

    fn has(&self, mark: Mark) -> bool {
        self.all.contains(&mark)
    }
}

impl Serialize for Marks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.order)
    }
}

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut marks = Self::default();
        for mark in Vec::<Mark>::deserialize(deserializer)? {
            marks.add(mark);
        }
        Ok(marks)
    }
}

/// What was taken from a feed, and what its server said last; as JSON it is what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// When it was looked at last: seconds since 1970.
    pub looked: Option<i64>,
    /// What the server calls the version that it gave last (`ETag`).
    pub etag: Option<String>,
    /// Of when that version is (`Last-Modified`).
    pub modified: Option<String>,
    taken: Marks,
    failed: BTreeMap<String, u8>,
    episodes: BTreeMap<String, Marks>,
}

impl Memory {
    /// Whether an item was taken, or is no longer tried.
    pub fn has(&self, item: &Item) -> bool {
        self.taken.has(item.mark())
    }

    /// How many were taken, as far as that is remembered.
    pub fn taken(&self) -> usize {
        self.taken.order.len()
    }

    /// An item was taken, by a rule that remembers episodes where one is named.
    pub fn note(&mut self, item: &Item, rule: Option<&str>) {
        let mark = item.mark();
        self.taken.add(mark);
        self.failed.remove(&key(mark));
        if let (Some(rule), Some(episode)) = (rule, Episode::of(&item.title)) {
            let marks = self.episodes.entry(rule.to_owned()).or_default();
            for name in episode.names() {
                marks.add(Mark::of(&name));
            }
        }
    }

    /// An item was tried in vain; says whether it is tried again. It is asked for all of the feed the next time.
    pub fn note_failure(&mut self, item: &Item) -> bool {
        let mark = item.mark();
        self.forget_version();
        let tries = self.failed.entry(key(mark)).or_default();
        *tries = tries.saturating_add(1);
        if *tries < TRIES {
            if self.failed.len() > MOST_FAILED {
                self.failed.pop_first();
            }
            return true;
        }
        self.failed.remove(&key(mark));
        self.taken.add(mark);
        false
    }

    /// These are what the feed has now: what is remembered of others goes first where there is no room.
    pub fn renew(&mut self, items: &[Item]) {
        let met: BTreeSet<Mark> = items.iter().map(Item::mark).collect();
        self.taken.renew(&met);
        let keys: BTreeSet<String> = met.into_iter().map(key).collect();
        self.failed.retain(|mark, _| keys.contains(mark));
    }

    /// It is asked for all of the feed the next time, whether or not that is another version.
    pub fn forget_version(&mut self) {
        (self.etag, self.modified) = (None, None);
    }

    /// What was taken by a rule is forgotten, as far as episodes go.
    pub fn forget_rule(&mut self, rule: &str) {
        self.episodes.remove(rule);
    }

    /// Whether a rule has taken an episode, or all of several.
    pub(crate) fn has_episode(&self, rule: &str, episode: &Episode) -> bool {
        let marks = self.episodes.get(rule);
        let has = |name: &String| marks.is_some_and(|marks| marks.has(Mark::of(name)));
        episode.names().iter().all(has)
    }
}

fn key(mark: Mark) -> String {
    HEXLOWER.encode(&mark.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str) -> Item {
        Item {
            guid: Some(name.to_owned()),
            title: name.to_owned(),
            ..Item::default()
        }
    }

    #[test]
    fn what_was_taken_is_remembered_through_its_bytes() {
        let mut memory = Memory {
            etag: Some("x".to_owned()),
            looked: Some(5),
            ..Memory::default()
        };
        memory.note(&item("Show S01E02"), Some("rule"));
        memory.note(&item("other"), None);
        assert!(memory.note_failure(&item("bad")));
        assert_eq!(memory.etag, None, "it is looked at again");
        let bytes = serde_json::to_vec(&memory).unwrap();
        let back: Memory = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(back, memory);
        assert!(back.has(&item("other")) && !back.has(&item("bad")));
        let episode = Episode::of("show.s01e02").unwrap();
        assert!(back.has_episode("rule", &episode) && !back.has_episode("x", &episode));
    }

    #[test]
    fn what_cannot_be_had_is_tried_a_few_times() {
        let mut memory = Memory::default();
        let again: Vec<bool> = (0..5).map(|_| memory.note_failure(&item("bad"))).collect();
        assert_eq!(again, [true, true, true, true, false]);
        assert!(memory.has(&item("bad")));
    }

    #[test]
    fn what_the_feed_still_has_is_not_forgotten_however_much_comes() {
        let mut memory = Memory::default();
        let lasting = item("lasting");
        memory.note(&lasting, None);
        for round in 0..6 {
            for number in 0..2000 {
                memory.note(&item(&format!("{round}.{number}")), None);
            }
            memory.renew(std::slice::from_ref(&lasting));
        }
        assert_eq!(memory.taken(), MOST);
        assert!(memory.has(&lasting));
        assert!(!memory.has(&item("0.0")) && memory.has(&item("5.1999")));
    }
}
