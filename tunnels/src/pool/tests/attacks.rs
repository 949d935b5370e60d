//! Nodes that end the circuits that they have joined, to see others begin.

use super::*;

/// What a node begins in an hour in which so many exits end each circuit so long after it is ready.
fn begun_in_an_hour(seed: u64, hostile: usize, after: Duration) -> (u64, usize) {
    const EXITS: usize = 6;
    let mut scene = Scene::new(Dialect::Modern, 9, EXITS, seed);
    let now = scene.world.now;
    scene.pool.want(now, 2, 3, 1);
    let first = scene.world.nodes.len() - hostile;
    let mut due: Vec<(Instant, usize)> = Vec::new();
    let mut ready = 0;
    for step in 0..7200 {
        let before = scene.seen;
        scene.step();
        let now = scene.world.now;
        for (at, event) in &scene.world.events[before..] {
            if let (0, Event::Ready(id)) = (at, event)
                && let Some(circuit) = scene.world.nodes[0].circuit(*id)
            {
                let nodes = scene.world.nodes.iter();
                let exit = nodes
                    .map(Node::public)
                    .position(|key| Some(key) == circuit.hops.last());
                let exit = exit.unwrap();
                if exit >= first {
                    due.push((now + after, exit));
                }
            }
        }
        for (_, at) in due.extract_if(.., |(when, _)| *when <= now) {
            scene.world.nodes[at].shut_down();
        }
        ready += usize::from(step > 20 && scene.protection(2) == Protection::Protected);
        scene.world.log.clear();
    }
    (scene.world.nodes[0].counters().begun, ready)
}

#[test]
fn exits_that_end_what_they_have_joined_have_us_begin_few_circuits() {
    for hostile in [1, 3, 6] {
        for after in [Duration::ZERO, Duration::from_secs(61)] {
            let (begun, ready) = begun_in_an_hour(40, hostile, after);
            println!("{hostile} of 6 exits, after {after:?}: {begun} begun, ready {ready} of 7200");
            // 32 at once and one each quarter of a minute.
            assert!(begun <= 32 + 240, "{begun}");
            // Where there are others, these are found.
            if hostile < 6 {
                assert!(begun <= 40 && ready > 7100, "{begun}, {ready}");
            }
        }
    }
}
