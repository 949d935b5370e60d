//! How a torrent's content comes up: open the files, learn what is there, go to work.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Addr, AsyncContext, Context, Handler};
use actors::tell;
use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use protocol::metainfo::Metainfo;
use storage::{ErrorKind, Op, RecheckOptions, Store, StoreError, StoreOptions, StoreSpec};
use tokio::sync::oneshot;

use crate::content::{Content, HaveBoard};
use crate::peer::driver::now;
use crate::peer::messages::Order;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::gather::Gather;
use crate::torrent::messages::{DiskReply, Opened};
use crate::torrent::padding;
use crate::torrent::picker::{Picker, Priority};
use crate::torrent::resume::{self, Known, Partials};
use crate::torrent::smart_ban::SmartBan;
use crate::{Event, TorrentError};

/// How long a torrent that failed stands still before it tries again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How long finished pieces wait for others to be hashed with, at most.
const GATHER_WAIT: Duration = Duration::from_millis(50);

/// Bytes of finished pieces that wait to be hashed, at most.
const GATHER_BYTES: u64 = 64 << 20;

/// How far a check has come; written by the Disk, read by the torrent.
#[derive(Debug, Default)]
pub(crate) struct CheckProgress {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl CheckProgress {
    /// So many of all pieces were looked at; they have `size` bytes together.
    fn set(&self, size: u64, (done, all): (u32, u32)) {
        let looked_at = u128::from(size) * u128::from(done) / u128::from(all.max(1));
        self.done.store(looked_at as u64, Ordering::Relaxed);
        self.total.store(size, Ordering::Relaxed);
    }

    /// Bytes looked at, and bytes to look at.
    pub(crate) fn get(&self) -> (u64, u64) {
        (
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }

    /// Stops the check soon.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Torrent {
    /// Opens the content on the Disk; [`DiskReply::Opened`] comes back.
    pub(crate) fn open(&mut self, ctx: &mut Context<Self>) {
        let Some(spec) = self.spec() else { return };
        self.phase = Phase::Opening;
        let me = ctx.address();
        let options = self.setup.storage.clone();
        let resume = self.resume_path();
        let wanted = self.add.files.clone();
        let trust = self.add.trust_data;
        let known = self.known.take();
        self.setup.disk.short(move || {
            let opened = open_store(spec, options, (resume.as_deref(), wanted), trust, known);
            tell(&me, DiskReply::Opened(opened));
        });
    }

    /// Hashes everything on disk, from whatever phase that has the metadata.
    pub(crate) fn recheck(&mut self, ctx: &mut Context<Self>) {
        self.known = None;
        self.add.trust_data = false;
        let Phase::Active(active) = &self.phase else {
            if matches!(self.phase, Phase::Paused | Phase::Failed(..)) {
                self.forget_resume();
                self.begin(ctx);
            }
            return;
        };
        let store = active.content.store.clone();
        let partial = active.partials();
        self.forget_resume();
        self.halt(Phase::Opening);
        self.check(store, partial, ctx);
    }

    fn check(&mut self, store: Store, partial: Partials, ctx: &mut Context<Self>) {
        let progress = Arc::new(CheckProgress::default());
        self.phase = Phase::Checking(Arc::clone(&progress));
        let size = self.size();
        let me: Addr<Self> = ctx.address();
        self.setup.disk.long(move || {
            let outcome = store.recheck(
                &RecheckOptions::default(),
                &|at| progress.set(size, (at.done, at.total)),
                &progress.cancelled,
            );
            if !progress.cancelled.load(Ordering::Relaxed) {
                let opened = outcome.map(|have| Opened {
                    store,
                    known: Known {
                        have: Some(have),
                        partial,
                        ..Known::default()
                    },
                });
                tell(&me, DiskReply::Checked(opened));
            }
        });
    }

    /// Goes to work on a store whose pieces are known.
    fn activate(
        &mut self,
        store: Store,
        (have, partial): (&Bitfield, &Partials),
        ctx: &mut Context<Self>,
    ) {
        let Some(metainfo) = self.metainfo.clone() else {
            return;
        };
        let geometry = metainfo.geometry();
        let mut picker = Picker::new(geometry, have, self.setup.seed ^ self.id.0);
        picker.set_padding(padding::of(&metainfo));
        self.apply_selection(&metainfo, &mut picker);
        let content = Arc::new(Content {
            store,
            geometry,
            info: metainfo.info_bytes().clone(),
            have: HaveBoard::new(have),
        });
        let finished = picker.is_finished();
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
            pieces: BTreeMap::new(),
            batches: 0,
            last_ring: now(),
            ring_due: false,
            finished,
        };
        let full = active.take_up(partial);
        self.phase = Phase::Active(Box::new(active));
        for piece in full {
            self.on_piece_full(piece);
        }
        self.saved = None;
        for (_, peer) in self.peers.iter() {
            peer.order(Order::Content(Arc::clone(&content)));
        }
        self.count_holdings();
        self.save_resume(false);
        self.go_online(ctx);
        if finished {
            self.announce_finished(ctx);
        }
    }

