//! What is asked of all torrents together.

use protocol::id::InfoHash;

use crate::command::Command;
use crate::{CommandError, EngineHandle, TorrentId};

impl EngineHandle {
    /// The torrent that has this hash: its SHA-1, or the first 20 bytes of its SHA-256.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn find(&self, hash: InfoHash) -> Result<Option<TorrentId>, CommandError> {
        self.ask(|reply| Command::Find(hash, reply)).await
    }

    /// Has all torrents stand still, those that come as well, until [`Self::resume_all`]. Which of them are paused by
    /// themselves stays as it is. This is not kept.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn pause_all(&self) -> Result<(), CommandError> {
        self.ask(|reply| Command::Halt(true, reply)).await
    }

    /// Lets all torrents go on that are not paused and do not wait for their turn.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn resume_all(&self) -> Result<(), CommandError> {
        self.ask(|reply| Command::Halt(false, reply)).await
    }

    /// Lets go of all peers of a torrent, and forgets all addresses, those that the user named included. Who is banned stays so.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn clear_peers(&self, id: TorrentId) -> Result<(), CommandError> {
        self.control(id, crate::torrent::messages::Control::ClearPeers)
            .await
    }
}
