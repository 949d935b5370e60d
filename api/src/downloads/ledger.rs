//! What is known of torrents beside their status: what they moved in earlier runs, and how their trackers stand.
//!
//! Both take a question to the torrent, or a look at the disk, so that they are asked for once and then kept until an event says
//! otherwise. Events are taken when somebody asks for the list: nothing is done while nobody does.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{
    Category, EngineHandle, Event, Events, NoEvent, State, TorrentId, TorrentStatus, TrackerState,
    TrackerStatus,
};
use futures_util::stream::{self, StreamExt as _};
use parking_lot::Mutex;
use protocol::id::InfoHash;
use serde::Serialize;

/// Questions to torrents that are under way at a time.
const AT_A_TIME: usize = 64;

/// Events that may wait for the next look; where there are more, all is asked for anew.
const WAITING: usize = 4096;

/// Looks for a moment in which nothing moves between two questions.
const LOOKS: usize = 3;

/// Hashes of torrents that are gone which are remembered.
const GONE: usize = 10_000;

/// A tracker of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TrackerRow {
    pub(crate) url: String,
    pub(crate) peers: u64,
    pub(crate) status: String,
}

/// What is known of a torrent beside its status.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Bytes from others and to others in earlier runs.
    pub(crate) before: [u64; 2],
    /// `None` while nobody has asked for them, or they are others now.
    pub(crate) trackers: Option<Arc<[TrackerRow]>>,
    /// When it became what it is: a number that rises with each change of any page.
    revision: u64,
}

/// Keeps pages.
pub(crate) struct Ledger(Mutex<Inner>);

struct Inner {
    events: Events,
    pages: BTreeMap<TorrentId, Page>,
    /// The last change of a page.
    revision: u64,
    hashes: BTreeMap<TorrentId, InfoHash>,
}

impl Ledger {
    pub(crate) fn new(engine: &EngineHandle) -> Self {
        let categories = [Category::Status, Category::Trackers].into_iter().collect();
        Self(Mutex::new(Inner {
            events: engine.events(categories, WAITING),
            pages: BTreeMap::new(),
            revision: 0,
            hashes: BTreeMap::new(),
        }))
    }

    /// Has all pages that a list of these torrents needs. Those at rest are not asked for their trackers, for which they would
    /// have to be woken; `awake` names one that is asked in any case.
    pub(crate) async fn fill(
        &self,
        engine: &EngineHandle,
        torrents: &[Arc<TorrentStatus>],
        awake: Option<TorrentId>,
    ) {
        let (new, silent) = {
            let mut inner = self.0.lock();
            inner.take_events(engine);
            inner.lacking(torrents, awake)
        };
        let before = earlier(engine, &new).await;
        let asked = stream::iter(silent).map(|id| async move {
            let trackers = engine.tracker_list(id).await;
            (id, trackers.ok().map(rows))
        });
        let asked = asked.buffer_unordered(AT_A_TIME);
        let trackers: Vec<_> = asked.collect().await;
        if new.is_empty() && trackers.is_empty() {
            return;
        }
        let mut inner = self.0.lock();
        for id in new {
            inner.page(id).before = before.get(&id).copied().unwrap_or_default();
        }
        for (id, rows) in trackers {
            let page = inner.page(id);
            if rows.is_some() {
                page.trackers = rows;
            }
        }
    }

    /// The pages of torrents, in their order, and when the last of them became what it is.
    pub(crate) fn pages(&self, torrents: &[Arc<TorrentStatus>]) -> (Vec<Page>, u64) {
        let inner = self.0.lock();
        let page = |status: &Arc<TorrentStatus>| inner.pages.get(&status.id).cloned();
        let pages = torrents.iter().map(page);
        let pages = pages.map(Option::unwrap_or_default).collect();
        (pages, inner.newest(torrents))
    }

    /// When the last of the pages of these torrents became what it is.
    pub(crate) fn revision(&self, torrents: &[Arc<TorrentStatus>]) -> u64 {
        self.0.lock().newest(torrents)
    }

