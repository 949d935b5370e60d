//! What titles say of episodes, and which episodes are wanted.

use std::fmt;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// An episode of a show, or several that come together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// The show: in small letters, with one blank between words.
    pub show: String,
    /// Which.
    pub which: Which,
    /// It is published again, because there was something wrong with it before.
    pub again: bool,
}

/// Which episode it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Of a season, from one number to another.
    Numbers(u32, u32, u32),
    /// That of a day: year, month and day.
    Day(u32, u32, u32),
}

/// Episodes that come together, at most.
const MOST_TOGETHER: u32 = 100;

#[expect(clippy::unwrap_used, reason = "an expression of ours")]
fn expression(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

static SEASON: LazyLock<Regex> = LazyLock::new(|| {
    expression(r"(?i)\bs(\d{1,4})[ ._-]?e(\d{1,4})(?:[ ._]?-?[ ._]?e(\d{1,4})|-(\d{1,4}))?\b")
});
static CROSS: LazyLock<Regex> =
    LazyLock::new(|| expression(r"(?i)\b(\d{1,2})x(\d{2,3})(?:-(\d{2,3}))?\b"));
static DAY: LazyLock<Regex> =
    LazyLock::new(|| expression(r"\b((?:19|20)\d\d)[ ._-](\d\d)[ ._-](\d\d)\b"));
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| expression(r"(?i) - (\d{2,3})(?:v\d)?(?: |\[|\(|$)"));
static AGAIN: LazyLock<Regex> =
    LazyLock::new(|| expression(r"(?i)\b(?:proper|repack|rerip|real)\b|\d\dv\d"));
static GROUP: LazyLock<Regex> = LazyLock::new(|| expression(r"^\s*[\[(][^\])]*[\])]"));

impl Episode {
    /// The episode that a title names, if it names one: `Show.S01E02`, `Show 1x02`, `Show 2024.03.05` or `[Group] Show - 02`.
    pub fn of(title: &str) -> Option<Self> {
        // Which counts as a letter otherwise.
        let title = &*title.replace('_', " ");
        let number = |found: &Captures<'_>, at: usize| found.get(at)?.as_str().parse::<u32>().ok();
        let numbered = |found: &Captures<'_>| {
            let (season, first) = (number(found, 1)?, number(found, 2)?);
            let last = number(found, 3).or_else(|| number(found, 4));
            let last =
                last.filter(|last| (first..first.saturating_add(MOST_TOGETHER)).contains(last));
            Some(Which::Numbers(season, first, last.unwrap_or(first)))
        };
        let (found, which) = None
            .or_else(|| {
                SEASON
                    .captures(title)
                    .and_then(|it| Some((it.get(0)?, numbered(&it)?)))
            })
            .or_else(|| {
                CROSS
                    .captures(title)
                    .and_then(|it| Some((it.get(0)?, numbered(&it)?)))
            })
            .or_else(|| {
                let it = DAY.captures(title)?;
                let (month, day) = (number(&it, 2)?, number(&it, 3)?);
                let fits = (1..=12).contains(&month) && (1..=31).contains(&day);
                let which = Which::Day(number(&it, 1)?, month, day);
                Some((it.get(0)?, which)).filter(|_| fits)
            })
            .or_else(|| {
                let it = NUMBER.captures(title)?;
                let first = number(&it, 1)?;
                Some((it.get(0)?, Which::Numbers(1, first, first)))
            })?;
        let show = title.get(..found.start())?;
        Some(Self {
            show: plain(&GROUP.replace(show, "")),
            which,
            again: AGAIN.is_match(title.get(found.start()..)?),
        })
    }

    /// What each of them is remembered by.
    pub(crate) fn names(&self) -> Vec<String> {
        let again = if self.again { "|again" } else { "" };
        let show = &self.show;
        match self.which {
            Which::Numbers(season, first, last) => (first..=last)
                .map(|number| format!("{show}|{season}x{number}{again}"))
                .collect(),
            Which::Day(year, month, day) => vec![format!("{show}|{year}-{month}-{day}{again}")],
        }
    }
}

impl fmt::Display for Episode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.which {
            Which::Numbers(season, first, last) if first == last => write!(f, "{season}x{first}"),
            Which::Numbers(season, first, last) => write!(f, "{season}x{first}-{last}"),
            Which::Day(year, month, day) => write!(f, "{year}-{month:02}-{day:02}"),
        }
    }
}

