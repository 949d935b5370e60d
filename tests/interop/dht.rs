//! One DHT of libtorrent's nodes and ours: what one side stores, the other finds.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::Value;
use support::clients::libtorrent;
use support::process::Process;
use support::{Lab, ours, wait};

/// How long one question may take, its node's start included.
const PATIENCE: Duration = Duration::from_secs(60);

/// The key of the first test vector of BEP 44, in the form that libtorrent takes: the expanded secret, and the public key.
const SECRET: &str = "e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74d\
                      b7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d";
const PUBLIC: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";

/// A mixed network that stays, and a place for those who ask.
struct Scene<'a> {
    lab: &'a Lab,
    version: &'static str,
    first: SocketAddr,
    next: AtomicU16,
    nodes: Vec<(SocketAddr, Process)>,
    /// Who stored something: others know them as nodes, and would wait for them if they were gone.
    stays: Mutex<Vec<Process>>,
}

impl<'a> Scene<'a> {
    /// Half of the nodes are libtorrent's, the other half ours; all know the first.
    fn new(lab: &'a Lab, version: &'static str, half: usize) -> Self {
        let mut scene = Self {
            lab,
            version,
            first: SocketAddr::from((Ipv4Addr::new(10, 99, 100, 1), 30_000)),
            next: AtomicU16::new(0),
            nodes: Vec::new(),
            stays: Mutex::default(),
        };
        for number in 0..2 * half {
            let at = scene.address();
            let command = if number % 2 == 0 {
                scene.theirs(&["serve"], at)
            } else {
                scene.waiting(number, at)
            };
            let process = scene.start(command, at);
            scene.nodes.push((at, process));
        }
        scene
    }

    /// An address in a network of its own: nodes of one network are taken for one party.
    fn address(&self) -> SocketAddr {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let [_, network] = (100 + n % 150).to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(10, 99, network, 1), 30_000 + n))
    }

    fn theirs(&self, words: &[&str], at: SocketAddr) -> Command {
        let mut command = Command::new(libtorrent::python(self.version));
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/lt_dht.py"))
            .args(words)
            .args(["--listen", &at.to_string()])
            .env("PYTHONUNBUFFERED", "1");
        if at != self.first {
            command.args(["--node", &self.first.to_string()]);
        }
        command
    }

    fn ours(&self, words: &[&str], at: SocketAddr) -> Command {
        let mut command = Command::new(ours::binary());
        command.arg("dht").args(words).args(["--json", "--listen"]);
        command.args([&at.to_string(), "--bootstrap", &self.first.to_string()]);
        command
    }

    /// A node of ours that stays: a download that nobody has anything of.
    fn waiting(&self, number: usize, at: SocketAddr) -> Command {
        let home = self.lab.folder(&format!("node {}", at.ip()));
        let mut command = Command::new(ours::binary());
        command
            .args([
                "download",
                &format!("{number:040x}"),
                "--json",
                "--no-lsd",
                "--no-portmap",
            ])
            .args([
                "--listen",
                &at.to_string(),
                "--dht-bootstrap",
                &self.first.to_string(),
            ])
            .arg("--state")
            .arg(home.join("state"))
            .arg("--output")
            .arg(&home);
        command
    }

    fn start(&self, command: Command, at: SocketAddr) -> Process {
        let home = self.lab.folder(&format!("node {}", at.ip()));
        Process::start(command, &home, "node")
    }

    /// Asks ours or theirs until the event comes and is as hoped: a node that takes too long is passed over.
    fn ask(
        &self,
        words: &[&str],
        ours: bool,
        event: &str,
        hoped: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = String::new();
        let answer = wait::until(PATIENCE, || {
            let at = self.address();
            let command = if ours {
                self.ours(words, at)
            } else {
                self.theirs(words, at)
            };
            let mut process = self.start(command, at);
            let lines = wait::until(PATIENCE, || {
                let ended = process.ended().is_some();
                let found = find(&process.output(), event);
                (ended || found.is_some()).then_some(found)
            });
            last = process.last_words();
            self.stays.lock().expect("no panic inside").push(process);
            lines.flatten().filter(&hoped)
        });
        let who = if ours { "ours" } else { "libtorrent" };
        answer.unwrap_or_else(|| panic!("{who} {words:?}: no {event}\n{last}"))
    }

    fn ask_ours(&self, words: &[&str], event: &str) -> Value {
        self.ask(words, true, event, |_| true)
    }

    /// Has ours store something with most of the nodes that there are.
    fn ask_ours_to_store(&self, words: &[&str], event: &str) -> Value {
        let most = |stored: &Value| stored["nodes"].as_u64() >= Some(6);
        self.ask(words, true, event, most)
    }

    fn ask_theirs(&self, words: &[&str], event: &str) -> Value {
        self.ask(words, false, event, |_| true)
    }
}

