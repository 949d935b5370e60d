//! Nodes that die on the way to hidden peers.

use rand::RngExt;

use super::*;
use crate::testing::rng;

/// How long a way stands before a node of it dies: sooner and later than it counts as one that lasts.
const AGES: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(90)];

impl Scene {
    /// One node of a circuit of node `at` dies; the number of that node.
    fn kill_one(&mut self, at: usize, id: CircuitId, rng: &mut StdRng) -> usize {
        let hops = self.world.nodes[at].circuit(id).unwrap().hops;
        let key = &hops[rng.random_range(0..hops.len())];
        let mut nodes = self.world.nodes.iter();
        let dead = nodes.position(|node| node.public() == key).unwrap();
        self.world.alive[dead] = false;
        dead
    }

    /// How long it takes until something is so.
    fn until(&mut self, mut is: impl FnMut(&Self) -> bool) -> Duration {
        let began = self.world.now;
        while !is(self) {
            self.run(Duration::from_millis(100));
            assert!(self.world.now < began + Duration::from_secs(60), "never");
        }
        self.world.now - began
    }
}

/// How long it takes until there is another link when a node on the way to a seeder dies.
fn death_on_a_link(seed: u64, age: Duration) -> Duration {
    let mut rng: StdRng = rng(seed);
    let mut scene = Scene::among((12, 8), Dialect::Modern, seed);
    scene.join(1, true);
    scene.pool.want(scene.world.now, 2, 3, 1);
    scene.run(Duration::from_secs(5));
    scene.join(0, false);
    scene.until(|scene| !scene.reached.is_empty());
    let first = scene.reached[0].at;
    scene.run(age);
    let link = scene.link(first);
    scene.kill_one(0, link, &mut rng);
    let took = scene.until(|scene| scene.reached.len() > 1);
    assert_ne!(scene.reached[1].at, first);
    took
}

/// Late are those whose downloader knows one introduction point, the way to which dies with the link: it has to hear of another.
#[test]
fn a_link_is_made_again_under_another_address_within_ten_seconds_of_nearly_all_deaths() {
    for age in AGES {
        let all: Vec<Duration> = (300..400).map(|seed| death_on_a_link(seed, age)).collect();
        let late = all.iter().filter(|took| **took > Duration::from_secs(10));
        let (late, worst) = (late.count(), all.iter().max().unwrap());
        println!("a link of {age:?}: {late} of a hundred late, {worst:?} at worst");
        assert!(late <= 3 && *worst < Duration::from_secs(30));
    }
}

/// How long it takes until as many introduce the seeder as are to when a node on the way to one of them dies.
fn death_on_the_way_to_an_introduction_point(seed: u64, age: Duration) -> Duration {
    let mut rng: StdRng = rng(seed);
    let mut scene = Scene::among((12, 8), Dialect::Modern, seed);
    scene.join(1, true);
    scene.until(|scene| scene.status(1).introductions == INTRODUCTIONS);
    scene.run(age);
    let mut ways = scene.world.nodes[1].circuits();
    let way = ways.next().map(|way| way.id).unwrap();
    drop(ways);
    let dead = scene.kill_one(1, way, &mut rng);
    let gone = |scene: &Scene| scene.world.nodes[1].circuit(way).is_none();
    let took = scene.until(|scene| gone(scene) && scene.status(1).introductions == INTRODUCTIONS);
    let mut ways = scene.world.nodes[1].circuits();
    let key = scene.world.nodes[dead].public();
    assert!(!ways.any(|way| way.hops.contains(key)));
    took
}

#[test]
fn a_seeder_is_introduced_again_within_ten_seconds_of_a_death() {
    for age in AGES {
        let worst = (400..500).map(|seed| death_on_the_way_to_an_introduction_point(seed, age));
        let worst = worst.max();
        println!("ways of {age:?}: again after {worst:?} at worst");
        assert!(worst < Some(Duration::from_secs(10)), "{worst:?}");
    }
}
