//! What a daemon does by itself: it takes torrents from folders and from feeds. What is said of that here is also what is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::request::is_false;

/// What is wanted of torrents that come by themselves. What is not said is as it is for any other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// The folder of their content, from the root; without it that of the category, or of the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// The category that they are put in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Tags that they get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// They do nothing until they are resumed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// Through how many others they go, and by which way a feed and its torrents are fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<u8>,
}

impl Wish {
    /// This wish, and where it says nothing, what another says.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut tags = self.tags.clone();
        tags.extend(other.tags.iter().cloned());
        tags.sort();
        tags.dedup();
        Self {
            dir: self.dir.clone().or_else(|| other.dir.clone()),
            category: self.category.clone().or_else(|| other.category.clone()),
            tags,
            paused: self.paused || other.paused,
            hops: self.hops.or(other.hops),
        }
    }
}

/// What becomes of a file in a watched folder when its torrent was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// It stays as it is, and is not taken again while it does.
    Keep,
    /// It is deleted.
    Delete,
    /// `.added` is put behind its name.
    #[default]
    Rename,
}

/// A folder whose .torrent and .magnet files are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Which, from the root.
    pub dir: String,
    /// What becomes of its files.
    #[serde(default)]
    pub then: Then,
    /// What is wanted of the torrents.
    #[serde(default)]
    pub add: Wish,
}

/// The watched folders, changed first where that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchesOf {
    /// A folder that is watched from now on, or in another way than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Watch>,
    /// The folder that is no longer watched, from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<String>,
}

/// A watched folder, and how that goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watched {
    /// Which.
    pub dir: String,
    /// `keep`, `delete` or `rename`: what becomes of its files.
    pub then: Then,
    /// What is wanted of the torrents.
    pub add: Wish,
    /// Torrents that were taken, in this run.
    pub taken: u64,
    /// Files that cannot be taken, and why; at most 100 of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// Why it cannot be looked at, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Which items of a feed are taken: those that all of this is true of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is called; of two rules that fit, the first by this counts.
    pub name: String,
    /// The title fits one of these; none for every title. Each is words that the title has all of, in any order and in letters of
    /// any case, where `*` stands for anything and `?` for any one character.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// The title fits none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// These are regular expressions instead, in letters of any case.
    #[serde(default, skip_serializing_if = "is_false")]
    pub regex: bool,
    /// The feed names a size, and it is so many bytes at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u64>,
    /// The feed names a size, and it is so many bytes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// The title names an episode among these: seasons and episodes such as `2`, `1x3`, `1x5-8` and `1x9-` (and all later ones,
    /// those of later seasons too), with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episodes: Option<String>,
    /// Each episode is taken once, whoever else has it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub once: bool,
    /// Nothing is taken by it for now.
    #[serde(default, skip_serializing_if = "is_false")]
    pub off: bool,
    /// What is wanted of the torrents; where nothing is said, what the feed says.
    #[serde(default)]
    pub add: Wish,
}

/// A feed (BEP 36) whose items are looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Seconds between two looks.
    #[serde(default = "half_an_hour")]
    pub every: u64,
    /// All of its items are taken, whatever the rules say.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// What it has at the first look is not taken.
    #[serde(default, skip_serializing_if = "is_false")]
    pub only_new: bool,
    /// Rules by which items are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What is wanted of the torrents.
    #[serde(default)]
    pub add: Wish,
}

const fn half_an_hour() -> u64 {
    1800
}

/// The feeds, changed first where that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedsOf {
    /// A feed that comes to the others, or in place of the one of that name. Rules that it has none of stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Feed>,
    /// The feed that goes, by its name. What was taken from it is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<String>,
    /// The feed that is looked at now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch: Option<String>,
}

/// The rules of a feed, changed first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesOf {
    /// Whose.
    pub feed: String,
    /// A rule that comes to the others, or in place of the one of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Rule>,
    /// The rule that goes, by its name. What was taken by it is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<String>,
}

/// What would be taken from a feed now. Nothing is, and nothing is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewOf {
    /// The name of a feed, or an address.
    pub feed: String,
    /// By this rule alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// By which way an address is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<u8>,
}

/// A feed, and how that goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeedState {
    /// Its name.
    pub name: String,
    /// Where it is, which may hold a key of the user.
    pub url: String,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Seconds between two looks.
    pub every: u64,
    /// Whether all of its items are taken.
    pub all: bool,
    /// Whether what it had at the first look is left.
    pub only_new: bool,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// What is wanted of the torrents.
    pub add: Wish,
    /// When it was looked at last: seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked: Option<i64>,
    /// Items that it had then.
    pub items: usize,
    /// Torrents that were taken from it, as far as that is remembered.
    pub taken: usize,
    /// Why it could not be looked at, where it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An item of a feed, and what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeedItem {
    /// Its title.
    pub title: String,
    /// `take`, `taken` (before), `skip`, or `nothing` where it names no torrent.
    pub what: String,
    /// The rule by which it is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why it is not, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Where the torrent is: an address, which may hold a key of the user, or a magnet link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torrent: Option<String>,
    /// Bytes of the content, as the feed says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was published, as the feed says: seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<i64>,
    /// The season and the episode that its title names, as `1x2`, or the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode: Option<String>,
}
