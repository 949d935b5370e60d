//! How a torrent's content comes up: open the files, learn what is there, go to work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler};
use actors::tell_recipient;
use protocol::bitfield::Bitfield;
use protocol::metainfo::Metainfo;
use storage::{MissingPieceLayers, Store, StoreError, StoreOptions, StoreSpec};
use tokio::sync::oneshot;

use crate::content::{Content, HaveBoard};
use crate::peer::driver::now;
use crate::peer::messages::Order;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::bad_blocks::Trials;
use crate::torrent::gather::Gather;
use crate::torrent::layers::LayerFetch;
use crate::torrent::messages::{DiskReply, News, Opened};
use crate::torrent::missing::Footing;
use crate::torrent::padding;
use crate::torrent::picker::Picker;
use crate::torrent::relocation::Found;
use crate::torrent::resume::{self, Known, Ledger, Partials, Vouched};
use crate::torrent::smart_ban::SmartBan;
use crate::torrent::starts::StartReply;
use crate::torrent::wanted::{self, Wanted};
use crate::trees::Trees;
use crate::{Event, Existing, TorrentError};

/// How long finished pieces wait for others to be hashed with, at most.
const GATHER_WAIT: Duration = Duration::from_millis(50);

/// Bytes of finished pieces that wait to be hashed, at most.
const GATHER_BYTES: u64 = 64 << 20;

/// How long content that is to be deleted waits for the disk to have what is kept of it.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(30);

impl Torrent {
    /// Opens the content on the Disk; [`StartReply::Opened`] comes back. While files are being renamed, that waits: they are looked
    /// for by their new names.
    pub(crate) fn open(&mut self, ctx: &mut Context<Self>) {
        let Some(spec) = self.spec() else { return };
        self.phase = Phase::Opening;
        let asker = self.ask_to_start(ctx);
        if self.renames.then_open() {
            return;
        }
        self.opened_with = self.are_wanted();
        // What is only served is read where the user has it, be it behind links of theirs.
        let options = StoreOptions {
            follow_links: self.add.existing == Existing::Serve,
            ..self.setup.storage()
        };
        let ledger = self.ledger();
        let wanted = self.wanted_files();
        let trust = self.add.trust_data;
        let existing = self.add.existing;
        let footing = self.footing();
        let known = self.known.take();
        let forgets = std::mem::take(&mut self.saves.forgets);
        let forget = forgets.then(|| self.forgetting());
        let recovery = self.recovery();
        self.setup.disk.short(move || {
            if let Some(forget) = forget {
                forget();
            }
            match recovery.run(&spec, &options) {
                Ok(Found::Here) => {}
                Ok(Found::At(dir)) => {
                    return asker.tell(StartReply::Elsewhere(dir));
                }
                Err(error) => return asker.tell(StartReply::Stuck(error)),
            }
            let opened = open_store(
                spec,
                options,
                (ledger, wanted),
                (trust, existing),
                (known, footing),
            );
            asker.tell(StartReply::Opened(opened));
        });
    }

    /// Goes to work on a store whose pieces are known.
    pub(super) fn activate(
        &mut self,
        store: Store,
        (have, partial): (&Bitfield, &Partials),
        ctx: &mut Context<Self>,
    ) {
        let Some(metainfo) = self.metainfo.clone() else {
            return;
        };
        let geometry = metainfo.geometry();
        let picker = self.picker(&metainfo, have);
        let content = Arc::new(Content {
            store,
            geometry,
            info: metainfo.info_bytes().clone(),
            have: Arc::new(HaveBoard::new(have)),
            trees: Trees::of(&metainfo).map(Arc::new),
            tails: metainfo.tails().map(Arc::new),
        });
        let finished = picker.is_done(self.add.share);
        let claim = match self.admit(&metainfo, &picker, have) {
            Ok(claim) => claim,
            Err(error) => return self.fail(error),
        };
        self.runs += 1;
        let mut active = Active {
            run: self.runs,
            content: Arc::clone(&content),
            picker,
            gather: Gather::new(
                storage::hash_lanes(),
                self.setup.disk.threads(),
                GATHER_WAIT,
                GATHER_BYTES,
            ),
            smart_ban: SmartBan::new(geometry),
            trials: Trials::default(),
            pieces: BTreeMap::new(),
            batches: 0,
            last_ring: now(),
            ring_due: false,
            finished,
            claim,
            wanted: Wanted::new(std::mem::take(&mut self.opened_with)),
            files_left: Vec::new(),
        };
        active.files_left = wanted::files_left(&metainfo, &active.picker);
        let full = active.take_up(partial);
        self.phase = Phase::Active(Box::new(active));
        for piece in full {
            self.on_piece_full(piece);
        }
        self.note_footing();
        self.show_files();
        if have.count() > 0 {
            self.setup.shelf.tell();
        }
        self.late_layers = LayerFetch::of(&metainfo).map(Box::new);
        // Nothing is under way with those that are dialled anew now.
        self.meet_by_v2(now());
        for (_, peer) in self.peers.iter() {
            peer.order(Order::Content(Arc::clone(&content)));
        }
        self.count_holdings();
        self.refresh_due(now());
        self.save_at_work();
        let stops = self.add.stop_when_ready || self.stands_still();
        if self.add.stop_when_ready {
            self.stop_as_ready();
        } else if !stops {
            self.go_online(ctx);
        }
        self.trouble_may_end(finished);
        if finished {
            self.announce_finished(ctx);
        } else if self.rested_at.is_some_and(|(wanted, done)| wanted == done) {
            self.seek_peers_again();
        }
        // It may have been decided otherwise since it was opened.
        self.apply_wanted(ctx);
        if stops {
            self.pause();
        }
    }

