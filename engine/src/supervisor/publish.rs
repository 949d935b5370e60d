//! The snapshot that everyone reads.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext as _, Context};
use tokio::time::Instant;

use crate::Snapshot;

use super::Supervisor;

/// The least time between two snapshots that are published because a torrent changed its state: each costs as much as
/// there are torrents, and thousands of them may change at once.
const PUBLISH_APART: Duration = Duration::from_millis(10);

impl Supervisor {
    /// Publishes the snapshot at once, or as soon as the last one is old enough.
    pub(super) fn publish_soon(&mut self, ctx: &mut Context<Self>) {
        let due = self.published + PUBLISH_APART;
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.publish();
        } else if !std::mem::replace(&mut self.pressing, true) {
            ctx.run_later(left, |supervisor, _| {
                supervisor.pressing = false;
                if supervisor.dirty {
                    supervisor.publish();
                }
            });
        }
    }

    pub(super) fn publish(&mut self) {
        self.dirty = false;
        self.published = Instant::now();
        let torrents = self
            .torrents
            .values()
            .filter_map(|child| child.status.clone())
            .collect();
        self.snapshots.send_replace(Arc::new(Snapshot {
            listen: self.listen(),
            torrents,
            external_ips: self
                .routes
                .direct()
                .map(|direct| direct.reach.desk.external_ips())
                .unwrap_or_default(),
        }));
    }
}
