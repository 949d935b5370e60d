//! Random sequences of operations on the picker and on a model that does everything by looking at every block.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Peers of the model; connections get new keys when they come back.
const PEERS: usize = 6;

#[derive(Clone, Debug)]
enum Op {
    Join {
        who: usize,
        full: bool,
        pieces: u64,
    },
    Leave(usize),
    Have(usize, u32),
    Gone(usize, u32),
    Pick(usize, u32),
    /// Delivers some of what the peer holds.
    Deliver(usize, u64),
    Return(usize, u64),
    Taken(usize, u64),
    /// A block that was not asked for, or not any more.
    Stray(usize, u32, u32),
    /// A block of an earlier run.
    Earlier(u32, u32),
    Verdict(u32, bool),
    Lose(u32),
    Priority(u32, u8),
    Priorities(Vec<u8>),
    Sequential(bool),
    EndGame(bool),
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..PEERS;
    prop_oneof![
        3 => (who.clone(), any::<bool>(), any::<u64>())
            .prop_map(|(who, full, pieces)| Op::Join { who, full, pieces }),
        1 => who.clone().prop_map(Op::Leave),
        2 => (who.clone(), 0..20_u32).prop_map(|(who, piece)| Op::Have(who, piece)),
        2 => (who.clone(), 0..20_u32).prop_map(|(who, piece)| Op::Gone(who, piece)),
        8 => (who.clone(), 0..30_u32).prop_map(|(who, want)| Op::Pick(who, want)),
        6 => (who.clone(), any::<u64>()).prop_map(|(who, which)| Op::Deliver(who, which)),
        2 => (who.clone(), any::<u64>()).prop_map(|(who, which)| Op::Return(who, which)),
        2 => (who.clone(), any::<u64>()).prop_map(|(who, which)| Op::Taken(who, which)),
        1 => (who, 0..20_u32, 0..8_u32).prop_map(|(who, p, b)| Op::Stray(who, p, b)),
        1 => (0..20_u32, 0..8_u32).prop_map(|(p, b)| Op::Earlier(p, b)),
        6 => (0..20_u32, prop::bool::weighted(0.7)).prop_map(|(p, good)| Op::Verdict(p, good)),
        1 => (0..20_u32).prop_map(Op::Lose),
        1 => (0..20_u32, 0..9_u8).prop_map(|(p, priority)| Op::Priority(p, priority)),
        1 => prop::collection::vec(0..8_u8, 0..20).prop_map(Op::Priorities),
        1 => any::<bool>().prop_map(Op::Sequential),
        1 => any::<bool>().prop_map(Op::EndGame),
    ]
}

#[derive(Clone, Debug, Default)]
struct Block {
    written: bool,
    holders: BTreeSet<PeerKey>,
    refused: BTreeSet<PeerKey>,
}

impl Block {
    fn give_back(&mut self, key: PeerKey) {
        if self.holders.remove(&key) {
            self.refused.clear();
        }
    }
}

struct Peer {
    key: PeerKey,
    full: bool,
    has: Bitfield,
}

struct Model {
    geometry: Geometry,
    picker: Picker,
    blocks: Vec<Vec<Block>>,
    had: Vec<bool>,
    full: Vec<bool>,
    failures: Vec<u32>,
    priority: Vec<u8>,
    end_game: bool,
    peers: BTreeMap<usize, Peer>,
    keys: u32,
}

