//! The Torrent actor: decides what is fetched from whom and who is served.
//!
//! Its handlers live beside it by subject: [`open`](super::open) brings the content up, [`check`](super::check) hashes it,
//! [`metadata_phase`](super::metadata_phase) fetches what a magnet link lacks, [`dialing`](super::dialing) makes connections
//! and [`crowd`](super::crowd) keeps them, [`serving`](super::serving) serves some of them, [`transfer`](super::transfer)
//! acts on what they report, [`verification`](super::verification) on what the hashes say, [`failure`](super::failure) on what
//! cannot go on, [`settle`](super::settle) brings all to rest, [`report`](super::report) tells the rest of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler};
use actors::{ExitGuard, OneTimer};
use net::RateLimiter;
use protocol::geometry::PieceIndex;
use protocol::id::{InfoHash, InfoHashes, PeerId};
use protocol::metainfo::Metainfo;
use rand::SeedableRng;
use rand::rngs::StdRng;
use storage::ActivePiece;
use tracing::Span;

use crate::announce::messages::Progress;
use crate::claims::Claim;
use crate::content::{Content, Traffic};
use crate::metrics::Census;
use crate::mixed::Flow;
use crate::peer::driver::now;
use crate::peer::messages::{Ended, Order};
use crate::queue::Voices;
use crate::shelf::Place;
use crate::torrent::bad_blocks::Trials;
use crate::torrent::candidates::Candidates;
use crate::torrent::check::CheckProgress;
use crate::torrent::choker::{Choker, ChokerConfig};
use crate::torrent::dialing::candidates_of;
use crate::torrent::due::Due;
use crate::torrent::failure::Trouble;
use crate::torrent::gather::Gather;
use crate::torrent::hash_desk::HashDesk;
use crate::torrent::hidden::Hidden;
use crate::torrent::last_failure::LastFailure;
use crate::torrent::layer_phase::Layers;
use crate::torrent::layers::LayerFetch;
use crate::torrent::local_data::Local;
use crate::torrent::messages::Control;
use crate::torrent::metadata::MetadataFetch;
use crate::torrent::missing::Footing;
use crate::torrent::modes::Room;
use crate::torrent::moving::Moves;
use crate::torrent::newer::Newer;
use crate::torrent::peers::{Peers, Rate};
use crate::torrent::pex::Pex;
use crate::torrent::picker::Picker;
use crate::torrent::punch::Punch;
use crate::torrent::readers::Readers;
use crate::torrent::relocation::Relocating;
use crate::torrent::renames::Renames;
use crate::torrent::rest::Rest;
use crate::torrent::resume::{Known, Saves};
use crate::torrent::settle::Settling;
use crate::torrent::setup::Setup;
use crate::torrent::share::Sharing;
use crate::torrent::smart_ban::SmartBan;
use crate::torrent::super_seed::gifts::Gifts;
use crate::torrent::swarms::Swarms;
use crate::torrent::syncs::Syncs;
use crate::torrent::trackerless::Trackerless;
use crate::torrent::trackers::{Announcers, Scrapes, Trackers};
use crate::torrent::verification::Completion;
use crate::torrent::wanted::{Notes, Wanted};
use crate::torrent::web_seeds::WebSeeds;
use crate::{AddTorrent, Event, Source, TorrentError, TorrentId};

/// How often a torrent samples its rates and looks after its connections.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// How long new pieces wait for others before peers are told.
pub(crate) const RING_EVERY: Duration = Duration::from_millis(20);

/// A torrent's content at work.
#[derive(Debug)]
pub(crate) struct Active {
    /// Which time at work this is, so that verdicts for an earlier one are known.
    pub(crate) run: u64,
    pub(crate) content: Arc<Content>,
    pub(crate) picker: Picker,
    pub(crate) gather: Gather,
    pub(crate) smart_ban: SmartBan,
    pub(crate) trials: Trials,
    pub(crate) pieces: BTreeMap<PieceIndex, Arc<ActivePiece>>,
    pub(crate) batches: usize,
    pub(crate) last_ring: Instant,
    pub(crate) ring_due: bool,
    pub(crate) finished: bool,
    /// Its files, kept from others that would write to them.
    pub(crate) claim: Claim,
    /// Which files are wanted, as the store has it.
    pub(crate) wanted: Wanted,
    /// Pieces that are missing of each file.
    pub(crate) files_left: Vec<u32>,
}

