use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::Value;
use super::*;
use crate::clock::GlobalTime;
use crate::key::SecretKey;
use crate::packet::CommunityId;
use crate::server::BootstrapServer;
use crate::sim::{HostId, Link, World};
use crate::testing::{from_hex, hex, list, text, vectors};

/// Who is on the network.
#[derive(Debug)]
enum Member {
    Node(Box<Dht>),
    Server(Box<BootstrapServer>),
}

impl Community for Member {
    type Event = DhtEvent;

    fn prefix(&self) -> Option<Prefix> {
        match self {
            Self::Node(node) => node.prefix(),
            Self::Server(server) => server.prefix(),
        }
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        match self {
            Self::Node(node) => node.handle_packet(now, from, packet),
            Self::Server(server) => server.handle_packet(now, from, packet),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Node(node) => node.handle_timeout(now),
            Self::Server(server) => server.handle_timeout(now),
        }
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        match self {
            Self::Node(node) => node.poll_timeout(),
            Self::Server(server) => server.poll_timeout(),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Node(node) => node.poll_transmit(),
            Self::Server(server) => server.poll_transmit(),
        }
    }

    fn poll_event(&mut self) -> Option<DhtEvent> {
        match self {
            Self::Node(node) => node.poll_event(),
            Self::Server(_) => None,
        }
    }

    fn add_bootstrap(&mut self, _: Vec<SocketAddrV4>) {}
}

impl Member {
    fn node(&mut self) -> &mut Dht {
        match self {
            Self::Node(node) => node,
            Self::Server(_) => panic!("the server is no node"),
        }
    }
}

/// A network of nodes that have had two minutes to find each other.
fn network(seed: u64, count: usize, dialect: Dialect) -> (World<Member>, Vec<HostId>) {
    println!("seed {seed}");
    let mut world = World::new(seed, Link::default());
    let server = world.free_address();
    let now = world.instant();
    let key = SecretKey::generate(world.rng());
    let machine = BootstrapServer::new(key, server, now, world.rng());
    world.add(server, false, vec![Member::Server(Box::new(machine))]);
    let hosts = (0..count)
        .map(|number| {
            let addr = world.free_address();
            let now = world.instant();
            let key = SecretKey::generate(world.rng());
            let mut settings = Settings::new(key, CommunityId([0; 20]));
            settings.lan = addr;
            settings.bootstrap = vec![server];
            let node = Dht::new(&settings, dialect, now, world.rng());
            let nat = number % 4 == 3;
            let host = world.add(addr, nat, vec![Member::Node(Box::new(node))]);
            world.run_for(Duration::from_millis(500));
            host
        })
        .collect();
    world.run_for(Duration::from_secs(120));
    world.take_log();
    (world, hosts)
}

fn run(world: &mut World<Member>, host: HostId, job: DhtJob) -> Outcome {
    let id = world.with(host, 0, |member, now| member.node().start(now, job));
    for _ in 0..600 {
        for (_, teller, event) in world.take_log() {
            let DhtEvent::Done(done, outcome) = event;
            if (teller, done) == (host, id) {
                return outcome;
            }
        }
        world.run_for(Duration::from_millis(100));
    }
    panic!("the job never ends");
}

fn stores_and_finds(seed: u64, dialect: Dialect) {
    let (mut world, hosts) = network(seed, 80, dialect);
    let mut found = 0;
    for number in 0..20u8 {
        let key = NodeId([number * 11; 20]);
        let value = Value::plain(&[number; 30]);
        let stored = run(
            &mut world,
            hosts[usize::from(number)],
            DhtJob::Store(key, value),
        );
        assert!(
            matches!(&stored, Outcome::Stored(nodes) if nodes.len() >= 4),
            "{stored:?}"
        );
        let seeker = hosts[usize::from(79 - number)];
        let outcome = run(&mut world, seeker, DhtJob::FindValues(key));
        let data = vec![number; 30];
        let expected = vec![Found { data, signer: None }];
        if let Outcome::Values(values, search) = outcome
            && values == expected
        {
            found += 1;
            assert!(search.asked >= search.answered, "{search:?}");
            assert!(search.with_values > 0, "{search:?}");
            assert!(
                search.answered >= search.with_values + search.with_nodes,
                "{search:?}"
            );
        }
    }
    assert!(found >= 19, "{found} of 20");
    assert_eq!(world.refused(), 0);
}

#[test]
fn eighty_nodes_of_which_a_quarter_are_behind_nats_find_what_others_have_stored() {
    stores_and_finds(1, Dialect::Tribler75);
}

