//! Nodes on the simulated network, in virtual time.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use net::Pool;
use net::sim::{HostOptions, Sim};
use protocol::id::InfoHash;
use protocol::krpc::item::ItemKey;
use tokio::task::LocalSet;
use tokio::time::sleep;

use super::*;
use crate::{
    AnnounceAs, DhtError, Family, GetPeers, Item, NewItem, Question, Sampling, Search, Update,
    Wanted,
};

const PORT: u16 = 6881;

fn simulate(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

fn ip(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, high, low, 1).into()
}

fn addr(number: u16) -> SocketAddr {
    (ip(number), PORT).into()
}

/// The node of host `number`, which knows host 0.
fn config(sim: &Sim, number: u16) -> DhtConfig {
    let host = sim.host(HostOptions::at(ip(number)));
    let network = host.network();
    let socket = network
        .datagram((Ipv4Addr::UNSPECIFIED, PORT).into())
        .unwrap();
    let mut config = DhtConfig::new(Some(socket), None, network, Pool::current());
    config.seed = Some(u64::from(number));
    config.bootstrap = vec![(ip(0).to_string(), PORT)];
    config
}

async fn network(sim: &Sim, count: u16) -> Vec<DhtHandle> {
    let nodes = (0..count).map(|number| DhtNode::launch(config(sim, number)));
    let nodes = nodes.collect();
    sleep(Duration::from_secs(60)).await;
    nodes
}

#[test]
fn nodes_find_each_other_and_what_they_announce() {
    simulate(async {
        let sim = Sim::new(1);
        let nodes = network(&sim, 40).await;
        let status = nodes[7].status().await.unwrap();
        assert!(
            status.families[0].as_ref().unwrap().nodes >= 12,
            "{status:?}"
        );
        assert!(status.families[1].is_none());
        let hash = InfoHash([9; 20]);
        let announce = AnnounceAs {
            port: None,
            seed: true,
        };
        let stored = nodes[3].announce(hash, announce).await.unwrap();
        assert!(stored.nodes >= 8 && stored.refused.is_none(), "{stored:?}");
        let mut search = nodes[30].get_peers(GetPeers::new(hash)).await.unwrap();
        let mut peers = Vec::new();
        let mut done = false;
        while let Some(update) = search.next().await.unwrap() {
            match update {
                Update::Peers(new, progress) => {
                    assert!(progress.asked > 0 && progress.found > 0);
                    peers.extend(new);
                }
                Update::Done(..) => done = true,
                Update::Progress(_) | Update::Sampled(..) => {}
            }
        }
        assert!(done);
        assert_eq!(peers, [addr(3)]);
        let scrape = nodes[20].scrape(hash).await.unwrap().unwrap();
        assert!((scrape.seeds - 1.0).abs() < 0.1 && scrape.leechers < 0.1);
    });
}

#[test]
fn whoever_waits_for_a_first_node_is_told_when_it_answers() {
    simulate(async {
        let sim = Sim::new(4);
        let lone = DhtNode::launch(config(&sim, 1));
        let waiting = tokio::task::spawn_local({
            let lone = lone.clone();
            async move { lone.usable().await }
        });
        sleep(Duration::from_secs(300)).await;
        assert!(!waiting.is_finished());
        let first = DhtNode::launch(config(&sim, 0));
        let began = sim.elapsed();
        lone.add_node(addr(0)).await.unwrap();
        waiting.await.unwrap().unwrap();
        assert!(sim.elapsed() < began + Duration::from_secs(5));
        lone.usable().await.unwrap();
        drop(first);
    });
}

