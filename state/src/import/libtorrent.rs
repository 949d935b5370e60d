//! The resume data of libtorrent, and what qBittorrent adds to it.
//!
//! # Format
//! One bencoded dictionary. `file-format` is `libtorrent resume file`, `file-version` 1 (libtorrent before 2.1, also where it is
//! missing) or 2. `pieces` is a bitfield, the highest bit of a byte first; in version 1 a byte for each piece, whose lowest bit
//! says that it is there. `unfinished` lists pieces with the blocks that have been written. Files are numbered as in the
//! metadata, padding counted. `trackers` and `url-list` take the place of those of the .torrent file, also where they are empty.
//! The metadata is in `info`, or in a .torrent file beside the record; hashes of v2 files are in `trees`.
//!
//! Files are known again by their lengths, which have to reach as far as what is claimed, and by not having changed after the
//! record was written: it names no times.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use protocol::bencode::{Encoder, Value};
use protocol::geometry::PieceIndex;
use protocol::id::{InfoHash, InfoHashV2, InfoHashes};
use protocol::metainfo::Metainfo;

use super::Imported;
use super::draft::{self, Meta, urls};
use super::fault::{Fault, FaultKind};
use super::fields::Fields;
use crate::Switches;

mod progress;
mod qbittorrent;
mod trees;

/// What a limit says that is none, beside -1 and 0.
const NO_LIMIT: i64 = 0xff_ffff;
/// The priority of files and pieces of which nothing else is said.
const USUAL: u8 = 4;
/// Peers, and addresses that sent bad data, that are taken over.
const MOST_PEERS: usize = 500;

/// What is of no use here: about the record itself, replies of trackers, and what the metadata or the files say themselves.
const OF_NO_USE: [&str; 21] = [
    "allocation",
    "blocks per piece",
    "comment",
    "created by",
    "creation date",
    "disable_v1_hashes",
    "file sizes",
    "httpseeds",
    "libtorrent-version",
    "mapped_files2",
    "merkle tree",
    "num_complete",
    "num_downloaded",
    "num_incomplete",
    "num_seeds",
    "num_downloaders",
    "part_file_dir",
    "sequential_download_from_piece",
    "slots",
    "url",
    "verified",
];

/// Reads resume data. `beside` is the .torrent file that lies with it, for records without metadata; `written` is when the
/// record was written, in ns since 1970.
///
/// The folder is empty where the record names none, as an old one may.
///
/// # Errors
/// [`Fault`] names the field that is missing or malformed.
pub fn parse(bytes: &[u8], beside: Option<&[u8]>, written: Option<i64>) -> Result<Imported, Fault> {
    let mut fields = Fields::read(bytes)?;
    let version = format_of(&mut fields)?;
    let named = hashes(&mut fields)?;
    let info = fields.take("info").filter(|info| info.as_dict().is_some());
    let name = fields.text("name")?;
    let dir = fields.path("save_path")?.unwrap_or_default();
    let mut it = match (info, beside) {
        (Some(info), _) => of_info(info, named, (&mut fields, version))?,
        (None, Some(file)) => of_file(file, named)?,
        (None, None) => {
            let named = named.ok_or_else(|| Fault::new("info-hash", FaultKind::Missing))?;
            Imported::new(named, String::new())
        }
    };
    it.torrent.dir = dir;
    if let Some(name) = name {
        it.torrent.name = name;
    }
    if it.torrent.name.is_empty() {
        it.torrent.name = it.torrent.hashes.wire().to_string();
    }
    decisions(&mut fields, &mut it)?;
    files(&mut fields, &mut it)?;
    addresses(&mut fields, &mut it)?;
    traffic(&mut fields, &mut it)?;
    progress::take(&mut fields, &mut it, version, written)?;
    qbittorrent::take(&mut fields, &mut it)?;
    fields.drop_all(&OF_NO_USE);
    if it.torrent.dir.as_os_str().is_empty() {
        it.leave_out("save_path", "the record does not say where the content is");
    }
    it.link();
    it.keep_foreign(fields.rest());
    Ok(it)
}

