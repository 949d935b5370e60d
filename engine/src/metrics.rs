//! Counters and gauges of an engine: what they are called, what they count, and how they are written down.
//!
//! Names are those of libtorrent's session statistics where it counts the same: a group, a dot, and the rest.

mod exposition;

use std::sync::atomic::{AtomicU64, Ordering};

pub use self::exposition::Exposition;

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It counts from the start of the engine on.
    Counter,
    /// It is how it stands at the moment.
    Gauge,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// What it is called.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// What it is in: `bytes`, or nothing where things are counted. Names of what has a unit end with it.
    pub unit: &'static str,
    /// What it says, for a person to read.
    pub help: &'static str,
}

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What it is.
    pub about: &'static About,
    /// How much.
    pub value: u64,
}

/// All figures of an engine at one moment; see [`EngineHandle::metrics`](crate::EngineHandle::metrics).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics(Vec<Metric>);

macro_rules! table {
    (
        counted { $($field:ident = $counted:literal $(in $counted_unit:literal)?: $counted_help:literal;)* }
        counters { $($counter:literal $(in $counter_unit:literal)?: $counter_help:literal;)* }
        gauges { $($gauge:literal $(in $gauge_unit:literal)?: $gauge_help:literal;)* }
    ) => {
        /// What is counted as it happens, by whoever sees it.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(#[doc = $counted_help] pub(crate) $field: AtomicU64,)*
        }

        impl Counters {
            fn write(&self, to: &mut Metrics) {
                $(to.set($counted, self.$field.load(Ordering::Relaxed));)*
            }
        }

        impl Metrics {
            /// What all figures are, in the order in which they are told.
            pub const ALL: &[About] = &[
                $(about($counted, Kind::Counter, concat!($($counted_unit)?), $counted_help),)*
                $(about($counter, Kind::Counter, concat!($($counter_unit)?), $counter_help),)*
                $(about($gauge, Kind::Gauge, concat!($($gauge_unit)?), $gauge_help),)*
            ];
        }
    };
}

const fn about(name: &'static str, kind: Kind, unit: &'static str, help: &'static str) -> About {
    About {
        name,
        kind,
        unit,
        help,
    }
}

