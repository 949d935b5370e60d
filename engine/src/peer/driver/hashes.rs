//! Merkle hashes for a peer, and from it (BEP 52).
//!
//! What a peer asks for is answered by the torrent, which has the trees. Answers wait here until the peer has read what
//! came before and the upload limit allows them.

use std::collections::VecDeque;
use std::task::Context;

use bytes::Bytes;
use protocol::merkle::MAX_HASHES;
use protocol::peer::HashRequest;

use crate::peer::messages::Fact;

use super::Driver;

/// Requests of a peer that may wait for their answers; libtorrent has a few out at a time.
const OWED_MOST: usize = 16;

/// Hashes that they may ask for together: as many as one request may, 256 KiB.
const OWED_HASHES: u32 = MAX_HASHES;

/// Bytes of output that may wait when an answer is added to them.
const OUTPUT_LITTLE: usize = 16 * 1024;

/// Bytes around the hashes on the wire.
const HEADER_LEN: usize = 53;

/// What a peer asked for and has not got.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Requests that the torrent is to answer.
    asked: usize,
    /// Hashes of all requests whose answers are not sent.
    hashes: u32,
    /// Answers that are to be sent; none for a refusal.
    answers: VecDeque<(HashRequest, Option<Bytes>)>,
}

impl Driver {
    /// The peer asks for hashes. It is refused what it asks for too fast.
    pub(super) fn on_hash_request(&mut self, request: HashRequest) {
        let owed = &mut self.hashes_owed;
        let hashes = owed.hashes.saturating_add(request.length);
        if owed.asked + owed.answers.len() >= OWED_MOST || hashes > OWED_HASHES {
            self.session.hash_reject(request);
            return;
        }
        owed.hashes = hashes;
        owed.asked += 1;
        self.tell(Fact::HashRequest(request));
    }

    /// The peer brings hashes that we asked for.
    pub(super) fn on_hashes(&mut self, request: HashRequest, hashes: &[u8]) {
        let hashes = Bytes::copy_from_slice(hashes);
        self.tell(Fact::Hashes(request, hashes));
    }

    /// The torrent has the answer, or none.
    pub(super) fn on_hash_answer(&mut self, request: HashRequest, hashes: Option<Bytes>) {
        let owed = &mut self.hashes_owed;
        owed.asked = owed.asked.saturating_sub(1);
        owed.answers.push_back((request, hashes));
    }

    /// Asks the peer for hashes.
    pub(super) fn ask_hashes(&mut self, requests: Vec<HashRequest>) {
        for request in requests {
            if self.session.hash_request(request).is_err() {
                self.tell(Fact::HashRejected(request));
            }
        }
    }

    /// Sends answers, as far as the peer reads and the limit allows.
    pub(super) fn stage_hashes(&mut self, cx: &mut Context<'_>) {
        while self.session.output().len() <= OUTPUT_LITTLE {
            let Some((request, hashes)) = self.hashes_owed.answers.front() else {
                return;
            };
            let (request, hashes) = (*request, hashes.clone());
            let len = hashes.as_ref().map_or(0, Bytes::len);
            if !self.afford(cx, len + HEADER_LEN) {
                return;
            }
            let owed = &mut self.hashes_owed;
            owed.answers.pop_front();
            owed.hashes = owed.hashes.saturating_sub(request.length);
            match hashes {
                Some(hashes) => _ = self.session.hashes(request, &hashes),
                None => self.session.hash_reject(request),
            }
        }
    }
}
