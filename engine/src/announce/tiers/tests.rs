use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

mod farewells;
mod model;

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
fn every_tracker_is_asked_once_before_one_that_is_slow_to_fail_is_asked_twice() {
    let urls = ["a", "b", "c", "d", "e", "f"];
    let tiers: Vec<&[&str]> = urls.iter().map(std::slice::from_ref).collect();
    let mut lab = Lab::new(&tiers);
    for urls in [&urls[..], &urls[..]] {
        for url in urls {
            let (announce, waited) = lab.wait();
            assert_eq!((&*announce.url, waited), (*url, 0));
            // As long as a UDP tracker is waited for that does not answer.
            lab.now += Duration::from_secs(35);
            lab.fail(&announce);
        }
    }
    // One that works is left for those before it, once they may be asked again.
    assert_eq!(lab.round(&["c"]), ["a", "b", "c"]);
    assert_eq!(lab.round(&["c"]), ["a", "b", "c"]);
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

#[test]
fn a_tracker_that_is_back_in_line_still_keeps_its_min_interval() {
    let start = Instant::now();
    let mut rng = SmallRng::seed_from_u64(0);
    let urls = ["a", "b"].map(str::to_owned).to_vec();
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
    // A minute later the second fails as well. The first is in line again and may not be asked for an hour.
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
fn trackers_are_put_up_with_as_is_said() {
    let now = Instant::now();
    let urls = vec![vec!["http://a/x".to_owned()]];
    let mut rng = SmallRng::seed_from_u64(1);
    let mut tiers = Tiers::new(&urls, AnnounceMode::Strict, now, &mut rng);
    tiers.set_manners(Manners {
        least_interval: Duration::from_secs(600),
        first_pause: Duration::from_secs(30),
    });
    let first = tiers.next(now).unwrap();
    tiers.failed(first.tracker, now, Retry::Default);
    assert!(tiers.next(now + Duration::from_secs(29)).is_none());
    let now = now + Duration::from_secs(30);
    let second = tiers.next(now).unwrap();
    let minute = Duration::from_secs(60);
    tiers.succeeded(second.tracker, now, minute, Some(minute));
    assert!(tiers.next(now + Duration::from_secs(599)).is_none());
    assert!(tiers.next(now + Duration::from_secs(600)).is_some());
}

#[test]
fn a_tracker_is_asked_by_udp_before_http_where_that_is_said_and_others_keep_their_order() {
    let tier: Vec<String> = ["http://a:1/x", "udp://a:2/x", "http://b/x", "udp://c:3/x"]
        .map(str::to_owned)
        .to_vec();
    for seed in 0..50 {
        let now = Instant::now();
        let order = |prefer: bool| {
            let mut rng = SmallRng::seed_from_u64(seed);
            let tier = std::slice::from_ref(&tier);
            let mut tiers = Tiers::new(tier, AnnounceMode::Strict, now, &mut rng);
            if prefer {
                tiers.prefer_udp();
            }
            let urls = std::iter::from_fn(|| {
                let next = tiers.next(now)?;
                tiers.failed(next.tracker, now, Retry::Never);
                Some(next.url.to_string())
            });
            urls.collect::<Vec<_>>()
        };
        let at = |order: &[String], url: &str| order.iter().position(|it| it == url).unwrap();
        let (plain, better) = (order(false), order(true));
        assert!(at(&better, "udp://a:2/x") < at(&better, "http://a:1/x"));
        for other in ["http://b/x", "udp://c:3/x"] {
            assert_eq!(at(&plain, other), at(&better, other));
        }
    }
}
