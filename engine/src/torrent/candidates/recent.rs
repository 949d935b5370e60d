//! What was added last.

use std::collections::{BTreeSet, VecDeque};

/// The last so many of what was added.
#[derive(Debug)]
pub(super) struct Recent<T> {
    limit: usize,
    set: BTreeSet<T>,
    order: VecDeque<T>,
}

impl<T: Ord + Copy> Recent<T> {
    /// Room for `limit` items.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            set: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Adds an item; the oldest goes where there are too many.
    pub(super) fn insert(&mut self, item: T) {
        if !self.set.insert(item) {
            return;
        }
        self.order.push_back(item);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }

    /// Whether the item is among them.
    pub(super) fn contains(&self, item: &T) -> bool {
        self.set.contains(item)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.set.len()
    }
}
