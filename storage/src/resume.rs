//! Resume records: what a torrent had on disk when it was last looked at.
//!
//! # Format
//! All numbers big-endian. `TRRS`, version `[u8; 1]` (1), flags `[u8; 1]` (1: the last stop was clean), info-hash
//! `[u8; 20]`; number of pieces `u32` and their bitfield; number of files `u32` and for each its length `u64` (all ones
//! if it was not there) and time of change `i64` in ns since 1970; number of partial pieces `u32` and for each its
//! index `u32`, number of blocks `u32` and their bits in bitfield order; length of the extra bytes `u32` and these;
//! SHA-1 `[u8; 20]` of everything before.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use protocol::bitfield::Bitfield;
use protocol::geometry::{BLOCK_LEN, MAX_PIECE_LEN, MAX_PIECES};
use protocol::id::InfoHash;

use crate::active::{ActivePiece, BlockState};
use crate::watch::{Call, Watcher};

#[cfg(test)]
mod tests;

/// What a torrent had on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which torrent: the hash that stands in handshakes.
    pub info_hash: InfoHash,
    /// Verified pieces.
    pub have: Bitfield,
    /// Written, unverified blocks of pieces, by piece index.
    pub partial: BTreeMap<u32, BlockBits>,
    /// The files as they were, in the order of the store's specification.
    pub files: Vec<FileStamp>,
    /// Whether everything had been brought to the disk and the store was idle. A record that is not clean is a hint:
    /// check its pieces.
    pub clean: bool,
    /// Whatever the owner of the torrent wants to find again.
    pub extra: Vec<u8>,
}

/// A set of blocks of one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockBits {
    blocks: u32,
    bits: Vec<u8>,
}

/// A file's length and time of change, by which it is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Bytes; `None` if the file is not there.
    pub len: Option<u64>,
    /// Last change of its bytes, in ns since 1970.
    pub mtime: i64,
}

/// Why a record could not be read or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The file can't be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bytes are no record, or a damaged one.
    #[error("the resume record is damaged at byte {0}")]
    Damaged(usize),
    /// The record was made by a later version.
    #[error("the resume record has the unknown version {0}")]
    Version(u8),
}

const MAGIC: &[u8; 4] = b"TRRS";
const VERSION: u8 = 1;
const CLEAN: u8 = 1;
/// Bytes of the digest at the end.
const DIGEST: usize = 20;
/// Blocks in the largest acceptable piece.
const MAX_BLOCKS: u32 = MAX_PIECE_LEN / BLOCK_LEN;

impl BlockBits {
    /// The written blocks of a piece.
    pub fn of(active: &ActivePiece) -> Self {
        let mut set = Self {
            blocks: active.blocks(),
            bits: vec![0; Bitfield::byte_len(active.blocks())],
        };
        for block in (0..set.blocks).filter(|block| active.state(*block) == BlockState::Written) {
            if let Some(byte) = set.bits.get_mut(block as usize / 8) {
                *byte |= 0x80 >> (block % 8);
            }
        }
        set
    }

    /// Number of blocks that the set ranges over.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// The same as a field of bits.
    pub fn to_bitfield(&self) -> Bitfield {
        Bitfield::from_bytes(&self.bits, self.blocks).unwrap_or_else(|_| Bitfield::new(self.blocks))
    }

    /// Whether the block is in the set.
    pub fn get(&self, block: u32) -> bool {
        block < self.blocks
            && self
                .bits
                .get(block as usize / 8)
                .is_some_and(|byte| byte & (0x80 >> (block % 8)) != 0)
    }
}

impl From<&Bitfield> for BlockBits {
    fn from(bits: &Bitfield) -> Self {
        Self {
            blocks: bits.len(),
            bits: bits.as_bytes().to_vec(),
        }
    }
}

