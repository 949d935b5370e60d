//! Whole nodes on the simulated network, in virtual time: a bootstrap server, relays, exits and who uses them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use net::sim::{Host as SimHost, HostOptions, Link, Sim};
use net::{DatagramSocket, Outage, Pool, Task};
use overlay::bootstrap::Bootstrap;
use overlay::host::{Host, HostConfig};
use overlay::key::SecretKey;
use overlay::server::BootstrapServer;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::*;
use crate::node::Refusal;
use crate::testing::virtual_time::{receive, simulate, until_echoed, utp};
use crate::{Exchange, Protection, TRIBLER_CLASSIC, TRIBLER_MODERN, Why};

mod deaths;
mod hidden;
mod http;
mod programs;
mod view;

const PORT: u16 = 7759;

/// A network with a bootstrap server.
struct Town {
    sim: Sim,
    server: SocketAddrV4,
    _server: HostHandle<BootstrapServer>,
    hosts: u8,
    /// Whether citizens speak the older dialect as well.
    both: bool,
}

/// A node on a host of its own.
struct Citizen {
    anonymity: Anonymity,
    host: SimHost,
}

impl Town {
    /// One in which the dialect of today is spoken. Most of the time of a test goes into signatures, of which half are enough.
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let sim = Sim::new(seed);
        let host = host(&sim, Ipv4Addr::new(20, 0, 0, 1));
        let any = (Ipv4Addr::UNSPECIFIED, PORT).into();
        let socket = host.network().datagram(any).unwrap();
        let endpoint = Endpoint::launch(EndpointConfig::new(socket, Pool::current()));
        let own = SocketAddrV4::new(Ipv4Addr::new(20, 0, 0, 1), PORT);
        let mut rng = StdRng::seed_from_u64(seed);
        let key = SecretKey::generate(&mut rng);
        let machine = BootstrapServer::new(key, own, now(), &mut rng);
        let config = HostConfig::new(endpoint, host.network(), Pool::current());
        Self {
            sim,
            server: own,
            _server: Host::launch(machine, config, |()| {}),
            hosts: 0,
            both: false,
        }
    }

    /// One in which both dialects are spoken.
    fn of_both(seed: u64) -> Self {
        Self {
            both: true,
            ..Self::new(seed)
        }
    }

    /// A node with some roles.
    fn citizen(&mut self, roles: Roles, adapt: impl FnOnce(&mut AnonymityConfig)) -> Citizen {
        self.hosts += 1;
        let host = host(&self.sim, Ipv4Addr::new(20 + self.hosts, 7, 0, 1));
        let key = SecretKey::from_bytes(&[self.hosts; 64]).unwrap();
        let mut config = AnonymityConfig::new(host.network(), Pool::current(), key);
        config.bootstrap = Bootstrap::only(vec![self.server]);
        config.roles = roles;
        config.seed = Some([self.hosts; 32]);
        if !self.both {
            config.communities.classic = None;
        }
        adapt(&mut config);
        Citizen {
            anonymity: Anonymity::launch(config).unwrap(),
            host,
        }
    }

    fn citizens(&mut self, relays: u8, exits: u8) -> Vec<Citizen> {
        let exit = || Roles::exit(ExitPolicy::default());
        let relays: Vec<_> = (0..relays)
            .map(|_| self.citizen(Roles::relay(), |_| {}))
            .collect();
        let exits = (0..exits).map(|_| self.citizen(exit(), |_| {}));
        relays.into_iter().chain(exits).collect()
    }

    /// Waits until all who do something for others know each other.
    async fn acquaint(citizens: &[Citizen]) {
        let knows_all = |citizen: &Citizen| {
            let mut nodes = citizen.anonymity.counters().nodes.into_iter();
            nodes.all(|node| node.known + 1 >= citizens.len())
        };
        let begun = now();
        while !citizens.iter().all(knows_all) {
            assert!(
                now() - begun < Duration::from_secs(120),
                "not all know each other"
            );
            sleep(Duration::from_millis(500)).await;
        }
        println!("all know each other after {:?}", now() - begun);
    }

    /// A host that sends everything back, and where it is.
    fn echo(&self) -> (SocketAddr, Task<()>) {
        let ip = Ipv4Addr::new(93, 184, 216, 34);
        let host = host(&self.sim, ip);
        let socket = host
            .network()
            .datagram((Ipv4Addr::UNSPECIFIED, 6881).into());
        let socket = socket.unwrap();
        let task = Pool::current().spawn(async move {
            let _host = host;
            loop {
                let (data, from) = receive(&*socket).await;
                let _ = socket.try_send_to(&data, from);
            }
        });
        (SocketAddr::from((ip, 6881)), task)
    }
}

