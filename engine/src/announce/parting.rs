//! Farewells beside announces of the same torrent: where it announces again to a tracker that is still told that it stops, that
//! has to be over first, for a tracker that hears of the end last forgets who is there.

use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, AsyncContext, Context};
use protocol::id::{InfoHash, PeerId};
use tokio::sync::oneshot;

use crate::announce::actor::Announcer;
use crate::announce::messages::{Announce, MakeWay};

/// How long an announce waits for a farewell to the same tracker; after that the farewell is dropped.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits until none of `parting` has anything more to say to a tracker.
pub(super) async fn make_way(
    parting: &[Addr<Announcer>],
    url: &Arc<str>,
    name: (InfoHash, PeerId),
) {
    let mut ways = Vec::new();
    for announcer in parting {
        let (way, over) = oneshot::channel();
        let url = Arc::clone(url);
        // One that is gone says nothing more.
        if announcer.connected() {
            let ask = MakeWay { url, name, way };
            actors::tell(announcer, Announce::MakeWay(ask));
            ways.push(over);
        }
    }
    for over in ways {
        // Nothing is sent: that it is dropped is the answer.
        let _ = over.await;
    }
}

impl Announcer {
    /// Lets the farewell to a tracker end before another announce to it, and drops it where that takes too long.
    pub(super) fn make_way(&mut self, ask: MakeWay, ctx: &mut Context<Self>) {
        let MakeWay { url, name, way } = ask;
        let Some(tracker) = self.tiers.key_of(&url) else {
            return;
        };
        if self.leaving.is_none() || name != self.name() || !self.tiers.has_farewell(tracker) {
            return;
        }
        self.ways.push((tracker, way));
        ctx.run_later(PATIENCE, move |announcer, ctx| {
            for farewell in [true, false] {
                announcer.under_way.remove(&(tracker, farewell));
            }
            announcer.tiers.spare(tracker);
            announcer.drive(ctx);
        });
    }

    /// Lets those go on that wait for farewells that are over.
    pub(super) fn open_ways(&mut self) {
        self.ways
            .retain(|(tracker, _)| self.tiers.has_farewell(*tracker));
    }
}
