//! Torrents that name web seeds, and their content.

use std::fmt::Write as _;
use std::sync::Arc;

use common::sim::ip;
use protocol::metainfo::{LoadLimits, Metainfo};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::common;

pub(crate) const PIECE: usize = 32 * 1024;

/// Bytes that look like nothing else.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// Writes a .torrent: `info` is what comes before the name in the info dictionary.
pub(crate) fn torrent(info: &str, name: &str, content: &[u8], top: &str) -> Arc<Metainfo> {
    let pieces: Vec<u8> = content.chunks(PIECE).flat_map(hash::sha1).collect();
    let mut torrent = format!(
        "d4:infod{info}4:name{}:{name}12:piece lengthi{PIECE}e6:pieces{}:",
        name.len(),
        pieces.len()
    )
    .into_bytes();
    torrent.extend_from_slice(&pieces);
    torrent.extend_from_slice(b"e");
    torrent.extend_from_slice(top.as_bytes());
    torrent.extend_from_slice(b"e");
    Arc::new(Metainfo::from_bytes(&torrent, &LoadLimits::default()).expect("a torrent"))
}

pub(crate) fn url_list(urls: &[String]) -> String {
    if urls.is_empty() {
        return String::new();
    }
    let mut list = "8:url-listl".to_owned();
    for url in urls {
        write!(list, "{}:{url}", url.len()).expect("written");
    }
    list + "e"
}

pub(crate) fn single(content: &[u8], urls: &[String]) -> Arc<Metainfo> {
    let info = format!("6:lengthi{}e", content.len());
    torrent(&info, "payload", content, &url_list(urls))
}

/// A torrent of several files, each padded to the end of its last piece (BEP 47).
pub(crate) fn several(files: &[(&str, Vec<u8>)], urls: &[String]) -> Arc<Metainfo> {
    let (mut list, mut content) = (String::new(), Vec::new());
    for (at, (name, bytes)) in files.iter().enumerate() {
        write!(
            list,
            "d6:lengthi{}e4:pathl{}:{name}ee",
            bytes.len(),
            name.len()
        )
        .expect("written");
        content.extend_from_slice(bytes);
        let pad = content.len().next_multiple_of(PIECE) - content.len();
        if pad > 0 && at + 1 < files.len() && at % 2 == 0 {
            write!(list, "d4:attr1:p6:lengthi{pad}e4:pathl4:.pad4:p{at:03}ee").expect("written");
            content.resize(content.len() + pad, 0);
        }
    }
    torrent(&format!("5:filesl{list}e"), "t", &content, &url_list(urls))
}

/// A URL of the first server.
pub(crate) fn here(path: &str) -> String {
    format!("http://{}{path}", ip(80))
}
