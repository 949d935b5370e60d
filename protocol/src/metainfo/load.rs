//! Reading a torrent file.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use bytes::Bytes;
use ring::digest;

use crate::bencode::{self, Dict, List, Value};
use crate::geometry::{BLOCK_LEN, Geometry, MAX_PIECE_LEN};
use crate::id::{InfoHash, InfoHashV2, InfoHashes};
use crate::magnet::Magnet;

use super::files::FileList;
use super::{FileEntry, LoadLimits, Metainfo, MetainfoError, extras, layers, names, path, symlink};

/// The largest piece length deployed clients accept: one block less than 2^29 bytes.
const MAX_LOADED_PIECE_LEN: u64 = MAX_PIECE_LEN as u64 - BLOCK_LEN as u64;

/// The members of an info dictionary that decide about the layout.
struct Info<'a> {
    dict: Dict<'a>,
    /// The name as it was given.
    name: &'a [u8],
    v2: bool,
    piece_len: u32,
    files: Option<List<'a>>,
    length: bool,
    tree: Option<Value<'a>>,
    pieces: Option<&'a [u8]>,
}

/// Reads a torrent file: see [`Metainfo::from_bytes`].
pub(super) fn from_bytes(bytes: &[u8], limits: &LoadLimits) -> Result<Metainfo, MetainfoError> {
    let top = bencode::decode(bytes, &limits.bencode)?;
    let top = top.as_dict().ok_or(MetainfoError::NotDict)?;
    let [info, magnet, layer_dict] = top.get_many([b"info", b"magnet-uri", b"piece layers"]);
    let Some(info) = info.filter(|info| info.as_dict().is_some()) else {
        let magnet = magnet.and_then(Value::as_str);
        return Err(match magnet.and_then(|link| Magnet::parse(link).ok()) {
            Some(magnet) => MetainfoError::MagnetInstead(Box::new(magnet)),
            None => MetainfoError::MissingInfo,
        });
    };
    let mut metainfo = from_value(info, limits)?;
    if let Some(dict) = layer_dict
        .and_then(Value::as_dict)
        .filter(|_| metainfo.has_v2())
    {
        let piece_len = metainfo.geometry.piece_len();
        metainfo.layers = layers::read(dict, &metainfo.files, piece_len)?;
    }
    extras::outside(&mut metainfo, top);
    Ok(metainfo)
}

/// Reads a bare info dictionary: see [`Metainfo::from_info`].
pub(super) fn from_info(bytes: &[u8], limits: &LoadLimits) -> Result<Metainfo, MetainfoError> {
    let (info, used) = bencode::decode_prefix(bytes, &limits.bencode)?;
    if used < bytes.len() {
        return Err(MetainfoError::Bencode(bencode::Error {
            offset: used,
            kind: bencode::ErrorKind::TrailingBytes,
        }));
    }
    from_value(info, limits)
}

fn from_value(value: Value<'_>, limits: &LoadLimits) -> Result<Metainfo, MetainfoError> {
    let info = Info::read(value, limits)?;
    let v1 = info.has_v1();
    let hashes = hashes_of(value.raw(), v1, info.v2);
    let mut layout = info.layout(hashes, limits)?;
    let total = end_of(&layout.files);
    if total == 0 {
        return Err(MetainfoError::FileLength);
    }
    let piece_count = total.div_ceil(u64::from(info.piece_len));
    if piece_count > u64::from(limits.pieces) {
        return Err(MetainfoError::TooManyPieces(piece_count));
    }
    let geometry = Geometry::new(total, u64::from(info.piece_len))?;
    if v1 {
        let pieces = info.pieces.ok_or(MetainfoError::MissingPieces)?;
        if pieces.len() as u64 != piece_count.saturating_mul(20) {
            return Err(MetainfoError::PieceHashes);
        }
    }
    names::make_unique(&mut layout.files, limits.duplicate_names)?;
    layout.files.shrink_to_fit();

    let info_bytes = Bytes::copy_from_slice(value.raw());
    let pieces = match info.pieces.filter(|_| v1) {
        Some(pieces) => slice_of(&info_bytes, value.raw(), pieces),
        None => Bytes::new(),
    };
    let mut metainfo = Metainfo::bare(hashes, info_bytes, geometry, layout);
    metainfo.pieces = pieces;
    extras::inside(&mut metainfo, info.dict);
    Ok(metainfo)
}