    /// Who knows what is to be fetched, if these pieces are there.
    pub(super) fn picker(&self, metainfo: &Metainfo, have: &Bitfield) -> Picker {
        let mut picker = Picker::new(metainfo.geometry(), have, self.setup.seed ^ self.id.0);
        picker.set_padding(padding::of(metainfo));
        picker.set_manners(self.manners());
        Self::apply_selection((&self.add, &self.sharing), metainfo, &mut picker);
        picker
    }

    /// How the content lies on disk; a torrent that cannot be checked fails here.
    pub(super) fn spec(&mut self) -> Option<StoreSpec> {
        match self.layout()? {
            Ok(spec) => Some(spec),
            Err(error) => {
                self.fail(TorrentError::Metadata(error.to_string().into()));
                None
            }
        }
    }

    pub(super) fn layout(&self) -> Option<Result<StoreSpec, MissingPieceLayers>> {
        let metainfo = self.metainfo.as_ref()?;
        let spec = StoreSpec::from_metainfo(metainfo, self.add.dir.clone()).map(|mut spec| {
            for (file, wanted) in spec.files.iter_mut().zip(self.are_wanted()) {
                file.wanted = wanted;
            }
            spec
        });
        Some(spec)
    }

    /// Deletes the progress and what else was kept of the torrent, and then, once that is kept, its content, on the Disk: there may be
    /// many thousands of files. `done` is told then. Whoever is killed in between finds a torrent that claims nothing, and so does
    /// not wait for its content.
    pub(crate) fn delete_data(&mut self, done: oneshot::Sender<()>) {
        let forget = self.forgetting();
        let forget_choices = self.forgetting_choices();
        let metadata = self.metadata_path();
        let names: Vec<_> = self.hashes.names().map(|name| name.0).collect();
        let memory = self.setup.memory.clone();
        // Nothing was written yet where the hashes of pieces are not known.
        let spec = self.layout().and_then(Result::ok);
        let options = self.setup.storage();
        let recovery = self.recovery_to_delete();
        let (id, supervisor) = (self.id, self.setup.supervisor.clone());
        let (kept, forgotten) = oneshot::channel();
        let tell_kept = supervisor.clone();
        self.setup.disk.short(move || {
            forget();
            forget_choices();
            crate::memory::hops::forget(&memory, &names);
            if let Some(path) = metadata {
                // It may never have been kept.
                let _ = std::fs::remove_file(path);
            }
            tell_recipient(&tell_kept, News::WhenKept(kept));
        });
        let delete = move || {
            let spec = spec.map(|mut spec| {
                if let Err(error) = recovery.finish(&mut spec, &options) {
                    tracing::warn!(%error, "what a move has left may stay");
                }
                spec
            });
            let store = spec.map(|spec| Store::open(spec, options));
            let outcome = store.map(|store| store.and_then(|store| store.remove_files()));
            let event = match outcome {
                None | Some(Ok(())) => Event::DataDeleted { id },
                Some(Err(error)) => {
                    tracing::warn!(%error, "content could not be deleted");
                    Event::DeleteFailed {
                        id,
                        path: error.path().to_path_buf(),
                        reason: error.to_string().into(),
                    }
                }
            };
            tell_recipient(&supervisor, News::Event(event));
            let _ = done.send(());
        };
        let disk = self.setup.disk.clone();
        let then = async move {
            // Where nothing can be kept, room may be just what is needed.
            let _ = tokio::time::timeout(FORGOTTEN_WITHIN, forgotten).await;
            disk.short(delete);
        };
        self.setup.pool.spawn(then).detach();
    }
}

