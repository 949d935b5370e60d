//! What earlier versions of this program have left in the state directory: files of one torrent each. They say what a torrent
//! has on disk, and not where that is nor what it is called, so that they become what is kept loosely: a torrent that is added
//! later takes it over.
//!
//! A record that says where the content is belongs to a command for single torrents, which may run: it is left to that.
//!
//! # Format
//! `HASH.resume`, where `HASH` is the info-hash in handshakes in hexadecimal. All numbers big-endian: `TRRS`, version
//! `[u8; 1]` (1), flags `[u8; 1]` (1: the last stop was clean), info-hash `[u8; 20]`; number of pieces `u32` and their
//! bitfield; number of files `u32` and for each its length `u64` (all ones if it was not there) and time of change `i64` in
//! ns since 1970; number of partial pieces `u32` and for each its index `u32`, number of blocks `u32` and their bits in
//! bitfield order; length of what follows `u32`, the id of the machine's start, and the wanted files, each `u64`, or one of
//! all ones for all files; where the content was, which may be left out: the file system `u64` and the folder from the root, and
//! the length of both `u32`, 0 where they cannot be told; SHA-1 `[u8; 20]` of everything before.
//!
//! Those who say where it was are commands for single torrents (`engine`).
//!
//! `HASH.torrent`: a .torrent file. `TARGET.item`: what a publisher has signed (BEP 46), by its place in the DHT. `NAME.hops`:
//! `hops `, a number from 0 to 255, and a line feed.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use protocol::bitfield::Bitfield;
use protocol::geometry::{BLOCK_LEN, MAX_PIECE_LEN, MAX_PIECES};
use protocol::id::InfoHash;

use crate::codec::{Reader, RecordError};
use crate::{Batch, FileStamp, Hops, Progress, StateError, Store};

#[cfg(test)]
mod tests;

/// What came of moving files of earlier versions into a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Files that are in the store now, and were removed.
    pub moved: Vec<PathBuf>,
    /// Files that cannot be made sense of; they stay where they are.
    pub unreadable: Vec<PathBuf>,
}

/// Bytes that a file of an earlier version may have; the largest .torrent file and the largest record are smaller.
const MOST: u64 = 64 << 20;
/// Blocks in the largest acceptable piece.
const MAX_BLOCKS: u32 = MAX_PIECE_LEN / BLOCK_LEN;
/// Bytes of the digest at the end of a resume record.
const DIGEST: usize = 20;
/// The length of the id of the machine's start, its line feed counted.
const BOOT_ID: usize = 37;
/// Bytes of the number of a file.
const FILE: usize = 8;
/// Bytes of the number of a file system.
const FILE_SYSTEM: usize = 8;

/// Moves what earlier versions of this program have left in `dir` into the store. A file is removed once what it says is on
/// the disk in its new place; interrupted, it is done again the next time.
///
/// # Errors
/// [`StateError::Io`] where the folder or the store fails. A file that cannot be read is no error.
pub fn move_in(store: &Store, dir: &Path) -> Result<Moved, StateError> {
    let failed = |source| StateError::Io {
        path: dir.to_path_buf(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    let mut batch = Batch::new();
    let mut done = Moved::default();
    for path in paths {
        let Some((name, kind)) = kind_of(&path) else {
            continue;
        };
        match read(&path).map(|bytes| take_in(&mut batch, name, kind, bytes)) {
            Ok(Taken::Moved) => done.moved.push(path),
            Ok(Taken::Left) => {}
            Ok(Taken::Unreadable) => {
                if kind == Kind::Hops {
                    batch.hops(name.0, Some(Hops::Unknown));
                }
                done.unreadable.push(path);
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "what an earlier version has left cannot be read");
                done.unreadable.push(path);
            }
        }
    }
    store.commit(&batch)?;
    for path in &done.moved {
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "what is in the store now cannot be removed");
        }
    }
    Ok(done)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Resume,
    Torrent,
    Item,
    Hops,
}

