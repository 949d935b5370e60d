//! The queue, and until when torrents are seeded.

use crate::command::Command;
use crate::torrent::messages::Control;
use crate::{CommandError, EngineHandle, History, Place, SeedingRule, TorrentId};

impl EngineHandle {
    /// The torrents of the queue, in order: those that lack something, whether they run or not.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn queue(&self) -> Result<Vec<TorrentId>, CommandError> {
        self.ask(Command::Queue).await
    }

    /// Moves a torrent in the queue. Which torrents run follows at once.
    ///
    /// # Errors
    /// [`CommandError::NotQueued`], [`CommandError::NoSuchTorrent`] or [`CommandError::Stopped`].
    pub async fn queue_shift(&self, id: TorrentId, to: Place) -> Result<(), CommandError> {
        self.ask(|reply| Command::Shift(id, to, reply)).await
    }

    /// Says until when a torrent is seeded, in place of what the settings say. Where that is over already, it is paused.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn set_seeding(&self, id: TorrentId, rule: SeedingRule) -> Result<(), CommandError> {
        self.control(id, Control::Seeding(rule)).await
    }

    /// What a torrent has done since it was added. The last minute or so of a run that did not end in good order may be missing.
    ///
    /// # Errors
    /// [`CommandError::Unreadable`], [`CommandError::NoSuchTorrent`] or [`CommandError::Stopped`].
    pub async fn history(&self, id: TorrentId) -> Result<History, CommandError> {
        let one = self.histories(vec![id]).await?.pop();
        one.unwrap_or(Err(CommandError::NoSuchTorrent))
    }

    /// As [`history`](Self::history) for each of several torrents, in their order. Those at rest are read from the store together,
    /// which takes little longer than one does.
    ///
    /// # Errors
    /// [`CommandError::Stopped`]; for a torrent, as there.
    pub async fn histories(
        &self,
        ids: Vec<TorrentId>,
    ) -> Result<Vec<Result<History, CommandError>>, CommandError> {
        self.ask(|reply| Command::Histories(ids, reply)).await
    }
}
