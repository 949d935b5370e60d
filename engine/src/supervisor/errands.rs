//! What has to be looked up or kept before it is done: by how many hops a torrent goes. Nothing of a torrent leaves before
//! it is kept which way it may leave, so that whoever starts it again without a word goes no other.
//!
//! Errands are done one after the other, so that what was asked for last is what is kept, and what holds.

use std::collections::VecDeque;

use actix::{ActorFutureExt as _, AsyncContext as _, Context};
use state::{Details, TorrentKey};
use tokio::sync::oneshot;

use crate::memory::Trouble;
use crate::memory::hops::{self, Names, Settled};
use crate::{AddTorrent, Choices, CommandError, Event, TorrentId};

use super::{Child, Leaving, Supervisor};

/// Something that waits for its turn.
pub(super) enum Errand {
    Add(
        Box<AddTorrent>,
        oneshot::Sender<Result<TorrentId, CommandError>>,
    ),
    /// By how many hops to look for what is named so.
    Look(
        [u8; 20],
        Option<u8>,
        oneshot::Sender<Result<u8, CommandError>>,
    ),
    Move(TorrentId, u8, oneshot::Sender<Result<(), CommandError>>),
    /// The torrent is found to have these names.
    Named(TorrentId, Names),
}

/// Errands, in the order in which they came.
#[derive(Default)]
pub(super) struct Errands {
    waiting: VecDeque<Errand>,
    under_way: bool,
}

impl Supervisor {
    /// Does an errand when those before it are done.
    pub(super) fn run_errand(&mut self, errand: Errand, ctx: &mut Context<Self>) {
        self.errands.waiting.push_back(errand);
        self.next_errand(ctx);
    }

    fn next_errand(&mut self, ctx: &mut Context<Self>) {
        while !self.errands.under_way
            && let Some(errand) = self.errands.waiting.pop_front()
        {
            let Some(errand) = self.unless_it_leaves(errand, ctx) else {
                continue;
            };
            let (names, said) = match self.names_of(&errand, ctx) {
                Ok(asked) => asked,
                Err(error) => {
                    errand.refuse(error);
                    continue;
                }
            };
            if self.config.memory.is_none() {
                let hops = said.unwrap_or_default();
                self.finish_errand(errand, Ok(Settled::new(hops, false)), ctx);
                continue;
            }
            self.errands.under_way = true;
            let (done, settled) = oneshot::channel();
            let (memory, asked) = (self.config.memory.clone(), names.clone());
            let watch = self.config.storage.watch.clone();
            let asleep = self.asleep_in(&errand);
            self.disk.apart(move || {
                let settled = hops::settle(&memory, &asked, said, &watch);
                let details = match (asleep, memory.keeper()) {
                    (Some(key), Some(keeper)) => keeper.details(key).ok(),
                    (None, _) | (_, None) => None,
                };
                // Nobody waits for it where the engine has ended.
                let _ = done.send((settled, details));
            });
            let then = actix::fut::wrap_future(settled)
                .then(move |settled, supervisor: &mut Self, _| {
                    let (settled, details) = settled.ok().unzip();
                    supervisor.keep_settled(errand, &names, (settled, details.flatten()))
                })
                .map(
                    move |(errand, settled), supervisor: &mut Self, ctx: &mut Context<Self>| {
                        supervisor.errands.under_way = false;
                        match settled {
                            Some(settled) => supervisor.finish_errand(errand, settled, ctx),
                            None => errand.refuse(CommandError::Stopped),
                        }
                        supervisor.next_errand(ctx);
                    },
                );
            ctx.spawn(then);
        }
    }

    /// Has a torrent wait that is added again while it is being removed, until nothing is written to its content or deleted of it any more.
    /// That its trackers hear of its end is waited for by nobody.
    fn unless_it_leaves(&mut self, errand: Errand, ctx: &mut Context<Self>) -> Option<Errand> {
        let Errand::Add(add, _) = &errand else {
            return Some(errand);
        };
        let Err(CommandError::Duplicate(id)) = self.may_add(add) else {
            return Some(errand);
        };
        let child = self.torrents.get_mut(&id);
        let Some(child) = child.filter(|child| child.leaving == Some(Leaving::Removed)) else {
            return Some(errand);
        };
        let (done, gone) = oneshot::channel();
        child.adders.push(done);
        let then = actix::fut::wrap_future(gone).map(
            move |_, supervisor: &mut Self, ctx: &mut Context<Self>| {
                supervisor.run_errand(errand, ctx);
            },
        );
        ctx.spawn(then);
        None
    }

    /// The torrent that an errand is about, where it has no actor.
    fn asleep_in(&self, errand: &Errand) -> Option<TorrentKey> {
        let (Errand::Move(id, ..) | Errand::Named(id, _)) = errand else {
            return None;
        };
        let child = self.torrents.get(id)?;
        child.awake().is_none().then_some(TorrentKey(id.0))
    }

