//! The peers of one torrent and one family, where they are many: arrays side by side, those without everything in front, and an
//! index of four bytes each.

use hashbrown::HashTable;
use rand::Rng;

use super::family::Seen;
use super::mark::{Mark, Seconds};
use super::member::{Counts, Member, Put, Report};
use super::pick::{Room, windows};
use super::rules::Rules;

/// Peers that are looked through one by one; beyond them there is an index.
const LINEAR: usize = 12;

#[derive(Debug, Default)]
pub(super) struct Many<const N: usize> {
    addrs: Vec<[u8; N]>,
    marks: Vec<Mark>,
    /// Empty where ids are not kept.
    ids: Vec<[u8; 20]>,
    /// Empty where reports are not kept.
    reports: Vec<Report>,
    counts: Counts,
    /// Empty while peers are few.
    index: HashTable<u32>,
}

impl<const N: usize> Many<N> {
    pub(super) const fn len(&self) -> usize {
        self.addrs.len()
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    const fn leechers(&self) -> usize {
        self.counts.leechers as usize
    }

    /// Adds a peer, or tells what has become of one that is here.
    pub(super) fn put(&mut self, member: &Member<'_, N>, rules: &Rules) -> Put {
        let Some(at) = self.find(&member.addr, member.id, rules) else {
            let after = member.mark(None);
            let at = self.push(member, after, rules);
            return Put {
                at,
                before: None,
                after,
            };
        };
        let before = self.marks[at];
        let after = member.mark(Some(before));
        let at = self.change(at, after, rules);
        if self.addrs[at] != member.addr {
            // Known by its id, which stays.
            self.addrs[at] = member.addr;
        }
        if let Some(id) = self.ids.get_mut(at)
            && id != member.id
        {
            *id = *member.id;
        }
        if let Some(report) = self.reports.get_mut(at) {
            *report = member.report;
        }
        Put {
            at,
            before: Some(before),
            after,
        }
    }

    /// A peer that was here before there were many.
    pub(super) fn adopt(&mut self, (addr, id): (&[u8; N], &[u8; 20]), mark: Mark, rules: &Rules) {
        let member = Member {
            addr: *addr,
            id,
            seeder: mark.is_seeder(),
            now: mark.seen(),
            report: Report::default(),
        };
        self.push(&member, mark, rules);
    }

    pub(super) fn find(&self, addr: &[u8; N], id: &[u8; 20], rules: &Rules) -> Option<usize> {
        let key = rules.key(addr, id);
        if self.index.is_empty() {
            return (0..self.len()).find(|at| self.key(*at, rules) == key);
        }
        let found = self
            .index
            .find(rules.hash(key), |at| self.key(*at as usize, rules) == key);
        found.map(|at| *at as usize)
    }

    /// Takes the peer at `at` out, and tells what it was; another may have its place then, from further behind.
    pub(super) fn remove(&mut self, at: usize, rules: &Rules) -> Mark {
        let mark = self.marks[at];
        // To the end of its part, then to the end of all.
        let mut at = at;
        if !mark.is_seeder() {
            at = self.swap(at, self.leechers() - 1, rules);
        }
        let last = self.len() - 1;
        let at = self.swap(at, last, rules);
        self.forget(at, rules);
        self.counts.take(mark);
        self.addrs.pop();
        self.marks.pop();
        self.ids.pop();
        self.reports.pop();
        self.give_room_back(rules);
        mark
    }

    /// Names up to `want` peers to the one at `asker`, or to a stranger.
    pub(super) fn pick(
        &self,
        (asker, asker_has_all): (Option<usize>, bool),
        want: usize,
        rng: &mut impl Rng,
        out: &mut Room<'_, N>,
    ) {
        let parts = (self.leechers(), self.counts.seeders as usize);
        windows(parts, asker, asker_has_all, want, rng, |range| {
            out.addrs.extend_from_slice(&self.addrs[range.clone()]);
            if !self.ids.is_empty() {
                out.ids.extend_from_slice(&self.ids[range]);
            }
        });
    }

    /// Takes out who was last heard of before `oldest`, and from `total`, looking at no more than `budget` peers from `from`
    /// downwards. What is left to be looked at lies below what is returned.
    pub(super) fn expire(
        &mut self,
        from: usize,
        oldest: Seconds,
        (budget, total): (&mut usize, &mut Counts),
        rules: &Rules,
    ) -> usize {
        let mut at = from.min(self.len());
        while at > 0 && *budget > 0 {
            at -= 1;
            *budget -= 1;
            if self.marks[at].seen() < oldest {
                // Who takes its place comes from behind, where all were looked at.
                total.take(self.remove(at, rules));
                *budget = budget.saturating_sub(8);
            }
        }
        at
    }

    /// The peer at `at`.
    pub(super) fn get(&self, at: usize) -> Option<Seen<'_, N>> {
        Some(Seen {
            addr: self.addrs.get(at)?,
            id: self.ids.get(at),
            mark: *self.marks.get(at)?,
            report: self.reports.get(at),
        })
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.addrs.capacity() * N
            + self.marks.capacity() * size_of::<Mark>()
            + self.ids.capacity() * 20
            + self.reports.capacity() * size_of::<Report>()
            + self.index.allocation_size()
    }

