//! What has happened, numbered, with the last of it kept: whoever follows is sent it at the pace at which it reads, and hears how
//! much it missed. Nobody who tells something waits for anybody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use engine::{Categories, Category, EngineHandle, Event, NoEvent, TorrentId};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::told;
use crate::source::shown_hash;

/// Events that are kept for those who come later or read slowly.
const KEPT: usize = 4096;

/// Events that may wait to be put here.
const WAITING: usize = 4096;

/// Numbered events. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Bulletin(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Mutex<Ring>,
    /// The number of the last event.
    last: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    told: VecDeque<Arc<Told>>,
}

/// An event.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its number, from 1.
    pub(crate) seq: u64,
    /// What it is about.
    pub(crate) categories: Categories,
    /// Its word.
    pub(crate) word: &'static str,
    /// Its line, a line feed at the end.
    pub(crate) line: Box<[u8]>,
}

/// Somebody who follows what happens.
#[derive(Debug)]
pub(crate) struct Follower {
    bulletin: Bulletin,
    bell: watch::Receiver<u64>,
    /// The number of the last event that it was given, or missed.
    at: u64,
}

/// What there is for a follower.
#[derive(Debug)]
pub(crate) enum News {
    /// An event.
    Told(Arc<Told>),
    /// So many events are no longer there.
    Missed(u64),
}

impl Bulletin {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            ring: Mutex::default(),
            last: watch::Sender::new(0),
        }))
    }

    /// The number of the last event.
    pub(crate) fn last(&self) -> u64 {
        *self.0.last.borrow()
    }

    /// Puts an event here.
    pub(crate) fn tell(
        &self,
        (word, categories): (&'static str, Categories),
        mut line: Map<String, Value>,
    ) {
        let mut ring = self.0.ring.lock();
        ring.last += 1;
        let seq = ring.last;
        line.insert("seq".to_owned(), seq.into());
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        if ring.told.len() == KEPT {
            ring.told.pop_front();
        }
        ring.told.push_back(Arc::new(Told {
            seq,
            categories,
            word,
            line: line.into(),
        }));
        self.0.last.send_replace(seq);
    }

    /// Follows what happens behind the event with this number; without one, from now on.
    pub(crate) fn follow(&self, since: Option<u64>) -> Follower {
        let bell = self.0.last.subscribe();
        let last = self.last();
        Follower {
            bulletin: self.clone(),
            at: since.map_or(last, |since| since.min(last)),
            bell,
        }
    }

    /// Puts here what an engine tells, for as long as it does.
    pub(crate) async fn report(self, engine: EngineHandle) {
        let mut events = engine.events(Categories::USUAL, WAITING);
        let mut hashes = Hashes::default();
        loop {
            match events.recv().await {
                Ok(event) => {
                    hashes.learn(&event, &engine);
                    let line = told::fields(&event, |id| hashes.of(id));
                    self.tell((event.word(), event.categories()), line);
                    hashes.forget(&event);
                }
                Err(NoEvent::Missed(count)) => {
                    self.tell(("missed", Categories::ALL), missed(count));
                }
                Err(NoEvent::Closed | NoEvent::Empty | _) => return,
            }
        }
    }
}

/// The line that says how many events are not there.
pub(crate) fn missed(count: u64) -> Map<String, Value> {
    let fields = [
        ("event".to_owned(), "missed".into()),
        ("count".to_owned(), count.into()),
    ];
    fields.into_iter().collect()
}

impl Follower {
    /// What comes next.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.look() {
                return news;
            }
            if self.bell.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn look(&mut self) -> Option<News> {
        self.bell.borrow_and_update();
        let ring = self.bulletin.0.ring.lock();
        let first = ring.told.front()?.seq;
        let next = self.at.saturating_add(1);
        if next < first {
            let missed = first.saturating_sub(next);
            self.at = first.saturating_sub(1);
            return Some(News::Missed(missed));
        }
        let told = ring
            .told
            .get(usize::try_from(next.checked_sub(first)?).ok()?)?;
        self.at = told.seq;
        Some(News::Told(Arc::clone(told)))
    }
}

/// Which events somebody wants to hear of: by their words and by what they are about; without words, all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    words: Vec<String>,
    categories: Categories,
}

impl Wanted {
    /// What these words stand for.
    ///
    /// # Errors
    /// The word that is neither an event's nor a category's.
    pub(crate) fn of(words: &[String]) -> Result<Self, String> {
        let mut wanted = Self::default();
        for word in words {
            match Category::of_word(word) {
                Some(category) => wanted.categories = wanted.categories.with(category),
                None if is_word(word) => wanted.words.push(word.clone()),
                None => return Err(word.clone()),
            }
        }
        Ok(wanted)
    }

    /// Whether an event is among what is wanted. That some were missed always is.
    pub(crate) fn takes(&self, word: &str, categories: Categories) -> bool {
        let all = self.words.is_empty() && self.categories == Categories::NONE;
        all || self.categories.meets(categories)
            || self.words.iter().any(|wanted| wanted == word)
            || word == "missed"
    }

