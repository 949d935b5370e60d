//! How a torrent goes from one route to another: by the old one everybody is left first, by the new one it begins as if it
//! had never been elsewhere. The content stays at work meanwhile: what is verified, written or being hashed stays so, and
//! blocks that were asked for are asked of others.
//!
//! Nothing that came by one route is used on another: neither addresses nor anything that others could know us by. Who
//! sees both would know that both lead to us.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Context;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::oneshot;

use crate::Event;
use crate::content::Traffic;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Order};
use crate::reach::Reach;
use crate::torrent::actor::{Phase, TICK, Torrent};
use crate::torrent::candidates::Source;
use crate::torrent::dialing::candidates_of;
use crate::torrent::last_failure::LastFailure;
use crate::torrent::pex::Pex;
use crate::torrent::punch::Punch;
use crate::torrent::swarms::Swarms;
use crate::torrent::trackers::{Announcers, Trackers};

/// How long connections may take to end.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// How long an outage of a route may last before nobody is looked for any more. Circuits come and go; but who goes on asking
/// where nothing can leave comes to think that nobody is there.
const OUTAGE: Duration = Duration::from_secs(5);

/// A torrent that leaves its route.
#[derive(Debug)]
pub(crate) struct Moving {
    /// Where it goes.
    reach: Reach,
    /// When to wait no longer for connections to end.
    latest: Instant,
    /// What was learned is of another route than that.
    forgets: bool,
    /// Peers that the user has named since.
    named: Vec<SocketAddr>,
}

/// What a torrent knows of its routes.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    under_way: Option<Moving>,
    /// How often it has gone by another route; tells what belongs to which.
    pub(super) times: u32,
    /// Bytes that were sent and received by earlier routes, of which trackers are not told.
    pub(super) before: [u64; 2],
    /// Why nothing leaves, as was told last, and since when.
    blocked: Option<(Arc<str>, Instant)>,
    /// There was no circuit when it was last looked.
    lack_circuits: bool,
    /// Nobody is looked for, because nothing has left for a while.
    silent: bool,
    /// Told when the trackers of the last route have heard that we left it, or there was no time.
    said: Option<oneshot::Receiver<()>>,
}

impl Moves {
    /// Of a torrent that has received and sent so many bytes: trackers are told of what comes now.
    pub(super) fn since([down, up, _]: [u64; 3]) -> Self {
        Self {
            before: [up, down],
            ..Self::default()
        }
    }

    /// The route that is moved to.
    pub(super) fn target(&self) -> Option<&Reach> {
        self.under_way.as_ref().map(|moving| &moving.reach)
    }

    /// Whether nothing left by the route when it was last looked at.
    pub(super) const fn are_blocked(&self) -> bool {
        self.blocked.is_some() || self.silent
    }

    /// Whether the old route is still being left.
    pub(super) const fn are_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether the route has been of no use for a while.
    pub(super) const fn are_silent(&self) -> bool {
        self.silent
    }

    /// Whether there is no circuit that anything could leave by: nobody is dialled until there is one.
    pub(super) const fn lack_circuits(&self) -> bool {
        self.lack_circuits
    }

    /// What tells when the trackers of the last route have heard of it.
    pub(super) const fn said(&mut self) -> Option<oneshot::Receiver<()>> {
        self.said.take()
    }
}

impl Torrent {
    /// Leaves its route for another; [`Self::move_over`] gets there when all connections have ended.
    pub(super) fn move_to(&mut self, reach: Reach) {
        let now = now();
        let (before, named) = match self.moves.under_way.take() {
            Some(moving) if moving.reach.hops == reach.hops => (moving.forgets, moving.named),
            Some(_) => (true, Vec::new()),
            None => (false, Vec::new()),
        };
        let forgets = before || reach.hops != self.setup.reach.hops;
        self.moves.under_way = Some(Moving {
            reach,
            latest: now + LEAVE_WITHIN,
            forgets,
            named,
        });
        if !self.announcers.is_empty() {
            let (done, said) = oneshot::channel();
            let patience = self.setup.reach.desk.config().farewell;
            self.farewell(tokio::time::Instant::now() + patience, Some(done));
            self.moves.said = Some(said);
        }
        self.scrapes.end();
        self.leave_neighbours();
        self.leave_dht();
        self.leave_hidden();
        self.dismiss_all();
    }

    /// A peer that the user names: of the route that is moved to, where one is.
    pub(super) fn add_named(&mut self, peer: SocketAddr) {
        match &mut self.moves.under_way {
            Some(moving) => moving.named.push(peer),
            None => self.add_candidate(peer, Source::Manual),
        }
    }

