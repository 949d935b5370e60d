//! Lists of addresses that nobody is to talk to, as people exchange them.
//!
//! # Format
//! Text, a range a line; kinds of lines may be mixed, and text before a range may be of any encoding. Lines that are
//! empty, or begin with `#`, `;` or `//`, are passed over.
//!
//! ```text
//! Some Name:1.2.3.0-1.2.3.255                        P2P (PeerGuardian)
//! 001.002.003.000 - 001.002.003.255 , 100 , Name     DAT (eMule); levels above 127 allow the range
//! 1.2.3.0/24
//! 2001:db8::-2001:db8::ffff
//! 1.2.3.4
//! ```

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The highest level at which eMule's files block a range.
const BLOCKED_UP_TO: u32 = 127;

/// Sets of addresses of both families: ranges that are sorted and neither touch nor overlap, so that a look-up takes as
/// many steps as their number has bits.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IpFilter {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

type Ranges<T> = Box<[(T, T)]>;

/// A line of a list is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct FilterError {
    /// Which, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Neither an address nor a range of them.
    #[error("neither an address nor a range of addresses")]
    NotARange,
    /// The range ends before it begins.
    #[error("the range ends before it begins")]
    Backwards,
    /// The range begins and ends in different families.
    #[error("the range mixes IPv4 and IPv6")]
    Mixed,
    /// More leading bits than the address has.
    #[error("the prefix is longer than the address")]
    Prefix,
}

/// Lines of a list that are no ranges. Shown in one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadLines {
    /// The first of them, at most eight.
    pub first: Vec<BadLine>,
    /// How many there are.
    pub count: usize,
}

/// A line of a list that is no range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Which it is, and what is wrong with it.
    pub error: FilterError,
    /// How it begins, fit for a terminal.
    pub text: String,
}

/// Lines that are remembered.
const MOST_LINES: usize = 8;

/// Characters of a line that are remembered.
const MOST_TEXT: usize = 60;

impl BadLines {
    fn add(&mut self, error: FilterError, text: &str) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < MOST_LINES {
            let fit = |c: char| if c.is_control() { '\u{fffd}' } else { c };
            let mut shown: String = text.chars().take(MOST_TEXT).map(fit).collect();
            if text.chars().nth(MOST_TEXT).is_some() {
                shown.push('…');
            }
            self.first.push(BadLine { error, text: shown });
        }
    }
}

impl fmt::Display for BadLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, bad) in self.first.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{}: `{}`", bad.error, bad.text)?;
        }
        match self.count.saturating_sub(self.first.len()) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// The first and last addresses of a range, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    V4(u32, u32),
    V6(u128, u128),
}

impl IpFilter {
    /// Reads a list of which every line is one of the kinds above.
    ///
    /// # Errors
    /// [`FilterError`] for the first line that is not.
    pub fn parse(list: &[u8]) -> Result<Self, FilterError> {
        let (filter, bad) = Self::read(list);
        match bad.first.first() {
            Some(bad) => Err(bad.error),
            None => Ok(filter),
        }
    }

    /// Reads a list, and passes over the lines that are none of the kinds above.
    pub fn read(list: &[u8]) -> (Self, BadLines) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let mut bad = BadLines::default();
        for (at, line) in list.split(|byte| *byte == b'\n').enumerate() {
            let text = String::from_utf8_lossy(line);
            let text = text.trim_matches(['\u{feff}', ' ', '\t', '\r']);
            match read_line(text) {
                Ok(Some(Range::V4(first, last))) => v4.push((first, last)),
                Ok(Some(Range::V6(first, last))) => v6.push((first, last)),
                Ok(None) => {}
                Err(problem) => {
                    let line = at.saturating_add(1);
                    bad.add(FilterError { line, problem }, text);
                }
            }
        }
        let filter = Self {
            v4: merge(v4, |end| end.checked_add(1)),
            v6: merge(v6, |end| end.checked_add(1)),
        };
        (filter, bad)
    }

    /// Whether an address is on the list; IPv4 in IPv6 clothes is IPv4.
    pub fn blocks(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => holds(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => holds(&self.v6, ip.to_bits()),
        }
    }

    /// How many ranges there are, once they are put together.
    pub const fn len(&self) -> usize {
        self.v4.len().saturating_add(self.v6.len())
    }

    /// Whether nobody is on the list.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for IpFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IpFilter({} ranges)", self.len())
    }
}

/// Sorts ranges and puts those together that overlap or touch.
fn merge<T: Copy + Ord>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Ranges<T> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            // Nothing lies behind the last address of all.
            Some((_, end)) if next(*end).is_none_or(|next| first <= next) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged.into_boxed_slice()
}

fn holds<T: Copy + Ord>(ranges: &[(T, T)], at: T) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= at);
    let range = behind.checked_sub(1).and_then(|at| ranges.get(at));
    range.is_some_and(|(_, last)| at <= *last)
}

/// The range of a line; none where it has nothing to say.
fn read_line(line: &str) -> Result<Option<Range>, Problem> {
    let comment = ["#", ";", "//"].iter().any(|mark| line.starts_with(mark));
    if line.is_empty() || comment {
        return Ok(None);
    }
    if let Some((range, rest)) = line.split_once(',')
        && let Ok(level) = rest
            .split(',')
            .next()
            .unwrap_or_default()
            .trim()
            .parse::<u32>()
        && let Some(range) = read_range(range)
    {
        return Ok(Some(range?).filter(|_| level <= BLOCKED_UP_TO));
    }
    if let Some(range) = read_range(line) {
        return range.map(Some);
    }
    let named = line
        .rsplit_once(':')
        .and_then(|(_, range)| read_range(range));
    named.unwrap_or(Err(Problem::NotARange)).map(Some)
}

/// An address, a prefix or two addresses with a hyphen; `None` where it is nothing of the kind.
fn read_range(text: &str) -> Option<Result<Range, Problem>> {
    if let Some((ip, bits)) = text.split_once('/') {
        let (ip, bits) = (read_ip(ip)?, bits.trim().parse().ok()?);
        return Some(prefix(ip, bits));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(match (read_ip(first)?, read_ip(last)?) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            forwards(first <= last, Range::V4(first, last))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            forwards(first <= last, Range::V6(first, last))
        }
        _ => Err(Problem::Mixed),
    })
}

const fn forwards(forwards: bool, range: Range) -> Result<Range, Problem> {
    if forwards {
        Ok(range)
    } else {
        Err(Problem::Backwards)
    }
}

fn prefix(ip: IpAddr, bits: u32) -> Result<Range, Problem> {
    match ip {
        IpAddr::V4(ip) if bits <= 32 => {
            let rest = u32::MAX.checked_shr(bits).unwrap_or(0);
            Ok(Range::V4(ip.to_bits() & !rest, ip.to_bits() | rest))
        }
        IpAddr::V6(ip) if bits <= 128 => {
            let rest = u128::MAX.checked_shr(bits).unwrap_or(0);
            Ok(Range::V6(ip.to_bits() & !rest, ip.to_bits() | rest))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => Err(Problem::Prefix),
    }
}

/// An address. Numbers of IPv4 may have leading zeros, as eMule writes them, and are decimal all the same.
fn read_ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if text.contains(':') {
        let ip: Ipv6Addr = text.parse().ok()?;
        return Some(IpAddr::V6(ip).to_canonical());
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let plain = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        *octet = plain.then(|| part.parse::<u8>().ok()).flatten()?;
    }
    parts
        .next()
        .is_none()
        .then(|| Ipv4Addr::from(octets).into())
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests may panic"
)]
mod tests;
