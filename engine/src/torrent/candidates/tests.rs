use std::cmp::Reverse;

use super::*;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn host(n: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::from((0x0808_0000 + n).to_be_bytes()), 6881)
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Dials what is next and lets it fail; gives the address.
fn fail_next(list: &mut Candidates, now: Instant) -> Option<SocketAddr> {
    let next = list.next(now)?;
    list.dialing(next);
    list.failed(next, now, DialFailure::Refused);
    Some(next)
}

#[test]
fn dialling_is_in_vain_once_an_address_has_failed_and_until_one_is_due() {
    let (mut list, now) = (Candidates::new(100), Instant::now());
    assert!(!list.is_in_vain(now));
    list.add(host(1), Source::Tracker, now);
    assert!(!list.is_in_vain(now), "nothing was tried");
    list.dialing(host(1));
    list.failed(host(1), now, DialFailure::Offline);
    assert!(!list.is_in_vain(now), "there was no way out");
    list.dialing(host(1));
    list.failed(host(1), now, DialFailure::Refused);
    assert!(list.is_in_vain(now));
    let due = list.next_due().unwrap();
    assert!(!list.is_in_vain(due));
    list.add(host(2), Source::Tracker, now);
    assert!(!list.is_in_vain(now));
    list.dialing(host(2));
    assert!(list.is_in_vain(now));
}

#[test]
fn addresses_that_cannot_be_peers_are_refused() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    for bad in [
        "0.0.0.0:1",
        "0.1.2.3:1",
        "1.2.3.4:0",
        "224.0.0.1:1",
        "239.192.152.143:6771",
        "255.255.255.255:1",
        "[::]:1",
        "[ff02::1]:1",
        "[::ffff:0.0.0.0]:1",
        "[::ffff:224.0.0.1]:9",
    ] {
        assert!(!list.add(addr(bad), Source::Tracker, now), "{bad}");
    }
    assert_eq!(list.next(now), None);
}

#[test]
fn the_users_addresses_come_first_then_those_with_fewest_failures() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Dht, now);
    list.add(host(2), Source::Tracker, now);
    assert_eq!(fail_next(&mut list, now), Some(host(2)));
    list.add(host(3), Source::Manual, now);
    assert_eq!(list.next(now), Some(host(3)));
    list.dialing(host(3));
    list.connected(host(3), now);
    let later = now + secs(60);
    assert_eq!(list.next(later), Some(host(1)));
    list.dialing(host(1));
    assert_eq!(list.next(later), Some(host(2)));
}

#[test]
fn the_pause_after_a_failure_doubles_up_to_an_hour() {
    let mut now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Tracker, now);
    let mut pauses = Vec::new();
    for _ in 0..11 {
        fail_next(&mut list, now);
        assert_eq!(list.next(now), None);
        let due = list.next_due().unwrap();
        assert_eq!(list.next(now + (due - now) / 2), None);
        pauses.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(
        pauses,
        [15, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]
    );
}

#[test]
fn the_users_address_is_dialled_for_ever_at_short_pauses() {
    let mut now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Manual, now);
    let mut pauses = Vec::new();
    for _ in 0..100 {
        assert_eq!(fail_next(&mut list, now), Some(host(1)));
        let due = list.next_due().unwrap();
        pauses.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(pauses[99], 60);
}

#[test]
fn a_lasting_connection_clears_the_failures() {
    let mut now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Manual, now);
    for _ in 0..6 {
        fail_next(&mut list, now);
        now = list.next_due().unwrap();
    }
    list.connected(host(1), now);
    now += secs(300);
    list.disconnected(host(1), now, Ended::Normal);
    assert_eq!(list.next_due(), Some(now + secs(1)));
    // Connections that end at once do not.
    for pause in [1, 2, 4] {
        now = list.next_due().unwrap();
        assert_eq!(list.next(now), Some(host(1)));
        list.connected(host(1), now);
        list.disconnected(host(1), now, Ended::Normal);
        assert_eq!(list.next_due(), Some(now + secs(pause)));
    }
}

#[test]
fn a_connected_or_dialled_address_is_not_dialled_again() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Tracker, now);
    list.dialing(host(1));
    assert!(!list.add(host(1), Source::Manual, now));
    assert_eq!(list.next(now + secs(9_999)), None);
    list.connected(host(1), now);
    assert!(!list.add(host(1), Source::Pex, now));
    assert_eq!(list.next(now + secs(9_999)), None);
    assert_eq!(
        list.counts(),
        Counts {
            known: 1,
            connected: 1,
            ..Counts::default()
        }
    );
}

