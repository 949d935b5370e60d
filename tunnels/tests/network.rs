//! Networks of real nodes of pyipv8, of either dialect, and whole nodes of ours, who know nothing but a bootstrap server of
//! ours: they find each other, learn who is an exit, build circuits through each other, and find each other's hidden seeders.
//!
//! `tests/setup` of the workspace installs pyipv8. Without it the tests say so and are skipped; with `CI` set they fail.
#![expect(
    clippy::print_stdout,
    reason = "says what was skipped, and what was seen"
)]

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::{DatagramSocket, Network, Pool, RealOptions};
use overlay::bootstrap::Bootstrap;
use overlay::endpoint::{Endpoint, EndpointConfig};
use overlay::host::{Host, HostConfig, HostHandle};
use overlay::key::SecretKey;
use overlay::server::BootstrapServer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};
use tunnels::{
    Anonymity, AnonymityConfig, CircuitStatus, Communities, Dialect, ExitPolicy, LIBRARY, Roles,
    State, lookup_info_hash,
};

const VERSIONS: [(Dialect, &str); 2] = [(Dialect::Classic, "2.2.0"), (Dialect::Modern, "3.2.1")];

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

const TORRENT: [u8; 20] = [0x42; 20];

fn run(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}

/// A bootstrap server, and whoever knows it.
struct Scene {
    dialect: Dialect,
    server: SocketAddrV4,
    _server: HostHandle<BootstrapServer>,
}

/// Nodes of pyipv8 in one process, which ends with this.
struct Theirs {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    keys: Vec<String>,
}

fn loopback() -> Network {
    Network::real(RealOptions::from_source(Ipv4Addr::LOCALHOST.into()))
}

impl Scene {
    fn new(dialect: Dialect) -> Self {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket = loopback().datagram(at).expect("a socket");
        let endpoint = Endpoint::launch(EndpointConfig::new(socket, Pool::current()));
        let SocketAddr::V4(server) = endpoint.local_addr() else {
            unreachable!("it is bound to an IPv4 address");
        };
        let mut rng = rand::rng();
        let key = SecretKey::generate(&mut rng);
        let machine = BootstrapServer::new(key, server, Instant::now(), &mut rng);
        let config = HostConfig::new(endpoint, loopback(), Pool::current());
        Self {
            dialect,
            server,
            _server: Host::launch(machine, config, |()| {}),
        }
    }

    /// A node of ours.
    fn ours(&self, roles: Roles) -> Anonymity {
        let key = SecretKey::generate(&mut rand::rng());
        let mut config = AnonymityConfig::new(loopback(), Pool::current(), key);
        config.listen = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        config.bootstrap = Bootstrap::only(vec![self.server]);
        config.communities = match self.dialect {
            Dialect::Classic => Communities {
                modern: None,
                classic: Some(LIBRARY),
            },
            Dialect::Modern => Communities {
                modern: Some(LIBRARY),
                classic: None,
            },
        };
        config.roles = roles;
        config.local_exits = true;
        Anonymity::launch(config).expect("a node")
    }

    /// Nodes of theirs with these flags; `None` where pyipv8 is not installed.
    async fn theirs(&self, version: &str, flags: &Value) -> Option<Theirs> {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or(home)?;
        let python = cache.join(format!("tribler-rs-tests/pyipv8-{version}/bin/python"));
        if !python.exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "tests/setup has not installed pyipv8 {version}"
            );
            println!("skipped: tests/setup has not installed pyipv8 {version}");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/network/node.py");
        let mut child = Command::new(python)
            .args([script, &self.server.to_string(), &flags.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("python runs");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut theirs = Theirs {
            _child: child,
            stdin,
            stdout,
            keys: Vec::new(),
        };
        let told = theirs.answer().await;
        let nodes = told.as_array().expect("nodes").iter();
        theirs.keys = nodes.map(|node| text(&node["key"])).collect();
        Some(theirs)
    }
}

impl Theirs {
    async fn answer(&mut self) -> Value {
        let line = timeout(PATIENCE * 3, self.stdout.next_line()).await;
        let line = line.expect("python answers").expect("a line");
        let line = line.expect("python lives");
        serde_json::from_str(&line).expect("JSON")
    }

