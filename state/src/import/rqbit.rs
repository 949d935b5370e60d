//! The session of rqbit.
//!
//! # Format
//! `session.json` is an object whose `torrents` has an object for each number, with `info_hash`, `trackers`, `output_folder`,
//! `only_files` (numbers of files in the metadata, or null for all) and `is_paused`. Beside it lie `HASH.torrent` and, where
//! rqbit keeps what it has, `HASH.bitv`: a bitfield of pieces, the highest bit of a byte first. `output_folder` holds the files
//! themselves and not a folder with the torrent's name.
//!
//! Files are known again by their lengths, and by not having changed after the bitfield was written. Metadata of v2 is none that rqbit has.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::Bytes;
use protocol::id::{InfoHash, InfoHashes};
use protocol::metainfo::FileEntry;
use serde::Deserialize;

use super::draft::{self, Meta, bits, is_url};
use super::fault::{Fault, FaultKind};
use super::{Claim, Imported, MOST_BYTES, Times};

/// A torrent of a session.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Its v1 info-hash in hexadecimal.
    pub info_hash: String,
    /// All of its trackers, in no order.
    pub trackers: BTreeSet<String>,
    /// The folder that holds its files.
    pub output_folder: PathBuf,
    /// The files that are wanted, by their number in the metadata; `None` for all.
    pub only_files: Option<Vec<usize>>,
    /// Whether it is paused.
    pub is_paused: bool,
}

#[derive(Deserialize)]
struct Session {
    torrents: BTreeMap<u64, Entry>,
}

/// Reads `session.json`: the torrents in the order of their numbers.
///
/// # Errors
/// [`FaultKind::Json`] says where it is not as it should be.
pub fn session(bytes: &[u8]) -> Result<Vec<Entry>, Fault> {
    if bytes.len() > MOST_BYTES {
        return Err(Fault::whole(FaultKind::TooLong(MOST_BYTES)));
    }
    let session: Session = serde_json::from_slice(bytes).map_err(|error| {
        Fault::whole(FaultKind::Json {
            line: error.line(),
            column: error.column(),
        })
    })?;
    Ok(session.torrents.into_values().collect())
}

impl Entry {
    /// Its info-hash.
    ///
    /// # Errors
    /// [`Fault`] where it is none.
    pub fn hash(&self) -> Result<InfoHash, Fault> {
        let wrong = || Fault::new("info_hash", FaultKind::Kind("40 hexadecimal digits"));
        self.info_hash.parse().map_err(|_| wrong())
    }

    /// What it says, with the .torrent file and the bitfield that lie beside the session, and when the bitfield was written, in ns
    /// since 1970.
    ///
    /// # Errors
    /// [`Fault`] names the field that is missing or malformed.
    pub fn parse(
        &self,
        torrent: Option<&[u8]>,
        bitfield: Option<&[u8]>,
        written: Option<i64>,
    ) -> Result<Imported, Fault> {
        let hash = self.hash()?;
        let folder = self.output_folder.clone();
        if folder.as_os_str().is_empty() {
            return Err(Fault::new("output_folder", FaultKind::Missing));
        }
        let mut it = Imported::new(InfoHashes::v1(hash), hash.to_string());
        it.torrent.dir = folder;
        if let Some(bytes) = torrent {
            let Meta::Whole(parsed) = draft::metainfo("the .torrent file", bytes)? else {
                let why = FaultKind::Kind("metadata and not a link");
                return Err(Fault::new("the .torrent file", why));
            };
            if !parsed.hashes().matches(hash) {
                let why = FaultKind::Value("the metadata is of another torrent");
                return Err(Fault::new("info_hash", why));
            }
            parsed.name().clone_into(&mut it.torrent.name);
            it.describe(*parsed, Bytes::copy_from_slice(bytes));
        }
        it.torrent.switches.paused = self.is_paused;
        self.put_trackers(&mut it);
        self.put_files(&mut it)?;
        self.put_names(&mut it);
        if let (Some(bitfield), Some(parsed)) = (bitfield, &it.parsed) {
            let (have, whole) = bits(bitfield, parsed.geometry().pieces());
            it.claim = Some(Claim {
                have,
                partial: BTreeMap::new(),
                whole,
                times: written.map_or(Times::Unknown, Times::NotAfter),
            });
        }
        it.link();
        Ok(it)
    }

    /// The tiers of the metadata as far as its trackers are still there, and a last one with the others.
    fn put_trackers(&self, it: &mut Imported) {
        let (mut rest, bad): (BTreeSet<&str>, BTreeSet<&str>) = self
            .trackers
            .iter()
            .map(String::as_str)
            .partition(|url| is_url(url));
        if !bad.is_empty() {
            it.leave_out("trackers", format!("{} of them are no URLs", bad.len()));
        }
        let of_metadata = it
            .parsed
            .as_ref()
            .map_or(&[][..], |parsed| parsed.trackers());
        let mut tiers: Vec<Vec<String>> = Vec::new();
        for tier in of_metadata {
            let still = tier.iter().filter(|url| rest.remove(url.as_str()));
            let still: Vec<String> = still.cloned().collect();
            if !still.is_empty() {
                tiers.push(still);
            }
        }
        if !rest.is_empty() {
            tiers.push(rest.into_iter().map(str::to_owned).collect());
        }
        if it.parsed.is_none() || tiers != of_metadata {
            it.details.trackers = Some(tiers);
        }
    }

    fn put_files(&self, it: &mut Imported) -> Result<(), Fault> {
        let Some(only) = &self.only_files else {
            return Ok(());
        };
        let only: BTreeSet<usize> = only.iter().copied().collect();
        let files = it.files();
        if it.parsed.is_none() {
            it.leave_out("only_files", "there is no metadata that it chooses from");
            return Ok(());
        }
        if only.last().is_some_and(|last| *last >= files) {
            let why = FaultKind::Value("names a file that the torrent does not have");
            return Err(Fault::new("only_files", why));
        }
        let priority = |at: usize| (!only.contains(&at)).then_some(0);
        it.prioritise((0..files).map(priority));
        Ok(())
    }

    /// Where a folder with the torrent's name is: in the path of the folder, or nowhere.
    fn put_names(&self, it: &mut Imported) {
        let Some(parsed) = it.parsed.as_ref().filter(|parsed| !parsed.is_single_file()) else {
            return;
        };
        let named = self
            .output_folder
            .file_name()
            .is_some_and(|name| name == parsed.name());
        let parent = self.output_folder.parent();
        let parent = parent.filter(|parent| named && !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            it.torrent.dir = parent.to_path_buf();
            return;
        }
        let below = parsed.files().iter().map(FileEntry::components);
        let below: Vec<String> = below
            .map(|path| path.get(1..).unwrap_or_default().join("/"))
            .collect();
        it.rename("output_folder", below.iter().map(String::as_bytes));
    }
}
