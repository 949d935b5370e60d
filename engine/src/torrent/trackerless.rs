//! Peers from the DHT (BEP 5), for torrents that may look for them there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, SocketAddr};

use actix::{AsyncContext as _, Context, Handler};
use actors::tell;
use net::{Located, Task};
use protocol::id::InfoHash;

use crate::lookups::{Found, Seek, Standing, Unseek};
use crate::peer::key::PeerKey;
use crate::queue::Voice;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::candidates::Source;
use crate::torrent::report::counted;
use crate::{Category, Event, Source as TorrentSource};

/// Connections from which on no more peers are looked for.
const ENOUGH: usize = 20;

/// Connections below which more are looked for again.
const FEW: usize = 10;

/// Peers of one step of a look-up that are noted.
const PEERS_PER_STEP: usize = 500;

/// DHT nodes of a torrent file or a link that are asked.
const MOST_NODES: usize = 16;

/// What a torrent has to do with the DHT.
#[derive(Debug, Default)]
pub(crate) struct Trackerless {
    /// The look-up of each hash under which it is looked up there.
    seeks: BTreeMap<InfoHash, LookUp>,
    /// How often that has begun.
    times: u32,
    /// Hands on the nodes that the torrent names; none where that has not begun.
    named: Option<Task<()>>,
    /// What was told last: short of peers, seeding.
    told: Option<(bool, bool)>,
    /// Where the nodes see us, by IPv4 and IPv6.
    pub(super) external: [Option<IpAddr>; 2],
}

/// How far the look-up is that runs, or what came of the last one.
#[derive(Clone, Copy, Debug, Default)]
struct LookUp {
    /// Which [`Seek`] it is of.
    time: u32,
    runs: bool,
    nodes_asked: usize,
    nodes_answered: usize,
    /// Ourselves included.
    peers_found: usize,
    /// How often we found ourselves.
    own_found: usize,
}

impl Trackerless {
    /// How far the look-up is that runs, or what came of the last one.
    pub(crate) fn reason(&self) -> Option<String> {
        let all = || self.seeks.values();
        let runs = all().any(|one| one.runs);
        let asked = all().map(|one| one.nodes_asked).sum();
        let silent = all().all(|one| one.nodes_answered == 0);
        let found = all().map(|one| one.peers_found.saturating_sub(one.own_found));
        let found = found.sum();
        let (nodes, peers) = (counted(asked, "node"), counted(found, "peer"));
        (!self.seeks.is_empty()).then(|| match (runs, asked) {
            (true, _) => format!("looking up in the DHT: {nodes} asked, {peers}"),
            (false, 0) => "no node of the DHT is known".to_owned(),
            (false, _) if silent => format!("looked up in the DHT: {nodes} asked, none answers"),
            (false, _) => format!("looked up in the DHT: {nodes} asked, {peers}"),
        })
    }
}

impl Torrent {
    /// Looks for peers in the DHT, unless the torrent is private.
    pub(crate) fn seek(&mut self, ctx: &mut Context<Self>) {
        let may = self.add.use_dht && self.voices.has(Voice::Dht);
        let allowed = may && self.setup.settings.get().dht.enabled;
        if self.is_private() || !allowed || self.relies_on_trackers() {
            self.leave_dht();
            return;
        }
        self.follow_updates(ctx);
        let Some(lookups) = &self.setup.reach.lookups else {
            return;
        };
        for hash in self.hashes.names() {
            let seeks = &mut self.trackerless.seeks;
            if let Entry::Vacant(place) = seeks.entry(hash) {
                self.trackerless.times += 1;
                let time = self.trackerless.times;
                place.insert(LookUp {
                    time,
                    runs: true,
                    ..LookUp::default()
                });
                let torrent = ctx.address().recipient();
                tell(
                    lookups,
                    Seek {
                        hash,
                        time,
                        torrent,
                    },
                );
                self.trackerless.told = None;
            }
        }
        self.hint_named_nodes();
    }

    /// Whether it is looked up only when no tracker answers, and that has not been seen.
    fn relies_on_trackers(&self) -> bool {
        self.setup.settings.get().dht.fallback_only
            && self.add.use_trackers
            && !self.trackers().is_empty()
            && !self.heard.are_silent()
    }

