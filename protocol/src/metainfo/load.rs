//! Reading a torrent file.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ring::digest;

use crate::bencode::{self, Dict, List, Value};
use crate::geometry::{BLOCK_LEN, Geometry, MAX_PIECE_LEN};
use crate::id::{InfoHash, InfoHashV2, InfoHashes};
use crate::magnet::Magnet;

use super::files::FileList;
use super::{FileEntry, LoadLimits, Metainfo, MetainfoError, layers, names, path, symlink, url};

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
    outside(&mut metainfo, top);
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

    let info_bytes = Bytes::copy_from_slice(value.raw());
    let pieces = match info.pieces.filter(|_| v1) {
        Some(pieces) => slice_of(&info_bytes, value.raw(), pieces),
        None => Bytes::new(),
    };
    let mut metainfo = Metainfo::bare(hashes, info_bytes, geometry, layout);
    metainfo.pieces = pieces;
    metainfo.inside(info.dict);
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

/// Reads what a torrent file says outside its info dictionary.
fn outside(metainfo: &mut Metainfo, top: Dict<'_>) {
    let [announce, announce_list, url_list, http_seeds, nodes] = top.get_many([
        b"announce",
        b"announce-list",
        b"url-list",
        b"httpseeds",
        b"nodes",
    ]);
    let [
        comment_utf8,
        comment,
        created_utf8,
        created_by,
        date,
        encoding,
    ] = top.get_many([
        b"comment.utf-8",
        b"comment",
        b"created by.utf-8",
        b"created by",
        b"creation date",
        b"encoding",
    ]);
    metainfo.trackers = tiers(announce_list, announce);
    metainfo.web_seeds = web_seeds(url_list, !metainfo.single_file);
    metainfo.http_seeds = strings(http_seeds);
    metainfo.nodes = node_list(nodes);
    metainfo.comment = text(comment_utf8).or_else(|| text(comment));
    metainfo.created_by = text(created_utf8).or_else(|| text(created_by));
    metainfo.created = date.and_then(Value::as_int).filter(|&date| date != 0);
    metainfo.encoding = text(encoding);
    let [similar, collections] = top.get_many([b"similar", b"collections"]);
    metainfo.similar_outside = similar_list(similar);
    metainfo.collections_outside = strings(collections);
}

/// A string as text; what is not UTF-8 becomes `_`. `None` where it is missing or empty.
pub(super) fn text(value: Option<Value<'_>>) -> Option<String> {
    let bytes = value?.as_bytes()?;
    (!bytes.is_empty()).then(|| path::text(bytes))
}

/// A list of strings, or a single string, without empty ones.
pub(super) fn strings(value: Option<Value<'_>>) -> Vec<String> {
    let single = text(value);
    let list = value.and_then(Value::as_list).into_iter();
    let many = list.flat_map(List::iter).filter_map(|v| text(Some(v)));
    single.into_iter().chain(many).collect()
}

/// A list of v1 info-hashes; elements of other lengths are ignored.
pub(super) fn similar_list(value: Option<Value<'_>>) -> Vec<InfoHash> {
    let list = value.and_then(Value::as_list).into_iter();
    let hashes = list.flat_map(List::iter).filter_map(Value::as_bytes);
    hashes
        .filter_map(|hash| hash.try_into().ok().map(InfoHash))
        .collect()
}

/// The tiers of trackers (BEP 12); `announce` counts where `announce-list` holds no tracker.
fn tiers(list: Option<Value<'_>>, announce: Option<Value<'_>>) -> Vec<Vec<String>> {
    let tracker = |value: Value<'_>| {
        let url = value.as_str()?.trim_start();
        url::is_tracker(url).then(|| url.to_owned())
    };
    let list = list.and_then(Value::as_list).into_iter();
    let mut tiers: Vec<Vec<String>> = list
        .flat_map(List::iter)
        .map(|tier| {
            let urls = tier.as_list().into_iter().flat_map(List::iter);
            urls.filter_map(tracker).collect()
        })
        .collect();
    if tiers.iter().all(Vec::is_empty) {
        tiers = announce
            .and_then(tracker)
            .into_iter()
            .map(|url| vec![url])
            .collect();
    }
    tiers
}

/// Web seeds (BEP 19) without repetition; of a torrent with directories they name a directory.
fn web_seeds(list: Option<Value<'_>>, directory: bool) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut seeds = Vec::new();
    for mut seed in strings(list) {
        seed = url::encode(seed.trim_start());
        if directory && !seed.ends_with('/') {
            seed.push('/');
        }
        if seen.insert(seed.clone()) {
            seeds.push(seed);
        }
    }
    seeds
}

/// DHT nodes (BEP 5): pairs of host and port.
fn node_list(nodes: Option<Value<'_>>) -> Vec<(String, u16)> {
    let list = nodes.and_then(Value::as_list).into_iter();
    list.flat_map(List::iter)
        .filter_map(|node| {
            let mut pair = node.as_list()?.iter();
            let host = text(pair.next())?;
            let port = u16::try_from(pair.next()?.as_int()?).ok()?;
            (port > 0).then_some((host, port))
        })
        .collect()
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
        }
    }

    /// Reads what the info dictionary says beside the layout.
    fn inside(&mut self, info: Dict<'_>) {
        let [
            private,
            source,
            ssl_cert,
            update_url,
            originator,
            similar,
            collections,
        ] = info.get_many([
            b"private",
            b"source",
            b"ssl-cert",
            b"update-url",
            b"originator",
            b"similar",
            b"collections",
        ]);
        self.private = private
            .and_then(Value::as_int)
            .is_some_and(|flag| flag != 0);
        self.source = text(source);
        self.ssl_cert = ssl_cert
            .and_then(Value::as_bytes)
            .map(Bytes::copy_from_slice);
        self.update_url = text(update_url);
        self.originator = originator
            .and_then(Value::as_bytes)
            .map(Bytes::copy_from_slice);
        self.similar_inside = similar_list(similar);
        self.collections_inside = strings(collections);
    }
}