impl Model {
    fn new(pieces: u32, blocks: u32, tail: u32, have: u64, seed: u64) -> Self {
        let piece_len = u64::from(blocks * BLOCK_LEN);
        let total = u64::from(pieces) * piece_len - u64::from(tail % (blocks * BLOCK_LEN));
        let geometry = Geometry::new(total, piece_len).unwrap();
        let mut had = Bitfield::new(pieces);
        for piece in geometry.iter().filter(|piece| have >> piece.get() & 1 == 1) {
            had.insert(piece);
        }
        Self {
            picker: Picker::new(geometry, &had, seed),
            blocks: geometry
                .iter()
                .map(|piece| vec![Block::default(); geometry.blocks_in(piece) as usize])
                .collect(),
            had: geometry.iter().map(|piece| had.get(piece)).collect(),
            full: vec![false; pieces as usize],
            failures: vec![0; pieces as usize],
            priority: vec![4; pieces as usize],
            end_game: true,
            peers: BTreeMap::new(),
            keys: 0,
            geometry,
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Join { who, full, pieces } => self.join(who, full, pieces),
            Op::Leave(who) => self.leave(who),
            Op::Have(who, piece) => self.have(who, piece),
            Op::Gone(who, piece) => self.gone(who, piece),
            Op::Pick(who, want) => self.pick(who, want),
            Op::Deliver(who, which) => self.deliver(who, which),
            Op::Return(who, which) => self.give_back(who, which),
            Op::Taken(who, which) => self.taken(who, which),
            Op::Stray(who, piece, block) => {
                if let Some(piece) = self.geometry.piece(piece)
                    && let Some(peer) = self.peers.get(&who)
                {
                    self.write(peer.key, piece, block);
                }
            }
            Op::Earlier(piece, block) => {
                if let Some(piece) = self.geometry.piece(piece) {
                    self.write(PeerKey::NOBODY, piece, block);
                }
            }
            Op::Verdict(piece, good) => self.verdict(piece, good),
            Op::Lose(piece) => {
                if let Some(piece) = self.geometry.piece(piece) {
                    self.picker.lost(piece);
                    self.had[piece.index()] = false;
                    self.failures[piece.index()] = 0;
                    self.reset(piece);
                }
            }
            Op::Priority(piece, priority) => {
                if let Some(piece) = self.geometry.piece(piece) {
                    self.picker.set_priority(piece, Priority::new(priority));
                    self.priority[piece.index()] = priority.min(7);
                }
            }
            Op::Priorities(priorities) => {
                self.picker.set_priorities(&priorities);
                for (own, new) in self.priority.iter_mut().zip(priorities) {
                    *own = new;
                }
            }
            Op::Sequential(on) => self.picker.set_sequential(on),
            Op::EndGame(on) => {
                self.picker.set_end_game(on);
                self.end_game = on;
            }
        }
    }

    fn join(&mut self, who: usize, full: bool, pieces: u64) {
        if self.peers.contains_key(&who) {
            return;
        }
        let mut has = Bitfield::new(self.geometry.pieces());
        if full {
            has = Bitfield::full(self.geometry.pieces());
            self.picker.peer_joined_full();
        } else {
            for piece in self.geometry.iter().filter(|p| pieces >> p.get() & 1 == 1) {
                has.insert(piece);
            }
            self.picker.peer_bitfield_added(&has);
        }
        self.keys += 1;
        let key = PeerKey(self.keys);
        self.peers.insert(who, Peer { key, full, has });
    }

    fn leave(&mut self, who: usize) {
        let Some(peer) = self.peers.remove(&who) else {
            return;
        };
        if peer.full {
            self.picker.peer_left_full();
        } else {
            self.picker.peer_bitfield_removed(&peer.has);
        }
        self.picker.peer_gone(peer.key);
        for block in self.blocks.iter_mut().flatten() {
            block.give_back(peer.key);
        }
    }

    fn have(&mut self, who: usize, piece: u32) {
        if let Some(peer) = self.peers.get_mut(&who)
            && let Some(piece) = self.geometry.piece(piece)
            && !peer.full
            && peer.has.insert(piece)
        {
            self.picker.peer_have(piece);
        }
    }

    fn gone(&mut self, who: usize, piece: u32) {
        if let Some(peer) = self.peers.get_mut(&who)
            && let Some(piece) = self.geometry.piece(piece)
        {
            if std::mem::take(&mut peer.full) {
                self.picker.peer_left_full();
                self.picker.peer_bitfield_added(&peer.has);
            }
            if peer.has.remove(piece) {
                self.picker.peer_lost(peer.key, piece);
            }
        }
    }

