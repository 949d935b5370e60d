use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

const INTERVAL: Duration = Duration::from_mins(30);

struct Lab {
    tiers: Tiers,
    now: Instant,
}

impl Lab {
    fn new(tiers: &[&[&str]]) -> Self {
        let tiers: Vec<Vec<String>> = tiers
            .iter()
            .map(|tier| tier.iter().map(ToString::to_string).collect())
            .collect();
        let now = Instant::now();
        let mut rng = SmallRng::seed_from_u64(3);
        Self {
            tiers: Tiers::new(&tiers, AnnounceMode::Strict, now, &mut rng),
            now,
        }
    }

    fn url(&self, key: TrackerKey) -> String {
        self.tiers.trackers[key.0].url.to_string()
    }

    /// Goes to the next announce, and gives how many seconds that took.
    fn wait(&mut self) -> (Announce, u64) {
        let begin = self.now;
        if let Some((at, _)) = self.tiers.poll_timeout(self.now) {
            assert!(
                at <= self.now || self.tiers.next(self.now).is_none(),
                "announced before the time that was promised"
            );
            self.now = self.now.max(at);
        }
        let announce = self.tiers.next(self.now).expect("an announce is due");
        (announce, (self.now - begin).as_secs())
    }

    fn work(&mut self, announce: &Announce) {
        self.tiers
            .succeeded(announce.tracker, self.now, INTERVAL, None);
    }

    fn fail(&mut self, announce: &Announce) {
        self.tiers
            .failed(announce.tracker, self.now, Retry::Default);
    }

    /// Announces once at the trackers in turn until one of `up` answers; gives whom it asked.
    fn round(&mut self, up: &[&str]) -> Vec<String> {
        let mut asked = Vec::new();
        loop {
            let (announce, _) = self.wait();
            let url = announce.url.to_string();
            asked.push(url.clone());
            if up.contains(&url.as_str()) {
                self.work(&announce);
                return asked;
            }
            self.fail(&announce);
        }
    }
}

#[test]
fn the_first_announce_is_due_at_once_and_says_started() {
    let mut lab = Lab::new(&[&["a"]]);
    let (first, waited) = lab.wait();
    assert_eq!((&*first.url, first.event, waited), ("a", Event::Started, 0));
    assert_eq!(lab.tiers.next(lab.now), None, "one at a time");
    assert_eq!(lab.tiers.poll_timeout(lab.now), None);
    lab.work(&first);
    let (second, waited) = lab.wait();
    assert_eq!((second.event, waited), (Event::None, 1_800));
}

#[test]
fn a_later_tier_is_reached_only_when_all_before_it_failed() {
    let mut lab = Lab::new(&[&["a", "b"], &["c"], &["d"]]);
    let asked = lab.round(&["c", "d"]);
    assert_eq!(asked.len(), 3);
    let mut first = asked[..2].to_vec();
    first.sort_unstable();
    assert_eq!(first, ["a", "b"]);
    assert_eq!(asked[2], "c");
    assert_eq!(lab.tiers.statuses()[3].condition, Condition::Untried);
}

#[test]
fn the_tracker_that_works_moves_to_the_front_of_its_tier() {
    let mut lab = Lab::new(&[&["a", "b", "c", "d"]]);
    let order: Vec<String> = lab.tiers.keys().map(|key| lab.url(key)).collect();
    let third = order[2].clone();
    assert_eq!(lab.round(&[&third]), order[..3]);
    let after: Vec<String> = lab.tiers.keys().map(|key| lab.url(key)).collect();
    assert_eq!(
        after,
        [&order[2], &order[0], &order[1], &order[3]].map(Clone::clone)
    );
    assert_eq!(lab.round(&[&third]), [third]);
}

#[test]
fn each_tier_is_shuffled_and_tiers_keep_their_order() {
    let urls: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let firsts: BTreeSet<Arc<str>> = (0..64)
        .map(|seed| {
            let mut rng = SmallRng::seed_from_u64(seed);
            let now = Instant::now();
            let tiers = [urls.clone(), vec!["last".into()]];
            let mut tiers = Tiers::new(&tiers, AnnounceMode::Strict, now, &mut rng);
            tiers.next(now).unwrap().url
        })
        .collect();
    assert!(firsts.len() >= 7 && !firsts.contains("last"), "{firsts:?}");
}

