//! The piece layers of a v2 torrent, fetched from several peers at once (BEP 52), some of which may lie.
//!
//! A magnet link leads to the info dictionary, which has the root of each file but not the hashes of its pieces. These are
//! asked for in parts. Each part comes with what leads from it to the root, so that a peer that sends wrong hashes is known
//! at once, and what others sent is not in doubt.
//!
//! # Invariants
//! - Memory is bounded by the torrent's own pieces: 32 bytes for each.
//! - A peer is blamed only for hashes that do not lead to the root.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::merkle::{FileTree, Hash, Proof, Span};
use protocol::metainfo::Metainfo;
use protocol::peer::HashRequest;
use smallvec::SmallVec;

use crate::peer::key::PeerKey;

/// Hashes of a part: 16 KiB, as libtorrent asks for.
const PART: u32 = 512;

/// Parts that one peer is asked for at a time.
const PER_PEER: usize = 4;

/// A peer that answers nothing for so long is given a rest.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a peer that does not answer, or that has not got the hashes itself, is left alone.
const REST: Duration = Duration::from_secs(15);

/// What an answer led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More are missing.
    More,
    /// All are there: [`LayerFetch::into_layers`] has them.
    Complete,
    /// The hashes do not lead to the root.
    PeerLied,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct LayerFetch {
    files: Vec<Wanted>,
    parts: Vec<Part>,
    /// Parts that nobody is asked for.
    missing: VecDeque<usize>,
    done: usize,
    peers: BTreeMap<PeerKey, Asked>,
}

/// A file whose layer is missing.
#[derive(Debug)]
struct Wanted {
    tree: FileTree,
    layer: Vec<Hash>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    file: usize,
    span: Span,
}

#[derive(Debug, Default)]
struct Asked {
    parts: SmallVec<[(usize, Instant); PER_PEER]>,
    resting: Option<Instant>,
    /// It sent wrong hashes and is asked for no more.
    lied: bool,
}

impl LayerFetch {
    /// A fetch of what a torrent lacks; none where it lacks nothing.
    pub fn of(metainfo: &Metainfo) -> Option<Self> {
        let piece_len = metainfo.geometry().piece_len();
        let mut wanted = BTreeMap::new();
        for file in metainfo.files() {
            if let Some(root) = file.root
                && file.len > u64::from(piece_len)
                && metainfo.piece_layer(&root).is_none()
            {
                wanted.insert(root, file.len);
            }
        }
        let files: Vec<Wanted> = wanted
            .into_iter()
            .map(|(root, len)| Wanted {
                tree: FileTree::new(root, len, piece_len),
                layer: Vec::new(),
            })
            .collect();
        let parts: Vec<Part> = files
            .iter()
            .enumerate()
            .flat_map(|(file, wanted)| {
                let spans = wanted.tree.layer_spans(PART);
                spans.map(move |span| Part { file, span })
            })
            .collect();
        (!parts.is_empty()).then(|| Self {
            missing: (0..parts.len()).collect(),
            files,
            parts,
            done: 0,
            peers: BTreeMap::new(),
        })
    }

    /// What to ask a peer of the v2 swarm for now. It counts as asked.
    pub fn next_requests(
        &mut self,
        now: Instant,
        key: PeerKey,
    ) -> SmallVec<[HashRequest; PER_PEER]> {
        let asked = self.peers.entry(key).or_default();
        let mut requests = SmallVec::new();
        if asked.lied || asked.resting.is_some_and(|until| until > now) {
            return requests;
        }
        while asked.parts.len() < PER_PEER
            && let Some(at) = self.missing.pop_front()
        {
            asked.parts.push((at, now));
            requests.extend(request(&self.files, &self.parts, at));
        }
        requests
    }

    /// Whether an answer of this peer would be of use: it is asked for this, or was, and nobody else is.
    pub fn awaits(&self, key: PeerKey, request: &HashRequest) -> bool {
        let is_it = |at: usize| self::request(&self.files, &self.parts, at) == Some(*request);
        let asked = self.peers.get(&key).filter(|asked| !asked.lied);
        asked.is_some_and(|asked| {
            let mut parts = asked.parts.iter();
            parts.any(|(at, _)| is_it(*at)) || self.missing.iter().any(|at| is_it(*at))
        })
    }

