use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::*;
use crate::Dialect;
use crate::node::tests::world::{World, utp};
use crate::testing::rng;

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
            .pick(self.world.now, &self.world.nodes[0], hops, &to.into())
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

/// Any single node dies while bytes flow: how long until they flow again.
fn outage(seed: u64) -> Duration {
    let dialect = if seed.is_multiple_of(2) {
        Dialect::Classic
    } else {
        Dialect::Modern
    };
    let mut scene = Scene::new(dialect, 9, 4, seed);
    let mut rng: StdRng = rng(seed);
    let hops = rng.random_range(1..=3);
    let now = scene.world.now;
    scene.pool.want(now, hops, 2, 1);
    scene.run(Duration::from_secs(3));
    assert!(scene.exchange(hops), "seed {seed}: nothing flows at first");
    let id = scene.pick(hops, TARGET).unwrap();
    let path = scene.world.hops(id);
    // One of those that the flow goes through, for the others would not be missed.
    let dead = path[rng.random_range(0..path.len())];
    scene.run(STEP * rng.random_range(0..10));
    scene.world.alive[dead] = false;
    let died = scene.world.now;
    while !scene.exchange(hops) {
        scene.step();
        let outage = scene.world.now - died;
        assert!(
            outage < Duration::from_secs(60),
            "seed {seed}: nothing flows any more"
        );
    }
    scene.world.now - died
}

#[test]
fn bytes_flow_again_within_ten_seconds_of_any_single_death() {
    let worst = (1000..2000).map(outage).max().unwrap();
    println!("worst outage of a thousand: {worst:?}");
    assert!(worst <= Duration::from_secs(10), "{worst:?}");
}

#[test]
fn churn_of_a_third_of_the_nodes_an_hour_is_not_noticed_for_long() {
    for seed in 600..604 {
        let mut scene = Scene::new(Dialect::Modern, 12, 5, seed);
        let mut rng: StdRng = rng(seed);
        let now = scene.world.now;
        scene.pool.want(now, 3, 2, 1);
        scene.run(Duration::from_secs(3));
        let (mut gap, mut worst) = (0, 0);
        for second in 0..3600 {
            scene.run(Duration::from_secs(1));
            if second % 600 == 300 {
                let dead = rng.random_range(1..scene.world.alive.len());
                scene.world.alive[1..].fill(true);
                scene.world.alive[dead] = false;
            }
            gap = if scene.exchange(3) { 0 } else { gap + 1 };
            worst = worst.max(gap);
            scene.world.log.clear();
            scene.world.exits.clear();
            scene.world.data.clear();
        }
        assert!(worst <= 10, "seed {seed}: {worst} s without an answer");
    }
}