/// What a torrent is in the middle of.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Transferring.
    Active(Box<Active>),
    /// Hashing what is on disk.
    Checking(Arc<CheckProgress>),
    /// Stopped by an error; tried again at the time given.
    Failed(TorrentError, Instant),
    /// Fetching the hashes of pieces, which the metadata of a v2 torrent has not got.
    Layers(Box<Layers>),
    /// Fetching the metadata.
    Metadata(Box<MetadataFetch>),
    /// Opening the files.
    Opening,
    /// Stopped by command.
    Paused,
}

/// One torrent.
pub(crate) struct Torrent {
    pub(crate) id: TorrentId,
    /// What is logged of it stands in this.
    pub(crate) span: Span,
    pub(crate) hashes: InfoHashes,
    pub(crate) peer_id: PeerId,
    pub(crate) add: AddTorrent,
    pub(crate) setup: Setup,
    pub(crate) metainfo: Option<Arc<Metainfo>>,
    pub(crate) phase: Phase,
    /// Which files were wanted when the store was opened.
    pub(crate) opened_with: Vec<bool>,
    /// Questions that the Disk was asked to come to work.
    pub(super) questions: u64,
    /// How often the content was at work.
    pub(crate) runs: u64,
    pub(crate) peers: Peers,
    pub(crate) web_seeds: WebSeeds,
    /// Who is shown what while we super-seed.
    pub(crate) gifts: Option<Gifts>,
    pub(crate) candidates: Candidates,
    pub(crate) choker: Choker,
    pub(crate) rng: StdRng,
    pub(crate) down: RateLimiter,
    pub(crate) up: RateLimiter,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) down_rate: Rate,
    pub(crate) up_rate: Rate,
    /// What moves, as the Supervisor was last told, down first.
    pub(crate) flows: [Flow; 2],
    pub(crate) announcers: Announcers,
    /// By which hashes peers are sought on the local network.
    pub(crate) watched: BTreeSet<InfoHash>,
    pub(crate) swarms: Swarms,
    pub(crate) trackerless: Trackerless,
    pub(crate) hidden: Hidden,
    pub(crate) moves: Moves,
    pub(crate) progress: Arc<Progress>,
    pub(crate) added_at: Instant,
    pub(crate) last_tick: Instant,
    /// When connections were last given up for others.
    pub(super) turned_over: Instant,
    pub(crate) timer: OneTimer,
    pub(crate) known: Option<Known>,
    /// What should be there.
    pub(crate) footing: Footing,
    /// Verified pieces and unverified blocks at the last save.
    pub(crate) saved: Option<(u32, u64)>,
    pub(crate) last_save: Instant,
    /// Which save of progress comes when.
    pub(crate) saves: Saves,
    /// What it has brought to the disk.
    pub(crate) syncs: Syncs,
    /// Bytes that were wanted, and those of them that were there, when it was last at work.
    pub(crate) rested_at: Option<(u64, u64)>,
    /// How often it has come to rest.
    pub(crate) rests: u64,
    /// It is coming to rest.
    pub(crate) settling: Option<Settling>,
    pub(crate) heard: Trackers,
    /// What is counted over all torrents.
    pub(crate) census: Census,
    pub(crate) scrapes: Scrapes,
    /// The last peer that could not be made use of.
    pub(crate) last_failure: Option<LastFailure>,
    /// What stopped it, until that is over.
    pub(crate) trouble: Option<Trouble>,
    pub(crate) hash_desk: HashDesk,
    /// Fetches the piece layers of a hybrid that is at work without them.
    pub(crate) late_layers: Option<Box<LayerFetch>>,
    /// What is known of content that lies elsewhere.
    pub(crate) local: Local,
    /// Pieces that are due at a time.
    pub(crate) due: Due,
    /// Who reads files.
    pub(crate) readers: Readers,
    /// Files that get other names.
    pub(crate) renames: Renames,
    /// Puts notes of choices in order.
    pub(crate) notes: Notes,
    /// The move of its content to another folder.
    pub(crate) relocating: Relocating,
    /// What is known of newer versions.
    pub(crate) newer: Newer,
    /// Its files, shown to other torrents.
    pub(crate) place: Option<Place>,
    pub(crate) pex: Pex,
    pub(crate) punch: Punch,
    /// What is to be checked when it may be.
    pub(crate) to_check: Option<(storage::Store, crate::torrent::resume::Partials)>,
    /// The queue has it wait.
    pub(crate) held: bool,
    /// Where it may announce, as far as the queue has to do with it.
    pub(crate) voices: Voices,
    /// What it has taken up, where it shares.
    pub(crate) sharing: Sharing,
    /// Somebody has connected to us by TCP.
    pub(crate) reachable: bool,
    /// Whether there is room where its content goes.
    pub(crate) room: Room,
    pub(crate) completion: Completion,
    /// What it does not do any more.
    pub(crate) rest: Rest,
    pub(crate) exit: ExitGuard<TorrentId>,
}

