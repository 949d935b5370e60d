//! Any sequence of what may happen, beside what a reader of BEP 12 would note.

use proptest::prelude::*;

use super::*;

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
                    let mut line: Vec<TrackerKey> = order.iter().flatten().copied().collect();
                    if notes.iter().all(|note| note.failures > 0 || !note.knows_us) {
                        line.sort_by_key(|key| notes[key.0].failures);
                    }
                    let first = line.into_iter().find(|key| {
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
