//! The number of hops changes while a torrent comes, in an engine of this process, through circuits of other processes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{
    AddTorrent, EngineConfig, EngineHandle, Event, Limits, Route, RouteError, RoutePolicy, Routes,
    Source, State, Supervisor, TorrentId, TorrentStatus,
};
use net::ports::{self, Transports};
use net::utp::UtpOptions;
use net::{Network, OwnedPool, Pool, RealOptions};
use overlay::bootstrap::Bootstrap;
use overlay::key::SecretKey;
use overlay::packet::CommunityId;
use protocol::geometry::BLOCK_LEN;
use protocol::metainfo::{LoadLimits, Metainfo};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use support::Lab;
use support::clients::{Running as _, finish, home};
use support::content::Content;
use support::ours::Ours;
use support::overlay::Testnet;
use support::payload::Payload;
use tunnels::{Anonymity, AnonymityConfig, Communities};

const NODES: usize = 8;
/// Bytes of the torrent for each change, and how many are taken a second till the changes are over: it is not done before.
const LEN: u64 = 2_000_001;
const RATE: u64 = 1 << 20;
const READY: Duration = Duration::from_secs(30);
/// How long bytes may take to flow after a change: the old way is left, circuits are built, the seed is dialled.
const FLOWS: Duration = Duration::from_secs(30);
/// Blocks that may be under way when the way changes.
const UNDER_WAY: u64 = 256;

/// Routes through circuits, with uTP on them and nothing else.
#[derive(Debug)]
struct Circuits {
    anonymity: Anonymity,
    pool: Pool,
}

impl Routes for Circuits {
    fn open(&self, hops: u8, _: bool) -> Result<Route, RouteError> {
        let network = self.anonymity.network(hops);
        let anywhere = (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), 0);
        let options = UtpOptions::default();
        let open = ports::open(&network, anywhere, Transports::Utp, &self.pool, &options);
        let open = open.map_err(|error| RouteError::Unavailable {
            hops,
            why: error.to_string().into(),
        })?;
        Ok(Route {
            network: open.network,
            listen: Some(open.addr),
            dht: None,
            tracker_socket: None,
            hidden: None,
            web_seeds: false,
            policy: RoutePolicy::Anonymous,
        })
    }
}

/// Our part in the network of other processes, by the flags that join it.
fn join(flags: &[&str], pool: &Pool) -> Anonymity {
    let value = |name: &str| {
        let at = flags.iter().position(|flag| *flag == name);
        flags[at.expect("the flag") + 1]
    };
    let network = Network::real(RealOptions::default());
    let key = SecretKey::generate(&mut StdRng::seed_from_u64(7));
    let mut config = AnonymityConfig::new(network, pool.clone(), key);
    config.listen = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let server = value("--overlay-bootstrap").parse().expect("an address");
    config.bootstrap = Bootstrap::only(vec![server]);
    let hex = value("--overlay-community");
    let bytes = (0..40)
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().expect("hex");
    config.communities = Communities {
        modern: Some(CommunityId(bytes.try_into().expect("20 bytes"))),
        classic: None,
    };
    Anonymity::launch(config).expect("the overlay")
}

/// An engine that goes directly from an address, and by hops through the network.
fn engine(ip: IpAddr, pool: &Pool, anonymity: &Anonymity) -> EngineHandle {
    let network = Network::real(RealOptions::from_source(ip));
    let mut config = EngineConfig::new(network, pool.clone());
    config.local_discovery = false;
    config.routes = Some(Arc::new(Circuits {
        anonymity: anonymity.clone(),
        pool: pool.clone(),
    }));
    let (_, handle) = Supervisor::launch(config).expect("an engine");
    handle
}

async fn until(
    (engine, id): (&EngineHandle, TorrentId),
    within: Duration,
    done: impl Fn(&TorrentStatus) -> bool,
) -> Arc<TorrentStatus> {
    let mut snapshots = engine.snapshots();
    let of = |status: &&Arc<TorrentStatus>| status.id == id;
    let reached = snapshots.wait_for(|snapshot| {
        let status = snapshot.torrents.iter().find(of);
        status.is_some_and(|status| done(status))
    });
    let late = tokio::time::timeout(within, reached).await.is_err();
    let snapshot = engine.snapshot();
    let status = snapshot.torrents.iter().find(of).expect("the torrent");
    assert!(!late, "not in {within:?}: {status:?}");
    Arc::clone(status)
}

/// Gets a torrent while its hops change so many times.
pub(crate) fn run(lab: &Lab, changes: u32) {
    let net = Testnet::start(lab, NODES);
    let len = LEN * u64::from(changes);
    let content = Content::new(lab, Payload::single("changes.bin", len, 74));
    let seed_at = lab.address();
    let mut seed = Ours::start(&content.seed(seed_at), &lab.folder("seed"));
    finish(&mut seed, READY, "the seed");
    let (dir, at) = home(lab, "leech");
    let file = std::fs::read(content.source()).expect("the torrent");
    let metainfo = Metainfo::from_bytes(&file, &LoadLimits::default()).expect("a torrent");
    let pool = OwnedPool::start("changes", 2).expect("threads");
    actix::System::new().block_on(async {
        let anonymity = join(&net.flags(), pool.pool());
        let engine = engine(at.ip(), pool.pool(), &anonymity);
        let mut events = engine.events(engine::Categories::USUAL, 1024);
        let slow = Limits {
            down: Some(RATE),
            up: None,
        };
        engine.set_limits(None, slow).await.expect("slower");
        let source = Source::Metainfo(Arc::new(metainfo));
        let mut add = AddTorrent::new(source, dir.clone());
        add.peers = vec![seed_at];
        let id = engine.add(add).await.expect("added");
        until((&engine, id), FLOWS, |status| status.done > 0).await;
        let mut rng = StdRng::seed_from_u64(8);
        let mut hops = 0;
        for change in 0..changes {
            hops = (hops + rng.random_range(1..=3)) % 4;
            let begin = Instant::now();
            engine.set_hops(id, hops).await.expect("moved");
            engine.add_peer(id, seed_at).await.expect("told");
            let moved = |status: &TorrentStatus| status.hops == hops && status.peers == 1;
            let before = until((&engine, id), FLOWS, moved).await.done;
            let flows = |status: &TorrentStatus| status.done > before;
            let status = until((&engine, id), FLOWS, flows).await;
            let took = begin.elapsed().as_secs_f64();
            lab.report(&format!("| change {change} | {hops} hops | {took:.1} s |"));
            assert_eq!(status.state, State::Downloading, "it is done too early");
        }
        let fast = Limits::default();
        engine.set_limits(None, fast).await.expect("faster");
        let rest = Duration::from_secs(len / 1_000_000) + FLOWS;
        let whole = |status: &TorrentStatus| status.state == State::Seeding;
        let status = until((&engine, id), rest, whole).await;
        assert_eq!(status.wasted, 0);
        let most = len + u64::from(changes) * UNDER_WAY * u64::from(BLOCK_LEN);
        assert!(status.downloaded <= most, "{} came", status.downloaded);
        while let Ok(event) = events.try_recv() {
            let bad = matches!(
                event,
                Event::CheckFinished { .. } | Event::PieceFailed { .. } | Event::Error { .. }
            );
            assert!(!bad, "{event:?}");
        }
        engine.shutdown(Duration::from_secs(5)).await;
        anonymity.shut_down().await;
    });
    content.assert_arrived(&dir);
    seed.process().stop();
}
