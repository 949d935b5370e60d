//! Which items of a feed are taken.

use control::{Code, Feed, FeedItem, Refusal, Rule, Wish};

use crate::pattern::Pattern;
use crate::{Document, Episode, Episodes, Item, Memory, PatternError};

/// Rules of a feed.
const MOST_RULES: usize = 200;

/// Patterns of a rule, each way.
const MOST_PATTERNS: usize = 100;

/// The rules of a feed, ready to be asked.
#[derive(Clone, Debug)]
pub struct Rules {
    all: bool,
    rules: Vec<Ready>,
}

#[derive(Clone, Debug)]
struct Ready {
    rule: Rule,
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    episodes: Option<Episodes>,
}

/// Why rules cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A pattern is none.
    #[error("rule {0}: {1}")]
    Pattern(String, PatternError),
    /// The episodes are none.
    #[error("rule {0}: episodes are such as 2, 1x3, 1x5-8 or 1x9-, with commas between them")]
    Episodes(String),
    /// Two rules have the same name.
    #[error("there are two rules {0}")]
    Twice(String),
    /// There are too many.
    #[error("a feed has 200 rules at most, and a rule 100 patterns each way")]
    TooMany,
}

impl From<RuleError> for Refusal {
    fn from(error: RuleError) -> Self {
        Self::new(Code::Wrong, error.to_string())
    }
}

/// What becomes of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken, by this rule, or because all are.
    Take(Option<String>),
    /// It was taken before.
    Taken,
    /// It is not taken, for this reason, where there is more to say than that no rule fits.
    Skip(Option<String>),
    /// It names no torrent.
    Nothing,
}

/// An item, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The item.
    pub item: Item,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Rules {
    /// Those of a feed.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn of(feed: &Feed) -> Result<Self, RuleError> {
        Self::new(feed.all, &feed.rules)
    }

    /// These; `all` takes everything.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn new(all: bool, rules: &[Rule]) -> Result<Self, RuleError> {
        let few = |rule: &Rule| rule.include.len().max(rule.exclude.len()) <= MOST_PATTERNS;
        if rules.len() > MOST_RULES || !rules.iter().all(few) {
            return Err(RuleError::TooMany);
        }
        let mut ready = Vec::new();
        for rule in rules {
            let patterns = |texts: &[String]| {
                let patterns = texts.iter().map(|text| Pattern::new(text, rule.regex));
                let patterns: Result<Vec<_>, _> = patterns.collect();
                patterns.map_err(|error| RuleError::Pattern(rule.name.clone(), error))
            };
            let episodes = rule.episodes.as_deref().map(|text| {
                let episodes = Episodes::parse(text);
                episodes.ok_or_else(|| RuleError::Episodes(rule.name.clone()))
            });
            ready.push(Ready {
                include: patterns(&rule.include)?,
                exclude: patterns(&rule.exclude)?,
                episodes: episodes.transpose()?,
                rule: rule.clone(),
            });
        }
        ready.sort_by(|a, b| a.rule.name.cmp(&b.rule.name));
        let twice = ready.windows(2).find_map(|pair| match pair {
            [a, b] if a.rule.name == b.rule.name => Some(a.rule.name.clone()),
            _ => None,
        });
        if let Some(name) = twice {
            return Err(RuleError::Twice(name));
        }
        Ok(Self { all, rules: ready })
    }

    /// What becomes of an item.
    pub fn judge(&self, item: &Item, memory: &Memory) -> Verdict {
        if item.torrent.is_none() {
            return Verdict::Nothing;
        }
        if memory.has(item) {
            return Verdict::Taken;
        }
        let episode = Episode::of(&item.title);
        let mut why = None;
        for ready in self.rules.iter().filter(|ready| !ready.rule.off) {
            match ready.fits(item, episode.as_ref()) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(reason) => {
                    why.get_or_insert_with(|| format!("{}: {reason}", ready.rule.name));
                    continue;
                }
            }
            let name = &ready.rule.name;
            if let Some(episode) = episode.as_ref().filter(|_| ready.rule.once)
                && memory.has_episode(name, episode)
            {
                why = Some(format!("{name}: episode {episode} was taken before"));
                // Whatever else would take it: it is there.
                return Verdict::Skip(why);
            }
            return Verdict::Take(Some(name.clone()));
        }
        if self.all {
            return Verdict::Take(None);
        }
        Verdict::Skip(why)
    }

    /// What would become of the items of a feed, the first first: each that is taken counts for those behind it.
    pub fn preview(&self, document: Document, mut memory: Memory) -> Vec<FeedItem> {
        let items = document.items.into_iter();
        items
            .map(|item| {
                let verdict = self.judge(&item, &memory);
                if let Verdict::Take(rule) = &verdict {
                    memory.note(&item, rule.as_deref());
                }
                Judged { item, verdict }.told()
            })
            .collect()
    }

    /// What is wanted of a torrent that a rule takes.
    pub fn wish(&self, rule: Option<&str>, feed: &Wish) -> Wish {
        let own = self
            .rules
            .iter()
            .find(|it| Some(it.rule.name.as_str()) == rule);
        own.map_or_else(|| feed.clone(), |own| own.rule.add.or(feed))
    }
}

impl Ready {
    /// Whether an item fits, or what it lacks beside the right title.
    fn fits(&self, item: &Item, episode: Option<&Episode>) -> Result<bool, &'static str> {
        let title = &item.title;
        let included = self.include.is_empty() || self.include.iter().any(|it| it.fits(title));
        if !included {
            return Ok(false);
        }
        if self.exclude.iter().any(|it| it.fits(title)) {
            return Err("it is excluded");
        }
        if self.rule.min_size.is_some() || self.rule.max_size.is_some() {
            let size = item.size.ok_or("the feed does not say how large it is")?;
            if self.rule.min_size.is_some_and(|least| size < least) {
                return Err("it is too small");
            }
            if self.rule.max_size.is_some_and(|most| size > most) {
                return Err("it is too large");
            }
        }
        if let Some(wanted) = &self.episodes {
            let episode = episode.ok_or("its title names no episode")?;
            if !wanted.has(episode) {
                return Err("it is another episode");
            }
        }
        Ok(true)
    }
}

impl Judged {
    /// As it is told of.
    pub fn told(&self) -> FeedItem {
        let (what, rule, why) = match &self.verdict {
            Verdict::Take(rule) => ("take", rule.clone(), None),
            Verdict::Taken => ("taken", None, None),
            Verdict::Skip(why) => ("skip", None, why.clone()),
            Verdict::Nothing => ("nothing", None, None),
        };
        FeedItem {
            what: what.to_owned(),
            rule,
            why,
            ..self.item.told()
        }
    }
}

#[cfg(test)]
mod tests;
