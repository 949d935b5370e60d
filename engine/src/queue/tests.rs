use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn download(place: u32) -> Standing {
    Standing {
        kind: Kind::Download,
        place,
        rank: Rank::default(),
    }
}

fn seed(demand: u32) -> Standing {
    Standing {
        kind: Kind::Seed,
        place: 0,
        rank: Rank {
            demand,
            ..Rank::default()
        },
    }
}

fn rules(downloads: u32, seeds: u32) -> Rules {
    Rules {
        slots: [Some(downloads), Some(seeds)],
        slow_after: Duration::from_secs(60),
        slow_below: [2048; 2],
        every: Duration::from_secs(30),
        ..Rules::default()
    }
}

fn ids(turns: &[Turn]) -> (Vec<u64>, Vec<u64>) {
    let started = turns.iter().filter_map(|turn| match turn {
        Turn::Start(id) => Some(id.0),
        Turn::Stop(_) | Turn::Voices(..) => None,
    });
    let stopped = turns.iter().filter_map(|turn| match turn {
        Turn::Stop(id) => Some(id.0),
        Turn::Start(_) | Turn::Voices(..) => None,
    });
    (started.collect(), stopped.collect())
}

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[test]
fn without_limits_everything_starts_when_it_comes() {
    let now = Instant::now();
    let mut queue = Queue::new(Rules::default(), now);
    for id in 0..100 {
        queue.put(
            TorrentId(id),
            if id % 2 == 0 { download(5) } else { seed(1) },
        );
    }
    assert!(queue.is_due(now));
    let (mut started, stopped) = ids(&queue.decide(now));
    started.sort_unstable();
    assert_eq!((started, stopped), ((0..100).collect(), Vec::new()));
    assert!(
        !queue.is_due(at(now, 100_000)),
        "there is nothing to decide"
    );
}

#[test]
fn the_first_run_and_others_when_they_are_through_or_moved_to_the_front() {
    let now = Instant::now();
    let mut queue = Queue::new(rules(2, 1), now);
    for id in 0..5 {
        queue.put(TorrentId(id), download(id as u32 * 10));
    }
    assert_eq!(ids(&queue.decide(now)), (vec![0, 1], vec![]));
    assert_eq!(queue.counts(), [[2, 3], [0, 0]]);
    // One is through, and seeds.
    queue.put(TorrentId(0), seed(1));
    assert!(queue.is_due(now));
    assert_eq!(ids(&queue.decide(now)), (vec![2], vec![]));
    // To the top.
    queue.put(TorrentId(4), download(1));
    assert_eq!(ids(&queue.decide(now)), (vec![4], vec![2]));
    queue.leave(TorrentId(1));
    assert_eq!(ids(&queue.decide(now)), (vec![2], vec![]));
    assert!(queue.runs(TorrentId(2)) && !queue.has(TorrentId(1)));
    queue.set_rules(rules(0, 1));
    assert_eq!(ids(&queue.decide(now)), (vec![], vec![4, 2]));
}

#[test]
fn seeds_that_are_needed_run_and_keep_their_place_for_half_an_hour() {
    let now = Instant::now();
    let mut queue = Queue::new(rules(0, 1), now);
    queue.put(TorrentId(1), seed(1));
    queue.put(TorrentId(2), seed(9));
    assert_eq!(ids(&queue.decide(now)), (vec![2], vec![]));
    queue.put(TorrentId(1), seed(100));
    assert_eq!(ids(&queue.decide(at(now, 30))), (vec![], vec![]));
    assert_eq!(ids(&queue.decide(at(now, 1800))), (vec![1], vec![2]));
    // Who has given enough waits for those that have not.
    let mut met = seed(100);
    met.rank.goal_met = true;
    queue.put(TorrentId(1), met);
    assert_eq!(ids(&queue.decide(at(now, 1830))), (vec![2], vec![1]));
}

#[test]
fn torrents_by_which_hardly_anything_moves_take_no_place() {
    let now = Instant::now();
    let free = Rules {
        slow_are_free: true,
        all: Some(3),
        ..rules(1, 1)
    };
    let mut queue = Queue::new(free, now);
    for id in 0..5 {
        queue.put(TorrentId(id), download(id as u32));
    }
    assert_eq!(ids(&queue.decide(now)), (vec![0], vec![]));
    queue.moves(TorrentId(0), [100, 0], at(now, 1));
    assert_eq!(ids(&queue.decide(at(now, 59))), (vec![], vec![]));
    assert_eq!(ids(&queue.decide(at(now, 60))), (vec![1], vec![]));
    assert_eq!(ids(&queue.decide(at(now, 120))), (vec![2], vec![]));
    assert_eq!(
        ids(&queue.decide(at(now, 180))),
        (vec![], vec![]),
        "three are enough"
    );
    // It takes a place again, and the others have to go.
    queue.moves(TorrentId(0), [5000, 0], at(now, 181));
    assert_eq!(ids(&queue.decide(at(now, 210))), (vec![], vec![]));
    queue.moves(TorrentId(1), [5000, 0], at(now, 211));
    assert_eq!(ids(&queue.decide(at(now, 240))), (vec![], vec![1]));
}

