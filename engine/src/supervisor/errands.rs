//! What has to be looked up or kept before it is done: by how many hops a torrent goes. Nothing of a torrent leaves before
//! it is kept which way it may leave, so that whoever starts it again without a word goes no other.
//!
//! Errands are done one after the other, so that what was asked for last is what is kept, and what holds.

use std::collections::VecDeque;
use std::path::Path;

use actix::{ActorFutureExt as _, AsyncContext as _, Context};
use protocol::krpc::item::mutable_target;
use storage::hops::{self, NoteError};
use tokio::sync::oneshot;

use crate::{AddTorrent, Choices, CommandError, Event, Source, TorrentId, choices};

use super::Supervisor;

/// What torrents are named by in the state directory.
pub(super) type Names = Vec<[u8; 20]>;

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

/// By how many hops it goes.
struct Settled {
    hops: u8,
    /// Nobody has said so now: it is what was kept.
    kept: bool,
    /// Why it could not be kept.
    unsaved: Option<NoteError>,
    /// What was decided about its files in an earlier life.
    choices: Option<Choices>,
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
            let (names, said) = match self.names_of(&errand, ctx) {
                Ok(asked) => asked,
                Err(error) => {
                    errand.refuse(error);
                    continue;
                }
            };
            let Some(dir) = self.config.state_dir.clone() else {
                let hops = said.unwrap_or_default();
                self.finish_errand(errand, Ok(Settled::new(hops, false)), ctx);
                continue;
            };
            self.errands.under_way = true;
            let (done, settled) = oneshot::channel();
            self.disk.short(move || {
                // Nobody waits for it where the engine has ended.
                let _ = done.send(settle(&dir, &names, said));
            });
            let then = actix::fut::wrap_future(settled).map(
                move |settled, supervisor: &mut Self, ctx: &mut Context<Self>| {
                    supervisor.errands.under_way = false;
                    match settled {
                        Ok(settled) => supervisor.finish_errand(errand, settled, ctx),
                        Err(_) => errand.refuse(CommandError::Stopped),
                    }
                    supervisor.next_errand(ctx);
                },
            );
            ctx.spawn(then);
        }
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
                let mut names: Names = hashes.names().map(|name| name.0).collect();
                if let Source::Magnet(magnet) = &add.source
                    && let Some(named) = &magnet.mutable
                {
                    names.push(mutable_target(&named.public_key, &named.salt).0);
                }
                Ok((names, add.hops))
            }
            Errand::Look(name, said, _) => Ok((vec![*name], *said)),
            Errand::Move(id, hops, _) => {
                let names = self.working(*id)?.names();
                self.reach(*hops, ctx).map_err(CommandError::Route)?;
                Ok((names, Some(*hops)))
            }
            Errand::Named(id, names) => Ok((names.clone(), self.child(*id)?.add.hops)),
        }
    }

    fn finish_errand(
        &mut self,
        errand: Errand,
        settled: Result<Settled, NoteError>,
        ctx: &mut Context<Self>,
    ) {
        let settled = match settled {
            Ok(settled) => settled,
            Err(error) => {
                return errand.refuse(CommandError::UnknownHops(error.to_string().into()));
            }
        };
        let hops = settled.hops;
        let id = match errand {
            Errand::Add(mut add, reply) => {
                if let Some(choices) = settled.choices {
                    Choices::fill_in(&mut add, choices);
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
                if let Some(child) = self.torrents.get_mut(&id) {
                    child.add.hops = Some(hops);
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

    fn tell_unsaved(&self, id: TorrentId, error: NoteError) {
        tracing::warn!(%error, "by how many hops a torrent goes could not be kept");
        if let NoteError::Io { path, source } = error {
            let reason = source.to_string();
            self.event(&Event::Unsaved { id, path, reason });
        }
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

impl Settled {
    const fn new(hops: u8, kept: bool) -> Self {
        Self {
            hops,
            kept,
            unsaved: None,
            choices: None,
        }
    }
}

/// Keeps what was said, or finds out what was kept; on the Disk.
fn settle(dir: &Path, names: &[[u8; 20]], said: Option<u8>) -> Result<Settled, NoteError> {
    let kept = match said {
        Some(_) => None,
        None => hops::load(dir, names)?,
    };
    let hops = said.or(kept).unwrap_or_default();
    Ok(Settled {
        unsaved: hops::save(dir, names, hops).err(),
        choices: choices::load(dir, names),
        ..Settled::new(hops, kept.is_some())
    })
}
