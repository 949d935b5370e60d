//! Sets of values for machines that are not desktops.

use std::str::FromStr;
use std::time::Duration;

use super::error::nearest;
use super::{Patch, WrongKind};

/// A set of values to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// For a desktop.
    #[default]
    Default,
    /// For a machine that seeds to many.
    HighPerformanceSeed,
    /// For a small device.
    MinMemoryUsage,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::Default,
        Self::HighPerformanceSeed,
        Self::MinMemoryUsage,
    ];

    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::HighPerformanceSeed => "high_performance_seed",
            Self::MinMemoryUsage => "min_memory_usage",
        }
    }

    /// What it is for.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Default => "For a desktop: changes nothing.",
            Self::HighPerformanceSeed => {
                "For a machine that does nothing but seed many torrents to many peers: thousands of connections and slots, many dials at \
                 a time, peers that take long or say nothing are let go of sooner, TCP yields to nothing, and trackers are asked by many at once."
            }
            Self::MinMemoryUsage => {
                "For a small device: few connections, few requests and few addresses kept, and few things done at a time. What memory \
                 goes into is buffers of connections, lists of peers, requests that wait, pieces that are begun, what the DHT stores for others and \
                 maps of files."
            }
        }
    }

    /// What it changes.
    pub fn patch(self) -> Patch {
        let s = Duration::from_secs;
        match self {
            Self::Default => Patch::new(),
            Self::HighPerformanceSeed => Patch::new()
                .with("connections.max", 8_000_u32)
                .with("connections.per_torrent", 2_000_u32)
                .with("connections.half_open", 200_u32)
                .with("connections.connect_timeout", s(10))
                .with("connections.idle_timeout", s(20))
                .with("connections.useless_after", s(20))
                .with("limits.mixed_mode", "prefer-tcp")
                .with("choking.slots", 200_u32)
                .with("peers.request_timeout", s(10))
                .with("peers.most_failures", 1_u32)
                .with("peers.choked_requests", 10_u32)
                .with("trackers.max_in_flight", 200_u32)
                .with("trackers.max_in_flight_per_host", 50_u32)
                .with("dht.at_once", 64_u32)
                .with("disk.open_files", 500_u32)
                .with("disk.threads", 8_u32),
            Self::MinMemoryUsage => Patch::new()
                .with("connections.max", 40_u32)
                .with("connections.per_torrent", 20_u32)
                .with("connections.half_open", 5_u32)
                .with("connections.useless_after", s(120))
                .with("choking.slots", 4_u32)
                .with("peers.known", 200_u32)
                .with("peers.max_requests", 200_u32)
                .with("peers.accept_requests", 100_u32)
                .with("peers.most_failures", 2_u32)
                .with("peers.choked_requests", 10_u32)
                .with("picking.begun_first", true)
                .with("trackers.max_in_flight", 4_u32)
                .with("trackers.max_in_flight_per_host", 2_u32)
                .with("trackers.num_want", 30_u32)
                .with("trackers.max_reply", "256KiB")
                .with("web_seeds.at_work", 1_u32)
                .with("web_seeds.lanes", 1_u32)
                .with("web_seeds.max_request", "1MiB")
                .with("dht.at_once", 4_u32)
                .with("dht.stored_peers", 2_000_u32)
                .with("dht.stored_items", 100_u32)
                .with("disk.open_files", 16_u32)
                .with("disk.mapped", "32MiB")
                .with("disk.threads", 1_u32),
        }
    }
}

impl FromStr for Preset {
    type Err = WrongKind;

    fn from_str(name: &str) -> Result<Self, WrongKind> {
        let found = Self::ALL.into_iter().find(|preset| preset.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            let near = nearest(name, names.into_iter());
            let near = near.map(|near| format!("did you mean \"{near}\"? "));
            WrongKind::OutOfRange {
                value: format!("\"{name}\""),
                range: format!(
                    "{}there are {}",
                    near.unwrap_or_default(),
                    names.map(|name| format!("\"{name}\"")).join(", ")
                ),
            }
        })
    }
}
