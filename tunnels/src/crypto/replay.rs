//! Which counters have been seen, so that a cell is believed once.

use super::layer::TAG;

/// How far a cell may be behind the newest one, in counters.
const WINDOW: u64 = 1024;

/// Counters up to this may come again with other contents: programs in use copy their counters when a circuit changes
/// its role, and begin at 2 again.
const RESTART: u64 = 256;

/// How many of such cells are remembered.
const RESTARTED: usize = 64;

/// A window over the counters of one direction.
#[derive(Debug)]
pub(super) struct Replay {
    /// One above the newest counter.
    end: u64,
    /// Bit `n % WINDOW` tells of the counter `n` in `end - WINDOW..end`.
    seen: [u64; (WINDOW / 64) as usize],
    /// The tags of cells with low counters.
    low: Vec<u64>,
}

impl Replay {
    pub(super) const fn new() -> Self {
        Self {
            end: 0,
            seen: [0; (WINDOW / 64) as usize],
            low: Vec::new(),
        }
    }

    /// Whether a cell with this counter can be new; cheap, and asked before it is opened.
    pub(super) fn may_be_new(&self, counter: u64, tag: [u8; TAG]) -> bool {
        if counter <= RESTART {
            return self.low.len() < RESTARTED && !self.low.contains(&digest(tag))
                || self.is_unseen(counter);
        }
        self.is_unseen(counter)
    }

    /// Notes a cell that was opened.
    pub(super) fn note(&mut self, counter: u64, tag: [u8; TAG]) {
        if counter <= RESTART && self.low.len() < RESTARTED {
            self.low.push(digest(tag));
        }
        if counter >= self.end {
            let gap = counter.saturating_sub(self.end);
            if gap >= WINDOW {
                self.seen.fill(0);
            } else {
                (self.end..counter).for_each(|skipped| self.set(skipped, false));
            }
            self.end = counter.saturating_add(1);
        }
        if counter.saturating_add(WINDOW) >= self.end {
            self.set(counter, true);
        }
    }

    fn is_unseen(&self, counter: u64) -> bool {
        if counter >= self.end {
            return counter < u64::MAX;
        }
        let in_window = counter.saturating_add(WINDOW) >= self.end;
        let word = self.seen.get(Self::word(counter));
        in_window && word.is_some_and(|word| word & Self::bit(counter) == 0)
    }

    fn set(&mut self, counter: u64, seen: bool) {
        if let Some(word) = self.seen.get_mut(Self::word(counter)) {
            if seen {
                *word |= Self::bit(counter);
            } else {
                *word &= !Self::bit(counter);
            }
        }
    }

    const fn word(counter: u64) -> usize {
        (counter % WINDOW / 64) as usize
    }

    const fn bit(counter: u64) -> u64 {
        1 << (counter % 64)
    }
}

/// Half of a tag: enough to tell apart what was sealed with one key.
fn digest(tag: [u8; TAG]) -> u64 {
    tag.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(replay: &mut Replay, counter: u64) -> bool {
        let tag = [1; TAG];
        let new = replay.may_be_new(counter, tag);
        if new {
            replay.note(counter, tag);
        }
        new
    }

    #[test]
    fn every_counter_is_taken_once_in_whatever_order() {
        let mut replay = Replay::new();
        for counter in [1000, 1001, 999, 1500, 1499, 2020, 1000 + 1023] {
            assert!(take(&mut replay, counter), "{counter} is new");
            assert!(!take(&mut replay, counter), "{counter} came before");
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_not_taken() {
        let mut replay = Replay::new();
        assert!(take(&mut replay, 5000));
        assert!(take(&mut replay, 5000 - 1023));
        assert!(!take(&mut replay, 5000 - 1024));
        assert!(take(&mut replay, 1 << 40));
        assert!(!take(&mut replay, 5001));
    }

    #[test]
    fn a_jump_clears_what_it_passes() {
        let mut replay = Replay::new();
        assert!(take(&mut replay, 3000));
        assert!(take(&mut replay, 3000 + 1024));
        assert!(take(&mut replay, 3000 + 1023));
        assert!(take(&mut replay, 3001));
    }

    #[test]
    fn low_counters_may_start_again_but_the_same_cell_may_not_come_again() {
        let mut replay = Replay::new();
        let (old, new) = ([1; TAG], [2; TAG]);
        assert!(replay.may_be_new(2, old));
        replay.note(2, old);
        assert!(!replay.may_be_new(2, old));
        assert!(replay.may_be_new(2, new));
        replay.note(2, new);
        assert!(!replay.may_be_new(2, new));
    }

    #[test]
    fn memory_of_restarts_is_bounded() {
        let mut replay = Replay::new();
        for n in 0..1000_u64 {
            let mut tag = [0; TAG];
            tag[..8].copy_from_slice(&n.to_le_bytes());
            if replay.may_be_new(2, tag) {
                replay.note(2, tag);
            }
        }
        assert_eq!(replay.low.len(), RESTARTED);
        assert!(!replay.may_be_new(2, [0xff; TAG]));
    }
}