/// What a file is about, and what it says of that; `None` if it is none of ours.
fn kind_of(path: &Path) -> Option<(InfoHash, Kind)> {
    let kind = match path.extension()?.to_str()? {
        "resume" => Kind::Resume,
        "torrent" => Kind::Torrent,
        "item" => Kind::Item,
        "hops" => Kind::Hops,
        _ => return None,
    };
    Some((path.file_stem()?.to_str()?.parse().ok()?, kind))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if file.take(MOST + 1).read_to_end(&mut bytes)? as u64 > MOST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// What becomes of a file.
enum Taken {
    Moved,
    /// It is another command's.
    Left,
    Unreadable,
}

/// Takes in what the bytes say, where they are what they should be.
fn take_in(batch: &mut Batch, name: InfoHash, kind: Kind, bytes: Vec<u8>) -> Taken {
    match kind {
        Kind::Resume => match decode(&bytes) {
            Ok((hash, _, true)) if hash == name => return Taken::Left,
            Ok((hash, progress, false)) if hash == name => {
                batch.loose_progress(name, Some(progress));
            }
            Ok(_) | Err(_) => return Taken::Unreadable,
        },
        Kind::Torrent => {
            batch.loose_metainfo(name, Some(bytes.into()));
        }
        Kind::Item => {
            batch.item(name.0, Some(Bytes::from(bytes)));
        }
        Kind::Hops => match decode_hops(&bytes) {
            Some(hops) => {
                batch.hops(name.0, Some(Hops::Said(hops)));
            }
            None => return Taken::Unreadable,
        },
    }
    Taken::Moved
}

fn decode_hops(bytes: &[u8]) -> Option<u8> {
    let digits = bytes.strip_prefix(b"hops ")?.strip_suffix(b"\n")?;
    let hops: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (format!("hops {hops}\n").as_bytes() == bytes).then_some(hops)
}

/// Reads a resume record of an earlier version: whose it is, and what it says.
///
/// # Errors
/// [`RecordError`]; nothing of a damaged record is believed.
pub fn decode_resume(bytes: &[u8]) -> Result<(InfoHash, Progress), RecordError> {
    decode(bytes).map(|(hash, progress, _)| (hash, progress))
}

/// The same, and whether it says where the content was.
fn decode(bytes: &[u8]) -> Result<(InfoHash, Progress, bool), RecordError> {
    let Some((body, digest)) = bytes.split_last_chunk::<DIGEST>() else {
        return Err(RecordError::Damaged(bytes.len()));
    };
    if sha1_smol::Sha1::from(body).digest().bytes() != *digest {
        return Err(RecordError::Damaged(body.len()));
    }
    let mut reader = Reader::new(body);
    if reader.array()? != *b"TRRS" {
        return Err(RecordError::Damaged(0));
    }
    let (found, known) = (reader.byte()?, 1);
    if found != known {
        return Err(RecordError::Newer { found, known });
    }
    let clean = reader.byte()? & 1 == 1;
    let hash = InfoHash(reader.array()?);
    let have = bits(&mut reader, MAX_PIECES)?;
    let count = counted(&mut reader, 16)?;
    let mut files = Vec::with_capacity(count);
    for _ in 0..count {
        let len = u64::from_be_bytes(reader.array()?);
        files.push(FileStamp {
            len: (len != u64::MAX).then_some(len),
            mtime: i64::from_be_bytes(reader.array()?),
        });
    }
    let count = counted(&mut reader, 8)?;
    let mut partial = BTreeMap::new();
    for _ in 0..count {
        let damaged = reader.damaged();
        let piece = u32::from_be_bytes(reader.array()?);
        let blocks = bits(&mut reader, MAX_BLOCKS)?;
        let last: Option<u32> = partial.last_key_value().map(|(last, _)| *last);
        if piece >= have.len() || last.is_some_and(|last| last >= piece) {
            return Err(damaged);
        }
        partial.insert(piece, blocks);
    }
    let extra = u32::from_be_bytes(reader.array()?) as usize;
    let damaged = reader.damaged();
    let extra = reader.take(extra)?;
    if reader.left() != 0 {
        return Err(reader.damaged());
    }
    let (start, wanted) = circumstances(extra).ok_or(damaged)?;
    let placed = without_place(extra).len() < extra.len();
    let progress = Progress {
        have,
        partial,
        files,
        clean,
        start,
        wanted,
    };
    Ok((hash, progress, placed))
}

/// The id of the machine's start, and which files were wanted.
fn circumstances(extra: &[u8]) -> Option<(Vec<u8>, Option<Vec<u32>>)> {
    let extra = without_place(extra);
    if extra.is_empty() {
        // The system told no id: nothing can be compared with it.
        return Some((b"unknown".to_vec(), None));
    }
    let (start, wanted) = extra.split_at_checked(BOOT_ID)?;
    let (wanted, rest) = wanted.as_chunks::<FILE>();
    if !rest.is_empty() {
        return None;
    }
    let wanted: Vec<u64> = wanted
        .iter()
        .map(|file| u64::from_be_bytes(*file))
        .collect();
    let wanted = if wanted == [u64::MAX] {
        None
    } else {
        let wanted: Result<Vec<u32>, _> = wanted.into_iter().map(u32::try_from).collect();
        Some(
            wanted
                .ok()
                .filter(|files| files.is_sorted_by(|a, b| a < b))?,
        )
    };
    Some((start.to_vec(), wanted))
}

/// The circumstances without where the content was. What ends in the number of a file may look like a length; a folder from the
/// root tells them apart, for there the number of a file has zeros.
fn without_place(extra: &[u8]) -> &[u8] {
    let Some((body, len)) = extra.split_last_chunk() else {
        return extra;
    };
    let len = u32::from_be_bytes(*len) as usize;
    let Some((before, place)) = body
        .len()
        .checked_sub(len)
        .and_then(|at| body.split_at_checked(at))
    else {
        return extra;
    };
    let whole = |bytes: &[u8]| {
        let files = bytes.len().checked_sub(BOOT_ID);
        bytes.is_empty() || files.is_some_and(|files| files.is_multiple_of(FILE))
    };
    let named = place.is_empty() || place.get(FILE_SYSTEM) == Some(&b'/');
    if named && whole(before) {
        before
    } else {
        extra
    }
}

fn bits(reader: &mut Reader<'_>, most: u32) -> Result<Bitfield, RecordError> {
    let damaged = reader.damaged();
    let len = u32::from_be_bytes(reader.array()?);
    if len > most {
        return Err(damaged);
    }
    let bytes = reader.take(Bitfield::byte_len(len))?;
    Bitfield::from_bytes(bytes, len).map_err(|_| damaged)
}

/// A count of items that take at least `least` bytes each, so that it cannot ask for more memory than the bytes justify.
fn counted(reader: &mut Reader<'_>, least: usize) -> Result<usize, RecordError> {
    let damaged = reader.damaged();
    let count = u32::from_be_bytes(reader.array()?) as usize;
    if count.saturating_mul(least) > reader.left() {
        return Err(damaged);
    }
    Ok(count)
}
