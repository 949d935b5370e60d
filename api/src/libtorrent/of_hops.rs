//! What holds of torrents that go through circuits.

use std::sync::Arc;

use engine::{State, TorrentStatus};
use serde_json::{Map, Value};

use super::fixed::Fixed::{self, Empty, Is, No, Yes};

/// What is otherwise on their way, whatever the settings of the direct one are: nothing ties them to this machine, there are uTP, UDP
/// trackers and a DHT that only asks, and neither local networks nor routers.
pub(super) const SETTINGS: &[(&str, Fixed)] = &[
    ("anonymous_mode", Yes),
    ("announce_ip", Empty),
    ("announce_port", Is(0)),
    ("dht_read_only", Yes),
    ("enable_incoming_tcp", No),
    ("enable_incoming_utp", Yes),
    ("enable_lsd", No),
    ("enable_natpmp", No),
    ("enable_outgoing_tcp", No),
    ("enable_outgoing_utp", Yes),
    ("enable_upnp", No),
    ("handshake_client_version", Empty),
    ("listen_interfaces", Empty),
    ("max_web_seed_connections", Is(0)),
    ("outgoing_interfaces", Empty),
    ("peer_dscp", Is(0)),
    ("peer_fingerprint", Empty),
    ("proxy_hostname", Empty),
    ("proxy_port", Is(0)),
    ("proxy_type", Is(0)),
    ("proxy_username", Empty),
    ("user_agent", Empty),
];

/// What is counted of torrents that have so many hops.
pub(super) fn figures(torrents: &[Arc<TorrentStatus>], hops: u64) -> Map<String, Value> {
    let all = || {
        let torrents = torrents.iter();
        torrents.filter(|torrent| u64::from(torrent.hops) == hops)
    };
    let count = |is: fn(&TorrentStatus) -> bool| all().filter(|torrent| is(torrent)).count() as u64;
    let sum = |of: fn(&TorrentStatus) -> u64| all().map(|torrent| of(torrent)).sum::<u64>();
    let figures = [
        ("ses.num_torrents", count(|_| true)),
        (
            "ses.num_checking_torrents",
            count(|torrent| matches!(torrent.state, State::Checking { .. })),
        ),
        (
            "ses.num_downloading_torrents",
            count(|torrent| matches!(torrent.state, State::Downloading | State::FetchingMetadata)),
        ),
        (
            "ses.num_error_torrents",
            count(|torrent| matches!(torrent.state, State::Error(_))),
        ),
        (
            "ses.num_queued_torrents",
            count(|torrent| matches!(torrent.state, State::Queued)),
        ),
        (
            "ses.num_seeding_torrents",
            count(|torrent| matches!(torrent.state, State::Seeding)),
        ),
        (
            "ses.num_stopped_torrents",
            count(|torrent| matches!(torrent.state, State::Paused)),
        ),
        (
            "ses.num_blocked_torrents",
            count(|torrent| torrent.blocked.is_some()),
        ),
        (
            "peer.num_peers_connected",
            sum(|torrent| torrent.peers as u64),
        ),
        (
            "peer.num_seeds_connected",
            sum(|torrent| torrent.seeds as u64),
        ),
        ("net.down_rate_bytes", sum(|torrent| torrent.down_rate)),
        ("net.up_rate_bytes", sum(|torrent| torrent.up_rate)),
    ];
    let figures = figures.into_iter();
    figures
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}