    /// Gives the picker what the user wants of the torrent.
    fn apply_selection(&self, metainfo: &Metainfo, picker: &mut Picker) {
        let geometry = metainfo.geometry();
        let mut priorities = vec![Priority::NORMAL.get(); geometry.pieces() as usize];
        let span = |offset: u64, len: u64| {
            let first = geometry.piece_at(offset).map_or(0, PieceIndex::index);
            let last = geometry
                .piece_at(offset + len - 1)
                .map_or(0, PieceIndex::index);
            first..=last
        };
        if let Some(wanted) = &self.add.files {
            priorities.fill(Priority::SKIP.get());
            for file in wanted.iter().filter_map(|at| metainfo.files().get(*at)) {
                if file.len > 0
                    && let Some(pieces) = priorities.get_mut(span(file.offset, file.len))
                {
                    pieces.fill(Priority::NORMAL.get());
                }
            }
        }
        if self.add.sequential {
            for file in metainfo
                .files()
                .iter()
                .filter(|file| file.len > 0 && !file.attr.pad)
            {
                let pieces = span(file.offset, file.len);
                for edge in [*pieces.start(), *pieces.end()] {
                    if let Some(priority) = priorities.get_mut(edge)
                        && *priority != Priority::SKIP.get()
                    {
                        *priority = Priority::NORMAL.get() + 1;
                    }
                }
            }
        }
        picker.set_sequential(self.add.sequential);
        picker.set_priorities(&priorities);
    }

    /// Stops because content cannot be read or written. What was verified still counts when the disk was full or the
    /// like; where a file is gone or short, all is looked at again.
    pub(crate) fn fail_storage(&mut self, error: &StoreError) {
        let gone = matches!(error.kind(), ErrorKind::Vanished | ErrorKind::TooShort)
            || error.op() == Op::Sync;
        if gone {
            self.known = None;
            self.add.trust_data = false;
        } else if let Phase::Active(active) = &self.phase {
            self.known = Some(Known {
                have: Some(active.picker.have().clone()),
                partial: active.partials(),
                lacking: !active.finished,
                ..Known::default()
            });
        }
        self.fail(TorrentError::from(error));
    }

    /// Stops because content that was right is not any more: someone else wrote to it. All is looked at again.
    pub(crate) fn fail_changed(&mut self) {
        self.known = None;
        self.add.trust_data = false;
        self.fail(TorrentError::Storage {
            kind: ErrorKind::Vanished,
            message: "the content was changed by another program; it is checked again".into(),
        });
    }

    /// Stops with an error, to try again a little later.
    pub(crate) fn fail(&mut self, error: TorrentError) {
        if let Phase::Failed(known, at) = &mut self.phase {
            *at = now() + RETRY_AFTER;
            if *known == error {
                return;
            }
        }
        tracing::warn!(torrent = %self.hashes.wire(), %error, "stopped");
        self.halt(Phase::Failed(error.clone(), now() + RETRY_AFTER));
        self.event(Event::Error { id: self.id, error });
        self.publish();
    }

    /// Tries again after an error: first whether the disk gives what is needed, then everything. A torrent that may be
    /// complete needs no more than to be read.
    pub(crate) fn retry_if_due(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let Phase::Failed(TorrentError::Storage { .. }, at) = &mut self.phase else {
            return;
        };
        if now < *at {
            return;
        }
        *at = now + 15 * RETRY_AFTER;
        let Some(spec) = self.spec() else { return };
        let me = ctx.address();
        let options = self.setup.storage.clone();
        let lacking = self.known.as_ref().is_some_and(|known| known.lacking);
        let wanted: Vec<bool> = spec.files.iter().map(|file| file.wanted).collect();
        self.setup.disk.short(move || {
            let wanted = |file: usize| wanted.get(file).is_some_and(|wanted| *wanted);
            let probed = Store::open(spec, options).and_then(|store| {
                if lacking {
                    return store.probe_room();
                }
                let unread = store.probe_files(wanted);
                unread.or_else(|error| store.probe_room().map_err(|_| error))
            });
            tell(&me, DiskReply::Probed(probed));
        });
    }

