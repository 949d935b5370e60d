//! Torrent files: what is accepted has safe paths that do not clash, files without gaps, and survives being written.

use std::collections::BTreeSet;

use protocol::magnet::Magnet;
use protocol::metainfo::{LoadLimits, Metainfo};

fn check(torrent: &Metainfo, limits: &LoadLimits) {
    let geometry = torrent.geometry();
    let mut offset = 0;
    let mut paths = BTreeSet::new();
    for file in torrent.files() {
        assert_eq!(file.offset, offset);
        offset += file.len;
        let target = file.symlink.as_deref().unwrap_or(&[]);
        for element in file.path.iter().chain(file.components()).chain(target) {
            assert!(!matches!(element.as_str(), "" | "." | "..") && element.len() < 256);
            assert!(!element.contains(|c: char| c.is_control() || c == '/' || c == '\\'));
        }
        if !file.attr.pad {
            assert_eq!(file.components()[0], torrent.name());
            assert!(paths.insert(file.display_path().to_ascii_lowercase()));
        }
        assert_eq!(file.attr.symlink, file.symlink.is_some());
        let hashed = torrent.has_v2() && file.len > 0 && !file.attr.pad;
        assert_eq!(file.root.is_some(), hashed);
        assert!(!hashed || file.offset.is_multiple_of(u64::from(geometry.piece_len())));
    }
    assert_eq!(offset, geometry.total_len());
    for piece in geometry.iter().take(16) {
        assert_eq!(torrent.piece_hash_v1(piece).is_some(), torrent.has_v1());
        assert!(torrent.has_v2() || torrent.piece_hash_v2(piece).is_none());
    }

    let bare = Metainfo::from_info(torrent.info_bytes(), limits).expect("the info dictionary");
    assert_eq!(bare.hashes(), torrent.hashes());
    assert_eq!(bare.files(), torrent.files());
    let magnet = Magnet::parse(&torrent.magnet().to_string()).expect("a link of ours");
    assert_eq!(magnet.hashes, Some(torrent.hashes()));
    match torrent.to_bytes() {
        Ok(bytes) => {
            let again = Metainfo::from_bytes(&bytes, limits).expect("a torrent of ours");
            assert_eq!(again.info_bytes(), torrent.info_bytes());
            assert_eq!(again.files(), torrent.files());
            assert_eq!(again.trackers().concat(), torrent.trackers().concat());
            assert_eq!(again.web_seeds(), torrent.web_seeds());
            assert_eq!(again.to_bytes().expect("a second time"), bytes);
        }
        Err(_) => assert!(!torrent.has_piece_layers()),
    }
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let limits = LoadLimits::default();
    if let Ok(torrent) = Metainfo::from_bytes(data, &limits) {
        check(&torrent, &limits);
    }
    if let Ok(torrent) = Metainfo::from_info(data, &limits) {
        assert_eq!(&torrent.info_bytes()[..], data);
        check(&torrent, &limits);
    }
}
