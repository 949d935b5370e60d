//! The picker against a naive model, and its preferences case by case.

mod ahead;
mod due;
mod model;
mod stretch;
mod swarm;

use protocol::geometry::BLOCK_LEN;
use rand::RngExt;

use super::*;

const A: PeerKey = PeerKey(1);
const B: PeerKey = PeerKey(2);
const C: PeerKey = PeerKey(3);
const D: PeerKey = PeerKey(4);

/// A picker over `pieces` pieces of `blocks` blocks, at least 4 of them had so that first pieces are not random.
fn picker(pieces: u32, blocks: u32) -> Picker {
    let piece_len = u64::from(blocks * BLOCK_LEN);
    let geometry = Geometry::new(u64::from(pieces + RICH) * piece_len, piece_len).unwrap();
    let mut have = Bitfield::new(pieces + RICH);
    for piece in pieces..pieces + RICH {
        have.insert(geometry.piece(piece).unwrap());
    }
    Picker::new(geometry, &have, 7)
}

/// Pieces had from the start by [`picker`].
const RICH: u32 = 4;

fn piece(picker: &Picker, index: u32) -> PieceIndex {
    picker.geometry.piece(index).unwrap()
}

fn set(picker: &Picker, indices: &[u32]) -> Bitfield {
    let mut set = Bitfield::new(picker.geometry.pieces());
    for index in indices {
        set.insert(piece(picker, *index));
    }
    set
}

fn pick(picker: &mut Picker, peer: PeerKey, has: PeerPieces<'_>, want: u32) -> Vec<Run> {
    let mut out = Vec::new();
    picker.pick(peer, has, want, &mut out);
    out
}

fn shape(runs: &[Run]) -> Vec<(u32, u32, u32, bool, bool)> {
    runs.iter()
        .map(|run| {
            let Run {
                piece,
                from,
                to,
                fresh,
                duplicate,
            } = *run;
            (piece.get(), from, to, fresh, duplicate)
        })
        .collect()
}

/// Everything that a full peer may be given, as `(piece, block)`.
fn drain(picker: &mut Picker, peer: PeerKey) -> Vec<(u32, u32)> {
    let runs = pick(picker, peer, PeerPieces::All, u32::MAX);
    let mut blocks: Vec<_> = runs
        .iter()
        .flat_map(|run| (run.from..run.to).map(|block| (run.piece.get(), block)))
        .collect();
    blocks.sort_unstable();
    blocks
}

#[test]
fn the_rarest_piece_is_begun_first() {
    let mut picker = picker(3, 2);
    picker.peer_joined_full();
    let common = set(&picker, &[0, 2]);
    picker.peer_bitfield_added(&common);
    picker.peer_have(piece(&picker, 0));
    assert_eq!(
        shape(&pick(&mut picker, A, PeerPieces::All, 6)),
        [
            (1, 0, 2, true, false),
            (2, 0, 2, true, false),
            (0, 0, 2, true, false)
        ]
    );
}

#[test]
fn a_piece_that_a_peer_left_becomes_rarer() {
    let mut picker = picker(2, 1);
    picker.peer_joined_full();
    let (both, first) = (set(&picker, &[0, 1]), set(&picker, &[0]));
    picker.peer_bitfield_added(&both);
    picker.peer_bitfield_added(&first);
    picker.peer_bitfield_added(&first);
    for gone in [&both, &first, &first] {
        picker.peer_bitfield_removed(gone);
    }
    picker.peer_have(piece(&picker, 1));
    assert_eq!(
        shape(&pick(&mut picker, A, PeerPieces::All, 1)),
        [(0, 0, 1, true, false)]
    );
}

