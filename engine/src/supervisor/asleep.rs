//! Torrents without an actor: they change, show and rest without one, and those that were paused for a while have theirs taken.

use std::sync::Arc;
use std::time::Duration;

use state::{Amount, Batch, Record as _, TorrentKey};

use crate::modes::modes_of;
use crate::torrent::messages::Control;
use crate::torrent::rest::{Sleep, Tired};
use crate::{Labels, State, SwarmCounts, TorrentId, TorrentStatus};

use super::Supervisor;
use super::child::{Life, change_asleep};

impl Supervisor {
    /// Takes the actor of a torrent that does nothing, unless it was told to do something meanwhile.
    pub(super) fn put_to_sleep(&mut self, id: TorrentId, tired: Tired) {
        let Some(child) = self.torrents.get(&id) else {
            return;
        };
        let Some(awake) = child.awake() else { return };
        let waits = awake.add.paused || child.held;
        let rests = waits && !awake.given_up && child.leaving.is_none();
        if !rests || awake.said.get() != tired.heard || awake.kept.is_none() {
            return;
        }
        // What it has done is kept while it is known.
        if let Some(session) = &mut self.session {
            session.stirred.insert(id);
        }
        self.keep_traffic();
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        let Some(record) = child.record() else { return };
        if let (Some(awake), Some(status)) = (child.awake(), child.status.as_deref()) {
            child.given = Some(Box::new((awake.traffic(status), status.size)));
        }
        child.tell(Sleep);
        child.life = Life::Asleep(record.encode().into());
        self.shares.rests(id);
        for name in child.hashes.names() {
            if let Some(route) = self.routes.get(child.hops) {
                route.tags.remove(name);
            }
        }
        if let Some(session) = self.session.as_mut().filter(|_| !tired.settled) {
            session.unsettled.insert(id);
        }
        self.close_idle_routes();
    }

    /// Changes what is kept of a torrent without an actor; `false` where that takes one.
    pub(super) fn change_asleep(&mut self, id: TorrentId, control: &Control) -> bool {
        let Some(child) = self.torrents.get_mut(&id) else {
            return true;
        };
        let Life::Asleep(_) = child.life else {
            return false;
        };
        let Some(mut record) = child.record() else {
            return false;
        };
        let before = record.clone();
        if !change_asleep(&mut record, control) {
            return false;
        }
        if record != before {
            self.keep_asleep(id, record);
        }
        true
    }

    /// A torrent without an actor goes by other hops from now on, which is kept already.
    pub(super) fn moved_asleep(&mut self, id: TorrentId, record: &state::Torrent) {
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        child.hops = record.hops;
        let bytes = state::Record::encode(record).into();
        match &mut child.life {
            Life::Waking(waking) => {
                waking.record = bytes;
                waking.moved = true;
            }
            Life::Asleep(record) => *record = bytes,
            Life::Awake(_) => {}
        }
        self.show(self.status_asleep(id, record));
    }

    /// Shows at once how a torrent stands that has no actor to tell it.
    pub(super) fn show(&mut self, status: TorrentStatus) {
        self.take_status(Arc::new(status));
        self.publish_before_event();
    }

    /// Replaces the record of a torrent without an actor.
    pub(super) fn keep_asleep(&mut self, id: TorrentId, record: state::Torrent) {
        if let Some(child) = self.torrents.get_mut(&id) {
            let bytes = state::Record::encode(&record);
            child.hops = record.hops;
            child.life = Life::Asleep(bytes.into());
        }
        self.show(self.status_asleep(id, &record));
        let mut batch = Batch::new();
        batch.torrent(TorrentKey(id.0), record);
        self.keep(batch);
    }

    /// How a torrent stands that has no actor: what it did in this session is known.
    pub(super) fn status_asleep(&self, id: TorrentId, record: &state::Torrent) -> TorrentStatus {
        let status = status_of(id, record);
        let last = self
            .torrents
            .get(&id)
            .and_then(|child| child.status.as_ref());
        match last {
            None => status,
            Some(last) => TorrentStatus {
                downloaded: last.downloaded,
                uploaded: last.uploaded,
                wasted: last.wasted,
                swarm: last.swarm,
                newer: last.newer,
                age: last.age,
                ..status
            },
        }
    }
}

/// How a torrent stands that has no actor, and had none in this session.
pub(super) fn status_of(id: TorrentId, record: &state::Torrent) -> TorrentStatus {
    let size = record.content.map_or(0, |content| content.len);
    // An earlier version took no note of it.
    let rested = record.rested.unwrap_or_else(|| Amount {
        wanted: size,
        done: record.completed.map_or(0, |_| size),
    });
    TorrentStatus {
        id,
        hashes: record.hashes,
        name: record.name.clone(),
        dir: record.dir.as_path().into(),
        added: record.added,
        labels: Labels::of(record),
        state: if record.switches.paused {
            State::Paused
        } else {
            State::Checking { done: 0, total: 0 }
        },
        modes: modes_of(record),
        queue: record.queue,
        seeding: record.seeding,
        hops: record.hops,
        blocked: None,
        size,
        pieces: record.content.map_or(0, |content| content.pieces),
        wanted: rested.wanted,
        done: rested.done,
        downloaded: 0,
        uploaded: 0,
        wasted: 0,
        down_rate: 0,
        up_rate: 0,
        peers: 0,
        seeds: 0,
        connections: Arc::default(),
        web_seeds: Vec::new(),
        newer: None,
        local_data: Arc::default(),
        moving: None,
        swarm: SwarmCounts::default(),
        age: Duration::ZERO,
        reason: None,
    }
}
