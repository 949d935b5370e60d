//! Memory that the inboxes of many sockets share.

use std::sync::Arc;

use parking_lot::Mutex;

/// Bytes of a block: several datagrams.
pub(super) const BLOCK: usize = 16 << 10;

/// Blocks for all: 64 MiB.
const MOST: usize = 4096;

/// Those of them that are kept for sockets that have none: nobody's datagrams are lost because others do not read theirs.
const KEPT: usize = 1024;

/// Blocks that are kept to be used again.
const SPARE: usize = 64;

/// See the module.
#[derive(Clone, Default)]
pub(in super::super) struct Blocks(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lent: usize,
    spare: Vec<Vec<u8>>,
}

impl Blocks {
    /// An empty block for who has so many already; none where others have too many.
    pub(super) fn take(&self, has: usize) -> Option<Vec<u8>> {
        let mut state = self.0.lock();
        let most = if has == 0 { MOST } else { MOST - KEPT };
        if state.lent >= most {
            return None;
        }
        state.lent += 1;
        let spare = state.spare.pop();
        Some(spare.unwrap_or_else(|| Vec::with_capacity(BLOCK)))
    }

    /// Gives one back.
    pub(super) fn give_back(&self, mut block: Vec<u8>) {
        block.clear();
        let mut state = self.0.lock();
        state.lent = state.lent.saturating_sub(1);
        if state.spare.len() < SPARE {
            state.spare.push(block);
        }
    }

    /// How many are lent.
    #[cfg(test)]
    pub(super) fn lent(&self) -> usize {
        self.0.lock().lent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_none_gets_one_though_others_have_all_that_they_may() {
        let blocks = Blocks::default();
        let greedy: Vec<_> = std::iter::from_fn(|| blocks.take(1)).collect();
        assert_eq!(greedy.len(), MOST - KEPT);
        let modest: Vec<_> = std::iter::from_fn(|| blocks.take(0)).collect();
        assert_eq!(modest.len(), KEPT);
        greedy
            .into_iter()
            .chain(modest)
            .for_each(|block| blocks.give_back(block));
        assert_eq!(blocks.lent(), 0);
        assert_eq!(blocks.0.lock().spare.len(), SPARE);
        assert!(blocks.take(1).is_some_and(|block| block.is_empty()));
    }
}
