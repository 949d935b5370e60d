//! Finding the peer that sent the bad block of a bad piece, and nobody else.
//!
//! A piece that fails its hash and came from one peer convicts that peer. If it came from several, what each of them
//! sent is remembered by digest; when the piece is right at last, a block that differs from the right one convicts its
//! sender.

use std::collections::{BTreeMap, VecDeque};

use protocol::geometry::{Geometry, PieceIndex};

use crate::peer::key::PeerKey;

/// Blocks remembered, over all pieces: 2 MiB of memory at most. The piece that failed longest ago is forgotten first.
const MAX_BLOCKS: usize = 64 * 1024;

/// The digest of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 20]);

/// A block of a piece, and who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    /// The block's index in its piece.
    pub block: u32,
    /// The connection that it came over.
    pub from: PeerKey,
    /// What came.
    pub digest: Digest,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct SmartBan {
    geometry: Geometry,
    /// What was sent of pieces that failed.
    suspects: BTreeMap<PieceIndex, Vec<Sent>>,
    /// Those pieces, in the order of their last failure.
    order: VecDeque<PieceIndex>,
    blocks: usize,
}

impl SmartBan {
    /// Nobody is under suspicion.
    pub fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            suspects: BTreeMap::new(),
            order: VecDeque::new(),
            blocks: 0,
        }
    }

    /// Whether the piece failed before, so that its blocks should be digested when it passes too.
    pub fn suspects(&self, piece: PieceIndex) -> bool {
        self.suspects.contains_key(&piece)
    }

    /// The piece is wrong; `sent` are its blocks, those whose sender is known. Gives the culprit, if all blocks came
    /// from one peer.
    pub fn piece_failed(&mut self, piece: PieceIndex, sent: &[Sent]) -> Vec<PeerKey> {
        let blocks = self.geometry.blocks_in(piece) as usize;
        if let Some(first) = sent.first()
            && sent.len() >= blocks
            && sent.iter().all(|block| block.from == first.from)
        {
            // What others sent before is judged when the piece passes.
            return vec![first.from];
        }
        let known = self.suspects.entry(piece).or_default();
        let before = known.len();
        known.extend_from_slice(sent);
        known.sort_unstable();
        known.dedup();
        self.blocks += known.len() - before;
        self.order.retain(|other| *other != piece);
        self.order.push_back(piece);
        while self.blocks > MAX_BLOCKS
            && let Some(oldest) = self.order.front().copied()
        {
            self.forget(oldest);
        }
        Vec::new()
    }

    /// The piece is right; `sent` are its blocks. Gives whoever sent other blocks in their place before.
    pub fn piece_passed(&mut self, piece: PieceIndex, sent: &[Sent]) -> Vec<PeerKey> {
        let Some(suspects) = self.suspects.get(&piece) else {
            return Vec::new();
        };
        let right: BTreeMap<u32, Digest> =
            sent.iter().map(|sent| (sent.block, sent.digest)).collect();
        let mut culprits: Vec<PeerKey> = suspects
            .iter()
            .filter(|suspect| {
                right
                    .get(&suspect.block)
                    .is_some_and(|digest| *digest != suspect.digest)
            })
            .map(|suspect| suspect.from)
            .collect();
        culprits.sort_unstable();
        culprits.dedup();
        self.forget(piece);
        culprits
    }

    /// Drops what is remembered of a piece.
    pub fn forget(&mut self, piece: PieceIndex) {
        if let Some(known) = self.suspects.remove(&piece) {
            self.blocks -= known.len();
            self.order.retain(|other| *other != piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use protocol::geometry::BLOCK_LEN;

    use super::*;

    const A: PeerKey = PeerKey(1);
    const B: PeerKey = PeerKey(2);
    const C: PeerKey = PeerKey(3);
    const RIGHT: u8 = 0;

    fn ban(pieces: u64, blocks: u32) -> SmartBan {
        let len = u64::from(blocks * BLOCK_LEN);
        SmartBan::new(Geometry::new(pieces * len, len).unwrap())
    }

    fn piece(ban: &SmartBan, index: u32) -> PieceIndex {
        ban.geometry.piece(index).unwrap()
    }

    /// Blocks of a piece in order: who sent each, and what.
    fn sent(blocks: &[(PeerKey, u8)]) -> Vec<Sent> {
        blocks
            .iter()
            .zip(0..)
            .map(|((from, content), block)| Sent {
                block,
                from: *from,
                digest: Digest([*content; 20]),
            })
            .collect()
    }

    #[test]
    fn a_sole_sender_is_convicted_at_once() {
        let mut ban = ban(1, 3);
        let bad = piece(&ban, 0);
        let blocks = sent(&[(A, RIGHT), (A, 7), (A, RIGHT)]);
        assert_eq!(ban.piece_failed(bad, &blocks), [A]);
        assert!(!ban.suspects(bad));
    }

    #[test]
    fn who_sent_only_what_is_known_of_a_piece_is_not_its_sole_sender() {
        let mut ban = ban(1, 3);
        let bad = piece(&ban, 0);
        let known = sent(&[(A, RIGHT), (A, RIGHT)]);
        assert_eq!(ban.piece_failed(bad, &known), []);
    }

    #[test]
    fn of_several_senders_the_one_of_the_bad_block_is_convicted() {
        let mut ban = ban(2, 3);
        let bad = piece(&ban, 0);
        let first = sent(&[(A, RIGHT), (B, 7), (C, RIGHT)]);
        assert_eq!(ban.piece_failed(bad, &first), []);
        assert!(ban.suspects(bad));
        let other = piece(&ban, 1);
        assert_eq!(ban.piece_passed(other, &first), []);
        let second = sent(&[(C, RIGHT), (A, RIGHT), (A, RIGHT)]);
        assert_eq!(ban.piece_passed(bad, &second), [B]);
        assert!(!ban.suspects(bad));
    }

    #[test]
    fn several_attempts_and_several_culprits_are_remembered() {
        let mut ban = ban(1, 3);
        let bad = piece(&ban, 0);
        ban.piece_failed(bad, &sent(&[(A, RIGHT), (B, 7), (B, RIGHT)]));
        ban.piece_failed(bad, &sent(&[(A, RIGHT), (A, RIGHT), (C, 9)]));
        assert_eq!(ban.blocks, 5, "the block that came twice counts once");
        let right = sent(&[(A, RIGHT), (A, RIGHT), (A, RIGHT)]);
        assert_eq!(ban.piece_passed(bad, &right), [B, C]);
        assert_eq!(ban.blocks, 0);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_failure_forgotten() {
        let mut ban = ban(2_000, 64);
        for index in 0..2_000 {
            let mut blocks = [(A, RIGHT); 64];
            blocks[0] = (B, 1);
            ban.piece_failed(piece(&ban, index), &sent(&blocks));
        }
        assert!(ban.blocks <= MAX_BLOCKS);
        assert!(!ban.suspects(piece(&ban, 0)));
        assert!(ban.suspects(piece(&ban, 1_999)));
        assert_eq!(ban.suspects.len(), ban.order.len());
    }

    #[test]
    fn a_forgotten_piece_convicts_nobody() {
        let mut ban = ban(1, 2);
        let bad = piece(&ban, 0);
        ban.piece_failed(bad, &sent(&[(A, 1), (B, RIGHT)]));
        ban.forget(bad);
        assert_eq!(ban.blocks, 0);
        assert_eq!(ban.piece_passed(bad, &sent(&[(B, RIGHT), (B, RIGHT)])), []);
    }

    proptest! {
        #[test]
        fn liars_are_convicted_and_nobody_else(
            attempts in prop::collection::vec(
                prop::collection::vec((0..6_u32, any::<bool>()), 8),
                1..6,
            ),
            liars in prop::collection::btree_set(0..6_u32, 0..4),
        ) {
            let mut ban = ban(1, 8);
            let piece = piece(&ban, 0);
            let mut lied = BTreeSet::new();
            let mut convicted = BTreeSet::new();
            for attempt in &attempts {
                let blocks: Vec<(PeerKey, u8)> = attempt
                    .iter()
                    .map(|(from, lies)| (PeerKey(*from), u8::from(*lies && liars.contains(from))))
                    .collect();
                let sent = sent(&blocks);
                if blocks.iter().all(|(_, content)| *content == RIGHT) {
                    convicted.extend(ban.piece_passed(piece, &sent));
                    continue;
                }
                lied.extend(blocks.iter().filter(|(_, c)| *c != RIGHT).map(|(from, _)| *from));
                convicted.extend(ban.piece_failed(piece, &sent));
            }
            prop_assert!(convicted.is_subset(&lied));
            // An honest peer brings the whole piece at last.
            convicted.extend(ban.piece_passed(piece, &sent(&[(PeerKey(99), RIGHT); 8])));
            prop_assert_eq!(convicted, lied);
        }
    }
}
