//! What events are about.

use std::fmt;
use std::ops::BitOr;

/// What an event is about. Whoever listens names those that matter; what nobody wants is not even made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Category {
    /// Peers that are not spoken to, because a filter or a rule forbids it.
    Blocked,
    /// Blocks on their way from peers to us: thousands a second.
    Blocks,
    /// Connections that come and go.
    Connections,
    /// What the DHT finds.
    Dht,
    /// What nodes of the DHT ask ours, and ours them: hundreds a second. It is told within a second of the first listener.
    DhtQueries,
    /// Whatever went wrong, beside the subject that it belongs to.
    Errors,
    /// Files that are whole.
    Files,
    /// What peers and web seeds do that they should not.
    Peers,
    /// Limits that probably cost speed.
    Performance,
    /// Pieces that are whole: hundreds a second.
    Pieces,
    /// Blocks that peers ask for: thousands a second.
    Requests,
    /// All counters, once a second.
    Stats,
    /// The lives of torrents and of the engine.
    Status,
    /// What becomes of content and of what is kept beside it.
    Storage,
    /// What is said to trackers, and by them.
    Trackers,
    /// Blocks that leave: thousands a second.
    Uploads,
}

impl Category {
    /// All of them.
    pub const EACH: [Self; 16] = [
        Self::Blocked,
        Self::Blocks,
        Self::Connections,
        Self::Dht,
        Self::DhtQueries,
        Self::Errors,
        Self::Files,
        Self::Peers,
        Self::Performance,
        Self::Pieces,
        Self::Requests,
        Self::Stats,
        Self::Status,
        Self::Storage,
        Self::Trackers,
        Self::Uploads,
    ];

    /// One word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Blocks => "blocks",
            Self::Connections => "connections",
            Self::Dht => "dht",
            Self::DhtQueries => "dht_queries",
            Self::Errors => "errors",
            Self::Files => "files",
            Self::Peers => "peers",
            Self::Performance => "performance",
            Self::Pieces => "pieces",
            Self::Requests => "requests",
            Self::Stats => "stats",
            Self::Status => "status",
            Self::Storage => "storage",
            Self::Trackers => "trackers",
            Self::Uploads => "uploads",
        }
    }

    /// This and [`Category::Errors`].
    pub(crate) const fn and_errors(self) -> Categories {
        Categories::NONE.with(self).with(Self::Errors)
    }

    /// The one that a word stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|it| it.word() == word)
    }
}

/// A set of [`Category`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Categories(u32);

impl Categories {
    /// None.
    pub const NONE: Self = Self(0);

    /// All.
    pub const ALL: Self = {
        let mut all = Self::NONE;
        let mut at = 0;
        while at < Category::EACH.len() {
            all = all.with(Category::EACH[at]);
            at += 1;
        }
        all
    };

    /// Those of which there are few: what a person could read.
    pub const USUAL: Self = Self::NONE
        .with(Category::Dht)
        .with(Category::Errors)
        .with(Category::Files)
        .with(Category::Peers)
        .with(Category::Performance)
        .with(Category::Status)
        .with(Category::Storage)
        .with(Category::Trackers);

    /// These and one more.
    #[must_use]
    pub const fn with(self, category: Category) -> Self {
        Self(self.0 | 1 << category as u32)
    }

    /// These without one.
    #[must_use]
    pub const fn without(self, category: Category) -> Self {
        Self(self.0 & !(1 << category as u32))
    }

    /// Whether one is among them.
    pub const fn contains(self, category: Category) -> bool {
        self.0 & 1 << category as u32 != 0
    }

    /// Whether any is in both sets.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) const fn of_bits(bits: u32) -> Self {
        Self(bits & Self::ALL.0)
    }
}

impl BitOr for Categories {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Category> for Categories {
    fn from(category: Category) -> Self {
        Self::NONE.with(category)
    }
}

impl FromIterator<Category> for Categories {
    fn from_iter<I: IntoIterator<Item = Category>>(each: I) -> Self {
        each.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Categories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = Category::EACH.iter().filter(|it| self.contains(**it));
        f.debug_set().entries(each).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_a_word_and_a_place_of_its_own() {
        let mut seen = Categories::NONE;
        for category in Category::EACH {
            assert!(!seen.contains(category), "{category:?}");
            seen = seen.with(category);
            assert!(seen.contains(category) && Categories::ALL.contains(category));
            assert_eq!(Category::of_word(category.word()), Some(category));
            assert!(!seen.without(category).contains(category));
        }
        assert_eq!(seen, Categories::ALL);
        assert_eq!(Category::EACH.into_iter().collect::<Categories>(), seen);
        assert_eq!(Category::of_word("everything"), None);
    }
}