#[test]
fn a_higher_priority_comes_before_rarity_and_before_begun_pieces() {
    let mut picker = picker(3, 2);
    picker.peer_joined_full();
    picker.set_sequential(true);
    assert_eq!(
        shape(&pick(&mut picker, A, PeerPieces::All, 1)),
        [(0, 0, 1, true, false)]
    );
    picker.set_sequential(false);
    picker.set_priority(piece(&picker, 2), Priority::TOP);
    picker.set_priority(piece(&picker, 1), Priority::SKIP);
    assert_eq!(
        shape(&pick(&mut picker, A, PeerPieces::All, 9)),
        [(2, 0, 2, true, false), (0, 1, 2, false, false)]
    );
}

#[test]
fn a_peer_completes_what_it_began_before_anything_else() {
    let mut picker = picker(4, 8);
    picker.peer_joined_full();
    let first = pick(&mut picker, A, PeerPieces::All, 3);
    let own = first[0].piece;
    // The other peer's pipeline holds a whole piece, so it leaves this one alone.
    let other = pick(&mut picker, B, PeerPieces::All, 8);
    assert_ne!(other[0].piece, own);
    assert!(other[0].fresh && other[0].len() == 8);
    let second = pick(&mut picker, A, PeerPieces::All, 3);
    assert_eq!(shape(&second), [(own.get(), 3, 6, false, false)]);
}

#[test]
fn a_slow_peer_helps_with_a_begun_piece_before_it_begins_one() {
    let mut picker = picker(4, 8);
    picker.peer_joined_full();
    let begun = pick(&mut picker, A, PeerPieces::All, 2)[0].piece;
    assert_eq!(
        shape(&pick(&mut picker, B, PeerPieces::All, 2)),
        [(begun.get(), 2, 4, false, false)]
    );
}

#[test]
fn a_fast_peer_takes_over_what_nobody_works_on() {
    let mut picker = picker(4, 8);
    picker.peer_joined_full();
    let begun = pick(&mut picker, A, PeerPieces::All, 2)[0].piece;
    picker.written_run(A, begun, 0, 1);
    picker.peer_gone(A);
    assert_eq!(
        shape(&pick(&mut picker, B, PeerPieces::All, 8))[0],
        (begun.get(), 1, 8, false, false)
    );
}

#[test]
fn a_piece_given_back_untouched_is_fresh_again() {
    let mut picker = picker(1, 4);
    picker.peer_joined_full();
    assert!(pick(&mut picker, A, PeerPieces::All, 4)[0].fresh);
    let only = piece(&picker, 0);
    picker.returned(A, only, 0..4);
    assert_eq!(picker.active_pieces(), 0);
    assert_eq!(
        shape(&pick(&mut picker, B, PeerPieces::All, 4)),
        [(0, 0, 4, true, false)]
    );
}

#[test]
fn sequential_mode_goes_by_index() {
    let mut picker = picker(300, 1);
    picker.peer_joined_full();
    picker.set_sequential(true);
    let lacks_first = {
        let indices: Vec<u32> = (1..300).collect();
        set(&picker, &indices)
    };
    picker.peer_bitfield_added(&lacks_first);
    let runs = pick(&mut picker, B, PeerPieces::Some(&lacks_first), 2);
    let got: Vec<u32> = runs.iter().map(|run| run.piece.get()).collect();
    assert_eq!(got, [1, 2]);
    let runs = pick(&mut picker, A, PeerPieces::All, 3);
    let got: Vec<u32> = runs.iter().map(|run| run.piece.get()).collect();
    assert_eq!(got, [0, 3, 4]);
    picker.returned(B, piece(&picker, 1), 0..1);
    let runs = pick(&mut picker, A, PeerPieces::All, 2);
    let got: Vec<u32> = runs.iter().map(|run| run.piece.get()).collect();
    assert_eq!(got, [1, 5]);
}

#[test]
fn first_pieces_are_random() {
    let geometry = Geometry::new(64 * 16_384, 16_384).unwrap();
    let firsts: std::collections::BTreeSet<u32> = (0..32)
        .map(|seed| {
            let mut picker = Picker::new(geometry, &Bitfield::new(64), seed);
            picker.peer_joined_full();
            // Piece 0 is the rarest: it would always come first if rarity counted.
            for index in 1..64 {
                picker.peer_have(geometry.piece(index).unwrap());
            }
            pick(&mut picker, A, PeerPieces::All, 1)[0].piece.get()
        })
        .collect();
    assert!(firsts.len() > 8, "{firsts:?}");
}

