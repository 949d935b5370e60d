//! Pieces that are due at a time: those that were named, and those that readers are about to read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Context;
use bytes::Bytes;
use protocol::geometry::PieceIndex;
use tokio::sync::oneshot;

use crate::content::Content;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Order;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::files::{FileError, Reply};
use crate::torrent::peers::PeerEntry;
use crate::torrent::picker::{Hurry, MOST_DUE, PeerPieces, Run};
use crate::{Category, Event};

/// What is due so soon is worth taking back what peers were asked for and can wait.
const SOON: Duration = Duration::from_secs(2);

/// Pieces that were named, and when each is due.
#[derive(Debug, Default)]
pub(crate) struct Due {
    named: BTreeMap<u32, Instant>,
}

impl Due {
    /// Whether no piece is due.
    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

impl Torrent {
    /// Has a piece come before others, to be there in so much time.
    pub(super) fn set_due(&mut self, piece: u32, within: Duration) -> Result<(), FileError> {
        let metainfo = self.metainfo.as_ref().ok_or(FileError::NoMetadata)?;
        let index = metainfo.geometry().piece(piece);
        let index = index.ok_or(FileError::NoSuchPiece(piece))?;
        let priorities = self.piece_priorities()?;
        let wanted = priorities.get(index.index());
        if !wanted.is_some_and(|priority| priority.is_wanted()) {
            return Err(FileError::NotWanted);
        }
        if self.due.named.len() >= MOST_DUE && !self.due.named.contains_key(&piece) {
            return Err(FileError::TooMany);
        }
        let now = now();
        if let Phase::Active(active) = &self.phase
            && active.picker.have().get(index)
        {
            self.tell_due(piece, now, now);
            return Ok(());
        }
        self.due.named.insert(piece, now + within);
        self.refresh_due(now);
        Ok(())
    }

    /// Takes it back that a piece is due, or all of them.
    pub(super) fn clear_due(&mut self, piece: Option<u32>) {
        match piece {
            Some(piece) => drop(self.due.named.remove(&piece)),
            None => self.due.named.clear(),
        }
        self.refresh_due(now());
    }

    fn tell_due(&self, piece: u32, due: Instant, now: Instant) {
        let late = now.saturating_duration_since(due);
        self.tell_of(Category::Pieces, |id| Event::DuePiece { id, piece, late });
    }

    /// Tells of due pieces that are there now.
    pub(super) fn due_arrived(&mut self, good: &[PieceIndex]) {
        let now = now();
        for piece in good {
            if let Some(due) = self.due.named.remove(&piece.get()) {
                self.tell_due(piece.get(), due, now);
            }
        }
    }

    /// Tells the picker what is due, and has peers work on it.
    pub(super) fn refresh_due(&mut self, now: Instant) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        let geometry = active.content.geometry;
        let named = self.due.named.iter();
        let named = named.filter_map(|(piece, at)| Some((*at, geometry.piece(*piece)?)));
        let read = self.readers.due(&geometry, now);
        let all = named.chain(read);
        let missing = all.filter(|(_, piece)| !active.picker.have().get(*piece));
        let due: Vec<(Instant, PieceIndex)> = missing.collect();
        active.picker.set_ahead(self.readers.ahead(&geometry));
        if due.is_empty() && !active.picker.has_due() {
            return;
        }
        let soon = now + SOON;
        let news = due.iter().filter(|(at, piece)| {
            let already = active.picker.due_at(*piece);
            let new = *at <= soon && already.is_none_or(|before| before > soon);
            // What is waited for now may have been asked for long ago, behind much else.
            new && (*at <= now || active.picker.is_to_be_asked_for(*piece))
        });
        let next = news.map(|(at, _)| *at).min();
        active.picker.set_due(due);
        self.rate_peers();
        if let Some(next) = next {
            self.make_room_for_due(next.saturating_duration_since(now));
        }
        self.feed_hungry();
    }

