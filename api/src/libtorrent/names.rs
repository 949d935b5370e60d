//! Settings of libtorrent that are one of ours, in other units at most.

use engine::settings::Value as Setting;
use engine::units::{Rate, Size, Span};
use serde_json::Value;

/// How a value is written there.
#[derive(Clone, Copy, Debug)]
pub(super) enum As {
    /// In bytes, or bytes a second.
    Bytes,
    /// In hundredths.
    Hundredths,
    /// In thousandths of a second.
    Millis,
    /// Turned round.
    Not,
    /// As it is.
    Plain,
    /// In seconds.
    Seconds,
}

impl As {
    pub(super) fn of(self, value: &Setting) -> Value {
        match (self, value) {
            (Self::Bytes, Setting::Text(text)) => bytes(text).into(),
            (Self::Hundredths, Setting::Float(number)) => ((number * 100.0).round() as i64).into(),
            (Self::Millis, Setting::Text(text)) => (span(text).as_millis() as u64).into(),
            (Self::Seconds, Setting::Text(text)) => span(text).as_secs().into(),
            (Self::Not, Setting::Bool(on)) => (!on).into(),
            (_, value) => serde_json::to_value(value).unwrap_or_default(),
        }
    }
}

fn bytes(text: &str) -> u64 {
    let size = text.parse().map(|Size(bytes)| bytes);
    let rate = || text.parse().map(|Rate(rate)| rate.unwrap_or_default());
    size.or_else(|_| rate()).unwrap_or_default()
}

fn span(text: &str) -> std::time::Duration {
    text.parse().map(|Span(span)| span).unwrap_or_default()
}

