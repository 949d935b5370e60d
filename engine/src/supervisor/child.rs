//! A torrent as the Supervisor sees it.

use std::cell::Cell;
use std::sync::Arc;

use actix::dev::{MessageResponse, ToEnvelope};
use actix::{Addr, Handler, Message};
use actors::RestartPolicy;
use protocol::id::InfoHashes;
use protocol::metainfo::Metainfo;
use state::{Amount, Record as _, Traffic};
use tokio::sync::oneshot;

use crate::memory::hops::Names;
use crate::memory::records::Kept;
use crate::modes::{keep_modes, modes_of};
use crate::torrent::actor::Torrent;
use crate::torrent::messages::Control;
use crate::{AddTorrent, Labels, TorrentStatus};

use super::RESTARTS;
use super::husbandry::Clock;

/// Peers that the user named which a torrent is told of when it starts again.
const MOST_PEERS: usize = 256;

/// A torrent as the Supervisor sees it.
pub(super) struct Child {
    pub(super) life: Life,
    /// By how many hops it goes.
    pub(super) hops: u8,
    /// The queue has it wait.
    pub(super) held: bool,
    /// It had everything that was wanted when it was last known.
    pub(super) seeds: bool,
    pub(super) hashes: InfoHashes,
    /// When it was added: seconds since 1970.
    pub(super) added: i64,
    /// What it had done, and how large it is, when its actor was taken in this session.
    pub(super) given: Option<Box<(Traffic, u64)>>,
    pub(super) status: Option<Arc<TorrentStatus>>,
    /// It was told to end: for good, or because the engine does.
    pub(super) leaving: Option<Leaving>,
    /// Dropped with the torrent, which tells those who wait for its end.
    pub(super) waiters: Vec<oneshot::Sender<()>>,
    /// Dropped when nothing of its content is in use any more, which tells those who add it again.
    pub(super) adders: Vec<oneshot::Sender<()>>,
}

/// What a torrent that was told to end does so for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It is removed.
    Removed,
    /// It is removed and nowhere shown any more, and only tells its trackers.
    Parting,
    /// The engine stops.
    Stopped,
}

/// Whether a torrent has an actor.
pub(super) enum Life {
    /// It has none: only its short record is here, as it lies in the store.
    Asleep(Box<[u8]>),
    /// It is about to have one: what is kept of it is being read.
    Waking(Box<Waking>),
    /// It has one.
    Awake(Box<Awake>),
}

/// A torrent of which is read what is kept.
pub(super) struct Waking {
    /// Its short record, as it lies in the store.
    pub(super) record: Box<[u8]>,
    /// What was said to it meanwhile.
    pub(super) said: Vec<Control>,
    /// It was removed meanwhile, and whether its content is to go: there is something to do for which it takes an actor.
    pub(super) ending: Option<bool>,
    /// It has changed its route meanwhile.
    pub(super) moved: bool,
}

/// A torrent with an actor.
pub(super) struct Awake {
    pub(super) actor: Addr<Torrent>,
    /// What it was added with, as commands have changed it since: what it is started again with.
    pub(super) add: AddTorrent,
    /// What the store has of it.
    pub(super) kept: Option<Kept>,
    /// The metadata, where it came from peers.
    pub(super) metainfo: Option<Arc<Metainfo>>,
    pub(super) restarts: RestartPolicy,
    /// How often it was started again.
    pub(super) lives: u32,
    /// Its actor failed too often, and is gone.
    pub(super) given_up: bool,
    /// What it had done before this life of it.
    pub(super) before: Traffic,
    /// For how long it has done what in this life.
    pub(super) clock: Clock,
    /// How many commands were said to its actor.
    pub(super) said: Cell<u64>,
}

/// What the life of a torrent's actor begins with.
pub(super) struct Start {
    pub(super) add: AddTorrent,
    /// The metadata of one that was added by a link, where it is known.
    pub(super) metainfo: Option<Arc<Metainfo>>,
    /// What it had when it was last at work.
    pub(super) rested: Option<Amount>,
    /// Bytes that it has moved in this session: that came, went, and were of no use.
    pub(super) moved: [u64; 3],
    /// Its number among the lives of this torrent.
    pub(super) life: u32,
}

impl Start {
    /// Of one of which nothing else is known.
    pub(super) const fn new(add: AddTorrent) -> Self {
        Self {
            add,
            metainfo: None,
            rested: None,
            moved: [0; 3],
            life: 0,
        }
    }
}

impl Child {
    /// One that has no actor.
    pub(super) fn asleep(record: &state::Torrent) -> Self {
        Self {
            life: Life::Asleep(record.encode().into()),
            hops: record.hops,
            held: false,
            seeds: record.completed.is_some(),
            hashes: record.hashes,
            added: record.added,
            given: None,
            status: None,
            leaving: None,
            waiters: Vec::new(),
            adders: Vec::new(),
        }
    }

    pub(super) fn awake(&self) -> Option<&Awake> {
        match &self.life {
            Life::Awake(awake) => Some(awake),
            Life::Asleep(_) | Life::Waking(_) => None,
        }
    }

    pub(super) fn awake_mut(&mut self) -> Option<&mut Awake> {
        match &mut self.life {
            Life::Awake(awake) => Some(awake),
            Life::Asleep(_) | Life::Waking(_) => None,
        }
    }

    /// Whether it is removed.
    pub(super) const fn is_removed(&self) -> bool {
        matches!(self.leaving, Some(Leaving::Removed | Leaving::Parting))
    }

    /// Whether it is told of to nobody any more.
    pub(super) const fn is_parting(&self) -> bool {
        matches!(self.leaving, Some(Leaving::Parting))
    }