#[test]
fn a_banned_host_is_forgotten_in_every_form_of_its_address() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(addr("8.8.8.8:1"), Source::Tracker, now);
    list.add(addr("[::ffff:8.8.8.8]:2"), Source::Tracker, now);
    list.add(addr("8.8.8.9:1"), Source::Tracker, now);
    list.ban("::ffff:8.8.8.8".parse().unwrap());
    assert!(list.is_banned("8.8.8.8".parse().unwrap()));
    assert!(!list.add(addr("8.8.8.8:3"), Source::Manual, now));
    assert_eq!(list.counts().known, 1);
    assert_eq!(list.next(now), Some(addr("8.8.8.9:1")));
}

#[test]
fn a_ban_list_is_bounded() {
    let mut list = Candidates::new(100);
    for n in 0..20_000 {
        list.ban(host(n).ip());
    }
    assert_eq!(list.counts().banned, MAX_BANNED);
    assert!(list.is_banned(host(19_999).ip()));
    assert!(!list.is_banned(host(0).ip()));
}

#[test]
fn our_own_address_is_dialled_once() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Tracker, now);
    list.connected(host(1), now);
    list.disconnected(host(1), now, Ended::SelfConnection);
    assert!(!list.add(host(1), Source::Pex, now));
    assert_eq!(list.counts().known, 0);
}

#[test]
fn no_source_fills_the_list_alone() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    let taken = (0..500)
        .filter(|n| list.add(host(*n), Source::Pex, now))
        .count();
    assert_eq!(taken, 50);
    assert!(list.add(host(1_000), Source::Tracker, now));
    assert!(list.add(host(1_001), Source::Manual, now));
}

#[test]
fn no_public_host_fills_the_list_with_its_ports() {
    let now = Instant::now();
    let mut list = Candidates::new(1_000);
    let ports = |list: &mut Candidates, ip: &str| {
        let ip: IpAddr = ip.parse().unwrap();
        (1..200)
            .filter(|port| list.add(SocketAddr::new(ip, *port), Source::Tracker, now))
            .count()
    };
    assert_eq!(ports(&mut list, "8.8.8.8"), MAX_PER_HOST);
    assert_eq!(ports(&mut list, "127.0.0.1"), 199);
}

#[test]
fn a_full_list_puts_out_the_worst_but_never_the_users() {
    let now = Instant::now();
    let mut list = Candidates::new(4);
    list.add(host(0), Source::Manual, now);
    list.add(host(1), Source::Tracker, now);
    list.add(host(2), Source::Tracker, now);
    list.add(host(3), Source::Dht, now);
    for n in [0, 1] {
        list.dialing(host(n));
        list.failed(host(n), now, DialFailure::Timeout);
    }
    assert!(list.add(host(4), Source::Dht, now));
    assert!(list.index.get(host(1)).is_none(), "it had failed");
    assert!(list.index.get(host(0)).is_some());
    // A fresh address of a poor source gives way to a better one, not the other way round.
    assert!(!list.add(host(5), Source::Dht, now));
    assert!(list.add(host(6), Source::Tracker, now));
    assert_eq!(list.counts().known, 4);
}

#[test]
fn what_is_known_already_takes_the_better_source() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Tracker, now);
    list.add(host(2), Source::Dht, now);
    assert!(!list.add(host(2), Source::Manual, now));
    assert_eq!(list.next(now), Some(host(2)));
    fail_next(&mut list, now);
    list.add(host(2), Source::Tracker, now);
    assert_eq!(list.next_due(), Some(now + secs(1)), "still the user's");
    list.add(host(2), Source::Manual, now);
    assert_eq!(list.next(now), Some(host(2)), "due at once");
}

#[test]
fn seeds_are_left_alone_until_they_are_needed_again() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Tracker, now);
    list.connected(host(1), now);
    list.disconnected(host(1), now, Ended::BothSeeds);
    assert_eq!(list.next(now + secs(600)), None);
    list.retry_all();
    assert_eq!(list.next(now), Some(host(1)));
}