impl Torrent {
    /// What deals with a move of an earlier run of a torrent that is removed without its content.
    pub(super) fn leaving_no_move(&self) -> impl FnOnce() + Send + use<> {
        let spec = self.layout().and_then(Result::ok);
        let spec = spec.filter(|_| !self.relocating.is_settled());
        let (recovery, options) = (self.recovery(), self.setup.storage());
        move || {
            if let Some(mut spec) = spec
                && let Err(error) = recovery.finish(&mut spec, &options)
            {
                tracing::warn!(%error, "what a move has left stays");
            }
        }
    }
}

impl Torrent {
    /// Goes to work on a store that is open, or checks what it holds.
    pub(super) fn on_opened(&mut self, Opened { store, known }: Opened, ctx: &mut Context<Self>) {
        self.note_known(&known);
        let Some(have) = known.have else {
            if let Some(why) = known.rejected {
                let id = self.id;
                self.event(Event::ResumeRejected { id, why });
            }
            return self.check(store, known.partial, ctx);
        };
        self.take_up(store, (have, known.partial), ctx);
    }
}

impl Handler<DiskReply> for Torrent {
    type Result = ();

    fn handle(&mut self, reply: DiskReply, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        let phase = std::mem::discriminant(&self.phase);
        match reply {
            DiskReply::Start { number, reply } => self.on_start_reply(number, reply, ctx),
            DiskReply::Move { number, reply } => self.on_move_reply(number, reply, ctx),
            DiskReply::Hashes(answers) => self.on_hash_answers(answers, ctx),
            DiskReply::Probed(outcome) => {
                if matches!(self.phase, Phase::Failed(..)) {
                    match outcome {
                        Ok(()) => self.begin(ctx),
                        Err(error) => self.fail_storage(&error),
                    }
                }
            }
            DiskReply::Given(given) => self.on_given(*given),
            DiskReply::Renamed(outcome) => self.on_renamed(outcome, ctx),
            DiskReply::Wanted { run, outcome } => self.on_wanted(run, outcome, ctx),
            DiskReply::Unsynced { run, error } => self.on_unsynced(run, &error),
            DiskReply::Rested { number, known } => self.on_rested(number, known, ctx),
            DiskReply::Verified { run, verified } => self.on_verified(run, verified, ctx),
        }
        if std::mem::discriminant(&self.phase) != phase {
            self.publish();
        }
        self.drive(ctx);
    }
}

/// Opens a store and finds out what is there: by trust, by resume data of an orderly end, or because there is nothing.
fn open_store(
    spec: StoreSpec,
    options: StoreOptions,
    (ledger, wanted): (Option<Ledger>, Option<Vec<usize>>),
    (trust, existing): (bool, Existing),
    (known, footing): (Option<Known>, Footing),
) -> Result<Opened, StoreError> {
    let pieces = spec.geometry.pieces();
    let stored: Vec<bool> = spec.files.iter().map(|file| file.wanted).collect();
    let store = Store::open(spec, options)?;
    footing.find(&store, existing, ledger.as_ref())?;
    if existing == Existing::Serve && (trust || !store.has_data()) {
        store.probe_files(|file| stored.get(file).is_some_and(|wanted| *wanted))?;
    }
    let exactly = |have| Known {
        have: Some(have),
        ..Known::default()
    };
    let load = |ledger: &Ledger| ledger.load(&store, wanted.as_deref());
    let recorded = ledger.as_ref().filter(|_| known.is_none()).map(load);
    // What a store has recorded is of a run after that in which the content was taken as right.
    let recorded = recorded.filter(|recorded| recorded.ours || !trust);
    let mut known = match (known, recorded) {
        (Some(known), _) => known.unless_changed(&store),
        (None, None) if trust => exactly(Bitfield::full(pieces)),
        (None, Some(recorded)) if recorded.have.is_some() => recorded,
        (None, _) if !store.has_data() => exactly(Bitfield::new(pieces)),
        (None, recorded) => recorded.unwrap_or_default(),
    };
    resume::drop_absent(&store, &mut known.partial);
    if existing != Existing::Serve {
        store.reclaim()?;
        store.prepare()?;
        // A run before this one may have written it a moment before it was killed.
        if known.vouched != Some(Vouched::Synced) && store.has_data() {
            store.presume_unsynced();
        }
    }
    Ok(Opened { store, known })
}