/// The hash by which a record without metadata names its torrent; `None` for others, and for what is no record.
pub(super) fn lacks_metadata(bytes: &[u8]) -> Option<InfoHash> {
    let mut fields = Fields::read(bytes).ok()?;
    if fields.take("info").is_some() {
        return None;
    }
    Some(hashes(&mut fields).ok()??.wire())
}

/// Looks at what the record says of itself; gives its version.
fn format_of(fields: &mut Fields<'_>) -> Result<i64, Fault> {
    match fields.bytes("file-format")? {
        Some(b"libtorrent resume file") => {}
        Some(_) => {
            let why = FaultKind::Value("this is not resume data of libtorrent");
            return Err(Fault::new("file-format", why));
        }
        None => return Err(Fault::new("file-format", FaultKind::Missing)),
    }
    let version = fields.int("file-version")?.unwrap_or(1);
    if !(1..=2).contains(&version) {
        let why = FaultKind::Value("neither of the versions that are known, 1 and 2");
        return Err(Fault::new("file-version", why));
    }
    Ok(version)
}

/// The hashes that the record names; those of zeros are none.
fn hashes(fields: &mut Fields<'_>) -> Result<Option<InfoHashes>, Fault> {
    let mut v2 = None;
    if let Some(bytes) = fields
        .bytes("info-hash2")?
        .filter(|bytes| !bytes.is_empty())
    {
        let hash: Result<[u8; 32], _> = bytes.try_into();
        let wrong = Fault::new("info-hash2", FaultKind::Kind("32 bytes"));
        v2 = Some(hash.map_err(|_| wrong)?).filter(|hash| *hash != [0; 32]);
    }
    let mut v1 = None;
    if let Some(bytes) = fields.bytes("info-hash")?.filter(|bytes| !bytes.is_empty()) {
        let hash: Result<[u8; 20], _> = bytes.try_into();
        let wrong = Fault::new("info-hash", FaultKind::Kind("20 bytes"));
        v1 = Some(hash.map_err(|_| wrong)?).filter(|hash| *hash != [0; 20]);
    }
    // Programs on libtorrent 1 know a v2 torrent by its cut hash.
    let cut = v2.map(|hash| InfoHashV2(hash).truncated());
    let v1 = v1.map(InfoHash).filter(|hash| Some(*hash) != cut);
    Ok(InfoHashes::from_parts(v1, v2.map(InfoHashV2)))
}

/// Whether metadata is what the record is about: a record may name only one hash of two.
fn agree(named: Option<InfoHashes>, parsed: &Metainfo) -> Result<(), Fault> {
    let Some(named) = named else {
        return Ok(());
    };
    let actual = parsed.hashes();
    let v1 = named.get_v1().is_none() || named.get_v1() == actual.get_v1();
    let v2 = named.get_v2().is_none() || named.get_v2() == actual.get_v2();
    // A hash of 20 bytes alone may be the cut one.
    let cut = named.get_v2().is_none() && actual.names().any(|name| named.matches(name));
    if (v1 && v2) || cut {
        return Ok(());
    }
    let why = FaultKind::Value("the metadata is of another torrent");
    Err(Fault::new("info-hash", why))
}

