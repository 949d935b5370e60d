//! Which blocks of a bad piece are bad, in a torrent with a v2 part (BEP 52): peers have the hash of every block.
//!
//! A piece that fails is put on trial: its leaves, as they are on disk, wait for the right ones, which a peer is asked for
//! and which must lead to the piece's hash. Then only the blocks that differ are fetched again, and whoever sent them is
//! banned. Where no peer gives the leaves, the whole piece is fetched again, as in a torrent without v2 part.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::geometry::PieceIndex;
use protocol::merkle::{Hash, Proof, Span};
use protocol::peer::HashRequest;
use smallvec::SmallVec;
use storage::BlockState;

use crate::content::Traffic;
use crate::metrics::Counters;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Order;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::picker::PeerPieces;
use crate::torrent::smart_ban::Digest;

/// Pieces on trial at a time.
const MOST: usize = 64;

/// Leaves that are asked for at a time: 16 KiB of them.
const PART: u32 = 512;

/// Leaves of a piece that is put on trial at most: 128 MiB of content.
const MOST_LEAVES: usize = 8192;

/// Peers that are asked for the leaves of a piece.
const TRIES: usize = 4;

/// How long a peer may take to give leaves.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pieces on trial.
#[derive(Debug, Default)]
pub(crate) struct Trials(BTreeMap<PieceIndex, Trial>);

impl Trials {
    /// Whether no piece is on trial.
    pub(super) fn are_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is known of a piece that failed: found out on the Disk.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// The root of its file.
    root: Hash,
    /// What to ask for.
    spans: Vec<Span>,
    /// Its leaves as they are on disk.
    leaves: Vec<Hash>,
}

#[derive(Debug)]
struct Trial {
    evidence: Evidence,
    /// The digests of its blocks, should no peer have the leaves.
    blocks: Vec<Digest>,
    /// The right leaves, by part.
    right: Vec<Option<Vec<Hash>>>,
    /// Who is asked, and since when.
    asked: Option<(PeerKey, Instant)>,
    tried: SmallVec<[PeerKey; TRIES]>,
}

impl Evidence {
    /// Of a piece that is in the store; none where its blocks have no hashes of their own.
    pub(super) fn gather(content: &crate::content::Content, piece: PieceIndex) -> Option<Self> {
        let place = content.trees.as_ref()?.place(piece)?;
        let spans: Vec<Span> = place.tree.leaf_spans(place.piece, PART).collect();
        if spans.is_empty() {
            return None;
        }
        let leaves = content.store.leaves(piece).ok()?;
        (leaves.len() <= MOST_LEAVES).then(|| Self {
            root: *place.tree.root(),
            spans,
            leaves,
        })
    }
}

impl Trials {
    /// Puts a piece on trial, if there is room; else gives back what is known of its blocks.
    pub(super) fn begin(
        &mut self,
        piece: PieceIndex,
        evidence: Evidence,
        blocks: Vec<Digest>,
    ) -> Result<(), Vec<Digest>> {
        if self.0.len() >= MOST {
            return Err(blocks);
        }
        let trial = Trial {
            right: vec![None; evidence.spans.len()],
            evidence,
            blocks,
            asked: None,
            tried: SmallVec::new(),
        };
        self.0.insert(piece, trial);
        Ok(())
    }

    /// The piece and part that a request is about, if this peer was asked.
    fn find(&mut self, key: PeerKey, request: &HashRequest) -> Option<(PieceIndex, usize)> {
        let asked = self.0.iter().filter(|(_, trial)| {
            let whom = trial.asked.map(|(key, _)| key);
            whom == Some(key) && trial.evidence.root == request.root
        });
        let mut parts = asked.filter_map(|(piece, trial)| {
            let mut spans = trial.evidence.spans.iter();
            let part = spans.position(|span| *span == request.span())?;
            Some((*piece, part))
        });
        parts.next()
    }
}

impl Torrent {
    /// Asks the next peer for the leaves of a piece on trial; without one, all of the piece is fetched again.
    pub(super) fn ask_leaves(&mut self, piece: PieceIndex) {
        let now = now();
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        let Some(trial) = active.trials.0.get_mut(&piece) else {
            return;
        };
        let state = active.pieces.get(&piece);
        let sent = |key: PeerKey| {
            let blocks = state.iter().flat_map(|state| {
                let of = move |block| state.contributor(block);
                (0..state.blocks()).filter_map(of)
            });
            blocks.into_iter().any(|who| who == key.0)
        };
        let able = self.peers.iter().filter(|(key, peer)| {
            let has = match peer.pieces() {
                PeerPieces::All => true,
                PeerPieces::Some(set) => set.get(piece),
                PeerPieces::None => false,
            };
            peer.v2 && has && !trial.tried.contains(key)
        });
        // Who had no part in the piece is asked first.
        let chosen = able.min_by_key(|(key, _)| (sent(*key), *key));
        let Some((key, peer)) = chosen.filter(|_| trial.tried.len() < TRIES) else {
            self.fetch_again(piece);
            return;
        };
        trial.tried.push(key);
        trial.asked = Some((key, now));
        let missing = trial.evidence.spans.iter().zip(&trial.right);
        let requests = missing
            .filter(|(_, right)| right.is_none())
            .map(|(span, _)| HashRequest::new(trial.evidence.root, *span));
        peer.order(Order::AskHashes(requests.collect()));
    }

