//! Torrents without an actor get one: what the store has of them is read first, a few at a time.

use std::sync::Arc;

use actix::{Context, Handler, Message};
use actors::tell;
use protocol::metainfo::Metainfo;
use state::{Details, Keeper, Record as _, StateError, TorrentKey, Traffic};
use tokio::time::Instant;

use crate::memory::hops;
use crate::memory::records::{Kept, metainfo_of};
use crate::torrent::messages::{Control, Stop};
use crate::{Event, State, TorrentError, TorrentId, TorrentStatus};

use super::Supervisor;
use super::child::{Awake, Child, Life, Start, Waking};
use super::session::Session;

/// Torrents that are read at a time, of those that go on at the start of an engine.
const AT_ONCE: usize = 64;

/// What the store has of a torrent: Disk to Supervisor, once for each time that it is woken.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Woken {
    id: TorrentId,
    found: Result<Found, Arc<str>>,
    /// It is one of those that go on at the start.
    queued: bool,
}

/// What the store has of a torrent.
struct Found {
    details: Details,
    metainfo: Option<Arc<Metainfo>>,
    traffic: Traffic,
    /// By how many hops it goes at least.
    hops: u8,
}

impl Supervisor {
    /// Wakes those that go on at the start of an engine, a few at a time.
    pub(super) fn wake_next(&mut self) {
        while let Some(session) = &mut self.session
            && session.waking < AT_ONCE
            && let Some(id) = session.to_wake.pop_front()
        {
            let child = self.torrents.get(&id);
            let waits = |child: &Child| {
                let status = child.status.as_ref();
                child.held || status.is_some_and(|status| status.state == State::Paused)
            };
            if child.is_some_and(waits) {
                continue;
            }
            if self.wake(id, true)
                && let Some(session) = &mut self.session
            {
                session.waking += 1;
            }
        }
    }

    /// Has an actor made for a torrent that has none; says whether that begins now.
    pub(super) fn wake(&mut self, id: TorrentId, queued: bool) -> bool {
        let Some(keeper) = self.config.memory.keeper().cloned() else {
            return false;
        };
        let Some(child) = self.torrents.get_mut(&id) else {
            return false;
        };
        let Life::Asleep(record) = &mut child.life else {
            return false;
        };
        let record = std::mem::take(record);
        let (names, hashes) = (child.names(), child.hashes);
        let decoded = state::Torrent::decode(&record);
        child.life = Life::Waking(Box::new(Waking {
            record,
            said: Vec::new(),
            ending: None,
            moved: false,
        }));
        let Some(me) = self.me.clone() else {
            return false;
        };
        self.disk.apart(move || {
            let found = decoded
                .map_err(|error| error.to_string())
                .and_then(|record| read(&keeper, id, &record, &names, &hashes));
            let found = found.map_err(Arc::from);
            tell(&me, Woken { id, found, queued });
        });
        true
    }

    /// Says something to a torrent, which is woken first where it has no actor and needs one.
    pub(super) fn pass_on(&mut self, id: TorrentId, control: Control) {
        if matches!(control, Control::Resume) && self.resume_asleep(id) {
            return;
        }
        if self.change_asleep(id, &control) {
            self.manage();
            self.hold_or_not(id);
            return;
        }
        self.wake(id, false);
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        match &mut child.life {
            Life::Awake(awake) => {
                awake.remember(&control);
                self.stand(id);
                self.manage();
                self.hold_or_not(id);
                if matches!(control, Control::Seeding(_)) {
                    self.look_at_seed(id, Instant::now());
                }
                if let Some(child) = self.torrents.get(&id) {
                    child.say(control);
                }
                self.keep_changes(id, |_| {});
            }
            Life::Waking(waking) => waking.said.push(control),
            // It could not be woken, and whoever waits for an answer hears so.
            Life::Asleep(_) => {}
        }
    }