fn find(output: &str, event: &str) -> Option<Value> {
    events(output, event).next()
}

fn events(output: &str, event: &str) -> impl Iterator<Item = Value> {
    let lines = output
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(move |line: &Value| line["event"] == event)
}

/// What looking up takes: how many peers were found, and how many nodes were asked for each.
#[derive(Debug, Default)]
struct Lookups {
    found: usize,
    queries: Vec<u64>,
}

impl Lookups {
    fn note(&mut self, found: bool, queries: &Value) {
        self.found += usize::from(found);
        self.queries.push(queries.as_u64().expect("a number"));
    }

    fn report(mut self, lab: &Lab, who: &str) -> usize {
        self.queries.sort_unstable();
        let (count, most) = (self.queries.len(), self.queries.last());
        lab.report(&format!(
            "| {who} | {} of {count} found | nodes asked: median {}, most {} |",
            self.found,
            self.queries[count / 2],
            most.expect("lookups"),
        ));
        self.found
    }
}

/// The same lookups among fifty of libtorrent's nodes, by some of these, who know many of the others by then, and by
/// ours, who knows three.
pub(crate) fn lookups_beside_libtorrent(lab: &Lab, version: &'static str) {
    const NODES: u16 = 50;
    const LOOKUPS: usize = 20;
    let scene = Scene::new(lab, version, 0);
    let words = ["swarm", &NODES.to_string(), &LOOKUPS.to_string()];
    let swarm = scene.start(scene.theirs(&words, scene.first), scene.first);
    let serving = || find(&swarm.output(), "serving");
    let serving = wait::until(4 * PATIENCE, serving);
    assert!(serving.is_some(), "{}", swarm.last_words());
    let ready = find(&swarm.output(), "ready").expect("said before");
    lab.report(&format!(
        "{NODES} nodes of libtorrent {version} know {} others (median)",
        ready["median"]
    ));

    let (mut theirs, mut ours) = (Lookups::default(), Lookups::default());
    for (number, line) in (0..).zip(events(&swarm.output(), "looked_up")) {
        theirs.note(line["found"] == true, &line["queries"]);
        let hash = line["hash"].as_str().expect("a hash");
        let at = SocketAddr::from((Ipv4Addr::new(10, 99, 200, number), 31_000));
        let mut command = scene.ours(&["get-peers", hash], at);
        for step in [17, 31] {
            let network = 100 + (u16::from(number) * 7 + step) % NODES;
            let known = Ipv4Addr::new(10, 99, network as u8, 1);
            command.args(["--bootstrap", &format!("{known}:{}", scene.first.port())]);
        }
        let mut process = Process::start(command, &lab.folder(&format!("ours {number}")), "ours");
        process.wait(PATIENCE);
        let output = process.output();
        let done = find(&output, "done").unwrap_or_else(|| panic!("{}", process.last_words()));
        ours.note(find(&output, "peers").is_some(), &done["asked"]);
    }
    theirs.report(lab, "libtorrent");
    assert_eq!(ours.report(lab, "tribler-rs"), LOOKUPS);
}

