//! The names of all figures.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::peer::MessageKind;

use super::{About, Kind, Metrics};

macro_rules! table {
    (
        counted { $($field:ident = $counted:literal $(in $counted_unit:literal)?: $counted_help:literal;)* }
        messages { $($message:ident = $word:literal: $what:literal;)* }
        counters { $($counter:literal $(in $counter_unit:literal)?: $counter_help:literal;)* }
        gauges { $($gauge:literal $(in $gauge_unit:literal)?: $gauge_help:literal;)* }
    ) => {
        /// What is counted as it happens, by whoever sees it.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(#[doc = $counted_help] pub(crate) $field: AtomicU64,)*
            /// Messages from peers, by [`MessageKind`].
            pub(crate) heard: [AtomicU64; MessageKind::COUNT],
            /// Messages to peers, by [`MessageKind`].
            pub(crate) told: [AtomicU64; MessageKind::COUNT],
        }

        impl Counters {
            /// What was counted, in the order of [`Metrics::ALL`], whose first figures these are.
            pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
                let counted = [$(&self.$field),*];
                let incoming = [$(MessageKind::$message),*].map(|kind| &self.heard[kind as usize]);
                let outgoing = [$(MessageKind::$message),*].map(|kind| &self.told[kind as usize]);
                let all = counted.into_iter().chain(incoming).chain(outgoing);
                all.map(|of| of.load(Ordering::Relaxed))
            }
        }

        impl Metrics {
            /// What all figures are, in the order in which they are told.
            pub const ALL: &[About] = &[
                $(about($counted, Kind::Counter, concat!($($counted_unit)?), $counted_help),)*
                $(about(
                    concat!("ses.num_incoming_", $word),
                    Kind::Counter,
                    "",
                    concat!("Messages of peers: ", $what, "."),
                ),)*
                $(about(
                    concat!("ses.num_outgoing_", $word),
                    Kind::Counter,
                    "",
                    concat!("Messages to peers: ", $what, "."),
                ),)*
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
        requests_invalid = "peer.invalid_piece_requests": "Requests of peers that nothing can answer.";
        requests_choked = "peer.choked_piece_requests": "Requests of peers that came while they were not served.";
        requests_excess = "peer.max_piece_requests": "Requests of peers beyond those that they may have waiting.";
        requests_cancelled = "peer.cancelled_piece_requests": "Requests that peers took back in time.";
        requests_refused = "peer.piece_rejects": "Requests of peers that were turned away, for whatever reason.";
        wasted_late = "ses.waste_piece_timed_out": "Bytes of blocks that came after they were taken back.";
        wasted_unasked = "ses.waste_piece_unknown": "Bytes of blocks that nobody had asked for.";
        wasted_twice = "ses.waste_piece_end_game": "Bytes of blocks that others had brought meanwhile, or that were given up on.";
        blocks_read = "disk.num_blocks_read": "Blocks that were read to be sent.";
        blocks_written = "disk.num_blocks_written": "Blocks that were written.";
        disk_jobs = "disk.num_jobs": "Jobs that were given to the threads for hashes and checks.";
        announces = "tracker.num_tracker_announces": "Announces that were made.";
    }
    messages {
        Choke = "choke": "no requests are served";
        Unchoke = "unchoke": "requests are served";
        Interested = "interested": "something is wanted";
        NotInterested = "not_interested": "nothing is wanted";
        Have = "have": "one more piece is there";
        Bitfield = "bitfield": "the pieces that are there";
        Request = "request": "a block is asked for";
        Piece = "piece": "a block";
        Cancel = "cancel": "a request is taken back";
        Port = "dht_port": "the port of a node of the DHT";
        Suggest = "suggest": "a piece that should be asked for";
        HaveAll = "have_all": "all pieces are there";
        HaveNone = "have_none": "no piece is there";
        Reject = "reject": "a request is refused";
        AllowedFast = "allowed_fast": "a piece that may always be asked for";
        ExtensionHandshake = "ext_handshake": "the handshake of extensions";
        Pex = "pex": "addresses of other peers";
        Metadata = "metadata": "metadata, and what is asked and refused of it";
        Extended = "extended": "all that are of extensions";
        HashRequest = "hash_request": "hashes are asked for";
        Hashes = "hashes": "hashes";
        HashReject = "hash_reject": "hashes are refused";
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
