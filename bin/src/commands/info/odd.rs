//! What is odd about a torrent or link and does not keep it from being used.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;

use protocol::bencode::{self, Dict, Limits, List};
use protocol::magnet::Magnet;
use protocol::metainfo::Metainfo;

/// Oddities that are told of; a hostile torrent could have a million.
const MOST: usize = 20;

/// Seconds since 1970 of dates that a torrent may have: from the year 2000 to 2100.
const SANE_DATES: std::ops::Range<i64> = 946_684_800..4_102_444_800;

/// Of a torrent, as far as its metadata tell.
pub(super) fn of_torrent(metainfo: &Metainfo) -> Vec<String> {
    let mut odd = Vec::new();
    let mut paths = BTreeSet::new();
    for file in metainfo.files().iter().filter(|file| !file.attr.pad) {
        if !paths.insert(&file.path) {
            odd.push(format!("two files have the path {}", file.path.join("/")));
        }
    }
    let created = metainfo.created();
    if created.is_some_and(|at| !SANE_DATES.contains(&at)) {
        odd.push("the date of creation cannot be right".to_owned());
    }
    odd.truncate(MOST);
    odd
}

/// Of a torrent, as its file tells: what was passed over in reading it. Nothing where `path` is no file.
pub(super) fn of_file(path: &str, metainfo: &Metainfo) -> Vec<String> {
    let limits = Limits::default();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        let most = limits.bytes as u64;
        file.take(most).read_to_end(&mut bytes)
    });
    if read.is_err() {
        return Vec::new();
    }
    of_bytes(&bytes, metainfo)
}

fn of_bytes(bytes: &[u8], metainfo: &Metainfo) -> Vec<String> {
    let Ok((value, len)) = bencode::decode_prefix(bytes, &Limits::default()) else {
        return Vec::new();
    };
    let mut odd = Vec::new();
    let behind = bytes.get(len..).unwrap_or_default();
    if !behind.trim_ascii().is_empty() {
        let count = behind.len();
        odd.push(format!(
            "{count} bytes that mean nothing follow the torrent"
        ));
    }
    if let Some(dict) = value.as_dict() {
        if dict
            .get(b"announce")
            .is_some_and(|url| url.as_bytes().is_none())
        {
            odd.push("the field announce is no text".to_owned());
        }
        let known: Vec<&String> = metainfo.trackers().iter().flatten().collect();
        let unread = named(dict).into_iter().filter(|url| !known.contains(&url));
        odd.extend(unread.map(|url| unusable(&url)));
    }
    odd.truncate(MOST);
    odd
}

/// The trackers that a torrent's file names.
fn named(dict: Dict<'_>) -> Vec<String> {
    let mut urls = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    // Where there is a list, the other field does not count.
    let Some(tiers) = dict
        .list(b"announce-list")
        .filter(|tiers| !tiers.is_empty())
    else {
        urls.extend(dict.bytes(b"announce").map(text));
        return urls;
    };
    for tier in tiers.iter().take(MOST) {
        let tier = tier.as_list().into_iter().flat_map(List::iter).take(MOST);
        urls.extend(tier.filter_map(|url| url.as_bytes().map(text)));
    }
    urls
}

/// Of a link: the trackers in it that were passed over.
pub(super) fn of_link(link: &str, magnet: &Magnet) -> Vec<String> {
    let (_, parameters) = link.split_once('?').unwrap_or(("", ""));
    let pairs = url::form_urlencoded::parse(parameters.trim().as_bytes());
    let named = pairs.filter(|(key, _)| key == "tr" || key.starts_with("tr."));
    let unread = named.filter(|(_, url)| !magnet.trackers.iter().any(|known| *known == **url));
    unread.map(|(_, url)| unusable(&url)).take(MOST).collect()
}

fn unusable(url: &str) -> String {
    format!("the tracker `{url}` has no address that can be used")
}
