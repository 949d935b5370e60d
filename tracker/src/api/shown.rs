//! What is shown, as JSON.

use protocol::id::identify;
use serde::Serialize;

use super::{hex, when};
use crate::access::{Key, Unix};
use crate::clock::Clock;
use crate::swarms::{Event, PeerView, TorrentView};
use crate::tracker::Statistics;

/// The figures, by the names of Torrust.
#[derive(Debug, Serialize)]
pub(super) struct ShownStats {
    torrents: u64,
    seeders: u64,
    completed: u64,
    leechers: u64,
    tcp4_connections_handled: u64,
    tcp4_announces_handled: u64,
    tcp4_scrapes_handled: u64,
    tcp6_connections_handled: u64,
    tcp6_announces_handled: u64,
    tcp6_scrapes_handled: u64,
    udp4_connections_handled: u64,
    udp4_announces_handled: u64,
    udp4_scrapes_handled: u64,
    udp6_connections_handled: u64,
    udp6_announces_handled: u64,
    udp6_scrapes_handled: u64,
}

/// A torrent; its peers only where it is the only one.
#[derive(Debug, Serialize)]
pub(super) struct ShownTorrent {
    info_hash: String,
    seeders: u32,
    completed: u32,
    leechers: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<Vec<ShownPeer>>,
}

#[derive(Debug, Serialize)]
struct ShownPeer {
    peer_id: ShownId,
    peer_addr: String,
    /// Unix time in milliseconds, to the second.
    updated: u64,
    /// The same, as Torrust has it under this name.
    updated_milliseconds_ago: u64,
    last_announce_age_ms: u64,
    uploaded: u64,
    downloaded: u64,
    left: i64,
    event: &'static str,
}

/// Both null where ids are not kept.
#[derive(Debug, Serialize)]
struct ShownId {
    id: Option<String>,
    client: Option<String>,
}

/// A key; both times null where it holds for ever.
#[derive(Debug, Serialize)]
pub(super) struct ShownKey {
    key: String,
    valid_until: Option<u64>,
    expiry_time: Option<String>,
}

impl From<&Statistics> for ShownStats {
    fn from(it: &Statistics) -> Self {
        let (udp, http) = (&it.udp, &it.http);
        let peers = it.swarms.v4.and(it.swarms.v6);
        Self {
            torrents: it.swarms.torrents,
            seeders: peers.seeders.into(),
            completed: it.swarms.completed,
            leechers: peers.leechers.into(),
            // Each request of a connection counts.
            tcp4_connections_handled: v4(http.announces, http.announces_v6)
                + v4(http.scrapes, http.scrapes_v6),
            tcp4_announces_handled: v4(http.announces, http.announces_v6),
            tcp4_scrapes_handled: v4(http.scrapes, http.scrapes_v6),
            tcp6_connections_handled: http.announces_v6 + http.scrapes_v6,
            tcp6_announces_handled: http.announces_v6,
            tcp6_scrapes_handled: http.scrapes_v6,
            udp4_connections_handled: v4(udp.connects, udp.connects_v6),
            udp4_announces_handled: v4(udp.announces, udp.announces_v6),
            udp4_scrapes_handled: v4(udp.scrapes, udp.scrapes_v6),
            udp6_connections_handled: udp.connects_v6,
            udp6_announces_handled: udp.announces_v6,
            udp6_scrapes_handled: udp.scrapes_v6,
        }
    }
}

impl ShownTorrent {
    pub(super) fn new(torrent: &TorrentView) -> Self {
        Self {
            info_hash: hex(&torrent.info_hash),
            seeders: torrent.counts.seeders,
            completed: torrent.completed,
            leechers: torrent.counts.leechers,
            peers: None,
        }
    }

    pub(super) fn with_peers(torrent: &TorrentView, peers: &[PeerView], clock: &Clock) -> Self {
        Self {
            peers: Some(
                peers
                    .iter()
                    .map(|peer| ShownPeer::new(peer, clock))
                    .collect(),
            ),
            ..Self::new(torrent)
        }
    }
}

impl ShownPeer {
    fn new(peer: &PeerView, clock: &Clock) -> Self {
        let now = clock.now();
        let age = now.seconds().since(peer.seen);
        let updated = now.unix().saturating_sub(age.into()) * 1000;
        let report = peer.report.unwrap_or_default();
        let id = peer.peer_id.as_ref();
        // Without reports it is only known whether there is something left.
        let left = match peer.report {
            Some(report) => i64::try_from(report.left).unwrap_or(-1),
            None if peer.seeder => 0,
            None => -1,
        };
        Self {
            peer_id: ShownId {
                id: id.map(|id| format!("0x{}", data_encoding::HEXLOWER.encode(id.as_bytes()))),
                client: id.map(identify),
            },
            peer_addr: peer.addr.to_string(),
            updated,
            updated_milliseconds_ago: updated,
            last_announce_age_ms: u64::from(age) * 1000,
            uploaded: report.uploaded,
            downloaded: report.downloaded,
            left,
            event: match report.event {
                Event::None => "None",
                Event::Completed => "Completed",
                Event::Paused => "Paused",
                Event::Started => "Started",
            },
        }
    }
}

impl ShownKey {
    pub(super) fn new(key: &Key, until: Option<Unix>) -> Self {
        Self {
            key: key.as_str().to_owned(),
            valid_until: until,
            expiry_time: until.map(when::utc),
        }
    }
}

const fn v4(all: u64, v6: u64) -> u64 {
    all.saturating_sub(v6)
}