    /// When [`Self::move_over`] should be called again even if nothing else happens.
    pub(super) fn moved_by(&self) -> Option<Instant> {
        let moving = self.moves.under_way.as_ref();
        moving.map(|moving| moving.latest)
    }

    /// Goes on by the new route, where there is one and nobody is left on the old one.
    pub(super) fn move_over(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let busy = self.peers.len() > 0 || !self.web_seeds.are_idle();
        let due = |moving: &mut Moving| !busy || now >= moving.latest;
        let Some(moving) = self.moves.under_way.take_if(due) else {
            return;
        };
        let stuck: Vec<PeerKey> = self.peers.iter().map(|(key, _)| key).collect();
        for key in stuck {
            self.on_ended(key, &Ended::Dismissed);
        }
        self.setup.reach = moving.reach;
        self.setup.reach.heed_filter(self.add.use_ip_filter);
        self.moves.silent = false;
        if moving.forgets {
            self.forget_route();
        }
        for peer in moving.named {
            self.add_candidate(peer, Source::Manual);
        }
        self.watch_route(now, ctx);
        let at_work = matches!(
            self.phase,
            Phase::Active(_) | Phase::Layers(_) | Phase::Metadata(_)
        );
        if at_work && self.settling.is_none() {
            self.go_online(ctx);
        }
        self.publish();
    }

    /// What it draws from on this route.
    pub(super) const fn seed(&self) -> u64 {
        let time = (self.setup.life, self.moves.times);
        self.setup.reach.seed_of(self.id, time)
    }

    /// Forgets what was learned on another route, and what others know us by there.
    fn forget_route(&mut self) {
        self.moves.times += 1;
        self.moves.blocked = None;
        self.moves.before = [&self.traffic.up, &self.traffic.down].map(Traffic::get);
        self.add.forget_peers();
        self.candidates = candidates_of(&self.setup.settings.get().peers);
        // Who is banned only now, for what it sent by the old route, must not see that here.
        self.peers.forget_addresses();
        self.swarms = Swarms::default();
        self.pex = Pex::default();
        self.punch = Punch::default();
        self.heard = Trackers::default();
        self.reachable = false;
        self.last_failure = None;
        // Chance begins anew, too: after a panic it would else come to what it has drawn on another route before.
        self.rng = StdRng::seed_from_u64(self.seed());
        let settings = self.setup.settings.get();
        self.peer_id = self.setup.reach.peer_id(&settings, &mut self.rng);
        drop(settings);
        self.progress = Arc::default();
        self.web_seeds.begin_anew();
        self.show_files();
        self.offer(Vec::new());
    }

    /// Says when nothing leaves by its route and when something does again, and is ready at once then.
    pub(super) fn watch_route(&mut self, now: Instant, ctx: &mut Context<Self>) {
        if self.moves.are_under_way() {
            return;
        }
        let hops = self.setup.reach.hops;
        let blocked = self.setup.reach.blocked();
        self.moves.lack_circuits = self.setup.reach.network.lacks_circuits();
        let was = self.moves.blocked.as_ref();
        // Of the direct way, which all torrents share, the network itself is asked.
        if hops > 0 && blocked.as_ref() != was.map(|(why, _)| why) {
            self.event(Event::Route {
                id: self.id,
                hops,
                blocked: blocked.clone(),
            });
        }
        let since = was.map_or(now, |(_, since)| *since);
        self.moves.blocked = blocked.map(|why| (why, since));
        if self.moves.blocked.is_some() {
            if !self.moves.silent
                && now >= since + OUTAGE
                && self.setup.reach.comes_back_by_itself()
            {
                self.moves.silent = true;
                self.farewell(tokio::time::Instant::now(), None);
            }
        } else if since < now {
            self.moves.silent = false;
            let offline = |last: &mut LastFailure| last.is_for_want_of_network();
            self.last_failure.take_if(offline);
            self.candidates.network_is_back(now);
            self.web_seeds.begin_anew();
            if now >= since + OUTAGE {
                // Those that went on asking wait the longer for it.
                self.announcers = Announcers::default();
                self.renew_since(since);
            }
            if self.is_online() {
                self.go_online(ctx);
            }
        }
    }

    /// Dials those anew that nothing came from or went to since an outage began: their streams, which went on trying, do so only
    /// after as long again.
    fn renew_since(&self, outage: Instant) {
        for (_, peer) in self.peers.iter() {
            let cut_off = peer.last_payload <= outage + TICK;
            if peer.outgoing && peer.since.is_some() && cut_off {
                peer.order(Order::Close(Ended::Renewed));
            }
        }
    }
}
