//! Strangers who have us build circuits: the more we build, the sooner one begins at a node of theirs.

use std::collections::BTreeSet;

use super::*;

const TIME: Duration = Duration::from_secs(1200);

/// What somebody was brought to do.
#[derive(Debug)]
struct Brought {
    /// How many circuits it began.
    begun: u64,
    /// Through how many first hops.
    firsts: usize,
}

impl Scene {
    /// Lets time pass, with something done each tenth of a second, and says what a node was brought to do about hidden peers.
    fn brought(&mut self, of: usize, mut each: impl FnMut(&mut Self)) -> Brought {
        let begun = |scene: &Self| scene.world.nodes[of].counters().begun;
        let (before, fresh) = (begun(self), self.freshened);
        let until = self.world.now + TIME;
        let mut firsts = BTreeSet::new();
        while self.world.now < until {
            each(self);
            self.run(Duration::from_millis(100));
            self.world.log.clear();
            let circuits = self.world.nodes[of].circuits();
            let hidden = circuits.filter(|it| it.purpose != Purpose::Data);
            firsts.extend(hidden.map(|it| it.first));
        }
        Brought {
            begun: begun(self) - before - if of == 0 { self.freshened - fresh } else { 0 },
            firsts: firsts.len(),
        }
    }

    /// A client of no swarm that has circuits to ask through.
    fn client(&mut self) {
        self.join(1, true);
        self.run(Duration::from_secs(5));
        self.world.nodes[0].join_swarm(SWARM, 2, false).unwrap();
        self.world.build(2);
    }

    /// Has node 0 ask through fresh circuits, for an exit sends so many unanswered datagrams and no more.
    fn freshen(&mut self) {
        let now = self.world.now;
        let node = &mut self.world.nodes[0];
        let circuits = node.circuits();
        let circuits = circuits.filter(|it| it.purpose == Purpose::Data);
        let (old, fresh): (Vec<_>, Vec<_>) =
            circuits.partition(|it| now >= it.born + Duration::from_secs(2));
        for circuit in old {
            node.close_circuit(circuit.id);
        }
        if fresh.is_empty() {
            self.freshened += 1;
            self.world.build(2);
        }
    }

    /// Node 0 asks the seeder for a link as often as it likes; it is kept for a while.
    fn wish(&mut self, keep: Duration) {
        let now = self.world.now;
        let node = &mut self.world.nodes[0];
        let links = node.circuits();
        let links = links.filter(|it| it.linked && now >= it.born + keep);
        for link in links.map(|it| it.id).collect::<Vec<_>>() {
            node.close_circuit(link);
        }
        self.freshen();
        let node = &mut self.world.nodes[0];
        node.unbind(&SWARM);
        let points = self.announced.len().saturating_sub(INTRODUCTIONS);
        for point in &self.announced[points..] {
            let _ = node.contact(now, SWARM, point);
        }
    }
}

/// The most circuits that are begun in a time with an allowance of so many at once and one more each so often.
fn most(time: Duration, (at_once, each): (u64, Duration)) -> u64 {
    at_once + time.as_secs() / each.as_secs() + 1
}

const MEETINGS: (u64, Duration) = (16, Duration::from_secs(10));
const OTHERS: (u64, Duration) = (8, Duration::from_secs(30));
const LINKS: (u64, Duration) = (16, Duration::from_secs(30));

/// What all say who are brought to build circuits.
fn is_bounded(brought: &Brought, most: u64) {
    println!("{brought:?}, at most {most}");
    assert!(brought.begun <= most, "{brought:?}, at most {most}");
    assert_eq!(brought.firsts, 3, "where circuits begin stays the same");
}

#[test]
fn clients_that_link_and_hang_up_again_and_again_have_a_seeder_build_few_circuits() {
    for keep in [Duration::ZERO, Duration::from_secs(61)] {
        let mut scene = Scene::among((20, 3), Dialect::Modern, 70);
        scene.client();
        let brought = scene.brought(1, |scene| scene.wish(keep));
        is_bounded(&brought, most(TIME, MEETINGS));
        // Two links at once, and no more.
        let most = match keep.as_secs() {
            0 => brought.begun,
            keep => 4 * TIME.as_secs() / keep,
        };
        let links = scene.links;
        assert!(
            links as u64 >= most / 2 - 4,
            "{links}: those who come are met"
        );
    }
}

#[test]
fn wishes_that_nobody_follows_have_a_seeder_build_few_circuits() {
    let mut scene = Scene::among((20, 3), Dialect::Modern, 71);
    scene.client();
    let brought = scene.brought(1, |scene| {
        scene.wish(Duration::ZERO);
        // Who does not come to where it is waited for.
        let node = &mut scene.world.nodes[0];
        let links = node.circuits();
        let links = links.filter(|it| it.purpose == Purpose::RendezvousDownloader);
        for link in links.map(|it| it.id).collect::<Vec<_>>() {
            node.close_circuit(link);
        }
    });
    is_bounded(&brought, most(TIME, MEETINGS));
    let refused = scene.world.nodes[1].counters().of(Refusal::TooFast);
    assert!(refused > 1000, "{refused}");
}

#[test]
fn introduction_points_that_end_what_they_have_confirmed_are_replaced_few_times() {
    for after in [Duration::ZERO, Duration::from_secs(61)] {
        let mut scene = Scene::among((20, 3), Dialect::Modern, 72);
        scene.hostile = Hostile::Points(after);
        scene.join(1, true);
        let brought = scene.brought(1, |_| {});
        is_bounded(&brought, most(TIME, OTHERS));
    }
}

#[test]
fn a_seeder_that_hangs_up_again_and_again_has_a_downloader_build_few_circuits() {
    for after in [Duration::ZERO, Duration::from_secs(61)] {
        let mut scene = Scene::among((20, 3), Dialect::Modern, 73);
        scene.hostile = Hostile::Seeder(after);
        scene.client();
        scene.join(0, false);
        let brought = scene.brought(0, |scene| {
            scene.world.nodes[1].unbind(&SWARM);
            scene.freshen();
        });
        is_bounded(&brought, most(TIME, LINKS));
    }
}

#[test]
fn however_many_seeders_are_named_a_downloader_goes_to_few_of_them() {
    let mut scene = Scene::among((20, 3), Dialect::Modern, 74);
    scene.client();
    let brought = scene.brought(0, |scene| {
        scene.world.nodes[1].unbind(&SWARM);
        scene.freshen();
        let links = scene.world.nodes[0].circuits();
        let links = links.filter(|it| it.linked).map(|it| it.id);
        for link in links.collect::<Vec<_>>() {
            scene.world.nodes[0].close_circuit(link);
        }
        let now = scene.world.now;
        for point in &scene.announced {
            let _ = scene.world.nodes[0].contact(now, SWARM, point);
        }
    });
    is_bounded(&brought, most(TIME, LINKS));
    assert!(brought.begun > most(TIME, LINKS) / 2, "{brought:?}");
}
