//! The connections of a torrent: whom to let in, whom to let go.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use actix::{AsyncContext, Context, Handler};
use net::scope::origin;
use protocol::peer::{Extension, Extensions, SessionConfig, Timeouts, TorrentParams};

use crate::announce::messages::Announce;
use crate::classes::{Bounds, ClassKind, Membership};
use crate::content::Traffic;
use crate::peer::actor::Peer;
use crate::peer::driver::{Wiring, now};
use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Order};
use crate::peer::opening::Opening;
use crate::peer::watch::Watch;
use crate::plugins::Joined;
use crate::seats::Seat;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::candidates::{self, Source};
use crate::torrent::dialing::refuses_port;
use crate::torrent::messages::Incoming;
use crate::torrent::peers::{PeerEntry, Rate};
use crate::{Category, Event, Refusal, Wire};

/// Peers below which more are asked for.
const FEW_PEERS: usize = 20;

impl Torrent {
    /// Notes an address at which there may be a peer.
    ///
    /// What stands for a hidden peer leads into the circuit that has this number, which relays know as well. From anybody but its
    /// swarm such an address is not taken: a peer of another torrent that named it would have us tie both torrents together.
    pub(crate) fn add_candidate(&mut self, addr: SocketAddr, source: Source) {
        let by_others = !matches!(source, Source::Hidden | Source::Manual);
        let strange = by_others && self.setup.reach.is_hidden(addr);
        if by_others
            && !strange
            && let Some(why) = refuses_port(&self.setup.settings.get(), addr.port())
        {
            self.tell_blocked(addr, why);
            return;
        }
        if source == Source::Hidden || !strange && !self.is_blocked(addr) {
            self.candidates.add(addr, source, now());
        } else if !strange {
            self.tell_blocked(addr, Refusal::Filtered);
        }
    }

    fn tell_blocked(&self, addr: SocketAddr, why: Refusal) {
        if why == Refusal::Full {
            self.count(|counters| &counters.too_many);
        }
        self.tell_of(Category::Blocked, |id| Event::PeerBlocked { id, addr, why });
    }

    /// Why a peer that connects is not let in, where it is not.
    fn refusal(&self, addr: SocketAddr, classes: Membership) -> Option<Refusal> {
        if !self.is_online() {
            Some(Refusal::Resting)
        } else if self.peers.len() >= self.most_peers_for(classes) {
            Some(Refusal::Full)
        } else if self.candidates.is_banned(addr.ip()) {
            Some(Refusal::Banned)
        } else if self.is_blocked(addr) {
            // It may have come onto the list since it knocked.
            Some(Refusal::Filtered)
        } else {
            self.is_crowding(addr.ip()).then_some(Refusal::Crowding)
        }
    }

    /// Whether the network does not talk to a peer; one of a hidden swarm is no host.
    fn is_blocked(&self, addr: SocketAddr) -> bool {
        let reach = &self.setup.reach;
        reach.network.blocks(addr.ip()) && !reach.is_hidden(addr)
    }

    /// Lets go of all peers, and forgets all addresses.
    pub(crate) fn clear_peers(&mut self) {
        self.add.peers.clear();
        self.candidates.forget_all();
        for (_, peer) in self.peers.iter() {
            peer.order(Order::Close(Ended::Dismissed));
        }
    }

    /// Lets go of the peers and web seeds that the network does not talk to any more.
    pub(crate) fn sift(&mut self) {
        for (_, peer) in self.peers.iter() {
            if self.is_blocked(peer.addr) {
                peer.order(Order::Close(Ended::Dismissed));
            }
        }
        self.web_seeds.sift();
    }

