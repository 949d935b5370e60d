//! Every torrent of the fixture collections against what libtorrent 2.1.1 and Tribler 7.5.0 make of it.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::super::*;
use super::{error_name, flags};

/// The folder of shared fixtures; `None`, said aloud, where there is none. On CI it must be there.
fn fixtures(kind: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/fixtures")
        .join(kind);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing",
        path.display()
    );
    println!("skipped: {} is missing", path.display());
    None
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

fn file_json(file: &FileEntry) -> Json {
    let mut json = serde_json::json!({
        "path": file.path.join("/"),
        "size": file.len,
        "offset": file.offset,
        "flags": flags(file.attr),
    });
    let mut set = |key: &str, value: String| json[key] = Json::String(value);
    if let Some(target) = &file.symlink {
        set("symlink_target", target.join("/"));
    }
    if let Some(root) = file.root {
        set("pieces_root", hex(&root));
    }
    if let Some(renamed) = &file.renamed {
        set("renamed_to", renamed.join("/"));
    }
    json
}

fn rewritten(metainfo: &Metainfo, input: &[u8]) -> Json {
    match metainfo.to_bytes() {
        Ok(bytes) => serde_json::json!({
            "outcome": "ok",
            "bytes": bytes.len(),
            "sha256": sha256(&bytes),
            "identical_to_input": bytes == input,
        }),
        Err(error) => serde_json::json!({
            "outcome": "error",
            "error": match error {
                WriteError::MissingPieceLayer => "torrent_missing_piece_layer",
                WriteError::PartialPieceLayers => "torrent_invalid_piece_layer",
            },
        }),
    }
}

/// What ours makes of a torrent, in the terms of the index.
fn as_index_entry(metainfo: &Metainfo, input: &[u8]) -> Json {
    let geometry = metainfo.geometry();
    let last = geometry.iter().next_back().unwrap();
    let hashes = metainfo.hashes();
    let trackers = metainfo.trackers().iter().enumerate();
    let trackers: Vec<Json> = trackers
        .flat_map(|(tier, urls)| urls.iter().map(move |url| serde_json::json!([url, tier])))
        .collect();
    let nodes: Vec<Json> = metainfo
        .nodes()
        .iter()
        .map(|n| serde_json::json!(n))
        .collect();
    let mut magnet = metainfo.magnet();
    // libtorrent leaves the name out of links made from a file; see docs/differences.md.
    magnet.name = None;
    let mut entry = serde_json::json!({
        "outcome": "ok",
        "kind": match metainfo.version() {
            Version::V1 => "v1",
            Version::V2 => "v2",
            Version::Hybrid => "hybrid",
        },
        "name": metainfo.name(),
        "info_hash_v1": hashes.get_v1().map(|h| h.to_string()),
        "info_hash_v2": hashes.get_v2().map(|h| h.to_string()),
        "piece_length": geometry.piece_len(),
        "num_pieces": geometry.pieces(),
        "total_size": geometry.total_len(),
        "size_on_disk": metainfo.content_len(),
        "last_piece_size": geometry.len_of(last),
        "num_files": metainfo.files().len(),
        "files": metainfo.files().iter().map(file_json).collect::<Vec<_>>(),
        "trackers": trackers,
        "url_seeds": metainfo.web_seeds(),
        "http_seeds_bep17": metainfo.http_seeds(),
        "dht_nodes": nodes,
        "private": metainfo.is_private(),
        "comment": metainfo.comment().unwrap_or_default(),
        "created_by": metainfo.created_by().unwrap_or_default(),
        "creation_date": metainfo.created().unwrap_or_default(),
        "similar": metainfo.similar().map(|h| h.to_string()).collect::<Vec<_>>(),
        "collections": metainfo.collections().collect::<Vec<_>>(),
        "has_ssl_cert": metainfo.ssl_cert().is_some(),
        "rewritten": rewritten(metainfo, input),
        "magnet": magnet.to_string(),
    });
    if metainfo.has_v1() {
        entry["v1_piece_hashes_sha256"] = Json::String(sha256(metainfo.pieces_v1()));
    }
    entry
}