/// Letters and digits in small letters, with one blank between words.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join(" ")
}

/// Which episodes are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episodes(Vec<Span>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// All of a season.
    Season(u32),
    /// Of a season, from one number to another.
    Numbers(u32, u32, u32),
    /// Of a season from this number on, and all of later ones.
    From(u32, u32),
}

impl Episodes {
    /// Reads `2`, `1x3`, `1x5-8`, `1x9-` and such, with commas between them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let spans = text.split(',').take(1000).map(|part| {
            let part = part.trim().to_ascii_lowercase();
            let Some((season, numbers)) = part.split_once(['x', 'e']) else {
                return part.trim_start_matches('s').parse().ok().map(Span::Season);
            };
            let season = season.trim_start_matches('s').parse().ok()?;
            let Some((first, last)) = numbers.split_once('-') else {
                let number = numbers.parse().ok()?;
                return Some(Span::Numbers(season, number, number));
            };
            let first = first.parse().ok()?;
            if last.is_empty() {
                return Some(Span::From(season, first));
            }
            let last = last.trim_start_matches('e').parse().ok()?;
            (first <= last).then_some(Span::Numbers(season, first, last))
        });
        spans.collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether an episode is among them; of several that come together, whether any is.
    pub(crate) fn has(&self, episode: &Episode) -> bool {
        let Which::Numbers(season, first, last) = episode.which else {
            return false;
        };
        self.0.iter().any(|span| match *span {
            Span::Season(of) => of == season,
            Span::Numbers(of, from, to) => of == season && first <= to && last >= from,
            Span::From(of, from) => season > of || (season == of && last >= from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_name_episodes_in_many_ways() {
        for (title, due) in [
            ("Show.Name.S01E02.1080p", Some(("show name", "1x2", false))),
            ("Show Name s1e2", Some(("show name", "1x2", false))),
            ("Show_Name_S01E02E03_x", Some(("show name", "1x2-3", false))),
            (
                "Show Name S01E02-E04 x",
                Some(("show name", "1x2-4", false)),
            ),
            ("Show Name S01E02-04", Some(("show name", "1x2-4", false))),
            ("Show Name S01E05-03", Some(("show name", "1x5", false))),
            ("Show Name 1x02 PROPER", Some(("show name", "1x2", true))),
            ("Show.2024.03.05.720p", Some(("show", "2024-03-05", false))),
            (
                "[Grp] Show Name - 12v2 [1080p]",
                Some(("show name", "1x12", true)),
            ),
            ("[Grp] Show - 07 (x)", Some(("show", "1x7", false))),
            ("Proper Show S01E02", Some(("proper show", "1x2", false))),
            ("Movie.2024.1080p.x264", None),
            ("Movie 1920x1080", None),
            ("Show.2024.13.05", None),
            ("", None),
            ("é S99999E1", None),
        ] {
            let episode = Episode::of(title);
            let found = episode
                .as_ref()
                .map(|it| (it.show.as_str(), it.to_string(), it.again));
            let due = due.map(|(show, which, again)| (show, which.to_owned(), again));
            assert_eq!(found, due, "{title}");
        }
    }

    #[test]
    fn episodes_are_wanted_by_season_number_and_range() {
        let wanted = Episodes::parse("2, 1x3,1x5-8,s04e9-").unwrap();
        for (title, has) in [
            ("a S02E77", true),
            ("a S01E03", true),
            ("a S01E04", false),
            ("a S01E04-E05", true),
            ("a S01E08", true),
            ("a S01E09", false),
            ("a S04E08", false),
            ("a S04E09", true),
            ("a S05E01", true),
            ("a 2024.03.05", false),
        ] {
            assert_eq!(wanted.has(&Episode::of(title).unwrap()), has, "{title}");
        }
        for bad in ["", "x", "1x", "1x8-5", "one", "1x2;", "1x2,,"] {
            assert_eq!(Episodes::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_of_several_episodes_is_remembered() {
        let several = Episode::of("Show S01E02-E03").unwrap();
        assert_eq!(several.names(), ["show|1x2", "show|1x3"]);
        let again = Episode::of("show.s01e02.repack").unwrap();
        assert_eq!(again.names(), ["show|1x2|again"]);
    }
}