#[test]
fn repeated_and_empty_addresses_are_left_out() {
    let lab = Lab::new(&[&["a", " ", "a"], &[""], &["b ", "a"], &[]]);
    let all: Vec<(usize, String)> = lab
        .tiers
        .statuses()
        .iter()
        .map(|status| (status.tier, status.url.to_string()))
        .collect();
    assert_eq!(all, [(0, "a".to_owned()), (1, "b".to_owned())]);
}

#[test]
fn a_lone_tracker_that_fails_is_tried_again_after_a_growing_pause() {
    let mut lab = Lab::new(&[&["a"]]);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let (announce, waited) = lab.wait();
        pauses.push(waited);
        assert_eq!(announce.event, Event::Started);
        lab.fail(&announce);
    }
    assert_eq!(
        pauses,
        [0, 5, 10, 20, 40, 80, 160, 320, 640, 1_280, 1_800, 1_800]
    );
}

#[test]
fn a_first_tier_that_comes_back_is_used_again() {
    let mut lab = Lab::new(&[&["a"], &["b"]]);
    assert_eq!(lab.round(&["b"]), ["a", "b"]);
    assert_eq!(lab.round(&["a", "b"]), ["a"]);
    assert_eq!(lab.round(&["b"]), ["a", "b"]);
}

#[test]
fn a_tracker_may_ask_for_a_longer_pause_or_for_peace() {
    let mut lab = Lab::new(&[&["a"], &["b"]]);
    let (a, _) = lab.wait();
    lab.tiers
        .failed(a.tracker, lab.now, Retry::After(Duration::from_hours(1)));
    let (b, waited) = lab.wait();
    assert_eq!((&*b.url, waited), ("b", 0));
    lab.tiers.failed(b.tracker, lab.now, Retry::Never);
    let (again, waited) = lab.wait();
    assert_eq!((&*again.url, waited), ("a", 3_600));
    lab.tiers.failed(again.tracker, lab.now, Retry::Never);
    assert_eq!(lab.tiers.poll_timeout(lab.now), None);
    assert_eq!(lab.tiers.next(lab.now + Duration::from_hours(99)), None);
    let given = lab.tiers.statuses();
    assert!(given.iter().all(|s| s.condition == Condition::GivenUp));
}

#[test]
fn completed_is_told_once_and_at_once() {
    let mut lab = Lab::new(&[&["a"], &["b"]]);
    lab.round(&["a", "b"]);
    lab.tiers.set_event(lab.now, Event::Completed);
    let (told, waited) = lab.wait();
    assert_eq!((told.event, waited), (Event::Completed, 0));
    lab.fail(&told);
    let (told, waited) = lab.wait();
    assert_eq!((&*told.url, told.event, waited), ("b", Event::Completed, 0));
    lab.work(&told);
    let (next, _) = lab.wait();
    assert_eq!((&*next.url, next.event), ("a", Event::None));
}

#[test]
fn completion_during_an_announce_follows_it() {
    let mut lab = Lab::new(&[&["a"]]);
    let (started, _) = lab.wait();
    lab.tiers.set_event(lab.now, Event::Completed);
    assert_eq!(lab.tiers.next(lab.now), None);
    lab.work(&started);
    let (next, waited) = lab.wait();
    assert_eq!((next.event, waited), (Event::Completed, 0));
}

#[test]
fn stopped_goes_to_those_who_know_us_only() {
    let mut lab = Lab::new(&[&["a"], &["b"], &["c"]]);
    lab.round(&["b"]);
    lab.now += Duration::from_hours(1);
    lab.round(&["a", "b"]);
    lab.tiers.set_event(lab.now, Event::Stopped);
    assert!(!lab.tiers.is_done());
    let mut told = Vec::new();
    while let Some(farewell) = lab.tiers.next(lab.now) {
        assert_eq!(farewell.event, Event::Stopped);
        told.push(farewell);
    }
    let urls: Vec<&str> = told.iter().map(|farewell| &*farewell.url).collect();
    assert_eq!(urls, ["a", "b"]);
    lab.fail(&told[0]);
    assert!(!lab.tiers.is_done());
    lab.work(&told[1]);
    assert!(lab.tiers.is_done());
    assert_eq!(lab.tiers.next(lab.now + INTERVAL), None);
    assert_eq!(lab.tiers.poll_timeout(lab.now), None);
}