#[test]
fn end_game_doubles_the_fewest_held_blocks_of_others_only() {
    let mut picker = picker(1, 4);
    picker.peer_joined_full();
    pick(&mut picker, A, PeerPieces::All, 3);
    // One block is still missing: no doubles while it is.
    assert_eq!(
        shape(&pick(&mut picker, B, PeerPieces::All, 3)),
        [(0, 3, 4, false, false), (0, 0, 2, false, true)]
    );
    // Fewest holders first: block 2, then those held twice.
    assert_eq!(
        shape(&pick(&mut picker, C, PeerPieces::All, 2)),
        [(0, 2, 4, false, true)]
    );
    assert_eq!(
        shape(&pick(&mut picker, C, PeerPieces::All, 9)),
        [(0, 0, 2, false, true)]
    );
    // 0 and 1 have three holders now; 2 and 3 have two.
    assert_eq!(
        shape(&pick(&mut picker, D, PeerPieces::All, 9)),
        [(0, 2, 4, false, true)]
    );
    assert_eq!(pick(&mut picker, PeerKey(5), PeerPieces::All, 9), []);
    let only = piece(&picker, 0);
    let mut cancel = picker.written_run(A, only, 0, 1).to_vec();
    cancel.sort_unstable();
    assert_eq!(
        cancel,
        [
            Superfluous { peer: B, block: 0 },
            Superfluous { peer: C, block: 0 }
        ]
    );
}

#[test]
fn end_game_can_be_forbidden() {
    let mut picker = picker(1, 2);
    picker.peer_joined_full();
    picker.set_end_game(false);
    pick(&mut picker, A, PeerPieces::All, 2);
    assert_eq!(pick(&mut picker, B, PeerPieces::All, 2), []);
}

#[test]
fn a_block_that_no_peer_has_does_not_hold_up_end_game() {
    let mut picker = picker(2, 1);
    let has = set(&picker, &[0]);
    picker.peer_bitfield_added(&has);
    picker.peer_bitfield_added(&has);
    assert_eq!(
        pick(&mut picker, A, PeerPieces::Some(&has), 4).len(),
        1,
        "piece 1 is nowhere"
    );
    assert_eq!(
        shape(&pick(&mut picker, B, PeerPieces::Some(&has), 4)),
        [(0, 0, 1, false, true)]
    );
}

#[test]
fn a_busy_peer_is_given_no_doubles() {
    let mut picker = picker(2, 64);
    picker.peer_joined_full();
    pick(&mut picker, A, PeerPieces::All, 64);
    pick(&mut picker, B, PeerPieces::All, 64);
    assert_eq!(pick(&mut picker, A, PeerPieces::All, 64), []);
    let doubles = pick(&mut picker, C, PeerPieces::All, 64);
    assert_eq!(doubles.iter().map(Run::len).sum::<u32>(), 16);
}

#[test]
fn a_late_block_of_a_piece_put_back_counts() {
    let mut picker = picker(1, 3);
    picker.peer_joined_full();
    pick(&mut picker, A, PeerPieces::All, 3);
    picker.peer_gone(A);
    let only = piece(&picker, 0);
    assert!(picker.written_run(A, only, 1, 2).is_empty());
    assert_eq!(picker.wanted_left().blocks, 2);
    assert_eq!(drain(&mut picker, B), [(0, 0), (0, 2)]);
}

#[test]
fn a_failed_piece_is_missing_from_its_first_block_on() {
    let mut picker = picker(1, 2);
    picker.peer_joined_full();
    pick(&mut picker, A, PeerPieces::All, 2);
    let only = piece(&picker, 0);
    picker.written_run(A, only, 0, 2);
    picker.piece_full(only);
    assert_eq!(pick(&mut picker, B, PeerPieces::All, 2), []);
    assert!(!picker.is_finished());
    picker.failed(only);
    assert_eq!(
        shape(&pick(&mut picker, B, PeerPieces::All, 2)),
        [(0, 0, 2, true, false)]
    );
}

