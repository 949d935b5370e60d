//! What the user sorts torrents by.

use crate::torrent::messages::Control;
use crate::{CommandError, EngineHandle, Labels, TorrentId};

impl EngineHandle {
    /// Gives a torrent other labels in place of those it has, which [its status](Self::status) shows.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn set_labels(&self, id: TorrentId, labels: Labels) -> Result<(), CommandError> {
        self.control(id, Control::Labels(labels.shared())).await
    }
}