#[test]
fn the_newer_dialect_does_the_same() {
    stores_and_finds(2, Dialect::Current);
}

#[test]
fn a_peer_behind_a_nat_is_found_by_its_name() {
    let (mut world, hosts) = network(3, 40, Dialect::Tribler75);
    let hidden = hosts[3];
    let mid = world.with(hidden, 0, |member, _| {
        let node = member.node();
        assert!(
            node.status().keepers > 0,
            "it has told where it is by itself"
        );
        node.introducer().key().public().mid()
    });
    // Who keeps that already need not be asked again.
    let kept = run(&mut world, hidden, DhtJob::StorePeer);
    assert!(
        matches!(&kept, Outcome::Stored(nodes) if nodes.len() >= 4),
        "{kept:?}"
    );
    let outcome = run(&mut world, hosts[20], DhtJob::ConnectPeer(mid));
    let Outcome::Nodes(nodes) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(nodes.len(), 1);
    assert_eq!(
        (nodes[0].key.mid(), nodes[0].addr),
        (mid, world.addr(hidden))
    );
    let nobody = run(&mut world, hosts[20], DhtJob::ConnectPeer(Mid([1; 20])));
    assert_eq!(nobody, Outcome::Failed(Failure::Nobody));
}

#[test]
fn of_signed_values_the_newest_of_each_signer_is_found() {
    let (mut world, hosts) = network(4, 30, Dialect::Tribler75);
    let key = NodeId([77; 20]);
    let signer = SecretKey::from_bytes(&[9; 64]).unwrap();
    for (version, data) in [(5, b"newer"), (4, b"older")] {
        let value = Value::signed(data, version, &signer);
        run(&mut world, hosts[0], DhtJob::Store(key, value));
    }
    let outcome = run(&mut world, hosts[15], DhtJob::FindValues(key));
    let found = Found {
        data: b"newer".to_vec(),
        signer: Some(signer.public().clone()),
    };
    assert!(matches!(outcome, Outcome::Values(values, _) if values == [found]));
}

#[test]
fn without_nodes_or_with_no_value_a_job_fails_at_once() {
    let now = Instant::now();
    let mut rng = StdRng::seed_from_u64(5);
    let settings = Settings::new(SecretKey::generate(&mut rng), CommunityId([0; 20]));
    let mut dht = Dht::new(&settings, Dialect::Tribler75, now, &mut rng);
    let job = dht.start(now, DhtJob::FindValues(NodeId([1; 20])));
    let failed = DhtEvent::Done(job, Outcome::Failed(Failure::NoNodes));
    assert_eq!(dht.poll_event(), Some(failed));
    let job = dht.start(now, DhtJob::Store(NodeId([1; 20]), vec![0; 171]));
    let failed = DhtEvent::Done(job, Outcome::Failed(Failure::BadValue));
    assert_eq!(dht.poll_event(), Some(failed));
}

/// Nodes of a recorded run, the datagrams that they want to send, and the jobs that have ended.
struct Replay {
    now: Instant,
    addrs: Vec<SocketAddrV4>,
    nodes: Vec<Dht>,
    done: Vec<Outcome>,
}

impl Replay {
    fn new(vectors: &serde_json::Value) -> Self {
        let now = Instant::now();
        let (mut addrs, mut nodes) = (Vec::new(), Vec::new());
        for node in list(&vectors["nodes"]) {
            let addr: SocketAddrV4 = text(&node["address"]).parse().unwrap();
            let key = SecretKey::from_bytes(&hex(&node["private_bin"])).unwrap();
            let mut settings = Settings::new(key, CommunityId([0; 20]));
            settings.lan = text(&node["lan"]).parse().unwrap();
            settings.clock = GlobalTime::default();
            let mut rng = StdRng::seed_from_u64(1);
            let mut dht = Dht::new(&settings, Dialect::Tribler75, now, &mut rng);
            dht.introducer.set_wan(addr);
            let secret = hex(&node["token_secret"]).try_into().unwrap();
            dht.tokens = Tokens::with_secret(secret, now);
            dht.numbers = sends(vectors)
                .filter(|(from, ..)| *from == addr)
                .filter_map(|(_, _, datagram)| question(&datagram))
                .collect();
            addrs.push(addr);
            nodes.push(dht);
        }
        Self {
            now,
            addrs,
            nodes,
            done: Vec::new(),
        }
    }

