//! How a parent learns of a child's end.

use std::fmt;

use actix::{Message, Recipient};

use crate::tell_recipient;

/// A child's end, as its [`ExitGuard`] reports it: child to parent, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Exited<I: Send + 'static> {
    /// Which child.
    pub id: I,
    /// Whether it ended in a panic.
    pub panicked: bool,
}

/// A field of a child actor whose drop tells the parent.
///
/// It is dropped with the actor's state, whether the actor stopped, was dropped with its arbiter or panicked.
pub struct ExitGuard<I: Send + Copy + 'static> {
    id: I,
    parent: Option<Recipient<Exited<I>>>,
}

impl<I: Send + Copy + 'static> ExitGuard<I> {
    /// A guard for child `id`.
    pub const fn new(id: I, parent: Recipient<Exited<I>>) -> Self {
        Self {
            id,
            parent: Some(parent),
        }
    }

    /// Tells nobody: the parent has ended the child, and has done with it.
    pub fn disarm(&mut self) {
        self.parent = None;
    }
}

impl<I: Send + Copy + 'static> Drop for ExitGuard<I> {
    fn drop(&mut self) {
        let Some(parent) = &self.parent else { return };
        tell_recipient(
            parent,
            Exited {
                id: self.id,
                panicked: std::thread::panicking(),
            },
        );
    }
}

impl<I: Send + Copy + fmt::Debug + 'static> fmt::Debug for ExitGuard<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExitGuard")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