impl Record {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend(MAGIC);
        out.push(VERSION);
        out.push(if self.clean { CLEAN } else { 0 });
        out.extend(self.info_hash.as_bytes());
        out.extend(self.have.len().to_be_bytes());
        out.extend(self.have.as_bytes());
        out.extend((self.files.len() as u32).to_be_bytes());
        for file in &self.files {
            out.extend(file.len.unwrap_or(u64::MAX).to_be_bytes());
            out.extend(file.mtime.to_be_bytes());
        }
        out.extend((self.partial.len() as u32).to_be_bytes());
        for (piece, set) in &self.partial {
            out.extend(piece.to_be_bytes());
            out.extend(set.blocks.to_be_bytes());
            out.extend(&set.bits);
        }
        out.extend((self.extra.len() as u32).to_be_bytes());
        out.extend(&self.extra);
        out.extend(hash::sha1(&out));
        out
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`ResumeError::Damaged`] names the first byte that can't be right, [`ResumeError::Version`] a version from the
    /// future.
    pub fn decode(bytes: &[u8]) -> Result<Self, ResumeError> {
        let mut reader = Reader::sealed(bytes, *MAGIC, VERSION)?;
        let flags = reader.u8()?;
        let info_hash = InfoHash(reader.array()?);
        let have = reader.bitfield(MAX_PIECES)?;
        let files = reader.list(16, |reader| {
            let len = u64::from_be_bytes(reader.array()?);
            Ok(FileStamp {
                len: (len != u64::MAX).then_some(len),
                mtime: i64::from_be_bytes(reader.array()?),
            })
        })?;
        let partial = reader.list(8, |reader| {
            let at = reader.at;
            let piece = reader.u32()?;
            let set = reader.bitfield(MAX_BLOCKS)?;
            if piece >= have.len() {
                return Err(ResumeError::Damaged(at));
            }
            let (blocks, bits) = (set.len(), set.as_bytes().to_vec());
            Ok((piece, BlockBits { blocks, bits }))
        })?;
        let extra_len = reader.u32()? as usize;
        let extra = reader.take(extra_len)?.to_vec();
        if reader.at != reader.bytes.len() || !partial.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(ResumeError::Damaged(reader.at));
        }
        Ok(Self {
            info_hash,
            have,
            partial: partial.into_iter().collect(),
            files,
            clean: flags & CLEAN != 0,
            extra,
        })
    }

    /// Saves the record so that, whatever happens, either the old or the new one is found afterwards: written beside
    /// its place, brought to the disk, renamed.
    ///
    /// # Errors
    /// [`ResumeError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), ResumeError> {
        save_whole(path, &self.encode(), &Watcher::default()).map_err(|source| ResumeError::Io {
            path: path.to_path_buf(),
            source,
        })
    }

    /// Loads a record; `None` if there is none.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`ResumeError::Io`].
    pub fn load(path: &Path) -> Result<Option<Self>, ResumeError> {
        match std::fs::read(path) {
            Ok(bytes) => Self::decode(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ResumeError::Io {
                path: path.to_path_buf(),
                source,
            }),
        }
    }
}

/// Writes a file beside its place, brings it to the disk, and lets it take the place of what was there.
pub(crate) fn save_whole(path: &Path, bytes: &[u8], watch: &Watcher) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    watch.ask(Call::Create, &new)?;
    let mut file = File::create(&new)?;
    watch.ask(Call::Write, &new)?;
    file.write_all(bytes)?;
    watch.ask(Call::Sync, &new)?;
    file.sync_data()?;
    watch.ask(Call::Rename, &new)?;
    std::fs::rename(&new, path)?;
    sync_name(path, watch)
}

/// Brings to the disk what the name of a file leads to, or that it leads nowhere.
pub(crate) fn sync_name(path: &Path, watch: &Watcher) -> io::Result<()> {
    match path.parent().filter(|parent| *parent != Path::new("")) {
        Some(parent) => {
            watch.ask(Call::Sync, parent)?;
            File::open(parent)?.sync_all()
        }
        None => Ok(()),
    }
}

/// What is read of a record.
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Reader<'a> {
    /// Over what lies between four bytes that name the kind with one for the version, which have to be these, and a SHA-1 of all
    /// before it, which has to be right.
    pub(crate) fn sealed(
        bytes: &'a [u8],
        magic: [u8; 4],
        version: u8,
    ) -> Result<Self, ResumeError> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.array::<4>()? != magic {
            return Err(ResumeError::Damaged(0));
        }
        let is = reader.u8()?;
        if is != version {
            return Err(ResumeError::Version(is));
        }
        let body = bytes.len().saturating_sub(DIGEST);
        let digest = bytes.get(..body).map(hash::sha1);
        if bytes.get(body..) != digest.as_ref().map(|digest| &digest[..]) {
            return Err(ResumeError::Damaged(body));
        }
        reader.bytes = bytes.get(..body).unwrap_or_default();
        Ok(reader)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], ResumeError> {
        let end = self.at.saturating_add(len);
        let taken = self
            .bytes
            .get(self.at..end)
            .ok_or(ResumeError::Damaged(self.at))?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ResumeError> {
        let at = self.at;
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| ResumeError::Damaged(at))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ResumeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ResumeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn bitfield(&mut self, most: u32) -> Result<Bitfield, ResumeError> {
        let at = self.at;
        let len = self.u32()?;
        if len > most {
            return Err(ResumeError::Damaged(at));
        }
        let bytes = self.take(Bitfield::byte_len(len))?;
        Bitfield::from_bytes(bytes, len).map_err(|_| ResumeError::Damaged(at))
    }

    /// A counted list whose items take at least `least` bytes each, so that the count can't ask for more memory than
    /// the bytes justify.
    pub(crate) fn list<T>(
        &mut self,
        least: usize,
        item: impl Fn(&mut Self) -> Result<T, ResumeError>,
    ) -> Result<Vec<T>, ResumeError> {
        let at = self.at;
        let count = self.u32()? as usize;
        if count.saturating_mul(least) > self.bytes.len().saturating_sub(self.at) {
            return Err(ResumeError::Damaged(at));
        }
        (0..count).map(|_| item(self)).collect()
    }
}
