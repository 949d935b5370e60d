use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::node::tests::world::{World, utp};
use crate::{Dialect, Flags};

mod attacks;
mod deaths;

const TARGET: &str = "93.184.216.34:6881";
const STEP: Duration = Duration::from_millis(500);

/// A world with a pool at node 0.
struct Scene {
    world: World,
    pool: Pool,
    /// How many events the pool has seen.
    seen: usize,
}

impl Scene {
    fn new(dialect: Dialect, relays: usize, exits: usize, seed: u64) -> Self {
        let world = World::of(dialect, relays, exits, seed);
        Self {
            world,
            pool: Pool::new(),
            seen: 0,
        }
    }

    fn step(&mut self) {
        self.world.pass(STEP);
        self.hear();
    }

    /// Tells the pool what has happened, and that time has passed.
    fn hear(&mut self) {
        let now = self.world.now;
        while let Some((at, event)) = self.world.events.get(self.seen).cloned() {
            self.seen += 1;
            if at == 0 {
                self.pool
                    .handle_event(now, &mut self.world.nodes[0], &event);
            }
        }
        self.pool.handle_timeout(now, &mut self.world.nodes[0]);
        self.world.settle();
    }

    fn run(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end {
            self.step();
        }
    }

    fn pick(&mut self, hops: u8, to: &str) -> Option<CircuitId> {
        let to: SocketAddr = to.parse().unwrap();
        self.pool
            .pick(self.world.now, &self.world.nodes[0], (hops, 0), &to.into())
    }

    /// Sends a datagram and lets the target answer; says whether the answer came back.
    fn exchange(&mut self, hops: u8) -> bool {
        let Some(id) = self.pick(hops, TARGET) else {
            return false;
        };
        let (sent, got) = (self.world.exits.len(), self.world.data.len());
        self.world.say(0, id, TARGET, &utp(b""));
        let Some((socket, circuit, ..)) = self.world.exits.get(sent).cloned() else {
            return false;
        };
        let exit = self
            .world
            .addrs
            .iter()
            .position(|addr| addr.ip() == socket.ip());
        self.world
            .come_back(exit.unwrap(), circuit, TARGET.parse().unwrap(), &utp(b""));
        self.world.settle();
        self.world.data.len() > got
    }

    fn protection(&self, hops: u8) -> Protection {
        let (now, node) = (self.world.now, &self.world.nodes[0]);
        self.pool.status(now, node, hops).protection
    }
}

#[test]
fn circuits_are_ready_before_they_are_needed_for_each_number_of_hops() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        let mut scene = Scene::new(dialect, 8, 4, 500);
        let now = scene.world.now;
        for hops in 1..=3 {
            scene.pool.want(now, hops, 2, 1);
        }
        scene.run(Duration::from_secs(2));
        for hops in 1..=3 {
            assert_eq!(scene.protection(hops), Protection::Protected);
            let status = scene
                .pool
                .status(scene.world.now, &scene.world.nodes[0], hops);
            assert_eq!((status.ready, status.exits), (3, 4));
            assert!(scene.exchange(hops));
        }
    }
}

#[test]
fn without_exits_or_relays_it_says_so_and_nothing_goes_out() {
    let mut scene = Scene::new(Dialect::Modern, 3, 0, 501);
    let now = scene.world.now;
    scene.pool.want(now, 2, 1, 1);
    scene.run(Duration::from_secs(3));
    assert_eq!(scene.protection(2), Protection::Blocked(Why::NoExits));
    assert_eq!(scene.pick(2, TARGET), None);
    let mut scene = Scene::new(Dialect::Modern, 0, 1, 502);
    scene.pool.want(now, 3, 1, 1);
    scene.run(Duration::from_secs(3));
    assert_eq!(scene.protection(3), Protection::Blocked(Why::NoRelays));
}