#[test]
fn items_are_stored_found_and_replaced_by_their_owner_alone() {
    simulate(async {
        let sim = Sim::new(2);
        let nodes = network(&sim, 30).await;
        let ready = |value: &[u8]| NewItem::Ready {
            item: Item::Immutable {
                value: value.to_vec(),
            },
            cas: None,
        };
        let stored = nodes[1].put(ready(b"12:Hello World!")).await.unwrap();
        assert!(stored.nodes >= 8, "{stored:?}");
        let target = "e5f96f6f38320f0f33959cb4d3d656452117aadb".parse().unwrap();
        let found = nodes[9].get(Wanted::Immutable(target)).await.unwrap();
        assert_eq!(found.unwrap().value(), b"12:Hello World!");

        let key = Arc::new(ItemKey::from_seed(&[5; 32]).unwrap());
        let sign = |value: &[u8], seq, cas| NewItem::Sign {
            key: Arc::clone(&key),
            salt: b"s".to_vec(),
            value: value.to_vec(),
            seq,
            cas,
        };
        let wanted = Wanted::Mutable {
            key: key.public(),
            salt: b"s".to_vec(),
        };
        let first = nodes[2].put(sign(b"1:a", None, None)).await.unwrap();
        assert_eq!(first.seq, Some(1));
        let second = nodes[3].put(sign(b"1:b", None, Some(1))).await.unwrap();
        assert_eq!(second.seq, Some(2));
        assert!(second.nodes >= 8);
        let refused = nodes[4].put(sign(b"1:c", Some(2), None)).await.unwrap();
        assert_eq!(refused.refused, Some(302), "{refused:?}");
        let refused = nodes[4].put(sign(b"1:c", None, Some(1))).await.unwrap();
        assert_eq!(refused.refused, Some(301), "{refused:?}");
        let found = nodes[5].get(wanted).await.unwrap().unwrap();
        assert_eq!((found.seq(), found.value()), (Some(2), &b"1:b"[..]));
        let nothing = Wanted::Immutable(protocol::krpc::NodeId([3; 20]));
        assert_eq!(nodes[5].get(nothing).await.unwrap(), None);
    });
}

#[test]
fn a_node_is_pinged_sampled_stopped_and_comes_back_with_its_table() {
    simulate(async {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("dht");
        let sim = Sim::new(3);
        let nodes = network(&sim, 20).await;
        let hash = InfoHash([1; 20]);
        let port = AnnounceAs {
            port: Some(99),
            seed: false,
        };
        nodes[0].announce(hash, port).await.unwrap();
        let mut mine = config(&sim, 100);
        mine.file = Some(file.clone());
        let node = DhtNode::launch(mine);
        sleep(Duration::from_secs(30)).await;
        let pong = node.ping(addr(5)).await.unwrap().unwrap();
        assert_eq!(pong.version.as_deref(), Some(&b"RU\x00\x01"[..]));
        assert_eq!(node.ping(addr(7777)).await.unwrap(), None);
        assert!(!file.exists(), "it is not time yet");
        node.save().await;
        let kept = std::fs::read(&file).unwrap();
        let kept = Saved::from_bytes(&kept).unwrap();
        assert!(kept.nodes.len() >= 10, "{kept:?}");
        let ask = async |at, question| node.ask(at, question).await.unwrap();
        let pong = ask(addr(5), Question::Ping).await.unwrap();
        assert_eq!(pong.version.as_deref(), Some(&b"RU\x00\x01"[..]));
        assert!(pong.nodes.is_empty() && pong.token.is_none());
        let near = ask(addr(5), Question::FindNode(hash.into())).await.unwrap();
        assert!(near.id == pong.id && near.nodes.len() >= 8, "{near:?}");
        let mut told = Vec::new();
        for node in near.nodes {
            let peers = ask(node.addr, Question::GetPeers(hash)).await.unwrap();
            assert!(peers.token.is_some() && peers.id.0 == node.id);
            told.extend(peers.peers);
        }
        assert!(told.contains(&(ip(0), 99).into()), "{told:?}");
        assert_eq!(ask(addr(7777), Question::Ping).await, None);
        let sampling = Sampling {
            target: hash.into(),
            at: None,
        };
        let mut search: Search = node.sample(sampling).await.unwrap();
        let mut hashes = Vec::new();
        while let Some(update) = search.next().await.unwrap() {
            if let Update::Sampled(sampled, _) = update {
                hashes.extend(sampled.hashes);
            }
        }
        assert_eq!(hashes, [hash]);
        let id = node.status().await.unwrap().families[0]
            .as_ref()
            .unwrap()
            .id;
        node.shutdown(Duration::from_secs(5)).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(node.status().await, Err(DhtError::Stopped));

        let mut again = config(&sim, 101);
        again.file = Some(file);
        again.bootstrap.clear();
        let node = DhtNode::launch(again);
        sleep(Duration::from_secs(30)).await;
        let status = node.status().await.unwrap();
        let side = status.families[0].as_ref().unwrap();
        assert!(side.id == id && side.nodes >= 10, "{side:?}");
    });
}

