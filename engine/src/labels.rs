//! What the user sorts torrents by: a category and tags. An engine does nothing by them but list, filter and keep them.

use std::collections::BTreeSet;
use std::sync::Arc;

/// The category and the tags of a torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The one category that it is in.
    pub category: Option<String>,
    /// Its tags.
    pub tags: BTreeSet<String>,
}

impl Labels {
    /// To be shared with whoever looks at the torrent; `None` where there is nothing.
    pub fn shared(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }

    pub(crate) fn of(record: &state::Torrent) -> Option<Arc<Self>> {
        // Most torrents have none, and there are many.
        if record.category.is_none() && record.tags.is_empty() {
            return None;
        }
        Some(Arc::new(Self {
            category: record.category.clone(),
            tags: record.tags.clone(),
        }))
    }

    /// Puts labels into the record of their torrent.
    pub(crate) fn keep(labels: Option<&Self>, record: &mut state::Torrent) {
        let new = labels.map(|labels| (&labels.category, &labels.tags));
        record.category = new.and_then(|(category, _)| category.clone());
        record.tags = new.map(|(_, tags)| tags.clone()).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use protocol::id::{InfoHash, InfoHashes};

    use super::*;

    #[test]
    fn labels_go_into_records_and_come_back() {
        let hashes = InfoHashes::v1(InfoHash([1; 20]));
        let mut record = state::Torrent::new(hashes, "name".to_owned(), PathBuf::from("/"), 0);
        assert_eq!(Labels::of(&record), None);
        let labels = Labels {
            category: Some("films".to_owned()),
            tags: ["a".to_owned(), "b".to_owned()].into(),
        };
        for labels in [labels.shared(), None] {
            Labels::keep(labels.as_deref(), &mut record);
            assert_eq!(Labels::of(&record), labels);
        }
        assert_eq!(Labels::default().shared(), None);
    }
}
