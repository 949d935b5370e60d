//! Nodes of the DHT beside the discovery community on one socket each, on the simulated network.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use net::Pool;
use net::sim::{HostOptions, Sim};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use super::super::Dialect;
use super::*;
use crate::bootstrap::Bootstrap;
use crate::discovery::{DISCOVERY, Discovery};
use crate::endpoint::tests::simulate;
use crate::endpoint::{Endpoint, EndpointConfig};
use crate::introducer::Settings;
use crate::key::SecretKey;
use crate::server::BootstrapServer;

const PORT: u16 = 7759;

fn at(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), PORT)
}

fn config(sim: &Sim, last: u8) -> HostConfig {
    let network = sim
        .host(HostOptions::at(IpAddr::V4(*at(last).ip())))
        .network();
    let socket = network
        .datagram((Ipv4Addr::UNSPECIFIED, PORT).into())
        .unwrap();
    let endpoint = Endpoint::launch(EndpointConfig::new(socket, Pool::current()));
    let mut config = HostConfig::new(endpoint, network, Pool::current());
    config.bootstrap = Bootstrap::only(vec![at(1)]);
    config
}

/// A node and what is beside it on its socket.
struct Node {
    dht: DhtClient,
    discovery: HostHandle<Discovery>,
    endpoint: Endpoint,
    mid: Mid,
}

fn node(sim: &Sim, last: u8, dialect: Dialect) -> Node {
    let now = Instant::now().into_std();
    let mut rng = StdRng::seed_from_u64(last.into());
    let mut settings = Settings::new(SecretKey::generate(&mut rng), DISCOVERY);
    settings.lan = at(last);
    let first = config(sim, last);
    let endpoint = first.endpoint.clone();
    let mut second = HostConfig::new(endpoint.clone(), first.network.clone(), Pool::current());
    second.bootstrap = first.bootstrap.clone();
    let mut discovery = Discovery::new(&settings, now, &mut rng);
    discovery.add_service(dialect.community());
    let dht = Dht::new(&settings, dialect, now, &mut rng);
    Node {
        dht: DhtClient::launch(dht, first),
        discovery: Host::launch(discovery, second, |_| {}),
        endpoint,
        mid: settings.key.public().mid(),
    }
}

async fn network(sim: &Sim, dialect: Dialect) -> (HostHandle<BootstrapServer>, Vec<Node>) {
    let mut rng = StdRng::seed_from_u64(100);
    let key = SecretKey::generate(&mut rng);
    let machine = BootstrapServer::new(key, at(1), Instant::now().into_std(), &mut rng);
    let server = Host::launch(machine, config(sim, 1), |()| {});
    let nodes = (2..14).map(|last| node(sim, last, dialect)).collect();
    sleep(Duration::from_secs(90)).await;
    (server, nodes)
}

#[test]
fn what_one_node_stores_another_finds_and_both_communities_share_a_socket() {
    simulate(async {
        let sim = Sim::new(1);
        let (_server, nodes) = network(&sim, Dialect::Tribler75).await;
        for node in &nodes {
            let members = node
                .discovery
                .with(|discovery, _| discovery.introducer().peer_count());
            assert_eq!(members.await, Ok(11));
            assert!(node.dht.status().await.unwrap().nodes >= 8);
            assert_eq!(node.endpoint.counters().alien, 0);
        }
        let key = NodeId([5; 20]);
        let stored = nodes[0].dht.store(key, b"plain").await.unwrap();
        assert_eq!(stored.len(), 8);
        nodes[3].dht.store_signed(key, b"signed", 1).await.unwrap();
        let mut found = nodes[7].dht.find_values(key).await.unwrap();
        found.sort_by(|a, b| a.data.cmp(&b.data));
        let data: Vec<&[u8]> = found.iter().map(|found| found.data.as_slice()).collect();
        assert_eq!(data, [&b"plain"[..], b"signed"]);
        let signer = found[1].signer.as_ref().map(crate::key::PublicKey::mid);
        assert_eq!((signer, &found[0].signer), (Some(nodes[3].mid), &None));
        let at_key = nodes[9].dht.find_nodes(key).await.unwrap();
        assert!(at_key.len() >= 8);
        let place = nodes[9].dht.connect_peer(nodes[2].mid).await.unwrap();
        assert_eq!(place[0].addr, at(4));
        let long = nodes[0].dht.store(key, &[0; 170]).await;
        assert_eq!(long, Err(Failure::BadValue.into()));
    });
}

#[test]
fn who_asks_a_node_whose_socket_has_ended_is_told() {
    simulate(async {
        let sim = Sim::new(2);
        let (_server, nodes) = network(&sim, Dialect::Current).await;
        let dht = nodes[0].dht.clone();
        let asking =
            tokio::task::spawn_local(async move { dht.find_values(NodeId([9; 20])).await });
        sleep(Duration::from_millis(1)).await;
        nodes[0].endpoint.shutdown().await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(asking.await.unwrap(), Err(Stopped.into()));
        assert_eq!(nodes[0].dht.status().await, Err(Stopped));
    });
}
