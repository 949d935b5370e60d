//! Pieces that are due.

use std::time::{Duration, Instant};

use super::*;

/// A moment, and so many seconds after it.
fn at(seconds: u64) -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now) + Duration::from_secs(seconds)
}

fn due(picker: &mut Picker, pieces: &[(u64, u32)]) {
    let due = pieces.iter();
    let due = due.map(|(seconds, index)| (at(*seconds), piece(picker, *index)));
    let due = due.collect();
    picker.set_due(due);
}

fn pick_due(
    picker: &mut Picker,
    peer: PeerKey,
    want: u32,
    hurry: Hurry,
) -> Vec<(u32, u32, u32, bool, bool)> {
    let mut out = Vec::new();
    picker.pick_due(at(0), (peer, PeerPieces::All), want, hurry, &mut out);
    shape(&out)
}

/// Bytes a second that are so many blocks.
fn blocks(number: u64) -> u64 {
    number * u64::from(BLOCK_LEN)
}

#[test]
fn due_pieces_come_in_the_order_of_their_times_and_no_other_way() {
    let mut picker = picker(6, 2);
    picker.peer_joined_full();
    due(&mut picker, &[(9, 1), (3, 4)]);
    picker.set_rates([(A, blocks(100))]);
    let runs = pick(&mut picker, B, PeerPieces::All, 100);
    let ordinary: Vec<u32> = runs.iter().map(|run| run.piece.get()).collect();
    assert!(
        !ordinary.contains(&1) && !ordinary.contains(&4),
        "{ordinary:?}"
    );
    let runs = pick_due(&mut picker, A, 3, Hurry::InTime);
    assert_eq!(runs, [(4, 0, 2, true, false), (1, 0, 1, true, false)]);
    let runs = pick_due(&mut picker, B, 9, Hurry::Anyhow);
    assert_eq!(runs, [(1, 1, 2, false, false)]);
}

#[test]
fn a_slow_peer_is_given_what_it_can_bring_in_time() {
    let mut picker = picker(6, 4);
    picker.peer_joined_full();
    due(&mut picker, &[(1, 0), (2, 1), (8, 2)]);
    picker.set_rates([(A, blocks(1)), (B, blocks(10))]);
    // One block by 1 s, none more by 2 s but one, and so on: it never holds more than it can bring.
    let runs = pick_due(&mut picker, A, 9, Hurry::InTime);
    assert_eq!(
        runs,
        [
            (0, 0, 1, true, false),
            (1, 0, 1, true, false),
            (2, 0, 4, true, false)
        ]
    );
    assert_eq!(pick_due(&mut picker, A, 9, Hurry::InTime), []);
    // The fast one is asked for all that is left, late or not.
    let runs = pick_due(&mut picker, B, 9, Hurry::InTime);
    assert_eq!(
        runs[..3],
        [
            (0, 1, 4, false, false),
            (0, 0, 1, false, true),
            (1, 1, 4, false, false)
        ]
    );
}

#[test]
fn a_peer_that_turns_out_to_be_fast_is_given_whole_pieces_one_after_the_other() {
    let mut picker = picker(6, 8);
    picker.peer_joined_full();
    due(&mut picker, &[(0, 0), (0, 1), (0, 2)]);
    // Nobody knows: some of each.
    assert!(!picker.knows_rate_of(A));
    let runs = pick_due(&mut picker, A, 6, Hurry::InTime);
    assert_eq!(runs, [(0, 0, 4, true, false), (1, 0, 2, true, false)]);
    picker.set_rate(A, 0);
    assert!(!picker.knows_rate_of(A), "nothing has come");
    picker.set_rate(A, blocks(9));
    assert!(picker.knows_rate_of(A));
    let runs = pick_due(&mut picker, A, 9, Hurry::InTime);
    assert_eq!(runs, [(0, 4, 8, false, false), (1, 2, 7, false, false)]);
    // Whoever is not known yet is tried with what has time, and nothing has.
    assert_eq!(pick_due(&mut picker, B, 9, Hurry::InTime), []);
}

#[test]
fn blocks_that_would_be_late_are_asked_from_a_fast_peer_as_well() {
    let mut picker = picker(6, 4);
    picker.peer_joined_full();
    picker.set_rates([(A, blocks(1))]);
    due(&mut picker, &[(30, 0)]);
    assert_eq!(
        pick_due(&mut picker, A, 4, Hurry::InTime),
        [(0, 0, 4, true, false)]
    );
    picker.set_rates([(A, blocks(1)), (B, blocks(10))]);
    assert_eq!(
        pick_due(&mut picker, B, 4, Hurry::InTime),
        [],
        "it has time"
    );
    due(&mut picker, &[(2, 0)]);
    let runs = pick_due(&mut picker, B, 4, Hurry::InTime);
    assert_eq!(runs, [(0, 0, 4, false, true)]);
    let first = piece(&picker, 0);
    let superfluous = picker.written_run(B, first, 0, 4);
    assert_eq!(superfluous.len(), 4);
    assert_eq!((picker.held_by(A), picker.held_by(B)), (0, 0));
}

#[test]
fn what_is_not_due_any_more_is_chosen_as_before() {
    let mut picker = picker(6, 2);
    picker.peer_joined_full();
    due(
        &mut picker,
        &[(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5)],
    );
    assert_eq!(pick(&mut picker, A, PeerPieces::All, 100), []);
    assert_eq!(
        pick_due(&mut picker, A, 1, Hurry::InTime),
        [(0, 0, 1, true, false)]
    );
    due(&mut picker, &[]);
    assert!(!picker.has_due());
    let runs = pick(&mut picker, A, PeerPieces::All, 100);
    let all: u32 = runs.iter().map(Run::len).sum();
    assert_eq!(all, 11);
}

#[test]
fn end_game_waits_for_what_is_due_and_unwanted_pieces_are_never_due() {
    let mut picker = picker(3, 2);
    picker.peer_joined_full();
    let [second, third] = [1, 2].map(|index| piece(&picker, index));
    picker.set_priority(third, Priority::SKIP);
    due(&mut picker, &[(5, 1), (5, 2)]);
    assert_eq!(pick(&mut picker, A, PeerPieces::All, 9).len(), 1);
    // All but what is due is in flight.
    assert_eq!(pick(&mut picker, B, PeerPieces::All, 9), []);
    let runs = pick_due(&mut picker, B, 9, Hurry::From(second));
    assert_eq!(runs, [(1, 0, 2, true, false)]);
    assert!(
        !pick(&mut picker, B, PeerPieces::All, 9).is_empty(),
        "end-game"
    );
}