    /// What a node sends next is this, and arrives at once.
    fn expect(&mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: Vec<u8>) {
        let who = self.addrs.iter().position(|addr| *addr == from).unwrap();
        let sent = self.nodes[who].poll_transmit();
        let recorded = Transmit { to, bytes };
        assert_eq!(sent.as_ref(), Some(&recorded));
        let receiver = self.addrs.iter().position(|addr| *addr == to).unwrap();
        let packet = Packet::parse(&recorded.bytes).unwrap();
        let receiver = &mut self.nodes[receiver];
        receiver.handle_packet(self.now, from, &packet).unwrap();
        while let Some(DhtEvent::Done(_, outcome)) = receiver.poll_event() {
            self.done.push(outcome);
        }
    }
}

fn sends(
    vectors: &serde_json::Value,
) -> impl Iterator<Item = (SocketAddrV4, SocketAddrV4, Vec<u8>)> {
    let events = list(&vectors["events"]).iter();
    let sends = events.filter(|event| event["event"] == "send");
    sends.map(|event| {
        let addr = |name: &str| text(&event[name]).parse().unwrap();
        (addr("src"), addr("dst"), hex(&event["packet"]))
    })
}

/// The number of a question.
fn question(datagram: &[u8]) -> Option<u16> {
    let packet = Packet::parse(datagram).unwrap();
    if !Message::is_number(Dialect::Tribler75, packet.message()) {
        return None;
    }
    let signed = packet.open().unwrap();
    let message = Message::read(Dialect::Tribler75, packet.message(), signed.body()).unwrap();
    let asks = matches!(
        message.body,
        Body::Ping
            | Body::Store { .. }
            | Body::Find { .. }
            | Body::StorePeer { .. }
            | Body::ConnectPeer { .. }
    );
    asks.then(|| message.identifier.try_into().unwrap())
}

/// Three real nodes that meet, store, find and connect: what ours send is theirs to the byte. Only the numbers of questions,
/// which are random, are taken from the record.
#[test]
fn a_recorded_run_of_three_nodes_is_made_again_byte_for_byte() {
    let vectors = vectors(include_str!("../../../tests/vectors/transcript_dht.json"));
    let mut replay = Replay::new(&vectors);
    let now = replay.now;
    let key = NodeId(from_hex(text(&vectors["key"])).try_into().unwrap());
    let result = |name: &str| {
        let mut events = list(&vectors["events"]).iter();
        events.find_map(|event| event.get(name)).unwrap().clone()
    };
    let data = from_hex(text(&result("values")[0][0]));
    let mut sent = 0;
    for (from, to, datagram) in sends(&vectors) {
        let who = replay.addrs.iter().position(|addr| *addr == from).unwrap();
        let message = Packet::parse(&datagram).unwrap().message();
        let dht = &mut replay.nodes[who];
        // What nodes do because somebody wants it.
        match (sent, message) {
            (_, crate::introduction::id::REQUEST) => dht.introducer.walk_to(now, to),
            (32, 11) => {
                dht.start(now, DhtJob::Store(key, Value::plain(&data)));
            }
            (44, 11) => {
                dht.start(now, DhtJob::FindValues(key));
            }
            (48, 11) => {
                dht.start(now, DhtJob::StorePeer);
            }
            _ => {}
        }
        replay.expect(from, to, datagram);
        sent += 1;
    }
    assert_eq!(sent, 60);
    for dht in &mut replay.nodes {
        assert_eq!(dht.poll_transmit(), None);
        assert!(dht.numbers.is_empty() && dht.jobs.is_empty());
    }
    let [stored, values, peer] = replay.done.as_slice() else {
        panic!("{:?}", replay.done);
    };
    assert!(matches!(stored, Outcome::Stored(nodes) if nodes.len() == 2));
    let Outcome::Values(values, _) = values else {
        panic!("{values:?}");
    };
    assert_eq!(*values, [Found { data, signer: None }]);
    assert!(matches!(peer, Outcome::Stored(nodes) if nodes.len() == 2));
    let mid = replay.nodes[1].introducer.key().public().mid();
    replay.nodes[0].start(now, DhtJob::ConnectPeer(mid));
    let Some(DhtEvent::Done(_, Outcome::Nodes(nodes))) = replay.nodes[0].poll_event() else {
        panic!("not found");
    };
    let addrs: Vec<String> = nodes.iter().map(|node| node.addr.to_string()).collect();
    let expected = result("connect_peer_nodes");
    assert_eq!(addrs, list(&expected).iter().map(text).collect::<Vec<_>>());
}
