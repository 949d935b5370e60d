use proptest::prelude::*;

use super::*;

fn addr(number: u32) -> SocketAddr {
    SocketAddr::from((0x3200_0000_u32.wrapping_add(number).to_be_bytes(), 6881))
}

/// A machine that takes note of what these do, each at an address of its own.
fn with(remembered: usize, numbers: impl IntoIterator<Item = u32>, now: Instant) -> Pex {
    let mut pex = Pex::remembering(remembered);
    for number in numbers {
        pex.lives(PeerKey(number), Some(addr(number)));
        pex.joined(PeerKey(number), addr(number), now);
    }
    pex
}

fn messages(pex: &mut Pex, now: Instant) -> Vec<(PeerKey, PexMessage)> {
    pex.messages(now, |_| PexFlags::OUTGOING)
}

fn counts(messages: &[(PeerKey, PexMessage)]) -> Vec<(u32, usize, usize)> {
    let count = |(key, message): &(PeerKey, PexMessage)| {
        (key.0, message.added.len(), message.dropped.len())
    };
    messages.iter().map(count).collect()
}

#[test]
fn each_hears_of_the_others_once_and_of_their_end() {
    let mut now = Instant::now();
    let mut pex = with(100, 1..=3, now);
    let first = messages(&mut pex, now);
    assert_eq!(counts(&first), [(1, 2, 0), (2, 2, 0), (3, 2, 0)]);
    let told: Vec<SocketAddr> = first[0].1.added.iter().map(|peer| peer.addr).collect();
    assert_eq!(told, [addr(2), addr(3)], "nobody hears of himself");
    now += EVERY;
    assert_eq!(messages(&mut pex, now), []);
    pex.left(PeerKey(3));
    pex.lives(PeerKey(4), Some(addr(4)));
    let after = messages(&mut pex, now);
    assert_eq!(counts(&after), [(1, 1, 1), (2, 1, 1)]);
}

#[test]
fn of_two_connections_to_one_peer_the_end_of_one_is_no_news() {
    let now = Instant::now();
    let mut pex = with(100, 1..=2, now);
    pex.lives(PeerKey(3), Some(addr(2)));
    assert_eq!(counts(&messages(&mut pex, now)), [(1, 1, 0), (2, 1, 0)]);
    pex.left(PeerKey(2));
    assert_eq!(messages(&mut pex, now + EVERY), []);
    pex.left(PeerKey(3));
    assert_eq!(counts(&messages(&mut pex, now + EVERY)), [(1, 0, 1)]);
}

#[test]
fn a_minute_lies_between_two_messages_and_fifty_are_in_one() {
    for remembered in [1000, 1] {
        let mut now = Instant::now();
        let mut pex = with(remembered, [1], now);
        for number in 2..=120 {
            pex.lives(PeerKey(number), Some(addr(number)));
        }
        let mut added = Vec::new();
        for second in 0..200 {
            for (_, message) in messages(&mut pex, now) {
                added.push((second, message.added.len()));
            }
            now += Duration::from_secs(1);
        }
        assert_eq!(added, [(0, 50), (60, 50), (120, 19)]);
        // What changes after a quiet minute is told at once, all that is gone too.
        for number in 2..=120 {
            pex.left(PeerKey(number));
        }
        let later: Vec<_> = (0..4)
            .map(|n| counts(&messages(&mut pex, now + EVERY * n)))
            .collect();
        assert_eq!(
            later,
            [vec![(1, 0, 50)], vec![(1, 0, 50)], vec![(1, 0, 19)], vec![]]
        );
    }
}

#[test]
fn a_quiet_swarm_costs_nothing_and_one_newcomer_a_look_at_each() {
    let mut now = Instant::now();
    let mut pex = with(MOST_NEWS, 1..=1000, now);
    while !messages(&mut pex, now).is_empty() {
        now += EVERY;
    }
    let looks = |pex: &Pex| pex.links.values().map(|link| link.looks).sum::<u64>();
    let before = looks(&pex);
    for _ in 0..600 {
        now += Duration::from_secs(1);
        assert!(!pex.is_due(now));
        assert_eq!(messages(&mut pex, now), []);
    }
    assert_eq!(looks(&pex), before);
    pex.lives(PeerKey(2000), Some(addr(2000)));
    assert_eq!(messages(&mut pex, now).len(), 1000);
    assert_eq!(looks(&pex), before + 1000);
}

