//! Which trackers hosts say in DNS that they run (BEP 34), remembered for a while, and what that makes of a tracker's address.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use net::Network;
use net::resolve::ip_literal;
use parking_lot::Mutex;
use protocol::tracker::preferences::{Carrier, Preferences};
use tokio::time::timeout;

use crate::announce::tracker::{Kind, Tracker};
use crate::peer::driver::now;

/// How long a host's word counts, and that it says nothing.
const LIFE: Duration = Duration::from_mins(30);

/// How long nobody is asked again after a look-up that failed.
const FAILURE_LIFE: Duration = Duration::from_mins(5);

/// How long an announce waits for a look-up; the address may well be known before.
const PATIENCE: Duration = Duration::from_secs(3);

/// Hosts that are remembered.
const MOST: usize = 512;

/// Names that end so are no hosts of the public DNS.
const ELSEWHERE: [&str; 8] = [
    ".localhost",
    ".local",
    ".lan",
    ".internal",
    ".home.arpa",
    ".test",
    ".onion",
    ".i2p",
];

/// What hosts have said.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<BTreeMap<String, Word>>);

/// What a host has said, or that it said nothing, and until when that counts.
#[derive(Clone, Debug)]
struct Word {
    until: Instant,
    said: Option<Preferences>,
}

impl Known {
    /// The places at which a tracker is to be asked, best first; none where its host says that it runs no such tracker. Where the
    /// host says nothing, or cannot be asked, it is the one that the torrent names.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the look-up.
    pub(crate) async fn places(&self, network: &Network, tracker: &Tracker) -> Vec<Tracker> {
        match self.of(network, &tracker.host).await {
            Some(said) => choose(tracker, &said),
            None => vec![tracker.clone()],
        }
    }

    async fn of(&self, network: &Network, host: &str) -> Option<Preferences> {
        if !is_public(host) {
            return None;
        }
        let known = self.0.lock().get(host).cloned();
        if let Some(word) = known.filter(|word| word.until > now()) {
            return word.said;
        }
        let asked = timeout(PATIENCE, network.texts(host)).await;
        let (said, life) = match asked {
            Ok(Ok(texts)) => (
                Preferences::of_records(texts.iter().map(Vec::as_slice)),
                LIFE,
            ),
            // It costs nothing to ask again, and another way may be open by then.
            Ok(Err(error)) if error.kind() == io::ErrorKind::Unsupported => return None,
            Ok(Err(_)) | Err(_) => (None, FAILURE_LIFE),
        };
        if let Some(said) = &said {
            tracing::debug!(%host, ?said, "the host says in DNS which trackers it runs");
        }
        self.remember(host, said.clone(), life);
        said
    }

    fn remember(&self, host: &str, said: Option<Preferences>, life: Duration) {
        let mut known = self.0.lock();
        let until = now() + life;
        if known.len() >= MOST {
            known.retain(|_, word| word.until > now());
        }
        if known.len() < MOST || known.contains_key(host) {
            known.insert(host.to_owned(), Word { until, said });
        }
    }
}

/// Whether a host has a name that servers of the public DNS may know.
fn is_public(host: &str) -> bool {
    let ip: Option<IpAddr> = ip_literal(host);
    let name = host.trim_end_matches('.');
    ip.is_none() && name.contains('.') && !ELSEWHERE.iter().any(|end| name.ends_with(end))
}

