//! Datagrams that wait for whoever reads a socket.

mod blocks;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use net::datagram::Batch;
use parking_lot::Mutex;

use blocks::BLOCK;
pub(super) use blocks::Blocks;

/// Datagrams that may wait; what comes beyond that is lost, as in any socket.
const MOST: usize = 1024;

/// Addresses whose hosts know us no more that may wait.
const MOST_MOVED: usize = 1024;

/// Blocks of datagrams that may wait: 2 MiB.
const MOST_BLOCKS: usize = 2 * 1024 * 1024 / BLOCK;

/// Datagrams for whose heads the memory is kept when all are taken.
const KEPT_HEADS: usize = 128;

/// One reader, and as many writers as there are nodes.
pub(super) struct Inbox {
    blocks: Blocks,
    queue: Mutex<Queue>,
    moved: Mutex<VecDeque<SocketAddr>>,
    reader: AtomicWaker,
}

/// Datagrams one behind the other, in blocks; each lies in one of them.
#[derive(Default)]
struct Queue {
    heads: VecDeque<(SocketAddr, usize)>,
    blocks: VecDeque<Vec<u8>>,
    /// What of the first block has been taken.
    taken: usize,
}

impl Inbox {
    /// An empty one, which has its memory from `blocks`.
    pub(super) fn new(blocks: &Blocks) -> Self {
        Self {
            blocks: blocks.clone(),
            queue: Mutex::default(),
            moved: Mutex::default(),
            reader: AtomicWaker::new(),
        }
    }

    /// Puts a datagram in; whoever reads is not woken yet.
    pub(super) fn push(&self, from: SocketAddr, datagram: &[u8]) {
        let mut queue = self.queue.lock();
        if queue.heads.len() >= MOST || datagram.len() > BLOCK {
            return;
        }
        let room = queue.blocks.back().map_or(0, |last| BLOCK - last.len());
        if room < datagram.len() || queue.blocks.is_empty() {
            let has = queue.blocks.len();
            let more = (has < MOST_BLOCKS).then(|| self.blocks.take(has));
            let Some(more) = more.flatten() else {
                return;
            };
            queue.blocks.push_back(more);
        }
        if let Some(last) = queue.blocks.back_mut() {
            last.extend_from_slice(datagram);
            queue.heads.push_back((from, datagram.len()));
        }
    }

    /// Notes an address whose host knows us no more, and wakes whoever reads.
    pub(super) fn moved(&self, addr: SocketAddr) {
        let mut moved = self.moved.lock();
        if moved.len() < MOST_MOVED {
            moved.push_back(addr);
        }
        drop(moved);
        self.reader.wake();
    }

    /// The next such address.
    pub(super) fn take_moved(&self) -> Option<SocketAddr> {
        self.moved.lock().pop_front()
    }

    /// Wakes whoever reads.
    pub(super) fn wake(&self) {
        self.reader.wake();
    }

    /// Takes one datagram.
    pub(super) fn poll_take<T>(
        &self,
        cx: &Context<'_>,
        take: impl FnOnce(SocketAddr, &[u8]) -> T,
    ) -> Poll<T> {
        self.reader.register(cx.waker());
        let mut queue = self.queue.lock();
        let Some((from, len)) = queue.heads.pop_front() else {
            return Poll::Pending;
        };
        let result = take(from, queue.front(len));
        queue.pass(len, &self.blocks);
        Poll::Ready(result)
    }

