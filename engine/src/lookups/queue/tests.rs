use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

const EVERY: Duration = Duration::from_secs(900);

/// A queue of which up to `at_once` look-ups run at a time.
fn queue_of(at_once: u32) -> Queue {
    Queue::new(&Dht {
        at_once,
        ..Dht::default()
    })
}

fn hash(n: u16) -> InfoHash {
    let mut bytes = [0; 20];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    InfoHash(bytes)
}

/// Lets each look-up take `takes` until `end`; gives when which began.
fn run(queue: &mut Queue, start: Instant, end: Instant, takes: Duration) -> Vec<(Instant, u16)> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut begun = Vec::new();
    let mut running = BTreeSet::new();
    let mut now = start;
    loop {
        while let Some((hash, run)) = queue.next(now) {
            begun.push((now, u16::from_be_bytes([hash.0[0], hash.0[1]])));
            running.insert((now + takes, hash, run));
        }
        let ends = running.first().map(|(at, ..)| *at);
        let Some(next) = [ends, queue.poll_timeout()].into_iter().flatten().min() else {
            return begun;
        };
        now = now.max(next);
        if now > end {
            return begun;
        }
        while let Some((_, hash, run)) = running.first().copied().filter(|(at, ..)| *at <= now) {
            running.pop_first();
            queue.ended((hash, run), true, now, &mut rng);
        }
    }
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn a_torrent_without_peers_is_looked_up_again_soon_and_then_ever_later() {
    let start = Instant::now();
    let mut queue = queue_of(4);
    queue.add(hash(1), start);
    let begun = run(&mut queue, start, start + secs(3000), secs(2));
    let at: Vec<u64> = begun
        .iter()
        .map(|(at, _)| at.duration_since(start).as_secs())
        .collect();
    assert_eq!(at[0], 0);
    assert!(at[1] <= 12 && at[2] <= 35, "{at:?}");
    assert!(
        at.windows(3)
            .all(|three| three[2] - three[1] + 2 >= three[1] - three[0])
    );
    assert!(at.windows(2).all(|two| two[1] - two[0] <= 902), "{at:?}");
}

#[test]
fn one_that_has_peers_is_announced_every_quarter_of_an_hour() {
    let start = Instant::now();
    let mut queue = queue_of(4);
    queue.add(hash(1), start);
    queue.set_short(hash(1), false, start);
    let begun = run(&mut queue, start, start + secs(9000), secs(2));
    assert!((9..=10).contains(&begun.len()), "{}", begun.len());
}

#[test]
fn one_that_runs_short_does_not_wait_for_its_turn() {
    let start = Instant::now();
    let mut queue = queue_of(4);
    queue.add(hash(1), start);
    queue.set_short(hash(1), false, start);
    run(&mut queue, start, start + secs(100), secs(2));
    let now = start + secs(200);
    queue.set_short(hash(1), true, now);
    assert_eq!(queue.next(now).map(|(hash, _)| hash), Some(hash(1)));
}

#[test]
fn running_short_again_and_again_does_not_look_up_again_and_again() {
    let start = Instant::now();
    let mut queue = queue_of(4);
    let mut rng = StdRng::seed_from_u64(2);
    queue.add(hash(1), start);
    let mut begun = 0;
    for second in 0..100 {
        let now = start + secs(second);
        queue.set_short(hash(1), second % 2 == 0, now);
        while let Some(run) = queue.next(now) {
            begun += 1;
            queue.ended(run, true, now, &mut rng);
        }
    }
    assert!((5..=11).contains(&begun), "{begun}");
}

#[test]
fn the_short_ones_go_first_and_only_so_many_run_at_once() {
    let start = Instant::now();
    let mut queue = queue_of(3);
    for n in 0..100 {
        queue.add(hash(n), start);
        queue.set_short(hash(n), n >= 90, start);
    }
    let begun = run(&mut queue, start, start + secs(60), secs(1));
    let first: BTreeSet<u16> = begun.iter().take(10).map(|(_, n)| *n).collect();
    assert_eq!(first, (90..100).collect());
    let all: BTreeSet<u16> = begun.iter().map(|(_, n)| *n).collect();
    assert_eq!(all.len(), 100);
    for (at, _) in &begun {
        let at_once = begun.iter().filter(|(other, _)| other == at).count();
        assert!(at_once <= 3, "{at_once}");
    }
}

