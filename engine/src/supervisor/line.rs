//! The queue at work: who stands in it, who is started and stopped, and in which order.

use std::sync::Arc;

use state::{Batch, Record as _, TorrentKey};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::peer::driver::now;
use crate::queue::places::{Place, Places};
use crate::queue::{Kind, Queue, Rank, Rules, Standing, Turn, Voice, Voices};
use crate::settings::Settings;
use crate::torrent::messages::Control;
use crate::{CommandError, State, TorrentId, TorrentStatus};

use super::Supervisor;
use super::child::{Child, Life};
use super::husbandry::Husbandry;

/// The queue, and what else happens to torrents by themselves.
pub(super) struct Line {
    pub(super) queue: Queue,
    pub(super) places: Places,
    pub(super) husbandry: Husbandry,
    /// All torrents stand still.
    pub(super) halted: bool,
    /// What is told of torrents is not acted upon: they are being put back.
    closed: bool,
}

impl Line {
    pub(super) fn new(settings: &Settings, halted: bool) -> Self {
        Self {
            queue: Queue::new(rules(settings), now()),
            places: Places::default(),
            husbandry: Husbandry::default(),
            halted,
            closed: false,
        }
    }

    /// Whether a torrent has to wait: for its turn, or because all stand still.
    pub(super) fn holds(&self, id: TorrentId) -> bool {
        self.halted || self.queue.has(id) && !self.queue.runs(id)
    }
}

/// The rules of the queue, as settings have them.
fn rules(settings: &Settings) -> Rules {
    let queue = &settings.queue;
    let limit = |most: u32| (most > 0).then_some(most);
    let mut voices = [None; 3];
    for (voice, most) in [
        (Voice::Dht, queue.dht),
        (Voice::Trackers, queue.trackers),
        (Voice::LocalDiscovery, queue.local_discovery),
    ] {
        voices[voice as usize] = limit(most);
    }
    Rules {
        slots: [limit(queue.downloads), limit(queue.seeds)],
        all: limit(queue.active),
        voices,
        seeds_first: queue.seeds_first,
        slow_are_free: queue.slow_are_free,
        slow_below: [queue.slow_down.0, queue.slow_up.0],
        slow_after: queue.slow_after,
        every: queue.every,
    }
}

impl Child {
    fn wants_to_run(&self) -> bool {
        let paused = match &self.life {
            Life::Awake(awake) => awake.add.paused || awake.given_up,
            Life::Asleep(_) | Life::Waking(_) => {
                self.record().is_none_or(|record| record.switches.paused)
            }
        };
        let failed = |status: &Arc<TorrentStatus>| matches!(status.state, State::Error(_));
        !paused && !self.is_leaving() && !self.status.as_ref().is_some_and(failed)
    }

    fn is_managed(&self) -> bool {
        match &self.life {
            Life::Awake(awake) => awake.add.managed,
            Life::Asleep(_) | Life::Waking(_) => {
                self.record().is_some_and(|record| record.switches.managed)
            }
        }
    }
}

impl Supervisor {
    /// A torrent without an actor wants to go on; says whether that is all there is to do.
    pub(super) fn resume_asleep(&mut self, id: TorrentId) -> bool {
        let child = self.torrents.get(&id);
        let Some(child) = child.filter(|child| matches!(child.life, Life::Asleep(_))) else {
            return false;
        };
        let Some(mut record) = child.record() else {
            return false;
        };
        if !record.switches.paused {
            return child.held;
        }
        record.switches.paused = false;
        let managed = record.switches.managed;
        self.keep_asleep(id, record);
        if managed {
            self.manage();
            self.hold_or_not(id);
        } else if let Some(session) = &mut self.session {
            session.to_wake.push_back(id);
        }
        self.wake_next();
        true
    }

    /// Takes up other settings.
    pub(super) fn retune_line(&mut self, settings: &Settings) {
        self.line.queue.set_rules(rules(settings));
        self.checks.set_most(settings.queue.checking);
        self.look_at_seeds();
        self.manage();
    }

    /// A torrent is to be put where it was in the queue, or at its end.
    pub(super) fn place(
        &mut self,
        id: TorrentId,
        before: Option<u32>,
        complete: bool,
    ) -> Option<u32> {
        match before {
            Some(number) => self.line.places.put(id, number),
            None if complete => self.line.places.remove(id),
            None => drop(self.line.places.append(id)),
        }
        self.line.places.of(id)
    }