    /// Looks there no more.
    pub(crate) fn leave_dht(&mut self) {
        self.unfollow_updates();
        let was = std::mem::take(&mut self.trackerless);
        self.trackerless.times = was.times;
        if let Some(lookups) = &self.setup.reach.lookups {
            for hash in was.seeks.into_keys() {
                tell(lookups, Unseek(hash));
            }
        }
    }

    /// Tells the DHT how the torrent stands, where that has changed.
    pub(crate) fn tell_standing(&mut self) {
        if self.trackerless.seeks.is_empty() {
            return;
        }
        let seed = matches!(&self.phase, Phase::Active(active) if active.finished);
        let connected = self.peers.len();
        let was_short = self.trackerless.told.is_none_or(|(short, _)| short);
        let short = !seed && connected < if was_short { ENOUGH } else { FEW };
        let standing = (short, seed);
        if self.trackerless.told.replace(standing) != Some(standing)
            && let Some(lookups) = &self.setup.reach.lookups
        {
            for hash in self.trackerless.seeks.keys().copied() {
                tell(lookups, Standing { hash, short, seed });
            }
        }
    }

    /// A peer has told the port of its DHT node.
    pub(crate) fn on_dht_port(&self, key: PeerKey, port: u16) {
        if !self.is_private()
            && let Some(dht) = &self.setup.reach.dht
            && let Some(peer) = self.peers.get(key)
            // What stands for a hidden peer is no host's address: nobody else is to know it.
            && !self.setup.reach.is_hidden(peer.addr)
        {
            dht.handle.hint_node(SocketAddr::new(peer.addr.ip(), port));
        }
    }

    /// A peer that was found turned out to be ourselves.
    pub(super) fn found_ourselves(&mut self, addr: SocketAddr) {
        let by_dht = self.candidates.source(addr) == Some(Source::Dht);
        if by_dht && let Some(look_up) = self.trackerless.seeks.values_mut().next() {
            look_up.own_found += 1;
        }
    }

    /// Hands on the nodes that the torrent file or the link names, once.
    fn hint_named_nodes(&mut self) {
        let Some(dht) = &self.setup.reach.dht else {
            return;
        };
        let named = match (&self.metainfo, &self.add.source) {
            (Some(metainfo), _) if !metainfo.nodes().is_empty() => metainfo.nodes(),
            (_, TorrentSource::Magnet(magnet)) => &magnet.nodes,
            _ => return,
        };
        if named.is_empty() || self.trackerless.named.is_some() {
            return;
        }
        let named: Vec<(String, u16)> = named.iter().take(MOST_NODES).cloned().collect();
        let (network, node) = (self.setup.reach.network.clone(), dht.handle.clone());
        let hint = async move {
            for (host, port) in named {
                match network.locate(&host, port).await {
                    Ok(Located::At(mut found)) => {
                        net::Scope::admit(&mut found, None);
                        for addr in found {
                            let _ = node.add_node(addr).await;
                        }
                    }
                    Ok(Located::ByName) => {
                        let _ = node.add_named_node(host, port).await;
                    }
                    Err(error) => tracing::debug!(host, %error, "a node that a torrent names"),
                }
            }
        };
        self.trackerless.named = Some(self.setup.pool.spawn(hint));
    }
}

impl Handler<Found> for Torrent {
    type Result = ();

    fn handle(&mut self, found: Found, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        // It may have been on its way when the torrent left, perhaps to come again.
        let mut seeks = self.trackerless.seeks.iter_mut();
        let Some((hash, look_up)) = seeks.find(|(_, look_up)| look_up.time == found.time) else {
            return;
        };
        // A look-up that has begun anew has found nobody yet.
        let own_before = if look_up.runs { look_up.own_found } else { 0 };
        let own = found.peers.iter();
        let own = own.filter(|addr| self.candidates.is_own(**addr)).count();
        let hash = *hash;
        *look_up = LookUp {
            time: found.time,
            runs: !found.ended,
            nodes_asked: found.nodes_asked,
            nodes_answered: found.nodes_answered,
            peers_found: found.known,
            own_found: own_before + own,
        };
        let peers = found.peers.len();
        if peers > 0 {
            self.tell_of(Category::Dht, |id| Event::DhtPeers { id, peers });
        }
        for addr in found.peers.into_iter().take(PEERS_PER_STEP) {
            self.met(addr, hash);
            self.add_candidate(addr, Source::Dht);
        }
        if found.ended {
            self.trackerless.external = found.external;
            self.learn_own_address();
        }
        self.drive(ctx);
    }
}
