//! A newer version of the torrent, which its publisher has signed (BEP 46). It is told of; what is here stays.

use actix::{AsyncContext as _, Context, Handler};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::torrent::actor::Torrent;
use crate::updates::{Newest, Published};
use crate::{Event, Source};

/// What a torrent knows of its newer versions.
#[derive(Debug, Default)]
pub(crate) struct Newer {
    /// Looks for them.
    follows: Option<net::Task<()>>,
    /// The number of the newest version that is known.
    seq: Option<i64>,
    /// The newest version, if it is another than this.
    pub(super) newest: Option<Published>,
}

impl Newer {
    /// Whether they are looked for.
    pub(super) const fn are_followed(&self) -> bool {
        self.follows.is_some()
    }
}

impl Torrent {
    /// Looks for newer versions, where the link names the publisher's key.
    pub(super) fn follow_updates(&mut self, ctx: &Context<Self>) {
        let Some(updates) = &self.setup.reach.updates else {
            return;
        };
        let linked = match &self.add.source {
            Source::Magnet(magnet) => magnet.mutable.as_ref(),
            Source::Metainfo(_) => None,
        };
        let feed = self.metainfo.as_ref().and_then(|metainfo| metainfo.feed());
        let by_feed = feed.and_then(|feed| feed.source.as_ref()?.mutable.as_ref());
        // How the feed was come by goes before what it says (BEP 49).
        let named = self.add.follow.as_ref().or(linked).or(by_feed);
        if let (Some(named), None) = (named, &self.newer.follows) {
            let mut rng = StdRng::seed_from_u64(self.setup.seed ^ self.id.0);
            let jitter = move |most| rng.random_range(0..most);
            let torrent = ctx.address().recipient();
            let follow = updates.clone().follow(named.clone(), jitter, torrent);
            self.newer.follows = Some(self.setup.pool.spawn(follow));
        }
    }

    /// Looks for them no more.
    pub(super) fn unfollow_updates(&mut self) {
        self.newer.follows = None;
    }
}

impl Handler<Newest> for Torrent {
    type Result = ();

    fn handle(&mut self, Newest(published): Newest, _: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        if self.newer.seq.is_some_and(|known| known >= published.seq) {
            return;
        }
        self.newer.seq = Some(published.seq);
        let own = self.hashes.names().any(|name| name == published.info_hash);
        self.newer.newest = (!own).then_some(published);
        if !own {
            self.event(Event::Newer {
                id: self.id,
                published,
            });
        }
        self.publish();
    }
}
