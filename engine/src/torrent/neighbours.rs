//! Peers of the local network (BEP 14), for torrents that may look for them.

use actix::{AsyncContext as _, Context, Handler};
use actors::tell;

use crate::lsd::{Neighbour, Unwatch, Watch};
use crate::queue::Voice;
use crate::torrent::actor::Torrent;
use crate::torrent::candidates::Source;
use crate::{Category, Event};

impl Torrent {
    /// Whether the metadata forbids every way to peers but its trackers (BEP 27). A magnet link does not tell: what is
    /// private is known when the metadata is.
    pub(crate) fn is_private(&self) -> bool {
        self.metainfo
            .as_ref()
            .is_some_and(|metainfo| metainfo.is_private())
    }

    /// Looks for peers on the local network, unless the torrent is private.
    pub(crate) fn watch_neighbours(&mut self, ctx: &mut Context<Self>) {
        let may = self.add.use_local_discovery && self.voices.has(Voice::LocalDiscovery);
        if self.is_private() || !may {
            self.leave_neighbours();
            return;
        }
        let Some(lsd) = &self.setup.reach.lsd else {
            return;
        };
        for hash in self.hashes.names() {
            if self.watched.insert(hash) {
                let torrent = ctx.address().recipient();
                tell(lsd, Watch { hash, torrent });
            }
        }
    }

    /// Looks for them no more.
    pub(crate) fn leave_neighbours(&mut self) {
        for hash in std::mem::take(&mut self.watched) {
            if let Some(lsd) = &self.setup.reach.lsd {
                tell(lsd, Unwatch(hash));
            }
        }
    }
}

impl Handler<Neighbour> for Torrent {
    type Result = ();

    fn handle(&mut self, neighbour: Neighbour, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        // It may have been on its way when the torrent left.
        if self.watched.contains(&neighbour.hash) {
            self.met(neighbour.addr, neighbour.hash);
            self.add_candidate(neighbour.addr, Source::Lsd);
            let addr = neighbour.addr;
            self.tell_of(Category::Connections, |id| Event::LocalPeer { id, addr });
            self.drive(ctx);
        }
    }
}
