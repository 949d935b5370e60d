//! Real nodes of pyipv8, of both dialects: our originator through their relays and exit, theirs through ours, mixed
//! paths with datagrams to the world and back, and hidden seeders of either side.
//!
//! `tests/setup` of the workspace installs them. Without them the tests say so and are skipped; with `CI` set they fail.

mod pyipv8;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use overlay::key::{PublicKey, SecretKey};
use overlay::wire::Address;
use serde_json::{Value, json};
use tunnels::message::{IntroPoint, Source};
use tunnels::{
    CircuitId, Config, Dialect, Event, Flags, HEADROOM, Handled, LIBRARY, Node, Purpose, TAILROOM,
};

use pyipv8::{VERSIONS, hex, python, utp};

/// How long anything may take on a machine that has much else to do, and how long a single try: datagrams are lost, circuits
/// die, and pyipv8 tries most things but once.
const PATIENCE: Duration = Duration::from_secs(600);
const TRY: Duration = Duration::from_secs(30);

/// Nodes of pyipv8 in one process.
struct Theirs {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    nodes: Vec<Their>,
}

struct Their {
    key: PublicKey,
    addr: SocketAddr,
    flags: Flags,
}

impl Theirs {
    /// Starts nodes with these flags; `None` where pyipv8 is not installed.
    fn start(version: &str, flags: &Value) -> Option<Self> {
        let python = python(version)?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/node.py");
        let mut child = Command::new(python)
            .args([script, &flags.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python runs");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut theirs = Self {
            child,
            stdin,
            stdout,
            nodes: Vec::new(),
        };
        let told = theirs.answer();
        theirs.nodes = told
            .as_array()
            .expect("nodes")
            .iter()
            .map(|node| Their {
                key: key(&node["key"]),
                addr: (
                    [127, 0, 0, 1],
                    node["port"].as_u64().expect("a port") as u16,
                )
                    .into(),
                flags: Flags(node["flags"].as_u64().expect("flags") as u16),
            })
            .collect();
        Some(theirs)
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("python died: {line:?}"))
    }

    /// Sends a command; its answer is read by [`Theirs::answer`].
    fn tell(&mut self, command: &Value) {
        writeln!(self.stdin, "{command}").expect("python listens");
    }

    fn ask(&mut self, command: &Value) -> Value {
        self.tell(command);
        self.answer()
    }

    /// Tells all of them of a node of ours.
    fn introduce(&mut self, ours: &Ours) {
        self.ask(&json!({
            "node": 0, "do": "know", "all": true, "key": hex(ours.node.public().as_bytes()), "port": ours.addr.port(),
            "flags": ours.node.config().flags.0,
        }));
    }

