//! One page of a sorted and filtered list.

use std::cmp::Reverse;
use std::sync::Arc;

use super::facts::Facts;
use super::{Row, Table};
use crate::TorrentStatus;

/// Which torrents are asked for, and in which order; see [`EngineHandle::page`](crate::EngineHandle::page). The default is
/// all of them as they were added.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Which ones.
    pub filter: Filter,
    /// By what they are sorted; those that are equal in it by when they were added.
    pub sort: Sort,
    /// The other way round.
    pub descending: bool,
    /// How many are left out at the beginning.
    pub offset: usize,
    /// How many are wanted at most; `None` for all.
    pub limit: Option<usize>,
}

/// Which torrents are wanted: those that all of this is true of.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The name has this in it, whether in capitals or small letters.
    pub text: Option<String>,
    /// The state is one of these, by [`State::word`](crate::State::word).
    pub states: Option<Vec<String>>,
    /// The category; an empty text stands for none.
    pub category: Option<String>,
    /// They have all of these tags.
    pub tags: Vec<String>,
    /// They go by so many hops.
    pub hops: Option<u8>,
    /// Payload moves, or none does.
    pub moving: Option<bool>,
    /// All that is wanted is there, or some is not.
    pub complete: Option<bool>,
    /// Nothing leaves by their route, or something does.
    pub blocked: Option<bool>,
}

/// What torrents are sorted by, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sort {
    /// When they were added in this run of the engine.
    #[default]
    Added,
    /// Bytes of payload received.
    Downloaded,
    /// Payload received, bytes a second.
    DownRate,
    /// The number of hops.
    Hops,
    /// Time until all is there, at the rate of the moment.
    Left,
    /// The name, whether in capitals or small letters.
    Name,
    /// Connected peers.
    Peers,
    /// The share of what is wanted that is there.
    Progress,
    /// Bytes sent for each byte of their size.
    Ratio,
    /// Connected peers that have everything.
    Seeds,
    /// Bytes of all files.
    Size,
    /// The state, by its word.
    State,
    /// Bytes of payload sent.
    Uploaded,
    /// Payload sent, bytes a second.
    UpRate,
}

impl Sort {
    /// All of them.
    pub const EACH: [Self; 14] = [
        Self::Added,
        Self::Downloaded,
        Self::DownRate,
        Self::Hops,
        Self::Left,
        Self::Name,
        Self::Peers,
        Self::Progress,
        Self::Ratio,
        Self::Seeds,
        Self::Size,
        Self::State,
        Self::Uploaded,
        Self::UpRate,
    ];

    /// One word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Downloaded => "downloaded",
            Self::DownRate => "down_rate",
            Self::Hops => "hops",
            Self::Left => "left",
            Self::Name => "name",
            Self::Peers => "peers",
            Self::Progress => "progress",
            Self::Ratio => "ratio",
            Self::Seeds => "seeds",
            Self::Size => "size",
            Self::State => "state",
            Self::Uploaded => "uploaded",
            Self::UpRate => "up_rate",
        }
    }

    /// The one that a word stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|it| it.word() == word)
    }

    /// A number in the order of what is sorted by; that of names is kept elsewhere.
    fn key(self, facts: &Facts) -> u64 {
        match self {
            Self::Added | Self::Name => facts.id,
            Self::Downloaded => facts.downloaded,
            Self::DownRate => facts.down_rate,
            Self::Hops => u64::from(facts.hops),
            Self::Left => facts.left(),
            Self::Peers => u64::from(facts.peers),
            Self::Progress => facts.progress(),
            Self::Ratio => facts.ratio(),
            Self::Seeds => u64::from(facts.seeds),
            Self::Size => facts.size,
            Self::State => {
                let mut head = [0; 8];
                head.iter_mut()
                    .zip(facts.state.bytes())
                    .for_each(|(to, byte)| *to = byte);
                u64::from_be_bytes(head)
            }
            Self::Uploaded => facts.uploaded,
            Self::UpRate => facts.up_rate,
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The revision of what it shows; see [`Changes::revision`](super::Changes::revision).
    pub revision: u64,
    /// Torrents that the engine has.
    pub torrents: usize,
    /// Torrents that fit the filter.
    pub fitting: usize,
    /// Those of the page, in order.
    pub rows: Vec<Arc<TorrentStatus>>,
}

/// A filter that is ready to be asked often.
struct Sieve<'a> {
    filter: &'a Filter,
    /// By place: whether the text is in the name.
    text: Option<Vec<bool>>,
}

