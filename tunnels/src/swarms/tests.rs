//! Swarms whose nodes look for each other, with a DHT that is made up.

use std::time::Duration;

use rand::SeedableRng;

use super::seeders::MAX_SEEDERS;
use super::swarm::INTRODUCTIONS;
use super::*;
use crate::message::{IntroPoint, Source};
use crate::node::MAX_SWARMS;
use crate::node::tests::world::World;
use crate::{Alias, Dialect, Flags, Pool, State};

mod attacks;
mod deaths;
mod spares;

const SWARM: [u8; 20] = [0x5a; 20];

/// A world in which node 0 downloads and node 1 seeds, if they are told to.
struct Scene {
    world: World,
    swarms: [Swarms; 2],
    announced: Vec<IntroPoint>,
    reached: Vec<Reached>,
    /// Whether what nodes tell of their circuits is lost.
    deaf: bool,
    hostile: Hostile,
    /// Which nodes are to do what hostile ones do, and when.
    due: Vec<(Instant, usize)>,
    /// Links of node 0 so far, and circuits that it has built to ask through.
    links: usize,
    freshened: u64,
    /// What keeps circuits of node 0 to ask through, where it is told to.
    pool: Pool,
}

/// Who wants somebody else to build circuits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hostile {
    Nobody,
    /// Introduction points, which end the circuits of others so long after they have said that they introduce.
    Points(Duration),
    /// The seeder, which hangs up so long after it is linked.
    Seeder(Duration),
}

impl Scene {
    fn new(dialect: Dialect, seed: u64) -> Self {
        Self::among((6, 3), dialect, seed)
    }

    /// Among so many relays and exits.
    fn among((relays, exits): (usize, usize), dialect: Dialect, seed: u64) -> Self {
        let mut flags = vec![Flags::default(); 2];
        flags.extend(vec![Flags::RELAY; relays]);
        flags.extend(vec![Flags::RELAY.and(Flags::EXIT); exits]);
        let swarms = [0, 1].map(|at| Swarms::new(StdRng::seed_from_u64(seed + at)));
        Self {
            world: World::new(dialect, &flags, seed),
            swarms,
            announced: Vec::new(),
            reached: Vec::new(),
            deaf: false,
            hostile: Hostile::Nobody,
            due: Vec::new(),
            links: 0,
            freshened: 0,
            pool: Pool::new(),
        }
    }

    fn join(&mut self, at: usize, seeds: bool) {
        let (now, node) = (self.world.now, &mut self.world.nodes[at]);
        self.swarms[at].join(now, node, SWARM, (2, seeds));
    }

    /// Lets time pass, with the DHT that exits and introduction points ask.
    fn run(&mut self, time: Duration) {
        let until = self.world.now + time;
        while self.world.now < until {
            self.world.pass(Duration::from_millis(100));
            self.attack();
            for (at, event) in std::mem::take(&mut self.world.events) {
                if at == 0 {
                    let (now, node) = (self.world.now, &mut self.world.nodes[0]);
                    self.pool.handle_event(now, node, &event);
                }
                self.links += usize::from(matches!(event, Event::Linked { .. }));
                match (&event, self.hostile) {
                    (Event::Introduces { .. }, Hostile::Points(after)) => {
                        self.due.push((self.world.now + after, at));
                    }
                    (Event::Linked { .. }, Hostile::Seeder(after)) => {
                        self.due.push((self.world.now + after, 1));
                    }
                    _ => {}
                }
                match &event {
                    Event::Introduces { seeder, .. } => self.announced.push(IntroPoint {
                        addr: self.world.addrs[at],
                        node: self.world.nodes[at].public().as_bytes().to_vec(),
                        seeder: seeder.clone(),
                        source: Source::Dht,
                    }),
                    Event::PeersWanted {
                        circuit,
                        id,
                        info_hash,
                    } => {
                        let node = &mut self.world.nodes[at];
                        let _ = node.answer_peers(*circuit, *id, *info_hash, &self.announced);
                    }
                    Event::Linked { .. } | Event::Introduced { .. } | Event::Closed { .. }
                        if self.deaf => {}
                    event if at < 2 => {
                        let (now, node) = (self.world.now, &mut self.world.nodes[at]);
                        let reached = self.swarms[at].handle_event(now, node, event);
                        self.reached.extend(reached);
                    }
                    _ => {}
                }
            }
            let (now, node) = (self.world.now, &mut self.world.nodes[0]);
            self.pool.handle_timeout(now, node);
            for at in 0..2 {
                let (now, node) = (self.world.now, &mut self.world.nodes[at]);
                let reached = self.swarms[at].handle_timeout(now, node);
                self.reached.extend(reached);
            }
        }
    }

