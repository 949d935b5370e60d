mod pauses;
mod property;
mod ways;

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