#[test]
fn both_families_are_spoken_and_each_tells_of_the_other() {
    simulate(async {
        let sim = Sim::new(4);
        let v6 = |number: u16| IpAddr::from(Ipv6Addr::new(0xfd00, number, 0, 0, 0, 0, 0, 1));
        let mut nodes = Vec::new();
        for number in 0..30 {
            let mut options = HostOptions::at(ip(number));
            options.ips.push(v6(number));
            let network = sim.host(options).network();
            let bind = |ip: IpAddr| network.datagram((ip, PORT).into()).unwrap();
            let (four, six) = (bind(ip(number)), bind(v6(number)));
            let mut config =
                DhtConfig::new(Some(four), Some(six), network.clone(), Pool::current());
            config.seed = Some(u64::from(number));
            // Only one family has a bootstrap node: the other is found through it.
            config.bootstrap = vec![(ip(0).to_string(), PORT)];
            nodes.push(DhtNode::launch(config));
            sleep(Duration::from_secs(5)).await;
        }
        nodes[0].add_node((v6(1), PORT).into()).await.unwrap();
        sleep(Duration::from_secs(300)).await;
        let status = nodes[9].status().await.unwrap();
        for family in Family::ALL {
            let side = status.families[family as usize].as_ref().unwrap();
            assert!(side.nodes >= 8, "{status:?}");
        }
        let hash = InfoHash([9; 20]);
        let port = AnnounceAs {
            port: Some(1),
            seed: false,
        };
        nodes[3].announce(hash, port).await.unwrap();
        let mut search = nodes[22].get_peers(GetPeers::new(hash)).await.unwrap();
        let mut peers = Vec::new();
        while let Some(update) = search.next().await.unwrap() {
            if let Update::Peers(new, _) = update {
                peers.extend(new);
            }
        }
        peers.sort();
        assert_eq!(peers, [(ip(3), 1).into(), (v6(3), 1).into()]);
    });
}

#[test]
fn a_dropped_search_ends_its_job() {
    simulate(async {
        let sim = Sim::new(5);
        let nodes = network(&sim, 10).await;
        let search = nodes[1].get_peers(GetPeers::new(InfoHash([7; 20]))).await;
        drop(search);
        sleep(Duration::from_millis(100)).await;
        assert_eq!(nodes[1].status().await.unwrap().jobs, 0);
    });
}

/// Circuits that are there or not.
#[derive(Default)]
struct Circuits(std::sync::atomic::AtomicBool);

impl net::Outlet for Circuits {
    fn outage(&self) -> Option<net::Outage> {
        let there = self.0.load(std::sync::atomic::Ordering::Relaxed);
        (!there).then(|| net::Outage::Circuits {
            hops: 1,
            why: "no exit is known".into(),
        })
    }

    fn look(&self) -> net::BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn datagrams(&self) -> Option<Result<(), Arc<str>>> {
        None
    }

    fn is_of_circuits(&self) -> bool {
        true
    }
}

#[test]
fn a_node_begins_as_soon_as_there_are_circuits_and_again_when_they_are_back() {
    simulate(async {
        let sim = Sim::new(31);
        let _others = network(&sim, 20).await;
        let circuits = Arc::<Circuits>::default();
        let mut ours = config(&sim, 100);
        let host = ip(100);
        let outlet: Arc<dyn net::Outlet> = Arc::<Circuits>::clone(&circuits);
        ours.network = ours.network.with_outlet(outlet);
        let node = DhtNode::launch(ours);
        let set = |there| {
            circuits
                .0
                .store(there, std::sync::atomic::Ordering::Relaxed);
        };
        let sent = |trace: net::sim::Trace| {
            let sent = trace.log.into_iter().filter(|(_, what)| {
                matches!(what, net::sim::Happening::Datagram { from, .. } if from.ip() == host)
            });
            sent.count()
        };
        sim.record(100_000);
        sleep(Duration::from_secs(100)).await;
        assert_eq!(sent(sim.trace()), 0);
        set(true);
        let usable = timeout(Duration::from_secs(1), node.usable());
        usable.await.expect("soon").expect("a node");
        for away in [3, 200, 4000] {
            set(false);
            sleep(Duration::from_secs(away)).await;
            sim.record(100_000);
            set(true);
            sleep(Duration::from_millis(300)).await;
            assert_ne!(sent(sim.trace()), 0, "after {away} s");
        }
    });
}