/// Everything that two nodes can want from each other, both ways.
pub(crate) fn every_question_both_ways(lab: &Lab, version: &'static str) {
    let scene = Scene::new(lab, version, 5);
    let mut said = Vec::new();

    for (at, _) in scene.nodes.iter().step_by(2).take(2) {
        let pong = scene.ask_ours(&["ping", &at.to_string()], "pong");
        let program = pong["version"].as_str().unwrap_or_default();
        assert!(program.starts_with("LT"), "{pong}");
        said.push(format!("ping {program}"));
    }

    // Theirs store first: libtorrent takes even short-lived nodes of ours into its tables when they store, and waits 15 s for
    // each that is gone before it stores itself.
    let theirs_announced = "1111111111111111111111111111111111111111";
    let announcer = scene.ask_theirs(&["announce", theirs_announced, "7001"], "announced");
    let theirs_stored = scene.ask_theirs(&["put", "from theirs"], "stored");
    let put = ["put-mutable", SECRET, PUBLIC, "t", "theirs, signed"];
    scene.ask_theirs(&put, "stored");

    let peers = scene.ask_ours(&["get-peers", theirs_announced], "peers");
    assert_eq!(
        peers["peers"][0],
        format!("{}:7001", announcer["ip"].as_str().expect("an address"))
    );
    let target = theirs_stored["target"].as_str().expect("a target");
    let item = scene.ask_ours(&["get", target], "item");
    assert_eq!(item["text"], "from theirs");
    let item = scene.ask_ours(&["get", "--key", PUBLIC, "--salt", "t"], "item");
    assert_eq!(item["text"], "theirs, signed");
    said.push("what theirs stored".to_owned());

    let hash = "2222222222222222222222222222222222222222";
    let announce = ["announce", hash, "--port", "7002", "--seed"];
    scene.ask_ours_to_store(&announce, "announced");
    let peers = scene.ask_theirs(&["get-peers", hash], "peers");
    let peer = peers["peers"][0].as_str().unwrap_or_default();
    assert!(peer.ends_with(":7002"), "{peers}");
    let stored = scene.ask_ours_to_store(&["put", "from ours"], "stored");
    let target = stored["target"].as_str().expect("a target");
    let item = scene.ask_theirs(&["get", target], "item");
    assert_eq!(item["text"], "from ours");
    let key = lab.dir().join("item.key").display().to_string();
    let put = ["put", "ours, signed", "--salt", "s", "--key", &key];
    let stored = scene.ask_ours_to_store(&put, "stored");
    let public = stored["key"].as_str().expect("a key");
    let item = scene.ask_theirs(&["get-mutable", public, "s"], "item");
    let signed = ("ours, signed".into(), 1.into());
    assert_eq!((&item["text"], &item["seq"]), (&signed.0, &signed.1));
    said.push("what ours stored".to_owned());

    // Each is with six of the ten nodes, which are more than there are of either program.
    std::thread::scope(|scope| {
        for digit in "34567890".chars() {
            let (hash, scene) = (digit.to_string().repeat(40), &scene);
            let announce = move || {
                let words = ["announce", &hash, "--port", "7003"];
                scene.ask_ours_to_store(&words, "announced")
            };
            scope.spawn(announce);
        }
    });
    let addresses: Vec<String> = scene.nodes.iter().map(|(at, _)| at.to_string()).collect();
    let (theirs, ours) = (
        addresses.iter().step_by(2),
        addresses.iter().skip(1).step_by(2),
    );
    let has_some = |sampled: Value| !sampled["hashes"].as_array().expect("a list").is_empty();
    let ask_ours = |at: &String| scene.ask_ours(&["sample", hash, "--at", at], "info_hashes");
    let ask_theirs = |at: &String| scene.ask_theirs(&["sample", at, hash], "info_hashes");
    assert!(
        theirs.map(ask_ours).any(has_some),
        "libtorrent tells of none"
    );
    assert!(ours.map(ask_theirs).any(has_some), "ours tells of none");
    said.push("samples".to_owned());

    lab.report(&format!(
        "DHT with libtorrent {version}: {}",
        said.join(", ")
    ));
}
