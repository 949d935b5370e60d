//! Our tracker under other people's clients: each announces, completes a swarm and, where it does that, scrapes.

use std::time::Duration;

use serde_json::Value;
use support::clients::tracker::OurTracker;
use support::clients::{Client, Orders, finish, home, libtorrent};
use support::content::Content;
use support::payload::Payload;
use support::{Lab, wait};

use crate::exchange::place;

const READY: Duration = Duration::from_secs(45);
const DONE: Duration = Duration::from_secs(90);

/// How a client reaches the tracker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By {
    /// `http` or `udp`.
    pub(crate) scheme: &'static str,
    /// Whether nobody has an IPv4 address.
    pub(crate) six: bool,
    /// Whether it has to show a key.
    pub(crate) private: bool,
}

/// Every way that `client` has to a tracker.
pub(crate) fn ways(client: Client) -> Vec<By> {
    let by = |scheme, six, private| By {
        scheme,
        six,
        private,
    };
    let mut ways = vec![
        by("http", false, false),
        by("udp", false, false),
        by("http", false, true),
    ];
    // Transmission 3.00 asks trackers from its IPv4 address.
    if client != Client::Transmission {
        ways.push(by("http", true, false));
    }
    // The others know UDP trackers at IPv4 alone, and do not send the path of their URLs (BEP 41).
    if matches!(client, Client::Libtorrent(_) | Client::Ours) {
        ways.extend([by("udp", true, false), by("udp", false, true)]);
    }
    ways
}

/// Lets two of `client` meet at our tracker alone, and compares what arrives and what the tracker counts.
pub(crate) fn completes_a_swarm(lab: &Lab, client: Client, by: By) {
    let (at, api) = (place(lab, by.six), lab.address());
    let url = OurTracker::url(at, by.scheme, by.private);
    let payload = Payload::single("tracked.bin", 3_000_001, 41);
    let content = Content::described(lab, payload, 64 * 1024, &[url]);
    let hash = content.torrent.info_hash;
    let own = lab.folder(&format!("tracker {}", at.port()));
    let tracker = OurTracker::start(at, api, by.private, &own);
    let becomes = |name: &str, count: u64| {
        let as_said = wait::until(READY, || {
            (tracker.torrent(&hash)[name] == count).then_some(())
        });
        let shown = tracker.torrent(&hash);
        assert!(as_said.is_some(), "{by:?}: {name} is not {count}: {shown}");
    };

    let mut seeder = client.run(lab, &content.seed(place(lab, by.six)));
    finish(&mut *seeder, READY, "the seeder");
    becomes("seeders", 1);
    if let Client::Libtorrent(version) = client {
        let scraped = libtorrent::scrape(version, &content.source(), place(lab, by.six));
        // A scrape by UDP has no place for a key, and without one there are zeros.
        let shown = i32::from(!(by.private && by.scheme == "udp"));
        assert_eq!(scraped["complete"], shown, "{by:?}");
        assert_eq!(scraped["incomplete"], 0, "{by:?}");
    }
    let (output, _) = home(lab, "downloads");
    // Who ends at once may not come to say that it is complete.
    let stays = Orders {
        stays: true,
        ..Orders::default()
    };
    let download = content.download(&output, place(lab, by.six), Vec::new());
    let mut leecher = client.run(lab, &download.with(stays));
    let arrived = wait::until(DONE, || {
        let (here, whole) = (
            content.payload.digest(&output),
            content.payload.digest(&content.dir),
        );
        let arrived = here.ok() == Some(whole.expect("it can be read"));
        (arrived || leecher.process().ended().is_some()).then_some(arrived)
    });
    let words = leecher.process().last_words();
    assert_eq!(arrived, Some(true), "{by:?}: {words}");
    becomes("completed", 1);
    becomes("seeders", 2);
    // It finds the place for scrapes in URLs that end with `announce`.
    if client == Client::Transmission && !by.private {
        let scraped = wait::until(READY, || (scrapes(&tracker.stats()) > 0).then_some(()));
        assert!(scraped.is_some(), "{by:?}: nobody scrapes");
    }
    leecher.process().stop();
    seeder.process().stop();
    if client == Client::Ours {
        becomes("seeders", 0);
    }
    must_have_come(by, &tracker.stats());
    let family = if by.six { "IPv6" } else { "IPv4" };
    let key = if by.private { "key" } else { "no key" };
    lab.report(&format!(
        "| {:<18} | {:<4} | {family} | {key:<6} | {} scrapes |",
        client.name(),
        by.scheme,
        scrapes(&tracker.stats())
    ));
}

/// Holds the announces to one protocol and family.
fn must_have_come(by: By, stats: &Value) {
    let is_udp = by.scheme == "udp";
    for (name, used) in [
        ("tcp4", !is_udp && !by.six),
        ("tcp6", !is_udp && by.six),
        ("udp4", is_udp && !by.six),
        ("udp6", is_udp && by.six),
    ] {
        let announces = stats[format!("{name}_announces_handled")].as_u64();
        assert_eq!(announces > Some(0), used, "{by:?}: {stats}");
    }
}

fn scrapes(stats: &Value) -> u64 {
    let of = |name: &str| stats[format!("{name}_scrapes_handled")].as_u64();
    let all = ["tcp4", "tcp6", "udp4", "udp6"].map(of);
    all.into_iter().flatten().sum()
}
