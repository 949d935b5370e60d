//! Every torrent of the fixture collection against what libtorrent 2.1.1 makes of it.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::*;

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

/// libtorrent's name of an error of ours.
fn error_name(error: &MetainfoError) -> &'static str {
    use crate::bencode::ErrorKind;
    match error {
        MetainfoError::Bencode(e) if e.kind == ErrorKind::TooDeep => "depth_exceeded",
        MetainfoError::FileLength => "torrent_invalid_length",
        MetainfoError::FileName => "torrent_invalid_name",
        MetainfoError::FileList => "torrent_file_parse_failed",
        MetainfoError::Inconsistent => "torrent_inconsistent_files",
        MetainfoError::MissingInfo => "torrent_missing_info",
        MetainfoError::MissingName => "torrent_missing_name",
        MetainfoError::MissingPieces => "torrent_missing_pieces",
        MetainfoError::NoFiles => "no_files_in_torrent",
        MetainfoError::NotCanonical(_) => "invalid_bencoding",
        MetainfoError::NotDict => "torrent_is_no_dict",
        MetainfoError::PadFile => "torrent_invalid_pad_file",
        MetainfoError::PieceHashes => "torrent_invalid_hashes",
        MetainfoError::PieceLayer => "torrent_invalid_piece_layer",
        MetainfoError::PieceLength => "torrent_missing_piece_length",
        MetainfoError::PiecesRoot => "torrent_missing_pieces_root",
        MetainfoError::TooManyDuplicates => "too_many_duplicate_filenames",
        MetainfoError::TooManyPieces(_) => "too_many_pieces_in_torrent",
        MetainfoError::Bencode(_) => "bdecode",
        MetainfoError::DirectoryTooDeep
        | MetainfoError::Geometry(_)
        | MetainfoError::MagnetInstead(_)
        | MetainfoError::MerkleTorrent
        | MetainfoError::MissingFileTree
        | MetainfoError::MissingMetaVersion
        | MetainfoError::PathsTooLong
        | MetainfoError::UnknownVersion(_) => "none of the collection",
    }
}

fn flags(attr: FileAttr) -> Vec<&'static str> {
    let all = [
        (attr.pad, "pad"),
        (attr.hidden, "hidden"),
        (attr.executable, "executable"),
        (attr.symlink, "symlink"),
    ];
    all.iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect()
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
                    if *got != want {
                        let _ = writeln!(wrong, "{name}: {key}: {got}\n    expected {want}");
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