    /// Hashes came that were asked for, perhaps so long ago that nobody waited for them any more.
    pub fn answered(&mut self, key: PeerKey, request: &HashRequest, proof: &Proof) -> Progress {
        let Some(at) = self
            .withdraw(key, request)
            .or_else(|| self.forgotten(key, request))
        else {
            return Progress::More;
        };
        let Some(part) = self.parts.get(at).copied() else {
            return Progress::More;
        };
        let Some(file) = self.files.get_mut(part.file) else {
            return Progress::More;
        };
        if !file.tree.admits_layer(part.span, proof) {
            self.missing.push_front(at);
            if let Some(asked) = self.peers.get_mut(&key) {
                asked.lied = true;
                let parts = std::mem::take(&mut asked.parts);
                self.missing.extend(parts.into_iter().map(|(at, _)| at));
            }
            return Progress::PeerLied;
        }
        let pieces = file.tree.pieces() as usize;
        if file.layer.is_empty() {
            file.layer = vec![[0; 32]; pieces];
        }
        let from = part.span.index as usize;
        let room = file.layer.get_mut(from..).unwrap_or_default();
        for (to, hash) in room.iter_mut().zip(&proof.hashes) {
            *to = *hash;
        }
        self.done += 1;
        if self.done == self.parts.len() {
            Progress::Complete
        } else {
            Progress::More
        }
    }

    /// The peer does not give hashes that it was asked for: it is left alone for a while.
    pub fn rejected(&mut self, key: PeerKey, request: &HashRequest, now: Instant) {
        if let Some(at) = self.withdraw(key, request) {
            self.missing.push_front(at);
            self.rest(key, now);
        }
    }

    /// The peer's connection ended.
    pub fn peer_gone(&mut self, key: PeerKey) {
        if let Some(asked) = self.peers.remove(&key) {
            let parts = asked.parts.into_iter().map(|(at, _)| at);
            self.missing.extend(parts);
        }
    }

    /// Gives peers a rest that do not answer.
    pub fn handle_timeout(&mut self, now: Instant) {
        let silent = |asked: &Asked| {
            let since = asked.parts.iter().map(|(_, since)| *since).min();
            since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE)
        };
        let silent = self.peers.iter().filter(|(_, asked)| silent(asked));
        let silent: Vec<PeerKey> = silent.map(|(key, _)| *key).collect();
        for key in silent {
            self.rest(key, now);
        }
    }

    /// Parts that are there, of how many.
    pub fn progress(&self) -> (usize, usize) {
        (self.done, self.parts.len())
    }

    /// The layers by root, once they are complete.
    pub fn into_layers(self) -> impl Iterator<Item = (Hash, Bytes)> {
        let files = self.files.into_iter();
        files.map(|file| {
            let layer = Bytes::copy_from_slice(file.layer.as_flattened());
            (*file.tree.root(), layer)
        })
    }

    fn rest(&mut self, key: PeerKey, now: Instant) {
        if let Some(asked) = self.peers.get_mut(&key) {
            asked.resting = Some(now + REST);
            let parts = std::mem::take(&mut asked.parts);
            self.missing.extend(parts.into_iter().map(|(at, _)| at));
        }
    }

    /// Takes up a part that nobody is asked for any more.
    fn forgotten(&mut self, key: PeerKey, request: &HashRequest) -> Option<usize> {
        self.peers.get(&key).filter(|asked| !asked.lied)?;
        let is_it = |at: usize| self::request(&self.files, &self.parts, at) == Some(*request);
        let place = self.missing.iter().position(|at| is_it(*at))?;
        self.missing.remove(place)
    }

    /// Takes a question back; says which part it was for.
    fn withdraw(&mut self, key: PeerKey, request: &HashRequest) -> Option<usize> {
        let asked = self.peers.get_mut(&key)?;
        let is_it = |at: usize| self::request(&self.files, &self.parts, at) == Some(*request);
        let place = asked.parts.iter().position(|(at, _)| is_it(*at))?;
        Some(asked.parts.remove(place).0)
    }
}

fn request(files: &[Wanted], parts: &[Part], at: usize) -> Option<HashRequest> {
    let part = parts.get(at)?;
    let file = files.get(part.file)?;
    Some(HashRequest::new(*file.tree.root(), part.span))
}

#[cfg(test)]
mod tests;
