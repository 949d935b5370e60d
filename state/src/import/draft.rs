//! What all formats have in common: metadata, names of files, lists of URLs, bits.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use protocol::bencode::{List, Value};
use protocol::bitfield::Bitfield;
use protocol::id::InfoHashes;
use protocol::magnet::Magnet;
use protocol::metainfo::{LoadLimits, Metainfo, MetainfoError};

use super::fault::{Fault, FaultKind};
use super::{Imported, MOST_BYTES};
use crate::{Content, Details, Torrent, Traffic};

/// Bounds of metadata: libtorrent's default is 10 MB, and what a program has taken is to be read.
fn limits() -> LoadLimits {
    let mut limits = LoadLimits::default();
    limits.bencode = limits.bencode.with_bytes(MOST_BYTES);
    limits
}

/// A .torrent file: metadata, or a link in its place.
pub(super) enum Meta {
    Whole(Box<Metainfo>),
    Link(Box<Magnet>),
}

/// Reads a .torrent file.
pub(super) fn metainfo(field: &str, bytes: &[u8]) -> Result<Meta, Fault> {
    match Metainfo::from_bytes(bytes, &limits()) {
        Ok(metainfo) => Ok(Meta::Whole(Box::new(metainfo))),
        Err(MetainfoError::MagnetInstead(link)) => Ok(Meta::Link(link)),
        Err(error) => Err(Fault::new(field, FaultKind::Metainfo(Box::new(error)))),
    }
}

/// Reads a bare info dictionary.
pub(super) fn info(field: &str, bytes: &[u8]) -> Result<Metainfo, Fault> {
    Metainfo::from_info(bytes, &limits())
        .map_err(|error| Fault::new(field, FaultKind::Metainfo(Box::new(error))))
}

impl Imported {
    /// A torrent of which nothing is known but its hashes and its name, not even its folder.
    pub(super) fn new(hashes: InfoHashes, name: String) -> Self {
        Self {
            torrent: Torrent::new(hashes, name, PathBuf::new(), 0),
            details: Details::default(),
            metainfo: None,
            parsed: None,
            traffic: Traffic::default(),
            claim: None,
            elsewhere: None,
            unfinished_suffix: None,
            left_out: Vec::new(),
        }
    }

    /// Takes metadata.
    pub(super) fn describe(&mut self, parsed: Metainfo, bytes: Bytes) {
        let geometry = parsed.geometry();
        self.torrent.hashes = parsed.hashes();
        self.torrent.content = Some(Content {
            len: parsed.content_len(),
            piece_len: geometry.piece_len(),
            pieces: geometry.pieces(),
            files: u32::try_from(parsed.files().len()).unwrap_or(u32::MAX),
            private: parsed.is_private(),
        });
        self.metainfo = Some(bytes);
        self.parsed = Some(parsed);
    }

    /// The number of files in the metadata.
    pub(super) fn files(&self) -> usize {
        self.parsed
            .as_ref()
            .map_or(0, |parsed| parsed.files().len())
    }

    /// The magnet link of a torrent without metadata.
    pub(super) fn link(&mut self) {
        if self.parsed.is_some() {
            return;
        }
        let mut magnet = Magnet::new(self.torrent.hashes);
        magnet.name = Some(self.torrent.name.clone()).filter(|name| !name.is_empty());
        let trackers = self.details.trackers.iter().flatten().flatten();
        magnet.trackers = trackers.cloned().collect();
        let seeds = self.details.web_seeds.iter().flatten();
        magnet.web_seeds = seeds.cloned().collect();
        self.details.link = Some(magnet.to_string());
    }

    /// Gives files the priorities that a list has, in the order of the metadata; `None` is the usual one.
    pub(super) fn prioritise(&mut self, priorities: impl IntoIterator<Item = Option<u8>>) {
        for (at, priority) in (0_u32..).zip(priorities) {
            if let Some(priority) = priority {
                let choice = self.details.files.entry(at).or_default();
                choice.priority = Some(priority);
            }
        }
    }

