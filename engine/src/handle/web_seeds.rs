//! Web seeds, and how trackers stand.

use protocol::web_seed::{Kind, WebSeed};

use crate::torrent::messages::{Control, Question};
use crate::{CommandError, EngineHandle, TorrentId, TrackerStatus};

impl EngineHandle {
    /// The web seeds of a torrent (BEP 19), as they are named: they may hold passwords. How each stands is in
    /// [`TorrentStatus::web_seeds`](crate::TorrentStatus::web_seeds).
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn web_seeds(&self, id: TorrentId) -> Result<Vec<String>, CommandError> {
        self.question(id, Question::WebSeeds).await
    }

    /// Has a torrent fetched from these web seeds (BEP 19) and from no others, whoever named them; those of BEP 17 stay.
    ///
    /// # Errors
    /// [`CommandError::NotWebSeed`], and as [`Self::set_max_peers`].
    pub async fn replace_web_seeds(
        &self,
        id: TorrentId,
        urls: Vec<String>,
    ) -> Result<(), CommandError> {
        let wrong = |url: &&String| WebSeed::new(Kind::GetRight, url).is_none();
        if let Some(url) = urls.iter().find(wrong) {
            return Err(CommandError::NotWebSeed(url.clone()));
        }
        self.control(id, Control::WebSeeds(urls)).await
    }

    /// Has a torrent fetched from a web seed, too.
    ///
    /// # Errors
    /// As [`Self::replace_web_seeds`].
    ///
    /// # Cancel safety
    /// It is added or not. Who replaces the list at the same moment may undo it.
    pub async fn add_web_seed(&self, id: TorrentId, url: &str) -> Result<(), CommandError> {
        let mut urls = self.web_seeds(id).await?;
        if !urls.iter().any(|known| known == url) {
            urls.push(url.to_owned());
        }
        self.replace_web_seeds(id, urls).await
    }

    /// Has a torrent fetched from a web seed no longer. What came from it stays.
    ///
    /// # Errors
    /// [`CommandError::NotWebSeed`] where it is none of the torrent's, and as [`Self::set_max_peers`].
    ///
    /// # Cancel safety
    /// As [`Self::add_web_seed`].
    pub async fn remove_web_seed(&self, id: TorrentId, url: &str) -> Result<(), CommandError> {
        let mut urls = self.web_seeds(id).await?;
        let before = urls.len();
        urls.retain(|known| known != url);
        if urls.len() == before {
            return Err(CommandError::NotWebSeed(url.to_owned()));
        }
        self.replace_web_seeds(id, urls).await
    }

    /// The trackers of a torrent by tier, and how each of them stands.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn tracker_list(&self, id: TorrentId) -> Result<Vec<TrackerStatus>, CommandError> {
        self.question(id, Question::TrackerList).await
    }
}
