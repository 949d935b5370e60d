//! URLs, queries and replies of HTTP trackers.

use crate::steps::Steps;
use protocol::id::{InfoHash, PeerId};
use protocol::tracker::Announce;
use protocol::tracker::http::server::{parse_announce_query, parse_scrape_query};
use protocol::tracker::http::{
    PeerForm, announce_url, encode_announce, encode_scrape, parse_announce, parse_scrape,
    scrape_url,
};

fn twenty(steps: &mut Steps<'_>) -> [u8; 20] {
    std::array::from_fn(|_| steps.byte())
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    match steps.byte() % 3 {
        0 => {
            let body = steps.rest();
            if let Ok(mut reply) = parse_announce(body) {
                assert!(reply.peers.iter().all(|peer| peer.addr.port() != 0));
                // What is written back means the same, but for what a server does not say.
                reply.named_peers.clear();
                for form in [PeerForm::Compact, PeerForm::Dict, PeerForm::DictNoPeerId] {
                    let again = parse_announce(&encode_announce(&reply, form)).expect("own reply");
                    assert_eq!(again.peers.len(), reply.peers.len());
                    assert_eq!(again.min_interval, reply.min_interval);
                    assert_eq!(again.tracker_id, reply.tracker_id);
                    assert_eq!(again.external_ip, reply.external_ip);
                }
            }
            if let Ok(files) = parse_scrape(body) {
                assert_eq!(parse_scrape(&encode_scrape(&files)), Ok(files));
            }
        }
        1 => {
            let query = String::from_utf8_lossy(steps.rest());
            if let Ok(query) = parse_announce_query(Some(&query)) {
                let url = announce_url("http://t/announce", &query.announce).expect("an HTTP URL");
                let (_, text) = url.split_once('?').expect("a query");
                let again = parse_announce_query(Some(text)).expect("own query");
                assert_eq!(again.announce.info_hash, query.announce.info_hash);
                assert_eq!(again.announce.event, query.announce.event);
                assert_eq!(again.announce.num_want, query.announce.num_want);
            }
            if let Ok(hashes) = parse_scrape_query(Some(&query)) {
                let url = scrape_url("http://t/announce", &hashes).expect("an announce URL");
                let (_, text) = url.split_once('?').expect("a query");
                assert_eq!(parse_scrape_query(Some(text)), Ok(hashes));
            }
        }
        _ => {
            let (hash, id) = (InfoHash(twenty(&mut steps)), PeerId(twenty(&mut steps)));
            let port = steps.word() as u16 | 1;
            let base = String::from_utf8_lossy(steps.rest()).into_owned();
            let _ = scrape_url(&base, &[hash]);
            let announce = Announce::new(hash, id, port);
            if let Ok(url) = announce_url(&base, &announce) {
                let kept = base.trim().split('#').next().unwrap_or_default();
                let (host, _) = kept.split_once('?').unwrap_or((kept, ""));
                assert!(url.starts_with(host));
                let at = url.rfind("info_hash=").expect("the hash is there");
                let got = parse_announce_query(Some(&url[at..])).expect("own query");
                assert_eq!((got.announce.info_hash, got.announce.peer_id), (hash, id));
            }
        }
    }
}
