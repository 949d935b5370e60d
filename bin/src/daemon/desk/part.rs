//! The part in the overlay as the REST API sees it.

mod dht;

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use api::{
    Community, Ending, KnownPeer, Measured, Member, Part, Promise, Relayed, Speed, SpeedTest,
    Swarm, Tested, Untested, Wire,
};
use engine::EngineHandle;
use overlay::endpoint::Way;
use protocol::id::InfoHash;
use tunnels::{
    Anonymity, CircuitId, CommunityKind, CommunityView, Dialect, TestError, lookup_info_hash,
};

use self::dht::OverlayDht;

/// See the module.
pub(super) struct InOverlay {
    anonymity: Anonymity,
    engine: EngineHandle,
}

impl InOverlay {
    pub(super) const fn new(anonymity: Anonymity, engine: EngineHandle) -> Self {
        Self { anonymity, engine }
    }
}

impl Part for InOverlay {
    fn relayed(&self) -> Vec<Relayed> {
        let ago = ago();
        let all = self.anonymity.relayed().into_iter();
        let all = all.map(|relay| Relayed {
            ends: relay.ends.map(|end| end.0),
            is_rendezvous: relay.is_rendezvous,
            bytes: relay.bytes,
            age: ago(relay.born),
        });
        all.collect()
    }

    fn endings(&self) -> Vec<Ending> {
        let ago = ago();
        let all = self.anonymity.endings().into_iter();
        let all = all.map(|ending| Ending {
            id: ending.circuit.0,
            is_open: ending.is_open,
            bytes: ending.bytes,
            age: ago(ending.born),
            hidden: [ending.introduces, ending.is_rendezvous],
        });
        all.collect()
    }

    fn swarms(&self) -> Vec<Swarm> {
        let ago = ago();
        let all = self.anonymity.swarms().into_iter();
        let all = all.map(|swarm| Swarm {
            name: swarm.info_hash,
            seeders: swarm.seeders as u64,
            links: swarm.links.map(|links| links as u64),
            seeds: swarm.seeds,
            looked: swarm.last_lookup.map(&ago),
            bytes: swarm.bytes,
        });
        all.collect()
    }

    fn members(&self) -> Promise<'_, Vec<Member>> {
        Box::pin(async {
            let all = self.anonymity.members().await.into_iter();
            let all = all.map(|member| Member {
                at: member.addr,
                mid: member.key.mid().0,
                is_compatible: member.key.x25519().is_some(),
                flags: member.flags.0,
            });
            all.collect()
        })
    }

    fn count_seeders(&self, name: [u8; 20], hops: u8) -> Promise<'_, Option<u64>> {
        Box::pin(async move {
            let torrent = self.engine.find(InfoHash(name)).await;
            let is_torrent = matches!(torrent, Ok(Some(_)));
            let name = if is_torrent {
                lookup_info_hash(&name)
            } else {
                name
            };
            let count = self.anonymity.count_seeders(name, hops).await;
            count.map(|count| count as u64)
        })
    }

    fn test(&self, what: Tested, how: SpeedTest) -> Promise<'_, Result<Speed, Untested>> {
        Box::pin(async move {
            let how = tunnels::SpeedTest {
                request: how.request,
                response: how.response,
                time: how.time,
            };
            let speed = match what {
                Tested::Circuit(id) => self.anonymity.test_circuit(CircuitId(id), how).await,
                Tested::New(hops) => self.anonymity.test_new_circuit(hops, how).await,
            };
            let speed = speed.map_err(|why| match why {
                TestError::Unknown => Untested::Unknown(why.to_string()),
                TestError::NotBuilt => Untested::NotBuilt(why.to_string()),
                TestError::NotReady | TestError::Unsupported | TestError::Busy | _ => {
                    Untested::Refused(why.to_string())
                }
            })?;
            Ok(Speed {
                sent: speed.sent,
                answered: speed.answered,
                took: speed.took,
                round_trip: speed.round_trip,
            })
        })
    }

    fn communities(&self) -> Promise<'_, Vec<Community>> {
        Box::pin(async {
            let all = self.anonymity.communities().await;
            all.iter().map(community).collect()
        })
    }

    fn measure(&self, community: [u8; 20], on: bool) -> Promise<'_, ()> {
        Box::pin(async move {
            let all = self.anonymity.communities().await;
            for view in all.iter().filter(|view| view.id.0 == community) {
                self.anonymity.measure(view.prefix, on);
            }
        })
    }

    fn peers(&self) -> Promise<'_, Vec<KnownPeer>> {
        Box::pin(async {
            let all = self.anonymity.peers().await.into_iter();
            let all = all.map(|(peer, services)| KnownPeer {
                mid: peer.mid().0,
                at: peer.addr(),
                key: peer.key().as_bytes().to_vec(),
                services: services.into_iter().map(|id| id.0).collect(),
            });
            all.collect()
        })
    }

    fn walk_to(&self, at: SocketAddrV4) -> Promise<'_, ()> {
        Box::pin(self.anonymity.walk_to(vec![at]))
    }

    fn add_bootstrap(&self, at: SocketAddrV4) -> Promise<'_, ()> {
        Box::pin(self.anonymity.add_bootstrap(at))
    }

    fn dht(&self, wire: Option<Wire>) -> Option<Box<dyn api::Dht>> {
        let dialect = wire.map(|wire| match wire {
            Wire::Today => Dialect::Modern,
            Wire::Tribler => Dialect::Classic,
        });
        let node = self.anonymity.dht(dialect)?;
        Some(Box::new(OverlayDht(node)))
    }
}