    /// Where connections and web seeds find their limits.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            classes: self.setup.classes.clone(),
            torrent: [self.down.clone(), self.up.clone()],
            tcp: self.setup.tcp.clone(),
        }
    }

    /// The classes of a peer.
    pub(super) fn classes_of(&self, peer: &PeerEntry) -> Membership {
        let kind = ClassKind::of(peer.utp);
        self.setup.classes.get().of(peer.addr.ip(), kind)
    }

    /// Whether a host far away has more connections than programs behind one address need.
    fn is_crowding(&self, ip: IpAddr) -> bool {
        let same = |peer: &PeerEntry| origin(peer.addr.ip()) == origin(ip);
        let same = self.peers.iter().filter(|(_, peer)| same(peer));
        candidates::is_public(ip)
            && same.count() >= self.setup.settings.get().connections.per_host as usize
    }

    /// Whether the torrent wants connections at all.
    pub(super) fn is_online(&self) -> bool {
        self.settling.is_none() && self.is_at_work() && self.may_go_out()
    }

    /// Whether it is in a phase in which it has peers.
    pub(super) fn is_at_work(&self) -> bool {
        matches!(
            self.phase,
            Phase::Active(_) | Phase::Layers(_) | Phase::Metadata(_)
        )
    }

    /// Whether its route can be used: it is open, has not been of no use for a while, and is not being left.
    pub(super) const fn may_go_out(&self) -> bool {
        let reach = &self.setup.reach;
        reach.closed.is_none() && !self.moves.are_under_way() && !self.moves.are_silent()
    }

    /// Connections that there may be where a peer of these classes is let in.
    pub(super) fn most_peers_for(&self, classes: Membership) -> usize {
        let table = self.setup.classes.get();
        table.most_connections(classes, self.most_peers())
    }

    pub(crate) fn most_peers(&self) -> usize {
        let usual = self.setup.settings.get().connections.per_torrent;
        self.add.max_peers.unwrap_or(usual as usize)
    }

    /// What our side of a new connection is. Where nobody is to know who we are, each has a peer id of its own: peers cannot tell
    /// by it that two connections are of one program, and one that has not noticed yet that a circuit has died does not
    /// refuse the connection by another circuit because it takes it for a second one.
    pub(crate) fn session_config(&mut self) -> SessionConfig {
        let reach = &self.setup.reach;
        let settings = self.setup.settings.get();
        let timeouts = Timeouts {
            handshake: settings.connections.handshake_timeout,
            idle: settings.connections.idle_timeout,
            ..Timeouts::default()
        };
        let (queue, choked) = (
            settings.peers.accept_requests,
            settings.peers.choked_requests,
        );
        if reach.is_anonymous() {
            // What is usual: what is set to something else would tell us apart.
            let usual = SessionConfig::anonymous(reach.peer_id(&settings, &mut self.rng));
            return SessionConfig { timeouts, ..usual };
        }
        let client = reach.client(&settings);
        SessionConfig {
            reqq: queue,
            // Those that were on their way when the peer was told count as well.
            max_incoming_requests: queue as usize + 100,
            max_choked_requests: choked,
            timeouts,
            client: client.map(Cow::Owned),
            listen_port: reach.listen_port,
            dht: reach.dht.is_some() && !self.is_private(),
            ..SessionConfig::new(self.peer_id)
        }
    }

    /// What a session must know of this torrent.
    pub(crate) fn session_torrent(&self) -> TorrentParams {
        let content = if let Phase::Active(active) = &self.phase {
            Some(&active.content)
        } else {
            None
        };
        let private = self.is_private();
        let mut extensions = Extensions::NONE
            .with(Extension::DontHave)
            .with(Extension::UploadOnly);
        if !private {
            extensions = extensions.with(Extension::Metadata);
        }
        if self.gossips() {
            extensions = extensions.with(Extension::Pex);
        }
        if self.meets() {
            extensions = extensions.with(Extension::Holepunch);
        }
        TorrentParams {
            geometry: content.map(|content| content.geometry),
            tails: content.and_then(|content| content.tails.clone()),
            metadata_size: content.map(|content| content.info.len() as u32),
            extensions,
            upload_only: self.is_upload_only(),
            v2_upgrade: self.is_hybrid(),
            ..TorrentParams::new(self.hashes)
        }
    }

    /// Whether we want nothing any more, and say so (BEP 21).
    pub(super) fn is_upload_only(&self) -> bool {
        let finished = matches!(&self.phase, Phase::Active(active) if active.finished);
        (finished || !self.may_ask()) && !self.is_super_seeding()
    }

    pub(super) fn connect(
        &mut self,
        (addr, seat): (SocketAddr, Seat),
        outgoing: bool,
        mut opening: Opening,
        ctx: &mut Context<Self>,
    ) -> PeerKey {
        let key = self.peers.key(addr.ip());
        let traffic = Arc::<Traffic>::default();
        let content = match &self.phase {
            Phase::Active(active) => Some(Arc::clone(&active.content)),
            Phase::Checking(_)
            | Phase::Failed(..)
            | Phase::Layers(_)
            | Phase::Metadata(_)
            | Phase::Opening
            | Phase::Paused => None,
        };
        let veiled = self.is_super_seeding();
        // What others do not offer would tell us apart.
        let plugins = if self.setup.reach.is_anonymous() {
            Vec::new()
        } else {
            self.setup.plugins.of(self.id)
        };
        let joined = Joined::new(plugins, (self.id, addr));
        if let Some(joined) = &joined {
            opening.offer(joined.customs());
        }
        let wiring = Wiring {
            key,
            content,
            bounds: self.bounds(),
            traffic: Arc::clone(&traffic),
            torrent_traffic: Arc::clone(&self.traffic),
            dht_port: self.setup.reach.dht_port(),
            veiled,
            wire: Wire::Plain,
            settings: self.setup.settings.clone(),
            watch: Watch::new(self.setup.events.clone(), (self.id, addr)),
            joined,
        };
        let pool = self.setup.pool.clone();
        let ours = opening.config().peer_id;
        let actor = Peer::launch(opening, wiring, pool, ctx.address().recipient());
        let entry = PeerEntry {
            actor,
            _seat: seat,
            addr,
            outgoing,
            ours,
            id: None,
            v2: false,
            offers_v2: false,
            twin: None,
            also_at: None,
            listens: None,
            utp: false,
            wire: Wire::Plain,
            since: None,
            holdings: None,
            upload_only: false,
            hasty: false,
            veiled,
            unchoked_us: false,
            interested: false,
            unchoked: false,
            we_are_interested: false,
            hungry: 0,
            traffic,
            down: Rate::default(),
            up: Rate::default(),
            last_payload: now(),
            unchoked_since: None,
        };
        self.peers.insert(key, entry);
        key
    }

    /// Gives blocks to the peers and web seeds that could be asked for more.
    pub(crate) fn feed_hungry(&mut self) {
        let hungry: Vec<PeerKey> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.hungry > 0)
            .map(|(key, _)| key)
            .collect();
        for key in hungry {
            self.assign(key);
        }
        self.feed_web_seeds();
    }

    /// Lets go of connections that are of no use to either side.
    pub(crate) fn tidy_peers(&mut self, now: Instant) {
        let settings = self.setup.settings.get();
        let (useless_after, close_redundant) = (
            settings.connections.useless_after,
            settings.connections.close_redundant,
        );
        drop(settings);
        let full = self.peers.len() >= self.most_peers() || self.setup.seats.free() == 0;
        let lacks_layers = self.late_layers.is_some();
        let asks = self.may_ask();
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        for (_, peer) in self
            .peers
            .iter_mut()
            .filter(|(_, peer)| peer.since.is_some())
        {
            let interesting =
                asks && !active.finished && active.picker.is_interesting(peer.pieces());
            if interesting != peer.we_are_interested {
                peer.we_are_interested = interesting;
                peer.order(Order::Interested(interesting));
            }
            let old = peer
                .since
                .is_some_and(|at| now.saturating_duration_since(at) > useless_after);
            let has_layers = lacks_layers && peer.v2 && !old;
            if close_redundant && active.finished && peer.wants_nothing() && !has_layers {
                peer.order(Order::Close(Ended::Redundant));
            } else if full && old && !peer.interested && !interesting {
                peer.order(Order::Close(Ended::Dismissed));
            }
        }
        if asks && !active.finished && self.peers.len() < FEW_PEERS {
            for announcer in self.announcers.iter() {
                actors::tell(announcer, Announce::WantPeers);
            }
        }
    }

    /// Bans a web seed, or an address and its connections, for bad data.
    pub(crate) fn ban(&mut self, key: PeerKey) {
        if self.ban_web_seed(key) {
            return;
        }
        let Some(ip) = self.peers.ip(key) else { return };
        self.candidates.ban(ip);
        for (_, peer) in self.peers.iter().filter(|(_, peer)| peer.addr.ip() == ip) {
            peer.order(Order::Close(Ended::Banned));
        }
        self.count(|counters| &counters.banned);
        tracing::info!(%ip, "banned for bad data");
        self.event(Event::PeerBanned { id: self.id, ip });
    }
}

impl Handler<Incoming> for Torrent {
    type Result = ();

    fn handle(&mut self, incoming: Incoming, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        let addr = incoming.stream.peer_addr();
        let kind = ClassKind::of(incoming.stream.is_utp());
        let table = self.setup.classes.get();
        let classes = table.of(addr.ip(), kind);
        if let Some(why) = self.refusal(addr, classes) {
            tracing::debug!(peer = %addr, %why, "turned away");
            self.tell_blocked(addr, why);
            return;
        }
        let seats = &self.setup.seats;
        let Some(seat) = seats.take_of(|most| table.most_connections(classes, most)) else {
            self.tell_blocked(addr, Refusal::Full);
            return;
        };
        // What came by uTP may have come through a NAT that we had opened for it.
        self.reachable |= !incoming.stream.is_utp();
        let opening = Opening::Accepted {
            stream: incoming.stream,
            first: incoming.first,
            wire: incoming.wire,
            config: self.session_config(),
            torrent: self.session_torrent(),
        };
        self.connect((addr, seat), false, opening, ctx);
    }
}
