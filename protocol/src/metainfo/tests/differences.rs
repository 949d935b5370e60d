//! Torrents that ours reads otherwise than libtorrent on purpose: docs/differences.md has the reasons.

use super::super::*;
use crate::bencode::{Encoder, Tree};

/// A v1 torrent of the given files: length, attributes, path and target.
fn v1(files: &[(i64, &str, &[&str], &[&str])]) -> Vec<u8> {
    let mut e = Encoder::new();
    e.begin_dict()
        .key(b"info")
        .begin_dict()
        .key(b"files")
        .begin_list();
    let mut total = 0;
    for (len, attr, path, target) in files {
        e.begin_dict()
            .key(b"attr")
            .str(attr)
            .key(b"length")
            .int(*len);
        total += if attr.contains('l') { 0 } else { *len };
        e.key(b"path").begin_list();
        for element in *path {
            e.str(element);
        }
        e.end().key(b"symlink path").begin_list();
        for element in *target {
            e.str(element);
        }
        e.end().end();
    }
    e.end()
        .key(b"name")
        .str("n")
        .key(b"piece length")
        .int(16_384);
    e.key(b"pieces")
        .bytes(&vec![1; 20 * (total as usize).div_ceil(16_384)]);
    e.end().end();
    e.finish()
}

/// The same torrent with another member outside its info dictionary.
fn with(torrent: &[u8], key: &str, value: Tree) -> Vec<u8> {
    let limits = crate::bencode::Limits::default();
    let Tree::Dict(mut top) = Tree::from(crate::bencode::decode(torrent, &limits).unwrap()) else {
        panic!("a torrent is a dictionary");
    };
    top.insert(key.as_bytes().to_vec(), value);
    Tree::Dict(top).to_bytes()
}

fn read(bytes: &[u8]) -> Metainfo {
    Metainfo::from_bytes(bytes, &LoadLimits::default()).unwrap()
}

fn text(text: &str) -> Tree {
    Tree::Bytes(text.as_bytes().to_vec())
}

#[test]
fn a_new_name_is_not_given_twice() {
    let torrent = read(&v1(&[
        (5, "", &["A"], &[]),
        (5, "", &["a"], &[]),
        (5, "", &["a.1"], &[]),
    ]));
    let names: Vec<_> = torrent
        .files()
        .iter()
        .map(FileEntry::display_path)
        .collect();
    assert_eq!(names, ["n/A", "n/a.1", "n/a.1.1"]);
}

#[test]
fn padding_without_a_path_stays_inside_the_torrent() {
    let torrent = read(&v1(&[(7, "p", &[], &[]), (5, "", &["a"], &[])]));
    assert_eq!(torrent.name(), "n");
    assert_eq!(torrent.files()[0].display_path(), "n/.pad/7");
}

#[test]
fn a_web_seed_of_a_directory_with_one_file_names_the_directory() {
    let torrent = v1(&[(5, "", &["a"], &[])]);
    let torrent = read(&with(&torrent, "url-list", text("http://w/x")));
    assert_eq!(torrent.web_seeds(), ["http://w/x/"]);
}

#[test]
fn a_web_seed_keeps_its_escapes_and_its_query() {
    let torrent = v1(&[(5, "", &["a"], &[]), (5, "", &["b"], &[])]);
    let torrent = read(&with(
        &torrent,
        "url-list",
        text(" http://w/x y?a=%20&b=é/"),
    ));
    assert_eq!(torrent.web_seeds(), ["http://w/x%20y?a=%20&b=%c3%a9/"]);
}

#[test]
fn trackers_and_nodes_with_impossible_ports_are_left_out() {
    let torrent = v1(&[(5, "", &["a"], &[])]);
    let urls = ["http://a:99999/", "http://b:0/", "http://c_1:80/"];
    let tiers = urls.iter().map(|url| Tree::List(vec![text(url)])).collect();
    let torrent = with(&torrent, "announce-list", Tree::List(tiers));
    let node = |host, port| Tree::List(vec![text(host), Tree::Int(port)]);
    let nodes = vec![
        node("a", 0),
        node("b", 70_000),
        node("", 1),
        node("c", 65_535),
    ];
    let torrent = read(&with(&torrent, "nodes", Tree::List(nodes)));
    assert_eq!(torrent.trackers().concat(), ["http://c_1:80/"]);
    assert_eq!(torrent.nodes(), [("c".to_owned(), 65_535)]);
}

