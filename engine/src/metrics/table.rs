//! The names of all figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use net::Meter;
use protocol::krpc::MethodKind;
use protocol::peer::MessageKind;

use super::{About, Kind, Metrics};

macro_rules! table {
    (
        counted { $($field:ident = $counted:literal $(in $counted_unit:literal)?: $counted_help:literal;)* }
        messages { $($message:ident = $word:literal: $what:literal;)* }
        methods { $($method:ident = $query:literal;)* }
        heads { $($head:ident = $sum:literal: $sum_help:literal;)* }
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
            /// Bytes to and from trackers.
            pub(crate) trackers: Arc<Meter>,
            /// What is there now, by [`Head`]: whoever has some of it adds it, and takes it off when it goes.
            pub(super) heads: [AtomicU64; Head::COUNT],
        }

        /// What is there now, counted by those who have it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Head {
            $(#[doc = $sum_help] $head,)*
        }

        impl Head {
            /// How many there are.
            pub(crate) const COUNT: usize = Self::ALL.len();

            /// All of them, in their order.
            pub(crate) const ALL: [Self; [$($sum),*].len()] = [$(Self::$head),*];
        }

        /// Of each kind of query of the DHT, the figures of those received, sent, and not in order.
        pub(super) const METHODS: &[(MethodKind, [&str; 3])] = &[
            $((MethodKind::$method, [
                concat!("dht.dht_", $query, "_in"),
                concat!("dht.dht_", $query, "_out"),
                concat!("dht.dht_invalid_", $query),
            ]),)*
        ];

        impl Counters {
            /// What was counted, in the order of [`Metrics::ALL`], whose first figures these are.
            pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
                let counted = [$(&self.$field),*];
                let incoming = [$(MessageKind::$message),*].map(|kind| &self.heard[kind as usize]);
                let outgoing = [$(MessageKind::$message),*].map(|kind| &self.told[kind as usize]);
                let heads = self.heads.each_ref();
                let all = counted.into_iter().chain(incoming).chain(outgoing).chain(heads);
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
                $(about($sum, Kind::Gauge, "", $sum_help),)*
                $(about(
                    concat!("dht.dht_", $query, "_in"),
                    Kind::Counter,
                    "",
                    concat!("Queries received by the DHT node: ", $query, "."),
                ),)*
                $(about(
                    concat!("dht.dht_", $query, "_out"),
                    Kind::Counter,
                    "",
                    concat!("Queries sent by the DHT node: ", $query, "."),
                ),)*
                $(about(
                    concat!("dht.dht_invalid_", $query),
                    Kind::Counter,
                    "",
                    concat!("Queries received by the DHT node that are not in order: ", $query, "."),
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
        overhead_in = "net.recv_tcp_overhead_bytes" in "bytes": "Headers of packets received from peers by TCP, as they are estimated.";
        overhead_out = "net.sent_tcp_overhead_bytes" in "bytes": "Headers of packets sent to peers by TCP, as they are estimated.";
        misbehaved = "peer.error_peers": "Connections that ended because the peer broke the protocol.";
        lost = "peer.eof_peers": "Connections that the peer closed, or the network.";
        silent = "peer.timeout_peers": "Connections that ended because the peer was silent.";
        redundant = "peer.uninteresting_peers": "Connections that ended because neither side wanted anything.";
        refused = "peer.connrefused_peers": "Connections that were refused.";
        unanswered = "peer.connect_timeouts": "Connections that nobody answered.";
        unreachable = "peer.unreachable_peers": "Connections to where there was no way.";
        failed_in = "peer.error_incoming_peers": "Connections of others that failed, for whatever reason.";
        failed_out = "peer.error_outgoing_peers": "Connections to others that failed, for whatever reason.";
        failed_tcp = "peer.error_tcp_peers": "Connections of TCP that failed after they were there.";
        failed_utp = "peer.error_utp_peers": "Connections of uTP that failed after they were there.";
        failed_encrypted = "peer.error_encrypted_peers": "Connections under the stream encryption that failed.";
        failed_rc4 = "peer.error_rc4_peers": "Connections under RC4 that failed.";
        too_many = "peer.too_many_peers": "Connections of others that there was no room for.";
        reset = "peer.connreset_peers": "Connections that were reset by the other side.";
        aborted = "peer.connaborted_peers": "Connections that the system or uTP gave up.";
        broken_pipe = "peer.broken_pipe_peers": "Connections that were closed while something was sent.";
        not_connected = "peer.notconnected_peers": "Connections that were gone before they were used.";
        transport_timeout = "peer.transport_timeout_peers": "Connections on which nothing sent was acknowledged.";
        no_access = "peer.no_access_peers": "Connections that the system forbade.";
        addr_in_use = "peer.addrinuse_peers": "Connections for which the system had no address or port.";
        invalid_arg = "peer.invalid_arg_peers": "Connections to addresses that cannot be connected to.";
        no_room = "peer.buffer_peers": "Connections for which the system had no memory, buffer or open file left.";
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
    methods {
        AnnouncePeer = "announce_peer";
        FindNode = "find_node";
        Get = "get";
        GetPeers = "get_peers";
        Ping = "ping";
        Put = "put";
        SampleInfohashes = "sample_infohashes";
    }
    heads {
        TcpPeers = "peer.num_tcp_peers": "Connected peers by TCP.";
        UtpPeers = "peer.num_utp_peers": "Connected peers by uTP.";
        ProxiedPeers = "peer.num_proxied_peers": "Connected peers through a proxy.";
        EncryptedPeers = "peer.num_encrypted_peers": "Connected peers under the stream encryption.";
        IncomingPeers = "peer.num_incoming_peers": "Connected peers that have connected to us.";
        OutgoingPeers = "peer.num_outgoing_peers": "Connected peers that we have connected to.";
        HalfOpenPeers = "peer.num_peers_half_open": "Connections that are being made.";
        UpInterested = "peer.num_peers_up_interested": "Connected peers that want something of us.";
        DownInterested = "peer.num_peers_down_interested": "Connected peers of which we want something.";
        UpUnchokedAll = "peer.num_peers_up_unchoked_all": "Connected peers that we serve.";
        UpUnchokedOptimistic = "peer.num_peers_up_unchoked_optimistic": "Connected peers that we serve by chance, to see what they give.";
        UpUnchoked = "peer.num_peers_up_unchoked": "Connected peers that we serve, not by chance.";
        DownUnchoked = "peer.num_peers_down_unchoked": "Connected peers that serve us.";
        UpRequests = "peer.num_peers_up_requests": "Connected peers whose requests wait here.";
        DownRequests = "peer.num_peers_down_requests": "Connected peers that have requests of ours.";
        EndGame = "peer.num_peers_end_game": "Connected peers of torrents whose last blocks are asked of several peers.";
        BannedPeers = "peer.num_banned_peers": "Addresses that torrents do not speak to any more.";
        KnownPeers = "peer.num_known_peers": "Addresses of peers that torrents know.";
        Slots = "ses.num_unchoke_slots": "Peers that may be served at the same time, of torrents that are at work.";
        HavePieces = "ses.num_have_pieces": "Pieces that are there and verified, of torrents that are at work.";
        TotalPieces = "ses.num_total_pieces": "Pieces of torrents that are at work.";
        UploadOnly = "ses.num_upload_only_torrents": "Torrents that have all that they want, which is not all.";
    }
    counters {
        "disk.num_jobs": "Jobs that were given to the threads for hashes and checks.";
        "net.recv_payload_bytes" in "bytes": "Payload received from peers and web seeds, whatever became of it.";
        "net.sent_payload_bytes" in "bytes": "Payload sent to peers.";
        "net.recv_redundant_bytes" in "bytes": "Payload received that was there already, came too late or was bad.";
        "net.recv_ip_overhead_bytes" in "bytes": "Headers of packets received from peers: counted of uTP, estimated of TCP.";
        "net.sent_ip_overhead_bytes" in "bytes": "Headers of packets sent to peers: counted of uTP, estimated of TCP.";
        "net.recv_tracker_bytes" in "bytes": "Bytes received from trackers: of their connections, TLS included, and of their datagrams.";
        "net.sent_tracker_bytes" in "bytes": "Bytes sent to trackers: by connections, TLS included, and as datagrams.";
        "disk.num_blocks_hashed": "Blocks of 16 KiB that were hashed, each time that they were.";
        "disk.num_read_back": "Of these, blocks that had just been written and were read again for it.";
        "disk.num_write_ops": "Writes to files: of neighbouring blocks together, where they came together.";
        "disk.num_read_ops": "Reads from files, and parts of files that were mapped to be read.";
        "disk.file_pool_hits": "Times that a file was used and was open.";
        "disk.file_pool_misses": "Times that a file had to be opened first.";
        "disk.write_microseconds" in "microseconds": "How long writes to files took, one after the other.";
        "utp.utp_packets_in": "Packets received by uTP.";
        "utp.utp_packets_out": "Packets sent by uTP.";
        "utp.utp_payload_pkts_in": "Packets with payload received by uTP.";
        "utp.utp_payload_pkts_out": "Packets with payload sent by uTP.";
        "utp.utp_redundant_pkts_in": "Packets received by uTP that were there already, or found no room.";
        "utp.utp_invalid_pkts_in": "Datagrams that look like packets of uTP and are none.";
        "utp.utp_packet_loss": "Packets of uTP that counted as lost.";
        "utp.utp_fast_retransmit": "Of these, packets that later ones told of before their time was over.";
        "utp.utp_packet_resend": "Packets that were sent again by uTP.";
        "utp.utp_timeout": "Times that nothing came back by uTP in time.";
        "utp.utp_samples_above_target": "Acknowledgements of uTP that told of a longer queue than is aimed at.";
        "utp.utp_samples_below_target": "Acknowledgements of uTP that told of no longer queue than is aimed at.";
        "dht.dht_bytes_in": "Bytes that the DHT node has received.";
        "dht.dht_bytes_out": "Bytes that the DHT node has sent.";
        "dht.dht_messages_in": "Queries and answers that the DHT node has received.";
        "dht.dht_messages_out": "Queries and answers that the DHT node has sent.";
        "dht.dht_lost": "Queries of the DHT node that nobody answered.";
        "dht.dht_messages_out_dropped": "Queries and answers of the DHT node that were not sent because too many waited.";
        "dht.dht_messages_in_dropped": "Queries that the DHT node did not answer because there were too many.";
    }
    gauges {
        "ses.num_torrents": "Torrents.";
        "ses.num_checking_torrents": "Torrents whose content is hashed.";
        "ses.num_downloading_torrents": "Torrents that fetch pieces, or the metadata.";
        "ses.num_error_torrents": "Torrents that stopped with an error.";
        "ses.num_seeding_torrents": "Torrents that serve all that they want.";
        "ses.num_queued_torrents": "Torrents that wait for their turn in the queue.";
        "ses.num_stopped_torrents": "Torrents that stand still, as they were told to.";
        "ses.num_blocked_torrents": "Torrents of which nothing leaves by their route.";
        "ses.num_unfiltered_torrents": "Torrents that go by a way on which no IP filter holds.";
        "peer.num_peers_connected": "Connected peers.";
        "peer.num_seeds_connected": "Connected peers that have everything.";
        "peer.num_seats_taken": "Connections that are there or being made.";
        "net.down_rate_bytes" in "bytes": "Payload received in a second.";
        "net.up_rate_bytes" in "bytes": "Payload sent in a second.";
        "net.has_incoming_connections": "Whether anybody has connected to us.";
        "net.limiter_down_queue": "Connections that wait for the limits of what is received.";
        "net.limiter_down_bytes" in "bytes": "What these want to receive at once.";
        "net.limiter_up_queue": "Connections that wait for the limits of what is sent.";
        "net.limiter_up_bytes" in "bytes": "What these want to send at once.";
        "utp.num_utp_syn_sent": "Streams of uTP that wait for the other side's first answer.";
        "utp.num_utp_unproven": "Streams of uTP of others who have not shown to be where they say.";
        "utp.num_utp_connected": "Streams of uTP that carry bytes.";
        "utp.num_utp_fin_sent": "Streams of uTP of which one side has ended, and the other not yet.";
        "utp.num_utp_lingering": "Streams of uTP that are done, of which the other side may not know yet.";
        "disk.queued_disk_jobs": "Jobs that wait for a thread for hashes and checks.";
        "disk.num_running_disk_jobs": "Jobs that are being done by those threads.";
        "disk.num_unhashed": "Blocks that were written and of which the piece was not hashed yet.";
        "disk.file_pool_size": "Open files.";
        "disk.mapped_bytes" in "bytes": "Bytes of files that are mapped.";
        "disk.queued_write_bytes" in "bytes": "Bytes that were written and not yet handed to the disk.";
        "tracker.num_queued_tracker_announces": "Announces that wait for their turn.";
        "tracker.num_running_tracker_announces": "Announces that wait for an answer.";
        "dht.dht_nodes": "Nodes in the routing table of the DHT.";
        "dht.dht_node_cache": "Nodes that are kept to take the place of those in the table.";
        "dht.dht_immutable_data": "Items that others have stored with the DHT node, found by their digests.";
        "dht.dht_mutable_data": "Items that others have stored with the DHT node, signed by their owners.";
        "dht.dht_waiting_queries": "Queries of the DHT node that wait for an answer.";
        "dht.dht_torrents": "Torrents of which the DHT node keeps peers.";
        "dht.dht_peers": "Peers that the DHT node keeps.";
    }
}

impl Metrics {
    /// What says how long things took, in the order in which it is told.
    pub const HISTOGRAMS: &[About] = &[
        about(
            "disk.job_seconds",
            Kind::Histogram,
            "seconds",
            "How long jobs for hashes and checks took, reading included.",
        ),
        about(
            "disk.job_wait_seconds",
            Kind::Histogram,
            "seconds",
            "How long jobs for hashes and checks had waited for a thread.",
        ),
    ];
}
