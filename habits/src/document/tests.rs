use proptest::prelude::*;

use super::*;

fn feed_url() -> Url {
    "http://feeds.example/dir/feed.xml".parse().unwrap()
}

fn items(text: &str) -> Vec<Item> {
    Document::read(text.as_bytes(), Some(&feed_url()))
        .unwrap()
        .items
}

fn torrent(item: &Item) -> Option<&str> {
    item.torrent.as_ref().map(Torrent::as_str)
}

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn rss_2_is_read_with_what_bep_36_puts_in_it() {
    let text = format!(
        r#"<?xml version="1.0"?>
<rss version="2.0" xmlns:torrent="http://xmlns.ezrss.it/0.1/"><channel>
<title>A &amp; B</title><image><title>No</title></image>
<item><title>Show  S01E02</title><guid isPermaLink="false">g1</guid>
 <pubDate>Thu, 01 Jan 1970 00:01:00 GMT</pubDate><link>http://x/page</link>
 <enclosure type="application/x-bittorrent" url="/t/1.torrent?a=1&amp;b=2" length="123456789"/></item>
<item><title><![CDATA[Two <b>]]></title><link>http://x/2</link>
 <torrent:torrent><torrent:infoHash>{HASH}</torrent:infoHash>
 <torrent:contentLength>77</torrent:contentLength>
 <torrent:magnetURI><![CDATA[magnet:?xt=urn:btih:{HASH}&dn=two]]></torrent:magnetURI></torrent:torrent></item>
<item><title>Three</title><link>sub/3.TORRENT</link></item>
<item><title>Four</title><infoHash>{HASH}</infoHash><size>1.5 GiB</size></item>
<item><title>Five</title><link>https://x/download.php?id=5</link></item>
<item><title>Six</title></item>
</channel></rss>"#
    );
    let document = Document::read(text.as_bytes(), Some(&feed_url())).unwrap();
    assert_eq!(document.title.as_deref(), Some("A & B"));
    let torrents: Vec<_> = document.items.iter().map(torrent).collect();
    let magnet = format!("magnet:?xt=urn:btih:{HASH}");
    let named = format!("{magnet}&dn=two");
    let due = [
        Some("http://feeds.example/t/1.torrent?a=1&b=2"),
        Some(named.as_str()),
        Some("http://feeds.example/dir/sub/3.TORRENT"),
        Some(magnet.as_str()),
        Some("https://x/download.php?id=5"),
        None,
    ];
    assert_eq!(torrents, due);
    let [first, second, _, fourth, ..] = document.items.as_slice() else {
        panic!("{document:?}");
    };
    assert_eq!(first.title, "Show S01E02");
    assert_eq!((first.published, first.size), (Some(60), Some(123_456_789)));
    assert_eq!(first.guid.as_deref(), Some("g1"));
    assert_eq!((second.title.as_str(), second.size), ("Two <b>", Some(77)));
    assert_eq!(fourth.size, Some(3 << 29));
}

#[test]
fn atom_rss_1_and_torznab_are_read() {
    let atom = items(
        r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>F</title><entry><title type="html">T</title>
<id>urn:1</id><updated>1970-01-02T00:00:00Z</updated><link href="http://x/page"/>
<link rel="enclosure" type="application/x-bittorrent" href="a.torrent" length="5"/></entry></feed>"#,
    );
    let [entry] = atom.as_slice() else {
        panic!("{atom:?}")
    };
    assert_eq!(torrent(entry), Some("http://feeds.example/dir/a.torrent"));
    assert_eq!((entry.published, entry.size), (Some(86_400), None));
    let rdf = items(
        r#"<rdf:RDF><channel><title>F</title></channel>
<item rdf:about="x"><title>T</title><link>http://x/b.torrent</link><dc:date>1970-01-01</dc:date></item></rdf:RDF>"#,
    );
    assert_eq!(
        rdf.iter().map(torrent).collect::<Vec<_>>(),
        [Some("http://x/b.torrent")]
    );
    let torznab = items(&format!(
        r#"<rss><channel><item><title>T</title><link>http://x/page</link>
<torznab:attr name="size" value="99"/><torznab:attr name="infohash" value="{HASH}"/></item></channel></rss>"#
    ));
    let [item] = torznab.as_slice() else {
        panic!("{torznab:?}")
    };
    assert_eq!(item.size, Some(99));
    assert!(torrent(item).unwrap().ends_with(HASH));
}

#[test]
fn what_is_no_feed_is_told_and_what_is_cut_short_has_what_came_before() {
    let read = |text: &str| Document::read(text.as_bytes(), None);
    assert_eq!(
        read("<!DOCTYPE html><html><br></html>"),
        Err(FeedError::WebPage)
    );
    assert_eq!(read("<html><body></html>"), Err(FeedError::WebPage));
    assert_eq!(read("<opml></opml>"), Err(FeedError::Unknown));
    assert_eq!(read("hello"), Err(FeedError::Xml("it is cut short")));
    assert_eq!(
        read("<rss><channel>"),
        Err(FeedError::Xml("it is cut short"))
    );
    let cut = "<rss><channel><item><title>a</title></item><item><title>b";
    assert_eq!(read(cut).unwrap().items.len(), 1);
    assert_eq!(read("<rss></rss>").unwrap(), Document::default());
    let long = vec![b' '; MOST_BYTES + 1];
    assert_eq!(Document::read(&long, None), Err(FeedError::TooLong));
}

#[test]
fn alphabets_are_told_apart() {
    let title = |bytes: &[u8]| Document::read(bytes, None).unwrap().title.unwrap();
    let text = "<rss><channel><title>é</title></channel></rss>";
    assert_eq!(title(text.as_bytes()), "é");
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><rss><title>\xe9</title></rss>";
    assert_eq!(title(latin), "é");
    let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .flat_map(order)
            .collect()
    };
    assert_eq!(title(&wide(u16::to_le_bytes)), "é");
    assert_eq!(title(&wide(u16::to_be_bytes)), "é");
}

#[test]
fn items_and_titles_have_bounds() {
    let one = format!("<item><title>{}</title></item>", "x".repeat(1500));
    let all = items(&format!("<rss>{}</rss>", one.repeat(MOST_ITEMS + 5)));
    assert_eq!(all.len(), MOST_ITEMS);
    assert!(all.iter().all(|item| item.title.len() == LONGEST_TITLE));
    for bad in [
        "ftp://x/a.torrent",
        "file:///etc/passwd",
        "javascript:x",
        "magnet:?x",
    ] {
        let all = items(&format!("<rss><item><link>{bad}</link></item></rss>"));
        assert_eq!(all.iter().map(torrent).collect::<Vec<_>>(), [None], "{bad}");
    }
}

/// Pieces that feeds are made of, put together without regard to what makes sense.
fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<rss>",
        "</rss>",
        "<channel>",
        "</channel>",
        "<item>",
        "</item>",
        "<entry>",
        "</entry>",
        "<title>",
        "</title>",
        "<title/>",
        "<link href='a.torrent' rel='enclosure'/>",
        "<link>",
        "</link>",
        "<feed>",
        "</feed>",
        "x & y",
        "&#0;",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "\u{0}",
        "<enclosure url='magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567'/>",
        "<a b=>",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused_within_bounds(text in soup(), start in any::<bool>()) {
        let text = if start { format!("<rss>{text}") } else { text };
        if let Ok(document) = Document::read(text.as_bytes(), Some(&feed_url())) {
            prop_assert!(document.items.len() <= MOST_ITEMS);
        }
    }

    #[test]
    fn whatever_bytes_come_nothing_breaks(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Document::read(&bytes, None);
    }
}
