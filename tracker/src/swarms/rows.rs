//! A list that grows without moving what is in it: where hundreds of lists grow at once, each move would leave a hole.

use std::ops::{Index, IndexMut};

/// Rows of one piece: a page or two of memory.
const PIECE: usize = 64;

/// Rows in no order, without gaps.
#[derive(Debug)]
pub(super) struct Rows<T> {
    /// Each has room for [`PIECE`] rows; all but the last are full.
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T> Rows<T> {
    pub(super) fn len(&self) -> usize {
        match self.pieces.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        }
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.pieces.get_mut(at / PIECE)?.get_mut(at % PIECE)
    }

    pub(super) fn push(&mut self, row: T) {
        match self.pieces.last_mut() {
            Some(last) if last.len() < PIECE => last.push(row),
            Some(_) | None => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(row);
                self.pieces.push(piece);
            }
        }
    }

    /// Takes a row out; the last has its place then.
    ///
    /// # Panics
    /// Where there is no such row.
    pub(super) fn swap_remove(&mut self, at: usize) -> T {
        let Some(last) = self.pieces.last_mut().and_then(Vec::pop) else {
            panic!("no row {at} of none");
        };
        if self.pieces.last().is_some_and(Vec::is_empty) {
            self.pieces.pop();
            if self.pieces.len() * 4 < self.pieces.capacity() {
                self.pieces.shrink_to_fit();
            }
        }
        if at == self.len() {
            last
        } else {
            std::mem::replace(&mut self[at], last)
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    /// The rows behind the first `count`.
    pub(super) fn skip(&self, count: usize) -> impl Iterator<Item = &T> {
        let pieces = self.pieces.iter().skip(count / PIECE);
        pieces.flatten().skip(count % PIECE)
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.pieces.len() * PIECE * size_of::<T>() + self.pieces.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> Index<usize> for Rows<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        &self.pieces[at / PIECE][at % PIECE]
    }
}

impl<T> IndexMut<usize> for Rows<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut self.pieces[at / PIECE][at % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_do_what_a_vec_does(steps in proptest::collection::vec(any::<(bool, u16)>(), 0..600)) {
            let mut rows = Rows::default();
            let mut model = Vec::new();
            for (adds, number) in steps {
                if adds || model.is_empty() {
                    rows.push(number);
                    model.push(number);
                } else {
                    let at = usize::from(number) % model.len();
                    prop_assert_eq!(rows.swap_remove(at), model.swap_remove(at));
                }
                prop_assert_eq!(rows.len(), model.len());
            }
            prop_assert!(rows.iter().eq(model.iter()));
            prop_assert!(rows.skip(100).eq(model.iter().skip(100)));
            for (at, number) in model.iter().enumerate() {
                prop_assert_eq!(rows[at], *number);
            }
            prop_assert!(rows.get_mut(model.len()).is_none());
        }
    }
}