#[test]
fn nobody_is_told_of_the_end_if_nobody_knows_us() {
    let mut lab = Lab::new(&[&["a"]]);
    let (started, _) = lab.wait();
    lab.tiers.set_event(lab.now, Event::Stopped);
    assert!(!lab.tiers.is_done(), "an answer may still come");
    lab.fail(&started);
    assert!(lab.tiers.is_done());
}

#[test]
fn a_tracker_that_answers_after_the_end_is_told_of_it() {
    let mut lab = Lab::new(&[&["a"]]);
    let (started, _) = lab.wait();
    lab.tiers.set_event(lab.now, Event::Stopped);
    lab.work(&started);
    let farewell = lab.tiers.next(lab.now).unwrap();
    assert_eq!(farewell.event, Event::Stopped);
    lab.work(&farewell);
    assert!(lab.tiers.is_done());
}

#[test]
fn a_torrent_started_again_says_started() {
    let mut lab = Lab::new(&[&["a"]]);
    lab.round(&["a"]);
    lab.tiers.set_event(lab.now, Event::Stopped);
    let farewell = lab.tiers.next(lab.now).unwrap();
    lab.work(&farewell);
    lab.now += Duration::from_mins(5);
    lab.tiers.set_event(lab.now, Event::Started);
    let (again, waited) = lab.wait();
    assert_eq!((again.event, waited), (Event::Started, 0));
}

#[test]
fn a_want_of_peers_honours_the_min_interval() {
    let mut lab = Lab::new(&[&["a"], &["b"]]);
    let (announce, _) = lab.wait();
    let least = Duration::from_mins(10);
    lab.tiers
        .succeeded(announce.tracker, lab.now, INTERVAL, Some(least));
    lab.tiers.want_more_peers(lab.now);
    let (next, waited) = lab.wait();
    assert_eq!((&*next.url, waited), ("a", 600));
}

#[test]
fn a_first_tier_that_comes_back_is_not_held_up_by_anothers_min_interval() {
    let mut lab = Lab::new(&[&["a"], &["b"]]);
    let (a, _) = lab.wait();
    lab.fail(&a);
    let (b, _) = lab.wait();
    let least = Duration::from_mins(10);
    lab.tiers
        .succeeded(b.tracker, lab.now, INTERVAL, Some(least));
    lab.tiers.want_more_peers(lab.now);
    let (next, waited) = lab.wait();
    assert_eq!((&*next.url, waited), ("a", 5));
}

#[test]
fn absurd_intervals_are_not_heeded() {
    let mut lab = Lab::new(&[&["a"]]);
    for (asked, given) in [(0, 60), (u64::MAX, 86_400)] {
        let (announce, _) = lab.wait();
        let asked = Duration::from_secs(asked);
        lab.tiers
            .succeeded(announce.tracker, lab.now, asked, Some(asked));
        assert_eq!(
            lab.tiers.poll_timeout(lab.now).map(|(at, _)| at),
            Some(lab.now + Duration::from_secs(given))
        );
        lab.now += Duration::from_secs(given);
    }
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    let mut lab = Lab::new(&[&["a"]]);
    let (announce, _) = lab.wait();
    lab.work(&announce);
    lab.fail(&announce);
    lab.tiers.failed(TrackerKey(99), lab.now, Retry::Never);
    assert_eq!(lab.tiers.statuses()[0].condition, Condition::Working);
}

#[test]
fn a_torrent_without_trackers_announces_nothing() {
    let mut lab = Lab::new(&[]);
    assert!(lab.tiers.is_empty());
    assert_eq!(lab.tiers.next(lab.now), None);
    assert_eq!(lab.tiers.poll_timeout(lab.now), None);
    lab.tiers.set_event(lab.now, Event::Stopped);
    assert!(lab.tiers.is_done());
}

