//! Blocks on their way out: requests turned into headers and slices of the map, many to a system call.

use std::collections::{BTreeSet, VecDeque};
use std::io::IoSlice;

use protocol::geometry::PieceIndex;
use smallvec::SmallVec;
use storage::PieceView;

/// Bytes of a block message before its payload.
pub(crate) const HEADER_LEN: usize = 13;

/// Bytes of blocks that are staged at most: what one vectored write takes from a warm socket.
const STAGED_MOST: usize = 1 << 20;

/// Slices handed to one system call; the kernel takes at most 1,024.
pub(crate) const SLICES: usize = 160;

/// Blocks whose bytes are the next on the wire.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    staged: VecDeque<Staged>,
    bytes: usize,
    head_sent: usize,
}

#[derive(Debug)]
struct Staged {
    piece: PieceIndex,
    header: [u8; HEADER_LEN],
    view: PieceView,
    len: usize,
}

/// The slices of one vectored write.
pub(crate) type Slices<'a> = SmallVec<[IoSlice<'a>; SLICES]>;

impl Outbox {
    /// Whether one more block may be staged.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < STAGED_MOST
    }

    /// The pieces of the staged blocks, each once, in order.
    pub(crate) fn pieces(&self) -> BTreeSet<PieceIndex> {
        self.staged.iter().map(|staged| staged.piece).collect()
    }

    /// Whether a page of a staged block could not be read, by whoever read it in this process.
    pub(crate) fn is_faulted(&self) -> bool {
        self.staged
            .iter()
            .any(|staged| staged.view.check().is_err())
    }

    /// Whether nothing is staged.
    pub(crate) fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    /// Whether a block is partly sent, so that nothing may be sent before its rest.
    pub(crate) const fn mid_block(&self) -> bool {
        self.head_sent > 0
    }

    /// Stages a block.
    pub(crate) fn push(&mut self, piece: PieceIndex, header: [u8; HEADER_LEN], view: PieceView) {
        let len = HEADER_LEN + view.len();
        self.bytes += len;
        self.staged.push_back(Staged {
            piece,
            header,
            view,
            len,
        });
    }

    /// Appends the slices of up to `most` blocks, from the first unsent byte on; `skip` leaves out the first block.
    pub(crate) fn slices<'a>(&'a self, skip: usize, most: usize, out: &mut Slices<'a>) {
        for (at, staged) in self.staged.iter().enumerate().skip(skip).take(most) {
            let mut sent = if at == 0 { self.head_sent } else { 0 };
            let parts = std::iter::once(&staged.header[..]).chain(staged.view.segments());
            for part in parts {
                let from = sent.min(part.len());
                sent -= from;
                if let Some(rest) = part.get(from..).filter(|rest| !rest.is_empty()) {
                    out.push(IoSlice::new(rest));
                }
            }
            if out.len() + 8 > SLICES {
                return;
            }
        }
    }

    /// Bytes still to send of the block that is partly sent.
    pub(crate) fn head_left(&self) -> usize {
        self.staged
            .front()
            .map_or(0, |staged| staged.len - self.head_sent)
    }

    /// Notes that `sent` bytes of the staged blocks went out; returns the payload among them.
    pub(crate) fn consume(&mut self, mut sent: usize) -> u64 {
        let mut payload = 0;
        while let Some(front) = self.staged.front() {
            let left = front.len - self.head_sent;
            let take = left.min(sent);
            let header_left = HEADER_LEN.saturating_sub(self.head_sent);
            payload += take.saturating_sub(header_left) as u64;
            sent -= take;
            self.bytes -= take;
            if take < left {
                self.head_sent += take;
                break;
            }
            self.head_sent = 0;
            self.staged.pop_front();
        }
        payload
    }
}
