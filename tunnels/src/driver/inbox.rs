//! Datagrams that wait for whoever reads a socket.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use net::datagram::Batch;
use parking_lot::Mutex;

/// Datagrams that may wait; what comes beyond that is lost, as in any socket.
const MOST: usize = 1024;

/// Addresses whose hosts know us no more that may wait.
const MOST_MOVED: usize = 1024;

/// Bytes that may wait.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// One reader, and as many writers as there are nodes.
#[derive(Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    moved: Mutex<VecDeque<SocketAddr>>,
    reader: AtomicWaker,
}

/// Datagrams one behind the other.
#[derive(Default)]
struct Queue {
    heads: VecDeque<(SocketAddr, usize)>,
    bytes: Vec<u8>,
    /// What of `bytes` has been taken.
    taken: usize,
}

impl Inbox {
    /// Puts a datagram in; whoever reads is not woken yet.
    pub(super) fn push(&self, from: SocketAddr, datagram: &[u8]) {
        let mut queue = self.queue.lock();
        let waiting = queue.bytes.len() - queue.taken;
        if queue.heads.len() >= MOST || waiting + datagram.len() > MOST_BYTES {
            return;
        }
        // What was taken is forgotten as soon as that is more than what is moved for it.
        if queue.taken > waiting {
            let taken = std::mem::take(&mut queue.taken);
            queue.bytes.drain(..taken);
        }
        queue.bytes.extend_from_slice(datagram);
        queue.heads.push_back((from, datagram.len()));
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
        queue.pass(len);
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
            queue.pass(len);
        }
        if batch.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl Queue {
    fn front(&self, len: usize) -> &[u8] {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        rest.get(..len).unwrap_or(rest)
    }

    fn pass(&mut self, len: usize) {
        self.taken += len;
        if self.heads.is_empty() {
            self.bytes.clear();
            self.taken = 0;
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
        let inbox = Inbox::default();
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
        let inbox = Inbox::default();
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
        assert_eq!(inbox.queue.lock().bytes.len(), 0);
    }

    #[test]
    fn so_many_wait_and_what_comes_then_is_lost() {
        let inbox = Inbox::default();
        (0..2 * MOST).for_each(|_| inbox.push(sender(1), &[7; 100]));
        assert_eq!(inbox.queue.lock().heads.len(), MOST);
        (0..100).for_each(|_| drop(batch(&inbox)));
        (0..2 * MOST).for_each(|_| inbox.push(sender(1), &vec![7; 60_000]));
        assert!(inbox.queue.lock().bytes.len() <= MOST_BYTES);
    }

    #[test]
    fn memory_is_bounded_where_the_reader_never_catches_up() {
        let inbox = Inbox::default();
        let cx = Context::from_waker(Waker::noop());
        for _ in 0..100_000 {
            inbox.push(sender(1), &[7; 1000]);
            inbox.push(sender(1), &[7; 1000]);
            let _ = inbox.poll_take(&cx, |_, _| ());
        }
        assert!(inbox.queue.lock().bytes.capacity() <= 4 * MOST_BYTES);
    }
}
