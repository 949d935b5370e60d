//! Pieces.

use bytes::Bytes;

use crate::torrent::files::FileOrder;
use crate::torrent::messages::{Control, Question};
use crate::{BegunPiece, CommandError, EngineHandle, FileError, TorrentId};

impl EngineHandle {
    /// Gives a torrent a piece that is had elsewhere. It counts when it was hashed, as if a peer had sent it; this is answered when
    /// it is written. One that is there already is left as it is.
    ///
    /// # Errors
    /// [`FileError::NoSuchPiece`] where there is none, or not of this length, [`FileError::NotThere`] where the torrent is not
    /// at work, [`FileError::Storage`] or [`FileError::Command`].
    pub async fn add_piece(&self, id: TorrentId, piece: u32, data: Bytes) -> Result<(), FileError> {
        self.order_files(id, |reply| FileOrder::AddPiece(piece, data, reply))
            .await
    }

    /// The pieces of a torrent that have begun, with each of their blocks; none of one that is not at work.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn begun_pieces(&self, id: TorrentId) -> Result<Vec<BegunPiece>, CommandError> {
        self.question(id, Question::Begun).await
    }

    /// Has the disk take all that was written of a torrent, and closes its files; they are opened again when they are needed.
    ///
    /// # Errors
    /// [`FileError::Storage`] or [`FileError::Command`].
    pub async fn flush(&self, id: TorrentId) -> Result<(), FileError> {
        self.order_files(id, FileOrder::Flush).await
    }

    /// Gives a torrent that was added by its hash the info dictionary, whose bytes have that hash.
    ///
    /// # Errors
    /// [`FileError::NotMetadata`] where they have not, or it is not looked for, or [`FileError::Command`].
    pub async fn set_metadata(&self, id: TorrentId, info: Bytes) -> Result<(), FileError> {
        self.order_files(id, |reply| FileOrder::Metadata(info, reply))
            .await
    }

    /// Has pieces from the first to the last of both fetched before all others while the torrent is fetched in order, or with
    /// `None` all in order. This holds as long as the engine runs.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn set_sequential_range(
        &self,
        id: TorrentId,
        range: Option<(u32, u32)>,
    ) -> Result<(), CommandError> {
        self.control(id, Control::Range(range)).await
    }
}