    /// Whether a torrent that comes has to wait for its turn.
    pub(super) fn queues(&mut self, id: TorrentId, (managed, paused): (bool, bool)) -> bool {
        if !managed || paused {
            return self.line.halted && !paused;
        }
        let standing = Standing {
            kind: Kind::Download,
            place: self.line.places.of(id).unwrap_or(u32::MAX),
            rank: Rank::default(),
        };
        self.line.queue.put(id, standing);
        self.manage();
        self.line.holds(id)
    }

    /// Tells the queue how a torrent stands.
    pub(super) fn stand(&mut self, id: TorrentId) {
        let Some(child) = self.torrents.get(&id) else {
            return;
        };
        if child.is_leaving() {
            self.line.queue.leave(id);
            return;
        }
        let (seeds, placed) = (child.seeds, self.line.places.of(id));
        if seeds && placed.is_some() {
            self.line.places.remove(id);
            self.keep_place(id, None);
        } else if !seeds && placed.is_none() {
            for (id, number) in self.line.places.append(id) {
                self.keep_place(id, Some(number));
            }
        }
        let Some(child) = self.torrents.get(&id) else {
            return;
        };
        if !child.wants_to_run() || !child.is_managed() {
            self.line.queue.leave(id);
            return;
        }
        let status = child.status.as_deref();
        let swarm = status.map(|status| status.swarm).unwrap_or_default();
        let rank = Rank {
            goal_met: seeds && self.has_met_goal(child),
            ..Rank::default()
        };
        let standing = Standing {
            kind: if seeds { Kind::Seed } else { Kind::Download },
            place: self.line.places.of(id).unwrap_or(u32::MAX),
            rank: rank.with_swarm(swarm.seeds, swarm.leechers),
        };
        let rates = status.map(|status| [status.down_rate, status.up_rate]);
        self.line.queue.put(id, standing);
        if let Some(rates) = rates.filter(|_| self.line.queue.runs(id)) {
            self.line.queue.moves(id, rates, now());
        }
    }

    /// Does what the queue decides, where there is something to decide.
    pub(super) fn manage(&mut self) {
        if self.line.closed || self.stopping || !self.line.queue.is_due(now()) {
            return;
        }
        for turn in self.line.queue.decide(now()) {
            self.take_turn(turn);
        }
    }

    fn take_turn(&mut self, turn: Turn) {
        match turn {
            Turn::Start(id) | Turn::Stop(id) => self.hold_or_not(id),
            Turn::Voices(id, voices) => {
                if let Some(child) = self.torrents.get(&id) {
                    child.say(Control::Voices(voices));
                }
            }
        }
    }

    /// Has a torrent wait or not, as the queue has it.
    pub(super) fn hold_or_not(&mut self, id: TorrentId) {
        let held = self.line.holds(id);
        let has = self.line.queue.has(id);
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        if !has && !child.wants_to_run() {
            // It is paused, and stands where it stood.
            return;
        }
        let was = std::mem::replace(&mut child.held, held);
        match &child.life {
            Life::Awake(awake) if was != held => {
                awake.say(Control::Hold(held));
            }
            Life::Asleep(_) => {
                let record = child.record();
                let begins = !held && (has || was);
                if let Some(session) = self.session.as_mut().filter(|_| begins) {
                    session.to_wake.push_back(id);
                }
                if let Some(record) = record.filter(|_| was != held) {
                    self.show(self.status_asleep(id, &record));
                }
                if begins && self.me.is_some() {
                    self.wake_next();
                }
            }
            // It hears when it begins.
            Life::Awake(_) | Life::Waking(_) => {}
        }
    }

    /// Has all torrents stand still, or no longer.
    pub(super) fn halt(&mut self, halted: bool) {
        if std::mem::replace(&mut self.line.halted, halted) == halted {
            return;
        }
        let all: Vec<TorrentId> = self.torrents.keys().copied().collect();
        for id in all {
            self.hold_or_not(id);
        }
        self.publish();
    }

    /// Where a torrent may announce, as far as the queue has to do with it.
    pub(super) fn voices(&self, id: TorrentId) -> Voices {
        self.line.queue.voices(id)
    }