    /// Hostile nodes do what they do.
    fn attack(&mut self) {
        let now = self.world.now;
        for (_, at) in self.due.extract_if(.., |(when, _)| *when <= now) {
            let node = &mut self.world.nodes[at];
            if let Hostile::Points(_) = self.hostile {
                node.shut_down();
                continue;
            }
            let links = node.circuits();
            let links = links.filter(|it| it.purpose == Purpose::RendezvousSeeder);
            for link in links.map(|it| it.id).collect::<Vec<_>>() {
                node.close_circuit(link);
            }
        }
    }

    /// The circuit of node 0 that leads to a hidden peer.
    fn link(&self, at: SocketAddrV4) -> CircuitId {
        let alias = Alias::at(at).unwrap();
        self.world.nodes[0].link(alias).unwrap().id
    }

    fn status(&self, at: usize) -> SwarmStatus {
        self.swarms[at].status(&SWARM)
    }
}

#[test]
fn a_downloader_finds_a_seeder_and_is_linked() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        let mut scene = Scene::new(dialect, 1);
        scene.join(1, true);
        scene.run(Duration::from_secs(2));
        assert_eq!(scene.status(1).introductions, INTRODUCTIONS);
        scene.world.build(2);
        scene.join(0, false);
        scene.run(Duration::from_secs(15));
        let status = scene.status(0);
        assert_eq!((status.seeders, status.links), (1, 1));
        assert_eq!(scene.reached.len(), 1);
    }
}

#[test]
fn a_seeder_that_comes_later_is_found() {
    let mut scene = Scene::new(Dialect::Modern, 2);
    scene.world.build(2);
    scene.join(0, false);
    scene.run(Duration::from_secs(60));
    let seeking = SwarmStatus {
        state: SwarmState::Seeking,
        ..SwarmStatus::default()
    };
    assert_eq!(scene.status(0), seeking);
    scene.join(1, true);
    scene.run(Duration::from_secs(45));
    assert_eq!(scene.status(0).links, 1);
}

#[test]
fn introductions_of_which_an_answer_was_lost_are_replaced() {
    for seed in 10..20 {
        let mut scene = Scene::new(Dialect::Modern, seed);
        scene.world.links.1 = 0.3;
        scene.join(1, true);
        scene.run(Duration::from_secs(120));
        scene.world.links.1 = 0.0;
        scene.run(Duration::from_secs(60));
        let introduced = scene.status(1).introductions;
        assert_eq!(introduced, INTRODUCTIONS, "seed {seed}");
    }
}

#[test]
fn who_leaves_a_swarm_has_no_circuits_for_it() {
    let mut scene = Scene::new(Dialect::Classic, 5);
    scene.join(1, true);
    scene.run(Duration::from_secs(5));
    assert!(scene.world.nodes[1].circuits().count() > 0);
    let node = &mut scene.world.nodes[1];
    scene.swarms[1].leave(node, &SWARM);
    assert_eq!(node.circuits().count(), 0);
    assert_eq!(scene.status(1), SwarmStatus::default());
}

#[test]
fn what_strangers_name_is_bounded() {
    let mut scene = Scene::new(Dialect::Modern, 6);
    scene.world.build(2);
    scene.join(0, false);
    let now = scene.world.now;
    for at in 0..2000_u32 {
        let key = |salt: u8| {
            let mut bytes = [salt; 64];
            bytes[..4].copy_from_slice(&at.to_be_bytes());
            let key = overlay::key::SecretKey::from_bytes(&bytes).unwrap();
            key.public().as_bytes().to_vec()
        };
        let point = IntroPoint {
            addr: "9.9.9.9:9".parse().unwrap(),
            node: key(1),
            seeder: if at % 2 == 0 { key(2) } else { vec![7; 74] },
            source: Source::Pex,
        };
        let event = Event::PeersFound {
            info_hash: SWARM,
            peers: vec![point],
        };
        let node = &mut scene.world.nodes[0];
        let _ = scene.swarms[0].handle_event(now, node, &event);
    }
    assert_eq!(scene.status(0).seeders, MAX_SEEDERS);
    assert!(scene.swarms[0].joined[&SWARM].seeders.are_bounded());
}

/// The name of one of many swarms.
fn name(number: usize) -> [u8; 20] {
    let mut name = [0x77; 20];
    name[..8].copy_from_slice(&number.to_be_bytes());
    name
}

