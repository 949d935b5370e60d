//! Commands about where content lies.

use std::path::PathBuf;

use storage::MoveExisting;
use tokio::sync::oneshot;

use crate::torrent::messages::Control;
use crate::torrent::relocation::MoveOrder;
use crate::{CommandError, EngineHandle, TorrentId};

impl EngineHandle {
    /// Begins to move a torrent's content to another folder; answers when that has begun.
    /// [`TorrentStatus::moving`](crate::TorrentStatus::moving) shows how far it has come, and
    /// [`Event::Moved`](crate::Event::Moved) or [`Event::MoveFailed`](crate::Event::MoveFailed) tells the end.
    ///
    /// Where one file system holds both folders, files are given other names; that takes as long as the torrent needs to come to
    /// rest. Else verified pieces are copied and compared with their hashes where they are then. The torrent serves and fetches
    /// from and to the old folder meanwhile; it comes to rest for what is left then, and goes on at the new one. Bytes that are
    /// there already and verify are taken over and never written; `existing` says what becomes of others. Whatever goes wrong,
    /// and whenever the process is killed, the content is whole at one of the folders, and the next start finds it: where the
    /// engine keeps nothing, only what was not yet verified may be fetched again.
    ///
    /// A torrent without metadata has nothing to move: what comes goes to the new folder.
    ///
    /// # Errors
    /// [`CommandError::Moving`], [`CommandError::NoSuchTorrent`], [`CommandError::GivenUp`] or [`CommandError::Stopped`].
    pub async fn move_storage(
        &self,
        id: TorrentId,
        dir: PathBuf,
        existing: MoveExisting,
    ) -> Result<(), CommandError> {
        self.order(id, MoveOrder::Begin { dir, existing }).await
    }

    /// Has a move stop copying, or go on with it. One that only gives files other names is not stopped.
    ///
    /// # Errors
    /// [`CommandError::NotMoving`], and as [`Self::set_max_peers`].
    pub async fn pause_move(&self, id: TorrentId, paused: bool) -> Result<(), CommandError> {
        self.order(id, MoveOrder::Pause(paused)).await
    }

    /// Takes a move back: what was copied is removed, and the content stays where it is. Answers when it is accepted;
    /// [`Event::MoveFailed`](crate::Event::MoveFailed) with [`MoveFailure::Cancelled`](crate::MoveFailure::Cancelled) tells that
    /// it is done.
    ///
    /// # Errors
    /// [`CommandError::NotMoving`], also where it is too late for it; and as [`Self::set_max_peers`].
    pub async fn cancel_move(&self, id: TorrentId) -> Result<(), CommandError> {
        self.order(id, MoveOrder::Cancel).await
    }

    async fn order(&self, id: TorrentId, order: MoveOrder) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        self.control(id, Control::Relocate(order, reply)).await?;
        // It may have gone with the order.
        answer.await.map_err(|_| CommandError::NoSuchTorrent)?
    }
}