    /// Somebody connects for a torrent.
    pub(super) fn knock(&mut self, id: TorrentId) {
        if self.line.holds(id)
            && self.settings.get().queue.peers_start
            && let Some(turn) = self.line.queue.knock(id, now())
        {
            self.take_turn(turn);
        }
    }

    /// Torrents come to be as they were: the queue decides when all are there.
    pub(super) fn close_line(&mut self, closed: bool) {
        self.line.closed = closed;
    }

    /// Moves a torrent in the queue.
    pub(super) fn shift(&mut self, id: TorrentId, to: Place) -> Result<(), CommandError> {
        self.child(id)?;
        if self.line.places.of(id).is_none() {
            return Err(CommandError::NotQueued);
        }
        for (id, number) in self.line.places.shift(id, to) {
            self.keep_place(id, Some(number));
            self.stand(id);
            self.restate(id);
        }
        self.manage();
        Ok(())
    }

    /// Shows a torrent as it stands, with its place of now.
    fn restate(&mut self, id: TorrentId) {
        let status = self
            .torrents
            .get(&id)
            .and_then(|child| child.status.clone());
        if let Some(mut status) = status {
            Arc::make_mut(&mut status).queue = self.line.places.of(id);
            self.take_status(status);
        }
    }

    fn keep_place(&mut self, id: TorrentId, place: Option<u32>) {
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        let bytes = match &mut child.life {
            Life::Awake(_) => {
                self.keep_changes(id, |kept| kept.torrent.queue = place);
                return;
            }
            Life::Asleep(bytes) => bytes,
            Life::Waking(waking) => &mut waking.record,
        };
        let Ok(mut record) = state::Torrent::decode(bytes) else {
            return;
        };
        record.queue = place;
        *bytes = record.encode().into();
        let mut batch = Batch::new();
        batch.torrent(TorrentKey(id.0), record);
        self.keep(batch);
    }

    /// Tells the torrents of the queue, in order.
    pub(super) fn queue(&self, reply: oneshot::Sender<Result<Vec<TorrentId>, CommandError>>) {
        let _ = reply.send(Ok(self.line.places.iter().collect()));
    }

    /// What happens by itself once a second.
    pub(super) fn mind(&mut self) {
        self.mind_seeds(Instant::now());
        self.scrape_one(Instant::now());
        self.manage();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::{Patch, Value};

    #[test]
    fn each_key_of_the_queue_is_the_rule_that_it_says() {
        let usual = rules(&Settings::default());
        let changed = |key: &str, value: Value, change: fn(&mut Rules)| {
            let patch = Patch::new().with(key, value);
            let settings = Settings::default().with(&patch).expect("settings");
            let mut due = usual;
            change(&mut due);
            assert_ne!(due, usual, "{key}");
            assert_eq!(rules(&settings), due, "{key}");
        };
        let number = Value::Int;
        let text = |text: &str| Value::Text(text.to_owned());
        changed("queue.downloads", number(3), |it| it.slots[0] = Some(3));
        changed("queue.seeds", number(4), |it| it.slots[1] = Some(4));
        changed("queue.active", number(5), |it| it.all = Some(5));
        changed("queue.dht", number(6), |it| {
            it.voices[Voice::Dht as usize] = Some(6);
        });
        changed("queue.trackers", number(7), |it| {
            it.voices[Voice::Trackers as usize] = Some(7);
        });
        changed("queue.local_discovery", number(8), |it| {
            it.voices[Voice::LocalDiscovery as usize] = Some(8);
        });
        changed("queue.seeds_first", Value::Bool(true), |it| {
            it.seeds_first = true;
        });
        changed("queue.slow_are_free", Value::Bool(false), |it| {
            it.slow_are_free = false;
        });
        changed("queue.slow_down", text("9KiB"), |it| {
            it.slow_below[0] = 9 * 1024;
        });
        changed("queue.slow_up", text("10KiB"), |it| {
            it.slow_below[1] = 10 * 1024;
        });
        changed("queue.slow_after", text("11m"), |it| {
            it.slow_after = Duration::from_mins(11);
        });
        changed("queue.every", text("12m"), |it| {
            it.every = Duration::from_mins(12);
        });
    }
}
