//! Whether connections are worth keeping open.

/// Whether clients send further requests by the connections that are kept for them. Where none does, looking at a connection until its
/// client closes it costs about as much as its request; so most are closed behind their first answer then, and some are kept to see
/// whether that has changed.
#[derive(Debug, Default)]
pub(super) struct Habit {
    /// Kept connections that ended with one request, since one brought another.
    alone: u32,
    /// Connections since one was kept to see what becomes of it.
    since: u32,
}

impl Habit {
    /// Kept connections that have to end with one request before others are closed.
    pub(super) const ENOUGH: u32 = 64;

    /// One in so many is kept to see what becomes of it.
    pub(super) const TRIES: u32 = 32;

    /// Whether the next connection is to be closed behind its first answer.
    pub(super) const fn closes_next(&mut self) -> bool {
        if self.alone < Self::ENOUGH {
            return false;
        }
        self.since += 1;
        if self.since < Self::TRIES {
            return true;
        }
        self.since = 0;
        false
    }

    /// A kept connection has ended with one request.
    pub(super) const fn alone(&mut self) {
        self.alone = self.alone.saturating_add(1);
    }

    /// A kept connection has brought another request.
    pub(super) const fn used(&mut self) {
        self.alone = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_closed_once_none_is_used_and_kept_again_once_one_is() {
        let mut habit = Habit::default();
        for _ in 0..Habit::ENOUGH {
            assert!(!habit.closes_next());
            habit.alone();
        }
        let kept = (0..10 * Habit::TRIES).filter(|_| !habit.closes_next());
        assert_eq!(kept.count(), 10);
        habit.used();
        assert!((0..1000).all(|_| !habit.closes_next()));
    }
}
