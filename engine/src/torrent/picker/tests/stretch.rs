//! Stretches for web seeds.

use proptest::prelude::*;

use super::*;

const BLOCKS: u32 = 2;

fn stretch(picker: &mut Picker, peer: PeerKey, want: u32, start: Start) -> Vec<(u32, u32, u32)> {
    let mut out = Vec::new();
    picker.pick_stretch(peer, PeerPieces::All, want, start, &mut out);
    out.iter()
        .map(|run| (run.piece.get(), run.from, run.to))
        .collect()
}

fn anywhere(picker: &mut Picker, peer: PeerKey, want: u32) -> Vec<(u32, u32, u32)> {
    stretch(picker, peer, want, Start::Anywhere)
}

#[test]
fn the_longest_gap_is_taken_from_its_start_and_gone_on_with() {
    let mut picker = picker(10, BLOCKS);
    picker.web_seed_joined_full();
    picker.verified(piece(&picker, 3));
    assert_eq!(anywhere(&mut picker, A, 3), [(4, 0, 2), (5, 0, 1)]);
    assert_eq!(anywhere(&mut picker, A, 3), [(5, 1, 2), (6, 0, 2)]);
    let rest = [(7, 0, 2), (8, 0, 2), (9, 0, 2), (0, 0, 2)];
    assert_eq!(anywhere(&mut picker, A, 8), rest);
    assert_eq!(picker.held_by(A), 14);
}

#[test]
fn what_no_peer_has_comes_before_what_some_have() {
    let mut picker = picker(8, BLOCKS);
    picker.web_seed_joined_full();
    let some = set(&picker, &[0, 1, 2, 3, 4, 7]);
    picker.peer_bitfield_added(&some);
    assert_eq!(anywhere(&mut picker, A, 4), [(5, 0, 2), (6, 0, 2)]);
    picker.peer_joined_full();
    assert_eq!(anywhere(&mut picker, B, 2), [(0, 0, 2)], "somebody has all");
}

#[test]
fn a_second_source_begins_in_the_middle_of_the_gap_that_the_first_is_coming_to() {
    let mut picker = picker(9, BLOCKS);
    picker.web_seed_joined_full();
    picker.web_seed_joined_full();
    assert_eq!(anywhere(&mut picker, A, 2), [(0, 0, 2)]);
    assert_eq!(anywhere(&mut picker, B, 2), [(5, 0, 2)]);
    assert_eq!(anywhere(&mut picker, A, 2), [(1, 0, 2)]);
    picker.peer_gone(A);
    assert_eq!(anywhere(&mut picker, B, 2), [(6, 0, 2)]);
    assert_eq!(anywhere(&mut picker, B, 6).len(), 3);
}

#[test]
fn higher_priorities_and_the_order_of_a_sequential_download_hold() {
    let mut picker = picker(6, BLOCKS);
    picker.web_seed_joined_full();
    picker.set_priority(piece(&picker, 4), Priority::TOP);
    picker.set_priority(piece(&picker, 0), Priority::SKIP);
    assert_eq!(anywhere(&mut picker, A, 4), [(4, 0, 2), (5, 0, 2)]);
    picker.set_sequential(true);
    assert_eq!(anywhere(&mut picker, A, 2), [(1, 0, 2)]);
}

#[test]
fn a_source_that_can_only_go_on_gets_what_lies_ahead() {
    let mut picker = picker(6, BLOCKS);
    picker.web_seed_joined_full();
    let from = |picker: &Picker, at| Start::From(piece(picker, at));
    picker.verified(piece(&picker, 3));
    let start = from(&picker, 2);
    assert_eq!(stretch(&mut picker, A, 4, start), [(2, 0, 2), (4, 0, 2)]);
    let start = from(&picker, 5);
    assert_eq!(stretch(&mut picker, A, 4, start), [(5, 0, 2)]);
    assert_eq!(stretch(&mut picker, A, 4, start), [], "0 and 1 lie behind");
}

#[test]
fn when_nothing_is_left_to_begin_others_are_helped_as_a_peer_would() {
    let mut picker = picker(1, 4);
    picker.web_seed_joined_full();
    picker.peer_joined_full();
    pick(&mut picker, B, PeerPieces::All, 2);
    let all = [(0, 2, 4), (0, 0, 2)];
    assert_eq!(anywhere(&mut picker, A, 9), all, "the last in end-game");
}

proptest! {
    #[test]
    fn sources_and_peers_share_a_torrent_without_getting_anything_twice(
        pieces in 1_u32..40,
        lacks in prop::collection::vec(any::<bool>(), 40),
        turns in prop::collection::vec((0_u8..4, 1_u32..12), 1..200),
    ) {
        let mut picker = picker(pieces, BLOCKS);
        picker.set_end_game(false);
        picker.web_seed_joined_full();
        let partial: Vec<u32> = (0..pieces).filter(|at| !lacks[*at as usize]).collect();
        let partial = set(&picker, &partial);
        picker.peer_bitfield_added(&partial);
        let mut given = std::collections::BTreeSet::new();
        let mut take = |runs: Vec<Run>| {
            runs.iter().all(|run| {
                (run.from..run.to).all(|block| given.insert((run.piece.get(), block)))
            })
        };
        for (who, want) in turns {
            let mut out = Vec::new();
            match who {
                0 => picker.pick(A, PeerPieces::All, want, &mut out),
                1 => picker.pick_stretch(B, PeerPieces::All, want, Start::Anywhere, &mut out),
                2 => {
                    let has = PeerPieces::Some(&partial);
                    picker.pick_stretch(C, has, want, Start::Anywhere, &mut out);
                    prop_assert!(out.iter().all(|run| partial.get(run.piece)));
                }
                _ => {
                    let start = Start::From(piece(&picker, want.min(pieces - 1)));
                    picker.pick_stretch(D, PeerPieces::All, want, start, &mut out);
                    prop_assert!(out.iter().all(|run| run.piece.get() >= want.min(pieces - 1)));
                }
            }
            let blocks: u32 = out.iter().map(Run::len).sum();
            prop_assert!(blocks <= want);
            prop_assert!(take(out), "a block was given out twice");
        }
        let rest = pick(&mut picker, A, PeerPieces::All, u32::MAX);
        prop_assert!(take(rest));
        let all = picker.held_by(A) + picker.held_by(B) + picker.held_by(C) + picker.held_by(D);
        prop_assert_eq!(all, pieces * BLOCKS, "nothing is lost");
    }
}