impl Sieve<'_> {
    fn passes(&self, at: usize, row: &Row) -> bool {
        let (filter, facts) = (self.filter, &row.facts);
        let labels = || row.labels.as_deref();
        let is = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        row.status.is_some()
            && filter.category.as_ref().is_none_or(|wanted| {
                let category = labels().and_then(|labels| labels.category.as_ref());
                // To compare an empty text with another takes some processors longer than all else here.
                category.map_or(wanted.is_empty(), |category| category == wanted)
            })
            && filter
                .tags
                .iter()
                .all(|tag| labels().is_some_and(|labels| labels.tags.contains(tag)))
            && filter.hops.is_none_or(|hops| hops == facts.hops)
            && is(filter.blocked, facts.blocked)
            && is(filter.moving, facts.down_rate > 0 || facts.up_rate > 0)
            && is(
                filter.complete,
                facts.wanted > 0 && facts.done >= facts.wanted,
            )
            && filter
                .states
                .as_ref()
                .is_none_or(|states| states.iter().any(|state| state == facts.state))
            && self
                .text
                .as_ref()
                .is_none_or(|with| with.get(at).is_some_and(|with| *with))
    }
}

impl Table {
    pub(super) fn page(&self, query: &Query) -> Page {
        let sieve = Sieve {
            filter: &query.filter,
            text: query
                .filter
                .text
                .as_ref()
                .map(|text| self.names.with(&text.to_lowercase())),
        };
        let (fitting, places) = if query.sort == Sort::Name {
            self.by_name(query, &sieve)
        } else {
            self.by_number(query, &sieve)
        };
        let rows = places.into_iter();
        let rows = rows.filter_map(|place| self.rows.get(place as usize)?.status.clone());
        Page {
            revision: self.revision,
            torrents: self.places.len(),
            fitting,
            rows: rows.collect(),
        }
    }

    /// How many fit, and the places of the page's.
    fn by_name(&self, query: &Query, sieve: &Sieve<'_>) -> (usize, Vec<u32>) {
        let mut names = self.names.in_order();
        let next = || {
            if query.descending {
                names.next_back()
            } else {
                names.next()
            }
        };
        // In one go over what lies side by side: names are in another order.
        let rows = self.rows.iter().enumerate();
        let passes: Vec<bool> = rows.map(|(at, row)| sieve.passes(at, row)).collect();
        let fitting = passes.iter().filter(|passes| **passes).count();
        let fits = |place: &u32| passes.get(*place as usize).is_some_and(|passes| *passes);
        let page = std::iter::from_fn(next).filter(fits);
        let page = page
            .skip(query.offset)
            .take(query.limit.unwrap_or(usize::MAX));
        let page = page.collect();
        (fitting, page)
    }

    /// As [`Self::by_name`]. Only what is on the page is put in order.
    fn by_number(&self, query: &Query, sieve: &Sieve<'_>) -> (usize, Vec<u32>) {
        let rows = self.rows.iter().enumerate();
        let fitting = rows.filter(|(at, row)| sieve.passes(*at, row));
        let mut keys: Vec<(u64, u64, u32)> = fitting
            .map(|(at, row)| (query.sort.key(&row.facts), row.facts.id, at as u32))
            .collect();
        let all = keys.len();
        let from = query.offset.min(all);
        let to = from.saturating_add(query.limit.unwrap_or(all)).min(all);
        let page = if query.descending {
            cut(&mut keys, (from, to), |key| Reverse(*key))
        } else {
            cut(&mut keys, (from, to), |key| *key)
        };
        (all, page.iter().map(|(_, _, place)| *place).collect())
    }
}

/// What is at these places when all is in order, in order.
fn cut<T, K: Ord>(all: &mut [T], (from, to): (usize, usize), key: impl Fn(&T) -> K) -> &mut [T] {
    if from >= to {
        return &mut [];
    }
    let rest = if from > 0 {
        let (_, _, rest) = all.select_nth_unstable_by_key(from - 1, &key);
        rest
    } else {
        all
    };
    let len = to - from;
    if len < rest.len() {
        rest.select_nth_unstable_by_key(len - 1, &key);
    }
    let page = rest.split_at_mut(len).0;
    page.sort_unstable_by_key(&key);
    page
}
