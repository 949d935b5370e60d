//! What can be asked about the files of a torrent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::EngineHandle;
use crate::torrent::files::{FileOrder, Reply, Wish};
use crate::torrent::messages::Control;
use crate::torrent::renames;
use crate::{CommandError, FileError, FileReader, Priority, ReadAhead, TorrentId};

impl EngineHandle {
    pub(super) async fn order_files<T>(
        &self,
        id: TorrentId,
        order: impl FnOnce(Reply<T>) -> FileOrder,
    ) -> Result<T, FileError> {
        let (reply, answer) = oneshot::channel();
        self.control(id, Control::Files(order(reply))).await?;
        // It may have gone with the order.
        answer
            .await
            .unwrap_or(Err(CommandError::NoSuchTorrent.into()))
    }

    /// Sets how much each file of a torrent is wanted, by their order in the metadata, pad files counted; those past the end of
    /// the list are wanted as usual. What was said of single pieces is of no effect any more.
    ///
    /// A file that becomes wanted is fetched; of one that is not wanted any more what was begun is kept, and no more of it is
    /// asked for. A piece that reaches into a file that is not wanted is kept whole without that file coming into being. This
    /// holds at once, and for later lives of the torrent where the engine has a state directory.
    /// [`Event::PrioritiesSet`](crate::Event::PrioritiesSet) tells when the files are there.
    ///
    /// # Errors
    /// [`FileError::NoMetadata`], [`FileError::NoSuchFile`] for a list that is too long, [`FileError::ServedOnly`],
    /// [`FileError::Claimed`] where another torrent has a file that this one would write now, or [`FileError::Command`].
    pub async fn set_file_priorities(
        &self,
        id: TorrentId,
        priorities: Vec<Priority>,
    ) -> Result<(), FileError> {
        let wish = Wish::Files(priorities);
        self.order_files(id, |reply| FileOrder::Prioritise(wish, reply))
            .await
    }

    /// Sets how much one file is wanted, as [`Self::set_file_priorities`] does.
    ///
    /// # Errors
    /// As [`Self::set_file_priorities`].
    pub async fn set_file_priority(
        &self,
        id: TorrentId,
        file: usize,
        priority: Priority,
    ) -> Result<(), FileError> {
        let wish = Wish::File(file, priority);
        self.order_files(id, |reply| FileOrder::Prioritise(wish, reply))
            .await
    }

    /// Sets how much each piece is wanted, whatever its files are; those past the end of the list are wanted as their files are.
    ///
    /// # Errors
    /// As [`Self::set_file_priorities`], and [`FileError::NoSuchPiece`].
    pub async fn set_piece_priorities(
        &self,
        id: TorrentId,
        priorities: Vec<Priority>,
    ) -> Result<(), FileError> {
        let wish = Wish::Pieces(priorities);
        self.order_files(id, |reply| FileOrder::Prioritise(wish, reply))
            .await
    }

    /// Sets how much one piece is wanted, whatever its files are.
    ///
    /// # Errors
    /// As [`Self::set_piece_priorities`].
    pub async fn set_piece_priority(
        &self,
        id: TorrentId,
        piece: u32,
        priority: Priority,
    ) -> Result<(), FileError> {
        let wish = Wish::Piece(piece, priority);
        self.order_files(id, |reply| FileOrder::Prioritise(wish, reply))
            .await
    }

    /// How much each file is wanted.
    ///
    /// # Errors
    /// [`FileError::NoMetadata`] or [`FileError::Command`].
    pub async fn file_priorities(&self, id: TorrentId) -> Result<Vec<Priority>, FileError> {
        self.order_files(id, FileOrder::Priorities).await
    }

    /// How much each piece is wanted: as much as the most wanted file that has bytes in it, unless something else was said.
    ///
    /// # Errors
    /// As [`Self::file_priorities`].
    pub async fn piece_priorities(&self, id: TorrentId) -> Result<Vec<Priority>, FileError> {
        self.order_files(id, FileOrder::PiecePriorities).await
    }