    /// Takes as many datagrams as the batch holds.
    pub(super) fn poll_batch(&self, cx: &Context<'_>, batch: &mut Batch) -> Poll<()> {
        self.reader.register(cx.waker());
        batch.clear();
        let mut queue = self.queue.lock();
        while let Some((from, len)) = queue.heads.front().copied() {
            if !batch.put(from, queue.front(len)) {
                break;
            }
            queue.heads.pop_front();
            queue.pass(len, &self.blocks);
        }
        if batch.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl Queue {
    /// The first datagram, of which the head says how long it is.
    fn front(&self, len: usize) -> &[u8] {
        let first = self.blocks.front().map_or(&[][..], Vec::as_slice);
        let rest = first.get(self.taken..).unwrap_or_default();
        rest.get(..len).unwrap_or(rest)
    }

    /// Passes over that.
    fn pass(&mut self, len: usize, blocks: &Blocks) {
        self.taken += len;
        let taken = self
            .blocks
            .front()
            .is_some_and(|first| self.taken >= first.len());
        // The next datagram, if there is one, lies in the next block.
        if taken && let Some(first) = self.blocks.pop_front() {
            blocks.give_back(first);
            self.taken = 0;
        }
        if self.heads.is_empty() {
            self.heads.shrink_to(KEPT_HEADS);
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        for block in self.queue.get_mut().blocks.drain(..) {
            self.blocks.give_back(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn sender(last: u8) -> SocketAddr {
        SocketAddr::from(([20, 0, 0, last], 1))
    }

    /// What a batch brings.
    fn batch(inbox: &Inbox) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut batch = Batch::default();
        let cx = Context::from_waker(Waker::noop());
        if inbox.poll_batch(&cx, &mut batch).is_pending() {
            return Vec::new();
        }
        let datagrams = batch.iter().map(|(bytes, from)| (from, bytes.to_vec()));
        datagrams.collect()
    }

    #[test]
    fn hosts_that_know_us_no_more_are_told_once_each_and_only_so_many_wait() {
        let inbox = Inbox::new(&Blocks::default());
        assert_eq!(inbox.take_moved(), None);
        for n in 0..2000_u16 {
            inbox.moved(SocketAddr::from(([20, 0, 0, 1], n)));
        }
        let taken: Vec<u16> = std::iter::from_fn(|| inbox.take_moved())
            .map(|addr| addr.port())
            .collect();
        assert_eq!(taken, (0..1024).collect::<Vec<u16>>());
    }

    #[test]
    fn datagrams_come_out_as_they_went_in_one_by_one_or_together() {
        let inbox = Inbox::new(&Blocks::default());
        let cx = Context::from_waker(Waker::noop());
        let put: Vec<_> = (0..200_u8)
            .map(|n| (sender(n / 7), vec![n; usize::from(n) + 1]))
            .collect();
        let mut out = Vec::new();
        for (from, bytes) in &put {
            inbox.push(*from, bytes);
            if bytes.len() % 3 == 0 {
                let taken = inbox.poll_take(&cx, |from, bytes| (from, bytes.to_vec()));
                out.extend(match taken {
                    Poll::Ready(taken) => Some(taken),
                    Poll::Pending => None,
                });
            }
        }
        loop {
            let more = batch(&inbox);
            if more.is_empty() {
                break;
            }
            out.extend(more);
        }
        assert_eq!(out, put);
        assert_eq!(inbox.blocks.lent(), 0);
    }

    #[test]
    fn so_many_wait_and_what_comes_then_is_lost() {
        let inbox = Inbox::new(&Blocks::default());
        (0..2 * MOST).for_each(|_| inbox.push(sender(1), &[7; 100]));
        assert_eq!(inbox.queue.lock().heads.len(), MOST);
        (0..100).for_each(|_| drop(batch(&inbox)));
        (0..2 * MOST).for_each(|_| inbox.push(sender(1), &[7; BLOCK]));
        assert_eq!(inbox.blocks.lent(), MOST_BLOCKS);
        inbox.push(sender(1), &vec![7; BLOCK + 1]);
        let blocks = inbox.blocks.clone();
        drop(inbox);
        assert_eq!(blocks.lent(), 0);
    }

    #[test]
    fn those_who_read_get_theirs_though_others_do_not_and_all_together_keep_so_much() {
        let blocks = Blocks::default();
        let idle: Vec<_> = (0..768).map(|_| Inbox::new(&blocks)).collect();
        for inbox in &idle {
            (0..2 * MOST).for_each(|_| inbox.push(sender(1), &[7; 2000]));
        }
        assert!(blocks.lent() * BLOCK <= 64 << 20, "{}", blocks.lent());
        let inbox = Inbox::new(&blocks);
        for n in 0..100 {
            inbox.push(sender(n), &[n; 1400]);
            assert_eq!(batch(&inbox), [(sender(n), vec![n; 1400])]);
        }
    }

    #[test]
    fn memory_is_bounded_where_the_reader_never_catches_up() {
        let inbox = Inbox::new(&Blocks::default());
        let cx = Context::from_waker(Waker::noop());
        for _ in 0..100_000 {
            inbox.push(sender(1), &[7; 1000]);
            inbox.push(sender(1), &[7; 1000]);
            let _ = inbox.poll_take(&cx, |_, _| ());
        }
        assert!(inbox.blocks.lent() <= MOST_BLOCKS);
    }
}
