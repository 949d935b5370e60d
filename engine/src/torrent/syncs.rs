//! What was written reaches the disk while a torrent fetches, in steps: a power cut takes only what is younger.

use std::sync::Arc;
use std::time::Instant;

use actix::{AsyncContext as _, Context};
use actors::tell;
use storage::StoreError;

use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::DiskReply;
use crate::torrent::rest::is_alone;

/// What a torrent has brought to the disk.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    /// When a sync was last asked for.
    last: Option<Instant>,
    /// Held by the one that is under way: a slow disk has one of each torrent.
    under_way: Arc<()>,
}

impl Torrent {
    /// Whether there is anything that it has to bring to the disk.
    pub(super) fn has_to_sync(&self) -> bool {
        let by_itself = !self.setup.settings.get().disk.sync_every.is_zero();
        matches!(&self.phase, Phase::Active(active) if by_itself && active.content.store.is_unsynced())
    }

    /// Brings to the disk what was written, if the last time is long enough ago and over.
    pub(super) fn sync_if_due(&mut self, now: Instant, ctx: &Context<Self>) {
        let every = self.setup.settings.get().disk.sync_every;
        let recent = |last| now.saturating_duration_since(last) < every;
        if self.syncs.last.is_some_and(recent)
            || !is_alone(&self.syncs.under_way)
            || !self.has_to_sync()
        {
            return;
        }
        let Phase::Active(active) = &self.phase else {
            return;
        };
        self.syncs.last = Some(now);
        let under_way = Arc::clone(&self.syncs.under_way);
        let (store, run, me) = (active.content.store.clone(), active.run, ctx.address());
        self.setup.disk.sync(move || {
            let brought = store.sync();
            drop(under_way);
            if let Err(error) = brought {
                tell(&me, DiskReply::Unsynced { run, error });
            }
        });
    }

    /// Stops where what was written did not reach the disk: nobody knows what of it is there.
    pub(super) fn on_unsynced(&mut self, run: u64, error: &StoreError) {
        if self.active().is_some_and(|active| active.run == run) {
            self.fail_storage(error);
        }
    }
}