#[test]
fn a_failed_piece_is_taken_from_one_peer_at_a_time() {
    let mut picker = picker(2, 8);
    picker.peer_joined_full();
    let bad = pick(&mut picker, A, PeerPieces::All, 8)[0].piece;
    let other = pick(&mut picker, B, PeerPieces::All, 8)[0].piece;
    picker.written_run(A, bad, 0, 8);
    picker.piece_full(bad);
    picker.failed(bad);
    assert_eq!(
        shape(&pick(&mut picker, C, PeerPieces::All, 2)),
        [(bad.get(), 0, 2, true, false)]
    );
    // The rest is kept for the one who began it; others may double what is in flight.
    let doubles = pick(&mut picker, A, PeerPieces::All, 4);
    assert_eq!(shape(&doubles), [(other.get(), 0, 4, false, true)]);
    assert_eq!(
        shape(&pick(&mut picker, C, PeerPieces::All, 2)),
        [(bad.get(), 2, 4, false, false)]
    );
    picker.peer_gone(C);
    let rest = pick(&mut picker, A, PeerPieces::All, 8);
    assert_eq!(shape(&rest)[0], (bad.get(), 0, 8, true, false));
}

#[test]
fn a_lost_piece_is_wanted_again() {
    let mut picker = picker(1, 2);
    picker.peer_joined_full();
    let had = piece(&picker, 2);
    picker.lost(had);
    assert!(!picker.have().get(had));
    assert!(picker.interesting_have(had));
    assert_eq!(picker.wanted_left().pieces, 2);
    assert_eq!(drain(&mut picker, A), [(0, 0), (0, 1), (2, 0), (2, 1)]);
}

#[test]
fn a_peer_with_few_pieces_of_many_finds_the_rarest_of_them() {
    let mut picker = picker(100_000, 1);
    let most: Vec<u32> = (0..100_000).filter(|piece| *piece != 77_777).collect();
    let most = set(&picker, &most);
    let few = set(&picker, &[5, 50_000, 77_777]);
    picker.peer_bitfield_added(&most);
    picker.peer_bitfield_added(&few);
    let all_but_few: Vec<u32> = (0..100_000)
        .filter(|piece| ![5, 50_000, 77_777].contains(piece))
        .collect();
    // Everything else is rarer still, so the few are found only by searching the peer's bitfield.
    picker.peer_bitfield_removed(&set(&picker, &all_but_few));
    let runs = pick(&mut picker, B, PeerPieces::Some(&few), 9);
    let mut got: Vec<u32> = runs.iter().map(|run| run.piece.get()).collect();
    assert_eq!(got.remove(0), 77_777);
    got.sort_unstable();
    assert_eq!(got, [5, 50_000]);
    assert_eq!(pick(&mut picker, B, PeerPieces::Some(&few), 9), []);
    // A piece that comes back is found although the search had ended empty.
    picker.returned(B, piece(&picker, 5), 0..1);
    assert_eq!(
        shape(&pick(&mut picker, B, PeerPieces::Some(&few), 9)),
        [(5, 0, 1, true, false)]
    );
}

#[test]
fn a_piece_that_a_peer_has_no_more_is_not_given_out_though_a_search_had_found_it() {
    let mut picker = picker(40, 1);
    let others: Vec<u32> = (0..40)
        .filter(|piece| ![5, 17, 33].contains(piece))
        .collect();
    let mut few = set(&picker, &[5, 17, 33]);
    let fewer = set(&picker, &[5, 17, 33]);
    picker.peer_bitfield_added(&few);
    picker.peer_bitfield_added(&fewer);
    picker.peer_bitfield_added(&set(&picker, &others));
    let runs = pick(&mut picker, B, PeerPieces::Some(&few), 1);
    let begun = runs[0].piece;
    for piece in [5, 17, 33].map(|index| piece(&picker, index)) {
        if piece != begun {
            assert!(few.remove(piece));
            picker.peer_lost(B, piece);
            assert_eq!(picker.availability(piece), 1);
        }
    }
    assert_eq!(pick(&mut picker, B, PeerPieces::Some(&few), 9), []);
    assert_eq!(pick(&mut picker, C, PeerPieces::Some(&fewer), 9).len(), 2);
}

