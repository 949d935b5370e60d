//! What a person or program wants of the files of a torrent, and what comes of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::Context;
use bytes::Bytes;
use storage::{ErrorKind, StoreError};
use tokio::sync::oneshot;

use crate::torrent::actor::Torrent;
use crate::torrent::picker::Priority;
use crate::{CommandError, FileReader, ReadAhead};

/// Told what came of an order.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, FileError>>;

/// What is wanted of files.
#[derive(Debug)]
pub(crate) enum FileOrder {
    /// Want files or pieces more or less than before.
    Prioritise(Wish, Reply<()>),
    /// Say how much each file is wanted.
    Priorities(Reply<Vec<Priority>>),
    /// Say how much each piece is wanted.
    PiecePriorities(Reply<Vec<Priority>>),
    /// Have files lie at other paths, all or none of them.
    Rename(BTreeMap<usize, Vec<String>>, Reply<()>),
    /// Have the folder, or the only file, another name.
    RenameTop(String, Reply<()>),
    /// Say which files lie elsewhere than the metadata says.
    Renamed(Reply<BTreeMap<usize, PathBuf>>),
    /// Have a piece in so much time.
    Due(u32, Duration, Reply<()>),
    /// Have a piece, or any, at no time any more.
    NotDue(Option<u32>, Reply<()>),
    /// Take a piece from outside.
    AddPiece(u32, Bytes, Reply<()>),
    /// Have the disk take what was written.
    Flush(Reply<()>),
    /// Take this as the metadata.
    Metadata(Bytes, Reply<()>),
    /// Read a piece.
    ReadPiece(u32, Reply<Bytes>),
    /// Let a file be read while it is fetched.
    Read(usize, ReadAhead, Reply<FileReader>),
}

/// What is to be wanted more or less.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// Each file; those past the end of the list as usual.
    Files(Vec<Priority>),
    /// One file.
    File(usize, Priority),
    /// Each piece, whatever its files are; those past the end of the list as their files are.
    Pieces(Vec<Priority>),
    /// One piece.
    Piece(u32, Priority),
}

/// Why nothing came of what was wanted of files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The torrent is not there, or the engine has stopped.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The torrent has no such file, or it is padding or a link.
    #[error("the torrent has no file number {0}")]
    NoSuchFile(usize),
    /// The torrent has no such piece.
    #[error("the torrent has no piece number {0}")]
    NoSuchPiece(u32),
    /// The metadata is there already, the torrent is not looking for it, or this is not it.
    #[error("this is not the metadata that is looked for")]
    NotMetadata,
    /// The file or piece is not wanted.
    #[error("it is not wanted: give it a priority first")]
    NotWanted,
    /// The piece is not there, or the torrent is not at work.
    #[error("piece {0} is not there")]
    NotThere(u32),
    /// There are too many readers of one torrent, or too many pieces that are due.
    #[error("there are too many at once")]
    TooMany,
    /// The metadata is not known yet.
    #[error("the metadata of the torrent is not known yet")]
    NoMetadata,
    /// The torrent is only to be served, and what would be wanted is not there.
    #[error("the torrent is only served, and not all that would be wanted is there")]
    ServedOnly,
    /// The content is being opened or checked.
    #[error("the content of the torrent is being looked at: try again when that is done")]
    Busy,
    /// The path has something else in it than names, or leads outside the folder of the torrent.
    #[error("{}: not a path below the folder of the torrent", .0.display())]
    BadPath(PathBuf),
    /// Something lies at the new path, or another file of the torrent does.
    #[error("{}: there is something already", .0.display())]
    Taken(PathBuf),
    /// Another torrent has a file at the new path.
    #[error("{}: another torrent has this file", .0.display())]
    Claimed(PathBuf),
    /// Reading or writing failed.
    #[error("{message}")]
    Storage {
        /// What kind of failure.
        kind: ErrorKind,
        /// What was done to which file, and what the system said.
        message: Arc<str>,
    },
}

impl From<&StoreError> for FileError {
    fn from(error: &StoreError) -> Self {
        let path = error.path().to_path_buf();
        let kind = error.kind();
        if matches!(kind, ErrorKind::InTheWay | ErrorKind::Invalid) {
            Self::Taken(path)
        } else if kind == ErrorKind::UnsafePath {
            Self::BadPath(path)
        } else {
            let message = error.to_string().into();
            Self::Storage { kind, message }
        }
    }
}

impl Torrent {
    /// Does what is wanted; whoever does not wait any more is not told.
    pub(super) fn on_file_order(&mut self, order: FileOrder, ctx: &mut Context<Self>) {
        match order {
            FileOrder::Prioritise(wish, reply) => {
                let _ = reply.send(self.prioritise(wish, ctx));
            }
            FileOrder::Priorities(reply) => {
                let _ = reply.send(self.file_priorities());
            }
            FileOrder::PiecePriorities(reply) => {
                let _ = reply.send(self.piece_priorities());
            }
            FileOrder::Due(piece, within, reply) => {
                let _ = reply.send(self.set_due(piece, within));
            }
            FileOrder::NotDue(piece, reply) => {
                self.clear_due(piece);
                let _ = reply.send(Ok(()));
            }
            FileOrder::AddPiece(piece, data, reply) => self.add_piece((piece, data), reply, ctx),
            FileOrder::Flush(reply) => self.flush(reply),
            FileOrder::Metadata(info, reply) => {
                let _ = reply.send(self.be_given_metadata(&info, ctx));
            }
            FileOrder::ReadPiece(piece, reply) => self.read_piece(piece, reply, ctx),
            FileOrder::Read(file, ahead, reply) => self.open_reader((file, ahead), reply, ctx),
            FileOrder::Rename(paths, reply) => self.rename((paths, None), reply, ctx),
            FileOrder::RenameTop(name, reply) => self.rename_top(name, reply, ctx),
            FileOrder::Renamed(reply) => {
                let renamed = self.add.choices.renamed.iter();
                let paths = renamed.map(|(file, path)| (*file, path.iter().collect()));
                let _ = reply.send(Ok(paths.collect()));
            }
        }
    }
}
