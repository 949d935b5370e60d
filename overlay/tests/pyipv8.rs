//! Real nodes of pyipv8 and ours find each other through our bootstrap server, and each other's values in the DHT.
//!
//! `tests/setup` installs pyipv8; without it the tests say so and are skipped, unless `CI` is set: there they fail.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use net::{Network, Pool, RealOptions};
use overlay::bootstrap::Bootstrap;
use overlay::dht::{Dht, DhtClient, Dialect, Found, NodeId};
use overlay::discovery::{DISCOVERY, Discovery};
use overlay::endpoint::{Endpoint, EndpointConfig};
use overlay::host::{Host, HostConfig, HostHandle};
use overlay::introducer::Settings;
use overlay::key::{Mid, SecretKey};
use overlay::packet::CommunityId;
use overlay::server::BootstrapServer;
use serde_json::Value;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

/// How long anything may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(600);

/// A community of ours that pyipv8 is told of and does not know.
const OURS: CommunityId = CommunityId([0x42; 20]);

/// A node of pyipv8, and what it has said. It is ended with this.
struct Theirs {
    child: Child,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Theirs {
    fn start(python: &PathBuf, bootstrap: SocketAddrV4, words: &[&str]) -> Self {
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pyipv8/node.py"))
            .args(["--bootstrap", &bootstrap.to_string()])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let out = child.stdout.take().expect("its output");
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).expect("JSON");
                heard.lock().expect("a lock").push(value);
            }
        });
        Self { child, said }
    }

    /// The last thing of a kind that it has said.
    fn last(&self, event: &str) -> Option<Value> {
        let said = self.said.lock().expect("a lock");
        said.iter()
            .rev()
            .find(|value| value["event"] == event)
            .cloned()
    }

    async fn says(&self, event: &str) -> Value {
        until(event, async || self.last(event)).await
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        sleep(Duration::from_millis(200)).await;
    }
}

/// Our node: both communities on one socket.
struct Ours {
    mid: Mid,
    discovery: HostHandle<Discovery>,
    dht: DhtClient,
    endpoint: Endpoint,
}

fn endpoint() -> (Endpoint, Network, SocketAddrV4) {
    let network = Network::real(RealOptions::default());
    let socket = network
        .datagram((Ipv4Addr::LOCALHOST, 0).into())
        .expect("a socket");
    let SocketAddr::V4(at) = socket.local_addr() else {
        panic!("an IPv4 socket");
    };
    (
        Endpoint::launch(EndpointConfig::new(socket, Pool::current())),
        network,
        at,
    )
}

fn ours(server: SocketAddrV4, dialect: Dialect) -> Ours {
    let (endpoint, network, lan) = endpoint();
    let mut settings = Settings::new(SecretKey::generate(&mut rand::rng()), DISCOVERY);
    settings.lan = lan;
    let config = || {
        let mut config = HostConfig::new(endpoint.clone(), network.clone(), Pool::current());
        config.bootstrap = Bootstrap::only(vec![server]);
        config
    };
    let now = Instant::now();
    let mut discovery = Discovery::new(&settings, now, &mut rand::rng());
    discovery.add_service(dialect.community());
    discovery.add_service(OURS);
    let dht = Dht::new(&settings, dialect, now, &mut rand::rng());
    Ours {
        mid: settings.key.public().mid(),
        discovery: Host::launch(discovery, config(), |_| {}),
        dht: DhtClient::launch(dht, config()),
        endpoint,
    }
}

fn server() -> (HostHandle<BootstrapServer>, SocketAddrV4) {
    let (endpoint, network, at) = endpoint();
    let key = SecretKey::generate(&mut rand::rng());
    let machine = BootstrapServer::new(key, at, Instant::now(), &mut rand::rng());
    let config = HostConfig::new(endpoint, network, Pool::current());
    (Host::launch(machine, config, |()| {}), at)
}

/// Runs a test that needs pyipv8 of these versions, where they are there.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn with_pyipv8<F: Future<Output = ()>>(versions: &[&str], test: impl FnOnce(Vec<PathBuf>) -> F) {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let home = cache.unwrap_or_default().join("tribler-rs-tests");
    let mut pythons = Vec::new();
    for version in versions {
        let python = home.join(format!("pyipv8-{version}/bin/python"));
        if !python.exists() {
            let ci = std::env::var_os("CI").is_some();
            assert!(
                !ci,
                "no pyipv8 {version}, and CI must not skip; tests/setup installs it"
            );
            println!("skipped, no pyipv8 {version} (tests/setup installs it)");
            return;
        }
        pythons.push(python);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        timeout(4 * PATIENCE, test(pythons))
            .await
            .expect("the test ends");
    });
}