    fn on_woken(&mut self, id: TorrentId, found: Result<Found, Arc<str>>, ctx: &mut Context<Self>) {
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        let Life::Waking(waking) = &mut child.life else {
            return;
        };
        let (ending, moved) = (waking.ending, waking.moved);
        if child.leaving.is_some() && ending.is_none() {
            return;
        }
        let record = std::mem::take(&mut waking.record);
        let said = std::mem::take(&mut waking.said);
        let decoded = state::Torrent::decode(&record).map_err(|error| Arc::from(error.to_string()));
        let (mut torrent, found) = match (decoded, found) {
            (Ok(torrent), Ok(found)) => (torrent, found),
            (Err(why), _) | (_, Err(why)) => {
                child.life = Life::Asleep(record);
                if ending.is_some() {
                    return self.forget(id);
                }
                return self.cannot_wake(id, why);
            }
        };
        torrent.hops = torrent.hops.max(found.hops);
        let mut kept = Kept {
            torrent,
            details: found.details,
        };
        if moved {
            kept.forget_peers();
        }
        let mut add = kept.add(found.metainfo.as_ref());
        // It ends at once.
        add.paused |= ending.is_some();
        let hops = kept.torrent.hops;
        let hashes = child.hashes;
        let reach = self.reach_kept(hops, ctx);
        let last = self
            .torrents
            .get(&id)
            .and_then(|child| child.status.as_ref());
        let moved = last.map_or([0; 3], |last| [last.downloaded, last.uploaded, last.wasted]);
        let life = self.session.as_mut().map_or(0, Session::next_life);
        let start = Start {
            add: add.clone(),
            metainfo: found.metainfo.clone(),
            rested: kept.torrent.rested,
            moved,
            life,
        };
        let actor = self.launch_torrent((id, hashes, reach), start, ctx);
        let mut awake = Awake::new(actor, add, Some(kept));
        awake.metainfo = found.metainfo;
        awake.before = without(found.traffic, moved);
        awake.lives = life;
        if let Some(child) = self.torrents.get_mut(&id) {
            child.hops = hops;
            child.life = Life::Awake(Box::new(awake));
        }
        if let Some(delete_data) = ending {
            return self.end_for_good(id, delete_data);
        }
        self.answer_to_all(id, &hashes);
        for control in said {
            self.pass_on(id, control);
        }
    }

    /// Tells that a torrent stays as it is, for what is kept of it cannot be read.
    fn cannot_wake(&mut self, id: TorrentId, why: Arc<str>) {
        tracing::error!(torrent = ?id, %why, "what is kept of a torrent cannot be read");
        let error = TorrentError::Unreadable(why);
        if let Some(record) = self.torrents.get(&id).and_then(Child::record) {
            self.show(TorrentStatus {
                state: State::Error(error.clone()),
                ..self.status_asleep(id, &record)
            });
        }
        self.publish();
        self.event(&Event::Error { id, error });
    }

    /// Ends a torrent that was removed while it had no actor.
    fn end_for_good(&self, id: TorrentId, delete_data: bool) {
        let (done, _) = tokio::sync::oneshot::channel();
        let farewell = self.settings.get().trackers.farewell;
        if let Some(child) = self.torrents.get(&id) {
            child.tell(Stop {
                delete_data,
                removed: true,
                done,
                deadline: (Instant::now() + farewell).into_std(),
            });
        }
    }
}

impl Handler<Woken> for Supervisor {
    type Result = ();

    fn handle(&mut self, woken: Woken, ctx: &mut Context<Self>) {
        self.on_woken(woken.id, woken.found, ctx);
        if let Some(session) = self.session.as_mut().filter(|_| woken.queued) {
            session.waking = session.waking.saturating_sub(1);
            self.wake_next();
        }
    }
}

/// What was done before this session.
const fn without(all: Traffic, [downloaded, uploaded, wasted]: [u64; 3]) -> Traffic {
    Traffic {
        downloaded: all.downloaded.saturating_sub(downloaded),
        uploaded: all.uploaded.saturating_sub(uploaded),
        wasted: all.wasted.saturating_sub(wasted),
        ..all
    }
}

/// Reads what is kept of a torrent.
fn read(
    keeper: &Keeper,
    id: TorrentId,
    record: &state::Torrent,
    names: &hops::Names,
    hashes: &protocol::id::InfoHashes,
) -> Result<Found, String> {
    let key = TorrentKey(id.0);
    let noted = hops::load(keeper, names);
    let hops = match noted {
        Ok(noted) => noted.unwrap_or_default(),
        // It is known by its record.
        Err(_) if record.hops > 0 => record.hops,
        Err(error) => return Err(error.to_string()),
    };
    let words = |error: StateError| error.to_string();
    let bytes = match keeper.metainfo(key) {
        Ok(bytes) => bytes,
        Err(error) if error.is_damage() => {
            tracing::warn!(torrent = %key, %error, "the metadata is fetched anew");
            None
        }
        Err(error) => return Err(words(error)),
    };
    let metainfo = bytes.and_then(|bytes| metainfo_of(&bytes, hashes));
    if metainfo.is_none() && record.content.is_some_and(|content| content.private) {
        // Only its trackers may be asked, and they are not known any more.
        return Err("the metadata of a private torrent is gone".to_owned());
    }
    Ok(Found {
        details: keeper.details(key).map_err(words)?,
        metainfo: metainfo.map(Arc::new),
        traffic: keeper.traffic(key).map_err(words)?,
        hops,
    })
}
