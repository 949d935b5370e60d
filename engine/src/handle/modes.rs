//! The switches of a torrent.

use crate::torrent::messages::Control;
use crate::{CommandError, EngineHandle, Modes, TorrentId};

impl EngineHandle {
    /// Turns switches of a torrent on, and then others off, at once and for good. [`TorrentStatus::modes`](crate::TorrentStatus::modes) says
    /// which are on.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn set_modes(
        &self,
        id: TorrentId,
        on: Modes,
        off: Modes,
    ) -> Result<(), CommandError> {
        self.control(id, Control::Modes(on, off)).await
    }
}