    async fn ask(&mut self, command: &Value) -> Value {
        let line = format!("{command}\n");
        self.stdin.write_all(line.as_bytes()).await.expect("a pipe");
        let answer = self.answer().await;
        assert!(answer.get("error").is_none(), "{command}: {answer}");
        answer
    }

    /// Asks until an answer is as hoped.
    async fn until(&mut self, command: &Value, done: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(command).await;
            if done(&answer) {
                return answer;
            }
            assert!(Instant::now() < end, "{command}: {answer}");
            sleep(Duration::from_millis(500)).await;
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What looks like uTP.
fn utp(tail: &str) -> Vec<u8> {
    let mut data = vec![1, 0];
    data.resize(20, 9);
    data.extend_from_slice(tail.as_bytes());
    data
}

async fn receive(socket: &dyn DatagramSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = [0; 2048];
    let mut buf = ReadBuf::new(&mut bytes);
    let from = poll_fn(|cx| socket.poll_recv_from(cx, &mut buf)).await;
    (buf.filled().to_vec(), from.expect("a datagram"))
}

/// Where everything is sent back.
fn echo() -> (SocketAddr, net::Task<()>) {
    let socket = loopback()
        .datagram((Ipv4Addr::LOCALHOST, 0).into())
        .expect("a socket");
    let at = socket.local_addr();
    let task = Pool::current().spawn(async move {
        loop {
            let (data, from) = receive(&*socket).await;
            let _ = socket.try_send_to(&data, from);
        }
    });
    (at, task)
}

fn socket_of(network: &Network) -> Arc<dyn DatagramSocket> {
    let any = (Ipv4Addr::UNSPECIFIED, 0).into();
    network.datagram(any).expect("a socket")
}

/// Sends a datagram until it comes back; says how long that took.
async fn until_back(socket: &dyn DatagramSocket, to: SocketAddr, data: &[u8]) -> Duration {
    let begun = Instant::now();
    loop {
        let _ = socket.try_send_to(data, to);
        if let Ok((got, from)) = timeout(Duration::from_millis(300), receive(socket)).await
            && got == data
        {
            assert_eq!(from, to);
            return begun.elapsed();
        }
        assert!(begun.elapsed() < PATIENCE, "nothing came back");
    }
}

fn ready(circuits: &[CircuitStatus], hops: u8) -> usize {
    let ready = circuits.iter();
    ready
        .filter(|circuit| circuit.info.goal == hops && circuit.info.state == State::Ready)
        .count()
}

#[test]
fn our_node_finds_theirs_by_a_bootstrap_server_and_builds_circuits_through_them() {
    for (dialect, version) in VERSIONS {
        run(async move {
            let scene = Scene::new(dialect);
            let flags = json!([[1], [1], [1], [1], [1, 2, 4], [1, 2, 4]]);
            let Some(_theirs) = scene.theirs(version, &flags).await else {
                return;
            };
            let ours = scene.ours(Roles::default());
            let (target, _echo) = echo();
            let end = Instant::now() + PATIENCE;
            loop {
                let counters = ours.counters();
                let node = &counters.nodes[0];
                if (node.known_relays, node.known_exits) == (6, 2) {
                    break;
                }
                assert!(Instant::now() < end, "{node:?}");
                sleep(Duration::from_millis(200)).await;
            }
            for hops in 1..=3 {
                let network = ours.network(hops);
                let socket = socket_of(&network);
                let data = utp(&format!("{version} over {hops} hops"));
                let took = until_back(&*socket, target, &data).await;
                assert!(ready(&ours.circuits(), hops) > 0);
                println!("pyipv8 {version}, {hops} hops: there and back after {took:?}");
            }
            ours.shut_down().await;
        });
    }
}

#[test]
fn their_nodes_find_ours_and_build_circuits_through_them() {
    for (dialect, version) in VERSIONS {
        run(async move {
            let scene = Scene::new(dialect);
            let Some(mut theirs) = scene.theirs(version, &json!([[8]])).await else {
                return;
            };
            let exit = || Roles::exit(ExitPolicy::default());
            let ours: Vec<Anonymity> = (0..5)
                .map(|at| scene.ours(if at < 3 { Roles::relay() } else { exit() }))
                .collect();
            let candidates = json!({"node": 0, "do": "candidates"});
            let known = theirs.until(&candidates, |known| {
                let known = known.as_object().expect("candidates").values();
                let exits = known
                    .clone()
                    .filter(|flags| flags.as_u64().unwrap() & 2 != 0);
                known
                    .clone()
                    .filter(|flags| flags.as_u64().unwrap() & 1 != 0)
                    .count()
                    == 5
                    && exits.count() == 2
            });
            known.await;
            let (target, _echo) = echo();
            for hops in 1..=3 {
                let build = json!({"node": 0, "do": "build", "hops": hops});
                let built = theirs
                    .until(&build, |built| built["state"] == "READY")
                    .await;
                let data = hex(&utp(&format!("theirs over {hops} hops")));
                let send = json!({"node": 0, "do": "send", "id": built["id"], "port": target.port(), "data": data});
                theirs.ask(&send).await;
                let received = json!({"node": 0, "do": "received"});
                let came = |got: &Value| {
                    let got = got["received"].as_array().expect("a list");
                    got.contains(&json!(data))
                };
                theirs.until(&received, came).await;
                println!("pyipv8 {version} through {hops} nodes of ours, there and back");
            }
            drop(ours);
        });
    }
}

#[test]
fn hidden_seeders_of_either_side_are_found_by_the_other() {
    for (dialect, version) in VERSIONS {
        run(async move {
            let scene = Scene::new(dialect);
            let flags = json!([[8], [1], [1], [1, 2, 4], [1, 2, 4]]);
            let Some(mut theirs) = scene.theirs(version, &flags).await else {
                return;
            };
            let exit = || Roles::exit(ExitPolicy::default());
            let _others: Vec<Anonymity> = [Roles::relay(), Roles::relay(), exit()]
                .into_iter()
                .map(|roles| scene.ours(roles))
                .collect();
            let ours = scene.ours(Roles::default());
            let network = ours.network(1);
            let socket = socket_of(&network);
            sleep(Duration::from_secs(15)).await;

            // Theirs seeds.
            let name = hex(&lookup_info_hash(&TORRENT));
            let seed = json!({"node": 0, "do": "seed", "info_hash": name, "hops": 1});
            theirs.ask(&seed).await;
            let mut peers = ours.join_hidden(&TORRENT, 1, false);
            let found = timeout(PATIENCE, peers.recv()).await;
            let found = found.expect("their seeder is found").unwrap()[0];
            let data = utp("to their hidden seeder");
            let took = until_back(&*socket, found, &data).await;
            println!("pyipv8 {version}: its hidden seeder answers after {took:?}");
            drop(peers);

            // Ours seeds.
            let other = [0x43; 20];
            let _seeding = ours.join_hidden(&other, 1, true);
            let answering = {
                let socket = Arc::clone(&socket);
                Pool::current().spawn(async move {
                    loop {
                        let (data, from) = receive(&*socket).await;
                        let _ = socket.try_send_to(&data, from);
                    }
                })
            };
            sleep(Duration::from_secs(5)).await;
            assert!(ours.hidden_status(&other).introductions > 0);
            let data = hex(&utp("to our hidden seeder"));
            let name = hex(&lookup_info_hash(&other));
            let download =
                json!({"node": 0, "do": "download", "info_hash": name, "hops": 1, "data": data});
            let answer = theirs.ask(&download).await;
            assert_eq!(answer["linked"], true);
            let received = json!({"node": 0, "do": "received"});
            let came = |got: &Value| {
                let got = got["received"].as_array().expect("a list");
                got.contains(&json!(data))
            };
            theirs.until(&received, came).await;
            println!("pyipv8 {version}: our hidden seeder answers");
            drop(answering);
        });
    }
}
