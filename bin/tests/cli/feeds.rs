//! Feeds: torrents of torrents (BEP 49).

use super::support::{create, run, text, write};

const KEY: &str =
    "magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e&s=6e";
const HASH: &str = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";

#[test]
fn a_feed_is_made_and_shown_with_its_links_and_the_digests_of_its_items() {
    let folder = tempfile::tempdir().unwrap();
    let feed = folder.path().join("feed");
    write(&feed.join("a.torrent"), b"abc");
    write(&feed.join("about/logo"), b"abc");
    let torrent = folder.path().join("feed.torrent");
    let links = [
        "--feed-source",
        KEY,
        "--feed-previous",
        HASH,
        "--feed-archive-next",
        HASH,
    ];
    create(&feed, &torrent, &[&["--feed"], &links[..]].concat()).ok();
    let shown = run(["info", text(&torrent), "--json"]).ok().json();
    let told = &shown["feed"];
    assert_eq!(told["archive"], false);
    assert_eq!(told["source"], KEY);
    assert_eq!(
        (&told["previous"], &told["archive_next"]),
        (&HASH.into(), &HASH.into())
    );
    let bytes = std::fs::read(&torrent).unwrap();
    // SHA-1 of "abc" (FIPS 180), once: what lies in folders is no item.
    let sha1 = b"4:sha120:\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d";
    assert_eq!(bytes.windows(sha1.len()).filter(|it| it == sha1).count(), 1);
    let text_form = run(["info", text(&torrent)]).ok().out;
    assert!(
        text_form.contains("Feed") && text_form.contains(KEY),
        "{text_form}"
    );
}

#[test]
fn an_archive_leads_back_only_and_a_file_is_no_feed() {
    let folder = tempfile::tempdir().unwrap();
    let feed = folder.path().join("feed");
    write(&feed.join("a.torrent"), b"abc");
    let torrent = folder.path().join("t.torrent");
    let archive = ["--feed-archive", "--feed-archive-next", HASH];
    create(&feed, &torrent, &archive).ok();
    let told = run(["info", text(&torrent), "--json"]).ok().json()["feed"].clone();
    assert_eq!(
        (&told["archive"], &told["archive_next"]),
        (&true.into(), &HASH.into())
    );
    let wrong = [
        vec!["--feed-archive", "--feed", "--feed-source", KEY],
        vec!["--feed", "--feed-source", HASH],
        vec!["--feed", "--feed-previous", "nothing"],
        vec!["--feed-source", KEY],
    ];
    for wrong in wrong {
        let ran = create(&feed, &torrent, &wrong);
        assert_eq!(ran.code, 2, "{wrong:?}: {ran:?}");
    }
    let file = create(&feed.join("a.torrent"), &torrent, &["--feed", "--force"]);
    assert_eq!(file.code, 2, "{file:?}");
}
