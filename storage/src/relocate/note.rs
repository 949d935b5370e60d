//! What is kept of a move before it begins, so that who is killed in the middle of it loses nothing.
//!
//! # Format
//! All numbers big-endian. `TRMV`, version `[u8; 1]` (1), stage `[u8; 1]` (0: under way, 1: done), way `[u8; 1]` (0: by names,
//! 1: by copies); the old and the new folder, each its length `u32` and its bytes as the system has them; number of files `u32`
//! and their indices `u32` that were at the new folder before, then the same of those that stay at the old one; SHA-1
//! `[u8; 20]` of everything before.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::resume::{Reader, ResumeError, save_whole, sync_name};
use crate::watch::{Call, Watcher};

#[cfg(test)]
mod tests;

/// A move that has begun: from where to where, and what must not be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveNote {
    /// The folder that the content was in.
    pub from: PathBuf,
    /// The folder that it goes to.
    pub to: PathBuf,
    /// How far it has come.
    pub stage: MoveStage,
    /// How the content gets there.
    pub way: MoveWay,
    /// Files that were in the new folder before, by their index in the specification; the index after the last is that of the
    /// part file. A move that is taken back leaves them there.
    pub theirs: BTreeSet<u32>,
    /// Files that stay in the old folder, because they are none of ours.
    pub left: BTreeSet<u32>,
}

/// How far a move has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveStage {
    /// The content counts where it was.
    UnderWay,
    /// The content counts where it went; what is left of the old is yet to be removed.
    Done,
}

/// How content gets to another folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveWay {
    /// Its files are given other names.
    Rename,
    /// Its bytes are copied.
    Copy,
}

const MAGIC: &[u8; 4] = b"TRMV";
const VERSION: u8 = 1;
/// Bytes of a path that the system takes.
const MOST_PATH: u32 = 4096;

impl MoveNote {
    /// The note's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend(MAGIC);
        out.push(VERSION);
        out.push(u8::from(self.stage == MoveStage::Done));
        out.push(u8::from(self.way == MoveWay::Copy));
        for folder in [&self.from, &self.to] {
            let bytes = folder.as_os_str().as_bytes();
            out.extend((bytes.len() as u32).to_be_bytes());
            out.extend(bytes);
        }
        for files in [&self.theirs, &self.left] {
            out.extend((files.len() as u32).to_be_bytes());
            out.extend(files.iter().flat_map(|file| file.to_be_bytes()));
        }
        out.extend(hash::sha1(&out));
        out
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`ResumeError::Damaged`] names the first byte that can't be right, [`ResumeError::Version`] a version from the
    /// future.
    pub fn decode(bytes: &[u8]) -> Result<Self, ResumeError> {
        let mut reader = Reader::sealed(bytes, *MAGIC, VERSION)?;
        let stage = match reader.u8()? {
            0 => MoveStage::UnderWay,
            1 => MoveStage::Done,
            _ => return Err(ResumeError::Damaged(5)),
        };
        let way = match reader.u8()? {
            0 => MoveWay::Rename,
            1 => MoveWay::Copy,
            _ => return Err(ResumeError::Damaged(6)),
        };
        let (from, to) = (folder(&mut reader)?, folder(&mut reader)?);
        let (theirs, left) = (files(&mut reader)?, files(&mut reader)?);
        if reader.at != reader.bytes.len() {
            return Err(ResumeError::Damaged(reader.at));
        }
        Ok(Self {
            from,
            to,
            stage,
            way,
            theirs,
            left,
        })
    }

    /// Saves the note so that, whatever happens, either the old or the new one is found afterwards.
    ///
    /// # Errors
    /// [`ResumeError::Io`].
    pub fn save(&self, path: &Path, watch: &Watcher) -> Result<(), ResumeError> {
        save_whole(path, &self.encode(), watch).map_err(|source| io_error(path, source))
    }

    /// Loads a note; `None` if there is none.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`ResumeError::Io`].
    pub fn load(path: &Path) -> Result<Option<Self>, ResumeError> {
        match fs::read(path) {
            Ok(bytes) => Self::decode(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error(path, source)),
        }
    }

    /// Removes a note, if there is one, so that it does not come back where power fails: it would speak of another torrent then that
    /// has the same name.
    ///
    /// # Errors
    /// [`ResumeError::Io`].
    pub fn remove(path: &Path, watch: &Watcher) -> Result<(), ResumeError> {
        let asked = watch.ask(Call::Remove, path);
        let removed = asked.and_then(|()| fs::remove_file(path));
        match removed.and_then(|()| sync_name(path, watch)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> ResumeError {
    ResumeError::Io {
        path: path.to_path_buf(),
        source,
    }
}

fn folder(reader: &mut Reader<'_>) -> Result<PathBuf, ResumeError> {
    let at = reader.at;
    let len = reader.u32()?;
    if len > MOST_PATH {
        return Err(ResumeError::Damaged(at));
    }
    let bytes = reader.take(len as usize)?.to_vec();
    Ok(OsString::from_vec(bytes).into())
}

fn files(reader: &mut Reader<'_>) -> Result<BTreeSet<u32>, ResumeError> {
    let at = reader.at;
    let files = reader.list(4, Reader::u32)?;
    if files.is_sorted_by(|a, b| a < b) {
        Ok(files.into_iter().collect())
    } else {
        Err(ResumeError::Damaged(at))
    }
}
