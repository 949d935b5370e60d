//! Networks of real nodes of pyipv8, of either dialect, and whole nodes of ours, who know nothing but a bootstrap server of
//! ours: they find each other, learn who is an exit, build circuits through each other, and find each other's hidden seeders.
//!
//! `tests/setup` of the workspace installs pyipv8. Without it the tests say so and are skipped; with `CI` set they fail.

mod pyipv8;

use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

use pyipv8::{VERSIONS, hex, python, utp};

/// How long anything may take on a machine that has much else to do. Whatever is waited for is asked again until then, for
/// datagrams are lost, circuits die, and pyipv8 tries most things but once.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often it is looked whether something has come about.
const LOOK: Duration = Duration::from_millis(300);

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
        self.theirs_by(version, flags, &[]).await
    }

    /// The same, told something more.
    async fn theirs_by(&self, version: &str, flags: &Value, words: &[&str]) -> Option<Theirs> {
        let python = python(version)?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/network/node.py");
        let mut child = Command::new(python)
            .args([script, &self.server.to_string(), &flags.to_string()])
            .args(words)
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
        let line = timeout(PATIENCE, self.stdout.next_line()).await;
        let line = line.expect("python answers").expect("a line");
        let line = line.expect("python lives");
        serde_json::from_str(&line).expect("JSON")
    }

    async fn ask(&mut self, command: &Value) -> Value {
        let line = format!("{command}\n");
        self.stdin.write_all(line.as_bytes()).await.expect("a pipe");
        self.answer().await
    }

    /// Asks until an answer is as hoped.
    async fn until(&mut self, command: &Value, done: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(command).await;
            if answer.get("error").is_none() && done(&answer) {
                return answer;
            }
            assert!(Instant::now() < end, "{command}: {answer}");
            sleep(LOOK).await;
        }
    }

    /// Waits until a node knows so many relays, and so many of them as exits.
    async fn until_known(&mut self, relays: usize, exits: usize) {
        let candidates = json!({"node": 0, "do": "candidates"});
        let known = self.until(&candidates, |known| {
            let known = known.as_object().expect("candidates").values();
            let able = |flag| {
                known
                    .clone()
                    .filter(move |it| it.as_u64().expect("flags") & flag != 0)
            };
            (able(1).count(), able(2).count()) == (relays, exits)
        });
        known.await;
    }

    /// Waits until `done` of a look at us is true, and asks meanwhile for something again and again.
    async fn while_asked<T>(&mut self, command: &Value, mut done: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(command).await;
            let again = Instant::now() + Duration::from_secs(5);
            while Instant::now() < again {
                if let Some(found) = done() {
                    return found;
                }
                sleep(LOOK).await;
            }
            assert!(Instant::now() < end, "{command}: {answer}");
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
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

/// Waits until something is so.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        sleep(LOOK).await;
    }
}

/// Waits until a node of ours knows so many relays, and so many of them as exits.
async fn until_known(ours: &Anonymity, relays: usize, exits: usize) {
    until("who is known", || {
        let counters = ours.counters();
        let node = &counters.nodes[0];
        (node.known_relays, node.known_exits) == (relays, exits)
    })
    .await;
}

/// Sends a datagram until it comes back, to where `to` says each time; says how long that took.
async fn until_back(
    socket: &dyn DatagramSocket,
    mut to: impl FnMut() -> Vec<SocketAddr>,
    data: &[u8],
) -> Duration {
    let begun = Instant::now();
    loop {
        let to = to();
        for to in &to {
            let _ = socket.try_send_to(data, *to);
        }
        if let Ok((got, from)) = timeout(LOOK, receive(socket)).await
            && got == data
        {
            assert!(to.contains(&from), "{from} instead of {to:?}");
            return begun.elapsed();
        }
        assert!(begun.elapsed() < PATIENCE, "nothing came back");
    }
}

/// Whether an answer has this among what was received.
fn came(answer: &Value, data: &Value) -> bool {
    let received = answer["received"].as_array();
    received.is_some_and(|received| received.contains(data))
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
            until_known(&ours, 6, 2).await;
            for hops in 1..=3 {
                let network = ours.network(hops);
                let socket = socket_of(&network);
                let data = utp(&format!("{version} over {hops} hops"));
                let took = until_back(&*socket, || vec![target], &data).await;
                until("a circuit", || ready(&ours.circuits(), hops) > 0).await;
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
            theirs.until_known(5, 2).await;
            let (target, _echo) = echo();
            for hops in 1..=3 {
                let data = json!(hex(&utp(&format!("theirs over {hops} hops"))));
                let send = json!({"node": 0, "do": "send", "hops": hops, "port": target.port(), "data": data});
                theirs.until(&send, |got| came(got, &data)).await;
                println!("pyipv8 {version} through {hops} nodes of ours, there and back");
            }
            drop(ours);
        });
    }
}