fn community(view: &CommunityView) -> Community {
    let ago = ago();
    // By the names that they have in Tribler.
    let name = match view.kind {
        CommunityKind::Discovery => "DiscoveryCommunity",
        CommunityKind::Tunnels(_) => "TriblerTunnelCommunity",
        CommunityKind::Dht(_) => "DHTDiscoveryCommunity",
    };
    let way = |way: &Way| way.between.map(|(first, last)| (ago(first), ago(last)));
    let measured = view.measured.iter().map(|(number, of)| {
        let name = view.kind.message(*number);
        let name = name.unwrap_or_else(|| "unknown".to_owned());
        let measured = Measured {
            count: [of.sent.count, of.received.count],
            bytes: [of.sent.bytes, of.received.bytes],
            ago: [way(&of.sent), way(&of.received)],
        };
        (*number, (name, measured))
    });
    let measured: BTreeMap<u8, (String, Measured)> = measured.collect();
    let enough = i64::try_from(view.enough).unwrap_or(i64::MAX);
    let beside: &[&str] = match view.kind {
        CommunityKind::Discovery => &["PeriodicSimilarity", "RandomChurn"],
        CommunityKind::Tunnels(_) => &["GoldenRatioStrategy"],
        CommunityKind::Dht(_) => &["PingChurn"],
    };
    let beside = beside.iter().map(|name| (*name, -1));
    let strategies = std::iter::once(("RandomWalk", enough)).chain(beside);
    let peers = view.peers.iter();
    let peers = peers.map(|peer| (peer.addr(), peer.mid().0, peer.key().as_bytes().to_vec()));
    Community {
        name,
        id: view.id.0,
        own: view.own.as_bytes().to_vec(),
        global_time: view.global_time,
        peers: peers.collect(),
        max_peers: view.max_peers.map(|most| most as u64),
        is_isolated: matches!(view.kind, CommunityKind::Dht(_)),
        addrs: view.addrs,
        strategies: strategies.collect(),
        measured,
    }
}

/// How long ago something was.
fn ago() -> impl Fn(Instant) -> Duration + Copy {
    let now = Instant::now();
    move |at| now.saturating_duration_since(at)
}
