//! How a torrent comes to rest, to be paused or to end: connections end, what is whole is hashed, and the progress is
//! saved when nobody writes to the files any more. A record is of use only if the files stay as it saw them.

use std::time::{Duration, Instant};

use actix::{ActorContext, ActorFutureExt as _, AsyncContext, Context, Handler};
use tokio::sync::oneshot;

use crate::ReadError;
use crate::announce::farewells::Weight;
use crate::announce::messages::Announce;
use crate::peer::driver::now;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::{DiskReply, Hush, News, Stop};
use crate::torrent::resume::Known;

/// How long a torrent that is paused may take to come to rest, and to tell its trackers.
const PAUSE_WITHIN: Duration = Duration::from_secs(5);

/// A torrent that is coming to rest.
#[derive(Debug)]
pub(crate) struct Settling {
    /// When to wait no longer.
    latest: Instant,
    /// Nothing is under way any more, and the progress is being saved: this is the number of that.
    saving: Option<u64>,
    then: Then,
}

/// What a torrent comes to rest for.
#[derive(Debug)]
enum Then {
    /// What is left of it goes to another folder.
    Move,
    Pause {
        /// It was told to go on while its progress was being saved: it goes on when that is done.
        again: bool,
    },
    Stop {
        delete_data: bool,
        /// It is removed, and nobody comes back to what a move has left.
        removed: bool,
        settled: oneshot::Sender<()>,
    },
}

impl Torrent {
    /// Stops until it is told to go on.
    pub(super) fn pause(&mut self) {
        if self.relocating.note_wish(false) {
            return;
        }
        if let Some(settling) = &mut self.settling {
            if let Then::Pause { again } = &mut settling.then {
                *again = false;
            }
            return;
        }
        match &self.phase {
            Phase::Active(_) | Phase::Layers(_) | Phase::Metadata(_) => {
                let latest = now() + PAUSE_WITHIN;
                self.come_to_rest(latest, Then::Pause { again: false });
            }
            Phase::Checking(_) | Phase::Failed(..) | Phase::Opening => {
                // Whatever happens to the files meanwhile is found out when it goes on.
                self.known = None;
                self.halt(Phase::Paused);
            }
            Phase::Paused => return,
        }
        self.farewell(tokio::time::Instant::now() + PAUSE_WITHIN, None);
    }

    /// Goes on, unless the queue has it wait.
    pub(super) fn resume(&mut self, ctx: &mut Context<Self>) {
        self.add.paused = false;
        if self.held {
            return;
        }
        self.go_on(ctx);
        let moves = self.relocating.note_wish(true);
        if !moves && matches!(self.phase, Phase::Paused | Phase::Failed(..)) {
            // Whoever asks wants to hear what comes of it.
            self.trouble = None;
            self.begin(ctx);
        }
    }