    fn key(&self, at: usize, rules: &Rules) -> &[u8] {
        // Ids are there wherever they are keys.
        rules.key(&self.addrs[at], self.ids.get(at).unwrap_or(&[0; 20]))
    }

    fn push(&mut self, member: &Member<'_, N>, mark: Mark, rules: &Rules) -> usize {
        grow(&mut self.addrs);
        self.addrs.push(member.addr);
        grow(&mut self.marks);
        self.marks.push(mark);
        if rules.keep.ids {
            grow(&mut self.ids);
            self.ids.push(*member.id);
        }
        if rules.keep.reports {
            grow(&mut self.reports);
            self.reports.push(member.report);
        }
        let at = self.len() - 1;
        if !self.index.is_empty() {
            self.note(at, rules);
        } else if self.len() > LINEAR {
            for at in 0..self.len() {
                self.note(at, rules);
            }
        }
        // In front of the first seeder, unless it is one.
        let first_seeder = self.leechers();
        self.counts.add(mark);
        if mark.is_seeder() {
            at
        } else {
            self.swap(at, first_seeder, rules)
        }
    }

    /// Gives the peer at `at` another mark, and tells where it is then.
    fn change(&mut self, at: usize, mark: Mark, rules: &Rules) -> usize {
        let old = std::mem::replace(&mut self.marks[at], mark);
        let leechers = self.leechers();
        self.counts.take(old);
        self.counts.add(mark);
        match (old.is_seeder(), mark.is_seeder()) {
            (false, true) => self.swap(at, leechers - 1, rules),
            (true, false) => self.swap(at, leechers, rules),
            _ => at,
        }
    }

    /// Changes the places of two; returns the second.
    fn swap(&mut self, a: usize, b: usize, rules: &Rules) -> usize {
        if a != b {
            if !self.index.is_empty() {
                let [of_a, of_b] = [a, b].map(|at| {
                    let hash = rules.hash(self.key(at, rules));
                    (hash, at as u32)
                });
                // Both are found before either is changed: each hash may lead past the other.
                self.renumber(of_a, u32::MAX);
                self.renumber(of_b, a as u32);
                self.renumber((of_a.0, u32::MAX), b as u32);
            }
            self.addrs.swap(a, b);
            self.marks.swap(a, b);
            if !self.ids.is_empty() {
                self.ids.swap(a, b);
            }
            if !self.reports.is_empty() {
                self.reports.swap(a, b);
            }
        }
        b
    }

    fn renumber(&mut self, (hash, old): (u64, u32), new: u32) {
        if let Some(at) = self.index.find_mut(hash, |at| *at == old) {
            *at = new;
        }
    }

    fn note(&mut self, at: usize, rules: &Rules) {
        let Self {
            index, addrs, ids, ..
        } = self;
        let hash = |at: &u32| {
            let at = *at as usize;
            rules.hash(rules.key(&addrs[at], ids.get(at).unwrap_or(&[0; 20])))
        };
        index.insert_unique(hash(&(at as u32)), at as u32, hash);
    }

    fn forget(&mut self, at: usize, rules: &Rules) {
        let hash = rules.hash(self.key(at, rules));
        if let Ok(entry) = self.index.find_entry(hash, |found| *found as usize == at) {
            entry.remove();
        }
    }

    /// Gives most of the room back where three quarters of it are empty.
    fn give_room_back(&mut self, rules: &Rules) {
        let len = self.len();
        if len.max(LINEAR) * 4 >= self.addrs.capacity() {
            return;
        }
        self.addrs.shrink_to_fit();
        self.marks.shrink_to_fit();
        self.ids.shrink_to_fit();
        self.reports.shrink_to_fit();
        if len <= LINEAR / 2 {
            self.index = HashTable::new();
        } else {
            let Self {
                index, addrs, ids, ..
            } = self;
            index.shrink_to_fit(|at| {
                let at = *at as usize;
                rules.hash(rules.key(&addrs[at], ids.get(at).unwrap_or(&[0; 20])))
            });
        }
    }
}

/// Room for one more: by a sixteenth, for large swarms grow slowly and there may be many of them.
fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 16).max(4));
    }
}