    fn playable(&self, piece: PieceIndex) -> bool {
        let index = piece.index();
        self.priority[index] > 0 && !self.had[index] && !self.full[index]
    }

    fn missing(&self, piece: PieceIndex) -> usize {
        let blocks = self.blocks[piece.index()].iter();
        blocks
            .filter(|block| !block.written && block.holders.is_empty())
            .count()
    }

    fn others_hold(&self, piece: PieceIndex, key: PeerKey) -> bool {
        let mut holders = self.blocks[piece.index()].iter().flat_map(|b| &b.holders);
        holders.any(|holder| *holder != key)
    }

    fn available(&self, piece: PieceIndex) -> bool {
        self.peers.values().any(|peer| peer.has.get(piece))
    }

    fn pick(&mut self, who: usize, want: u32) {
        let Some(peer) = self.peers.get(&who) else {
            return;
        };
        let (key, has) = (peer.key, peer.has.clone());
        let theirs = if peer.full {
            PeerPieces::All
        } else {
            PeerPieces::Some(&has)
        };
        let runs = pick(&mut self.picker, key, theirs, want);
        let given: u32 = runs.iter().map(Run::len).sum();
        assert!(given <= want);
        let single: u32 = runs.iter().filter(|r| !r.duplicate).map(Run::len).sum();
        let possible: usize = self
            .geometry
            .iter()
            .filter(|piece| has.get(*piece) && self.playable(*piece))
            .filter(|piece| self.failures[piece.index()] == 0 || !self.others_hold(*piece, key))
            .map(|piece| self.missing(piece))
            .sum();
        assert_eq!(
            single as usize,
            possible.min(want as usize),
            "everything possible is given"
        );
        for run in &runs {
            assert!(run.from < run.to);
            assert!(has.get(run.piece), "the peer lacks {:?}", run.piece);
            assert!(self.playable(run.piece), "{:?} is out of play", run.piece);
            if self.others_hold(run.piece, key) {
                let failures = self.failures[run.piece.index()];
                let most = if run.duplicate { 2 } else { 0 };
                assert!(failures <= most, "failed {failures} times: {run:?}");
            }
            let untouched = self.blocks[run.piece.index()]
                .iter()
                .all(|block| !block.written && block.holders.is_empty());
            assert_eq!(run.fresh, untouched, "{run:?}");
            for block in run.from..run.to {
                let block = &mut self.blocks[run.piece.index()][block as usize];
                assert!(!block.written);
                assert_eq!(block.holders.is_empty(), !run.duplicate);
                assert!(block.holders.insert(key), "given twice to one peer");
                let again = run.duplicate && block.refused.contains(&key);
                assert!(!again, "brought in vain, and given again");
                assert!(block.holders.len() <= 3);
            }
        }
        if runs.iter().any(|run| run.duplicate) {
            assert!(self.end_game);
            for piece in self.geometry.iter().filter(|piece| self.playable(*piece)) {
                let kept =
                    self.failures[piece.index()] > 0 && self.others_hold(piece, PeerKey(u32::MAX));
                let possible = self.available(piece) && self.missing(piece) > 0 && !kept;
                assert!(!possible, "doubled although {piece:?} has missing blocks");
            }
        }
    }

    fn held(&self, key: PeerKey) -> Vec<(PieceIndex, u32)> {
        self.geometry
            .iter()
            .flat_map(|piece| {
                let blocks = self.blocks[piece.index()].iter().enumerate();
                blocks
                    .filter(|(_, block)| block.holders.contains(&key))
                    .map(move |(block, _)| (piece, block as u32))
            })
            .collect()
    }