    /// Remembers the hashes of torrents, by which those are named that are gone later.
    pub(crate) fn note(&self, torrents: &[Arc<TorrentStatus>]) {
        let mut inner = self.0.lock();
        for status in torrents {
            inner.hashes.insert(status.id, status.hashes.wire());
        }
    }

    /// The hashes of torrents that are gone, as far as they were ever told of.
    pub(crate) fn gone(&self, engine: &EngineHandle, removed: &[TorrentId]) -> Vec<String> {
        let mut inner = self.0.lock();
        let known = removed.iter().filter_map(|id| inner.hashes.get(id));
        let known = known.map(InfoHash::to_string).collect();
        let most = engine.snapshot().torrents.len() + 2 * GONE;
        // Their numbers rise, so that the first are the longest here; those that are still there are noted again when they change.
        if inner.hashes.len() > most {
            inner.hashes.retain(|id, _| engine.status(*id).is_some());
        }
        known
    }
}

impl Inner {
    const fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// The torrents of which nothing is known, and those that are to be asked for their trackers.
    fn lacking(
        &self,
        torrents: &[Arc<TorrentStatus>],
        awake: Option<TorrentId>,
    ) -> (Vec<TorrentId>, Vec<TorrentId>) {
        let (mut new, mut silent) = (Vec::new(), Vec::new());
        for status in torrents {
            let page = self.pages.get(&status.id);
            let asks = is_at_work(&status.state) || awake == Some(status.id);
            if page.is_none() {
                new.push(status.id);
            }
            if asks && page.is_none_or(|page| page.trackers.is_none()) {
                silent.push(status.id);
            }
        }
        (new, silent)
    }

    /// The page of a torrent, to be written anew.
    fn page(&mut self, id: TorrentId) -> &mut Page {
        let revision = self.next_revision();
        let page = self.pages.entry(id).or_default();
        page.revision = revision;
        page
    }

    fn newest(&self, torrents: &[Arc<TorrentStatus>]) -> u64 {
        let pages = torrents.iter();
        let pages = pages.filter_map(|status| self.pages.get(&status.id));
        pages.map(|page| page.revision).max().unwrap_or_default()
    }

    /// Lets go of what events say is another now.
    fn take_events(&mut self, engine: &EngineHandle) {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.take(&event),
                Err(NoEvent::Missed(_)) => self.doubt(engine),
                Err(NoEvent::Empty | NoEvent::Closed | _) => return,
            }
        }
    }

    /// Lets go of what may be another now. What torrents moved in earlier runs stays what it was.
    fn doubt(&mut self, engine: &EngineHandle) {
        let revision = self.next_revision();
        self.pages.retain(|id, page| {
            if page.trackers.take().is_some() {
                page.revision = revision;
            }
            engine.status(*id).is_some()
        });
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of all that happens only this is of interest"
    )]
    fn take(&mut self, event: &Event) {
        match event {
            Event::Removed { id, .. } => {
                self.pages.remove(id);
            }
            Event::MetadataReceived { id, .. }
            | Event::Paused { id }
            | Event::Resumed { id }
            | Event::StateChanged { id, .. }
            | Event::TrackerAnnounce { id, .. }
            | Event::TrackerError { id, .. }
            | Event::TrackerReply { id, .. }
            | Event::TrackerWarning { id, .. }
            | Event::TrackersChanged { id, .. } => {
                let revision = self.next_revision();
                if let Some(page) = self.pages.get_mut(id) {
                    page.trackers = None;
                    page.revision = revision;
                }
            }
            _ => {}
        }
    }
}

/// Whether a torrent can be asked without being woken.
pub(crate) const fn is_at_work(state: &State) -> bool {
    !matches!(state, State::Paused | State::Queued)
}