/// Name and files of a torrent.
struct Layout {
    name: String,
    files: Vec<FileEntry>,
    /// Whether the torrent is a file and not a directory.
    single: bool,
}

impl<'a> Info<'a> {
    fn read(value: Value<'a>, limits: &LoadLimits) -> Result<Self, MetainfoError> {
        let dict = value.as_dict().ok_or(MetainfoError::MissingInfo)?;
        let [version, piece_len, tree, files, length, pieces, merkle_root] = dict.get_many([
            b"meta version",
            b"piece length",
            b"file tree",
            b"files",
            b"length",
            b"pieces",
            b"root hash",
        ]);
        let version = version.and_then(Value::as_int).unwrap_or(0);
        if version >= 1 {
            bencode::decode_canonical(value.raw(), &limits.bencode)
                .map_err(MetainfoError::NotCanonical)?;
        }
        if version > 2 {
            return Err(MetainfoError::UnknownVersion(version));
        }
        let v2 = version == 2;
        let tree = tree.filter(|tree| tree.as_dict().is_some());
        let piece_len = piece_len
            .and_then(Value::as_int)
            .and_then(|len| u64::try_from(len).ok())
            .filter(|&len| len > 0 && len <= MAX_LOADED_PIECE_LEN)
            .filter(|&len| !v2 || len.is_power_of_two() && len >= u64::from(BLOCK_LEN))
            .ok_or(MetainfoError::PieceLength)?;
        let [name_utf8, name] = dict.get_many([b"name.utf-8", b"name"]);
        let name = name_utf8
            .and_then(Value::as_bytes)
            .or_else(|| name.and_then(Value::as_bytes))
            .ok_or(MetainfoError::MissingName)?;
        match (v2, tree.is_some()) {
            (true, false) => return Err(MetainfoError::MissingFileTree),
            (false, true) => return Err(MetainfoError::MissingMetaVersion),
            (true, true) | (false, false) => {}
        }
        let pieces = pieces.and_then(Value::as_bytes);
        if merkle_root.is_some() && pieces.is_none() && !v2 {
            return Err(MetainfoError::MerkleTorrent);
        }
        Ok(Self {
            dict,
            name,
            v2,
            piece_len: piece_len as u32,
            files: files.and_then(Value::as_list),
            length: length.and_then(Value::as_int).is_some(),
            tree,
            pieces,
        })
    }

    /// Whether the info dictionary lists files as BEP 3 has it.
    const fn has_v1(&self) -> bool {
        !self.v2 || self.files.is_some() || self.length
    }

    /// Reads the name and the lists of files.
    fn layout(&self, hashes: InfoHashes, limits: &LoadLimits) -> Result<Layout, MetainfoError> {
        let safe = path::safe_name(self.name);
        let mut name = match &safe {
            Some(name) => name.clone(),
            // An empty name is taken like an empty path element; one of dots or separators alone says nothing at all.
            None if self.name.is_empty() => path::safe_element(self.name),
            None => hashes.wire().to_string(),
        };
        let mut v1 = FileList::new(name.clone(), limits);
        let mut v2 = FileList::new(name.clone(), limits);
        if let Some(tree) = self.tree {
            v2.v2_tree(tree, u64::from(self.piece_len), self.files.is_some())?;
            name = v2.name;
        }
        match self.files {
            Some(files) => v1.v1_multi(files)?,
            None if self.has_v1() => v1.v1_single(self.dict, safe.is_some())?,
            None => {}
        }
        // A torrent of one file has no directory of its own.
        let is_single =
            |files: &[FileEntry]| files.first().is_some_and(|file| file.path.len() == 1);
        let single = match (self.has_v1(), self.v2) {
            (true, true) => is_single(&v1.files) && is_single(&v2.files),
            (true, false) => is_single(&v1.files),
            (false, _) => is_single(&v2.files),
        };
        symlink::resolve(&mut v1.files, single);
        symlink::resolve(&mut v2.files, single);
        let files = match (self.has_v1(), self.v2) {
            (true, true) => agreed(&v1.files, v2.files)?,
            (true, false) => v1.files,
            (false, _) => v2.files,
        };
        Ok(Layout {
            name,
            files,
            single,
        })
    }
}