    /// How the content lies on disk; a torrent that cannot be checked fails here.
    fn spec(&mut self) -> Option<StoreSpec> {
        let metainfo = self.metainfo.clone()?;
        let mut spec = match StoreSpec::from_metainfo(&metainfo, self.add.dir.clone()) {
            Ok(spec) => spec,
            Err(error) => {
                self.fail(TorrentError::Metadata(error.to_string().into()));
                return None;
            }
        };
        if let Some(wanted) = &self.add.files {
            let wanted: BTreeSet<usize> = wanted.iter().copied().collect();
            for (at, file) in spec.files.iter_mut().enumerate() {
                file.wanted = file.pad || wanted.contains(&at);
            }
        }
        Some(spec)
    }

    /// Deletes the content and the progress, on the Disk: there may be many thousands of files. `done` is told then.
    pub(crate) fn delete_data(&mut self, done: oneshot::Sender<()>) {
        let forget = self.forgetting();
        let spec = self.spec();
        let options = self.setup.storage.clone();
        self.setup.disk.short(move || {
            forget();
            let store = spec.map(|spec| Store::open(spec, options));
            let outcome = store.map(|store| store.and_then(|store| store.remove_files()));
            if let Some(Err(error)) = outcome {
                tracing::warn!(%error, "content could not be deleted");
            }
            let _ = done.send(());
        });
    }
}

impl Handler<DiskReply> for Torrent {
    type Result = ();

    fn handle(&mut self, reply: DiskReply, ctx: &mut Context<Self>) {
        match reply {
            DiskReply::Opened(outcome) if matches!(self.phase, Phase::Opening) => match outcome {
                Ok(Opened { store, known }) => match known.have {
                    Some(have) => self.activate(store, (&have, &known.partial), ctx),
                    None => self.check(store, known.partial, ctx),
                },
                Err(error) => self.fail_storage(&error),
            },
            DiskReply::Checked(outcome) if matches!(self.phase, Phase::Checking(_)) => {
                match outcome {
                    Ok(Opened { store, known }) => match known.have {
                        Some(have) => {
                            self.event(Event::CheckFinished {
                                id: self.id,
                                good: have.count(),
                            });
                            self.activate(store, (&have, &known.partial), ctx);
                        }
                        None => self.phase = Phase::Paused,
                    },
                    Err(error) => self.fail_storage(&error),
                }
            }
            DiskReply::Probed(outcome) => {
                if matches!(self.phase, Phase::Failed(..)) {
                    match outcome {
                        Ok(()) => {
                            self.event(Event::Recovered { id: self.id });
                            self.begin(ctx);
                        }
                        Err(error) => self.fail_storage(&error),
                    }
                }
            }
            DiskReply::Verified { run, verified } => self.on_verified(run, verified, ctx),
            // Answers to questions that a command has overtaken.
            DiskReply::Opened(_) | DiskReply::Checked(_) => {}
        }
        self.drive(ctx);
    }
}

/// Opens a store and finds out what is there: by trust, by resume data of an orderly end, or because there is nothing.
fn open_store(
    spec: StoreSpec,
    options: StoreOptions,
    (resume, wanted): (Option<&Path>, Option<Vec<usize>>),
    trust: bool,
    known: Option<Known>,
) -> Result<Opened, StoreError> {
    let pieces = spec.geometry.pieces();
    let store = Store::open(spec, options)?;
    let exactly = |have| Known {
        have: Some(have),
        ..Known::default()
    };
    let mut known = if let Some(known) = known {
        known.unless_changed(&store)
    } else if trust {
        exactly(Bitfield::full(pieces))
    } else if !store.has_data() {
        exactly(Bitfield::new(pieces))
    } else {
        let load = |path| resume::load(&store, path, wanted.as_deref());
        resume.map_or_else(Known::default, load)
    };
    resume::drop_absent(&store, &mut known.partial);
    store.prepare()?;
    Ok(Opened { store, known })
}
