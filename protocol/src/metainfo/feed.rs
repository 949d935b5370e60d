//! Torrents whose files are torrents: feeds (BEP 49), and how their versions and archives lead to each other.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::bencode::{Encoder, Value};
use crate::magnet::Magnet;

/// The longest link that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// What a feed says of others (`bep49` in the info dictionary). Its links are magnet links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    /// It holds older items, and is not the newest version of anything.
    pub archive: bool,
    /// The archive with the items before its own.
    pub archive_next: Option<Magnet>,
    /// The key under which newer versions are published (BEP 46). Never in an archive.
    pub source: Option<Magnet>,
    /// The version before. Never in an archive.
    pub previous: Option<Magnet>,
}

/// Reads `bep49`. Links that cannot be read, or that an archive must not have, are left out.
pub(super) fn read(value: Option<Value<'_>>) -> Option<Feed> {
    let dict = value?.as_dict()?;
    let link = |key: &[u8]| {
        let text = dict.get(key)?.as_str()?;
        Magnet::parse(text).ok().filter(|_| text.len() <= LONGEST)
    };
    let archive = dict.int(b"archive").is_some_and(|flag| flag != 0);
    let head = |key| link(key).filter(|_| !archive);
    Some(Feed {
        archive,
        archive_next: link(b"archive next"),
        source: head(b"bep46 source").filter(|link| link.mutable.is_some()),
        previous: head(b"prev"),
    })
}

/// Writes `bep49`.
pub(super) fn write(e: &mut Encoder, feed: Option<&Feed>) {
    let Some(feed) = feed else { return };
    let head = |link: &Option<Magnet>| link.clone().filter(|_| !feed.archive);
    e.key(b"bep49").begin_dict();
    if feed.archive {
        e.key(b"archive").int(1);
    }
    let links = [
        (&b"archive next"[..], feed.archive_next.clone()),
        (b"bep46 source", head(&feed.source)),
        (b"prev", head(&feed.previous)),
    ];
    for (key, link) in links {
        if let Some(link) = link {
            e.key(key).str(&link.to_string());
        }
    }
    e.end();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bencode::{Limits, decode};

    const KEY: &str =
        "magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e&s=6e";
    const HASH: &str = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";

    fn again(feed: &Feed) -> Option<Feed> {
        let mut e = Encoder::new();
        e.begin_dict();
        write(&mut e, Some(feed));
        e.end();
        let bytes = e.finish();
        let value = decode(&bytes, &Limits::default()).unwrap();
        read(value.as_dict().unwrap().get(b"bep49"))
    }

    #[test]
    fn a_feed_is_read_as_it_is_written_and_an_archive_leads_back_only() {
        let feed = Feed {
            archive: false,
            archive_next: Magnet::parse(HASH).ok(),
            source: Magnet::parse(KEY).ok(),
            previous: Magnet::parse(HASH).ok(),
        };
        assert_eq!(again(&feed), Some(feed.clone()));
        assert_eq!(again(&Feed::default()), Some(Feed::default()));
        let archive = Feed {
            archive: true,
            ..feed
        };
        let read = again(&archive).unwrap();
        assert!(read.archive && read.archive_next.is_some());
        assert_eq!((read.source, read.previous), (None, None));
    }

    #[test]
    fn what_is_no_link_is_left_out() {
        let bytes = format!("d12:bep46 source{}:{HASH}4:prev3:abce", HASH.len());
        let value = decode(bytes.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(read(Some(value)), Some(Feed::default()));
        let value = decode(b"i1e", &Limits::default()).unwrap();
        assert_eq!(read(Some(value)), None);
    }

    proptest! {
        #[test]
        fn any_links_are_read_without_a_panic(archive: i64, link in "(magnet:\\?)?(xs=urn:btpk:[0-9a-f]{64})?\\PC{0,20}") {
            let bytes = format!("d7:archivei{archive}e12:bep46 source{}:{link}4:prev{}:{link}e", link.len(), link.len());
            let value = decode(bytes.as_bytes(), &Limits::default()).unwrap();
            let feed = read(Some(value)).unwrap();
            prop_assert_eq!(feed.archive, archive != 0);
            prop_assert_eq!(again(&feed), Some(feed));
        }
    }
}
