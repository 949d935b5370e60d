//! Web seeds: what their servers and the torrents that name them say. A range that is accepted can be, and the parts of a
//! span lie inside their files, in order.

use protocol::metainfo::{LoadLimits, Metainfo};
use protocol::retry_after;
use protocol::web_seed::{ContentRange, Kind, WebSeed};

/// Two files with padding between them.
const TORRENT: &[u8] =
    b"d4:infod5:filesld6:lengthi20e4:pathl3:a beed4:attr1:p6:lengthi12e4:pathl4:.pad2:12ee\
    d6:lengthi9e4:pathl1:d3:\xc3\xa9xeee4:name1:n12:piece lengthi16e6:pieces60:\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxee";

/// Checks one input.
pub fn run(data: &[u8]) {
    if let Ok(range) = ContentRange::parse(data) {
        assert!(range.first <= range.last);
        assert_eq!(range.len(), range.last - range.first + 1);
        assert!(range.whole.is_none_or(|whole| range.last < whole));
        let shown = range
            .whole
            .map_or_else(|| "*".to_owned(), |whole| whole.to_string());
        let again = format!("bytes {}-{}/{shown}", range.first, range.last);
        assert_eq!(ContentRange::parse(again.as_bytes()), Ok(range));
    }
    let date = b"Sun, 06 Nov 1994 08:49:37 GMT".as_slice();
    for (value, date) in [(data, date), (date, data)] {
        let time = retry_after::header(value, Some(date));
        assert!(time.is_none_or(|time| time <= retry_after::LONGEST));
    }
    let torrent = Metainfo::from_bytes(TORRENT, &LoadLimits::default()).expect("a torrent");
    let (span, url) = data.split_at(data.len().min(2));
    let [from, len] = [0, 1].map(|at| u64::from(span.get(at).copied().unwrap_or(0)));
    let url = String::from_utf8_lossy(url);
    for kind in [Kind::GetRight, Kind::Hoffman] {
        let Some(seed) = WebSeed::new(kind, &url) else {
            continue;
        };
        let again = WebSeed::new(kind, &seed.url()).expect("it names one");
        assert_eq!(again.url(), seed.url());
        let mut at = from;
        for part in seed.parts(&torrent, from..from + len) {
            assert!(part.at >= at && part.len > 0 && part.from + part.len <= part.whole);
            at = part.at + part.len;
            assert!(at <= from + len && !(20..32).contains(&part.at));
            let asked = seed.url_of(&torrent, &part);
            assert!(asked.contains("://") && !asked.contains('#'));
        }
    }
}
