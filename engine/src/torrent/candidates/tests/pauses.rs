//! When an address is dialled again.

use super::*;

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