    /// Leaves the first of them with these nodes to build with.
    fn choose(&mut self, keys: &[&PublicKey]) {
        let keys: Vec<String> = keys.iter().map(|key| hex(key.as_bytes())).collect();
        self.ask(&json!({"node": 0, "do": "only", "keys": keys}));
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key(value: &Value) -> PublicKey {
    let digits = value.as_str().expect("a key").as_bytes().chunks(2);
    let bytes = digits.map(|pair| {
        let pair = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(pair, 16).expect("digits")
    });
    PublicKey::from_bytes(&bytes.collect::<Vec<u8>>()).expect("a key")
}

/// A node of ours on a real socket.
struct Ours {
    node: Node,
    socket: UdpSocket,
    addr: SocketAddr,
    exits: BTreeMap<CircuitId, UdpSocket>,
    data: Vec<(Address, Vec<u8>)>,
    events: Vec<Event>,
}

impl Ours {
    fn new(dialect: Dialect, flags: Flags, seed: u8) -> Self {
        let socket = socket();
        let addr = socket.local_addr().expect("an address");
        let mut config = Config::new(dialect, LIBRARY);
        config.flags = flags;
        config.exit_to_local = true;
        config.ping_interval = Duration::from_millis(500);
        (config.hop_time, config.max_silence) = (TRY / 2, 2 * TRY);
        let key = SecretKey::from_bytes(&[seed; 64]).expect("a key");
        let mut node = Node::new(Instant::now(), config, key, [seed; 32]);
        node.set_addr(addr);
        Self {
            node,
            socket,
            addr,
            exits: BTreeMap::new(),
            data: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Handles all that has come, and sends what there is to say.
    fn turn(&mut self) {
        let now = Instant::now();
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = self
            .socket
            .recv_from(&mut buffer[HEADROOM..2048 - TAILROOM])
        {
            let at = HEADROOM..HEADROOM + len;
            match self.node.handle_datagram(now, from, &mut buffer, at) {
                Handled::Forward { to, at } => drop(self.socket.send_to(&buffer[at], to)),
                Handled::Data { from, at, .. } => self.data.push((from, buffer[at].to_vec())),
                Handled::Exit {
                    circuit,
                    to: Address::Ip(to),
                    at,
                } => {
                    let exit = self.exits.entry(circuit).or_insert_with(socket);
                    let _ = exit.send_to(&buffer[at], to);
                }
                Handled::Done | Handled::Exit { .. } | Handled::Refused(_) => {}
            }
        }
        let mut out = Vec::new();
        for (circuit, exit) in &self.exits {
            while let Ok((len, from)) = exit.recv_from(&mut buffer) {
                if let Ok(to) = self
                    .node
                    .send_back(now, *circuit, from, &buffer[..len], &mut out)
                {
                    let _ = self.socket.send_to(&out, to);
                }
            }
        }
        self.node.handle_timeout(now);
        while let Some(transmit) = self.node.poll_transmit() {
            let _ = self.socket.send_to(&transmit.payload, transmit.to);
        }
        while let Some(event) = self.node.poll_event() {
            self.events.push(event);
        }
    }
}

/// A socket that does not keep anyone waiting for long.
fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket
        .set_read_timeout(Some(Duration::from_millis(1)))
        .expect("a timeout");
    socket
}

/// Turns nodes of ours, and a target that echoes, until something is so, or has not become so in time.
fn within(
    limit: Duration,
    ours: &mut [Ours],
    target: &UdpSocket,
    mut done: impl FnMut(&mut [Ours]) -> bool,
) -> bool {
    let end = Instant::now() + limit;
    let mut buffer = [0; 2048];
    while !done(ours) {
        if Instant::now() >= end {
            return false;
        }
        ours.iter_mut().for_each(Ours::turn);
        while let Ok((len, from)) = target.recv_from(&mut buffer) {
            let _ = target.send_to(&buffer[..len], from);
        }
    }
    true
}

/// Tries something until it works.
fn until(ours: &mut [Ours], mut works: impl FnMut(&mut [Ours]) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !works(ours) {
        let counters = ours.iter().map(|one| one.node.counters());
        assert!(
            Instant::now() < end,
            "in vain: {:?}",
            counters.collect::<Vec<_>>()
        );
    }
}

/// A new circuit of the first of ours that is ready, unless building it failed.
fn build(ours: &mut [Ours], target: &UdpSocket, hops: u8) -> Option<CircuitId> {
    let now = Instant::now();
    let id = ours[0]
        .node
        .create_circuit(now, Purpose::Data, hops, None)
        .ok()?;
    let ready = within(TRY, ours, target, |ours| {
        ours[0].events.contains(&Event::Ready(id))
    });
    ready.then_some(id)
}

/// Sends a datagram through a circuit of the first of ours; says whether it came back.
fn comes_back(
    ours: &mut [Ours],
    target: &UdpSocket,
    circuit: CircuitId,
    (to, data): (Address, &[u8]),
) -> bool {
    let mut out = Vec::new();
    let Ok(first) = ours[0].node.send_data(circuit, to, data, &mut out) else {
        return false;
    };
    let _ = ours[0].socket.send_to(&out, first);
    within(TRY, ours, target, |ours| {
        ours[0].data.iter().any(|(_, got)| got == data)
    })
}

#[test]
fn our_originator_reaches_the_world_through_their_relays_and_exit() {
    for (dialect, version) in VERSIONS {
        let flags = json!([[1], [1], [1], [1], [1, 2, 4], [1, 2, 4]]);
        let Some(theirs) = Theirs::start(version, &flags) else {
            continue;
        };
        let mut ours = [Ours::new(dialect, Flags::default(), 1)];
        for their in &theirs.nodes {
            ours[0]
                .node
                .set_candidate(their.key.clone(), their.addr, their.flags);
        }
        let target = socket();
        let to = target.local_addr().expect("an address");
        for hops in 1..=3 {
            let sent = utp(&format!("{version} over {hops} hops"));
            until(&mut ours, |ours| {
                let circuit = build(ours, &target, hops);
                circuit.is_some_and(|id| comes_back(ours, &target, id, (to.into(), &sent)))
            });
            // Theirs answer pings.
            until(&mut ours, |ours| {
                within(TRY, ours, &target, |ours| {
                    let mut circuits = ours[0].node.circuits();
                    circuits.any(|circuit| circuit.goal == hops && circuit.rtt.is_some())
                })
            });
            println!("pyipv8 {version}: {hops} hops, there and back");
        }
    }
}

/// Lets the first of theirs build circuits of `hops` and send through them until something comes back.
fn theirs_through(theirs: &mut Theirs, ours: &mut [Ours], hops: u8) {
    let target = socket();
    let port = target.local_addr().expect("an address").port();
    let data = hex(&utp(&format!("theirs over {hops} hops")));
    let through = json!({"node": 0, "do": "through", "hops": hops, "port": port, "data": data});
    until(ours, |ours| {
        let got = while_asked(theirs, ours, &target, &through);
        let got = got["received"].as_array().expect("a list");
        got.contains(&json!(data))
    });
}

/// Asks them something while nodes of ours go on.
fn while_asked(
    theirs: &mut Theirs,
    ours: &mut [Ours],
    target: &UdpSocket,
    command: &Value,
) -> Value {
    theirs.tell(command);
    std::thread::scope(|scope| {
        let stdout = &mut theirs.stdout;
        let reader = scope.spawn(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("a line");
            line
        });
        assert!(
            within(PATIENCE, ours, target, |_| reader.is_finished()),
            "no answer to {command}"
        );
        let line = reader.join().expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("python died: {line:?}"))
    })
}

#[test]
fn their_originator_reaches_the_world_through_our_exit() {
    for (dialect, version) in VERSIONS {
        let Some(mut theirs) = Theirs::start(version, &json!([[], [1], [1]])) else {
            continue;
        };
        let mut ours = [Ours::new(dialect, Flags::RELAY.and(Flags::EXIT), 2)];
        theirs.introduce(&ours[0]);
        for hops in 1..=3 {
            theirs_through(&mut theirs, &mut ours, hops);
        }
        assert!(ours[0].node.counters().joined >= 3);
    }
}

#[test]
fn their_originator_reaches_the_world_through_our_relay() {
    for (dialect, version) in VERSIONS {
        let Some(mut theirs) = Theirs::start(version, &json!([[], [1, 2, 4]])) else {
            continue;
        };
        let mut ours = [Ours::new(dialect, Flags::RELAY, 3)];
        theirs.introduce(&ours[0]);
        let exit = (
            theirs.nodes[1].key.clone(),
            theirs.nodes[1].addr,
            theirs.nodes[1].flags,
        );
        ours[0].node.set_candidate(exit.0, exit.1, exit.2);
        theirs_through(&mut theirs, &mut ours, 2);
        assert!(ours[0].node.counters().relayed >= 2);
        assert!(ours[0].node.joined().1 > 0);
    }
}

#[test]
fn their_originator_reaches_the_world_through_nodes_of_ours_alone() {
    for (dialect, version) in VERSIONS {
        let Some(mut theirs) = Theirs::start(version, &json!([[]])) else {
            continue;
        };
        let exit = Flags::RELAY.and(Flags::EXIT);
        let mut ours = [
            Ours::new(dialect, Flags::RELAY, 4),
            Ours::new(dialect, Flags::RELAY, 5),
            Ours::new(dialect, exit, 6),
        ];
        let all: Vec<_> = ours
            .iter()
            .map(|one| (one.node.public().clone(), one.addr, one.node.config().flags))
            .collect();
        for one in &mut ours {
            for (key, addr, flags) in &all {
                one.node.set_candidate(key.clone(), *addr, *flags);
            }
            theirs.introduce(one);
        }
        let keys: Vec<&PublicKey> = all.iter().map(|(key, ..)| key).collect();
        theirs.choose(&keys);
        theirs_through(&mut theirs, &mut ours, 3);
    }
}

const SWARM: [u8; 20] = [0x3c; 20];

/// Relays and exits of theirs, and one more node of theirs in front that only originates.
fn swarm_flags() -> Value {
    json!([[], [1], [1], [1], [1, 2, 4], [1, 2, 4]])
}

/// A node of ours that knows theirs.
fn ours_among(theirs: &Theirs, dialect: Dialect, seed: u8) -> Ours {
    let mut ours = Ours::new(dialect, Flags::default(), seed);
    for their in theirs.nodes.iter().skip(1) {
        ours.node
            .set_candidate(their.key.clone(), their.addr, their.flags);
    }
    ours
}

/// Has the first of theirs seed, and says who introduces it.
fn their_point(
    theirs: &mut Theirs,
    ours: &mut [Ours],
    target: &UdpSocket,
    hops: u8,
) -> Option<IntroPoint> {
    let seed = json!({"node": 0, "do": "seed", "hops": hops, "info_hash": hex(&SWARM)});
    let seeded = while_asked(theirs, ours, target, &seed);
    let port = seeded["port"].as_u64()? as u16;
    Some(IntroPoint {
        addr: ([127, 0, 0, 1], port).into(),
        node: key(&seeded["key"]).as_bytes().to_vec(),
        seeder: key(&seeded["seeder"]).as_bytes().to_vec(),
        source: Source::Dht,
    })
}

/// The links that were made so far, the last one last.
fn linked(ours: &Ours) -> Vec<CircuitId> {
    let links = ours.events.iter().filter_map(|event| {
        let Event::Linked { circuit, .. } = event else {
            return None;
        };
        Some(*circuit)
    });
    links.collect()
}

/// A circuit of ours to a node that introduces us.
fn introduced(ours: &mut [Ours], target: &UdpSocket) -> Option<CircuitId> {
    let introduced = |ours: &Ours| {
        let circuits = ours.events.iter().filter_map(|event| {
            let Event::Introduced { circuit, .. } = event else {
                return None;
            };
            Some(*circuit)
        });
        let mut standing = circuits.filter(|circuit| ours.node.circuit(*circuit).is_some());
        standing.next()
    };
    if introduced(&ours[0]).is_none() {
        let _ = ours[0].node.introduce(Instant::now(), SWARM);
    }
    within(TRY, ours, target, |ours| introduced(&ours[0]).is_some());
    introduced(&ours[0])
}

#[test]
fn our_downloader_reaches_their_hidden_seeder() {
    for (dialect, version) in VERSIONS {
        for hops in 1..=2 {
            let Some(mut theirs) = Theirs::start(version, &swarm_flags()) else {
                continue;
            };
            let mut ours = [ours_among(&theirs, dialect, 7)];
            let target = socket();
            ours[0].node.join_swarm(SWARM, hops, false).unwrap();
            let sent = b"from ours to theirs".to_vec();
            until(&mut ours, |ours| {
                let Some(point) = their_point(&mut theirs, ours, &target, hops) else {
                    return false;
                };
                let known = linked(&ours[0]).len();
                build(ours, &target, hops).is_some()
                    && ours[0].node.contact(Instant::now(), SWARM, &point).is_ok()
                    && within(TRY, ours, &target, |ours| linked(&ours[0]).len() > known)
                    && linked(&ours[0]).last().is_some_and(|circuit| {
                        let alias = ours[0].node.circuit(*circuit).and_then(|it| it.alias);
                        let to = SocketAddr::from(alias.unwrap().addr()).into();
                        comes_back(ours, &target, *circuit, (to, &sent))
                    })
            });
            println!("pyipv8 {version} seeds hidden, {hops} hops: there and back");
        }
    }
}

#[test]
fn their_downloader_reaches_our_hidden_seeder() {
    for (dialect, version) in VERSIONS {
        for hops in 1..=2 {
            let Some(mut theirs) = Theirs::start(version, &swarm_flags()) else {
                continue;
            };
            let mut ours = [ours_among(&theirs, dialect, 8)];
            let target = socket();
            ours[0].node.join_swarm(SWARM, hops, true).unwrap();
            let seeder = ours[0].node.seeder(&SWARM).unwrap();
            let sent = b"from theirs to ours".to_vec();
            until(&mut ours, |ours| {
                let Some(circuit) = introduced(ours, &target) else {
                    return false;
                };
                let hop = ours[0]
                    .node
                    .circuit(circuit)
                    .and_then(|it| it.hops.last().cloned());
                let mut nodes = theirs.nodes.iter();
                let Some(point) = nodes.find(|their| Some(&their.key) == hop.as_ref()) else {
                    return false;
                };
                let contact = json!({
                    "node": 0, "do": "contact", "hops": hops, "info_hash": hex(&SWARM), "key": hex(point.key.as_bytes()),
                    "port": point.addr.port(), "seeder": hex(seeder.as_bytes()), "data": hex(&sent),
                });
                let answer = while_asked(&mut theirs, ours, &target, &contact);
                answer["linked"] == true
                    && within(TRY, ours, &target, |ours| {
                        ours[0].data.iter().any(|(_, data)| *data == sent)
                    })
            });
            println!("pyipv8 {version} downloads from ours, {hops} hops");
        }
    }
}