/// The one list of files of a hybrid, the v2 one, once it is known to agree with the v1 one.
fn agreed(v1: &[FileEntry], mut v2: Vec<FileEntry>) -> Result<Vec<FileEntry>, MetainfoError> {
    if v2.len() == v1.len().saturating_add(1) {
        drop_tail_pad(&mut v2);
    }
    let agree = v1.len() == v2.len() && v1.iter().zip(&v2).all(|(a, b)| same(a, b));
    if agree && end_of(v1) == end_of(&v2) {
        Ok(v2)
    } else {
        Err(MetainfoError::Inconsistent)
    }
}

/// Whether the lists of a hybrid agree on an entry: a file with content is at the same place in both. Padding and empty
/// files may stand in another order.
fn same(v1: &FileEntry, v2: &FileEntry) -> bool {
    let content = |file: &FileEntry| file.len > 0 && !file.attr.pad;
    let same_place = v1.path == v2.path && v1.len == v2.len && v1.offset == v2.offset;
    same_place && v1.attr.pad == v2.attr.pad || !content(v1) && !content(v2)
}

/// Removes the padding behind the last file with content: writers of hybrids left it out of the v1 list.
fn drop_tail_pad(files: &mut Vec<FileEntry>) {
    let Some(at) = files.iter().rposition(|file| file.len > 0) else {
        return;
    };
    if files.get(at).is_none_or(|file| !file.attr.pad) {
        return;
    }
    let pad = files.remove(at);
    for file in files.iter_mut().skip(at) {
        file.offset = file.offset.saturating_sub(pad.len);
    }
}

fn end_of(files: &[FileEntry]) -> u64 {
    files
        .last()
        .map_or(0, |last| last.offset.saturating_add(last.len))
}

pub(super) fn hashes_of(info: &[u8], v1: bool, v2: bool) -> InfoHashes {
    let sha1 = InfoHash(sha1_smol::Sha1::from(info).digest().bytes());
    let mut sha256 = InfoHashV2([0; 32]);
    if v2 {
        let found = digest::digest(&digest::SHA256, info);
        for (to, from) in sha256.0.iter_mut().zip(found.as_ref()) {
            *to = *from;
        }
    }
    match (v1, v2) {
        (true, true) => InfoHashes::hybrid(sha1, sha256),
        (false, true) => InfoHashes::v2(sha256),
        (true | false, false) => InfoHashes::v1(sha1),
    }
}

/// The part of `owned`, a copy of `raw`, that `part` is of `raw`.
fn slice_of(owned: &Bytes, raw: &[u8], part: &[u8]) -> Bytes {
    let start = (part.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= owned.len() => owned.slice(start..end),
        _ => Bytes::copy_from_slice(part),
    }
}

impl Metainfo {
    /// A torrent of which only the info dictionary's layout is known.
    fn bare(hashes: InfoHashes, info: Bytes, geometry: Geometry, layout: Layout) -> Self {
        Self {
            hashes,
            info,
            name: layout.name,
            geometry,
            files: layout.files,
            single_file: layout.single,
            pieces: Bytes::new(),
            layers: BTreeMap::new(),
            private: false,
            source: None,
            ssl_cert: None,
            update_url: None,
            originator: None,
            feed: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            http_seeds: Vec::new(),
            nodes: Vec::new(),
            comment: None,
            created_by: None,
            created: None,
            encoding: None,
            similar_inside: Vec::new(),
            similar_outside: Vec::new(),
            collections_inside: Vec::new(),
            collections_outside: Vec::new(),
            signatures: Vec::new(),
        }
    }
}
