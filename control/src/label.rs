//! Categories and tags: what torrents are sorted by.

use serde::{Deserialize, Serialize};

use crate::request::is_false;
use crate::{Code, Refusal};

/// Bytes of the longest name of a category or tag.
const LONGEST: usize = 200;

/// Tags of one torrent.
const MOST_TAGS: usize = 100;

/// Which torrents get which category and tags. What is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsOf {
    /// As in [`Which`](crate::Which).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torrents: Vec<String>,
    /// All torrents, and no names.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// The category that they are put in; an empty text takes them out of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Tags that they get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Tags that they lose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// The categories, changed first where that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoriesOf {
    /// The category that is made or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// The folder for content of torrents that are added to it, from the root; without one, that of the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// The category that goes; torrents in it are in none then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<String>,
}

/// A category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// The folder for content of torrents that are added to it, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// Torrents in it.
    pub torrents: usize,
}

/// Reads the name of a category or tag: blanks around it do not count.
///
/// # Errors
/// [`Code::Wrong`]: it is empty, too long, or has characters in it that drive terminals.
pub fn label(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    let wrong = |why: &str| Err(Refusal::new(Code::Wrong, why));
    if text.is_empty() {
        return wrong("the name of a category or tag is not empty");
    }
    if text.len() > LONGEST {
        return wrong("the name of a category or tag has 200 bytes at most");
    }
    if text.chars().any(char::is_control) {
        return wrong("the name of a category or tag has no control characters in it");
    }
    Ok(text.to_owned())
}

/// Reads the names of tags of one torrent.
///
/// # Errors
/// As [`label`], and where there are more than 100.
pub fn tags(texts: &[String]) -> Result<std::collections::BTreeSet<String>, Refusal> {
    let tags = texts.iter().map(|text| label(text));
    let tags: std::collections::BTreeSet<String> = tags.collect::<Result<_, _>>()?;
    if tags.len() > MOST_TAGS {
        return Err(Refusal::new(Code::Wrong, "a torrent has 100 tags at most"));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds_and_cannot_drive_terminals() {
        assert_eq!(label(" Films / old ").unwrap(), "Films / old");
        assert_eq!(label("é").unwrap(), "é");
        for bad in ["", "  ", "a\nb", "a\x1b[31m", &"x".repeat(201)] {
            assert_eq!(label(bad).unwrap_err().code, Code::Wrong, "{bad:?}");
        }
        let many: Vec<String> = (0..101).map(|tag| tag.to_string()).collect();
        assert_eq!(tags(many.split_last().unwrap().1).unwrap().len(), 100);
        tags(&many).unwrap_err();
        let twice = ["a", " a"].map(str::to_owned);
        assert_eq!(tags(&twice).unwrap().len(), 1);
    }
}
