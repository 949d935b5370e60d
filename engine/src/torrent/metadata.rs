//! The info dictionary, fetched from several peers at once (BEP 9), some of which may lie.
//!
//! # How
//! Peers offer the metadata with its size. Sizes may disagree: the one that most peers offer is tried first, and given
//! up for the next one after a while. Pieces are asked from all peers that offer the size. If the result has the wrong
//! hash, and more than one peer had a part in it, nobody can say whose part was wrong; from then on all pieces are taken
//! from one peer at a time, so that a peer whose result is wrong is proven to lie and an honest one is never blamed.
//!
//! # Invariants
//! - Memory is bounded by one metadata of at most [`MAX_METADATA_SIZE`], and it grows only with what was received.
//! - A peer is blamed only for a message that no honest peer sends, or for a wrong result that was all its own.

mod attempt;
mod choice;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::id::InfoHashes;
use protocol::peer::extension::MAX_METADATA_SIZE;
use protocol::peer::metadata::metadata_piece_len;
use smallvec::SmallVec;

use self::attempt::Attempt;
use self::choice::deadline;
use crate::peer::key::PeerKey;

/// Requests to one peer at a time: enough to hide a round trip, too few for one peer to sit on everything.
const PER_PEER: usize = 3;

/// Peers that may be asked for the same piece at the same time, when nothing else is left to ask for.
const MAX_ASKED: u8 = 2;

/// A peer that answers nothing for so long is given a rest.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a peer that does not answer, or that rejects a request, is left alone.
const REST: Duration = Duration::from_secs(30);

/// What a piece of metadata led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is not complete.
    More,
    /// This is the info dictionary: it has the hashes that were asked for.
    Complete(Vec<u8>),
    /// It was complete and wrong; it begins anew.
    Mismatch {
        /// Peers that are proven to have lied.
        blame: Vec<PeerKey>,
    },
    /// The peer contradicted itself.
    PeerLied(PeerKey),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct MetadataFetch {
    hashes: InfoHashes,
    offers: BTreeMap<PeerKey, Offer>,
    /// How often each size was given up.
    given_up: BTreeMap<u32, u32>,
    attempt: Option<Attempt>,
    /// A result that several peers had a part in was wrong: one peer at a time.
    one_by_one: bool,
    /// What each peer had sent to results that were wrong: piece and fingerprint.
    parts: Vec<(PeerKey, u32, u64)>,
    /// Peers whose parts turned out wrong.
    culprits: Vec<PeerKey>,
    /// Orders offers by age.
    serial: u64,
    /// Offers changed: the choice of size or peer may be another.
    changed: bool,
    /// Nothing times out before this.
    quiet_until: Option<Instant>,
}

/// What the fetch knows of a peer that offers the metadata.
#[derive(Debug)]
struct Offer {
    size: u32,
    serial: u64,
    asked: SmallVec<[u32; PER_PEER]>,
    /// The last request to an idle peer, or its last answer.
    progress: Instant,
    resting: Option<Instant>,
    /// Requests that it let pass or rejected, since its last piece.
    strikes: u32,
    /// How often it was tried on its own.
    alone: u32,
}

impl MetadataFetch {
    /// A fetch of the info dictionary with these hashes.
    pub fn new(hashes: InfoHashes) -> Self {
        Self {
            hashes,
            offers: BTreeMap::new(),
            given_up: BTreeMap::new(),
            attempt: None,
            one_by_one: false,
            parts: Vec::new(),
            culprits: Vec::new(),
            serial: 0,
            changed: false,
            quiet_until: None,
        }
    }

    /// A peer says that it has the metadata, and its size. A size that is not from 1 to [`MAX_METADATA_SIZE`] is not
    /// heeded.
    pub fn peer_offers(&mut self, key: PeerKey, size: u32, now: Instant) {
        if !(1..=MAX_METADATA_SIZE).contains(&size)
            || self
                .offers
                .get(&key)
                .is_some_and(|offer| offer.size == size)
        {
            return;
        }
        self.peer_gone(key);
        self.serial += 1;
        let offer = Offer {
            size,
            serial: self.serial,
            asked: SmallVec::new(),
            progress: now,
            resting: None,
            strikes: 0,
            alone: 0,
        };
        self.offers.insert(key, offer);
        self.changed = true;
    }

    /// The pieces to ask the peer for now. They count as asked.
    pub fn next_requests(&mut self, now: Instant, key: PeerKey) -> SmallVec<[u32; PER_PEER]> {
        if self.changed || self.quiet_until.is_some_and(|until| until <= now) {
            self.handle_timeout(now);
        }
        let mut requests = SmallVec::new();
        let (Some(attempt), Some(offer)) = (&mut self.attempt, self.offers.get_mut(&key)) else {
            return requests;
        };
        if offer.size != attempt.size()
            || attempt.alone().is_some_and(|only| only != key)
            || offer.resting.is_some()
        {
            return requests;
        }
        while offer.asked.len() < PER_PEER
            && let Some(piece) = attempt.least_asked(&offer.asked, MAX_ASKED)
        {
            if offer.asked.is_empty() {
                offer.progress = now;
            }
            attempt.asked(piece);
            offer.asked.push(piece);
            requests.push(piece);
        }
        if !requests.is_empty() {
            let silent = now + PATIENCE;
            self.quiet_until = Some(self.quiet_until.map_or(silent, |until| until.min(silent)));
        }
        requests
    }

