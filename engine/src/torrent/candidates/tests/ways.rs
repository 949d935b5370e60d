//! By which way an address is dialled.

use super::*;

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