#[derive(Clone, Debug)]
enum Op {
    Next,
    Answer(bool, u64, Option<u64>),
    Wait(u64),
    WantPeers,
    Completed,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Next),
        6 => (any::<bool>(), 0..4_000_u64, prop::option::of(0..4_000_u64))
            .prop_map(|(works, interval, least)| Op::Answer(works, interval, least)),
        4 => (0..2_500_u64).prop_map(Op::Wait),
        2 => Just(Op::WantPeers),
        1 => Just(Op::Completed),
    ]
}

/// What a reader of BEP 12 would note of a tracker.
#[derive(Clone, Debug, Default)]
struct Note {
    failed_until: Option<Instant>,
    not_before: Option<Instant>,
    failures: u32,
    knows_us: bool,
}

#[test]
fn a_tracker_that_is_back_in_line_still_keeps_its_min_interval() {
    let start = Instant::now();
    let mut rng = SmallRng::seed_from_u64(0);
    let urls = ["a", "b", "c"].map(str::to_owned).to_vec();
    let mut tiers = Tiers::new(&[urls], AnnounceMode::Strict, start, &mut rng);
    let hour = Duration::from_hours(1);
    let first = tiers.next(start).unwrap().tracker;
    tiers.succeeded(first, start, hour, Some(hour));
    // It fails once, and the second answers in its place.
    tiers.set_event(start, Event::Completed);
    assert_eq!(tiers.next(start).unwrap().tracker, first);
    tiers.failed(first, start, Retry::Default);
    let second = tiers.next(start).unwrap().tracker;
    tiers.succeeded(second, start, Duration::from_mins(1), None);
    // A minute later the second fails as well. The first is in line again and may not be asked for an hour; the third
    // is not in line, although it was a minute ago.
    tiers.want_more_peers(start);
    let later = start + Duration::from_mins(1);
    assert_eq!(tiers.next(later).unwrap().tracker, second);
    tiers.failed(second, later, Retry::Default);
    assert_eq!(tiers.next(later), None);
}

#[test]
fn every_tier_has_an_announce_of_its_own_where_that_is_asked_for() {
    let tiers = [["a", "b"], ["c", "d"]].map(|tier| tier.map(str::to_owned).to_vec());
    let now = Instant::now();
    let modes = [
        (AnnounceMode::Strict, 1),
        (AnnounceMode::EveryTier, 2),
        (AnnounceMode::EveryTracker, 4),
    ];
    for (mode, lanes) in modes {
        let mut tiers = Tiers::new(&tiers, mode, now, &mut SmallRng::seed_from_u64(3));
        let first: Vec<Announce> = std::iter::from_fn(|| tiers.next(now)).collect();
        assert_eq!(first.len(), lanes, "{mode:?}");
        assert_eq!(tiers.poll_timeout(now), None);
        let Some((silent, rest)) = first.split_first() else {
            return;
        };
        tiers.failed(silent.tracker, now, Retry::Default);
        for announce in rest {
            tiers.succeeded(announce.tracker, now, INTERVAL, None);
        }
        // The other tracker of the first tier, where the lane has one.
        let next = tiers.next(now).map(|announce| announce.url.to_string());
        let statuses = tiers.statuses();
        assert_eq!(
            next.is_none(),
            mode == AnnounceMode::EveryTracker,
            "{mode:?}"
        );
        assert!(
            next.is_none_or(|url| ["a", "b"].contains(&url.as_str())),
            "{mode:?}"
        );
        let tiers_shown: Vec<usize> = statuses.iter().map(|status| status.tier).collect();
        assert_eq!(tiers_shown, [0, 0, 1, 1], "{mode:?}");
        tiers.set_event(now, Event::Completed);
        assert!(
            tiers
                .next(now)
                .is_none_or(|announce| announce.event == Event::Completed)
        );
    }
}

#[test]
fn a_postponed_announce_is_no_failure_and_goes_to_the_next_tier() {
    let mut lab = Lab::new(&[&["a"], &["b"]]);
    let (a, _) = lab.wait();
    let wait = Duration::from_secs(600);
    lab.tiers.failed(a.tracker, lab.now, Retry::Postponed(wait));
    assert_eq!(lab.tiers.statuses()[0].condition, Condition::Untried);
    let (b, waited) = lab.wait();
    assert_eq!((&*b.url, waited), ("b", 0));
    lab.fail(&b);
    lab.now += wait;
    assert_eq!(&*lab.wait().0.url, "a");
}

