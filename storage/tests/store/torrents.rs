//! Specifications made from torrents.

use bytes::Bytes;
use protocol::metainfo::{LoadLimits, Metainfo};
use storage::{PieceHashes, Store, StoreOptions, StoreSpec};

fn info(extra: &str) -> Vec<u8> {
    let pieces = "p".repeat(40);
    format!("d{extra}4:name1:t12:piece lengthi16384e6:pieces40:{pieces}e").into_bytes()
}

fn spec(info: &[u8]) -> StoreSpec {
    let torrent = Metainfo::from_info(info, &LoadLimits::default()).unwrap();
    StoreSpec::from_metainfo(&torrent, "/nowhere".into()).unwrap()
}

#[test]
fn a_single_file_is_named_by_the_torrent() {
    let spec = spec(&info("6:lengthi20000e"));
    assert_eq!(spec.files.len(), 1);
    assert_eq!(spec.files[0].path, ["t"]);
    assert_eq!(spec.files[0].len, 20_000);
    assert_eq!(spec.hashes, PieceHashes::V1(Bytes::from(vec![b'p'; 40])));
    assert!(spec.part_file.starts_with('.'));
    Store::open(spec, StoreOptions::default()).unwrap();
}

#[test]
fn files_pads_links_and_bad_names_come_out_safe() {
    let files = "5:filesl\
        d6:lengthi10000e4:pathl1:aee\
        d4:attr1:p6:lengthi6384e4:pathl4:.pad4:6384ee\
        d4:attr1:x6:lengthi3000e4:pathl2:..1:bee\
        d6:lengthi100e4:pathl1:aee\
        d4:attr1:l6:lengthi0e4:pathl1:le12:symlink pathl1:aee\
        e";
    let spec = spec(&info(files));
    let paths: Vec<_> = spec.files.iter().map(|file| file.path.join("/")).collect();
    assert_eq!(spec.files.len(), 5);
    assert!(spec.files[1].pad);
    assert!(spec.files[2].executable);
    assert_ne!(paths[3], paths[0], "two files of one name lie apart");
    assert!(spec.files[4].symlink.is_some());
    for path in paths {
        assert!(path.starts_with("t/") && !path.contains(".."), "{path}");
    }
    Store::open(spec, StoreOptions::default()).unwrap();
}

#[test]
fn a_v2_torrent_needs_its_piece_layers() {
    let root = "r".repeat(32);
    let info = |len: u32| {
        let tree = format!("d1:fd0:d6:lengthi{len}e11:pieces root32:{root}eee");
        format!("d9:file tree{tree}12:meta versioni2e4:name1:t12:piece lengthi16384ee")
    };
    let load = |len| Metainfo::from_info(info(len).as_bytes(), &LoadLimits::default()).unwrap();
    let small = StoreSpec::from_metainfo(&load(10_000), "/nowhere".into()).unwrap();
    assert_eq!(small.hashes, PieceHashes::V2(Bytes::from(vec![b'r'; 32])));
    Store::open(small, StoreOptions::default()).unwrap();
    assert!(StoreSpec::from_metainfo(&load(20_000), "/nowhere".into()).is_err());
}