impl Active {
    /// Whether it has everything that is wanted, and nothing of it is written, hashed or told.
    pub(crate) fn has_nothing_to_do(&self) -> bool {
        self.finished
            && self.batches == 0
            && self.gather.is_empty()
            && self.trials.are_over()
            && self.pieces.is_empty()
            && !self.ring_due
            && !self.wanted.is_under_way()
    }
}

impl Torrent {
    /// A torrent that begins when it is started as an actor. Of a magnet link the metadata may be `known` from an earlier
    /// life.
    pub(crate) fn new(
        id: TorrentId,
        hashes: InfoHashes,
        (add, known): (AddTorrent, Option<Arc<Metainfo>>),
        mut setup: Setup,
        exit: ExitGuard<TorrentId>,
    ) -> Self {
        setup.reach.heed_filter(add.use_ip_filter);
        let now = now();
        let mut rng = StdRng::seed_from_u64(setup.reach.seed_of(id, (setup.life, 0)));
        let metainfo = match &add.source {
            Source::Metainfo(metainfo) => Some(Arc::clone(metainfo)),
            Source::Magnet(_) => known,
        };
        Self {
            id,
            span: tracing::info_span!("torrent", id = id.0, hash = %hashes.wire()),
            hashes,
            peer_id: setup.reach.peer_id(&setup.settings.get(), &mut rng),
            metainfo,
            phase: Phase::Paused,
            opened_with: Vec::new(),
            questions: 0,
            runs: 0,
            peers: Peers::default(),
            web_seeds: WebSeeds::default(),
            gifts: None,
            candidates: candidates_of(&setup.settings.get().peers),
            choker: Choker::new(
                ChokerConfig::of(&setup.settings.get().choking).with_slots(add.upload_slots),
            ),
            rng,
            down: setup.down.child(add.limits.down),
            up: setup.up.child(add.limits.up),
            traffic: Arc::new(Traffic::since(setup.moved)),
            down_rate: Rate::since(setup.moved[0]),
            up_rate: Rate::since(setup.moved[1]),
            flows: <[Flow; 2]>::default(),
            announcers: Announcers::default(),
            watched: BTreeSet::new(),
            swarms: Swarms::default(),
            trackerless: Trackerless::default(),
            hidden: Hidden::default(),
            moves: Moves::since(setup.moved),
            progress: Arc::default(),
            added_at: now,
            last_tick: now,
            turned_over: now,
            timer: OneTimer::new(),
            known: None,
            footing: Footing::default(),
            saved: None,
            last_save: now,
            saves: Saves::default(),
            syncs: Syncs::default(),
            rested_at: setup.rested,
            rests: 0,
            settling: None,
            heard: Trackers::default(),
            census: Census::new(setup.events.clone()),
            scrapes: Scrapes::default(),
            last_failure: None,
            trouble: None,
            hash_desk: HashDesk::new(now),
            late_layers: None,
            local: Local::default(),
            due: Due::default(),
            readers: Readers::default(),
            renames: Renames::default(),
            notes: Notes::default(),
            relocating: Relocating::default(),
            newer: Newer::default(),
            place: None,
            pex: Pex::default(),
            punch: Punch::default(),
            to_check: None,
            held: setup.held,
            voices: setup.voices,
            sharing: Sharing::default(),
            reachable: false,
            room: Room::Enough,
            completion: Completion::default(),
            add,
            setup,
            rest: Rest::default(),
            exit,
        }
    }