#[test]
fn after_an_outage_those_that_were_peers_are_dialled_every_few_seconds_for_a_while() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    for (number, source) in [
        (1, Source::Tracker),
        (2, Source::Tracker),
        (3, Source::Manual),
    ] {
        list.add(host(number), source, now);
    }
    list.connected(host(1), now);
    list.disconnected(host(1), now + secs(1), Ended::Normal);
    for number in [2, 3] {
        for _ in 0..9 {
            list.dialing(host(number));
            list.failed(host(number), now + secs(1), DialFailure::Unreachable);
        }
    }
    let back = now + secs(30);
    assert_eq!(list.next(back), None);
    list.network_is_back(back);
    // How often each is dialled in two minutes while it refuses, or takes the connection and ends it at once.
    for end in [None, Some(Ended::Normal)] {
        list.network_is_back(back);
        let mut dials = [0; 3];
        for second in 0..120 {
            let now = back + secs(second);
            while let Some(addr) = list.next(now) {
                let at = [1, 2, 3].iter().position(|number| host(*number) == addr);
                dials[at.unwrap()] += 1;
                list.dialing(addr);
                match end {
                    Some(end) if addr != host(2) => {
                        list.connected(addr, now);
                        list.disconnected(addr, now, end);
                    }
                    _ => list.failed(addr, now, DialFailure::Refused),
                }
            }
        }
        assert!(dials[0] >= 24 && dials[2] >= 24, "{dials:?}");
        assert_eq!(dials[1], 1, "{dials:?}");
    }
    // Afterwards as ever.
    let later = back + secs(200);
    for _ in 0..2 {
        list.dialing(host(1));
        list.failed(host(1), later, DialFailure::Refused);
    }
    list.dialing(host(3));
    assert_eq!(
        list.next_due().map(|due| due >= later + secs(30)),
        Some(true)
    );
}

mod property {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Add(u8, u8),
        Dial,
        Connected(u8),
        Failed(u8),
        Ended(u8, u8),
        Ban(u8),
        Wait(u16),
        Retry,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..40_u8, 0..7_u8).prop_map(|(who, source)| Op::Add(who, source)),
            4 => Just(Op::Dial),
            2 => (0..40_u8).prop_map(Op::Connected),
            2 => (0..40_u8).prop_map(Op::Failed),
            2 => (0..40_u8, 0..7_u8).prop_map(|(who, how)| Op::Ended(who, how)),
            1 => (0..40_u8).prop_map(Op::Ban),
            3 => any::<u16>().prop_map(Op::Wait),
            1 => Just(Op::Retry),
        ]
    }

    const SOURCES: [Source; 7] = [
        Source::Manual,
        Source::Lsd,
        Source::Resume,
        Source::Incoming,
        Source::Tracker,
        Source::Pex,
        Source::Dht,
    ];

    const ENDS: [Ended; 7] = [
        Ended::Normal,
        Ended::ProtocolError,
        Ended::Banned,
        Ended::BothSeeds,
        Ended::SelfConnection,
        Ended::Duplicate,
        Ended::Timeout,
    ];

    fn check(list: &Candidates) {
        assert!(list.len() <= list.limit);
        assert!(
            list.index
                .iter()
                .all(|(addr, _)| !list.is_banned(addr.ip()))
        );
        list.index.check();
    }

    proptest! {
        #[test]
        fn the_indexes_agree_with_the_list(
            limit in 0..12_usize,
            ops in prop::collection::vec(op(), 0..200),
        ) {
            let mut now = Instant::now();
            let mut list = Candidates::new(limit);
            let who = |n: u8| SocketAddr::new(host(u32::from(n) / 2).ip(), 1 + u16::from(n) % 2);
            for op in ops {
                match op {
                    Op::Add(n, source) => {
                        list.add(who(n), SOURCES[usize::from(source)], now);
                    }
                    Op::Dial => if let Some(next) = list.next(now) {
                        assert!(!list.is_banned(next.ip()));
                        list.dialing(next);
                        assert_ne!(list.next(now), Some(next));
                    }
                    Op::Connected(n) => list.connected(who(n), now),
                    Op::Failed(n) => list.failed(who(n), now, DialFailure::Timeout),
                    Op::Ended(n, how) => {
                        list.disconnected(who(n), now, ENDS[usize::from(how)]);
                    }
                    Op::Ban(n) => list.ban(who(n).ip()),
                    Op::Wait(s) => now += secs(u64::from(s)),
                    Op::Retry => list.retry_all(),
                }
                check(&list);
            }
        }
    }
}