#[test]
fn those_in_front_announce_and_all_of_them_when_they_may_again() {
    let now = Instant::now();
    let mut few = Rules::default();
    few.voices[Voice::Dht as usize] = Some(1);
    let mut queue = Queue::new(few, now);
    queue.put(TorrentId(1), download(1));
    queue.put(TorrentId(2), download(2));
    let turns = queue.decide(now);
    let silent = Voices([false, true, true]);
    assert!(
        !silent.has(Voice::Dht) && silent.has(Voice::Trackers) && silent.has(Voice::LocalDiscovery)
    );
    assert_eq!(turns.last(), Some(&Turn::Voices(TorrentId(2), silent)));
    queue.put(TorrentId(3), download(0));
    let turns = queue.decide(now);
    assert_eq!(
        turns,
        [
            Turn::Start(TorrentId(3)),
            Turn::Voices(TorrentId(1), silent)
        ]
    );
    queue.set_rules(Rules::default());
    let turns = queue.decide(now);
    assert_eq!(
        turns,
        [1, 2].map(|id| Turn::Voices(TorrentId(id), Voices::ALL))
    );
}

#[test]
fn who_is_wanted_starts_at_once_until_the_next_decision() {
    let now = Instant::now();
    let mut queue = Queue::new(rules(0, 1), now);
    queue.put(TorrentId(1), seed(5));
    queue.put(TorrentId(2), seed(1));
    assert_eq!(ids(&queue.decide(now)), (vec![1], vec![]));
    assert_eq!(
        queue.knock(TorrentId(2), now),
        Some(Turn::Start(TorrentId(2)))
    );
    assert_eq!(queue.knock(TorrentId(2), now), None);
    assert!(!queue.is_due(now));
    assert_eq!(ids(&queue.decide(at(now, 30))), (vec![], vec![2]));
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64, Standing),
    Leave(u64),
    Moves(u64, u64),
    Rules(Rules),
    Knock(u64),
    Wait(u64),
}

fn any_standing() -> impl Strategy<Value = Standing> {
    (any::<bool>(), 0_u32..6, any::<(bool, bool)>(), 0_u32..4).prop_map(
        |(seeds, place, (goal_met, alone), demand)| Standing {
            kind: if seeds { Kind::Seed } else { Kind::Download },
            place,
            rank: Rank {
                goal_met,
                alone,
                fresh: false,
                demand,
            },
        },
    )
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let limit = || prop::option::of(0_u32..5);
    (
        (limit(), limit(), limit()),
        (limit(), limit(), limit()),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |((downloads, seeds, all), (one, two, three), (first, free))| Rules {
                slots: [downloads, seeds],
                all,
                voices: [one, two, three],
                seeds_first: first,
                slow_are_free: free,
                ..rules(0, 0)
            },
        )
        .prop_map(|rules| rules)
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..12, any_standing()).prop_map(|(id, standing)| Step::Put(id, standing)),
        1 => (0_u64..12).prop_map(Step::Leave),
        3 => (0_u64..12, 0_u64..4000).prop_map(|(id, rate)| Step::Moves(id, rate)),
        1 => any_rules().prop_map(Step::Rules),
        1 => (0_u64..12).prop_map(Step::Knock),
        2 => (0_u64..200).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: what was said of starts, stops and voices is what the queue believes, no bound is broken, no place
    /// stays empty while somebody waits, and who runs is before who waits.
    #[test]
    fn bounds_hold_and_places_are_used(first in any_rules(), steps in prop::collection::vec(any_step(), 0..120)) {
        let start = Instant::now();
        let mut now = start;
        let mut queue = Queue::new(first, now);
        let mut running: BTreeMap<TorrentId, Voices> = BTreeMap::new();
        let mut rules = first;
        for step in steps {
            let mut said = Vec::new();
            match step {
                Step::Put(id, standing) => queue.put(TorrentId(id), standing),
                Step::Leave(id) => {
                    queue.leave(TorrentId(id));
                    running.remove(&TorrentId(id));
                }
                Step::Moves(id, rate) => queue.moves(TorrentId(id), [rate; 2], now),
                Step::Rules(new) => {
                    rules = new;
                    queue.set_rules(new);
                }
                Step::Knock(id) => said.extend(queue.knock(TorrentId(id), now)),
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            let due = queue.is_due(now);
            if due {
                said.extend(queue.decide(now));
            }
            for turn in said {
                match turn {
                    Turn::Start(id) => prop_assert!(running.insert(id, Voices::ALL).is_none()),
                    Turn::Stop(id) => prop_assert!(running.remove(&id).is_some()),
                    Turn::Voices(id, voices) => {
                        prop_assert!(running.insert(id, voices).is_some_and(|was| was != voices));
                    }
                }
            }
            for id in (0..12).map(TorrentId) {
                prop_assert_eq!(queue.runs(id), running.contains_key(&id));
            }
            for line in &queue.lines {
                prop_assert!(line.busy.is_disjoint(&line.slow) && line.busy.is_disjoint(&line.waiting));
            }
            let listed: usize = queue.lines.iter().map(|line| line.busy.len() + line.slow.len() + line.waiting.len()).sum();
            prop_assert_eq!(listed, queue.entries.len());
            if !due {
                continue;
            }
            let all = rules.all.map_or(usize::MAX, |all| all as usize);
            prop_assert!(running.len() <= all);
            for (line, most) in queue.lines.iter().zip(rules.slots) {
                let most = most.map_or(usize::MAX, |most| most as usize);
                prop_assert!(line.busy.len() <= most);
                if let Some(first) = line.waiting.first() {
                    prop_assert!(line.busy.len() == most || running.len() == all, "{:?}", line);
                    prop_assert!(line.busy.last().is_none_or(|last| last < first));
                }
            }
            for (voice, most) in rules.voices.iter().enumerate() {
                let loud = running.values().filter(|voices| voices.0[voice]).count();
                let most = most.map_or(usize::MAX, |most| most as usize);
                prop_assert_eq!(loud, running.len().min(most));
            }
        }
    }
}