#[test]
fn a_node_goes_on_by_other_sockets_with_all_that_it_knows() {
    simulate(async {
        let sim = Sim::new(11);
        let nodes = network(&sim, 20).await;
        let host = sim.host(HostOptions::at(ip(500)));
        let base = host.network();
        let (before, cut) = base.clone().with_cut();
        let at = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let socket = before.datagram(at(PORT)).unwrap();
        let mut config = DhtConfig::new(Some(socket), None, before, Pool::current());
        config.seed = Some(1);
        config.bootstrap = vec![(ip(0).to_string(), PORT)];
        let node = DhtNode::launch(config);
        sleep(Duration::from_secs(60)).await;
        let known = node.contacts().await.unwrap().len();
        assert!(known > 8);
        cut.cut();
        assert_eq!(node.ping(addr(3)).await.unwrap(), None);
        node.rebind(Some(base.datagram(at(7000)).unwrap()), None, base.clone());
        sleep(Duration::from_secs(1)).await;
        assert!(node.contacts().await.unwrap().len() + 2 > known);
        assert!(node.ping(addr(3)).await.unwrap().is_some());
        let there = SocketAddr::new(ip(500), 7000);
        assert!(nodes[5].ping(there).await.unwrap().is_some());
    });
}

/// Two nodes of one host, each at an address of its own; only the first knows anybody.
fn siblings(sim: &Sim, numbers: [u16; 2]) -> (DhtHandle, DhtHandle) {
    let ips = numbers.map(ip).to_vec();
    let host = sim.host(HostOptions {
        ips,
        ..HostOptions::at(ip(numbers[0]))
    });
    let network = host.network();
    let [first, second] = numbers.map(|number| {
        let socket = network.datagram(addr(number)).unwrap();
        let mut config = DhtConfig::new(Some(socket), None, network.clone(), Pool::current());
        config.seed = Some(u64::from(number));
        if number == numbers[0] {
            config.bootstrap = vec![(ip(0).to_string(), PORT)];
        }
        DhtNode::launch(config)
    });
    (first.with_siblings(vec![second.clone()]), second)
}

#[test]
fn nodes_of_one_host_are_different_nodes_that_announce_it_at_each_address() {
    simulate(async {
        let sim = Sim::new(11);
        let nodes = network(&sim, 40).await;
        let (both, second) = siblings(&sim, [100, 200]);
        assert!(second.contacts().await.unwrap().is_empty());
        both.share().await.unwrap();
        sleep(Duration::from_secs(60)).await;
        let id = |status: crate::Status| status.families[0].as_ref().unwrap().id;
        let ids = [
            id(both.status().await.unwrap()),
            id(second.status().await.unwrap()),
        ];
        assert_ne!(ids[0], ids[1]);
        assert!(second.contacts().await.unwrap().len() >= 12);
        let hash = InfoHash([9; 20]);
        let announce = AnnounceAs {
            port: Some(5),
            seed: false,
        };
        let stored = both.announce(hash, announce).await.unwrap();
        assert!(stored.nodes >= 12, "{stored:?}");
        let found = peers_of(&nodes[30], hash).await;
        assert_eq!(
            found,
            [100, 200].map(|number| SocketAddr::new(ip(number), 5))
        );
        // What both find is told once, and so is the end.
        assert_eq!(peers_of(&both, hash).await, found);
        second.shutdown(Duration::from_secs(1)).await;
        assert_eq!(peers_of(&both, hash).await, found);
        both.shutdown(Duration::from_secs(1)).await;
        // Asked or looked for: which of the two is refused depends on how far the node's end has come.
        let ended = match both.get_peers(GetPeers::new(hash)).await {
            Ok(search) => search.finish().await.err(),
            Err(refused) => Some(refused),
        };
        assert_eq!(ended, Some(DhtError::Stopped));
    });
}

/// The peers that a node finds, in order; each is told once, and the end last.
async fn peers_of(node: &DhtHandle, hash: InfoHash) -> Vec<SocketAddr> {
    let mut search = node.get_peers(GetPeers::new(hash)).await.unwrap();
    let mut found = Vec::new();
    let mut ended = 0;
    while let Some(update) = search.next().await.unwrap() {
        assert_eq!(ended, 0, "nothing follows the end");
        match update {
            Update::Peers(peers, progress) => {
                found.extend(peers);
                assert!(progress.found >= found.len());
            }
            Update::Done(_, progress) => {
                ended += 1;
                assert!(progress.answered > 0 && progress.found == found.len());
            }
            Update::Progress(_) | Update::Sampled(..) => {}
        }
    }
    assert_eq!(ended, 1);
    found.sort_unstable();
    found
}