/// Four members of theirs, of all these versions, and one of ours.
async fn members_find_each_other(pythons: Vec<PathBuf>) {
    let (server, at) = server();
    let pythons = pythons.iter().cycle().take(4);
    let theirs: Vec<Theirs> = pythons
        .map(|python| Theirs::start(python, at, &[]))
        .collect();
    let ours = ours(at, Dialect::Tribler75);
    let mut mids = Vec::new();
    for node in &theirs {
        let ready = node.says("ready").await;
        mids.push(ready["mid"].as_str().expect("a name").to_owned());
    }
    // We know them all, what they are in, and how far away they are.
    until("we know all", async || {
        let wanted = mids.clone();
        let known = ours.discovery.with(move |discovery, _| {
            let directory = discovery.introducer().directory();
            let known = directory.peers(DISCOVERY).filter(|peer| {
                wanted.contains(&peer.mid().to_string())
                    && [Dialect::Tribler75, Dialect::Current]
                        .iter()
                        .any(|dialect| directory.offers(peer.mid(), dialect.community()))
                    && peer.round_trip().is_some()
            });
            known.count()
        });
        (known.await.expect("our node") == mids.len()).then_some(())
    })
    .await;
    // They all know us, what we are in, and one another.
    let mid = ours.mid.to_string();
    for node in &theirs {
        until("they know all", async || {
            let peers = node.last("peers")?;
            let services = peers["peers"][&mid].as_array()?.clone();
            let told = services.contains(&Value::from(OURS.to_string()));
            let heard = peers["pings"][&mid].as_u64()? > 0;
            let all = peers["peers"].as_object()?.len() == mids.len();
            (told && heard && all).then_some(())
        })
        .await;
    }
    let status = server
        .with(|server, _| server.status())
        .await
        .expect("the server");
    assert!(status.introduced > 0 && status.refused == 0, "{status:?}");
}

async fn values_are_found_both_ways(pythons: Vec<PathBuf>, dialect: Dialect) {
    let python = &pythons[0];
    let (_server, at) = server();
    let theirs: Vec<Theirs> = (0..4).map(|_| Theirs::start(python, at, &[])).collect();
    let ours = ours(at, dialect);
    until("a table", async || {
        let nodes = ours.dht.status().await.expect("our node").nodes;
        let known = theirs.iter().all(|node| {
            let peers = node.last("peers");
            peers.is_some_and(|peers| peers["nodes"].as_u64() >= Some(4))
        });
        (nodes >= 4 && known).then_some(())
    })
    .await;
    // Ours store, theirs find, signed and not. A node that takes too long is passed over, and asked the next time.
    let (plain, signed) = (NodeId([0x11; 20]), NodeId([0x22; 20]));
    until("stored", async || {
        let stored = ours.dht.store(plain, b"plain").await;
        stored.ok().filter(|nodes| nodes.len() >= 3)
    })
    .await;
    until("stored, signed", async || {
        let stored = ours.dht.store_signed(signed, b"signed", 7).await;
        stored.ok().filter(|nodes| nodes.len() >= 3)
    })
    .await;
    until("where we are", async || ours.dht.store_peer().await.ok()).await;
    // More of theirs, all at a time: each has to meet the others first.
    let started = |words: &[&str]| Theirs::start(python, at, words);
    let finders = [plain, signed].map(|key| started(&["--find", &key.to_string()]));
    let stored = [false, true].map(|sign| {
        let key = NodeId([0x33 + u8::from(sign); 20]);
        let text = key.to_string();
        let mut words = vec!["--store", &text, "0102030405"];
        words.extend(sign.then_some("--sign"));
        (sign, key, started(&words))
    });
    let seeker = started(&["--connect", &ours.mid.to_string()]);
    for (finder, (key, data)) in finders
        .iter()
        .zip([(plain, "706c61696e"), (signed, "7369676e6564")])
    {
        let found = finder.says("found").await;
        assert_eq!(found["values"][0][0], data, "{found}");
        assert_eq!(found["values"][0][1].is_null(), key == plain);
    }
    // Theirs store, ours find.
    for (sign, key, storer) in &stored {
        storer.says("stored").await;
        let found = until("a value", async || {
            let found = ours.dht.find_values(*key).await.ok();
            found.filter(|found| !found.is_empty())
        });
        let mut found = found.await;
        let Some(Found { data, signer, .. }) = found.pop() else {
            panic!("nothing was found");
        };
        assert_eq!((data, found.len()), (vec![1, 2, 3, 4, 5], 0));
        let mid = storer.last("ready").expect("its name")["mid"].clone();
        let signer = signer.map(|key| Value::from(key.mid().to_string()));
        assert_eq!(signer, sign.then_some(mid));
    }
    // Where peers are, by their names.
    let connected = seeker.says("connected").await;
    assert_eq!(connected["nodes"][0][0], Value::from(ours.mid.to_string()));
    let at = ours.endpoint.local_addr().to_string();
    assert_eq!(connected["nodes"][0][1], Value::from(at));
}

#[test]
fn members_of_pyipv8_2_2_and_ours_find_each_other_and_tell_what_they_are_in() {
    with_pyipv8(&["2.2.0"], members_find_each_other);
}

#[test]
fn members_of_pyipv8_3_2_and_ours_find_each_other_and_tell_what_they_are_in() {
    with_pyipv8(&["3.2.1"], members_find_each_other);
}

#[test]
fn members_of_both_versions_and_ours_find_each_other_and_tell_what_they_are_in() {
    with_pyipv8(&["2.2.0", "3.2.1"], members_find_each_other);
}

#[test]
fn nodes_of_pyipv8_2_2_and_ours_find_each_others_values_and_places() {
    with_pyipv8(&["2.2.0"], |pythons| {
        values_are_found_both_ways(pythons, Dialect::Tribler75)
    });
}

#[test]
fn nodes_of_pyipv8_3_2_and_ours_find_each_others_values_and_places() {
    with_pyipv8(&["3.2.1"], |pythons| {
        values_are_found_both_ways(pythons, Dialect::Current)
    });
}