    /// Waits for its turn, or has it.
    pub(super) fn hold(&mut self, held: bool, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.held, held) == held || self.add.paused {
            return;
        }
        if held {
            self.pause();
        } else {
            self.resume(ctx);
        }
    }

    /// Comes to rest, to be moved then.
    pub(super) fn come_to_rest_to_move(&mut self, now: Instant) {
        self.come_to_rest(now + PAUSE_WITHIN, Then::Move);
    }

    /// Takes back that it comes to rest to be moved.
    pub(super) fn do_not_rest_to_move(&mut self, ctx: &mut Context<Self>) {
        let resting = |settling: &mut Settling| matches!(settling.then, Then::Move);
        if self.settling.take_if(resting).is_some() {
            self.go_online(ctx);
        }
    }

    /// Comes to rest, and begins anew then.
    pub(super) fn begin_again(&mut self, now: Instant) {
        if self.settling.is_none() {
            self.come_to_rest(now + PAUSE_WITHIN, Then::Pause { again: true });
        }
    }

    /// Takes a pause back that has not come about yet.
    pub(super) fn go_on(&mut self, ctx: &mut Context<Self>) {
        let Some(Settling { then, saving, .. }) = &mut self.settling else {
            return;
        };
        let Then::Pause { again } = then else { return };
        if saving.is_some() {
            // What is being saved holds only as long as nothing is written.
            *again = true;
        } else {
            self.settling = None;
            self.go_online(ctx);
        }
    }

    /// Takes a pause back, also one whose progress is being saved: that is of no use any more.
    pub(super) fn take_back_pause(&mut self) {
        let resting =
            |settling: &mut Settling| matches!(settling.then, Then::Pause { .. } | Then::Move);
        if self.settling.take_if(resting).is_some() {
            self.relocating.keep_copying();
        }
    }

    fn come_to_rest(&mut self, latest: Instant, then: Then) {
        self.settling = Some(Settling {
            latest,
            saving: None,
            then,
        });
        self.dismiss_all();
    }

    /// When [`Torrent::settle`] should be called again even if nothing else happens.
    pub(super) fn settled_by(&self) -> Option<Instant> {
        let waiting = |settling: &&Settling| settling.saving.is_none();
        let settling = self.settling.as_ref().filter(waiting);
        settling.map(|settling| settling.latest)
    }

    /// Rests, if it is to and nothing is under way any more.
    pub(super) fn settle(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let Some(latest) = self.settled_by() else {
            return;
        };
        let hashing = self
            .active()
            .is_some_and(|active| active.batches > 0 || !active.gather.is_empty());
        let arranging = self.renames.is_under_way()
            || self
                .active()
                .is_some_and(|active| active.wanted.is_under_way());
        let stops = |settling: &Settling| matches!(settling.then, Then::Stop { .. });
        let moves = self.relocating.is_under_way() && self.settling.as_ref().is_some_and(stops);
        let busy = self.peers.len() > 0 || !self.web_seeds.are_idle() || arranging || moves;
        if (busy || hashing) && now < latest {
            return;
        }
        self.rests += 1;
        let number = self.rests;
        let Some(mut settling) = self.settling.take() else {
            return;
        };
        match settling.then {
            Then::Move | Then::Pause { .. } => {
                settling.saving = Some(number);
                self.settling = Some(settling);
                let me = ctx.address();
                self.save_at_rest(move |known| {
                    actors::tell(&me, DiskReply::Rested { number, known });
                });
            }
            Then::Stop {
                delete_data,
                removed,
                settled,
            } => {
                if delete_data {
                    self.halt(Phase::Paused);
                    self.delete_data(settled);
                } else {
                    if removed {
                        self.setup.disk.short(self.leaving_no_move());
                    }
                    // Whoever waits is told when the record is there.
                    self.save_at_rest(|_| {
                        let _ = settled.send(());
                    });
                    self.halt(Phase::Paused);
                }
            }
        }
    }

    /// The progress at rest is saved, and with it a pause has come about.
    pub(super) fn on_rested(&mut self, number: u64, known: Option<Known>, ctx: &mut Context<Self>) {
        let settling = self
            .settling
            .take_if(|settling| settling.saving == Some(number));
        let again = match settling.map(|settling| settling.then) {
            Some(Then::Move) => return self.swap(known, ctx),
            Some(Then::Pause { again }) => again,
            Some(Then::Stop { .. }) | None => return,
        };
        self.known = known;
        self.halt(Phase::Paused);
        if again {
            self.begin(ctx);
        }
        self.publish();
    }

    /// Lets the Announcers say goodbye; `done` is told at once where there is none.
    pub(super) fn farewell(
        &mut self,
        deadline: tokio::time::Instant,
        done: Option<oneshot::Sender<()>>,
    ) {
        self.leave_neighbours();
        self.leave_dht();
        self.leave_hidden();
        let done = done.unwrap_or_else(|| oneshot::channel().0);
        let finished = matches!(&self.phase, Phase::Active(active) if active.finished);
        let weight = Weight::new(finished, self.peers.len());
        let announcers = self.announcers.take();
        let mut said = Vec::with_capacity(announcers.len());
        for announcer in announcers {
            let (done, heard) = oneshot::channel();
            let farewell = Announce::Farewell {
                weight,
                deadline,
                done,
            };
            actors::tell(&announcer, farewell);
            said.push(heard);
        }
        if said.is_empty() {
            let _ = done.send(());
            return;
        }
        let all = async move {
            for heard in said {
                let _ = heard.await;
            }
            let _ = done.send(());
        };
        self.setup.pool.spawn(all).detach();
    }
}

impl Handler<Hush> for Torrent {
    type Result = ();

    fn handle(&mut self, _: Hush, _: &mut Context<Self>) {
        self.announcers.hush();
    }
}

impl Handler<Stop> for Torrent {
    type Result = ();

    fn handle(&mut self, stop: Stop, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        let why = if stop.removed {
            ReadError::Removed
        } else {
            ReadError::Stopped
        };
        self.readers.end(&why);
        let left = stop.deadline.saturating_duration_since(now());
        let (settled, quiet) = oneshot::channel();
        let then = Then::Stop {
            delete_data: stop.delete_data,
            removed: stop.removed,
            settled,
        };
        self.come_to_rest(now() + left * 3 / 4, then);
        self.leave_move(ctx);
        let (done, heard) = oneshot::channel();
        self.farewell(tokio::time::Instant::from_std(stop.deadline), Some(done));
        let before = self.moves.said();
        let id = self.id;
        let supervisor = self.setup.supervisor.clone();
        let parts = stop.removed.then(|| supervisor.clone());
        let all = async move {
            let _ = quiet.await;
            if let Some(supervisor) = parts {
                actors::tell_recipient(&supervisor, News::Parts(id));
            }
            let _ = heard.await;
            if let Some(before) = before {
                let _ = before.await;
            }
        };
        ctx.spawn(actix::fut::wrap_future(all).map(
            move |(), torrent: &mut Self, ctx: &mut Context<Self>| {
                // The last of what it moved counts, too.
                torrent.publish();
                actors::tell_recipient(&supervisor, News::Gone(id));
                let _ = stop.done.send(());
                ctx.stop();
            },
        ));
        self.drive(ctx);
    }
}
