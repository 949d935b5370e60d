//! What was said of one thing, where an answer may not have come.

use std::fmt::Debug;

/// The values that a thing may have: one where the last command was answered, more where it is not known what came of some.
#[derive(Clone, Debug)]
pub(crate) struct Said<T> {
    may: Vec<T>,
}

impl<T: Clone + Debug + PartialEq> Said<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { may: vec![value] }
    }

    /// A command goes out that would make it this.
    pub(crate) fn asked(&mut self, value: T) {
        if !self.may.contains(&value) {
            self.may.push(value);
        }
    }

    /// It is this from now on.
    pub(crate) fn set(&mut self, value: T) {
        self.may = vec![value];
    }

    /// What it is, where that is known.
    pub(crate) fn sure(&self) -> Option<&T> {
        match &self.may[..] {
            [one] => Some(one),
            _ => None,
        }
    }

    pub(crate) fn may(&self) -> &[T] {
        &self.may
    }

    pub(crate) fn may_be(&self, value: &T) -> bool {
        self.may.contains(value)
    }

    /// It was found to be this; and stays so, unless something is `under_way`.
    pub(crate) fn see(&mut self, what: &str, value: T, under_way: bool) {
        assert!(
            self.may_be(&value),
            "{what} is {value:?}, said was {self:?}"
        );
        if !under_way {
            self.set(value);
        }
    }
}