    /// The content at work, if it is.
    pub(crate) fn active(&mut self) -> Option<&mut Active> {
        match &mut self.phase {
            Phase::Active(active) => Some(active),
            Phase::Checking(_)
            | Phase::Failed(..)
            | Phase::Layers(_)
            | Phase::Metadata(_)
            | Phase::Opening
            | Phase::Paused => None,
        }
    }

    /// Goes to work: with the content where the metadata is known, else to fetch it.
    pub(crate) fn begin(&mut self, ctx: &mut Context<Self>) {
        let known = self.metainfo.as_ref();
        let whole = known.is_some_and(|metainfo| metainfo.has_piece_layers());
        if whole || !self.recall_metadata(ctx) {
            self.on_recalled(None, ctx);
        }
    }

    /// Whether it was paused, or the queue has it wait, whatever it does at this moment.
    pub(super) const fn stands_still(&self) -> bool {
        self.add.paused || self.held
    }

    /// Fetches the metadata from peers.
    pub(crate) fn seek_metadata(&mut self, ctx: &mut Context<Self>) {
        if self.stands_still() {
            // It was only to be checked, and there is nothing to check.
            self.phase = Phase::Paused;
            return;
        }
        self.phase = Phase::Metadata(Box::new(MetadataFetch::new(self.hashes)));
        self.go_online(ctx);
    }

    /// Leaves the network and the content as they are, to stand still.
    pub(crate) fn halt(&mut self, phase: Phase) {
        self.save_resume();
        self.note_footing();
        match &self.phase {
            Phase::Active(active) => self.rested_at = Some(active.amount()),
            Phase::Checking(check) => {
                check.cancel();
                self.rested_at = None;
            }
            Phase::Failed(..)
            | Phase::Layers(_)
            | Phase::Metadata(_)
            | Phase::Opening
            | Phase::Paused => {}
        }
        self.phase = phase;
        self.dismiss_all();
    }

    /// Ends every connection.
    pub(crate) fn dismiss_all(&mut self) {
        for (_, peer) in self.peers.iter() {
            peer.order(Order::Close(Ended::Dismissed));
        }
        self.web_seeds.dismiss();
    }

    /// The single place that moves things on after anything happened, and arms the timer for what comes next.
    pub(crate) fn drive(&mut self, ctx: &mut Context<Self>) {
        let now = now();
        if now.saturating_duration_since(self.last_tick) >= TICK {
            self.tick(now, ctx);
        }
        self.retry_if_due(now, ctx);
        self.move_pieces(now, ctx);
        self.move_over(now, ctx);
        self.dial(now, ctx);
        self.tend_web_seeds(now, ctx);
        self.tend_move(now, ctx);
        self.settle(now, ctx);
        self.tend_readers();
        let due = [
            self.next_tick(now),
            self.pieces_due(),
            self.settled_by(),
            self.moved_by(),
            self.move_due(),
        ];
        let Some(due) = due.into_iter().flatten().min() else {
            return;
        };
        let at = tokio::time::Instant::from_std(due);
        self.timer.arm::<Self>(ctx, at, |torrent, ctx| {
            let _in = torrent.span.clone().entered();
            torrent.timer.fired();
            #[cfg(test)]
            crate::scene::note_timer();
            torrent.drive(ctx);
        });
    }