table! {
    counted {
        failed_bytes = "net.recv_failed_bytes" in "bytes": "Payload of pieces that were not what the torrent says.";
        bytes_in = "net.recv_bytes" in "bytes": "All that was received by connections to peers.";
        bytes_out = "net.sent_bytes" in "bytes": "All that was sent by connections to peers.";
        pieces_passed = "ses.num_piece_passed": "Pieces that were downloaded and are what the torrent says.";
        pieces_failed = "ses.num_piece_failed": "Pieces that were downloaded and are not.";
        incoming = "peer.incoming_connections": "Connections of others that named a torrent.";
        attempts = "peer.connection_attempts": "Connections that were tried to make.";
        ended = "peer.disconnected_peers": "Connections that have ended, and those that could not be made.";
        misbehaved = "peer.error_peers": "Connections that ended because the peer broke the protocol.";
        lost = "peer.eof_peers": "Connections that the peer closed, or the network.";
        silent = "peer.timeout_peers": "Connections that ended because the peer was silent.";
        redundant = "peer.uninteresting_peers": "Connections that ended because neither side wanted anything.";
        refused = "peer.connrefused_peers": "Connections that were refused.";
        unanswered = "peer.connect_timeouts": "Connections that nobody answered.";
        unreachable = "peer.unreachable_peers": "Connections to where there was no way.";
        banned = "peer.banned_for_hash_failure": "Peers that are not spoken to any more because of bad data.";
        requests_in = "peer.piece_requests": "Blocks that peers asked for.";
        blocks_read = "disk.num_blocks_read": "Blocks that were read to be sent.";
        blocks_written = "disk.num_blocks_written": "Blocks that were written.";
        disk_jobs = "disk.num_jobs": "Jobs that were given to the threads for hashes and checks.";
        announces = "tracker.num_tracker_announces": "Announces that were made.";
    }
    counters {
        "net.recv_payload_bytes" in "bytes": "Payload received from peers and web seeds, whatever became of it.";
        "net.sent_payload_bytes" in "bytes": "Payload sent to peers.";
        "net.recv_redundant_bytes" in "bytes": "Payload received that was there already, came too late or was bad.";
        "dht.dht_bytes_in": "Bytes that the DHT node has received.";
        "dht.dht_bytes_out": "Bytes that the DHT node has sent.";
        "dht.dht_messages_in": "Queries and answers that the DHT node has received.";
        "dht.dht_messages_out": "Queries and answers that the DHT node has sent.";
        "dht.dht_messages_in_dropped": "Queries that the DHT node did not answer because there were too many.";
    }
    gauges {
        "ses.num_torrents": "Torrents.";
        "ses.num_checking_torrents": "Torrents whose content is hashed.";
        "ses.num_downloading_torrents": "Torrents that fetch pieces, or the metadata.";
        "ses.num_error_torrents": "Torrents that stopped with an error.";
        "ses.num_seeding_torrents": "Torrents that serve all that they want.";
        "ses.num_stopped_torrents": "Torrents that stand still, as they were told to.";
        "ses.num_blocked_torrents": "Torrents of which nothing leaves by their route.";
        "peer.num_peers_connected": "Connected peers.";
        "peer.num_seeds_connected": "Connected peers that have everything.";
        "peer.num_seats_taken": "Connections that are there or being made.";
        "net.down_rate_bytes" in "bytes": "Payload received in a second.";
        "net.up_rate_bytes" in "bytes": "Payload sent in a second.";
        "disk.queued_disk_jobs": "Jobs that wait for a thread for hashes and checks.";
        "disk.num_running_disk_jobs": "Jobs that are being done by those threads.";
        "disk.file_pool_size": "Open files.";
        "disk.mapped_bytes" in "bytes": "Bytes of files that are mapped.";
        "disk.queued_write_bytes" in "bytes": "Bytes that were written and not yet handed to the disk.";
        "tracker.num_queued_tracker_announces": "Announces that wait for their turn.";
        "tracker.num_running_tracker_announces": "Announces that wait for an answer.";
        "dht.dht_nodes": "Nodes in the routing table of the DHT.";
        "dht.dht_torrents": "Torrents of which the DHT node keeps peers.";
        "dht.dht_peers": "Peers that the DHT node keeps.";
    }
}

impl Default for Metrics {
    /// All of them 0.
    fn default() -> Self {
        let all = Self::ALL.iter();
        Self(all.map(|about| Metric { about, value: 0 }).collect())
    }
}

impl Metrics {
    /// A figure by its name.
    pub fn get(&self, name: &str) -> Option<u64> {
        let found = self.0.iter().find(|metric| metric.about.name == name);
        found.map(|metric| metric.value)
    }

    /// All of them, in the order of [`Metrics::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.0.iter()
    }

    /// Adds them to a page.
    pub fn write(&self, page: &mut Exposition) {
        for Metric { about, value } in &self.0 {
            page.family(about.name, about.kind, about.unit, about.help);
            page.sample(&[], value);
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: u64) {
        let found = self.0.iter_mut().find(|metric| metric.about.name == name);
        debug_assert!(found.is_some(), "{name} is in the table");
        if let Some(metric) = found {
            metric.value = value;
        }
    }

    /// Takes over what was counted.
    pub(crate) fn count(&mut self, counters: &Counters) {
        counters.write(self);
    }

    /// Takes over how it stands with the DHT.
    pub(crate) fn dht(&mut self, status: &dht::Status) {
        let families = status.families.iter().flatten();
        let counters = &status.counters;
        for (name, value) in [
            (
                "dht.dht_nodes",
                families.map(|family| family.nodes as u64).sum(),
            ),
            ("dht.dht_torrents", status.torrents as u64),
            ("dht.dht_peers", status.peers as u64),
            ("dht.dht_bytes_in", counters.bytes_in),
            ("dht.dht_bytes_out", counters.bytes_out),
            (
                "dht.dht_messages_in",
                counters.queries_in + counters.answers_in,
            ),
            (
                "dht.dht_messages_out",
                counters.queries_out + counters.answers_out,
            ),
            ("dht.dht_messages_in_dropped", counters.refused),
        ] {
            self.set(name, value);
        }
    }
}

impl Counters {
    /// Counts more.
    pub(crate) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
