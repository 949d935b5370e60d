//! Availability of every piece, and the pieces that may be opened, kept in order of rarity.
//!
//! A piece is *listed* while it is wanted, missing and not yet begun. Listed pieces of one priority stand in one array,
//! grouped into buckets by availability; a piece whose availability changes by one moves to the neighbouring bucket
//! with a single swap, so the array is in order at all times and never sorted.

/// Availability above this many partial peers makes no difference to the order: such a piece is in no danger, and
/// fewer buckets keep listing a piece cheap.
const LAST_BUCKET: u16 = 255;

const UNLISTED: u8 = 0;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Rarity {
    /// Partial peers that have each piece.
    seen: Vec<u16>,
    /// Number of pieces that so many partial peers have.
    spread: Vec<u32>,
    /// Peers that have everything.
    full: u32,
    /// The class each piece is listed in, or [`UNLISTED`].
    class: Vec<u8>,
    /// Where a listed piece stands in its class.
    at: Vec<u32>,
    classes: [Class; 7],
    listed: u32,
}

/// The listed pieces of one priority.
#[derive(Debug, Default)]
struct Class {
    order: Vec<u32>,
    /// The end of each bucket in `order`; bucket `n` begins where `n - 1` ends.
    ends: Vec<u32>,
}

impl Rarity {
    /// Pieces that nobody has, none of them listed.
    pub(super) fn new(pieces: u32) -> Self {
        let len = pieces as usize;
        Self {
            seen: vec![0; len],
            spread: vec![pieces],
            full: 0,
            class: vec![UNLISTED; len],
            at: vec![0; len],
            classes: std::array::from_fn(|_| Class::default()),
            listed: 0,
        }
    }

    /// Lists many pieces at once, in random order among equals; `wanted` gives each piece's class, 0 for none.
    pub(super) fn list_all(&mut self, wanted: impl Fn(u32) -> u8) {
        let mut sizes = [0_usize; 8];
        let pieces = self.seen.len() as u32;
        for piece in 0..pieces {
            sizes[usize::from(wanted(piece).min(7))] += 1;
        }
        for (class, size) in self.classes.iter_mut().zip(&sizes[1..]) {
            class.order = Vec::with_capacity(*size);
            class.ends.clear();
        }
        self.class.fill(UNLISTED);
        self.listed = 0;
        for piece in 0..pieces {
            self.list(piece, wanted(piece));
        }
    }

    /// Lists a piece in a class from 1 to 7; 0 and a piece that is listed already change nothing.
    pub(super) fn list(&mut self, piece: u32, class: u8) {
        let index = piece as usize;
        if class == UNLISTED || class > 7 || self.class[index] != UNLISTED {
            return;
        }
        self.class[index] = class;
        self.listed += 1;
        let bucket = usize::from(self.seen[index].min(LAST_BUCKET));
        let Class { order, ends } = &mut self.classes[usize::from(class) - 1];
        grow(ends, bucket);
        let mut hole = order.len();
        order.push(piece);
        for later in (bucket + 1..ends.len()).rev() {
            let first = ends[later - 1] as usize;
            ends[later] += 1;
            if first != hole {
                order[hole] = order[first];
                self.at[order[hole] as usize] = hole as u32;
                hole = first;
            }
        }
        ends[bucket] += 1;
        order[hole] = piece;
        self.at[index] = hole as u32;
    }

    /// Takes a piece out of its class, if it is in one.
    pub(super) fn unlist(&mut self, piece: u32) {
        let index = piece as usize;
        let class = std::mem::replace(&mut self.class[index], UNLISTED);
        if class == UNLISTED {
            return;
        }
        self.listed -= 1;
        let Class { order, ends } = &mut self.classes[usize::from(class) - 1];
        let mut hole = self.at[index] as usize;
        let bucket = usize::from(self.seen[index].min(LAST_BUCKET));
        for end in &mut ends[bucket..] {
            *end -= 1;
            let last = *end as usize;
            if last != hole {
                order[hole] = order[last];
                self.at[order[hole] as usize] = hole as u32;
                hole = last;
            }
        }
        order.pop();
    }

    /// One more partial peer has the piece.
    pub(super) fn raise(&mut self, piece: u32) {
        let index = piece as usize;
        let before = self.seen[index];
        debug_assert!(before < u16::MAX, "more peers than a torrent can have");
        self.count(before, before.saturating_add(1));
        self.seen[index] = before.saturating_add(1);
        let class = self.class[index];
        if class == UNLISTED || before >= LAST_BUCKET {
            return;
        }
        let bucket = usize::from(before);
        let Class { order, ends } = &mut self.classes[usize::from(class) - 1];
        grow(ends, bucket + 1);
        ends[bucket] -= 1;
        swap(order, &mut self.at, index, ends[bucket]);
    }