#[test]
fn every_fixture_torrent_reads_as_libtorrent_reads_it() {
    let Some(folder) = fixtures("torrents") else {
        return;
    };
    let index = std::fs::read_to_string(folder.join("INDEX.json")).unwrap();
    let index: Json = serde_json::from_str(&index).unwrap();
    let files = index["files"].as_object().unwrap();
    assert_eq!(files.len() as u64, index["count"].as_u64().unwrap());
    let mut wrong = String::new();
    for (name, expected) in files {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        match Metainfo::from_bytes(&bytes, &LoadLimits::default()) {
            Err(error) => {
                let got = error_name(&error);
                if expected["error"]["name"] != got {
                    let _ = writeln!(wrong, "{name}: {error:?}, expected {}", expected["error"]);
                }
            }
            Ok(metainfo) => {
                let got = as_index_entry(&metainfo, &bytes);
                for (key, got) in got.as_object().unwrap() {
                    let mut want = expected[key].clone();
                    if key == "rewritten" && want["outcome"] == "error" {
                        want["error"] = want["error"]["name"].clone();
                    }
                    // libtorrent ignores the one list that there is; see docs/differences.md.
                    if key == "http_seeds_bep17" && name == "httpseed.torrent" {
                        assert_eq!(want, serde_json::json!([]), "{name}");
                        want = serde_json::json!(["http://foobar.com/"]);
                    }
                    if *got != want {
                        let _ = writeln!(wrong, "{name}: {key}: {got}\n    expected {want}");
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// What ours makes of a torrent, in the terms of Tribler's expectations.
fn as_tribler_entry(metainfo: &Metainfo) -> Json {
    let files: Vec<Json> = if metainfo.is_single_file() {
        Vec::new()
    } else {
        let files = metainfo.files().iter();
        files
            .map(|file| serde_json::json!([file.path[1..].join("/"), file.len]))
            .collect()
    };
    let trackers = metainfo.trackers().concat();
    serde_json::json!({
        "infohash": metainfo.hashes().wire().to_string(),
        "name": metainfo.name(),
        "length": metainfo.content_len(),
        "single_file": metainfo.is_single_file(),
        "file_count": metainfo.files().len(),
        "first_files": files,
        "piece_length": metainfo.geometry().piece_len(),
        "num_pieces": metainfo.geometry().pieces(),
        "private": metainfo.is_private(),
        "announce": trackers.first(),
        "trackers": trackers,
        "creation_date": metainfo.created(),
        "comment": metainfo.comment(),
    })
}

#[test]
fn every_tribler_torrent_reads_as_tribler_reads_it() {
    let Some(folder) = fixtures("tribler") else {
        return;
    };
    let expected = std::fs::read_to_string(folder.join("EXPECTED.json")).unwrap();
    let expected: Json = serde_json::from_str(&expected).unwrap();
    let mut wrong = String::new();
    let mut read = 0;
    for (name, entry) in expected["files"].as_object().unwrap() {
        if !name.ends_with(".torrent") {
            continue;
        }
        read += 1;
        let bytes = std::fs::read(folder.join(name)).unwrap();
        match Metainfo::from_bytes(&bytes, &LoadLimits::default()) {
            Err(error) => {
                if entry.get("error").is_none() {
                    let _ = writeln!(wrong, "{name}: {error}");
                }
            }
            Ok(metainfo) => {
                let got = as_tribler_entry(&metainfo);
                for (key, got) in got.as_object().unwrap() {
                    if entry[key] != *got {
                        let want = &entry[key];
                        let _ = writeln!(wrong, "{name}: {key}: {got}\n    expected {want}");
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(read, 13);
}
