//! Torrents of one kind, in order: those that wait and those that run, and who of them has to change.

use std::collections::BTreeSet;

use crate::TorrentId;

/// Where a torrent stands among those of its kind: the smaller first.
pub(super) type Order = (u64, TorrentId);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    No,
    /// And takes a place.
    Busy,
    /// And takes none.
    Slow,
}

/// Torrents of one kind, in order.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) waiting: BTreeSet<Order>,
    pub(super) busy: BTreeSet<Order>,
    pub(super) slow: BTreeSet<Order>,
}

impl Line {
    pub(super) const fn set(&mut self, runs: Runs) -> &mut BTreeSet<Order> {
        match runs {
            Runs::No => &mut self.waiting,
            Runs::Busy => &mut self.busy,
            Runs::Slow => &mut self.slow,
        }
    }

    /// Those that run, in order.
    pub(super) fn running(&self) -> impl Iterator<Item = TorrentId> + '_ {
        merged(&self.busy, &self.slow).map(|((_, id), _)| *id)
    }

    /// Who starts and who stops, where so many of the kind may run and so many are left in all, which are counted down.
    pub(super) fn grant(
        &self,
        slots: Option<u64>,
        left: &mut Option<u64>,
    ) -> (Vec<TorrentId>, Vec<TorrentId>) {
        let (mut starts, mut stops) = (Vec::new(), Vec::new());
        // Slow ones take no slot, only what is left of all; those at the front stay.
        let mut slow = self.slow.iter();
        let mut slow_kept = 0;
        let mut slots = slots.unwrap_or(u64::MAX);
        let mut busy_kept = 0;
        let limited = left.is_some();
        let mut room = left.unwrap_or(u64::MAX);
        let mut next_slow = if limited { slow.next() } else { None };
        for (order, runs) in merged(&self.busy, &self.waiting) {
            while let Some(before) = next_slow.filter(|before| *before < order && room > 0) {
                let _ = before;
                room -= 1;
                slow_kept += 1;
                next_slow = slow.next();
            }
            if slots == 0 || room == 0 {
                break;
            }
            slots -= 1;
            room = room.saturating_sub(u64::from(limited));
            if runs {
                busy_kept += 1;
            } else {
                starts.push(order.1);
            }
        }
        while next_slow.is_some() && room > 0 {
            room -= 1;
            slow_kept += 1;
            next_slow = slow.next();
        }
        stops.extend(self.busy.iter().skip(busy_kept).map(|(_, id)| *id));
        if limited {
            stops.extend(self.slow.iter().skip(slow_kept).map(|(_, id)| *id));
        }
        if let Some(left) = left {
            *left = room;
        }
        (starts, stops)
    }
}

/// Both sets in order, with whether it is of the first.
fn merged<'a>(
    first: &'a BTreeSet<Order>,
    second: &'a BTreeSet<Order>,
) -> impl Iterator<Item = (&'a Order, bool)> {
    let (mut first, mut second) = (first.iter().peekable(), second.iter().peekable());
    std::iter::from_fn(move || match (first.peek(), second.peek()) {
        (Some(one), Some(other)) if one > other => second.next().map(|it| (it, false)),
        (Some(_), _) => first.next().map(|it| (it, true)),
        (None, _) => second.next().map(|it| (it, false)),
    })
}