/// What torrents moved in earlier runs, where that is known.
async fn earlier(engine: &EngineHandle, ids: &[TorrentId]) -> BTreeMap<TorrentId, [u64; 2]> {
    let moved = |id: &TorrentId| {
        let status = engine.status(*id)?;
        Some([status.downloaded, status.uploaded])
    };
    let mut known = BTreeMap::new();
    let mut asked = ids.to_vec();
    for _ in 0..LOOKS {
        let before: Vec<_> = asked.iter().map(moved).collect();
        let Ok(histories) = engine.histories(asked.clone()).await else {
            break;
        };
        let mut again = Vec::new();
        for ((id, before), all) in asked.into_iter().zip(before).zip(histories) {
            let (Some(now), Ok(all)) = (moved(&id), all) else {
                continue;
            };
            let earlier = [
                all.downloaded.saturating_sub(now[0]),
                all.uploaded.saturating_sub(now[1]),
            ];
            known.insert(id, earlier);
            if before != Some(now) {
                again.push(id);
            }
        }
        asked = again;
        if asked.is_empty() {
            break;
        }
    }
    known
}

/// A hybrid is announced under both of its hashes: its trackers are told once.
fn rows(trackers: Vec<TrackerStatus>) -> Arc<[TrackerRow]> {
    let mut rows: Vec<TrackerRow> = Vec::new();
    for tracker in trackers {
        let count = |count: Option<u32>| u64::from(count.unwrap_or_default());
        let peers = count(tracker.swarm.seeds) + count(tracker.swarm.leechers);
        match rows.iter_mut().find(|row| row.url == tracker.url) {
            Some(row) => row.peers = row.peers.max(peers),
            None => rows.push(TrackerRow {
                peers,
                status: words(tracker.state, tracker.message),
                url: tracker.url,
            }),
        }
    }
    rows.into()
}

fn words(state: TrackerState, message: Option<String>) -> String {
    let usual = match state {
        TrackerState::Working => return "Working".to_owned(),
        TrackerState::Announcing => "Updating",
        TrackerState::Untried => "Not contacted yet",
        TrackerState::GivenUp => "Disabled",
        TrackerState::Failed(_) | _ => "Not working",
    };
    message.unwrap_or_else(|| usual.to_owned())
}

#[cfg(test)]
mod tests {
    use engine::{AddTorrent, Source};
    use protocol::magnet::Magnet;

    use super::*;
    use crate::testing::Scene;

    #[tokio::test(flavor = "multi_thread")]
    async fn where_events_were_missed_all_is_asked_for_again_that_may_be_another() {
        let scene = Scene::start().await;
        let engine = scene.engine();
        let mut ids = Vec::new();
        for byte in ["aa", "bb"] {
            let link = format!("magnet:?xt=urn:btih:{}", byte.repeat(20));
            let source = Source::Magnet(Box::new(Magnet::parse(&link).unwrap()));
            let add = AddTorrent::new(source, scene.dir.path().to_owned());
            let id = engine.add(add).await.unwrap();
            scene.until(&byte.repeat(20), "DLSTATUS_METADATA").await;
            ids.push(id);
        }
        let torrents = ids.iter().map(|id| engine.status(*id).unwrap());
        let torrents: Vec<_> = torrents.collect();
        let ledger = Ledger::new(engine);
        ledger.fill(engine, &torrents, None).await;
        let (pages, revision) = ledger.pages(&torrents);
        assert!(pages.iter().all(|page| page.trackers.is_some()));
        let gone = br#"{"remove_data":false}"#;
        let path = format!("/downloads/{}", "bb".repeat(20));
        scene.ask("DELETE", &path, gone).await;
        {
            let mut inner = ledger.0.lock();
            inner.pages.get_mut(&ids[0]).unwrap().before = [7, 8];
            inner.doubt(engine);
            assert_eq!(inner.pages.len(), 1);
            assert_eq!(inner.pages[&ids[0]].before, [7, 8]);
            assert!(inner.pages[&ids[0]].trackers.is_none());
        }
        let doubted = ledger.revision(&torrents);
        assert!(doubted > revision);
        ledger.fill(engine, &torrents[..1], None).await;
        let (pages, filled) = ledger.pages(&torrents[..1]);
        assert!(pages[0].trackers.is_some() && filled > doubted);
        assert_eq!(pages[0].before, [7, 8]);
    }
}