    /// Takes back what peers were asked for and can wait, where what is due in so much time would be late for it.
    fn make_room_for_due(&mut self, left: Duration) {
        let Phase::Active(active) = &self.phase else {
            return;
        };
        if !active.picker.is_delayed(left) {
            return;
        }
        let begun = active.pieces.keys();
        let others = begun.filter(|piece| active.picker.due_at(**piece).is_none());
        let others: Arc<[PieceIndex]> = others.copied().collect();
        if others.is_empty() {
            return;
        }
        for (_, peer) in self.peers.iter().filter(|(_, peer)| peer.unchoked_us) {
            peer.order(Order::GiveBack(Arc::clone(&others)));
        }
    }

    /// Tells the picker how fast peers are, where that matters, and has them bring what is asked for next soon.
    pub(super) fn rate_peers(&mut self) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        let hasty = active.picker.has_due();
        let open = self.peers.iter_mut();
        let open = open.filter(|(_, peer)| peer.since.is_some() && peer.hasty != hasty);
        for (_, peer) in open {
            peer.hasty = hasty;
            peer.order(Order::Haste(hasty));
        }
        if !hasty {
            return;
        }
        let (now, sampled) = (now(), self.last_tick);
        let peers = self.peers.iter();
        let rates = peers.map(|(key, peer)| (key, peer.brings(now, sampled)));
        active.picker.set_rates(rates.chain(self.web_seeds.rates()));
    }

    /// Reads a piece that is there and verified.
    pub(super) fn read_piece(&mut self, piece: u32, reply: Reply<Bytes>, _: &mut Context<Self>) {
        let Phase::Active(active) = &self.phase else {
            let _ = reply.send(Err(FileError::NotThere(piece)));
            return;
        };
        let index = active.content.geometry.piece(piece);
        let content = match index {
            None => Err(FileError::NoSuchPiece(piece)),
            Some(index) if !active.picker.have().get(index) => Err(FileError::NotThere(piece)),
            Some(index) => Ok((Arc::clone(&active.content), index)),
        };
        match content {
            Ok((content, index)) => self.setup.disk.short(move || {
                let (at, len) = whole(&content, index);
                let _ = reply.send(read(&content, at, len));
            }),
            Err(error) => drop(reply.send(Err(error))),
        }
    }
}

fn whole(content: &Content, piece: PieceIndex) -> (u64, u32) {
    let geometry = &content.geometry;
    (geometry.offset_of(piece), geometry.len_of(piece))
}

/// Copies a range of the content that is verified.
pub(crate) fn read(content: &Content, at: u64, len: u32) -> Result<Bytes, FileError> {
    let view = content.store.view(at, len);
    let copy = view.and_then(|view| {
        let bytes = view.to_vec();
        view.check().map(|()| Bytes::from(bytes))
    });
    copy.map_err(|error| FileError::from(&error))
}

/// Told the bytes of a range, by the Disk.
pub(crate) type Chunk = oneshot::Receiver<Result<Bytes, FileError>>;

impl Active {
    /// Tells the picker how fast a peer is that brought its first blocks since peers were rated last: until then nobody knows what
    /// it could bring in time.
    pub(super) fn rate_newcomer(&mut self, key: PeerKey, peer: &PeerEntry, sampled: Instant) {
        if self.picker.has_due() && !self.picker.knows_rate_of(key) {
            self.picker.set_rate(key, peer.brings(now(), sampled));
        }
    }

    /// Has the picker choose for a peer: what is due first, if the peer brings it in time, then as usual, then what is due
    /// in any case.
    pub(super) fn choose(
        &mut self,
        (key, pieces): (PeerKey, PeerPieces<'_>),
        want: u32,
        runs: &mut Vec<Run>,
    ) {
        if !self.picker.has_due() {
            self.picker.pick(key, pieces, want, runs);
            return;
        }
        let from = (key, pieces);
        let given = self.picker.pick_due(now(), from, want, Hurry::InTime, runs);
        self.picker.pick(key, pieces, want - given, runs);
        let given: u32 = runs.iter().map(Run::len).sum();
        let left = want.saturating_sub(given);
        if left > 0 {
            self.picker.pick_due(now(), from, left, Hurry::Anyhow, runs);
        }
    }
}