#[test]
fn of_equal_addresses_those_come_first_that_both_ends_prefer() {
    let now = Instant::now();
    let own: SocketAddr = "80.0.0.1:6881".parse().unwrap();
    let addrs: Vec<SocketAddr> = (1..60_u8)
        .map(|n| SocketAddr::from(([n, 7, n, 1], 6881)))
        .collect();
    let dialled = |list: &mut Candidates| -> Vec<SocketAddr> {
        let mut order = Vec::new();
        while let Some(addr) = list.next(now) {
            list.dialing(addr);
            order.push(addr);
        }
        order
    };
    let filled = || {
        let mut list = Candidates::new(1000);
        for addr in &addrs {
            assert!(list.add(*addr, Source::Tracker, now));
        }
        list
    };
    assert_eq!(
        dialled(&mut filled()),
        addrs,
        "in turn while we do not know who we are"
    );
    let mut list = filled();
    list.set_own([Some(own), None]);
    let late: SocketAddr = "70.1.1.1:1".parse().unwrap();
    assert!(list.add(late, Source::Tracker, now));
    let six: SocketAddr = "[2a00::1]:1".parse().unwrap();
    assert!(list.add(six, Source::Tracker, now));
    let worse: SocketAddr = "71.1.1.1:1".parse().unwrap();
    assert!(list.add(worse, Source::Dht, now));
    let order = dialled(&mut list);
    let mut expected = addrs.clone();
    expected.push(late);
    expected.sort_by_key(|addr| Reverse(canonical_priority(own, *addr)));
    expected.extend([six, worse]);
    assert_eq!(order, expected);
}

const COVERS: Ways = Ways {
    covers: true,
    utp: false,
};

#[test]
fn who_closes_every_connection_of_tcp_is_dialled_by_utp_alone() {
    let mut now = Instant::now();
    for covers in [false, true] {
        let mut list = Candidates::new(100);
        let there = Ways { covers, utp: true };
        list.add(host(1), Source::Tracker, now);
        for _ in 0..2 {
            let mut dialled = Vec::new();
            loop {
                dial_next(&mut list, now);
                dialled.push((list.is_by_utp(host(1)), list.is_other_way(host(1))));
                if !list.try_other_way(host(1), there) {
                    break;
                }
            }
            let all = [(false, false), (false, true), (true, false), (true, true)];
            let expected = all.iter().filter(|(_, other)| covers || !other);
            assert!(dialled.iter().eq(expected), "{dialled:?}");
            list.failed(host(1), now, DialFailure::Handshake);
            assert_eq!(list.next(now), None);
            now = list.next_due().unwrap();
        }
        // What worked is the first way from then on, until nobody answers in it.
        while !list.is_by_utp(host(1)) {
            dial_next(&mut list, now);
            assert!(list.try_other_way(host(1), there));
        }
        dial_next(&mut list, now);
        list.connected(host(1), now);
        now += secs(300);
        list.disconnected(host(1), now, Ended::Normal);
        now = list.next_due().unwrap();
        assert!(list.is_by_utp(host(1)));
        dial_next(&mut list, now);
        list.failed(host(1), now, DialFailure::Timeout);
        assert!(!list.is_by_utp(host(1)));
        now = list.next_due().unwrap();
    }
}

#[test]
fn the_other_way_is_tried_at_once_and_what_works_is_remembered() {
    let mut now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Tracker, now);
    assert!(!list.is_other_way(host(1)));
    for other in [false, true] {
        // One way, at once the other one, and then a pause, after which the first comes first again.
        dial_next(&mut list, now);
        assert_eq!(list.is_other_way(host(1)), other);
        assert!(list.try_other_way(host(1), COVERS));
        dial_next(&mut list, now);
        assert_eq!(list.is_other_way(host(1)), !other);
        assert!(!list.try_other_way(host(1), COVERS));
        list.failed(host(1), now, DialFailure::Handshake);
        assert_eq!(list.next(now), None);
        now = list.next_due().unwrap();
        assert_eq!(list.is_other_way(host(1)), other);
        // The other way works, and is the first one from now on.
        dial_next(&mut list, now);
        assert!(list.try_other_way(host(1), COVERS));
        dial_next(&mut list, now);
        list.connected(host(1), now);
        now += secs(300);
        list.disconnected(host(1), now, Ended::Normal);
        now = list.next_due().unwrap();
        assert_eq!(list.is_other_way(host(1)), !other);
        // What worked the last time is tried once more, after a pause, before the other one is.
        dial_next(&mut list, now);
        assert!(!list.try_other_way(host(1), COVERS));
        list.failed(host(1), now, DialFailure::Handshake);
        now = list.next_due().unwrap();
        assert_eq!(list.is_other_way(host(1)), !other);
    }
}

