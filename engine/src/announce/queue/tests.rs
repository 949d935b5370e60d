use std::sync::Arc;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const BOUNDS: Bounds = Bounds {
    total: 5,
    per_host: 3,
    spacing: Duration::from_millis(100),
};

const WEIGHT: Weight = Weight::new(false, 0);

fn place(name: &str) -> Place {
    Place(Arc::from(name))
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// A queue, its clock and its dice.
struct Scene {
    queue: Queue,
    now: Instant,
    rng: StdRng,
}

impl Scene {
    fn new(bounds: Bounds) -> Self {
        Self {
            queue: Queue::new(bounds),
            now: Instant::now(),
            rng: rng(),
        }
    }

    fn ask(&mut self, host: &str, urgency: Urgency) -> Ticket {
        self.queue
            .ask(&place(host), urgency, self.now)
            .expect("it is up")
    }

    fn next(&mut self) -> Option<Ticket> {
        self.queue.next(self.now, &mut self.rng)
    }

    /// The next request, whenever it may start.
    fn later(&mut self) -> Ticket {
        self.now = self
            .now
            .max(self.queue.poll_timeout().expect("something is due"));
        self.next().expect("it was due")
    }

    fn end(&mut self, ticket: &Ticket, outcome: Outcome) -> Vec<Ticket> {
        self.queue.ended(ticket, self.now, outcome).0
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

#[test]
fn requests_to_one_tracker_are_spaced_and_their_number_is_bounded() {
    let mut scene = Scene::new(BOUNDS);
    for _ in 0..6 {
        scene.ask("a", Urgency::Routine);
    }
    let first = scene.next().expect("at once");
    let mut last = scene.now;
    for _ in 0..2 {
        assert_eq!(scene.next(), None);
        scene.later();
        let gap = scene.now - last;
        assert!((50..=150).contains(&gap.as_millis()), "{gap:?}");
        last = scene.now;
    }
    scene.pass(10);
    assert_eq!((scene.next(), scene.queue.poll_timeout()), (None, None));
    scene.end(&first, Outcome::Answered);
    assert!(scene.next().is_some());
    assert_eq!(scene.queue.counts(), (2, 3));
}

#[test]
fn all_trackers_together_are_bounded_and_none_is_forgotten() {
    let mut scene = Scene::new(BOUNDS);
    for host in ["a", "b", "c", "d", "e", "f"] {
        scene.ask(host, Urgency::Routine);
    }
    let started: Vec<Ticket> = std::iter::from_fn(|| scene.next()).collect();
    assert_eq!(started.len(), 5);
    assert_eq!(scene.queue.poll_timeout(), None);
    scene.end(&started[0], Outcome::Answered);
    assert_eq!(scene.next().expect("the last").place, place("f"));
}

#[test]
fn of_farewells_those_of_downloads_with_many_peers_go_first() {
    let mut scene = Scene::new(BOUNDS);
    let weights = [(true, 50), (false, 0), (true, 0), (false, 7), (true, 90)];
    for (finished, peers) in weights {
        scene.ask("a", Urgency::Farewell(Weight::new(finished, peers)));
    }
    for (finished, peers) in [(false, 7), (false, 0), (true, 90), (true, 50), (true, 0)] {
        let ticket = scene.later();
        let expected = Urgency::Farewell(Weight::new(finished, peers));
        assert_eq!(ticket.urgency, expected);
        scene.end(&ticket, Outcome::Answered);
    }
}

#[test]
fn farewells_go_first_and_are_not_spaced() {
    let mut scene = Scene::new(BOUNDS);
    for urgency in [
        Urgency::Scrape,
        Urgency::Routine,
        Urgency::News,
        Urgency::Farewell(WEIGHT),
        Urgency::Farewell(WEIGHT),
    ] {
        scene.ask("a", urgency);
    }
    for expected in [Urgency::Farewell(WEIGHT), Urgency::Farewell(WEIGHT)] {
        assert_eq!(scene.next().map(|ticket| ticket.urgency), Some(expected));
    }
    assert_eq!(scene.next(), None);
    assert_eq!(scene.later().urgency, Urgency::News);
}

#[test]
fn a_tracker_that_is_down_is_left_alone_by_all_then_probed_by_one() {
    let mut scene = Scene::new(BOUNDS);
    let first: Vec<Ticket> = (0..3).map(|_| scene.ask("a", Urgency::Routine)).collect();
    for _ in &first {
        scene.later();
    }
    scene.pass(30);
    for ticket in &first {
        // They failed together, which counts once: the others may wait for the 5 s.
        assert_eq!(scene.end(ticket, Outcome::Silent), Vec::new());
    }
    for (pause, waits) in [(5, true), (10, true), (20, false), (40, false)] {
        let asked = scene.queue.ask(&place("a"), Urgency::Routine, scene.now);
        assert_eq!(asked.is_ok(), waits, "{pause}");
        if !waits {
            assert_eq!(asked, Err(Duration::from_secs(pause)));
        }
        let farewell = scene
            .queue
            .ask(&place("a"), Urgency::Farewell(WEIGHT), scene.now);
        assert_eq!(farewell, Err(Duration::from_secs(pause)));
        scene.pass(pause - 1);
        assert_eq!(scene.next(), None);
        let (one, other) = (
            scene.ask("a", Urgency::News),
            scene.ask("a", Urgency::Routine),
        );
        scene.pass(1);
        assert_eq!(scene.next(), Some(one.clone()), "after {pause} s");
        scene.pass(1);
        assert_eq!(scene.next(), None, "one finds out");
        let refused = scene.end(&one, Outcome::Silent);
        let next_pause = Duration::from_secs(pause) * 2;
        assert_eq!(refused.contains(&other), next_pause > PATIENCE, "{pause}");
        scene.end(&other, Outcome::Abandoned);
    }
    scene.pass(80);
    let (one, other) = (scene.ask("a", Urgency::News), scene.ask("a", Urgency::News));
    assert_eq!(scene.next(), Some(one.clone()));
    scene.end(&one, Outcome::Answered);
    scene.pass(1);
    assert_eq!(scene.next(), Some(other), "it is back");
    assert_eq!(
        scene.ask("b", Urgency::News).place,
        place("b"),
        "others never noticed"
    );
}

#[test]
fn the_pause_has_an_end() {
    let mut scene = Scene::new(BOUNDS);
    for _ in 0..40 {
        scene.pass(LONGEST_PAUSE.as_secs());
        let ticket = scene.ask("a", Urgency::News);
        assert_eq!(scene.next(), Some(ticket.clone()));
        scene.end(&ticket, Outcome::Silent);
    }
}

#[test]
fn whoever_leaves_the_line_holds_nothing_up() {
    let mut scene = Scene::new(BOUNDS);
    let (one, other) = (scene.ask("a", Urgency::News), scene.ask("a", Urgency::News));
    scene.end(&one, Outcome::Abandoned);
    assert_eq!(scene.next(), Some(other.clone()));
    scene.end(&other, Outcome::Abandoned);
    scene.end(&other, Outcome::Silent);
    assert_eq!(scene.queue.counts(), (0, 0));
    assert_eq!(scene.queue.poll_timeout(), None);
}

#[test]
fn trackers_without_requests_are_forgotten_when_they_are_many() {
    let mut scene = Scene::new(BOUNDS);
    for host in 0..3 * MOST_IDLE {
        let ticket = scene.ask(&host.to_string(), Urgency::News);
        assert_eq!(scene.next(), Some(ticket.clone()));
        scene.end(&ticket, Outcome::Silent);
    }
    assert!(scene.queue.hosts.len() <= MOST_IDLE);
}

proptest! {
    #[test]
    fn whatever_happens_bounds_hold_and_everyone_gets_a_turn(
        steps in proptest::collection::vec((0u8..6, 0u8..3, 0u8..4), 1..200)
    ) {
        let mut scene = Scene::new(BOUNDS);
        let mut waiting: BTreeSet<Ticket> = BTreeSet::new();
        let mut running: Vec<Ticket> = Vec::new();
        let urgencies = [Urgency::Farewell(WEIGHT), Urgency::News, Urgency::Routine, Urgency::Scrape];
        for (step, host, urgency) in steps {
            match step {
                0..=2 => {
                    let at = place(&host.to_string());
                    if let Ok(ticket) = scene.queue.ask(&at, urgencies[usize::from(urgency)], scene.now) {
                        waiting.insert(ticket);
                    }
                }
                3 => scene.now += Duration::from_millis(300 * u64::from(urgency)),
                _ => {
                    if let Some(ticket) = running.pop() {
                        let outcome = [Outcome::Answered, Outcome::Silent, Outcome::Abandoned, Outcome::Answered];
                        for refused in scene.end(&ticket, outcome[usize::from(urgency)]) {
                            prop_assert!(waiting.remove(&refused));
                        }
                    }
                }
            }
            while let Some(ticket) = scene.next() {
                prop_assert!(waiting.remove(&ticket));
                running.push(ticket);
            }
            prop_assert!(running.len() <= BOUNDS.total);
            for host in 0..3 {
                let there = running.iter().filter(|t| t.place == place(&host.to_string()));
                prop_assert!(there.count() <= BOUNDS.per_host);
            }
            prop_assert_eq!(scene.queue.counts(), (waiting.len(), running.len()));
        }
        // When all trackers answer, the line empties.
        while !waiting.is_empty() || !running.is_empty() {
            while let Some(ticket) = running.pop() {
                scene.end(&ticket, Outcome::Answered);
            }
            if !waiting.is_empty() {
                let ticket = scene.later();
                prop_assert!(waiting.remove(&ticket));
                running.push(ticket);
            }
        }
    }
}
