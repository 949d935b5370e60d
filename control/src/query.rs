//! The pages of a list.

use serde::{Deserialize, Serialize};

use crate::Torrent;
use crate::request::is_false;

/// Which torrents are listed, in which order, and which part of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Only those in one of these states, by their word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<String>,
    /// Only those with this in their name, in letters of any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only those in this category; an empty text stands for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Only those that have all of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Only those that go through so many others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<u8>,
    /// Only those that move payload, or that move none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<bool>,
    /// Only those that have all that is wanted, or that lack some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// Only those by whose route nothing leaves, or something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<bool>,
    /// By what they are sorted: `added` (which it is without a word), `downloaded`, `down_rate`, `hops`, `left`, `name`,
    /// `peers`, `progress`, `ratio`, `seeds`, `size`, `state`, `uploaded` or `up_rate`. Those that are alike in that stay in the
    /// order in which they were added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// The other way round.
    #[serde(default, skip_serializing_if = "is_false")]
    pub descending: bool,
    /// How many are passed over.
    #[serde(default)]
    pub offset: usize,
    /// How many are given at most; at most [`Query::MOST`], and so many without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Query {
    /// Torrents on the largest page.
    pub const MOST: usize = 1000;

    /// How many torrents are on the page at most.
    pub fn most(&self) -> usize {
        self.limit.unwrap_or(Self::MOST).min(Self::MOST)
    }
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// How many torrents there are.
    pub all: usize,
    /// How many of them the query lists, on all pages.
    pub listed: usize,
    /// Those of this page.
    pub torrents: Vec<Torrent>,
}