    /// Gives files the names that a list has, in the order of the metadata; an empty one is that of the metadata.
    pub(super) fn rename<'a>(&mut self, field: &str, names: impl Iterator<Item = &'a [u8]>) {
        let files: &[_] = self.parsed.as_ref().map_or(&[], Metainfo::files);
        let mut renamed = Vec::new();
        let mut bad = Vec::new();
        for ((at, file), name) in (0_u32..).zip(files).zip(names) {
            if name.is_empty() || !file.is_stored() {
                continue;
            }
            match safe_path(name) {
                Some(path) if path == file.display_path() => {}
                Some(path) => renamed.push((at, path)),
                None => bad.push(file.display_path()),
            }
        }
        for file in bad {
            let why =
                format!("the new name of {file} leads out of the torrent's folder, or is none");
            self.leave_out(field, why);
        }
        for (at, path) in renamed {
            self.details.files.entry(at).or_default().renamed = Some(path);
        }
        if !self.names_are_apart() {
            for choice in self.details.files.values_mut() {
                choice.renamed = None;
            }
            self.leave_out(field, "several files would have the same name");
        }
    }

    /// Whether no file has the name of another one, or of a folder of it.
    fn names_are_apart(&self) -> bool {
        let mut paths = self.paths();
        paths.retain(|path| !path.is_empty());
        paths.sort_unstable();
        let mut pairs = paths.iter().zip(paths.iter().skip(1));
        pairs.all(|(first, second)| !second.starts_with(first))
    }

    /// Keeps what nobody knew, to be given back.
    pub(super) fn keep_foreign<'a>(&mut self, rest: impl Iterator<Item = (&'a [u8], Value<'a>)>) {
        let mut room = MOST_FOREIGN;
        for (key, value) in rest {
            let name = String::from_utf8_lossy(key).into_owned();
            let size = key.len().saturating_add(value.raw().len());
            if key.len() > MOST_NAME || std::str::from_utf8(key).is_err() || size > room {
                let name: String = name.chars().take(MOST_NAME).collect();
                self.leave_out(&name, "too long to be kept for the way back");
                continue;
            }
            room = room.saturating_sub(size);
            self.details.foreign.insert(name, value.raw().to_vec());
        }
    }
}

/// Bytes that are kept of what nobody knew.
const MOST_FOREIGN: usize = 64 << 10;
/// Bytes of a name in a record.
const MOST_NAME: usize = 64;
/// Bytes of a name of a file or folder.
const MOST_COMPONENT: usize = 255;
/// Names in a path.
const MOST_DEPTH: usize = 100;

/// A path with `/` between its names, each of which is one on every platform; `None` if it leads elsewhere.
fn safe_path(path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let mut names = path.split('/');
    let plain = |name: &str| {
        !matches!(name, "" | "." | "..")
            && name.len() <= MOST_COMPONENT
            && !name.contains(|c: char| c == '\\' || c.is_control())
    };
    let depth = path.split('/').take(MOST_DEPTH.saturating_add(1)).count();
    (depth <= MOST_DEPTH && names.all(plain)).then(|| path.to_owned())
}

/// URLs of a list; what is none is counted.
pub(super) fn urls(list: List<'_>, bad: &mut usize) -> Vec<String> {
    let mut urls = Vec::new();
    let mut known = BTreeSet::new();
    for value in list.iter() {
        let url = value.as_str().map(str::trim).filter(|url| is_url(url));
        match url {
            Some(url) if known.insert(url) => urls.push(url.to_owned()),
            Some(_) => {}
            None => *bad = bad.saturating_add(1),
        }
    }
    urls
}

/// Bytes of a URL.
const MOST_URL: usize = 8 << 10;

pub(super) fn is_url(url: &str) -> bool {
    let has_scheme = url.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.is_empty() && scheme.bytes().all(|c| c.is_ascii_alphanumeric())
    });
    has_scheme && url.len() <= MOST_URL && !url.contains(char::is_control)
}

/// A set of `len` from bytes, the highest bit of a byte first. Whether it says so of all of them: with too few bytes the
/// others count as absent. What stands behind the last one does not count.
pub(super) fn bits(bytes: &[u8], len: u32) -> (Bitfield, bool) {
    let need = Bitfield::byte_len(len);
    let mut whole = bytes.to_vec();
    whole.resize(need, 0);
    let spare = len % 8;
    if spare > 0
        && let Some(last) = whole.last_mut()
    {
        *last &= 0xff_u8.wrapping_shl(8_u32.saturating_sub(spare));
    }
    let all = bytes.len() >= need;
    Bitfield::from_bytes(&whole, len)
        .map_or_else(|_| (Bitfield::new(len), false), |bits| (bits, all))
}
