//! The snapshot that everyone reads.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext as _, Context};
use tokio::time::Instant;

use crate::Snapshot;

use super::Supervisor;

/// The least time between two snapshots that are published because a torrent changed its state, for each thousand of
/// torrents: each costs as much as there are torrents, and thousands of them may change at once.
const PUBLISH_APART: Duration = Duration::from_millis(10);

/// Torrents up to which the snapshot is published with each event. Where there are more, it is at most half a second
/// behind.
const FEW: usize = 1000;

impl Supervisor {
    /// Publishes the snapshot at once, or as soon as the last one is old enough.
    pub(super) fn publish_soon(&mut self, ctx: &mut Context<Self>) {
        let thousands = 1 + self.torrents.len() / 1000;
        let due = self.published + PUBLISH_APART * thousands as u32;
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

    /// Publishes the snapshot before something is told of, after which somebody may look at it; or leaves that to the next time
    /// where it would cost too much.
    pub(super) fn publish_before_event(&mut self) {
        if self.dirty && self.torrents.len() <= FEW {
            self.publish();
        }
    }

    pub(super) fn publish(&mut self) {
        self.dirty = false;
        self.published = Instant::now();
        let torrents = self
            .torrents
            .values()
            .filter(|child| !child.is_parting())
            .filter_map(|child| child.status.clone())
            .collect();
        let direct = self.routes.direct();
        let external_ips = direct
            .map(|direct| direct.reach.desk.external_ips())
            .unwrap_or_default();
        self.tell_external(&external_ips);
        self.snapshots.send_replace(Arc::new(Snapshot {
            listen: self.listen(),
            torrents,
            external_ips,
        }));
    }
}
