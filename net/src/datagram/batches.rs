//! Batches that many share.

use parking_lot::Mutex;

use super::Batch;

/// Room for what is received, for many sockets together: each batch is large, and there are as many as are lent at the same
/// moment.
#[derive(Debug, Default)]
pub struct Batches(Mutex<Vec<Batch>>);

impl Batches {
    /// Does something with a batch, which is empty.
    pub fn lend<T>(&self, act: impl FnOnce(&mut Batch) -> T) -> T {
        let mut batch = self.0.lock().pop().unwrap_or_default();
        batch.clear();
        let result = act(&mut batch);
        self.0.lock().push(batch);
        result
    }

    /// How many there are that nobody has.
    pub fn spare(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_are_lent_at_the_same_moment() {
        let batches = Batches::default();
        for _ in 0..100 {
            batches.lend(|_| batches.lend(|batch| assert!(batch.is_empty())));
        }
        assert_eq!(batches.spare(), 2);
    }
}
