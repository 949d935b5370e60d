//! How trackers are announced to.

use std::net::IpAddr;
use std::time::Duration;

/// To how many trackers a torrent announces (BEP 12). Private torrents always announce as by
/// [`AnnounceMode::Strict`] (BEP 27).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnnounceMode {
    /// To one: the first that works, tier by tier.
    #[default]
    Strict,
    /// To the first of each tier that works.
    EveryTier,
    /// To every one.
    EveryTracker,
}

/// How all torrents of an engine announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerConfig {
    /// To how many trackers of a torrent.
    pub mode: AnnounceMode,
    /// Requests that may be under way at the same time, to all trackers together; at least 1.
    pub max_in_flight: usize,
    /// Requests that may be under way at the same time to one tracker (scheme, host and port); at least 1.
    pub max_in_flight_per_host: usize,
    /// The time between the starts of two requests to one tracker, on average; each gap is between half of it and one
    /// and a half. Farewells do not wait for it.
    pub spacing: Duration,
    /// The port to tell trackers, where it is not the one that is listened on (a forwarded port).
    pub announce_port: Option<u16>,
    /// The address to tell trackers, where they would see a wrong one; few heed it.
    pub announce_ip: Option<IpAddr>,
    /// Peers to ask for.
    pub num_want: u32,
    /// The longest time that farewells to trackers may take when a torrent or the engine stops.
    pub farewell: Duration,
}

impl Default for TrackerConfig {
    /// One tracker a torrent; 50 requests at a time, 10 of them to one tracker, 20 ms apart; 100 peers; 10 s for farewells.
    fn default() -> Self {
        Self {
            mode: AnnounceMode::Strict,
            max_in_flight: 50,
            max_in_flight_per_host: 10,
            spacing: Duration::from_millis(20),
            announce_port: None,
            announce_ip: None,
            num_want: 100,
            farewell: Duration::from_secs(10),
        }
    }
}