fn host(sim: &Sim, ip: Ipv4Addr) -> SimHost {
    let host = sim.host(HostOptions::at(IpAddr::V4(ip)));
    host.set_link(Link::with_latency(Duration::from_millis(20)));
    host
}

#[test]
fn a_network_of_circuits_reaches_the_world_through_nodes_that_a_bootstrap_server_names() {
    simulate(async {
        let mut town = Town::of_both(1);
        let _citizens = town.citizens(8, 3);
        let (target, _echo) = town.echo();
        // The server comes to name them in both dialects.
        sleep(Duration::from_secs(60)).await;
        let ours = town.citizen(Roles::default(), |_| {}).anonymity;
        for hops in 1..=3 {
            let network = ours.network(hops);
            assert!(network.has_one_way_out());
            let socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
            let took = until_echoed(&*socket, target).await;
            assert!(took < Duration::from_secs(10), "{hops} hops: {took:?}");
            assert_eq!(network.outage(), None);
            let circuits = ours.circuits();
            assert!(
                circuits
                    .iter()
                    .all(|circuit| circuit.dialect == Dialect::Modern),
                "the newer dialect is preferred"
            );
        }
    });
}

#[test]
fn without_exits_nothing_leaves_and_the_network_says_why() {
    simulate(async {
        let mut town = Town::new(2);
        let _citizens = town.citizens(4, 0);
        let ours = town.citizen(Roles::default(), |_| {}).anonymity;
        let network = ours.network(2);
        let socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        sleep(Duration::from_secs(30)).await;
        assert!(!socket.is_up());
        let to = (Ipv4Addr::new(93, 184, 216, 34), 6881).into();
        assert!(socket.try_send_to(&utp(20), to).is_err());
        let why = "no exit is known".into();
        assert_eq!(network.outage(), Some(Outage::Circuits { hops: 2, why }));
        let status = ours.status(2);
        assert_eq!(status.protection, Protection::Blocked(Why::NoExits));
        assert!(network.listen(([0, 0, 0, 0], 0).into()).is_err());
        assert!(network.dial(to).await.is_err());
        assert!(network.lookup("example.org", 80).await.is_err());
    });
}

#[test]
fn the_older_dialect_is_used_where_nobody_speaks_the_newer_one() {
    simulate(async {
        let mut town = Town::of_both(3);
        let old = |config: &mut AnonymityConfig| config.communities.modern = None;
        let mut citizens = Vec::new();
        for at in 0..8 {
            let roles = if at < 6 {
                Roles::relay()
            } else {
                Roles::exit(ExitPolicy::default())
            };
            citizens.push(town.citizen(roles, old));
        }
        let (target, _echo) = town.echo();
        Town::acquaint(&citizens).await;
        let ours = town.citizen(Roles::default(), |_| {}).anonymity;
        let network = ours.network(3);
        let socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        until_echoed(&*socket, target).await;
        let circuits = ours.circuits();
        assert!(!circuits.is_empty());
        let classic = |circuit: &CircuitStatus| circuit.dialect == Dialect::Classic;
        assert!(circuits.iter().all(classic));
        // Now there are others.
        citizens.extend(town.citizens(6, 2));
        sleep(Duration::from_secs(120)).await;
        until_echoed(&*socket, target).await;
        let other = SocketAddr::from((Ipv4Addr::new(93, 184, 216, 35), 6881));
        socket.try_send_to(&utp(20), other).unwrap();
        let circuits = ours.circuits();
        assert!(circuits.iter().filter(|circuit| !classic(circuit)).count() >= 3);
        assert_eq!(
            circuits.iter().filter(|circuit| classic(circuit)).count(),
            1,
            "a flow stays"
        );
    });
}