#[test]
fn an_exit_that_relays_is_one_hop_of_a_circuit_and_not_two() {
    for (relays, exits, hops, suffice) in [
        (0, 1, 1, true),
        (0, 1, 2, false),
        (1, 1, 2, true),
        (1, 1, 3, false),
        (0, 2, 3, false),
        (1, 2, 3, true),
        (0, 3, 3, true),
    ] {
        let mut scene = Scene::new(Dialect::Modern, relays, exits, 508);
        let now = scene.world.now;
        scene.pool.want(now, hops, 1, 0);
        scene.run(Duration::from_secs(20));
        let expected = if suffice {
            Protection::Protected
        } else {
            Protection::Blocked(Why::NoRelays)
        };
        let those = (relays, exits, hops);
        assert_eq!(scene.protection(hops), expected, "{those:?}");
    }
    // An exit that relays for nobody leaves all relays to the other hops.
    let mut scene = Scene::new(Dialect::Modern, 2, 0, 509);
    let only_exit = scene.world.add(Dialect::Modern, Flags::EXIT);
    for at in 0..only_exit {
        scene.world.acquaint(at, only_exit);
    }
    let now = scene.world.now;
    scene.pool.want(now, 3, 1, 0);
    scene.run(Duration::from_secs(5));
    assert_eq!(scene.protection(3), Protection::Protected);
}

#[test]
fn when_the_first_exit_is_found_nothing_has_failed_yet() {
    let mut scene = Scene::new(Dialect::Modern, 3, 2, 507);
    let all = scene.world.nodes[0].candidates().clone();
    for key in all.keys() {
        scene.world.nodes[0].remove_candidate(key);
    }
    let now = scene.world.now;
    scene.pool.want(now, 3, 1, 1);
    scene.run(Duration::from_secs(10));
    assert_eq!(scene.protection(3), Protection::Blocked(Why::NoExits));
    for (key, known) in all {
        scene.world.nodes[0].set_candidate(key, known.addr, known.flags);
    }
    assert_eq!(scene.protection(3), Protection::Blocked(Why::Due));
    // Whoever tells the node of others tells the pool, too.
    let now = scene.world.now;
    scene.pool.encourage(now, &mut scene.world.nodes[0]);
    assert_eq!(scene.protection(3), Protection::Blocked(Why::Building));
    let status = scene.pool.status(now, &scene.world.nodes[0], 3);
    assert_eq!(status.building, 2);
}

#[test]
fn nodes_that_do_not_join_are_told_from_nodes_that_are_missing() {
    let mut scene = Scene::new(Dialect::Modern, 3, 2, 506);
    scene.world.alive[1..].fill(false);
    let now = scene.world.now;
    scene.pool.want(now, 3, 1, 1);
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.protection(3), Protection::Blocked(Why::Building));
    scene.run(Duration::from_secs(60));
    assert_eq!(scene.protection(3), Protection::Blocked(Why::Failing));
    scene.world.alive.fill(true);
    scene.run(Duration::from_secs(20));
    assert_eq!(scene.protection(3), Protection::Protected);
}

#[test]
fn flows_stay_where_they_are_and_new_ones_spread() {
    let mut scene = Scene::new(Dialect::Modern, 8, 4, 503);
    let now = scene.world.now;
    scene.pool.want(now, 2, 4, 0);
    scene.run(Duration::from_secs(2));
    let targets: Vec<String> = (0..8).map(|n| format!("8.8.{n}.1:6881")).collect();
    let first: Vec<_> = targets
        .iter()
        .map(|to| scene.pick(2, to).unwrap())
        .collect();
    let spread: BTreeSet<CircuitId> = first.iter().copied().collect();
    assert_eq!(spread.len(), 4);
    scene.run(Duration::from_secs(30));
    let again: Vec<_> = targets
        .iter()
        .map(|to| scene.pick(2, to).unwrap())
        .collect();
    assert_eq!(again, first);
}