    /// Some of what the peer holds, as `which` says.
    fn some_held(&self, who: usize, which: u64) -> Option<(PeerKey, Vec<(PieceIndex, u32)>)> {
        let key = self.peers.get(&who)?.key;
        let held = self.held(key).into_iter().enumerate();
        let chosen = held
            .filter(|(at, _)| which >> (at % 64) & 1 == 1)
            .map(|(_, block)| block)
            .collect();
        Some((key, chosen))
    }

    fn deliver(&mut self, who: usize, which: u64) {
        let Some((key, chosen)) = self.some_held(who, which) else {
            return;
        };
        for (piece, block) in chosen {
            self.write(key, piece, block);
        }
    }

    fn write(&mut self, key: PeerKey, piece: PieceIndex, block: u32) {
        if block >= self.geometry.blocks_in(piece) {
            return;
        }
        let mut others: Vec<PeerKey> = self
            .picker
            .written_run(key, piece, block, block + 1)
            .iter()
            .map(|superfluous| superfluous.peer)
            .collect();
        others.sort_unstable();
        if self.had[piece.index()] || self.full[piece.index()] {
            assert!(others.is_empty());
            return;
        }
        let block = &mut self.blocks[piece.index()][block as usize];
        block.written = true;
        block.refused.clear();
        block.holders.remove(&key);
        let expected: Vec<_> = std::mem::take(&mut block.holders).into_iter().collect();
        assert_eq!(others, expected);
    }

    fn taken(&mut self, who: usize, which: u64) {
        let Some((key, chosen)) = self.some_held(who, which) else {
            return;
        };
        for (piece, at) in chosen {
            let block = &mut self.blocks[piece.index()][at as usize];
            block.holders.remove(&key);
            if block.holders.is_empty() {
                block.refused.clear();
            } else {
                block.refused.insert(key);
            }
            let mut others = self.picker.taken(key, piece, at);
            others.sort_unstable();
            assert!(block.holders.iter().eq(&others));
        }
    }

    fn give_back(&mut self, who: usize, which: u64) {
        let Some((key, chosen)) = self.some_held(who, which) else {
            return;
        };
        let mut by_piece: BTreeMap<PieceIndex, Vec<u32>> = BTreeMap::new();
        for (piece, block) in chosen {
            self.blocks[piece.index()][block as usize].give_back(key);
            by_piece.entry(piece).or_default().push(block);
        }
        for (piece, blocks) in by_piece {
            self.picker.returned(key, piece, blocks);
        }
    }

    fn verdict(&mut self, piece: u32, good: bool) {
        let Some(piece) = self.geometry.piece(piece) else {
            return;
        };
        let index = piece.index();
        let complete = self.blocks[index].iter().all(|block| block.written);
        if self.full[index] {
            self.full[index] = false;
            if good {
                self.picker.verified(piece);
                self.had[index] = true;
                self.failures[index] = 0;
            } else {
                self.picker.failed(piece);
                self.failures[index] += 1;
            }
            self.reset(piece);
        } else if complete && !self.had[index] {
            self.picker.piece_full(piece);
            self.full[index] = true;
        }
    }

    fn reset(&mut self, piece: PieceIndex) {
        self.full[piece.index()] = false;
        self.blocks[piece.index()].fill(Block::default());
    }