/// Names of libtorrent's, the setting that each stands for, and how it is written there.
pub(super) const NAMES: &[(&str, &str, As)] = &[
    ("user_agent", "identity.client", As::Plain),
    ("announce_ip", "trackers.announce_ip", As::Plain),
    ("announce_port", "trackers.announce_port", As::Plain),
    ("listen_interfaces", "network.listen", As::Plain),
    ("outgoing_interfaces", "network.bind", As::Plain),
    ("max_retry_port_bind", "network.port_tries", As::Plain),
    ("listen_system_port_fallback", "network.any_port", As::Plain),
    ("enable_outgoing_tcp", "connections.outgoing_tcp", As::Plain),
    ("enable_incoming_tcp", "connections.incoming_tcp", As::Plain),
    ("enable_outgoing_utp", "connections.outgoing_utp", As::Plain),
    ("enable_incoming_utp", "connections.incoming_utp", As::Plain),
    ("utp_syn_resends", "network.utp_connect_resends", As::Plain),
    ("utp_fin_resends", "network.utp_end_resends", As::Plain),
    ("utp_num_resends", "network.utp_data_resends", As::Plain),
    (
        "utp_connect_timeout",
        "network.utp_connect_timeout",
        As::Millis,
    ),
    ("connections_limit", "connections.max", As::Plain),
    ("connection_speed", "connections.half_open", As::Plain),
    ("torrent_connect_boost", "connections.half_open", As::Plain),
    (
        "peer_connect_timeout",
        "connections.connect_timeout",
        As::Seconds,
    ),
    (
        "handshake_timeout",
        "connections.handshake_timeout",
        As::Seconds,
    ),
    ("peer_timeout", "connections.idle_timeout", As::Seconds),
    (
        "inactivity_timeout",
        "connections.useless_after",
        As::Seconds,
    ),
    ("max_failcount", "peers.most_failures", As::Plain),
    ("min_reconnect_time", "peers.retry_after", As::Seconds),
    ("peer_turnover", "connections.turnover", As::Plain),
    (
        "peer_turnover_cutoff",
        "connections.turnover_from",
        As::Plain,
    ),
    (
        "peer_turnover_interval",
        "connections.turnover_every",
        As::Seconds,
    ),
    (
        "seeding_outgoing_connections",
        "connections.dial_when_done",
        As::Plain,
    ),
    (
        "close_redundant_connections",
        "connections.close_redundant",
        As::Plain,
    ),
    (
        "no_connect_privileged_ports",
        "connections.low_ports",
        As::Not,
    ),
    ("max_peerlist_size", "peers.known", As::Plain),
    ("max_pex_peers", "peers.from_message", As::Plain),
    (
        "incoming_starts_queued_torrents",
        "queue.peers_start",
        As::Plain,
    ),
    ("upload_rate_limit", "limits.up", As::Bytes),
    ("download_rate_limit", "limits.down", As::Bytes),
    ("unchoke_slots_limit", "choking.slots", As::Plain),
    (
        "num_optimistic_unchoke_slots",
        "choking.optimistic",
        As::Plain,
    ),
    ("unchoke_interval", "choking.round_every", As::Seconds),
    (
        "optimistic_unchoke_interval",
        "choking.optimistic_every",
        As::Seconds,
    ),
    (
        "rate_choker_initial_threshold",
        "choking.rate_step",
        As::Bytes,
    ),
    ("max_rejects", "peers.choked_requests", As::Plain),
    ("request_queue_time", "peers.queue_time", As::Seconds),
    ("max_out_request_queue", "peers.max_requests", As::Plain),
    (
        "max_allowed_in_request_queue",
        "peers.accept_requests",
        As::Plain,
    ),
    ("request_timeout", "peers.request_timeout", As::Seconds),
    ("piece_timeout", "peers.request_timeout", As::Seconds),
    (
        "initial_picker_threshold",
        "picking.random_first",
        As::Plain,
    ),
    (
        "prioritize_partial_pieces",
        "picking.begun_first",
        As::Plain,
    ),
    ("piece_extent_affinity", "picking.neighbours", As::Plain),
    ("auto_sequential", "picking.in_order_of_many", As::Plain),
    ("active_downloads", "queue.downloads", As::Plain),
    ("active_seeds", "queue.seeds", As::Plain),
    ("active_checking", "queue.checking", As::Plain),
    ("active_limit", "queue.active", As::Plain),
    ("active_dht_limit", "queue.dht", As::Plain),
    ("active_tracker_limit", "queue.trackers", As::Plain),
    ("active_lsd_limit", "queue.local_discovery", As::Plain),
    ("auto_manage_interval", "queue.every", As::Seconds),
    ("auto_manage_startup", "queue.slow_after", As::Seconds),
    ("auto_manage_prefer_seeds", "queue.seeds_first", As::Plain),
    ("dont_count_slow_torrents", "queue.slow_are_free", As::Plain),
    ("inactive_down_rate", "queue.slow_down", As::Bytes),
    ("inactive_up_rate", "queue.slow_up", As::Bytes),
    ("share_ratio_limit", "queue.goal_ratio", As::Hundredths),
    (
        "seed_time_ratio_limit",
        "queue.goal_time_ratio",
        As::Hundredths,
    ),
    ("seed_time_limit", "queue.goal_time", As::Seconds),
    ("auto_scrape_interval", "queue.scrape_every", As::Seconds),
    (
        "auto_scrape_min_interval",
        "queue.scrape_apart",
        As::Seconds,
    ),
    ("share_mode_target", "seeding.share_target", As::Plain),
    ("prefer_udp_trackers", "trackers.prefer_udp", As::Plain),
    ("num_want", "trackers.num_want", As::Plain),
    (
        "min_announce_interval",
        "trackers.least_interval",
        As::Seconds,
    ),
    (
        "tracker_completion_timeout",
        "trackers.timeout",
        As::Seconds,
    ),
    ("tracker_receive_timeout", "trackers.timeout", As::Seconds),
    ("stop_tracker_timeout", "trackers.farewell", As::Seconds),
    (
        "tracker_maximum_response_length",
        "trackers.max_reply",
        As::Bytes,
    ),
    (
        "max_concurrent_http_announces",
        "trackers.max_in_flight",
        As::Plain,
    ),
    ("max_http_recv_buffer_size", "trackers.max_reply", As::Bytes),
    ("urlseed_timeout", "web_seeds.silence", As::Seconds),
    ("urlseed_pipeline_size", "web_seeds.lanes", As::Plain),
    ("urlseed_wait_retry", "web_seeds.retry_after", As::Seconds),
    (
        "urlseed_max_request_bytes",
        "web_seeds.max_request",
        As::Bytes,
    ),
    (
        "web_seed_name_lookup_retry",
        "web_seeds.retry_after",
        As::Seconds,
    ),
    ("max_web_seed_connections", "web_seeds.at_work", As::Plain),
    ("enable_dht", "dht.enabled", As::Plain),
    ("dht_bootstrap_nodes", "dht.bootstrap", As::Plain),
    ("use_dht_as_fallback", "dht.fallback_only", As::Plain),
    ("dht_announce_interval", "dht.announce_every", As::Seconds),
    ("dht_upload_rate_limit", "dht.up", As::Bytes),
    ("dht_max_peers_reply", "dht.answered_peers", As::Plain),
    ("dht_search_branching", "dht.branching", As::Plain),
    ("dht_max_fail_count", "dht.give_up_after", As::Plain),
    ("dht_max_torrents", "dht.stored_peers", As::Plain),
    ("dht_max_dht_items", "dht.stored_items", As::Plain),
    ("dht_max_peers", "dht.stored_of_torrent", As::Plain),
    (
        "dht_restrict_routing_ips",
        "dht.restrict_networks",
        As::Plain,
    ),
    (
        "dht_restrict_search_ips",
        "dht.restrict_networks",
        As::Plain,
    ),
    ("dht_enforce_node_id", "dht.enforce_ids", As::Plain),
    ("dht_read_only", "dht.read_only", As::Plain),
    ("dht_block_ratelimit", "dht.queries_each", As::Plain),
    ("dht_item_lifetime", "dht.item_lifetime", As::Seconds),
    (
        "dht_sample_infohashes_interval",
        "dht.sample_every",
        As::Seconds,
    ),
    ("dht_max_infohashes_sample_count", "dht.samples", As::Plain),
    ("enable_lsd", "local_discovery.enabled", As::Plain),
    (
        "local_service_announce_interval",
        "local_discovery.announce_every",
        As::Seconds,
    ),
    ("enable_upnp", "network.upnp", As::Plain),
    ("enable_natpmp", "network.nat_pmp", As::Plain),
    ("upnp_lease_duration", "network.port_lease", As::Seconds),
    ("natpmp_gateway", "network.router", As::Plain),
    ("natpmp_lease_duration", "network.port_lease", As::Seconds),
    ("file_pool_size", "disk.open_files", As::Plain),
    ("aio_threads", "disk.threads", As::Plain),
    ("hashing_threads", "disk.threads", As::Plain),
    ("optimistic_disk_retry", "disk.retry_after", As::Seconds),
    ("max_metadata_size", "metadata.most", As::Bytes),
    (
        "apply_ip_filter_to_trackers",
        "trackers.ip_filter",
        As::Plain,
    ),
    ("handshake_client_version", "identity.client", As::Plain),
    ("peer_dscp", "network.dscp", As::Plain),
    ("rate_limit_ip_overhead", "limits.overhead", As::Plain),
    (
        "recv_socket_buffer_size",
        "network.receive_buffer",
        As::Bytes,
    ),
    ("send_socket_buffer_size", "network.send_buffer", As::Bytes),
    ("resolver_cache_timeout", "trackers.names_kept", As::Seconds),
    ("whole_pieces_threshold", "peers.queue_time", As::Seconds),
];
