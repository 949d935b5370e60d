//! What torrents have moved, and for how long: it is counted as they tell it, and kept.

use state::{Amount, Batch, Keeper, StateError, TorrentKey, Traffic};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::history::Histories;
use crate::{CommandError, History, State, TorrentId, TorrentStatus};

use super::Supervisor;
use super::child::Awake;
use super::husbandry::Clock;

impl Supervisor {
    /// Counts what a torrent has moved between two statuses of the same life.
    pub(super) fn count(&mut self, before: &TorrentStatus, now: &TorrentStatus) {
        let Some(session) = &mut self.session else {
            return;
        };
        let moved = [
            now.downloaded.saturating_sub(before.downloaded),
            now.uploaded.saturating_sub(before.uploaded),
            now.wasted.saturating_sub(before.wasted),
        ];
        if moved != [0; 3] || (before.wanted, before.done) != (now.wanted, now.done) {
            session.stirred.insert(now.id);
            for (sum, moved) in session.moved.iter_mut().zip(moved) {
                *sum = sum.saturating_add(moved);
            }
        }
    }

    /// What a torrent has done since it was added, where it has an actor.
    fn traffic(&self, id: TorrentId) -> Option<Traffic> {
        let child = self.torrents.get(&id)?;
        let (awake, status) = (child.awake()?, child.status.as_ref()?);
        Some(awake.traffic(status))
    }

    /// Tells what torrents have done since they were added.
    pub(super) fn histories(&self, ids: &[TorrentId], reply: oneshot::Sender<Histories>) {
        let keeper = self.config.memory.keeper().cloned();
        let mut all = Vec::with_capacity(ids.len());
        let mut at_rest = Vec::new();
        for (place, id) in ids.iter().enumerate() {
            let known = self.child(*id).map(|child| {
                let (awake, status) = (child.awake()?, child.status.as_deref()?);
                Some(History::from(awake.traffic(status)))
            });
            if keeper.is_some() && matches!(known, Ok(None)) {
                at_rest.push((place, TorrentKey(id.0)));
            }
            all.push(known.map(Option::unwrap_or_default));
        }
        match keeper {
            Some(keeper) if !at_rest.is_empty() => self.disk.apart(move || {
                read_histories(&keeper, &at_rest, &mut all);
                // Whoever asked may have gone.
                let _ = reply.send(Ok(all));
            }),
            _ => drop(reply.send(Ok(all))),
        }
    }

    /// Keeps what torrents have done since the last time.
    pub(super) fn keep_traffic(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let stirred = std::mem::take(&mut session.stirred);
        let mut batch = Batch::new();
        for id in &stirred {
            if let Some(traffic) = self.traffic(*id) {
                batch.traffic(TorrentKey(id.0), traffic);
            }
            self.keep_amount(*id);
        }
        self.keep(batch);
        if !stirred.is_empty() {
            self.keep_totals();
        }
    }

    /// Keeps how much there is of a torrent: what is shown of it as long as it has no actor.
    fn keep_amount(&mut self, id: TorrentId) {
        let status = self
            .torrents
            .get(&id)
            .and_then(|child| child.status.clone());
        if let Some(amount) = status.and_then(|status| amount_of(&status)) {
            self.keep_changes(id, |kept| kept.torrent.rested = Some(amount));
        }
    }
}

impl Awake {
    /// What it has done since it was added, by what it has in this life.
    pub(super) fn traffic(&self, status: &TorrentStatus) -> Traffic {
        let [active, finished, seeding] = self.clock.seconds(Instant::now());
        Traffic {
            active_seconds: self.before.active_seconds.saturating_add(active),
            finished_seconds: self.before.finished_seconds.saturating_add(finished),
            seeding_seconds: self.before.seeding_seconds.saturating_add(seeding),
            downloaded: self.before.downloaded.saturating_add(status.downloaded),
            uploaded: self.before.uploaded.saturating_add(status.uploaded),
            wasted: self.before.wasted.saturating_add(status.wasted),
            ..self.before
        }
    }

    /// Its next life begins.
    pub(super) fn end_life(&mut self, last: Option<&TorrentStatus>) {
        if let Some(last) = last {
            self.before = self.traffic(last);
            self.clock = Clock::default();
        }
    }
}

/// Puts what torrents at rest have done into their places.
fn read_histories(
    keeper: &Keeper,
    at_rest: &[(usize, TorrentKey)],
    all: &mut [Result<History, CommandError>],
) {
    let unreadable = |error: StateError| CommandError::Unreadable(error.to_string().into());
    let keys: Vec<TorrentKey> = at_rest.iter().map(|(_, key)| *key).collect();
    let mut read = keeper
        .traffics(&keys)
        .map(Vec::into_iter)
        .map_err(unreadable);
    for (place, _) in at_rest {
        let of = match &mut read {
            Ok(read) => read.next().map(|one| one.map_err(unreadable)),
            Err(error) => Some(Err(error.clone())),
        };
        if let (Some(of), Some(slot)) = (of, all.get_mut(*place)) {
            *slot = of.map(History::from);
        }
    }
}

/// How much there is of a torrent; `None` where that is not known at the moment.
fn amount_of(status: &TorrentStatus) -> Option<Amount> {
    match &status.state {
        State::Downloading | State::Paused | State::Queued | State::Seeding => Some(Amount {
            wanted: status.wanted,
            done: status.done,
        }),
        State::Checking { .. } | State::Error(_) | State::FetchingMetadata => None,
    }
}
