//! What will be read before long.

use std::time::{Duration, Instant};

use super::*;

fn ahead(picker: &mut Picker, spans: &[(u32, u32)]) {
    let spans = spans.iter().map(|(from, to)| Ahead {
        from: piece(picker, *from),
        to: *to,
    });
    let spans = spans.collect();
    picker.set_ahead(spans);
}

/// The pieces that are begun one by one for a peer, each of one block.
fn begun(picker: &mut Picker, has: PeerPieces<'_>, count: usize) -> Vec<u32> {
    let runs = pick(picker, A, has, count as u32);
    runs.iter().map(|run| run.piece.get()).collect()
}

#[test]
fn what_will_be_read_is_begun_in_order_and_then_the_rest_as_usual() {
    let mut picker = picker(64, 1);
    picker.peer_joined_full();
    ahead(&mut picker, &[(20, 40)]);
    let read = begun(&mut picker, PeerPieces::All, 20);
    assert!(read.iter().copied().eq(20..40), "{read:?}");
    let rest = begun(&mut picker, PeerPieces::All, 44);
    let mut sorted = rest.clone();
    sorted.sort_unstable();
    assert!(sorted.iter().copied().eq((0..20).chain(40..64)));
    assert_ne!(rest, sorted, "nobody reads these");
}

#[test]
fn who_has_the_least_before_it_comes_first() {
    let mut picker = picker(60, 1);
    picker.peer_joined_full();
    ahead(&mut picker, &[(0, 20), (40, 60)]);
    let runs = begun(&mut picker, PeerPieces::All, 8);
    assert_eq!(runs, [0, 40, 1, 41, 2, 42, 3, 43]);
    // The second has moved on: what lies before it is no further than before the first now.
    ahead(&mut picker, &[(0, 20), (44, 60)]);
    assert_eq!(begun(&mut picker, PeerPieces::All, 4), [44, 45, 46, 47]);
}

#[test]
fn what_a_peer_lacks_is_passed_over_and_so_is_what_is_less_wanted_than_others() {
    let mut picker = picker(30, 1);
    picker.peer_joined_full();
    ahead(&mut picker, &[(10, 20)]);
    let some = set(&picker, &[3, 12, 17]);
    picker.peer_bitfield_added(&some);
    assert_eq!(begun(&mut picker, PeerPieces::Some(&some), 2), [12, 17]);
    let top = piece(&picker, 25);
    picker.set_priority(top, Priority::TOP);
    assert_eq!(begun(&mut picker, PeerPieces::All, 3), [25, 10, 11]);
    ahead(&mut picker, &[]);
    picker.set_sequential(true);
    assert_eq!(begun(&mut picker, PeerPieces::All, 3), [0, 1, 2]);
}

#[test]
fn what_is_in_flight_delays_what_is_due_by_as_much_as_peers_take_for_it() {
    let mut picker = picker(30, 4);
    picker.peer_joined_full();
    let second = Duration::from_secs(1);
    assert!(!picker.is_delayed(Duration::ZERO), "nothing is in flight");
    pick(&mut picker, A, PeerPieces::All, 8);
    assert!(
        picker.is_delayed(second * 1000),
        "nobody knows for how long"
    );
    let rate = u64::from(BLOCK_LEN);
    picker.set_rates([(A, rate), (B, 3 * rate)]);
    assert_eq!(picker.can_wait(), 8);
    assert!(picker.is_delayed(second));
    assert!(!picker.is_delayed(second * 2));
    let to_be_asked_for = (0..30).filter(|index| picker.is_to_be_asked_for(piece(&picker, *index)));
    assert_eq!(to_be_asked_for.count(), 28);
    // What is due itself delays nothing.
    let due = (0..30).map(|index| (Instant::now(), piece(&picker, index)));
    let due = due.collect();
    picker.set_due(due);
    assert_eq!(picker.can_wait(), 0);
    assert!(!picker.is_delayed(Duration::ZERO));
}
