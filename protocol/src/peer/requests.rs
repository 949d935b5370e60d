//! Requests of the peer that we have not answered.

use std::collections::VecDeque;

use crate::geometry::{Geometry, PieceIndex};
use crate::peer::codec::MAX_BLOCK_LEN;
use crate::peer::message::RawRequest;

/// A request of the peer, checked against the torrent's geometry.
///
/// It may begin and end anywhere in its piece and be up to [`MAX_BLOCK_LEN`] long: 16 KiB is what everyone asks for,
/// old clients ask for up to 128 KiB, and answering costs nothing as long as the bytes are not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerRequest {
    piece: PieceIndex,
    begin: u32,
    len: u32,
}

impl PeerRequest {
    /// Checks a request; `None` where the torrent has no such bytes or the length is zero or too long.
    pub fn check(raw: RawRequest, geometry: &Geometry) -> Option<Self> {
        let piece = geometry.piece(raw.piece)?;
        let end = raw.begin.checked_add(raw.len)?;
        let fits = raw.len > 0 && raw.len <= MAX_BLOCK_LEN && end <= geometry.len_of(piece);
        fits.then_some(Self {
            piece,
            begin: raw.begin,
            len: raw.len,
        })
    }

    /// The piece.
    pub const fn piece(&self) -> PieceIndex {
        self.piece
    }

    /// First byte, from the start of the piece.
    pub const fn begin(&self) -> u32 {
        self.begin
    }

    /// Number of bytes, from 1 to [`MAX_BLOCK_LEN`].
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Always false: a request asks for something.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// First byte, from the start of the torrent.
    pub const fn offset(&self, geometry: &Geometry) -> u64 {
        geometry.offset_of(self.piece) + self.begin as u64
    }

    /// As it stands on the wire.
    pub const fn raw(&self) -> RawRequest {
        RawRequest {
            piece: self.piece.get(),
            begin: self.begin,
            len: self.len,
        }
    }
}

/// The requests in order of arrival, up to a fixed number.
///
/// A request that is asked twice is answered twice, as deployed clients do: the asker pays for it.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    queue: VecDeque<PeerRequest>,
    max: usize,
}

impl Requests {
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            max,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Appends a request; says whether there was room.
    pub(crate) fn push(&mut self, request: PeerRequest) -> bool {
        let room = self.queue.len() < self.max;
        if room {
            self.queue.push_back(request);
        }
        room
    }

    pub(crate) fn pop(&mut self) -> Option<PeerRequest> {
        self.queue.pop_front()
    }

    pub(crate) fn front(&self) -> Option<&PeerRequest> {
        self.queue.front()
    }

    /// Takes one request out, the newest like it; says whether it was there.
    pub(crate) fn remove(&mut self, request: PeerRequest) -> bool {
        let at = self.queue.iter().rposition(|other| *other == request);
        at.is_some_and(|at| self.queue.remove(at).is_some())
    }

    /// Takes out the requests that `keep` does not want.
    pub(crate) fn drop_unless(&mut self, keep: impl Fn(&PeerRequest) -> bool) -> Vec<PeerRequest> {
        let (kept, dropped) = std::mem::take(&mut self.queue).into_iter().partition(keep);
        self.queue = kept;
        Vec::from(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(piece: u32, begin: u32, len: u32) -> RawRequest {
        RawRequest { piece, begin, len }
    }

    #[test]
    fn a_request_must_lie_inside_its_piece() {
        let g = Geometry::new(400_000, 262_144).unwrap();
        let ok = |r| PeerRequest::check(r, &g).is_some();
        assert!(ok(raw(0, 0, 16_384)));
        assert!(ok(raw(0, 1, 131_072)));
        assert!(ok(raw(1, 137_855, 1)));
        assert!(!ok(raw(1, 137_856, 1)));
        assert!(!ok(raw(2, 0, 1)));
        assert!(!ok(raw(0, 0, 0)));
        assert!(!ok(raw(0, 0, 131_073)));
        assert!(!ok(raw(0, u32::MAX, 2)));
        assert!(!ok(raw(0, 262_143, 2)));
    }

    #[test]
    fn the_queue_is_bounded_and_keeps_order() {
        let g = Geometry::new(400_000, 262_144).unwrap();
        let at = |begin| PeerRequest::check(raw(0, begin, 10), &g).unwrap();
        let mut queue = Requests::new(2);
        assert!(queue.push(at(0)) && queue.push(at(10)));
        assert!(!queue.push(at(20)));
        assert!(!queue.remove(at(20)));
        assert_eq!(queue.drop_unless(|r| r.begin() == 10), [at(0)]);
        assert_eq!(queue.pop(), Some(at(10)));
        assert_eq!(queue.pop(), None);
    }
}
