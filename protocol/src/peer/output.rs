//! Encoded control frames on their way out.

/// A byte queue: appended to at the back by the session, written out from the front by the caller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    head: usize,
    overflowed: bool,
}

/// Capacity that an empty queue keeps.
const KEPT_CAPACITY: usize = 64 * 1024;

impl Output {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.head..).unwrap_or_default()
    }

    pub(crate) const fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.head)
    }

    /// Whether a frame had to be dropped because `limit` was reached.
    pub(crate) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Lets `write` append a frame, unless `limit` bytes are waiting already.
    pub(crate) fn push(&mut self, limit: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.len() >= limit {
            self.overflowed = true;
        } else {
            write(&mut self.bytes);
        }
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.head = self.head.saturating_add(n).min(self.bytes.len());
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_CAPACITY);
            self.head = 0;
        } else if self.head > KEPT_CAPACITY {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_consumed_never_comes_back() {
        let mut out = Output::default();
        out.push(usize::MAX, |to| to.extend(0..=255));
        out.consume(100);
        assert_eq!(out.as_slice().first(), Some(&100));
        out.push(usize::MAX, |to| to.push(7));
        assert_eq!(out.len(), 157);
        out.consume(500);
        assert!(out.as_slice().is_empty());
    }

    #[test]
    fn a_full_queue_drops_the_frame_and_remembers_it() {
        let mut out = Output::default();
        out.push(4, |to| to.extend_from_slice(&[1; 6]));
        assert!(!out.overflowed());
        out.push(4, |to| to.push(2));
        assert!(out.overflowed());
        assert_eq!(out.len(), 6);
    }

    #[test]
    fn a_drained_queue_gives_large_memory_back() {
        let mut out = Output::default();
        out.push(usize::MAX, |to| to.resize(1 << 20, 0));
        for _ in 0..16 {
            out.consume(1 << 16);
        }
        assert_eq!(out.len(), 0);
        assert!(out.bytes.capacity() <= KEPT_CAPACITY);
    }
}