    /// Whether it is about to go.
    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Says something to its actor; says whether there is one.
    pub(super) fn tell<M>(&self, message: M) -> bool
    where
        M: Message + Send + 'static,
        M::Result: MessageResponse<Torrent, M> + Send,
        Torrent: Handler<M>,
        <Torrent as actix::Actor>::Context: ToEnvelope<Torrent, M>,
    {
        self.awake()
            .is_some_and(|awake| actors::tell(&awake.actor, message))
    }

    /// Has its actor carry something out; says whether there is one.
    pub(super) fn say(&self, control: Control) -> bool {
        self.awake().is_some_and(|awake| awake.say(control))
    }

    /// What it is named by in the memory.
    pub(super) fn names(&self) -> Names {
        self.hashes.names().map(|name| name.0).collect()
    }

    /// Its short record, where the store has one.
    pub(super) fn record(&self) -> Option<state::Torrent> {
        match &self.life {
            Life::Asleep(bytes) => state::Torrent::decode(bytes).ok(),
            Life::Waking(waking) => state::Torrent::decode(&waking.record).ok(),
            Life::Awake(awake) => awake.kept.as_ref().map(|kept| kept.torrent.clone()),
        }
    }
}

impl Child {
    /// What the store has of it, where it has something; the details of one without an actor are not here.
    pub(super) fn kept(&self, details: Option<state::Details>) -> Option<Kept> {
        match &self.life {
            Life::Awake(awake) => awake.kept.clone(),
            Life::Asleep(_) | Life::Waking(_) => Some(Kept {
                torrent: self.record()?,
                details: details?,
            }),
        }
    }
}

impl Awake {
    /// One whose first life begins.
    pub(super) fn new(actor: Addr<Torrent>, add: AddTorrent, kept: Option<Kept>) -> Self {
        Self {
            actor,
            add,
            kept,
            metainfo: None,
            restarts: RestartPolicy::new(RESTARTS.0, RESTARTS.1),
            lives: 0,
            given_up: false,
            before: Traffic::default(),
            clock: Clock::default(),
            said: Cell::new(0),
        }
    }

    /// Says something to its actor; says whether there is one.
    pub(super) fn say(&self, control: Control) -> bool {
        self.said.set(self.said.get() + 1);
        actors::tell(&self.actor, control)
    }

    /// Takes note of what a command changes for good.
    pub(super) fn remember(&mut self, control: &Control) {
        let add = &mut self.add;
        match control {
            Control::AddPeer(peer) => {
                if add.peers.len() < MOST_PEERS && !add.peers.contains(peer) {
                    add.peers.push(*peer);
                }
            }
            Control::Limit(limits) => add.limits = *limits,
            Control::Pause => add.paused = true,
            Control::Recheck => add.trust_data = false,
            Control::Resume => add.paused = false,
            Control::Reuse(reuse) => add.reuse = reuse.clone(),
            Control::Move(_) => add.forget_peers(),
            Control::MaxPeers(most) => add.max_peers = most.map(|most| most as usize),
            Control::Trackers(trackers) => add.trackers = Some(trackers.clone()),
            Control::UploadSlots(slots) => add.upload_slots = *slots,
            Control::Sequential(sequential) => add.sequential = *sequential,
            Control::Labels(labels) => add.labels.clone_from(labels),
            Control::Modes(on, off) => add.set_modes(*on, *off),
            Control::Seeding(rule) => add.seeding = *rule,
            Control::WebSeeds(urls) => {
                add.web_seeds.clone_from(urls);
                add.use_named_web_seeds = false;
            }
            Control::ClearPeers => add.forget_peers(),
            Control::Range(range) => add.sequential_range = *range,
            Control::Ask(_)
            | Control::Conflict
            | Control::Files(_)
            | Control::Hold(_)
            | Control::Voices(_)
            | Control::Look
            | Control::Room(_)
            | Control::Reannounce
            | Control::Relocate(..)
            | Control::Retune
            | Control::Scrape(_)
            | Control::Sift => {}
            #[cfg(test)]
            Control::Panic => {}
        }
    }
}

/// Changes the record of a torrent without an actor as a command would have it; `false` where the command is for an actor.
pub(super) fn change_asleep(record: &mut state::Torrent, control: &Control) -> bool {
    match control {
        Control::Limit(limits) => {
            (record.down_limit, record.up_limit) = (limits.down, limits.up);
        }
        Control::Pause => record.switches.paused = true,
        Control::MaxPeers(most) => record.max_peers = *most,
        Control::UploadSlots(slots) => record.upload_slots = *slots,
        Control::Sequential(sequential) => record.switches.sequential = *sequential,
        Control::Labels(labels) => Labels::keep(labels.as_deref(), record),
        Control::Modes(on, off) => {
            let modes = modes_of(record).and(*on).but(*off);
            keep_modes(record, modes);
        }
        Control::Seeding(rule) => record.seeding = *rule,
        // It takes them up when it has an actor.
        Control::Hold(_)
        | Control::Voices(_)
        | Control::Conflict
        | Control::Look
        | Control::Room(_)
        | Control::Retune
        | Control::Sift => {}
        Control::AddPeer(_)
        | Control::Ask(_)
        | Control::Files(_)
        | Control::Move(_)
        | Control::Reannounce
        | Control::Recheck
        | Control::Relocate(..)
        | Control::Resume
        | Control::Reuse(_)
        | Control::Scrape(_)
        | Control::Trackers(_)
        | Control::WebSeeds(_)
        | Control::ClearPeers
        | Control::Range(_) => return false,
        #[cfg(test)]
        Control::Panic => return false,
    }
    true
}