#[test]
fn circuits_from_when_one_exit_was_known_spread_over_those_that_come() {
    let mut scene = Scene::new(Dialect::Modern, 8, 4, 8);
    let exits: Vec<_> = (9..13)
        .map(|at| scene.world.nodes[at].public().clone())
        .collect();
    for exit in &exits[1..] {
        scene.world.nodes[0].remove_candidate(exit);
    }
    let now = scene.world.now;
    scene.pool.want(now, 2, 3, 0);
    scene.run(Duration::from_secs(3));
    let used = |scene: &Scene| {
        let circuits = scene.world.nodes[0].circuits();
        let exits = circuits.filter_map(|circuit| circuit.hops.last().cloned());
        exits.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(used(&scene), 1);
    for other in 10..13 {
        scene.world.acquaint(0, other);
    }
    scene.run(Duration::from_secs(20));
    assert!(used(&scene) > 1);
    assert_eq!(scene.world.nodes[0].circuits().count(), 3);
}

#[test]
fn circuits_are_replaced_before_they_are_too_old() {
    let mut scene = Scene::new(Dialect::Classic, 8, 4, 504);
    let now = scene.world.now;
    scene.pool.want(now, 3, 2, 1);
    scene.run(Duration::from_secs(2));
    let mut lost = 0;
    for _ in 0..1300 {
        scene.run(Duration::from_secs(1));
        lost += u32::from(!scene.exchange(3));
        assert_eq!(scene.protection(3), Protection::Protected);
    }
    assert_eq!(lost, 0, "two generations of circuits, and no datagram lost");
}

#[test]
fn what_is_no_longer_wanted_is_no_longer_replaced() {
    let mut scene = Scene::new(Dialect::Classic, 6, 2, 505);
    let now = scene.world.now;
    scene.pool.want(now, 2, 2, 1);
    scene.run(Duration::from_secs(2));
    let now = scene.world.now;
    scene.pool.want(now, 2, 0, 0);
    scene.run(Duration::from_secs(700));
    assert_eq!(scene.world.nodes[0].circuits().count(), 0);
}

#[test]
fn flows_are_let_go_of_within_seconds_where_their_circuit_falls_silent_and_no_others() {
    let mut scene = Scene::new(Dialect::Modern, 6, 3, 900);
    let now = scene.world.now;
    scene.pool.want(now, 2, 3, 1);
    scene.run(Duration::from_secs(5));
    let targets: Vec<String> = (1..=12).map(|n| format!("93.184.216.{n}:6881")).collect();
    let before: Vec<CircuitId> = targets
        .iter()
        .map(|to| scene.pick(2, to).unwrap())
        .collect();
    let let_go = |scene: &mut Scene| scene.pool.let_go(scene.world.now, &scene.world.nodes[0]);
    assert!(let_go(&mut scene).is_empty());
    let dead = *scene.world.hops(before[0]).last().unwrap();
    scene.world.alive[dead] = false;
    let mut silent = BTreeSet::new();
    for _ in 0..16 {
        scene.step();
        silent.extend(let_go(&mut scene));
    }
    assert!(silent.contains(&before[0]));
    for (to, circuit) in targets.iter().zip(&before) {
        let after = scene.pick(2, to).unwrap();
        assert_eq!(after == *circuit, !silent.contains(circuit), "{to}");
    }
}

#[test]
fn a_flow_does_not_return_to_a_circuit_that_answers_again_after_it_was_let_go() {
    let mut scene = Scene::new(Dialect::Modern, 6, 3, 901);
    let now = scene.world.now;
    scene.pool.want(now, 2, 3, 1);
    scene.run(Duration::from_secs(5));
    let before = scene.pick(2, TARGET).unwrap();
    // All others carry more, so that it would be chosen again.
    for n in 1..=20 {
        scene.pick(2, &format!("93.184.217.{n}:6881")).unwrap();
    }
    let hops = scene.world.hops(before);
    let gone = *hops.last().unwrap();
    scene.world.alive[gone] = false;
    let (mut silent, mut waited) = (BTreeSet::new(), 0);
    while !silent.contains(&before) {
        scene.step();
        silent.extend(scene.pool.let_go(scene.world.now, &scene.world.nodes[0]));
        waited += 1;
        assert!(waited < 20, "it never falls silent");
    }
    scene.world.alive[gone] = true;
    let answers = |scene: &Scene| {
        let circuit = scene.world.nodes[0].circuit(before);
        circuit.is_some_and(|circuit| is_sound(scene.world.now, &circuit))
    };
    while !answers(&scene) {
        scene.step();
        waited += 1;
        assert!(waited < 40, "it never answers again");
    }
    let other = scene.pick(2, TARGET).unwrap();
    assert_ne!(other, before);
    // Whoever has not left it may use it.
    let new = (1..=20).map(|n| format!("93.184.218.{n}:6881"));
    let new: BTreeSet<CircuitId> = new.map(|to| scene.pick(2, &to).unwrap()).collect();
    assert!(new.contains(&before));
}