#[test]
fn a_thousand_seeded_swarms_are_introduced_in_turn_and_a_few_at_once() {
    const SWARMS: usize = 1000;
    let mut scene = Scene::new(Dialect::Modern, 7);
    for node in &mut scene.world.nodes {
        node.set_places(10_000);
    }
    for number in 0..SWARMS {
        let (now, node) = (scene.world.now, &mut scene.world.nodes[1]);
        scene.swarms[1].join(now, node, name(number), (1, true));
    }
    let began = scene.world.now;
    let all = |scene: &Scene, wanted: fn(SwarmStatus) -> bool| {
        let status = (0..SWARMS).map(|number| scene.swarms[1].status(&name(number)));
        status.filter(|status| wanted(*status)).count()
    };
    assert_eq!(all(&scene, |it| it.state == SwarmState::Waiting), SWARMS);
    while all(&scene, |it| it.introductions == INTRODUCTIONS) < SWARMS {
        scene.run(Duration::from_millis(500));
        scene.world.log.clear();
        let building = scene.world.nodes[1].circuits();
        let building = building.filter(|circuit| circuit.state == State::Building);
        assert!(building.count() <= AT_ONCE);
        assert!(all(&scene, |it| it.state == SwarmState::Introducing) <= AT_ONCE);
        // Nobody is introduced twice while others wait.
        if all(&scene, |it| it.introductions == INTRODUCTIONS) > AT_ONCE {
            assert_eq!(all(&scene, |it| it.state == SwarmState::Waiting), 0);
        }
        assert!(scene.world.now < began + Duration::from_secs(100));
    }
    // Each then costs what two circuits cost that are asked whether they stand.
    let ours = scene.world.addrs[1];
    scene.run(Duration::from_secs(20));
    let said = scene.world.log.iter().filter(|(from, ..)| *from == ours);
    let said = said.count();
    assert!(said <= SWARMS * INTRODUCTIONS * 10, "{said}");
    assert_eq!(all(&scene, |it| it.state == SwarmState::Introduced), SWARMS);
}

#[test]
fn a_swarm_too_many_waits_and_says_so_until_another_is_left() {
    let mut scene = Scene::new(Dialect::Modern, 8);
    let (now, node) = (scene.world.now, &mut scene.world.nodes[0]);
    let swarms = &mut scene.swarms[0];
    for number in 0..MAX_SWARMS + 2 {
        swarms.join(now, node, name(number), (1, false));
    }
    let state = |swarms: &Swarms, number| swarms.status(&name(number)).state;
    assert_eq!(state(swarms, MAX_SWARMS - 1), SwarmState::Seeking);
    let last = [MAX_SWARMS, MAX_SWARMS + 1];
    assert_eq!(last.map(|it| state(swarms, it)), [SwarmState::Full; 2]);
    swarms.leave(node, &name(5));
    let first = [SwarmState::Seeking, SwarmState::Full];
    assert_eq!(last.map(|it| state(swarms, it)), first);
    assert_eq!(state(swarms, 5), SwarmState::Outside);
    // So it is after a node has begun anew, and who leaves from outside is forgotten.
    let _ = swarms.handle_event(now, node, &Event::Restarted);
    swarms.leave(node, &name(MAX_SWARMS + 1));
    assert_eq!(state(swarms, MAX_SWARMS), SwarmState::Seeking);
    assert!(swarms.outside.is_empty());
}

#[test]
fn what_was_lost_of_the_events_is_made_up_for_by_looking() {
    let mut scene = Scene::new(Dialect::Modern, 9);
    scene.deaf = true;
    scene.join(1, true);
    scene.run(Duration::from_secs(5));
    assert_eq!(scene.status(1).introductions, INTRODUCTIONS);
    scene.world.build(2);
    scene.join(0, false);
    scene.run(Duration::from_secs(15));
    assert_eq!((scene.status(0).links, scene.reached.len()), (1, 1));
    // The first hop of the link dies, and with it perhaps a way to an introduction point.
    let link = scene.link(scene.reached[0].at);
    scene.world.nodes[0].close_circuit(link);
    let seeder = &mut scene.world.nodes[1];
    let ways = seeder
        .circuits()
        .filter(|it| it.purpose == Purpose::Introduction);
    let ways: Vec<CircuitId> = ways.map(|it| it.id).collect();
    assert_eq!(ways.len(), INTRODUCTIONS);
    for id in ways {
        seeder.close_circuit(id);
    }
    scene.run(Duration::from_secs(5));
    assert_eq!(scene.status(1).introductions, INTRODUCTIONS);
    scene.run(Duration::from_secs(25));
    assert_eq!((scene.status(0).links, scene.reached.len()), (1, 2));
    assert_ne!(scene.reached[0].at, scene.reached[1].at);
}