#[test]
fn nobody_far_away_is_told_of_our_home() {
    let now = Instant::now();
    let mut pex = Pex::default();
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    pex.joined(PeerKey(1), at("50.0.0.1:1"), now);
    pex.joined(PeerKey(2), at("10.0.0.2:1"), now);
    let homes = ["50.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "127.0.0.1:1"];
    for (number, home) in (1..).zip(homes) {
        pex.lives(PeerKey(number), Some(at(home)));
    }
    let messages = messages(&mut pex, now);
    assert_eq!(counts(&messages), [(2, 2, 0)]);
    let told: Vec<_> = messages[0].1.added.iter().map(|peer| peer.addr).collect();
    assert_eq!(told, [at("10.0.0.3:1"), at("50.0.0.1:1")]);
    assert!(!may_name(at("50.0.0.1:1"), at("192.168.0.1:1")));
    assert!(!may_name(at("50.0.0.1:1"), at("224.0.0.1:1")));
}

#[test]
fn a_peer_that_talks_too_much_is_not_listened_to_and_then_left() {
    let mut now = Instant::now();
    let mut pex = Pex::default();
    assert_eq!(
        pex.heard(PeerKey(1), now),
        Verdict::Early,
        "it was not agreed on"
    );
    pex.joined(PeerKey(1), addr(1), now);
    for _ in 0..10 {
        assert_eq!(pex.heard(PeerKey(1), now), Verdict::Taken);
        now += EVERY;
    }
    assert_eq!(pex.heard(PeerKey(1), now), Verdict::Taken);
    assert_eq!(
        pex.heard(PeerKey(1), now),
        Verdict::Taken,
        "one more at the start"
    );
    for _ in 0..MOST_EARLY {
        assert_eq!(pex.heard(PeerKey(1), now), Verdict::Early);
    }
    assert_eq!(pex.heard(PeerKey(1), now), Verdict::Flood);
}

#[derive(Clone, Debug)]
enum Op {
    Lives(u32, Option<u32>),
    Joined(u32),
    Left(u32),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..30_u32, prop::option::of(0..25_u32)).prop_map(|(key, home)| Op::Lives(key, home)),
        2 => (0..30_u32).prop_map(Op::Joined),
        2 => (0..30_u32).prop_map(Op::Left),
        3 => (0..90_u64).prop_map(Op::Wait),
    ]
}

proptest! {
    #[test]
    fn in_the_end_everybody_knows_exactly_who_is_there(
        remembered in 1..40_usize,
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let mut now = Instant::now();
        let mut pex = Pex::remembering(remembered);
        let mut homes = BTreeMap::<PeerKey, SocketAddr>::new();
        let mut told = BTreeMap::<PeerKey, (BTreeSet<SocketAddr>, Option<Instant>)>::new();
        let quiet = (0..3).map(|_| Op::Wait(60));
        for op in ops.into_iter().chain(quiet) {
            match op {
                Op::Lives(key, home) => {
                    pex.lives(PeerKey(key), home.map(addr));
                    homes.remove(&PeerKey(key));
                    homes.extend(home.map(|home| (PeerKey(key), addr(home))));
                }
                Op::Joined(key) => {
                    pex.joined(PeerKey(key), addr(key), now);
                    told.entry(PeerKey(key)).or_default();
                }
                Op::Left(key) => {
                    pex.left(PeerKey(key));
                    homes.remove(&PeerKey(key));
                    told.remove(&PeerKey(key));
                }
                Op::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            let due = pex.is_due(now);
            for (key, message) in messages(&mut pex, now) {
                prop_assert!(due);
                let (known, last) = told.get_mut(&key).expect("it takes messages");
                prop_assert!(last.is_none_or(|last| now - last >= EVERY));
                *last = Some(now);
                for peer in &message.added {
                    prop_assert!(homes.values().any(|home| *home == peer.addr));
                    prop_assert!(known.insert(peer.addr), "told twice");
                }
                for gone in &message.dropped {
                    prop_assert!(homes.values().all(|home| home != gone));
                    prop_assert!(known.remove(gone), "never told");
                }
            }
        }
        for (key, (known, _)) in &told {
            let mut there: BTreeSet<SocketAddr> = homes.values().copied().collect();
            // Who moved here may have been told of the address as another's.
            let own = homes.get(key).filter(|home| !known.contains(home));
            own.map(|home| there.remove(home));
            prop_assert_eq!(known, &there);
        }
    }
}