    /// Leaves came of a piece on trial.
    pub(super) fn on_leaves(&mut self, key: PeerKey, request: &HashRequest, proof: Option<Proof>) {
        let Some(active) = self.active() else { return };
        let Some((piece, part)) = active.trials.find(key, request) else {
            return;
        };
        let trees = active.content.trees.clone();
        let place = trees.as_ref().and_then(|trees| trees.place(piece));
        let admits = |proof: &Proof| {
            place.is_some_and(|place| place.tree.admits_leaves(request.span(), proof))
        };
        let Some(proof) = proof.filter(admits) else {
            self.ban(key);
            self.ask_leaves(piece);
            return;
        };
        let Some(trial) = active.trials.0.get_mut(&piece) else {
            return;
        };
        if let Some(right) = trial.right.get_mut(part) {
            *right = Some(proof.hashes);
        }
        if trial.right.iter().all(Option::is_some) {
            self.convict(piece);
        }
    }

    /// A peer does not give leaves that it was asked for.
    pub(super) fn on_leaves_rejected(&mut self, key: PeerKey, request: &HashRequest) {
        let found = self
            .active()
            .and_then(|active| active.trials.find(key, request));
        if let Some((piece, _)) = found {
            self.ask_leaves(piece);
        }
    }

    /// Asks others where a peer has gone or does not answer.
    pub(super) fn look_after_trials(&mut self, now: Instant, gone: Option<PeerKey>) {
        let Some(active) = self.active() else { return };
        let waiting = active.trials.0.iter().filter(|(_, trial)| {
            trial.asked.is_none_or(|(key, since)| {
                gone == Some(key) || now.saturating_duration_since(since) >= PATIENCE
            })
        });
        let waiting: Vec<PieceIndex> = waiting.map(|(piece, _)| *piece).collect();
        for piece in waiting {
            self.ask_leaves(piece);
        }
    }

    /// All right leaves are known: the blocks that differ are fetched again, and their senders banned.
    fn convict(&mut self, piece: PieceIndex) {
        let Some(active) = self.active() else { return };
        let Some(trial) = active.trials.0.get(&piece) else {
            return;
        };
        let right = trial.right.iter().flatten().flatten();
        let bad: Vec<u32> = (0_u32..)
            .zip(trial.evidence.leaves.iter().zip(right))
            .filter(|(_, (is, due))| is != due)
            .map(|(block, _)| block)
            .collect();
        let state = active.pieces.get(&piece).cloned();
        let Some(state) = state.filter(|_| !bad.is_empty()) else {
            // What was hashed is not there any more.
            self.fetch_again(piece);
            return;
        };
        active.trials.0.remove(&piece);
        active.smart_ban.forget(piece);
        let mut culprits: Vec<PeerKey> = bad
            .iter()
            .filter_map(|block| state.contributor(*block).map(PeerKey))
            .collect();
        culprits.sort_unstable();
        culprits.dedup();
        let geometry = active.content.geometry;
        let mut wasted = 0;
        for block in &bad {
            state.reset_block(*block);
            let block = geometry.block(piece, *block);
            wasted += block.map_or(0, |block| u64::from(geometry.block_len(block)));
        }
        active.picker.failed(piece);
        let written = |block: &u32| state.state(*block) == BlockState::Written;
        let good = (0..state.blocks()).filter(written);
        active.picker.written_before(piece, good);
        tracing::debug!(piece = piece.get(), ?bad, "blocks were bad");
        self.after_failure(wasted, culprits);
    }

    /// Nobody knows which block is bad: all of the piece is fetched again.
    fn fetch_again(&mut self, piece: PieceIndex) {
        let Some(active) = self.active() else { return };
        if let Some(trial) = active.trials.0.remove(&piece) {
            let (wasted, culprits) = active.condemn(piece, &trial.blocks);
            self.after_failure(wasted, culprits);
        }
    }

    fn after_failure(&mut self, wasted: u64, culprits: Vec<PeerKey>) {
        Traffic::add(&self.traffic.wasted, wasted);
        Counters::add(&self.setup.events.counters().failed_bytes, wasted);
        for key in culprits {
            self.ban(key);
        }
        self.feed_hungry();
    }
}

impl Active {
    /// A piece is bad and all of its blocks count for nothing; gives the bytes that were sent in vain, and who is proven
    /// to have sent them.
    pub(super) fn condemn(&mut self, piece: PieceIndex, blocks: &[Digest]) -> (u64, Vec<PeerKey>) {
        let sent = self.senders(piece, blocks);
        let wasted = self.bytes_of(piece, &sent);
        let culprits = self.smart_ban.piece_failed(piece, &sent);
        self.put_back(piece);
        (wasted, culprits)
    }
}