/// From the metadata in the record, with the digests of v2 files that it has.
fn of_info(
    info: Value<'_>,
    named: Option<InfoHashes>,
    (fields, version): (&mut Fields<'_>, i64),
) -> Result<Imported, Fault> {
    let mut parsed = draft::info("info", info.raw())?;
    agree(named, &parsed)?;
    let trees = fields.list("trees")?;
    trees::take_layers(&mut parsed, trees, version);
    let bytes = parsed.to_bytes().unwrap_or_else(|_| {
        let mut bare = Encoder::new();
        bare.begin_dict().key(b"info").raw(info.raw()).end();
        bare.finish()
    });
    let name = parsed.name().to_owned();
    let mut it = Imported::new(parsed.hashes(), name);
    it.describe(parsed, bytes.into());
    Ok(it)
}

/// From the .torrent file beside the record.
fn of_file(file: &[u8], named: Option<InfoHashes>) -> Result<Imported, Fault> {
    match draft::metainfo("the .torrent file", file)? {
        Meta::Whole(parsed) => {
            agree(named, &parsed)?;
            let name = parsed.name().to_owned();
            let mut it = Imported::new(parsed.hashes(), name);
            it.describe(*parsed, Bytes::copy_from_slice(file));
            Ok(it)
        }
        Meta::Link(_) => {
            let why = FaultKind::Kind("metadata and not a link");
            Err(Fault::new("the .torrent file", why))
        }
    }
}

/// What is to be done with the torrent.
fn decisions(fields: &mut Fields<'_>, it: &mut Imported) -> Result<(), Fault> {
    let torrent = &mut it.torrent;
    let managed = fields.flag("auto_managed", true)?;
    torrent.switches = Switches {
        // One that the queue decides about is paused until its turn comes.
        paused: fields.flag("paused", true)? && !managed,
        managed,
        sequential: fields.flag("sequential_download", false)?,
        super_seed: fields.flag("super_seeding", false)?,
        upload_only: fields.flag("upload_mode", false)?,
        share: fields.flag("share_mode", false)?,
        trusted: fields.flag("seed_mode", false)?,
        stop_when_ready: fields.flag("stop_when_ready", false)?,
        dht: !fields.flag("disable_dht", false)?,
        local_discovery: !fields.flag("disable_lsd", false)?,
        peer_exchange: !fields.flag("disable_pex", false)?,
        ip_filter: fields.flag("apply_ip_filter", true)?,
        ..Switches::USUAL
    };
    torrent.down_limit = limit(fields, "download_rate_limit")?;
    torrent.up_limit = limit(fields, "upload_rate_limit")?;
    let small = |limit: Option<u64>| limit.and_then(|limit| u32::try_from(limit).ok());
    torrent.max_peers = small(limit(fields, "max_connections")?);
    torrent.upload_slots = small(limit(fields, "max_uploads")?);
    torrent.added = fields.time("added_time")?.unwrap_or(0);
    torrent.completed = fields.time("completed_time")?;
    if fields.flag("i2p", false)? {
        it.leave_out("i2p", "there are no connections through I2P");
    }
    if let Some(certificate) = fields.bytes("root_certificate")?
        && !certificate.is_empty()
    {
        it.leave_out("root_certificate", "there are no swarms under TLS");
    }
    Ok(())
}

/// A limit; `None` where there is none.
fn limit(fields: &mut Fields<'_>, key: &str) -> Result<Option<u64>, Fault> {
    let limit = fields
        .int(key)?
        .filter(|limit| ![0, NO_LIMIT].contains(limit));
    Ok(limit.and_then(|limit| u64::try_from(limit).ok()))
}

/// What was decided about files and pieces.
fn files(fields: &mut Fields<'_>, it: &mut Imported) -> Result<(), Fault> {
    if let Some(list) = fields.list("file_priority")? {
        let most = if it.parsed.is_some() {
            it.files()
        } else {
            MOST_FILES_UNKNOWN
        };
        let mut priorities = Vec::new();
        for value in list.iter().take(most) {
            let number = value.as_int().ok_or_else(|| {
                Fault::new("file_priority", FaultKind::Kind("a list of whole numbers"))
            })?;
            let priority = number.clamp(0, 7) as u8;
            priorities.push(Some(priority).filter(|priority| *priority != USUAL));
        }
        it.prioritise(priorities);
    }
    if let Some(priorities) = fields.bytes("piece_priority")?
        && let Some(parsed) = &it.parsed
    {
        let usual = usual_of_pieces(it, parsed);
        let mut pieces = BTreeMap::new();
        for ((at, priority), usual) in (0_u32..).zip(priorities).zip(usual) {
            let priority = (*priority).min(7);
            if priority != usual {
                pieces.insert(at, priority);
            }
        }
        it.details.pieces = pieces;
    }
    if let Some(names) = fields.list("mapped_files")? {
        let names = names.iter().map(|name| name.as_bytes().unwrap_or_default());
        it.rename("mapped_files", names);
    }
    Ok(())
}

/// Files of which something is said before there is metadata.
const MOST_FILES_UNKNOWN: usize = 1 << 20;

/// The priorities that pieces have by their files: the highest of those that reach into a piece.
fn usual_of_pieces(it: &Imported, parsed: &Metainfo) -> Vec<u8> {
    let geometry = parsed.geometry();
    let mut usual = vec![0_u8; geometry.pieces() as usize];
    for (at, file) in (0_u32..).zip(parsed.files()) {
        if !file.is_stored() || file.len == 0 {
            continue;
        }
        let choice = it.details.files.get(&at);
        let priority = choice.and_then(|choice| choice.priority).unwrap_or(USUAL);
        let end = file.offset.saturating_add(file.len).saturating_sub(1);
        let first = geometry.piece_at(file.offset).map_or(0, PieceIndex::index);
        let last = geometry.piece_at(end).map_or(0, PieceIndex::index);
        for piece in usual.get_mut(first..=last).unwrap_or_default() {
            *piece = (*piece).max(priority);
        }
    }
    usual
}

/// Trackers, web seeds, peers.
fn addresses(fields: &mut Fields<'_>, it: &mut Imported) -> Result<(), Fault> {
    if let Some(tiers) = fields.list("trackers")? {
        let mut bad = 0;
        let mut all = Vec::new();
        for tier in tiers.iter() {
            let tier = tier.as_list();
            let tier =
                tier.ok_or_else(|| Fault::new("trackers", FaultKind::Kind("a list of lists")))?;
            let tier = urls(tier, &mut bad);
            if !tier.is_empty() {
                all.push(tier);
            }
        }
        it.details.trackers = Some(all);
        leave_out_urls(it, "trackers", bad);
    }
    if let Some(list) = fields.list("url-list")? {
        let mut bad = 0;
        it.details.web_seeds = Some(urls(list, &mut bad));
        leave_out_urls(it, "url-list", bad);
    }
    let four = |bytes: [u8; 4]| IpAddr::from(Ipv4Addr::from(bytes));
    let six = |bytes: [u8; 16]| IpAddr::from(Ipv6Addr::from(bytes));
    let peers = compact(fields, "peers", four)?.into_iter();
    let peers = peers.chain(compact(fields, "peers6", six)?);
    let peers: BTreeSet<SocketAddr> = peers.filter(|peer| peer.port() != 0).collect();
    it.details.peers = peers.into_iter().take(MOST_PEERS).collect();
    let banned = compact(fields, "banned_peers", four)?.into_iter();
    let banned = banned.chain(compact(fields, "banned_peers6", six)?);
    let banned: BTreeSet<IpAddr> = banned.map(|peer| peer.ip()).collect();
    it.details.banned = banned.into_iter().take(MOST_PEERS).collect();
    Ok(())
}

fn leave_out_urls(it: &mut Imported, field: &str, bad: usize) {
    if bad > 0 {
        it.leave_out(field, format!("{bad} of them are no URLs"));
    }
}

/// Addresses of so many bytes, each with a port.
fn compact<const N: usize>(
    fields: &mut Fields<'_>,
    key: &str,
    address: impl Fn([u8; N]) -> IpAddr,
) -> Result<Vec<SocketAddr>, Fault> {
    let mut rest = fields.bytes(key)?.unwrap_or_default();
    let mut all = Vec::new();
    while let Some((ip, after)) = rest.split_first_chunk::<N>()
        && let Some((port, after)) = after.split_first_chunk::<2>()
    {
        all.push(SocketAddr::new(address(*ip), u16::from_be_bytes(*port)));
        rest = after;
    }
    if rest.is_empty() {
        return Ok(all);
    }
    Err(Fault::new(key, FaultKind::Value("ends inside an address")))
}

/// What the torrent has done so far.
fn traffic(fields: &mut Fields<'_>, it: &mut Imported) -> Result<(), Fault> {
    let traffic = &mut it.traffic;
    traffic.downloaded = fields.count("total_downloaded")?;
    traffic.uploaded = fields.count("total_uploaded")?;
    traffic.active_seconds = fields.count("active_time")?;
    traffic.finished_seconds = fields.count("finished_time")?;
    traffic.seeding_seconds = fields.count("seeding_time")?;
    traffic.last_download = fields.time("last_download")?;
    traffic.last_upload = fields.time("last_upload")?;
    traffic.last_seen_complete = fields.time("last_seen_complete")?;
    Ok(())
}