    fn check(&self) {
        let mut left = Left::default();
        let mut wanted_bytes = 0;
        for piece in self.geometry.iter() {
            let index = piece.index();
            assert_eq!(self.picker.have().get(piece), self.had[index]);
            let wanted = self.priority[index] > 0 && !self.had[index];
            assert_eq!(self.picker.interesting_have(piece), wanted);
            let holders = self.peers.values().filter(|peer| peer.has.get(piece));
            assert_eq!(
                self.picker.availability(piece) as usize,
                holders.count(),
                "{piece:?}"
            );
            if self.priority[index] > 0 {
                wanted_bytes += u64::from(self.geometry.len_of(piece));
            }
            if wanted {
                left.pieces += 1;
                left.bytes += u64::from(self.geometry.len_of(piece));
                if !self.full[index] {
                    let unwritten = self.blocks[index].iter().filter(|block| !block.written);
                    left.blocks += unwritten.count() as u64;
                }
            }
        }
        assert_eq!(self.picker.wanted_left(), left);
        assert_eq!(self.picker.wanted_bytes(), wanted_bytes);
        assert_eq!(self.picker.is_finished(), left.pieces == 0);
        for peer in self.peers.values() {
            let wanted = |piece: PieceIndex| self.picker.interesting_have(piece);
            let interesting = self
                .geometry
                .iter()
                .any(|piece| peer.has.get(piece) && wanted(piece));
            let has = PeerPieces::Some(&peer.has);
            assert_eq!(self.picker.is_interesting(has), interesting);
            let held = self.held(peer.key).len();
            assert_eq!(self.picker.held_by(peer.key) as usize, held);
        }
    }

    /// The picker's books against each other.
    fn check_books(&self) {
        let picker = &self.picker;
        let mut listed = 0;
        for class in 1..=7_u8 {
            let mut at = 0;
            for (bucket, members) in picker.rarity.buckets(class).enumerate() {
                for piece in members {
                    assert_eq!(picker.rarity.class_of(*piece), class);
                    assert_eq!(usize::from(picker.rarity.seen(*piece)), bucket);
                    assert_eq!(picker.rarity.members(class)[at], *piece);
                    at += 1;
                }
            }
            assert_eq!(picker.rarity.listed_in(class), at);
            listed += at as u32;
        }
        assert_eq!(picker.rarity.listed(), listed);
        assert_eq!(picker.open.count(), listed);
        let mut available = 0;
        let mut copies: Vec<usize> = Vec::new();
        for piece in self.geometry.iter() {
            let class = picker.rarity.class_of(piece.get());
            assert_eq!(picker.open.get(piece), class > 0);
            assert!(!picker.open.get(piece) || piece.get() >= picker.first_open);
            available += u32::from(class > 0 && self.available(piece));
            copies.push(
                self.peers
                    .values()
                    .filter(|peer| peer.has.get(piece))
                    .count(),
            );
        }
        assert_eq!(picker.rarity.available(), available);
        let least = copies.iter().copied().min().unwrap();
        let more = copies.iter().filter(|count| **count > least).count();
        let share = more * 1000 / copies.len();
        assert_eq!(picker.distributed_copies(), (least as u32, share as u32));
        for (slot, partial) in picker.partials.iter().enumerate() {
            assert_eq!(picker.slot(partial.piece), Some(slot));
            let at = picker.hungry.iter().position(|other| *other == slot as u32);
            assert_eq!(partial.hungry_at.map(|at| at as usize), at);
            let wanted = self.priority[partial.piece.index()] > 0;
            assert_eq!(at.is_some(), wanted && partial.missing() > 0);
        }
        assert_eq!(picker.begun.len(), picker.partials.len());
    }

    /// After everybody left, one peer that has everything brings the rest.
    fn finish(&mut self) {
        for who in 0..PEERS {
            self.leave(who);
        }
        self.join(0, true, 0);
        for _ in 0..4 * self.geometry.pieces() {
            self.pick(0, 5);
            self.deliver(0, u64::MAX);
            for piece in 0..self.geometry.pieces() {
                self.verdict(piece, true);
            }
        }
        for piece in 0..self.geometry.pieces() {
            self.verdict(piece, true);
        }
        self.check();
        assert!(self.picker.is_finished(), "something was lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_a_model_that_looks_at_every_block(
        pieces in 1..20_u32,
        blocks in 1..7_u32,
        tail in any::<u32>(),
        have in any::<u64>(),
        some_had in any::<bool>(),
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let mut model = Model::new(pieces, blocks, tail, if some_had { have } else { 0 }, seed);
        model.check();
        for op in ops {
            model.apply(op);
            model.check();
            model.check_books();
        }
        model.finish();
    }
}