/// A web server that has one answer of a tracker and one page, and how often it was asked for each.
fn web() -> (SocketAddr, Arc<[AtomicUsize; 2]>) {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let at = door.local_addr().expect("an address");
    let asked = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in door.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let len = stream.read(&mut request).unwrap_or(0);
            let page = usize::from(!request[..len].starts_with(b"GET /announce"));
            counted[page].fetch_add(1, Ordering::SeqCst);
            let body = ["d8:intervali60e5:peers0:e", "<html></html>"][page];
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
            let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
        }
    });
    (at, asked)
}

/// Asks by HTTP; the status and the body.
async fn get(network: &Network, url: &str) -> (u16, String) {
    let agent = net::http::HeaderValue::from_static("test");
    let client = net::http::Client::new(network.clone(), agent);
    let request = net::http::Request::new(url.parse().expect("a URL"));
    let reply = client.get(&request).await.expect("a reply");
    (
        reply.status,
        String::from_utf8_lossy(&reply.body).into_owned(),
    )
}

#[test]
fn http_requests_go_through_exits_of_either_side_once_and_failures_are_told() {
    run(async {
        let version = VERSIONS[1].1;
        let (at, asked) = web();
        let times = || [0, 1].map(|what| asked[what].load(Ordering::SeqCst));
        let (tracker, page) = (
            format!("http://{at}/announce"),
            format!("http://{at}/f.txt"),
        );

        // Through an exit of theirs, which says nothing where it has nothing.
        let scene = Scene::new(Dialect::Modern);
        let flags = json!([[1], [1, 2, 32768]]);
        let Some(theirs) = scene.theirs_by(version, &flags, &["rust"]).await else {
            return;
        };
        let ours = scene.ours(Roles::default());
        until_known(&ours, 2, 1).await;
        for hops in 1..=2 {
            let network = ours.network_of_programs(hops);
            let (status, body) = get(&network, &tracker).await;
            assert_eq!((status, body.as_str()), (200, "d8:intervali60e5:peers0:e"));
            let begun = Instant::now();
            let (status, body) = get(&network, &page).await;
            assert_eq!(status, 504, "{body}");
            println!("{hops} hops: {body} after {:?}", begun.elapsed());
        }
        assert_eq!(times(), [2, 2]);
        ours.shut_down().await;
        drop(theirs);

        // Theirs through ours, whose words reach their programs.
        let scene = Scene::new(Dialect::Modern);
        let theirs = scene.theirs_by(version, &json!([[8]]), &["rust"]).await;
        let mut theirs = theirs.expect("it was there before");
        let _relay = scene.ours(Roles::relay());
        let _exit = scene.ours(Roles::exit(ExitPolicy::default()));
        theirs.until_known(2, 1).await;
        for hops in 1..=2 {
            let door = json!({"node": 0, "do": "door", "hops": hops});
            let door = theirs.until(&door, |door| door["ready"] != 0).await;
            let proxy = format!("socks5://127.0.0.1:{}", door["port"]);
            let network = loopback().through(&proxy.parse().expect("a proxy"));
            let (status, body) = get(&network, &tracker).await;
            assert_eq!((status, body.as_str()), (200, "d8:intervali60e5:peers0:e"));
            let (status, body) = get(&network, &page).await;
            assert_eq!(status, 502, "{body}");
            assert!(body.contains("something else than trackers do"), "{body}");
        }
        assert_eq!(times(), [4, 4]);
    });
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
            theirs.until_known(7, 3).await;
            until_known(&ours, 7, 3).await;

            // Theirs seeds.
            let name = hex(&lookup_info_hash(&TORRENT));
            let seed = json!({"node": 0, "do": "seed", "info_hash": name, "hops": 1});
            let mut peers = ours.join_hidden(&TORRENT, 1, false);
            let found = theirs.while_asked(&seed, || peers.try_recv().ok());
            let mut found = found.await;
            let data = utp("to their hidden seeder");
            let where_they_are = || {
                while let Ok(more) = peers.try_recv() {
                    found.extend(more);
                }
                found.clone()
            };
            let took = until_back(&*socket, where_they_are, &data).await;
            println!("pyipv8 {version}: its hidden seeder answers after {took:?}");
            drop(peers);

            // Ours seeds.
            let other = [0x43; 20];
            let _seeding = ours.join_hidden(&other, 1, true);
            let data = utp("to our hidden seeder");
            let answering = {
                let (socket, data) = (Arc::clone(&socket), data.clone());
                Pool::current().spawn(async move {
                    loop {
                        let (got, from) = receive(&*socket).await;
                        if got == data {
                            let _ = socket.try_send_to(&got, from);
                        }
                    }
                })
            };
            until("an introduction", || {
                ours.hidden_status(&other).introductions > 0
            })
            .await;
            let data = json!(hex(&data));
            let name = hex(&lookup_info_hash(&other));
            let download =
                json!({"node": 0, "do": "download", "info_hash": name, "hops": 1, "data": data});
            theirs.until(&download, |got| came(got, &data)).await;
            println!("pyipv8 {version}: our hidden seeder answers");
            drop(answering);
        });
    }
}
