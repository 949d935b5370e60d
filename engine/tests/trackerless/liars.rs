//! How long it takes from a bare hash to the metadata in a DHT of 200 nodes of which three of ten lie, on links like those
//! of the Internet: round trips are log-normal over pairs of hosts with a median of 80 ms and a 99th percentile of 400 ms,
//! and one datagram of a hundred gets lost.

use std::future::poll_fn;
use std::sync::Arc;

use dht::sim::{Adversary, Lie, LinkModel};
use engine::Event;
use net::DatagramSocket;
use net::sim::Path;
use protocol::krpc::{NodeId, secure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::*;

const NODES: u32 = 200;

/// Magnet links that are opened, one after the other.
const LINKS: u64 = 15;

/// Runs a liar, which makes itself known to some nodes first.
async fn lie(socket: Arc<dyn DatagramSocket>, mut adversary: Adversary, known: Vec<SocketAddr>) {
    for node in known {
        let greeting = adversary.greeting();
        let _ = poll_fn(|cx| socket.poll_send_to(cx, &greeting, node)).await;
    }
    let mut bytes = vec![0; 2048];
    loop {
        let mut buffer = ReadBuf::new(&mut bytes);
        let from = poll_fn(|cx| socket.poll_recv_from(cx, &mut buffer)).await;
        if let Ok(from) = from
            && let Some(answer) = adversary.answer(from, buffer.filled())
        {
            let _ = socket.try_send_to(&answer, from);
        }
    }
}

/// Three of ten are liars, of each kind as many.
fn liars(sim: &Sim, rng: &mut StdRng) -> Vec<Host> {
    let honest: Vec<u32> = (1000..1000 + NODES).filter(|n| !is_liar(*n)).collect();
    let start = |number: u32| {
        let host = sim.host(HostOptions::at(ip(far(number))));
        let (id, kind) = match number % 3 {
            0 => (secure::id_for(host.ip(), rng), Lie::DeadNodes),
            1 => (secure::id_for(host.ip(), rng), Lie::FalsePeers),
            _ => (NodeId::random(rng), Lie::FalseId),
        };
        let known = (0..20).map(|_| addr(far(honest[rng.random_range(0..honest.len())])));
        let known = known.collect();
        let adversary = Adversary::new(id, kind, u64::from(number));
        let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
        let socket = host.network().datagram(at).expect("a socket");
        tokio::task::spawn_local(lie(socket, adversary, known));
        host
    };
    let numbers = (1000..1000 + NODES).filter(|number| is_liar(*number));
    numbers.map(start).collect()
}

const fn is_liar(number: u32) -> bool {
    number % 10 >= 7
}

/// Sets the paths between all hosts as the model says.
fn connect(sim: &Sim, hosts: &[&Host], seed: u64) {
    let model = LinkModel::default();
    for (a, first) in (0..).zip(hosts) {
        for (b, second) in (0..).zip(hosts).skip(a as usize + 1) {
            let path = Path {
                latency: model.one_way(a, b, seed),
                jitter: Duration::ZERO,
                loss: model.loss,
                open: true,
            };
            sim.set_path(first, second, Some(path));
        }
    }
}

/// From the adding of a link until its metadata is there.
async fn fetch(leecher: &Node, payload: &Payload) -> Duration {
    let magnet = Magnet::new(payload.metainfo().hashes());
    let mut events = leecher.handle.events(engine::Categories::USUAL, 1024);
    let began = Instant::now();
    let id = leecher.add(Source::Magnet(Box::new(magnet))).await;
    let received = async {
        let mut named = 0;
        loop {
            let event = events.recv().await.expect("it keeps up");
            if let Event::DhtPeers { id: of, peers } = event
                && of == id
            {
                named += peers;
            } else if let Event::MetadataReceived { id: of, .. } = event
                && of == id
            {
                return named;
            }
        }
    };
    let patience = Duration::from_secs(60);
    let received = tokio::time::timeout(patience, received).await;
    let named = received.expect("metadata");
    assert!(named > 0, "nodes named whoever has it");
    began.elapsed()
}

#[test]
fn metadata_comes_within_three_seconds_although_three_of_ten_nodes_lie() {
    const SEED: u64 = 7;
    simulate(async {
        let sim = Sim::new(SEED);
        let mut rng = StdRng::seed_from_u64(SEED);
        let first = vec![addr(far(1000))];
        let honest = (1000..1000 + NODES).filter(|number| !is_liar(*number));
        let mut nodes = Vec::new();
        for number in honest {
            let host = sim.host(HostOptions::at(ip(far(number))));
            let known = if number == 1000 { &[][..] } else { &first };
            nodes.push((dht(&host, known, u64::from(number)), host));
        }
        let liars = liars(&sim, &mut rng);
        let seeder = Node::start(&sim, 501, &first);
        let leecher = Node::start(&sim, 502, &first);
        let hosts = nodes.iter().map(|(_, host)| host).chain(&liars);
        let hosts: Vec<&Host> = hosts.chain([&seeder.host, &leecher.host]).collect();
        connect(&sim, &hosts, SEED);
        // The network finds itself.
        tokio::time::sleep(Duration::from_secs(120)).await;
        let payloads: Vec<Payload> = (0..LINKS)
            .map(|n| Payload::new(100 + n, 100_000, PIECE))
            .collect();
        for payload in &payloads {
            seeder.seed(payload).await;
        }
        // It announces them a few at a time.
        tokio::time::sleep(Duration::from_secs(240)).await;
        let mut took = Vec::new();
        for payload in &payloads {
            took.push(fetch(&leecher, payload).await);
        }
        took.sort_unstable();
        let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
        println!(
            "{} nodes, {} of them liars, seed {SEED}: from magnet link to metadata after {median:.2?} (median), \
             {worst:.2?} (longest of {LINKS})",
            hosts.len() - 2,
            liars.len()
        );
        assert!(median < Duration::from_secs(3), "{took:?}");
        sim
    });
}