    /// One partial peer less has the piece.
    pub(super) fn lower(&mut self, piece: u32) {
        let index = piece as usize;
        let before = self.seen[index];
        debug_assert!(before > 0, "a peer left that was never counted");
        if before == 0 {
            return;
        }
        self.count(before, before - 1);
        self.seen[index] = before - 1;
        let class = self.class[index];
        if class == UNLISTED || before > LAST_BUCKET {
            return;
        }
        let bucket = usize::from(before);
        let Class { order, ends } = &mut self.classes[usize::from(class) - 1];
        let first = ends[bucket - 1];
        ends[bucket - 1] += 1;
        swap(order, &mut self.at, index, first);
    }

    /// A peer that has everything came.
    pub(super) fn raise_all(&mut self) {
        self.full += 1;
    }

    /// A peer that has everything left.
    pub(super) fn lower_all(&mut self) {
        debug_assert!(self.full > 0, "a peer left that was never counted");
        self.full = self.full.saturating_sub(1);
    }

    /// Peers that have everything.
    pub(super) fn full(&self) -> u32 {
        self.full
    }

    /// Peers that have the piece.
    pub(super) fn availability(&self, piece: u32) -> u32 {
        self.full + u32::from(self.seen[piece as usize])
    }

    /// Partial peers that have the piece.
    pub(super) fn seen(&self, piece: u32) -> u16 {
        self.seen[piece as usize]
    }

    /// Whether any peer has the piece.
    pub(super) fn is_available(&self, piece: u32) -> bool {
        self.full > 0 || self.seen[piece as usize] > 0
    }

    /// Copies of the torrent among the peers: whole copies, then the share of pieces with one more, in thousandths.
    pub(super) fn copies(&self) -> (u32, u32) {
        let Some(least) = self.spread.iter().position(|pieces| *pieces > 0) else {
            return (self.full, 0);
        };
        let pieces = self.seen.len() as u64;
        let more = pieces - u64::from(self.spread[least]);
        let thousandths = (more * 1000).checked_div(pieces).unwrap_or(0);
        (self.full + least as u32, thousandths as u32)
    }

    /// Number of listed pieces.
    pub(super) fn listed(&self) -> u32 {
        self.listed
    }

    /// Number of listed pieces in a class.
    pub(super) fn listed_in(&self, class: u8) -> usize {
        self.members(class).len()
    }

    /// Number of listed pieces that some peer has.
    pub(super) fn available(&self) -> u32 {
        if self.full > 0 {
            return self.listed;
        }
        let nowhere: u32 = self
            .classes
            .iter()
            .filter_map(|class| class.ends.first())
            .sum();
        self.listed - nowhere
    }

    /// The class that a piece is listed in, 0 for none.
    pub(super) fn class_of(&self, piece: u32) -> u8 {
        self.class[piece as usize]
    }

    /// The highest class that has a listed piece.
    pub(super) fn top(&self) -> Option<u8> {
        (1..=7).rev().find(|class| !self.members(*class).is_empty())
    }

    /// The listed pieces of a class, rarest first.
    pub(super) fn members(&self, class: u8) -> &[u32] {
        usize::from(class)
            .checked_sub(1)
            .and_then(|at| self.classes.get(at))
            .map_or(&[], |class| &class.order)
    }

    /// The listed pieces of a class bucket by bucket, rarest first.
    pub(super) fn buckets(&self, class: u8) -> impl Iterator<Item = &[u32]> {
        let members = self.members(class);
        let ends = usize::from(class)
            .checked_sub(1)
            .and_then(|at| self.classes.get(at))
            .map_or(&[][..], |class| &class.ends);
        let mut begin = 0;
        ends.iter().map(move |end| {
            let bucket = &members[begin..*end as usize];
            begin = *end as usize;
            bucket
        })
    }

    fn count(&mut self, before: u16, after: u16) {
        let (before, after) = (usize::from(before), usize::from(after));
        if self.spread.len() <= after {
            self.spread.resize(after + 1, 0);
        }
        self.spread[before] -= 1;
        self.spread[after] += 1;
    }
}

/// Makes sure that `bucket` exists.
fn grow(ends: &mut Vec<u32>, bucket: usize) {
    if ends.len() <= bucket {
        let end = ends.last().copied().unwrap_or(0);
        ends.resize(bucket + 1, end);
    }
}

/// Exchanges the piece `index` with the one that stands at `to`.
fn swap(order: &mut [u32], at: &mut [u32], index: usize, to: u32) {
    let from = at[index];
    order.swap(from as usize, to as usize);
    at[order[from as usize] as usize] = from;
    at[index] = to;
}
