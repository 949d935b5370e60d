use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::metainfo::LoadLimits;

const PIECE: u64 = 16;

/// A v1 torrent named `n` with these files; a length with `true` is padding.
fn torrent(files: &[(u64, bool)]) -> Metainfo {
    let mut list = String::new();
    let mut total = 0;
    for (number, (len, pad)) in files.iter().enumerate() {
        let attr = if *pad { "4:attr1:p" } else { "" };
        let name = format!("f {number}");
        write!(
            list,
            "d{attr}6:lengthi{len}e4:pathl1:d{}:{name}ee",
            name.len()
        )
        .unwrap();
        total += len;
    }
    let hashes = total.div_ceil(PIECE) * 20;
    let text = format!(
        "d4:infod5:filesl{list}e4:name1:n12:piece lengthi{PIECE}e6:pieces{hashes}:{}ee",
        "x".repeat(hashes as usize)
    );
    Metainfo::from_bytes(text.as_bytes(), &LoadLimits::default()).unwrap()
}

fn single(name: &str) -> Metainfo {
    let text = format!(
        "d4:infod6:lengthi20e4:name{}:{name}12:piece lengthi16e6:pieces40:{}ee",
        name.len(),
        "x".repeat(40)
    );
    Metainfo::from_bytes(text.as_bytes(), &LoadLimits::default()).unwrap()
}

fn seed(kind: Kind, url: &str) -> WebSeed {
    WebSeed::new(kind, url).unwrap()
}

#[test]
fn a_file_lies_at_the_url_or_in_the_folder_that_it_names() {
    let one = single("a b#é.iso");
    let many = torrent(&[(10, false), (6, true), (3, false)]);
    let cases = [
        (&one, "http://h/x/file.iso", "http://h/x/file.iso"),
        (&one, "http://h/x/", "http://h/x/a%20b%23%C3%A9.iso"),
        (&one, "http://h", "http://h/a%20b%23%C3%A9.iso"),
        (&one, "http://h/get?id=1#top", "http://h/get?id=1"),
        (&one, "http://u:p@h:81/x%20y", "http://u:p@h:81/x%20y"),
        (&many, "https://h/pub/", "https://h/pub/n/d/f%200"),
        (&many, "https://h/pub", "https://h/pub/n/d/f%200"),
        (&many, "HTTP://h", "HTTP://h/n/d/f%200"),
        (
            &many,
            "http://h/pub?key=a/b",
            "http://h/pub/n/d/f%200?key=a/b",
        ),
    ];
    for (torrent, url, expected) in cases {
        let seed = seed(Kind::GetRight, url);
        let part = seed.parts(torrent, 0..1)[0];
        assert_eq!(seed.url_of(torrent, &part), expected, "{url}");
    }
}

#[test]
fn a_script_is_asked_for_pieces_and_ranges_of_them() {
    let torrent = single("x");
    let seed = seed(Kind::Hoffman, "http://h/seed.php?k=1");
    let parts = seed.parts(&torrent, 4..20);
    let urls: Vec<String> = parts
        .iter()
        .map(|part| seed.url_of(&torrent, part))
        .collect();
    let mut hash = String::new();
    escape(torrent.hashes().wire().as_bytes(), &mut hash);
    assert_eq!(
        urls,
        [
            format!("http://h/seed.php?k=1&info_hash={hash}&piece=0&ranges=4-15"),
            format!("http://h/seed.php?k=1&info_hash={hash}&piece=1"),
        ]
    );
}

#[test]
fn what_is_no_web_page_is_no_web_seed() {
    for url in [
        "",
        "ftp://h/x",
        "http://",
        "http:///x",
        "http://?x",
        "h/x",
        "http://h/a\nb",
    ] {
        assert_eq!(WebSeed::new(Kind::GetRight, url), None, "{url}");
    }
    let long = format!("http://h/{}", "x".repeat(MAX_URL));
    assert_eq!(WebSeed::new(Kind::GetRight, &long), None);
    assert_eq!(
        seed(Kind::GetRight, " http://h/x?y#z ").url(),
        "http://h/x?y"
    );
}

