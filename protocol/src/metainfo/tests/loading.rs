//! Small torrents with every oddity, against what libtorrent 2.1.1 makes of them.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::super::*;
use super::{error_name, flags};

fn unhex(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// What ours makes of a torrent, in the terms of the vectors.
fn as_result(metainfo: &Metainfo) -> Json {
    let files = metainfo.files().iter().map(|file| {
        let mut json = json!({
            "path": file.display_path(),
            "size": file.len,
            "offset": file.offset,
            "flags": flags(file.attr),
        });
        if let Some(target) = &file.symlink {
            json["symlink_target"] = Json::String(target.join("/"));
        }
        json
    });
    let trackers = metainfo.trackers().iter().enumerate();
    let trackers = trackers.flat_map(|(tier, urls)| urls.iter().map(move |url| json!([url, tier])));
    let nodes = metainfo.nodes().iter().map(|node| json!(node));
    json!({
        "name": metainfo.name(),
        "v1": metainfo.hashes().get_v1().map(|hash| hash.to_string()),
        "v2": metainfo.hashes().get_v2().map(|hash| hash.to_string()),
        "piece_length": metainfo.geometry().piece_len(),
        "num_pieces": metainfo.geometry().pieces(),
        "files": files.collect::<Vec<_>>(),
        "trackers": trackers.collect::<Vec<_>>(),
        "url_seeds": metainfo.web_seeds(),
        "comment": metainfo.comment().unwrap_or_default(),
        "private": metainfo.is_private(),
        "dht_nodes": nodes.collect::<Vec<_>>(),
    })
}

/// Torrents with several faults, of which ours names another one than libtorrent: theirs and ours. See
/// docs/differences.md.
const OTHER_FAULT: [(&str, &str); 4] = [
    ("torrent_missing_pieces", "torrent_invalid_length"),
    ("torrent_invalid_hashes", "torrent_invalid_length"),
    ("torrent_invalid_length", "torrent_missing_name"),
    ("torrent_invalid_length", "too_many_pieces_in_torrent"),
];

#[test]
fn odd_torrents_read_as_libtorrent_reads_them() {
    let vectors = include_str!("../../../tests/vectors/load_torrent.json");
    let vectors: Json = serde_json::from_str(vectors).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(vectors["count"].as_u64(), Some(cases.len() as u64));
    let mut wrong = String::new();
    for case in cases {
        let bytes = unhex(case["torrent_hex"].as_str().unwrap());
        let expected = &case["result"];
        let (fits, got) = match Metainfo::from_bytes(&bytes, &LoadLimits::default()) {
            Err(error) => {
                let (theirs, ours) = (expected["error"].as_str(), error_name(&error));
                let other = theirs.is_some_and(|theirs| OTHER_FAULT.contains(&(theirs, ours)));
                (theirs == Some(ours) || other, json!({ "error": ours }))
            }
            Ok(metainfo) => {
                let got = as_result(&metainfo);
                (got == *expected, got)
            }
        };
        if !fits {
            let _ = writeln!(
                wrong,
                "ours: {got}\nlibtorrent: {expected}\n  {}",
                bytes.escape_ascii()
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