    /// What has to be listened for beside what everybody is told: of that there is too much to keep.
    pub(crate) fn rare(&self) -> Option<Categories> {
        let rare = Category::EACH.into_iter();
        let rare =
            rare.filter(|it| self.categories.contains(*it) && !Categories::USUAL.contains(*it));
        let rare: Categories = rare.collect();
        (rare != Categories::NONE).then_some(rare)
    }
}

/// What the daemon says of itself.
pub(crate) const OWN: [&str; 7] = [
    "api",
    "metrics",
    "not_reloaded",
    "reloaded",
    "serving",
    "state_saved",
    "stopping",
];

/// Whether it is the word of an event, of the engine's or of the daemon's own.
fn is_word(word: &str) -> bool {
    let own = [
        &OWN[..],
        &super::closings::WORDS,
        &super::habits::WORDS,
        &super::resources::WORDS,
        Event::WORDS,
    ];
    own.iter().any(|words| words.contains(&word))
}

/// The info-hashes of torrents, also of those that were just removed.
#[derive(Debug, Default)]
struct Hashes(BTreeMap<TorrentId, String>);

impl Hashes {
    /// Only of torrents about which something was told of late.
    const MOST: usize = 4096;

    fn of(&self, id: TorrentId) -> Option<String> {
        self.0.get(&id).cloned()
    }

    fn learn(&mut self, event: &Event, engine: &EngineHandle) {
        let Some(id) = told::torrent_of(event) else {
            return;
        };
        let known = self.0.contains_key(&id);
        let changes = matches!(event, Event::MetadataReceived { .. });
        if known && !changes {
            return;
        }
        let hash = if let Event::MetadataReceived { metainfo, .. } = event {
            Some(shown_hash(metainfo.hashes()))
        } else if let Event::Added { hashes, .. } | Event::Removed { hashes, .. } = event {
            Some(shown_hash(*hashes))
        } else {
            told::hash_of(engine, id)
        };
        if let Some(hash) = hash {
            if self.0.len() >= Self::MOST {
                self.0.pop_first();
            }
            self.0.insert(id, hash);
        }
    }

    fn forget(&mut self, event: &Event) {
        // What becomes of its content is told behind that it is removed.
        let last = matches!(
            event,
            Event::DataDeleted { .. } | Event::DeleteFailed { .. }
        );
        if let Some(id) = told::torrent_of(event).filter(|_| last) {
            self.0.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(bulletin: &Bulletin, count: usize) {
        for _ in 0..count {
            bulletin.tell(("added", Category::Status.into()), Map::new());
        }
    }

    fn seq(news: Option<News>) -> Option<u64> {
        match news? {
            News::Told(told) => Some(told.seq),
            News::Missed(_) => None,
        }
    }

    #[test]
    fn events_are_numbered_and_given_to_each_follower_from_where_it_asks() {
        let bulletin = Bulletin::new();
        tell(&bulletin, 3);
        let mut from_now = bulletin.follow(None);
        let mut since = bulletin.follow(Some(1));
        let mut from_later = bulletin.follow(Some(99));
        assert!(from_now.look().is_none() && from_later.look().is_none());
        assert_eq!(seq(since.look()), Some(2));
        tell(&bulletin, 1);
        assert_eq!(seq(since.look()), Some(3));
        for follower in [&mut since, &mut from_now, &mut from_later] {
            assert_eq!(seq(follower.look()), Some(4));
            assert!(follower.look().is_none());
        }
        assert_eq!(bulletin.last(), 4);
    }

    #[test]
    fn whoever_is_too_slow_hears_how_many_it_missed_and_goes_on_with_the_oldest() {
        let bulletin = Bulletin::new();
        let mut slow = bulletin.follow(None);
        tell(&bulletin, KEPT + 10);
        assert!(matches!(slow.look(), Some(News::Missed(10))));
        for due in 11..=(KEPT as u64 + 10) {
            assert_eq!(seq(slow.look()), Some(due));
        }
        assert!(slow.look().is_none());
    }

    #[test]
    fn words_of_events_and_of_categories_choose_and_others_are_refused() {
        let words = |all: &[&str]| {
            all.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let wanted = Wanted::of(&words(&["finished", "trackers"])).unwrap();
        assert!(wanted.takes("finished", Category::Status.into()));
        assert!(wanted.takes("tracker_reply", Category::Trackers.into()));
        assert!(!wanted.takes("added", Category::Status.into()));
        assert!(wanted.takes("missed", Categories::NONE));
        assert!(Wanted::default().takes("added", Category::Status.into()));
        assert_eq!(wanted.rare(), None);
        let rare = Wanted::of(&words(&["pieces", "status"])).unwrap().rare();
        assert_eq!(rare, Some(Category::Pieces.into()));
        assert_eq!(Wanted::of(&words(&["x"])).unwrap_err(), "x");
    }
}
