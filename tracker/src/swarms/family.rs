//! The peers of one torrent and one family: nobody, one without any room of its own, a few in one list, or many.

use rand::{Rng, RngExt as _};

use super::many::Many;
use super::mark::{Mark, Seconds};
use super::member::{Counts, Member, Put, Report};
use super::pick::Room;
use super::rules::Rules;

/// Peers of one list; beyond them they are many.
const FEW: usize = 8;

#[derive(Debug, Default)]
pub(super) enum Family<const N: usize> {
    #[default]
    Nobody,
    Lone(Row<N>),
    Few(Vec<Row<N>>),
    Many(Box<Many<N>>),
}

/// A peer of a small swarm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<const N: usize> {
    addr: [u8; N],
    mark: Mark,
    /// Zeros where ids are not kept.
    id: [u8; 20],
}

/// A peer as it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a, const N: usize> {
    pub(super) addr: &'a [u8; N],
    pub(super) id: Option<&'a [u8; 20]>,
    pub(super) mark: Mark,
    pub(super) report: Option<&'a Report>,
}

impl<const N: usize> Family<N> {
    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Many(many) => many.counts(),
            small @ (Self::Nobody | Self::Lone(_) | Self::Few(_)) => {
                let mut counts = Counts::default();
                for row in small.rows() {
                    counts.add(row.mark);
                }
                counts
            }
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Nobody => 0,
            Self::Lone(_) => 1,
            Self::Few(rows) => rows.len(),
            Self::Many(many) => many.len(),
        }
    }

    /// Adds a peer, or tells what has become of one that is here.
    pub(super) fn put(&mut self, member: &Member<'_, N>, rules: &Rules) -> Put {
        if let Self::Many(many) = self {
            return many.put(member, rules);
        }
        let found = self.find(&member.addr, member.id, rules);
        if let Some(at) = found {
            let row = &mut self.rows_mut()[at];
            let before = row.mark;
            let after = member.mark(Some(before));
            *row = Row::new(member, after, rules);
            return Put {
                at,
                before: Some(before),
                after,
            };
        }
        let after = member.mark(None);
        let row = Row::new(member, after, rules);
        let at = self.len();
        match std::mem::take(self) {
            Self::Nobody if !rules.keep.reports => *self = Self::Lone(row),
            Self::Lone(first) => *self = Self::Few(vec![first, row]),
            Self::Few(mut rows) if rows.len() < FEW => {
                rows.reserve_exact(1);
                rows.push(row);
                *self = Self::Few(rows);
            }
            small @ (Self::Nobody | Self::Few(_) | Self::Many(_)) => {
                let mut many = Box::<Many<N>>::default();
                for row in small.rows() {
                    many.adopt((&row.addr, &row.id), row.mark, rules);
                }
                let put = many.put(member, rules);
                *self = Self::Many(many);
                return put;
            }
        }
        Put {
            at,
            before: None,
            after,
        }
    }

    pub(super) fn find(&self, addr: &[u8; N], id: &[u8; 20], rules: &Rules) -> Option<usize> {
        if let Self::Many(many) = self {
            return many.find(addr, id, rules);
        }
        let key = rules.key(addr, id);
        let mut rows = self.rows().iter();
        rows.position(|row| rules.key(&row.addr, &row.id) == key)
    }

    /// Takes a peer out, and tells what it was if it was here.
    pub(super) fn remove(&mut self, addr: &[u8; N], id: &[u8; 20], rules: &Rules) -> Option<Mark> {
        let at = self.find(addr, id, rules)?;
        self.remove_at(at, rules)
    }

    /// Names up to `want` peers to the one at `asker`, or to a stranger.
    pub(super) fn pick(
        &self,
        (asker, asker_has_all): (Option<usize>, bool),
        want: usize,
        rules: &Rules,
        rng: &mut impl Rng,
        out: &mut Room<'_, N>,
    ) {
        if let Self::Many(many) = self {
            return many.pick((asker, asker_has_all), want, rng, out);
        }
        let rows = self.rows();
        if want == 0 || rows.len() <= usize::from(asker.is_some()) {
            return;
        }
        let first = rng.random_range(0..rows.len());
        let ring = (first..rows.len()).chain(0..first);
        let others = ring
            .filter(|at| Some(*at) != asker)
            .map(|at| &rows[at])
            .filter(|row| !(asker_has_all && row.mark.is_seeder()));
        for row in others.take(want) {
            out.addrs.push(row.addr);
            if rules.keep.ids {
                out.ids.push(row.id);
            }
        }
    }

    /// Takes out who was last heard of before `oldest`, as [`Many::expire`] does.
    pub(super) fn expire(
        &mut self,
        from: usize,
        oldest: Seconds,
        (budget, total): (&mut usize, &mut Counts),
        rules: &Rules,
    ) -> usize {
        if let Self::Many(many) = self {
            let left = many.expire(from, oldest, (budget, total), rules);
            if left == 0 {
                self.settle(rules);
            }
            return left;
        }
        for at in (0..self.len()).rev() {
            *budget = budget.saturating_sub(1);
            if self.rows()[at].mark.seen() < oldest
                && let Some(mark) = self.remove_at(at, rules)
            {
                total.take(mark);
            }
        }
        0
    }

    /// The peers from `from` on.
    pub(super) fn seen<'a>(
        &'a self,
        from: usize,
        rules: &'a Rules,
    ) -> impl Iterator<Item = Seen<'a, N>> {
        let many = match self {
            Self::Many(many) => Some(many),
            Self::Nobody | Self::Lone(_) | Self::Few(_) => None,
        };
        (from..self.len()).filter_map(move |at| match many {
            Some(many) => many.get(at),
            None => self.rows().get(at).map(|row| Seen {
                addr: &row.addr,
                id: Some(&row.id).filter(|_| rules.keep.ids),
                mark: row.mark,
                report: None,
            }),
        })
    }

    /// Bytes on the heap, as they were asked for.
    pub(super) fn heap(&self) -> usize {
        match self {
            Self::Nobody | Self::Lone(_) => 0,
            Self::Few(rows) => rows.capacity() * size_of::<Row<N>>(),
            Self::Many(many) => size_of::<Many<N>>() + many.heap(),
        }
    }

    fn rows(&self) -> &[Row<N>] {
        match self {
            Self::Nobody | Self::Many(_) => &[],
            Self::Lone(row) => std::slice::from_ref(row),
            Self::Few(rows) => rows,
        }
    }

    fn rows_mut(&mut self) -> &mut [Row<N>] {
        match self {
            Self::Nobody | Self::Many(_) => &mut [],
            Self::Lone(row) => std::slice::from_mut(row),
            Self::Few(rows) => rows,
        }
    }

    fn remove_at(&mut self, at: usize, rules: &Rules) -> Option<Mark> {
        match self {
            Self::Nobody => None,
            Self::Lone(row) => {
                let mark = row.mark;
                *self = Self::Nobody;
                Some(mark)
            }
            Self::Few(rows) => {
                let mark = rows.swap_remove(at).mark;
                if let [row] = rows[..] {
                    *self = Self::Lone(row);
                }
                Some(mark)
            }
            Self::Many(many) => {
                let mark = many.remove(at, rules);
                if many.len() == 0 {
                    *self = Self::Nobody;
                }
                Some(mark)
            }
        }
    }

    /// Gives the room of many back where few are left.
    fn settle(&mut self, rules: &Rules) {
        let Self::Many(many) = self else {
            return;
        };
        if many.len() == 0 {
            *self = Self::Nobody;
        } else if many.len() <= FEW / 2 && !rules.keep.reports {
            let rows = (0..many.len())
                .filter_map(|at| many.get(at))
                .map(|seen| Row {
                    addr: *seen.addr,
                    mark: seen.mark,
                    id: seen.id.copied().unwrap_or_default(),
                });
            let rows: Vec<_> = rows.collect();
            *self = match rows[..] {
                [row] => Self::Lone(row),
                _ => Self::Few(rows),
            };
        }
    }
}

impl<const N: usize> Row<N> {
    fn new(member: &Member<'_, N>, mark: Mark, rules: &Rules) -> Self {
        Self {
            addr: member.addr,
            mark,
            id: if rules.keep.ids { *member.id } else { [0; 20] },
        }
    }
}