#[test]
fn an_announce_that_never_went_out_does_not_hold_up_leaving() {
    let mut lab = Lab::new(&[&["a"]]);
    let (first, _) = lab.wait();
    lab.tiers.withdrawn(first.tracker);
    lab.tiers.set_event(lab.now, Event::Stopped);
    assert!(lab.tiers.is_done(), "nobody knows us");
}

proptest! {
    #[test]
    fn trackers_are_asked_in_order_and_in_time(
        tiers in prop::collection::vec(1..4_usize, 1..4),
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 0..150),
    ) {
        let mut now = Instant::now();
        let mut serial = 0;
        let urls: Vec<Vec<String>> = tiers
            .iter()
            .map(|size| {
                (0..*size)
                    .map(|_| {
                        serial += 1;
                        serial.to_string()
                    })
                    .collect()
            })
            .collect();
        let mut tiers = Tiers::new(&urls, AnnounceMode::Strict, now, &mut SmallRng::seed_from_u64(seed));
        let mut notes = vec![Note::default(); serial];
        let mut order: Vec<Vec<TrackerKey>> = tiers.lanes[0].order.clone();
        let mut asked: Option<Announce> = None;
        let mut completed = false;
        let mut due = now;
        for op in ops {
            match op {
                Op::Wait(s) => now += Duration::from_secs(s),
                Op::WantPeers => {
                    tiers.want_more_peers(now);
                    due = due.min(now);
                }
                Op::Completed => {
                    tiers.set_event(now, Event::Completed);
                    completed = true;
                }
                Op::Next => {
                    let first = order.iter().flatten().copied().find(|key| {
                        notes[key.0].failed_until.is_none_or(|until| until <= now)
                    });
                    let expected = first.filter(|key| {
                        let early = due > now || notes[key.0].not_before.is_some_and(|at| at > now);
                        asked.is_none() && (completed || !early)
                    });
                    let timeout = tiers.poll_timeout(now).map(|(at, _)| at);
                    prop_assert_eq!(expected.is_some(), timeout.is_some_and(|at| at <= now));
                    let next = tiers.next(now);
                    prop_assert_eq!(next.as_ref().map(|next| next.tracker), expected);
                    if let Some(next) = next {
                        let event = match (completed, notes[next.tracker.0].knows_us) {
                            (true, _) => Event::Completed,
                            (false, false) => Event::Started,
                            (false, true) => Event::None,
                        };
                        prop_assert_eq!(next.event, event);
                        asked = Some(next);
                    } else if let Some(at) = timeout {
                        // Nothing may come before the time that was named.
                        prop_assert!(tiers.lanes[0].ready_at(&tiers.trackers, now).is_some_and(|ready| ready == at));
                        let before = now + (at - now) / 2;
                        prop_assert!(before == at || tiers.next(before).is_none());
                    }
                }
                Op::Answer(works, interval, least) => {
                    let Some(announce) = asked.take() else { continue };
                    let note = &mut notes[announce.tracker.0];
                    if works {
                        let interval = Duration::from_secs(interval);
                        let least = least.map(Duration::from_secs);
                        tiers.succeeded(announce.tracker, now, interval, least);
                        let interval = interval.max(Duration::from_mins(1));
                        let least = least.unwrap_or(Duration::from_mins(1));
                        note.not_before = Some(now + least.min(interval).min(Duration::from_hours(1)));
                        note.failures = 0;
                        note.failed_until = None;
                        note.knows_us = true;
                        due = now + interval;
                        completed &= announce.event != Event::Completed;
                        for tier in &mut order {
                            if tier.contains(&announce.tracker) {
                                tier.retain(|key| *key != announce.tracker);
                                tier.insert(0, announce.tracker);
                            }
                        }
                    } else {
                        tiers.failed(announce.tracker, now, Retry::Default);
                        let pause = 5 * 2_u64.pow(note.failures.min(12));
                        note.failures += 1;
                        note.failed_until = Some(now + Duration::from_secs(pause.min(1_800)));
                    }
                    prop_assert_eq!(&tiers.lanes[0].order, &order);
                }
            }
        }
    }
}