#[test]
fn a_hint_decides_the_first_way_only_where_nothing_else_is_known() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    for n in 1..=3 {
        list.add(host(n), Source::Tracker, now);
    }
    list.hint_other_way(host(1));
    assert!(list.is_other_way(host(1)));
    list.dialing(host(2));
    list.hint_other_way(host(2));
    assert!(!list.is_other_way(host(2)));
    list.dialing(host(3));
    list.connected(host(3), now);
    list.disconnected(host(3), now, Ended::Normal);
    list.hint_other_way(host(3));
    assert!(!list.is_other_way(host(3)), "the first way works");
    list.hint_other_way(host(4));
    assert_eq!(list.len(), 3);
    // A hint that is wrong costs a second connection and no more.
    dial_next(&mut list, now);
    assert!(list.try_other_way(host(1), COVERS));
    assert!(!list.is_other_way(host(1)));
}

fn dial_next(list: &mut Candidates, now: Instant) {
    let next = list.next(now).expect("an address is due");
    list.dialing(next);
}

#[test]
fn where_others_see_us_is_no_peer_unless_the_user_says_so() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Tracker, now);
    list.add(host(2), Source::Tracker, now);
    list.set_own([Some(host(1)), None]);
    assert_eq!(list.next(now), Some(host(2)));
    assert_eq!(list.len(), 1);
    for source in [Source::Dht, Source::Pex, Source::Tracker, Source::Lsd] {
        assert!(!list.add(host(1), source, now), "{source:?}");
    }
    assert!(list.is_own(host(1)) && !list.is_own(host(2)));
    assert!(list.add(host(1), Source::Manual, now));
    list.set_own([None, None]);
    list.set_own([Some(host(1)), None]);
    assert_eq!(list.len(), 2, "what the user named stays");
    // Another port there is another program's.
    let neighbour = SocketAddr::new(host(1).ip(), 1);
    assert!(list.add(neighbour, Source::Dht, now));
}

#[test]
fn who_is_to_be_met_is_dialled_at_once_but_not_twice() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    assert_eq!(fail_next(&mut list, now), None);
    list.add(host(1), Source::Pex, now);
    assert_eq!(fail_next(&mut list, now), Some(host(1)));
    assert_eq!(list.next(now), None, "it waits");
    assert!(list.meet(host(1), now));
    assert!(!list.meet(host(1), now), "it is being dialled");
    list.connected(host(1), now);
    assert!(!list.meet(host(1), now));
    assert!(list.meet(host(2), now), "nobody has told of it before");
    list.ban(host(3).ip());
    assert!(!list.meet(host(3), now));
}

#[test]
fn a_peer_that_was_left_to_be_dialled_again_is_due_at_once() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    list.add(host(1), Source::Tracker, now);
    list.dialing(host(1));
    list.connected(host(1), now);
    list.disconnected(host(1), now, Ended::Renewed);
    assert_eq!(list.next(now), Some(host(1)));
}

#[test]
fn no_more_addresses_are_taken_than_is_set_last() {
    let now = Instant::now();
    let mut list = Candidates::new(100);
    for n in 0..20 {
        assert!(list.add(host(n), Source::Manual, now));
    }
    list.set_limit(20);
    assert!(!list.add(host(20), Source::Manual, now));
    list.set_limit(21);
    assert!(list.add(host(20), Source::Manual, now));
}

#[test]
fn pauses_and_the_end_of_patience_are_those_that_are_said() {
    let now = Instant::now();
    let mut list = Candidates::new(100).with_patience(Patience {
        first: secs(2),
        most_failures: 3,
    });
    list.add(host(1), Source::Tracker, now);
    list.add(addr("9.9.9.9:80"), Source::Manual, now);
    let mut at = now;
    for pause in [2, 4] {
        list.dialing(host(1));
        list.failed(host(1), at, DialFailure::Refused);
        at += secs(pause);
        let early = at.checked_sub(secs(1)).unwrap();
        assert_ne!(list.next(early), Some(host(1)));
    }
    list.dialing(host(1));
    list.failed(host(1), at, DialFailure::Refused);
    assert_eq!(list.source(host(1)), None, "forgotten");
    for _ in 0..10 {
        list.dialing(addr("9.9.9.9:80"));
        list.failed(addr("9.9.9.9:80"), at, DialFailure::Refused);
    }
    assert_eq!(list.len(), 1, "the user's stays");
    list.add(addr("8.8.8.8:443"), Source::Pex, now);
    list.forget_ports(|port| port < 1024);
    assert_eq!(list.len(), 1);
}
