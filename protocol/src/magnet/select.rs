//! The files a magnet link selects (BEP 53).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

/// The highest file index that can be selected; parts of a list beyond it are ignored, as deployed clients do.
const MAX_INDEX: u32 = 10_000;

/// A set of file indices, from 0 in the order of the torrent's files. Empty selects nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectOnly {
    /// Inclusive ranges, ascending and neither touching nor overlapping.
    ranges: Vec<(u32, u32)>,
}

impl SelectOnly {
    /// Parses a list of indices and ranges, such as `0,2,4-6`; `None` where it holds anything else than digits, commas
    /// and dashes. Ranges that are open, reversed or too high are ignored.
    pub fn parse(text: &str) -> Option<Self> {
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'-'))
        {
            return None;
        }
        let index = |digits: &str| digits.parse().ok().filter(|&index| index <= MAX_INDEX);
        let ranges = text.split(',').filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let range = (index(from)?, index(to)?);
            (range.0 <= range.1).then_some(range)
        });
        let mut selection = Self {
            ranges: ranges.collect(),
        };
        selection.normalise();
        Some(selection)
    }

    /// Whether a file is selected.
    pub fn contains(&self, index: u32) -> bool {
        let after = self.ranges.partition_point(|&(from, _)| from <= index);
        let last = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        last.is_some_and(|&(_, to)| index <= to)
    }

    /// Whether nothing is selected.
    pub const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The selected indices, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|&(from, to)| from..=to)
    }

    fn normalise(&mut self) {
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1.saturating_add(1);
            if joins {
                kept.1 = kept.1.max(next.1);
            }
            joins
        });
    }
}

impl FromIterator<Self> for SelectOnly {
    /// What any of the selections selects.
    fn from_iter<I: IntoIterator<Item = Self>>(selections: I) -> Self {
        let ranges = selections
            .into_iter()
            .flat_map(|selection| selection.ranges);
        let mut selection = Self {
            ranges: ranges.collect(),
        };
        selection.normalise();
        selection
    }
}

impl FromIterator<u32> for SelectOnly {
    /// Indices above the highest that a link can hold are left out.
    fn from_iter<I: IntoIterator<Item = u32>>(indices: I) -> Self {
        let mut selection = Self::default();
        for index in indices.into_iter().filter(|&index| index <= MAX_INDEX) {
            selection.ranges.push((index, index));
        }
        selection.normalise();
        selection
    }
}

/// Writes the list as it stands in a link.
impl fmt::Display for SelectOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (from, to)) in self.ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{from}")?;
            if to > from {
                write!(f, "-{to}")?;
            }
        }
        Ok(())
    }
}