    /// Has a file of a torrent lie at another path below the torrent's folder, whether or not the torrent runs; folders are
    /// made, and removed where they are empty then. Never over something that is there. Whenever the process is killed, the
    /// file is found by the next one.
    ///
    /// # Errors
    /// [`FileError::NoMetadata`], [`FileError::NoSuchFile`], [`FileError::BadPath`], [`FileError::Taken`],
    /// [`FileError::Claimed`], [`FileError::Busy`], [`FileError::Storage`] or [`FileError::Command`]; the file is where it was
    /// then.
    pub async fn rename_file(
        &self,
        id: TorrentId,
        file: usize,
        path: &Path,
    ) -> Result<(), FileError> {
        let paths = BTreeMap::from([(file, renames::elements(path)?)]);
        self.order_files(id, |reply| FileOrder::Rename(paths, reply))
            .await
    }

    /// Gives the folder of a torrent another name, or the file of a torrent that is one file, as [`Self::rename_file`] does.
    /// What lies in the folder and is not of the torrent stays there.
    ///
    /// # Errors
    /// As [`Self::rename_file`].
    pub async fn rename_top(&self, id: TorrentId, name: &str) -> Result<(), FileError> {
        renames::elements(Path::new(name))?;
        let name = name.to_owned();
        self.order_files(id, |reply| FileOrder::RenameTop(name, reply))
            .await
    }

    /// Has a piece come before all others, to be there in so much time: from peers that can bring it by then, and from several
    /// where one would be late with it. [`Event::DuePiece`](crate::Event::DuePiece) tells when it is there. A piece that is
    /// due already gets a new time. Holds while the torrent is here, also over a pause.
    ///
    /// # Errors
    /// [`FileError::NoMetadata`], [`FileError::NoSuchPiece`], [`FileError::NotWanted`], [`FileError::TooMany`] beyond 1,024
    /// pieces, or [`FileError::Command`].
    pub async fn set_piece_deadline(
        &self,
        id: TorrentId,
        piece: u32,
        within: Duration,
    ) -> Result<(), FileError> {
        self.order_files(id, |reply| FileOrder::Due(piece, within, reply))
            .await
    }

    /// Takes it back that a piece is due.
    ///
    /// # Errors
    /// [`FileError::Command`].
    pub async fn reset_piece_deadline(&self, id: TorrentId, piece: u32) -> Result<(), FileError> {
        self.order_files(id, |reply| FileOrder::NotDue(Some(piece), reply))
            .await
    }

    /// Takes it back that any piece is due, but for those who read files.
    ///
    /// # Errors
    /// [`FileError::Command`].
    pub async fn clear_piece_deadlines(&self, id: TorrentId) -> Result<(), FileError> {
        self.order_files(id, |reply| FileOrder::NotDue(None, reply))
            .await
    }

    /// The bytes of a piece that is there and verified.
    ///
    /// # Errors
    /// [`FileError::NoSuchPiece`], [`FileError::NotThere`], [`FileError::Storage`] or [`FileError::Command`].
    pub async fn read_piece(&self, id: TorrentId, piece: u32) -> Result<Bytes, FileError> {
        self.order_files(id, |reply| FileOrder::ReadPiece(piece, reply))
            .await
    }

    /// Reads a file while it is fetched, from anywhere in it; what is about to be read comes before all else, as far ahead as
    /// [`ReadAhead`] says by itself.
    ///
    /// # Errors
    /// [`FileError::NoMetadata`], [`FileError::NoSuchFile`], [`FileError::NotWanted`], [`FileError::TooMany`] beyond 64
    /// readers of one torrent, or [`FileError::Command`].
    pub async fn reader(&self, id: TorrentId, file: usize) -> Result<FileReader, FileError> {
        self.reader_with(id, file, ReadAhead::default()).await
    }

    /// As [`Self::reader`], with so much fetched ahead.
    ///
    /// # Errors
    /// As [`Self::reader`].
    pub async fn reader_with(
        &self,
        id: TorrentId,
        file: usize,
        ahead: ReadAhead,
    ) -> Result<FileReader, FileError> {
        self.order_files(id, |reply| FileOrder::Read(file, ahead, reply))
            .await
    }

    /// The files that lie elsewhere than the metadata says: their numbers, and their paths below the torrent's folder.
    ///
    /// # Errors
    /// [`FileError::Command`].
    pub async fn renamed_files(
        &self,
        id: TorrentId,
    ) -> Result<BTreeMap<usize, PathBuf>, FileError> {
        self.order_files(id, FileOrder::Renamed).await
    }
}