    /// Keeps in a store what was settled, before it holds; a torrent that is added is kept whole.
    fn keep_settled(
        &mut self,
        errand: Errand,
        names: &Names,
        (settled, details): (Option<Result<Settled, Trouble>>, Option<Details>),
    ) -> impl actix::ActorFuture<Self, Output = (Errand, Option<Result<Settled, Trouble>>)> + use<>
    {
        let id = match &errand {
            Errand::Add(..) => None,
            Errand::Look(..) => Some(None),
            Errand::Move(id, ..) | Errand::Named(id, _) => Some(Some(*id)),
        };
        let hops = match &settled {
            Some(Ok(settled)) => Some(settled.hops),
            Some(Err(_)) | None => None,
        };
        let kept = match (id, hops) {
            (Some(id), Some(hops)) => self.keep_hops(id, (names, hops), details),
            (None, _) | (_, None) => None,
        };
        let keeper = self.config.memory.keeper().cloned();
        actix::fut::wrap_future(async move {
            let (Some(kept), Some(keeper)) = (kept, keeper) else {
                return (errand, settled);
            };
            let unsaved = match kept.await {
                Ok(Err(error)) => Some(Trouble::of(&keeper, &error)),
                Ok(Ok(())) | Err(_) => None,
            };
            let settled =
                settled.map(|settled| settled.map(|settled| Settled { unsaved, ..settled }));
            (errand, settled)
        })
    }

    /// Under which names an errand's hops are kept, and what was said of them; or why it comes to nothing.
    fn names_of(
        &mut self,
        errand: &Errand,
        ctx: &mut Context<Self>,
    ) -> Result<(Names, Option<u8>), CommandError> {
        match errand {
            Errand::Add(add, _) => {
                let hashes = self.may_add(add)?;
                if let Some(hops) = add.hops {
                    self.reach(hops, ctx).map_err(CommandError::Route)?;
                }
                Ok((hops::names_of(add, &hashes), add.hops))
            }
            Errand::Look(name, said, _) => Ok((vec![*name], *said)),
            Errand::Move(id, hops, _) => {
                let names = self.working(*id)?.names();
                self.reach(*hops, ctx).map_err(CommandError::Route)?;
                Ok((names, Some(*hops)))
            }
            Errand::Named(id, names) => {
                let awake = self.child(*id)?.awake();
                Ok((names.clone(), awake.and_then(|awake| awake.add.hops)))
            }
        }
    }

    fn finish_errand(
        &mut self,
        errand: Errand,
        settled: Result<Settled, Trouble>,
        ctx: &mut Context<Self>,
    ) {
        let settled = match settled {
            Ok(settled) => settled,
            Err(error) => {
                let full = self.config.memory.full().map(CommandError::NoRoom);
                let unknown = || CommandError::UnknownHops(error.to_string().into());
                return errand.refuse(full.unwrap_or_else(unknown));
            }
        };
        let hops = settled.hops;
        let id = match errand {
            Errand::Add(mut add, reply) => {
                if let Some(choices) = settled.choices {
                    Choices::fill_in(&mut add, choices);
                }
                if self.session.is_some() {
                    return self.keep_new(*add, (hops, settled.kept), reply, ctx);
                }
                let added = self.add(*add, (hops, settled.kept), ctx);
                let id = added.as_ref().ok().copied();
                // Whoever asked may have gone.
                let _ = reply.send(added);
                id
            }
            Errand::Look(_, _, reply) => {
                let _ = reply.send(Ok(hops));
                None
            }
            Errand::Move(id, hops, reply) => {
                if let Some(awake) = self.torrents.get_mut(&id).and_then(Child::awake_mut) {
                    awake.add.hops = Some(hops);
                }
                let _ = reply.send(self.set_hops(id, hops, ctx));
                Some(id)
            }
            Errand::Named(id, _) => {
                // By another of its names it went by more, and nobody has said now that it is to go by fewer.
                if self.child(id).is_ok_and(|child| hops > child.hops) {
                    let _reach = self.reach_kept(hops, ctx);
                    // It fails only where the torrent is gone.
                    let _ = self.set_hops(id, hops, ctx);
                }
                Some(id)
            }
        };
        // Of the direct way nothing has to be kept.
        if let (Some(error), Some(id), true) = (settled.unsaved, id, hops > 0) {
            self.tell_unsaved(id, error);
        }
    }

    fn tell_unsaved(&self, id: TorrentId, error: Trouble) {
        tracing::warn!(%error, "by how many hops a torrent goes could not be kept");
        let Trouble { path, reason } = error;
        self.event(&Event::Unsaved { id, path, reason });
    }
}

impl Errand {
    fn refuse(self, error: CommandError) {
        // Whoever asked may have gone.
        match self {
            Self::Add(_, reply) => drop(reply.send(Err(error))),
            Self::Look(_, _, reply) => drop(reply.send(Err(error))),
            Self::Move(_, _, reply) => drop(reply.send(Err(error))),
            Self::Named(..) => {}
        }
    }
}