/// What a host's word makes of a tracker's address. What a torrent has asked by TLS stays so: a record, which anybody on the way may
/// have made up, is no reason to tell a passkey to everyone.
fn choose(tracker: &Tracker, said: &Preferences) -> Vec<Tracker> {
    let place = |(carrier, port): &(Carrier, u16)| match carrier {
        Carrier::Udp if tracker.is_secure() => None,
        Carrier::Udp => tracker.at(Kind::Udp, *port),
        Carrier::Tcp => tracker.at(Kind::Http, *port),
    };
    said.ways().iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use net::sim::{HostOptions, Sim};

    use super::*;

    fn tracker(url: &str) -> Tracker {
        Tracker::parse(&url.into()).expect("a tracker")
    }

    fn texts(places: &[Tracker]) -> Vec<&str> {
        places.iter().map(|place| &*place.text).collect()
    }

    #[test]
    fn a_record_says_how_and_where_and_the_torrent_says_the_rest() {
        let cases: [(&str, &str, &[&str]); 7] = [
            (
                "http://t.example/key/announce?a=1",
                "BITTORRENT UDP:1337 TCP:81",
                &[
                    "udp://t.example:1337/key/announce?a=1",
                    "http://t.example:81/key/announce?a=1",
                ],
            ),
            (
                "udp://t.example:9",
                "BITTORRENT TCP:80",
                &["http://t.example/announce"],
            ),
            (
                "udp://t.example:9/x",
                "BITTORRENT TCP:443 UDP:9",
                &["https://t.example/x", "udp://t.example:9/x"],
            ),
            (
                "https://t.example/key/announce",
                "BITTORRENT UDP:1 TCP:80",
                &["https://t.example:80/key/announce"],
            ),
            ("https://t.example/announce", "BITTORRENT UDP:1", &[]),
            ("http://t.example/announce", "BITTORRENT DENY ALL", &[]),
            (
                "http://t.example:81/announce",
                "BITTORRENT TCP:81",
                &["http://t.example:81/announce"],
            ),
        ];
        for (url, record, expected) in cases {
            let said = Preferences::parse(record.as_bytes()).expect("a record");
            assert_eq!(
                texts(&choose(&tracker(url), &said)),
                expected,
                "{url}, {record}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_is_asked_once_in_a_while_and_only_if_the_world_may_know_it() {
        let sim = Sim::new(1);
        let at = |ip: &str| HostOptions::at(ip.parse().expect("an address"));
        let network = sim.host(at("1.0.0.1")).network();
        let (said, silent) = (tracker("http://t.example:9/"), tracker("http://u.example/"));
        sim.text("T.example", b"v=spf1 -all");
        sim.text("t.example", b"BITTORRENT UDP:5");
        let known = Known::default();
        for _ in 0..3 {
            let places = known.places(&network, &said).await;
            assert_eq!(texts(&places), ["udp://t.example:5/"]);
            let places = known.places(&network, &silent).await;
            assert_eq!(texts(&places), ["http://u.example/"]);
        }
        assert_eq!(sim.text_look_ups(), 2);
        sim.text("u.example", b"BITTORRENT");
        tokio::time::advance(LIFE).await;
        assert!(known.places(&network, &silent).await.is_empty());
        assert_eq!(sim.text_look_ups(), 3);
        for host in [
            "http://1.2.3.4/",
            "http://[2a00::1]/",
            "http://tracker/",
            "http://a.onion/",
            "http://nas.local/",
        ] {
            assert_eq!(texts(&known.places(&network, &tracker(host)).await), [host]);
        }
        assert_eq!(sim.text_look_ups(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_asked_holds_an_announce_up_once_and_not_for_long() {
        let sim = Sim::new(2);
        let host = sim.host(HostOptions::at("1.0.0.1".parse().expect("an address")));
        host.set_online(false);
        let known = Known::default();
        let tracker = tracker("http://t.example/");
        let began = tokio::time::Instant::now();
        for _ in 0..3 {
            let places = known.places(&host.network(), &tracker).await;
            assert_eq!(texts(&places), ["http://t.example/"]);
        }
        assert_eq!(began.elapsed(), PATIENCE);
        tokio::time::advance(FAILURE_LIFE).await;
        host.set_online(true);
        sim.text("t.example", b"BITTORRENT");
        assert!(known.places(&host.network(), &tracker).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn many_hosts_take_bounded_room() {
        let sim = Sim::new(3);
        let host = sim.host(HostOptions::at("1.0.0.1".parse().expect("an address")));
        let known = Known::default();
        for number in 0..2 * MOST {
            let tracker = tracker(&format!("http://t{number}.example/"));
            known.places(&host.network(), &tracker).await;
        }
        assert_eq!(known.0.lock().len(), MOST);
    }
}
