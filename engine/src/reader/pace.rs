//! How many chunks a reader has read at a time: one behind the one that is taken, and more for who takes them faster than they come and
//! has done so for a while. So whoever reads slowly has little in memory, and who reads fast does not wait for each chunk anew.

/// Who has read so many bytes on end, and still comes sooner than what was begun in time, has more read before it comes.
const MUCH: u64 = 32 << 20;

/// Chunks that are being read at a time, at most.
const MOST_COMING: usize = 4;

/// After so many chunks on end that were there in time, one less is being read.
const EASY: u32 = 64;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Pace {
    depth: usize,
    /// Bytes that were read on end.
    read: u64,
    /// Chunks on end that were there in time.
    easy: u32,
}

/// One.
impl Default for Pace {
    fn default() -> Self {
        Self {
            depth: 1,
            read: 0,
            easy: 0,
        }
    }
}

impl Pace {
    /// How many chunks are to be read at a time.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// A chunk of so many bytes was there when it was asked for, or was waited for although it was begun before.
    pub(super) fn note(&mut self, len: u64, in_time: bool) {
        self.read = self.read.saturating_add(len);
        self.easy = if in_time { self.easy + 1 } else { 0 };
        if !in_time && self.read >= MUCH {
            self.depth = (self.depth + 1).min(MOST_COMING);
        } else if self.easy >= EASY {
            self.easy = 0;
            self.depth = (self.depth - 1).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: u64 = 1 << 20;

    #[test]
    fn who_takes_much_faster_than_it_comes_has_more_read_and_less_again_when_it_is_slower() {
        let mut pace = Pace::default();
        // What buffers on the way take at first says nothing.
        for _ in 0..MUCH / CHUNK - 1 {
            pace.note(CHUNK, false);
            assert_eq!(pace.depth(), 1);
        }
        for depth in [2, 3, 4, 4, 4] {
            pace.note(CHUNK, false);
            assert_eq!(pace.depth(), depth);
        }
        for depth in [3, 2, 1, 1] {
            for _ in 0..EASY {
                assert!(pace.depth() >= depth);
                pace.note(CHUNK, true);
            }
            assert_eq!(pace.depth(), depth);
        }
        // Now and then one comes late, and that is enough to keep what there is.
        pace.note(CHUNK, false);
        for _ in 0..EASY * 4 {
            pace.note(CHUNK, true);
            pace.note(CHUNK, false);
        }
        assert_eq!(pace.depth(), MOST_COMING);
    }
}
