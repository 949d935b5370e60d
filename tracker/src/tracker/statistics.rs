//! The figures of a tracker.

use crate::http::HttpCounts;
use crate::store::StoreCounts;
use crate::swarms::Totals;
use crate::udp::UdpCounts;

/// The figures of one moment; sums are since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Torrents and peers.
    pub swarms: Totals,
    /// Announces whose peer was left out, because there were too many torrents or peers.
    pub left_out: u64,
    /// Completions that will not be written, because those of too many torrents waited for the database.
    pub dropped_completions: u64,
    /// Torrents on the list.
    pub listed: u64,
    /// Keys, those whose time is over included.
    pub keys: u64,
    /// Seconds since the start.
    pub uptime: u32,
    /// What was answered by UDP.
    pub udp: UdpCounts,
    /// What was answered by HTTP.
    pub http: HttpCounts,
    /// How it stands with the database.
    pub store: StoreCounts,
}
