//! What an engine tells of what is around it: ways out, the local network, the gateway, what was kept, peers that ask for nothing.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "who listens takes what it wants of an open list"
)]

mod common;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use common::Payload;
use common::sim::{Node, addr, config, ip, simulate};
use engine::{
    Category, EngineConfig, Event, Events, Memory, NoEvent, Rejection, Source, Supervisor,
};
use net::port_map::{By, Mapped, PortMap, Ports, Transport};
use net::sim::{HostOptions, Sim};
use net::{BoxFuture, Network, Outage, Outlet, Pool};
use parking_lot::Mutex;
use protocol::id::PeerId;
use protocol::peer::RawRequest;
use protocol::peer::handshake::{Handshake, Reserved};
use protocol::peer::message::id;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

const PIECE: usize = 64 * 1024;

/// A way out that comes and goes.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<Option<Outage>>>);

impl Outlet for Gate {
    fn outage(&self) -> Option<Outage> {
        self.0.lock().clone()
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn datagrams(&self) -> Option<Result<(), Arc<str>>> {
        None
    }
}

fn start(sim: &Sim, number: u32, change: impl FnOnce(&mut EngineConfig)) -> Node {
    let host = sim.host(HostOptions::at(ip(number)));
    let mut config = config(&host, u64::from(number));
    change(&mut config);
    Node::start(host, config)
}

/// What was told up to now.
fn heard(events: &mut Events) -> Vec<Event> {
    let next = || match events.try_recv() {
        Ok(event) => Some(event),
        Err(NoEvent::Empty) => None,
        Err(error) => panic!("{error}"),
    };
    std::iter::from_fn(next).collect()
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[test]
fn the_end_of_the_only_way_out_is_told_once_and_so_is_its_return() {
    simulate(async {
        let sim = Sim::new(1);
        let gate = Gate::default();
        let outlet = Arc::new(gate.clone());
        let node = start(&sim, 1, |config| {
            config.network = config.network.clone().with_outlet(outlet);
        });
        let mut events = node.handle.events(Category::Status.into(), 100);
        seconds(5).await;
        heard(&mut events);
        *gate.0.lock() = Some(Outage::Gone("wg0".into()));
        seconds(5).await;
        let told = heard(&mut events);
        assert!(
            matches!(&told[..], [Event::NetworkDown { hops: 0, reason }] if reason.contains("wg0")),
            "{told:?}"
        );
        *gate.0.lock() = None;
        seconds(5).await;
        let told = heard(&mut events);
        assert!(
            matches!(told[..], [Event::NetworkUp { hops: 0 }]),
            "{told:?}"
        );
        sim
    });
}

#[test]
fn ports_that_the_gateway_gives_and_does_not_give_are_told() {
    simulate(async {
        let sim = Sim::new(2);
        let node = start(&sim, 1, |_| {});
        let mut events = node.handle.events(Category::Status.into(), 100);
        let port = Mapped {
            transport: Transport::Tcp,
            internal: 6881,
            external: 7000,
            ip: Some(Ipv4Addr::new(1, 2, 3, 4).into()),
            by: By::Pcp,
        };
        let given = Ports::of(vec![port]);
        node.handle.watch_ports(given).await.expect("it runs");
        seconds(5).await;
        let told = heard(&mut events);
        let mapped = told
            .iter()
            .filter(|event| matches!(event, Event::Mapped { port: of } if *of == port));
        assert_eq!(mapped.count(), 1, "{told:?}");
        // Another gateway, that there is not.
        let ports = vec![(Transport::Tcp, 6881)];
        let map = PortMap::start(Network::none(), ports, &Pool::current());
        node.handle.watch_ports(map.ports()).await.expect("it runs");
        seconds(5).await;
        let told = heard(&mut events);
        assert!(
            matches!(told[..], [Event::MapFailed { port: Some(6881) }]),
            "{told:?}"
        );
        sim
    });
}

#[test]
fn a_local_network_that_cannot_be_joined_is_told_once() {
    simulate(async {
        let sim = Sim::new(3);
        let node = start(&sim, 1, |config| {
            (config.network, config.listen) = (Network::none(), None);
            config.local_discovery = true;
        });
        let mut events = node.handle.events(Category::Connections.into(), 1000);
        node.seed(&Payload::new(3, 100_000, PIECE)).await;
        seconds(3600).await;
        let told = heard(&mut events);
        let failed = told.iter().filter(|event| event.word() == "local_failed");
        assert_eq!(failed.count(), 1, "{told:?}");
        sim
    });
}

#[test]
fn a_request_for_nothing_is_told_with_what_was_asked_for() {
    simulate(async {
        let sim = Sim::new(4);
        let payload = Payload::new(4, 100_000, PIECE);
        let node = start(&sim, 1, |_| {});
        let mut events = node.handle.events(Category::Peers.into(), 100);
        let torrent = node.seed(&payload).await;
        assert!(node.finishes(torrent, Duration::from_secs(60)).await);
        let stranger = sim.host(HostOptions::at(ip(2)));
        let mut stream = stranger.network().dial(addr(1)).await.expect("it listens");
        let ours = Handshake {
            reserved: Reserved::default(),
            info_hash: payload.metainfo().hashes().wire(),
            peer_id: PeerId(*b"-XX0001-asksfornothi"),
        };
        let nothing = RawRequest {
            piece: 99,
            begin: 5,
            len: 16,
        };
        stream.write_all(&ours.encode()).await.expect("sent");
        stream
            .write_all(&nothing.frame(id::REQUEST))
            .await
            .expect("sent");
        seconds(5).await;
        let told = heard(&mut events);
        assert!(
            matches!(
                told[..],
                [Event::InvalidRequest { id, addr, piece: 99, begin: 5, len: 16 }]
                    if id == torrent && addr.ip() == ip(2)
            ),
            "{told:?}"
        );
        let figures = node.handle.metrics().await.expect("it runs");
        assert_eq!(figures.get("peer.invalid_piece_requests"), Some(1));
        sim
    });
}

#[test]
fn other_trackers_are_told_with_their_number() {
    simulate(async {
        let sim = Sim::new(5);
        let node = start(&sim, 1, |_| {});
        let mut events = node.handle.events(Category::Trackers.into(), 100);
        let torrent = node.seed(&Payload::new(5, 100_000, PIECE)).await;
        let urls = |names: &[&str]| {
            names
                .iter()
                .map(|name| format!("http://{name}/announce"))
                .collect::<Vec<_>>()
        };
        let tiers = vec![urls(&["10.1.0.77", "10.1.0.78"]), urls(&["10.1.0.79"])];
        node.handle
            .replace_trackers(torrent, tiers)
            .await
            .expect("done");
        seconds(1).await;
        let told = heard(&mut events);
        let changed = told.iter().find_map(|event| match event {
            Event::TrackersChanged { id, trackers } => Some((*id, *trackers)),
            _ => None,
        });
        assert_eq!(changed, Some((torrent, 3)), "{told:?}");
        sim
    });
}

#[test]
fn progress_that_was_kept_and_does_not_count_is_told_with_the_reason() {
    simulate(async {
        let sim = Sim::new(6);
        let payload = Payload::new(6, 300_000, PIECE);
        let memory = TempDir::new().expect("a folder");
        let content = TempDir::new().expect("a folder");
        let host = sim.host(HostOptions::at(ip(1)));
        let run = async |change: &str| {
            let mut config = config(&host, 1);
            config.memory = Memory::Files(memory.path().to_owned());
            let (_, handle) = Supervisor::launch(config).expect("an engine");
            let mut events = handle.events(Category::Storage.into(), 100);
            let source = Source::Metainfo(payload.metainfo());
            let add = engine::AddTorrent::new(source, content.path().to_owned());
            handle.add(add).await.expect("added");
            seconds(60).await;
            let told = heard(&mut events);
            handle.shutdown(Duration::from_secs(10)).await;
            drop(handle);
            let file = content.path().join(payload.metainfo().name());
            match change {
                "file" => std::fs::write(file, &payload.bytes()[..200_000]).expect("written"),
                "record" => {
                    for entry in std::fs::read_dir(memory.path()).expect("a folder") {
                        let path = entry.expect("an entry").path();
                        if path.extension().is_some_and(|end| end == "resume") {
                            std::fs::write(path, b"nonsense").expect("written");
                        }
                    }
                }
                _ => {}
            }
            let rejected = told.into_iter().filter_map(|event| match event {
                Event::ResumeRejected { why, .. } => Some(why),
                _ => None,
            });
            rejected.collect::<Vec<_>>()
        };
        std::fs::write(
            content.path().join(payload.metainfo().name()),
            payload.bytes(),
        )
        .expect("written");
        assert_eq!(run("").await, [], "nothing was kept");
        assert_eq!(run("file").await, [], "it counts");
        assert_eq!(run("record").await, [Rejection::Changed]);
        assert_eq!(run("").await, [Rejection::Unreadable]);
        sim
    });
}
