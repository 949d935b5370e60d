//! Whole nodes on the simulated network, in virtual time: a bootstrap server, relays, exits and who uses them.

use std::future::{Future, poll_fn};
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
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use super::*;
use crate::node::Refusal;
use crate::{Exchange, Protection, TRIBLER_CLASSIC, TRIBLER_MODERN, Why};

mod programs;

const PORT: u16 = 7759;

fn simulate(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// A network with a bootstrap server.
struct Town {
    sim: Sim,
    server: SocketAddrV4,
    _server: HostHandle<BootstrapServer>,
    hosts: u8,
}

/// A node on a host of its own.
struct Citizen {
    anonymity: Anonymity,
    host: SimHost,
}

impl Town {
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

async fn receive(socket: &dyn DatagramSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = [0; 2048];
    let mut buf = ReadBuf::new(&mut bytes);
    let from = poll_fn(|cx| socket.poll_recv_from(cx, &mut buf))
        .await
        .unwrap();
    (buf.filled().to_vec(), from)
}

fn utp(len: usize) -> Vec<u8> {
    let mut data = vec![5; len];
    data[..2].copy_from_slice(&[1, 0]);
    data
}

/// Sends a datagram until it comes back, and says how long that took.
async fn until_echoed(socket: &dyn DatagramSocket, to: SocketAddr) -> Duration {
    let begun = now();
    let data = utp(300);
    loop {
        let _ = socket.try_send_to(&data, to);
        if let Ok((got, from)) = timeout(Duration::from_millis(500), receive(socket)).await {
            assert_eq!((got, from), (data, to));
            return now() - begun;
        }
        assert!(now() - begun < Duration::from_secs(120), "never");
    }
}

#[test]
fn a_network_of_circuits_reaches_the_world_through_nodes_that_a_bootstrap_server_names() {
    simulate(async {
        let mut town = Town::new(1);
        let _citizens = town.citizens(8, 3);
        let (target, _echo) = town.echo();
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
        let mut town = Town::new(3);
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
        sleep(Duration::from_secs(60)).await;
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

/// A seeder and a downloader of one torrent with so many hops, who hear of each other by nothing but the DHT and circuits.
async fn hidden_pair(town: &mut Town, hops: u8) -> (Hidden, Hidden) {
    let torrent = [7; 20];
    let mut both = Vec::new();
    for seeds in [true, false] {
        let anonymity = town.citizen(Roles::default(), |_| {}).anonymity;
        let network = anonymity.network(hops);
        let socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        sleep(Duration::from_secs(20)).await;
        let peers = anonymity.join_hidden(&torrent, hops, seeds);
        both.push(Hidden {
            anonymity,
            socket,
            peers,
        });
        sleep(Duration::from_secs(10)).await;
    }
    let downloader = both.pop().unwrap();
    (both.pop().unwrap(), downloader)
}

struct Hidden {
    anonymity: Anonymity,
    socket: Arc<dyn DatagramSocket>,
    peers: mpsc::Receiver<Vec<SocketAddr>>,
}

/// Sends a datagram until the hidden peer has it and has answered.
async fn is_answered(downloader: &Hidden, seeder: &Hidden, at: SocketAddr) -> bool {
    for _ in 0..3 {
        let _ = downloader.socket.try_send_to(&utp(200), at);
        let heard = timeout(Duration::from_secs(1), receive(&*seeder.socket)).await;
        let Ok((data, from)) = heard else {
            continue;
        };
        assert_eq!(data, utp(200));
        assert_eq!(from.port(), crate::CIRCUIT_PORT);
        seeder.socket.try_send_to(&utp(300), from).unwrap();
        let heard = timeout(Duration::from_secs(1), receive(&*downloader.socket)).await;
        if let Ok(heard) = heard {
            assert_eq!(heard, (utp(300), at));
            return true;
        }
    }
    false
}

#[test]
fn hidden_peers_find_and_reach_each_other_by_circuits_of_one_to_three_hops() {
    for hops in 1..=3 {
        simulate(async move {
            let mut town = Town::new(10 + u64::from(hops));
            let _citizens = town.citizens(9, 3);
            sleep(Duration::from_secs(60)).await;
            let (seeder, mut downloader) = hidden_pair(&mut town, hops).await;
            assert!(seeder.anonymity.hidden_status(&[7; 20]).introductions >= 2);
            let found = timeout(Duration::from_secs(60), downloader.peers.recv()).await;
            let found = found.unwrap().unwrap();
            assert!(is_answered(&downloader, &seeder, found[0]).await);
        });
    }
}

#[test]
fn a_link_with_a_hidden_peer_is_made_again_when_a_node_on_it_dies() {
    simulate(async {
        let mut town = Town::new(20);
        let citizens = town.citizens(9, 3);
        sleep(Duration::from_secs(60)).await;
        let (seeder, mut downloader) = hidden_pair(&mut town, 2).await;
        let first = timeout(Duration::from_secs(60), downloader.peers.recv()).await;
        let first = first.unwrap().unwrap()[0];
        assert!(is_answered(&downloader, &seeder, first).await);
        let circuits = downloader.anonymity.circuits();
        let link = circuits.iter().find(|circuit| circuit.info.linked).unwrap();
        let at = link.info.first.ip();
        let dead = citizens.iter().find(|citizen| citizen.host.ip() == at);
        dead.unwrap().host.set_online(false);
        let died = now();
        loop {
            let next = timeout(Duration::from_secs(60), downloader.peers.recv()).await;
            let next = next.unwrap().unwrap()[0];
            assert_ne!(first, next);
            if is_answered(&downloader, &seeder, next).await {
                break;
            }
        }
        println!("a link again after {:?}", now() - died);
        assert!(now() - died < Duration::from_secs(15));
        drop(downloader.peers);
        sleep(Duration::from_secs(2)).await;
        let circuits = downloader.anonymity.circuits();
        assert!(circuits.iter().all(|circuit| !circuit.info.linked));
    });
}

/// A server that answers each request with a body and notes the requests.
fn web_server(town: &Town, body: &'static str) -> (SocketAddr, Task<()>, mpsc::Receiver<String>) {
    let ip = Ipv4Addr::new(93, 184, 216, 40);
    let host = host(&town.sim, ip);
    let at = SocketAddr::from((ip, 6969));
    let listener = host.network().listen((Ipv4Addr::UNSPECIFIED, 6969).into());
    let mut listener = listener.unwrap();
    let (told, heard) = mpsc::channel(64);
    let task = Pool::current().spawn(async move {
        let _host = host;
        while let Ok((mut stream, _)) = poll_fn(|cx| listener.poll_accept(cx)).await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read_exact(&mut byte).await.is_err() {
                    break;
                }
                request.extend(byte);
            }
            let _ = told.try_send(String::from_utf8(request).unwrap());
            let reply = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (at, task, heard)
}

async fn get(network: &Network, url: &str) -> Result<net::http::Response, net::http::Error> {
    let agent = net::http::HeaderValue::from_static("ours/1");
    let client = net::http::Client::new(network.clone(), agent);
    let mut request = net::http::Request::new(net::http::Url::parse(url).unwrap());
    request.headers.insert("x-mine", "1".parse().unwrap());
    client.get(&request).await
}

#[test]
fn http_trackers_are_asked_by_exits_that_look_up_their_names() {
    simulate(async {
        let mut town = Town::new(30);
        let citizens = town.citizens(8, 3);
        let long: &'static str =
            Box::leak(format!("d5:peers{}:{}e", 5000, "x".repeat(5000)).into_boxed_str());
        let (at, _server, mut heard) = web_server(&town, long);
        town.sim.name("tracker.example", vec![at.ip()]);
        let ours = town.citizen(Roles::default(), |_| {});
        let network = ours.anonymity.network(2);
        sleep(Duration::from_secs(40)).await;
        let url = "http://tracker.example:6969/announce?info_hash=%aa&left=0";
        let reply = get(&network, url).await.unwrap();
        assert_eq!(reply.body, long);
        let request = heard.recv().await.unwrap();
        assert!(request.starts_with("GET /announce?info_hash=%aa&left=0 HTTP/1.1\r\n"));
        assert!(request.to_lowercase().contains("user-agent: ours/1"));
        assert!(!request.to_lowercase().contains("x-mine"), "{request}");
        let reply = get(&network, &format!("http://{at}/scrape")).await.unwrap();
        assert_eq!(reply.body, long);
        drop(citizens);
    });
}

#[test]
fn exits_pass_on_only_what_trackers_answer_and_ask_nobody_at_home() {
    simulate(async {
        let mut town = Town::new(31);
        let _citizens = town.citizens(5, 2);
        let (at, _server, mut heard) = web_server(&town, "<html>secret</html>");
        let at_home = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), [10, 0, 0, 1].into()];
        town.sim.name("home.example", at_home);
        let ours = town.citizen(Roles::default(), |_| {});
        let network = ours.anonymity.network(1);
        sleep(Duration::from_secs(40)).await;
        let begun = now();
        let page = get(&network, &format!("http://{at}/announce")).await;
        assert!(page.is_err() && now() - begun < Duration::from_secs(1));
        assert!(heard.try_recv().is_ok(), "it was asked");
        let home = get(&network, "http://home.example:6969/announce").await;
        assert!(home.is_err());
        assert!(heard.try_recv().is_err(), "it was asked again");
        let begun = now();
        let tls = get(&network, "https://tracker.example/announce").await;
        assert!(
            tls.is_err() && now() - begun < Duration::from_secs(1),
            "{tls:?}"
        );
    });
}

#[test]
fn an_exit_that_has_carried_all_it_may_ends_its_circuits_and_others_are_found_at_once() {
    simulate(async {
        let mut town = Town::new(34);
        let mut roles = Roles::exit(ExitPolicy::default());
        roles.max_bytes = Some(200_000);
        let small = town.citizen(roles, |_| {});
        let large = town.citizen(Roles::exit(ExitPolicy::default()), |_| {});
        let (target, _echo) = town.echo();
        let ours = town.citizen(Roles::default(), |_| {});
        let socket = ours.anonymity.network(1);
        let socket = socket.datagram((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
        sleep(Duration::from_secs(40)).await;
        let ends = |citizen: &Citizen| citizen.anonymity.counters().nodes[0].ends;
        assert!(ends(&small) > 0 && ends(&large) > 0, "both are in use");
        let spent = || small.anonymity.counters().nodes[0].spent;
        let mut used = 0;
        // Each address has a flow of its own, so that both exits carry some.
        while !spent() {
            used += 1;
            assert!(used < 3000);
            let to = SocketAddr::new(target.ip(), 7000 + used % 20);
            socket.try_send_to(&utp(1000), to).unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(ends(&small), 0, "it has ended its circuits");
        until_echoed(&*socket, target).await;
        sleep(Duration::from_secs(30)).await;
        let known = &ours.anonymity.counters().nodes[0];
        assert_eq!(known.known_exits, 1, "it is no exit any more");
        assert_eq!(ours.anonymity.status(1).ready, 4);
    });
}

#[test]
fn an_exit_whose_policy_denies_http_offers_none() {
    let roles = |rules: &str| {
        let policy = ExitPolicy {
            rules: Some(Arc::new(rules.parse().unwrap())),
            ..ExitPolicy::default()
        };
        Roles::exit(policy).flags(Dialect::Modern)
    };
    assert!(roles("deny any 80").contain(Flags::EXIT_HTTP));
    assert!(!roles("deny http").contain(Flags::EXIT_HTTP));
    assert!(roles("deny http").contain(Flags::EXIT));
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

/// A node of the path of some datagrams dies: how long until they come back again.
fn death(seed: u64, hops: u8, which: usize) -> Duration {
    let (told, heard) = std::sync::mpsc::channel();
    simulate(async move {
        let mut town = Town::new(seed);
        let citizens = town.citizens(9, 4);
        let (target, _echo) = town.echo();
        sleep(Duration::from_secs(45)).await;
        let ours = town.citizen(Roles::default(), |_| {});
        let network = ours.anonymity.network(hops);
        let socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        sleep(Duration::from_secs(20)).await;
        until_echoed(&*socket, target).await;
        let before: Vec<_> = ours.anonymity.circuits();
        socket.try_send_to(&utp(300), target).unwrap();
        receive(&*socket).await;
        let after = ours.anonymity.circuits();
        // That which has carried the most since is the one of the flow.
        let carried = |circuit: &CircuitStatus| {
            let at = before.iter().find(|it| it.info.id == circuit.info.id);
            circuit.info.bytes - at.map_or(0, |it| it.info.bytes)
        };
        let flow = after.into_iter().max_by_key(carried).unwrap();
        let hop = flow.hops[which % usize::from(hops)].unwrap();
        let dead = citizens
            .iter()
            .find(|citizen| citizen.host.ip() == hop.ip());
        dead.unwrap().host.set_online(false);
        told.send(until_echoed(&*socket, target).await).unwrap();
    });
    heard.recv().unwrap()
}

#[test]
fn datagrams_come_back_within_ten_seconds_when_a_relay_or_an_exit_of_the_network_dies() {
    let mut worst = Duration::ZERO;
    for (seed, hops) in [(50, 1), (51, 2), (52, 2), (53, 3), (54, 3), (55, 3)] {
        let outage = death(seed, hops, seed as usize);
        println!("seed {seed}, {hops} hops: {outage:?}");
        worst = worst.max(outage);
    }
    assert!(worst < Duration::from_secs(8), "{worst:?}");
}

#[test]
fn introduction_points_of_a_swarm_know_of_each_other_and_no_community_is_taken_away_by_a_name() {
    simulate(async {
        let mut town = Town::new(60);
        let citizens = town.citizens(8, 3);
        sleep(Duration::from_secs(60)).await;
        let torrent = [9; 20];
        let seeders: Vec<_> = (0..2)
            .map(|_| town.citizen(Roles::default(), |_| {}).anonymity)
            .collect();
        sleep(Duration::from_secs(20)).await;
        let _seeding: Vec<_> = seeders
            .iter()
            .map(|seeder| seeder.join_hidden(&torrent, 1, true))
            .collect();
        sleep(Duration::from_secs(120)).await;
        let name = crate::lookup_info_hash(&torrent);
        let all = citizens.iter().flat_map(|citizen| {
            let nodes = citizen.anonymity.inner.lanes.nodes().iter();
            nodes
                .map(|node| node.with(|node, _| (node.introducing().len(), node.introduces(&name))))
        });
        let introducing: Vec<_> = all.filter(|(ours, _)| *ours > 0).collect();
        assert!(introducing.len() > 2, "{}", introducing.len());
        assert!(introducing.iter().any(|(ours, told)| told.len() > *ours));
        // A swarm whose name is that of the tunnels themselves.
        let tunnels = &citizens[0].anonymity.inner.lanes.nodes()[1];
        let name = TRIBLER_CLASSIC.0;
        assert_eq!(Exchange::community(Dialect::Classic, name), TRIBLER_CLASSIC);
        tunnels.with(|node, _| node.pretend_to_introduce(name));
        sleep(Duration::from_secs(60)).await;
        let late = town.citizen(Roles::default(), |config| config.communities.modern = None);
        sleep(Duration::from_secs(40)).await;
        let known = late.anonymity.inner.lanes.nodes()[0].with(|node, _| {
            node.candidates()
                .values()
                .map(|known| known.addr.ip())
                .collect::<Vec<_>>()
        });
        assert!(known.contains(&citizens[0].host.ip()));
    });
}