#[test]
fn ranges_are_read_as_servers_write_them() {
    let range = |first, last, whole| Ok(ContentRange { first, last, whole });
    let cases = [
        ("bytes 0-4/5", range(0, 4, Some(5))),
        (" Bytes 7-7/* ", range(7, 7, None)),
        ("bytes 5-4/9", Err(RangeError::Impossible)),
        ("bytes 0-9/9", Err(RangeError::Impossible)),
        ("bytes */9", Err(RangeError::Form)),
        ("bytes 0-4", Err(RangeError::Form)),
        ("items 0-4/5", Err(RangeError::Form)),
        ("bytes +1-4/5", Err(RangeError::Form)),
        ("bytes 1-99999999999999999999/*", Err(RangeError::Form)),
        (
            "bytes 0-18446744073709551615/*",
            Err(RangeError::Impossible),
        ),
        ("", Err(RangeError::Form)),
    ];
    for (text, expected) in cases {
        assert_eq!(ContentRange::parse(text.as_bytes()), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn parts_cover_a_span_once_in_order_and_without_padding(
        files in prop::collection::vec((0_u64..40, prop::bool::weighted(0.3)), 1..12),
        begin in 0_u64..300,
        len in 0_u64..300,
        hoffman: bool,
    ) {
        prop_assume!(files.iter().map(|(len, _)| len).sum::<u64>() > 0);
        let torrent = torrent(&files);
        let kind = if hoffman { Kind::Hoffman } else { Kind::GetRight };
        let seed = seed(kind, "http://h/");
        let mut covered = Vec::new();
        for part in seed.parts(&torrent, begin..begin + len) {
            prop_assert!(part.len > 0);
            prop_assert!(part.from + part.len <= part.whole);
            let start = match kind {
                Kind::GetRight => {
                    let file = &torrent.files()[part.item as usize];
                    prop_assert_eq!((file.len, file.attr.pad), (part.whole, false));
                    file.offset
                }
                Kind::Hoffman => {
                    let piece = torrent.geometry().piece(part.item).unwrap();
                    prop_assert_eq!(u64::from(torrent.geometry().len_of(piece)), part.whole);
                    torrent.geometry().offset_of(piece)
                }
            };
            prop_assert_eq!(start + part.from, part.at);
            covered.extend(part.at..part.at + part.len);
        }
        let mut expected = Vec::new();
        for file in torrent.files().iter().filter(|file| !file.attr.pad) {
            let end = (begin + len).min(file.offset + file.len);
            expected.extend(begin.max(file.offset)..end);
        }
        prop_assert_eq!(covered, expected);
    }

    #[test]
    fn a_range_reads_back_what_was_written(first in 0_u64..u64::MAX / 2, more: u32, beyond: Option<u32>) {
        let last = first + u64::from(more);
        let whole = beyond.map(|beyond| last + 1 + u64::from(beyond));
        let shown = whole.map_or_else(|| "*".to_owned(), |whole| whole.to_string());
        let parsed = ContentRange::parse(format!("bytes {first}-{last}/{shown}").as_bytes());
        prop_assert_eq!(parsed, Ok(ContentRange { first, last, whole }));
        prop_assert_eq!(parsed.unwrap().len(), u64::from(more) + 1);
    }

    #[test]
    fn any_bytes_are_a_range_or_an_error(bytes: Vec<u8>) {
        if let Ok(range) = ContentRange::parse(&bytes) {
            prop_assert!(range.first <= range.last);
            prop_assert!(range.whole.is_none_or(|whole| range.last < whole));
        }
    }
}

#[test]
fn a_fragment_is_left_out_with_the_blanks_before_it() {
    let seed = WebSeed::new(Kind::GetRight, " http://host/a?b #part ").unwrap();
    assert_eq!(seed.url(), "http://host/a?b");
}
