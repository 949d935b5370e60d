//! Links that are kept ready to take the place of others.

use std::collections::BTreeSet;

use overlay::key::PublicKey;

use super::*;
use crate::swarms::links::LINKS;
use crate::{CircuitInfo, Head};

const DIALECT: Dialect = Dialect::Modern;

/// The nodes of a link on the side of the downloader, and on that of the seeder with the one at which they meet.
type Halves = (Vec<PublicKey>, Vec<PublicKey>);

impl Scene {
    /// A downloader with all links that it keeps with the only seeder.
    fn with_spares(seed: u64) -> Self {
        let mut scene = Self::among((40, 20), DIALECT, seed);
        scene.join(1, true);
        scene.pool.want(scene.world.now, 2, 3, 1);
        scene.run(Duration::from_secs(5));
        scene.join(0, false);
        scene.run(Duration::from_secs(20));
        assert_eq!(scene.standing().len(), LINKS, "seed {seed}");
        scene
    }

    /// The links of node 0 that answer.
    fn standing(&self) -> Vec<CircuitInfo> {
        let circuits = self.world.nodes[0].circuits();
        circuits
            .filter(|it| it.linked && !it.is_silent(self.world.now))
            .collect()
    }

    /// The links of node 0 that it was told of.
    fn told(&self) -> BTreeSet<CircuitId> {
        let reached = self.reached.iter().map(|it| Alias::at(it.at).unwrap());
        let links = reached.filter_map(|alias| self.world.nodes[0].link(alias));
        links.map(|link| link.id).collect()
    }

    fn halves(&self, link: &CircuitInfo) -> Halves {
        let mut ours = link.hops.clone();
        let met = ours.pop();
        let theirs = self.world.nodes[1].circuits().find(|way| {
            way.purpose == Purpose::RendezvousSeeder && way.hops.last() == met.as_ref()
        });
        (ours, theirs.unwrap().hops)
    }
}

/// How many nodes are named more than once.
fn twice(nodes: &[PublicKey]) -> usize {
    nodes.len() - nodes.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn neither_end_has_a_node_on_two_links_so_that_none_is_on_all() {
    let mut crowded = 0;
    for seed in 500..600 {
        let scene = Scene::with_spares(seed);
        let halves = scene.standing();
        let halves: Vec<Halves> = halves.iter().map(|link| scene.halves(link)).collect();
        let theirs = halves.iter().flat_map(|(_, theirs)| theirs.clone());
        assert_eq!(twice(&theirs.collect::<Vec<_>>()), 0, "seed {seed}");
        let ours: Vec<_> = halves.iter().flat_map(|(ours, _)| ours.clone()).collect();
        // Where the seeder waits at the last node that a link of ours could begin at, that one begins where another does.
        let firsts: Vec<_> = halves.iter().map(|(ours, _)| ours[0].clone()).collect();
        assert_eq!(twice(&ours), twice(&firsts), "seed {seed}");
        crowded += twice(&firsts);
        let (first, others) = halves.split_first().unwrap();
        let is_on = |(ours, theirs): &Halves, node| ours.contains(node) || theirs.contains(node);
        let mut on_first = first.0.iter().chain(&first.1);
        let on_all = on_first.find(|node| others.iter().all(|link| is_on(link, node)));
        assert_eq!(on_all, None, "seed {seed}");
    }
    assert!(
        crowded <= 5,
        "{crowded} of 100 have two that begin at one node"
    );
}

#[test]
fn a_spare_that_dies_is_replaced_and_nobody_is_told() {
    for seed in 600..620 {
        let mut scene = Scene::with_spares(seed);
        let told = scene.told();
        let on = |scene: &Scene, link: &CircuitInfo| {
            let (ours, theirs) = scene.halves(link);
            ours.into_iter().chain(theirs).collect::<BTreeSet<_>>()
        };
        let (used, spares): (Vec<_>, Vec<_>) = scene
            .standing()
            .into_iter()
            .partition(|it| told.contains(&it.id));
        assert_eq!((used.len(), spares.len()), (1, LINKS - 1), "seed {seed}");
        let used = on(&scene, &used[0]);
        let dies = on(&scene, &spares[0]).difference(&used).next().cloned();
        let mut nodes = scene.world.nodes.iter();
        let dies = nodes.position(|node| Some(node.public()) == dies.as_ref());
        scene.world.alive[dies.unwrap()] = false;
        scene.run(Duration::from_secs(40));
        assert_eq!(scene.standing().len(), LINKS, "seed {seed}");
        assert_eq!(scene.told(), told, "seed {seed}");
    }
}

/// What node 0 says through a circuit in a minute.
fn cells_in_a_minute(scene: &mut Scene) -> BTreeMap<CircuitId, usize> {
    scene.world.log.clear();
    scene.run(Duration::from_secs(60));
    let ours = scene.world.addrs[0];
    let said = scene.world.log.iter().filter(|(from, ..)| *from == ours);
    let mut cells = BTreeMap::new();
    for (.., payload) in said {
        if let Some(head) = Head::read(DIALECT, payload) {
            *cells.entry(head.circuit).or_default() += 1;
        }
    }
    cells
}

#[test]
fn a_spare_is_asked_half_as_often_as_a_link_that_is_used_whether_it_stands() {
    let mut scene = Scene::with_spares(700);
    let told = scene.told();
    let cells = cells_in_a_minute(&mut scene);
    for link in scene.standing() {
        let said = cells[&link.id];
        let asked = if told.contains(&link.id) { 24 } else { 12 };
        assert!(
            (asked - 1..=asked + 1).contains(&said),
            "{said}, not {asked}"
        );
    }
    // Once it is used, it is as well.
    let used = *told.first().unwrap();
    scene.world.nodes[0].close_circuit(used);
    scene.run(Duration::from_secs(20));
    let told = scene.told();
    let used: Vec<_> = scene
        .standing()
        .into_iter()
        .filter(|it| told.contains(&it.id))
        .collect();
    assert_eq!(used.len(), 1);
    let cells = cells_in_a_minute(&mut scene);
    assert!((23..=25).contains(&cells[&used[0].id]), "{cells:?}");
}