    /// What a torrent does once a second.
    fn tick(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let seconds = now.saturating_duration_since(self.last_tick).as_secs_f64();
        self.last_tick = now;
        self.sample(seconds, now);
        self.run_choker(now);
        self.watch_route(now, ctx);
        self.tidy_peers(now);
        self.turn_over(now);
        self.tend_picking();
        self.look_after_guests(now);
        self.end_lasting_twins(now);
        self.find_whole();
        self.ask_metadata(now);
        self.ask_layers(now, ctx);
        self.ask_late_layers(now);
        self.look_after_trials(now, None);
        self.look_around(now);
        self.gossip(now);
        self.tend_hidden(now, ctx);
        self.tell_standing();
        self.tend_share();
        self.rate_peers();
        self.feed_hungry();
        self.save_if_due(now);
        self.sync_if_due(now, ctx);
        self.tell_recovery(now);
        self.publish();
    }
}

impl Actor for Torrent {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        let mut peers = std::mem::take(&mut self.add.peers);
        if let Source::Magnet(magnet) = &self.add.source {
            peers.extend_from_slice(&magnet.peers);
        }
        for peer in peers {
            self.add_candidate(peer, crate::torrent::candidates::Source::Manual);
        }
        self.watch_route(now(), ctx);
        self.metainfo = self.metainfo.take().map(|metainfo| self.placed(metainfo));
        let chosen = self.metainfo.clone();
        let chosen = chosen.map_or(Ok(()), |metainfo| self.choose_as_linked(&metainfo));
        match chosen {
            Err(error) => self.fail(error),
            Ok(()) if self.add.paused || self.held => {}
            Ok(()) => self.begin(ctx),
        }
        self.publish();
        self.drive(ctx);
    }
}

impl Handler<Control> for Torrent {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        self.rest.heard += 1;
        match control {
            Control::AddPeer(peer) => self.add_named(peer),
            Control::Conflict => self.fail(TorrentError::Duplicate),
            Control::Limit(limits) => {
                self.add.limits = limits;
                self.down.set_rate(limits.down);
                self.up.set_rate(limits.up);
            }
            Control::Look => self.watch_route(now(), ctx),
            Control::Move(reach) => self.move_to(*reach),
            #[cfg(test)]
            Control::Panic => panic!("as it was told to"),
            Control::Pause => {
                self.add.paused = true;
                self.pause();
            }
            Control::Hold(held) => self.hold(held, ctx),
            Control::Voices(voices) => self.speak(voices, ctx),
            Control::Seeding(rule) => self.add.seeding = rule,
            Control::Recheck => {
                if !self.stands_still() {
                    self.go_on(ctx);
                }
                self.recheck(ctx);
            }
            Control::Resume => self.resume(ctx),
            Control::Ask(question) => self.answer(question),
            Control::MaxPeers(most) => {
                self.add.max_peers = most.map(|most| most as usize);
                self.close_surplus();
            }
            Control::UploadSlots(slots) => {
                self.add.upload_slots = slots;
                self.choker.retune(self.choking());
                self.run_choker(now());
            }
            Control::Files(order) => self.on_file_order(order, ctx),
            Control::Sequential(sequential) => self.set_sequential(sequential),
            Control::Labels(labels) => self.add.labels = labels,
            Control::Room(room) => self.find_room(room),
            Control::Modes(on, off) => self.turn(on, off, ctx),
            Control::Reannounce => self.reannounce(),
            Control::WebSeeds(urls) => self.set_web_seeds(urls),
            Control::ClearPeers => self.clear_peers(),
            Control::Range(range) => {
                self.add.sequential_range = range;
                self.set_sequential(self.add.sequential);
            }
            Control::Trackers(trackers) => {
                let (id, count) = (self.id, trackers.iter().map(Vec::len).sum());
                self.add.trackers = Some(trackers);
                self.event(Event::TrackersChanged {
                    id,
                    trackers: count,
                });
                self.announce_anew(ctx);
            }
            Control::Relocate(order, reply) => self.relocate(order, reply, ctx),
            Control::Retune => self.retune(now(), ctx),
            Control::Reuse(reuse) => self.reuse(reuse, now()),
            Control::Scrape(reply) => self.scrape(reply, ctx),
            Control::Sift => self.sift(),
        }
        self.publish();
        self.drive(ctx);
    }
}