#[test]
fn circuits_end_when_nobody_has_a_network_of_them() {
    simulate(async {
        let mut town = Town::new(4);
        let _citizens = town.citizens(5, 2);
        let ours = town.citizen(Roles::default(), |_| {}).anonymity;
        let network = ours.network(2);
        sleep(Duration::from_secs(30)).await;
        assert!(!ours.circuits().is_empty());
        let socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        drop(network);
        sleep(Duration::from_secs(5)).await;
        assert!(!ours.circuits().is_empty(), "a socket keeps them");
        drop(socket);
        sleep(Duration::from_secs(5)).await;
        assert!(ours.circuits().is_empty());
    });
}

#[test]
fn candidates_go_when_they_are_silent() {
    simulate(async {
        let mut town = Town::new(5);
        let citizens = town.citizens(5, 2);
        let ours = town.citizen(Roles::default(), |_| {}).anonymity;
        sleep(Duration::from_secs(30)).await;
        let known = |of: &Anonymity| {
            let counters = of.counters();
            let node = &counters.nodes[0];
            (node.known_relays, node.known_exits)
        };
        assert_eq!(known(&ours), (7, 2));
        citizens[6].host.set_online(false);
        citizens[0].host.set_online(false);
        sleep(Duration::from_secs(120)).await;
        assert_eq!(known(&ours), (5, 1));
    });
}

#[test]
fn neighbours_are_told_when_a_node_shuts_down() {
    simulate(async {
        let mut town = Town::new(6);
        let citizens = town.citizens(5, 2);
        let ours = town.citizen(Roles::default(), |_| {}).anonymity;
        let network = ours.network(3);
        sleep(Duration::from_secs(30)).await;
        let held = |of: &Citizen| {
            let counters = of.anonymity.counters();
            counters
                .nodes
                .iter()
                .map(|node| node.ends + node.relays)
                .sum::<usize>()
        };
        assert!(citizens.iter().any(|citizen| held(citizen) > 0));
        ours.shut_down().await;
        sleep(Duration::from_secs(1)).await;
        assert!(citizens.iter().all(|citizen| held(citizen) == 0));
        assert!(network.outage().is_some());
    });
}

#[test]
fn exits_send_to_this_machine_only_where_all_nodes_are_on_it() {
    simulate(async {
        let mut town = Town::new(7);
        let host = host(&town.sim, Ipv4Addr::new(30, 0, 0, 1));
        let key = SecretKey::from_bytes(&[1; 64]).unwrap();
        let mut config = AnonymityConfig::new(host.network(), Pool::current(), key);
        config.local_exits = true;
        let refused = Anonymity::launch(config.clone());
        assert!(matches!(refused, Err(AnonymityError::LocalExits)));
        config.local_exits = false;
        config.communities = Communities {
            modern: Some(TRIBLER_CLASSIC),
            classic: Some(TRIBLER_CLASSIC),
        };
        let refused = Anonymity::launch(config);
        assert!(matches!(refused, Err(AnonymityError::Communities)));
        let one = town.citizen(Roles::default(), |config| {
            config.communities = Communities {
                modern: Some(TRIBLER_MODERN),
                classic: None,
            };
        });
        assert_eq!(one.anonymity.counters().nodes.len(), 1);
        drop(one);
        sleep(Duration::from_secs(1)).await;
    });
}

#[test]
fn whoever_was_there_before_has_a_circuit_within_two_seconds_without_a_bootstrap_server() {
    simulate(async {
        let mut town = Town::new(40);
        let _citizens = town.citizens(10, 4);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known");
        let keep = |config: &mut AnonymityConfig| config.known_file = Some(file.clone());
        let before = town.citizen(Roles::default(), keep);
        sleep(Duration::from_secs(60)).await;
        before.anonymity.shut_down().await;
        drop(before);
        let kept = std::fs::read(&file).unwrap();
        assert!(kept.len() >= 6 * 10, "{}", kept.len());
        for hops in 1..=3 {
            let ours = town.citizen(Roles::default(), |config| {
                keep(config);
                config.bootstrap = Bootstrap::none();
            });
            let begun = now();
            let network = ours.anonymity.network(hops);
            while network.outage().is_some() {
                sleep(Duration::from_millis(20)).await;
            }
            let took = now() - begun;
            println!("a circuit of {hops} hops after {took:?}");
            assert!(took < Duration::from_secs(2), "{took:?}");
            drop(network);
            ours.anonymity.shut_down().await;
        }
    });
}