#[test]
fn a_look_up_that_nobody_answered_begins_again_as_soon_as_there_is_a_node() {
    let (start, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
    let mut queue = queue_of(4);
    queue.add(hash(1), start);
    queue.set_short(hash(1), false, start);
    let mut now = start;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let run = queue.next(now).unwrap();
        queue.ended(run, false, now, &mut rng);
        let at = queue.poll_timeout().unwrap();
        pauses.push((at - now).as_secs());
        now = at;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    let run = queue.next(now).unwrap();
    queue.ended(run, false, now, &mut rng);
    now += secs(10);
    queue.usable(now, &mut rng);
    let at = queue.poll_timeout().unwrap();
    assert!((now..now + secs(1)).contains(&at));
    // It seemed to be one only.
    let run = queue.next(at).unwrap();
    queue.ended(run, false, at, &mut rng);
    queue.usable(at, &mut rng);
    assert!(queue.poll_timeout().unwrap() >= at + NO_NODES);
    let at = at + secs(2);
    let run = queue.next(at).unwrap();
    queue.ended(run, true, at, &mut rng);
    assert_eq!(queue.quiet_since(), None);
    assert!(queue.poll_timeout().unwrap() >= at + EVERY);
}

#[test]
fn the_late_end_of_an_earlier_look_up_is_not_taken_for_the_end_of_this_one() {
    let (now, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
    let mut queue = queue_of(1);
    queue.add(hash(1), now);
    let stale = queue.next(now).unwrap();
    queue.remove(hash(1));
    queue.add(hash(1), now);
    let run = queue.next(now).unwrap();
    queue.ended(stale, true, now, &mut rng);
    queue.add(hash(2), now);
    assert_eq!(queue.next(now), None, "one is under way");
    queue.ended(run, true, now, &mut rng);
    assert_eq!(queue.next(now).map(|(hash, _)| hash), Some(hash(2)));
}

proptest! {
    #[test]
    fn whatever_happens_the_lines_and_the_torrents_agree(
        ops in prop::collection::vec((0..7_u8, 0..8_u16, 0..2000_u64), 0..200),
    ) {
        let mut queue = queue_of(3);
        let mut rng = StdRng::seed_from_u64(3);
        let mut now = Instant::now();
        let mut runs = BTreeMap::new();
        for (op, n, ms) in ops {
            match op {
                0 => queue.add(hash(n), now),
                1 => { queue.remove(hash(n)); }
                2 => queue.set_short(hash(n), true, now),
                3 => queue.set_short(hash(n), false, now),
                4 => runs.extend(queue.next(now)),
                5 => queue.usable(now, &mut rng),
                // The same may be told twice, and late.
                _ => if let Some(run) = runs.get(&hash(n)) {
                    queue.ended((hash(n), *run), ms % 2 == 0, now, &mut rng);
                }
            }
            now += Duration::from_millis(ms);
            let running = queue.torrents.values().filter(|e| matches!(e.state, Wait::End { .. }));
            prop_assert_eq!(running.count(), queue.under_way);
            let waiting: usize = queue.waiting.iter().map(BTreeSet::len).sum();
            prop_assert_eq!(waiting + queue.under_way, queue.torrents.len());
            for (hash, entry) in queue.torrents.clone() {
                if let Wait::Due { at, .. } = entry.state {
                    prop_assert!(queue.line(entry.short).contains(&(at, hash)));
                }
            }
        }
    }
}

#[test]
fn without_a_node_thousands_of_torrents_ask_no_more_than_a_few() {
    let (start, mut rng) = (Instant::now(), StdRng::seed_from_u64(9));
    let mut queue = queue_of(4);
    (0..2000).for_each(|n| queue.add(hash(n), start));
    let (mut now, mut begun) = (start, BTreeSet::new());
    let mut count = 0;
    while let Some(at) = queue.poll_timeout().filter(|at| *at < start + secs(60)) {
        now = now.max(at);
        let mut under_way = Vec::new();
        while let Some(run) = queue.next(now) {
            under_way.push(run);
        }
        assert!(!under_way.is_empty(), "it woke up for nothing");
        count += under_way.len();
        for run in under_way {
            begun.insert(run.0);
            queue.ended(run, false, now, &mut rng);
            assert_eq!(queue.next(now), None);
        }
    }
    // After 1 s, 2 s, 4 s and so on.
    assert_eq!(count, 4 * 6);
    assert_eq!(begun.len(), count, "all have their turn");
    // With the first node all goes on.
    queue.usable(now, &mut rng);
    let began = run(&mut queue, now, now + secs(2), Duration::from_millis(10));
    assert!(began.len() > 100, "{}", began.len());
}

#[test]
fn what_is_set_about_look_ups_holds_for_those_that_wait() {
    let (start, mut rng) = (Instant::now(), StdRng::seed_from_u64(9));
    let mut queue = queue_of(1);
    for number in 1..=3 {
        queue.add(hash(number), start);
    }
    let (first, run) = queue.next(start).unwrap();
    assert!(queue.next(start).is_none());
    let more = Dht {
        at_once: 2,
        ..Dht::default()
    };
    queue.retune(&more, start);
    assert!(queue.next(start).is_some() && queue.next(start).is_none());
    queue.set_short(first, false, start);
    queue.ended((first, run), true, start, &mut rng);
    let often = Dht {
        at_once: 100,
        announce_every: Duration::from_secs(60),
        ..Dht::default()
    };
    queue.retune(&often, start);
    assert!(queue.next(start).is_some(), "the third");
    let due = queue.poll_timeout();
    assert_eq!(due, Some(start + Duration::from_secs(60)));
}

#[test]
fn who_is_in_a_hurry_is_looked_up_now() {
    let (start, mut rng) = (Instant::now(), StdRng::seed_from_u64(10));
    let mut queue = queue_of(4);
    queue.add(hash(1), start);
    let run = queue.next(start).unwrap();
    queue.hurry(hash(1), start);
    queue.set_short(hash(1), false, start);
    queue.ended(run, true, start, &mut rng);
    assert!(queue.next(start + secs(60)).is_none());
    queue.hurry(hash(1), start + secs(60));
    assert_eq!(
        queue.next(start + secs(60)).map(|(hash, _)| hash),
        Some(hash(1))
    );
    queue.hurry(hash(2), start);
}