#[test]
fn several_trackers_are_written_with_an_announce_key() {
    let torrent = v1(&[(5, "", &["a"], &[])]);
    let tier = |url| Tree::List(vec![text(url)]);
    let tiers = Tree::List(vec![
        tier("http://a/"),
        Tree::List(vec![]),
        tier("http://b/"),
    ]);
    let torrent = read(&with(&torrent, "announce-list", tiers));
    let written = torrent.to_bytes().unwrap();
    assert!(
        written.starts_with(b"d8:announce9:http://a/13:announce-listll9:http://a/el9:http://b/ee")
    );
}

#[test]
fn a_v2_torrent_without_a_usable_name_is_named_after_its_v2_hash() {
    let mut e = Encoder::new();
    e.begin_dict()
        .key(b"info")
        .begin_dict()
        .key(b"file tree")
        .begin_dict();
    for name in ["a", "b"] {
        e.key(name.as_bytes()).begin_dict().key(b"").begin_dict();
        e.key(b"length")
            .int(5)
            .key(b"pieces root")
            .bytes(&[1; 32])
            .end()
            .end();
    }
    e.end().key(b"meta version").int(2).key(b"name").str("..");
    e.key(b"piece length").int(16_384).end().end();
    let torrent = read(&e.finish());
    assert_eq!(torrent.name(), torrent.hashes().wire().to_string());
}

#[test]
fn a_hybrid_without_piece_hashes_is_refused() {
    let mut e = Encoder::new();
    e.begin_dict()
        .key(b"info")
        .begin_dict()
        .key(b"file tree")
        .begin_dict();
    e.key(b"a").begin_dict().key(b"").begin_dict();
    e.key(b"length")
        .int(5)
        .key(b"pieces root")
        .bytes(&[1; 32])
        .end()
        .end()
        .end();
    e.key(b"length")
        .int(5)
        .key(b"meta version")
        .int(2)
        .key(b"name")
        .str("a");
    e.key(b"piece length").int(16_384).end().end();
    let refused = Metainfo::from_bytes(&e.finish(), &LoadLimits::default());
    assert_eq!(refused, Err(MetainfoError::MissingPieces));
}

#[test]
fn a_merkle_torrent_is_refused_by_name() {
    let torrent =
        b"d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e9:root hash20:aaaaaaaaaaaaaaaaaaaaee";
    let refused = Metainfo::from_bytes(torrent, &LoadLimits::default());
    assert_eq!(refused, Err(MetainfoError::MerkleTorrent));
}

#[test]
fn http_seeds_are_kept() {
    let torrent = v1(&[(5, "", &["a"], &[])]);
    let torrent = read(&with(
        &torrent,
        "httpseeds",
        Tree::List(vec![text("http://h/")]),
    ));
    assert_eq!(torrent.http_seeds(), ["http://h/"]);
}

#[test]
fn an_integer_that_does_not_fit_is_an_error() {
    let torrent = b"d4:infod6:lengthi99999999999999999999e4:name1:ae1:xi1ee";
    let refused = Metainfo::from_bytes(torrent, &LoadLimits::default()).unwrap_err();
    let MetainfoError::Bencode(error) = refused else {
        panic!("{refused}");
    };
    assert_eq!(error.kind, crate::bencode::ErrorKind::Overflow);
}

#[test]
fn links_are_followed_as_far_as_operating_systems_do() {
    // k0 -> k1 -> ... -> d, and a link to k0/f.
    let chain = |len: usize| {
        let names: Vec<String> = (0..len)
            .map(|at| format!("k{at}"))
            .chain(["d".into()])
            .collect();
        let paths: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
        let mut files = vec![(5, "", &["d", "f"][..], &[][..])];
        for pair in paths.windows(2) {
            files.push((0, "l", &pair[0][..], &pair[1][..]));
        }
        files.push((0, "l", &["m"], &["k0", "f"]));
        read(&v1(&files)).files()[len + 1].symlink.clone().unwrap()
    };
    assert_eq!(chain(30), ["n", "k0", "f"]);
    assert_eq!(
        chain(60),
        ["n", "m"],
        "taken for a loop, so the link points to itself"
    );
}