#[test]
fn copies_are_counted_whole_and_in_part() {
    let mut picker = picker(4, 1);
    assert_eq!(picker.distributed_copies(), (0, 0));
    picker.peer_joined_full();
    assert_eq!(picker.distributed_copies(), (1, 0));
    let half = set(&picker, &[0, 1, 2, 3]);
    picker.peer_bitfield_added(&half);
    assert_eq!(picker.distributed_copies(), (1, 500));
    picker.peer_left_full();
    assert_eq!(picker.distributed_copies(), (0, 500));
}

#[test]
fn common_pieces_are_found_in_order() {
    for len in [1, 7, 8, 63, 64, 65, 128, 200, 511, 512, 520, 1_100] {
        let geometry = Geometry::new(len, 1).unwrap();
        let mut rng = SmallRng::seed_from_u64(len);
        let density = if len > 300 { 40 } else { 8 };
        let mut random = || {
            let mut set = Bitfield::new(len as u32);
            for piece in geometry.iter() {
                if rng.random_ratio(1, density) {
                    set.insert(piece);
                }
            }
            set
        };
        for _ in 0..20 {
            let (a, b) = (random(), random());
            let common: Vec<u32> = a
                .ones()
                .filter(|index| b.get(geometry.piece(*index).unwrap()))
                .collect();
            for from in 0..len as u32 + 70 {
                let mut each = Vec::new();
                common::each_common(a.as_bytes(), b.as_bytes(), from, |index| each.push(index));
                let start = from / 64 * 64;
                let (before, after): (Vec<u32>, Vec<u32>) =
                    common.iter().partition(|index| **index < start);
                assert_eq!(each, [after, before].concat());
                assert_eq!(
                    common::first_common(a.as_bytes(), b.as_bytes(), from),
                    common.iter().copied().find(|index| *index >= from),
                    "{a:?} {b:?} from {from}"
                );
            }
        }
    }
}

#[test]
fn a_piece_that_was_begun_in_an_earlier_run_is_gone_on_with_before_another_is_begun() {
    let mut picker = picker(8, 16);
    let begun = piece(&picker, 5);
    picker.peer_joined_full();
    picker.written_before(begun, [0, 1, 2, 9]);
    assert_eq!(picker.active_pieces(), 1);
    assert_eq!(picker.wanted_left().blocks, 8 * 16 - 4);
    let runs = pick(&mut picker, A, PeerPieces::All, 16);
    let first: Vec<_> = shape(&runs).into_iter().take(2).collect();
    assert_eq!(first, [(5, 3, 9, false, false), (5, 10, 16, false, false)]);
    assert!(runs[2].fresh);
}

#[test]
fn pieces_are_begun_at_random_until_so_many_are_had_as_is_said() {
    for (random_first, rare) in [(RICH, true), (RICH + 1, false)] {
        let mut firsts = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let mut picker = picker(200, 1);
            picker.rng = SmallRng::seed_from_u64(seed);
            picker.set_manners(Manners {
                random_first,
                ..Manners::default()
            });
            picker.peer_joined_full();
            let others = set(&picker, &(1..200).collect::<Vec<_>>());
            picker.peer_bitfield_added(&others);
            let runs = pick(&mut picker, A, PeerPieces::All, 1);
            firsts.insert(runs[0].piece.get());
        }
        let only_rarest = firsts.into_iter().collect::<Vec<_>>() == [0];
        assert_eq!(only_rarest, rare, "{random_first}");
    }
}
