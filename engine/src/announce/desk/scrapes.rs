//! Scrapes (BEP 48, BEP 15): torrents that ask one tracker at about the same time share a request.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::id::InfoHash;
use protocol::tracker::{MAX_SCRAPE, ScrapeEntry};
use rand::Rng;
use tokio::sync::oneshot;

use crate::announce::desk::Desk;
use crate::announce::exchange::AnnounceError;
use crate::announce::queue::Urgency;
use crate::announce::tracker::{Kind, Tracker};

/// How long a scrape waits for others.
const GATHER: Duration = Duration::from_millis(100);

/// Torrents in one request over HTTP: with more, the URL grows beyond what servers take.
const MOST_HTTP: usize = 50;

/// Trackers that are remembered for answering about one torrent only.
const MOST_SINGLE: usize = 256;

/// A torrent, and whom to tell about it.
type Asked = (
    InfoHash,
    oneshot::Sender<Result<ScrapeEntry, AnnounceError>>,
);

/// Scrapes that wait to be sent, by the address of their tracker.
#[derive(Default)]
pub(super) struct Scrapes {
    gathering: Mutex<BTreeMap<Arc<str>, Vec<Asked>>>,
    /// Trackers that answer only one torrent a request.
    single: Mutex<BTreeSet<Arc<str>>>,
}

impl Desk {
    /// What a tracker knows of a torrent.
    ///
    /// # Cancel safety
    /// Dropping the future loses the answer; others that asked with it get theirs.
    pub(crate) async fn scrape(
        &self,
        tracker: &Tracker,
        torrent: InfoHash,
    ) -> Result<ScrapeEntry, AnnounceError> {
        let (told, answer) = oneshot::channel();
        let first = {
            let mut gathering = self.0.scrapes.gathering.lock();
            let batch = gathering.entry(Arc::clone(&tracker.text)).or_default();
            batch.push((torrent, told));
            batch.len() == 1
        };
        if first {
            let (desk, tracker) = (self.clone(), tracker.clone());
            let work = async move { desk.send_gathered(&tracker).await };
            self.0.pool.spawn(work).detach();
        }
        let gone = || AnnounceError::Unreachable("the engine has stopped".to_owned());
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn send_gathered(&self, tracker: &Tracker) {
        tokio::time::sleep(GATHER).await;
        let all = self.0.scrapes.gathering.lock().remove(&tracker.text);
        let mut all = all.unwrap_or_default();
        while !all.is_empty() {
            let one_by_one = self.0.scrapes.single.lock().contains(&tracker.text);
            let most = match tracker.kind {
                Kind::Http if one_by_one => 1,
                Kind::Http => MOST_HTTP,
                Kind::Udp => MAX_SCRAPE,
            };
            let rest = all.split_off(most.min(all.len()));
            let again = self.send(tracker, std::mem::replace(&mut all, rest)).await;
            all.extend(again);
        }
    }

    /// Sends one request; returns those that have to be asked for by themselves. Nothing is said of a torrent any more for which
    /// nobody waits: it may have left this route.
    async fn send(&self, tracker: &Tracker, mut batch: Vec<Asked>) -> Vec<Asked> {
        let (torrents, outcome) = loop {
            batch.retain(|(_, told)| !told.is_closed());
            let torrents: BTreeSet<InfoHash> = batch.iter().map(|(torrent, _)| *torrent).collect();
            let torrents: Vec<InfoHash> = torrents.into_iter().collect();
            if torrents.is_empty() {
                return Vec::new();
            }
            let left = poll_fn(|cx| {
                let mut all = batch.iter_mut();
                if all.any(|(_, told)| told.poll_closed(cx).is_ready()) {
                    return Poll::Ready(());
                }
                Poll::Pending
            });
            tokio::select! {
                biased;
                () = left => {}
                outcome = self.ask(tracker, &torrents) => break (torrents, outcome),
            }
        };
        let refused = matches!(
            &outcome,
            Err(AnnounceError::Refused { .. } | AnnounceError::Unreadable(_))
        );
        let found = outcome.as_ref().map_or(0, BTreeMap::len);
        // Of many, it knows one or none: it may be one of those that take one at a time.
        let narrow = tracker.kind == Kind::Http && torrents.len() > 1;
        if narrow && (refused || outcome.is_ok() && found <= 1) {
            let mut single = self.0.scrapes.single.lock();
            if single.len() < MOST_SINGLE {
                single.insert(Arc::clone(&tracker.text));
                drop(single);
                return batch;
            }
        }
        for (torrent, told) in batch {
            let _ = told.send(match &outcome {
                Ok(entries) => match (entries.get(&torrent), tracker.kind) {
                    (Some(entry), _) => Ok(*entry),
                    // A tracker that answers and does not know it has nobody for it.
                    (None, Kind::Http) => Ok(ScrapeEntry::default()),
                    (None, Kind::Udp) => Err(AnnounceError::Unreadable("cut short".to_owned())),
                },
                Err(error) => Err(error.clone()),
            });
        }
        Vec::new()
    }

    /// Waits for its turn, and asks.
    async fn ask(
        &self,
        tracker: &Tracker,
        torrents: &[InfoHash],
    ) -> Result<BTreeMap<InfoHash, ScrapeEntry>, AnnounceError> {
        loop {
            let mut turn = self.turn(&tracker.place, Urgency::Scrape).await?;
            let seed = self.0.line.lock().rng.next_u64();
            let exchange = self.0.exchanges.scrape(tracker, torrents, seed);
            if let Some(outcome) = self.0.unless_cut_off(exchange).await {
                turn.ends(&outcome);
                return outcome;
            }
        }
    }
}