    /// A piece came. A piece that was not asked for, or is there already, changes nothing.
    pub fn data(
        &mut self,
        key: PeerKey,
        piece: u32,
        total_size: u32,
        bytes: &[u8],
        now: Instant,
    ) -> Progress {
        let Some(offer) = self.offers.get_mut(&key) else {
            return Progress::More;
        };
        let due = metadata_piece_len(offer.size, piece) as usize;
        if total_size != offer.size || bytes.len() != due || due == 0 {
            self.peer_gone(key);
            return Progress::PeerLied(key);
        }
        offer.progress = now;
        offer.strikes = 0;
        offer.resting = None;
        let was_asked = withdraw(offer, piece);
        let size = offer.size;
        let Some(attempt) = &mut self.attempt else {
            return Progress::More;
        };
        if attempt.size() != size || attempt.alone().is_some_and(|only| only != key) {
            return Progress::More;
        }
        if was_asked {
            attempt.answered(piece);
        }
        attempt.store(piece, key, bytes);
        if attempt.is_complete() {
            self.finish(now)
        } else {
            Progress::More
        }
    }

    /// The peer refused a piece: it is left alone for a while.
    pub fn reject(&mut self, key: PeerKey, piece: u32, now: Instant) {
        let Some(offer) = self.offers.get_mut(&key) else {
            return;
        };
        if !withdraw(offer, piece) {
            return;
        }
        offer.strikes += 1;
        offer.resting = Some(now + REST);
        if let Some(attempt) = self.attempt.as_mut().filter(|a| a.size() == offer.size) {
            attempt.answered(piece);
        }
        self.changed = true;
    }

    /// The peer's connection ended. What it sent is kept.
    pub fn peer_gone(&mut self, key: PeerKey) {
        let Some(offer) = self.offers.remove(&key) else {
            return;
        };
        self.changed = true;
        if let Some(attempt) = self.attempt.as_mut().filter(|a| a.size() == offer.size) {
            for piece in offer.asked {
                attempt.answered(piece);
            }
        }
    }

    /// Gives silent peers a rest, and a size or a lone peer up that takes too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        for offer in self.offers.values_mut() {
            if offer.resting.is_some_and(|until| until <= now) {
                offer.resting = None;
            }
            if !offer.asked.is_empty() && offer.progress + PATIENCE <= now {
                offer.strikes += 1;
                offer.resting = Some(now + REST);
                let asked = std::mem::take(&mut offer.asked);
                if let Some(attempt) = self.attempt.as_mut().filter(|a| a.size() == offer.size) {
                    asked.into_iter().for_each(|piece| attempt.answered(piece));
                }
            }
        }
        let late = self.attempt.as_ref().is_some_and(|a| a.deadline() <= now);
        if late && let Some(attempt) = &mut self.attempt {
            *self.given_up.entry(attempt.size()).or_default() += 1;
            attempt.extend(now, deadline(self.given_up[&attempt.size()]));
            if let Some(key) = attempt.alone() {
                self.give_up_on(key);
            }
        }
        self.choose(now, late);
        self.changed = false;
        self.quiet_until = self.poll_timeout().map(|(at, _)| at);
    }

    /// When [`handle_timeout`](Self::handle_timeout) and then [`next_requests`](Self::next_requests) for every peer
    /// should be called.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let attempt = self.attempt.as_ref()?;
        let peers = self.offers.values().flat_map(|offer| {
            let silent = (!offer.asked.is_empty()).then(|| (offer.progress + PATIENCE, "silent"));
            let rested = offer.resting.map(|until| (until, "rested"));
            [silent, rested]
        });
        peers
            .chain([Some((attempt.deadline(), "metadata deadline"))])
            .flatten()
            .min()
    }

    /// Peers whose part in a wrong result differs from the right one; known once it is complete.
    pub fn culprits(&self) -> &[PeerKey] {
        &self.culprits
    }

    /// Bytes received of how many, of the attempt under way.
    pub fn progress(&self) -> Option<(u32, u32)> {
        let attempt = self.attempt.as_ref()?;
        Some((attempt.received(), attempt.size()))
    }

    /// Checks a complete attempt.
    fn finish(&mut self, now: Instant) -> Progress {
        let Some(attempt) = self.attempt.take() else {
            return Progress::More;
        };
        for offer in self.offers.values_mut() {
            offer.asked.clear();
        }
        let info = attempt.bytes();
        if self.hashes.describe(&info) {
            for (key, piece, fingerprint) in &self.parts {
                let wrong = attempt.fingerprint(*piece) != Some(*fingerprint);
                if wrong && !self.culprits.contains(key) {
                    self.culprits.push(*key);
                }
            }
            return Progress::Complete(info);
        }
        let contributors = attempt.contributors();
        let mut blame = Vec::new();
        if let [only] = contributors[..] {
            self.offers.remove(&only);
            self.parts.retain(|(key, ..)| *key != only);
            blame.push(only);
        } else {
            self.one_by_one = true;
            self.parts = attempt.parts().collect();
        }
        self.choose(now, true);
        self.changed = true;
        Progress::Mismatch { blame }
    }

    fn give_up_on(&mut self, key: PeerKey) {
        if let Some(offer) = self.offers.get_mut(&key) {
            offer.alone += 1;
        }
    }
}

/// Takes a request back; says whether there was one.
fn withdraw(offer: &mut Offer, piece: u32) -> bool {
    let at = offer.asked.iter().position(|asked| *asked == piece);
    if let Some(at) = at {
        offer.asked.remove(at);
    }
    at.is_some()
}

#[cfg(test)]
mod tests;
