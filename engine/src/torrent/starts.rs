//! The questions to the Disk by which a torrent comes to work, and their answers.
//!
//! A torrent that is paused and told to go on asks anew while an older job may still be on its way, which looked at files under
//! other names, or with other wishes: only the answer to the last question counts.

use std::path::PathBuf;
use std::sync::Arc;

use actix::{Addr, AsyncContext as _, Context};
use actors::tell;
use protocol::metainfo::Metainfo;
use storage::StoreError;

use crate::claims::Claim;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::{DiskReply, Opened};
use crate::{Event, TorrentError};

/// What the Disk answers a torrent that begins.
#[derive(Debug)]
pub(crate) enum StartReply {
    /// Metadata of a magnet link that was kept from an earlier run.
    Recalled(Option<Arc<Metainfo>>),
    /// The content is at this folder: it was being moved when an earlier run ended.
    Elsewhere(PathBuf),
    /// Where the content was found is kept, or cannot be: it is to be opened there.
    Reopen {
        /// Whether it is kept.
        kept: bool,
    },
    /// It is not known where the content is, or a move cannot be taken back now.
    Stuck(TorrentError),
    /// The store is open.
    Opened(Result<Opened, StoreError>),
    /// The check found nothing but a file of another kind.
    Foreign(PathBuf),
    /// The check has ended. Files that it cut off are claimed.
    Checked(Result<Opened, StoreError>, Option<Claim>),
    /// What lies elsewhere was taken over.
    Adopted(Result<(Opened, storage::Adopted), StoreError>),
}

/// Where the answer to a question goes.
pub(super) struct Asker {
    me: Addr<Torrent>,
    number: u64,
}

impl Asker {
    /// Answers.
    pub(super) fn tell(&self, reply: StartReply) {
        let number = self.number;
        tell(&self.me, DiskReply::Start { number, reply });
    }
}

impl Torrent {
    /// A new question to the Disk; answers to earlier ones are overtaken.
    pub(super) fn ask_to_start(&mut self, ctx: &Context<Self>) -> Asker {
        self.questions += 1;
        Asker {
            me: ctx.address(),
            number: self.questions,
        }
    }

    /// An answer, unless another question or a command has overtaken it.
    pub(super) fn on_start_reply(
        &mut self,
        number: u64,
        reply: StartReply,
        ctx: &mut Context<Self>,
    ) {
        if number != self.questions {
            return;
        }
        match (&self.phase, reply) {
            (Phase::Opening, StartReply::Recalled(found)) => self.on_recalled(found, ctx),
            (Phase::Opening, StartReply::Elsewhere(dir)) => self.on_found_elsewhere(dir, ctx),
            (Phase::Opening, StartReply::Reopen { kept }) => self.reopen(kept, ctx),
            (Phase::Opening, StartReply::Stuck(error)) => self.fail(error),
            (Phase::Opening, StartReply::Opened(outcome)) => {
                self.relocating.settled = true;
                match outcome {
                    Ok(opened) => self.on_opened(opened, ctx),
                    Err(error) => self.fail_storage(&error),
                }
            }
            (Phase::Checking(_), StartReply::Foreign(path)) => {
                self.fail(TorrentError::Foreign(path));
            }
            (Phase::Checking(_), StartReply::Checked(outcome, claim)) => {
                match outcome {
                    Ok(checked) => self.on_checked(checked, ctx),
                    Err(error) => self.fail_storage(&error),
                }
                // What is written to is claimed anew by now.
                drop(claim);
            }
            (Phase::Checking(_), StartReply::Adopted(outcome)) => match outcome {
                Ok((opened, adopted)) => self.on_adopted(opened, adopted, ctx),
                Err(error) => self.fail_storage(&error),
            },
            (..) => {}
        }
    }

    fn on_checked(&mut self, Opened { store, known }: Opened, ctx: &mut Context<Self>) {
        let Some(have) = known.have else {
            self.phase = Phase::Paused;
            return;
        };
        self.event(Event::CheckFinished {
            id: self.id,
            good: have.count(),
        });
        self.take_up(store, (have, known.partial), ctx);
    }
}
