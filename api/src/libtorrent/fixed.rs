//! Settings of libtorrent that stand for something that is always the same here, and those that several of ours decide, or a part of one.

use data_encoding::HEXLOWER;
use engine::Settings;
use engine::settings::Value as Setting;
use serde_json::Value;

use crate::settings::ProxyParts;

/// A value that does not change.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fixed {
    No,
    Yes,
    Is(u32),
    Empty,
}

impl Fixed {
    pub(super) fn json(self) -> Value {
        match self {
            Self::No => false.into(),
            Self::Yes => true.into(),
            Self::Is(number) => number.into(),
            Self::Empty => "".into(),
        }
    }
}

use Fixed::{Empty, Is, No, Yes};

/// What is always so here; `docs/libtorrent.md` says of each why. What there is none of has the value that switches it off there.
pub(super) const FIXED: &[(&str, Fixed)] = &[
    ("active_loaded_limit", Is(0)),
    ("aio_max", Is(0)),
    ("alert_mask", Is(0)),
    ("alert_queue_size", Is(0)),
    ("allow_i2p_mixed", No),
    ("allow_idna", No),
    ("allow_partial_disk_writes", Yes),
    ("allowed_fast_set_size", Is(0)),
    ("always_send_user_agent", Yes),
    ("announce_crypto_support", No),
    ("announce_double_nat", No),
    ("anonymous_mode", No),
    ("ban_web_seeds", Yes),
    ("broadcast_lsd", No),
    ("cache_buffer_chunk_size", Is(0)),
    ("cache_expiry", Is(0)),
    ("cache_size", Is(0)),
    ("cache_size_volatile", Is(0)),
    ("checking_mem_usage", Is(256)),
    ("close_file_interval", Is(0)),
    ("coalesce_reads", No),
    ("coalesce_writes", No),
    ("connect_seed_every_n_download", Is(0)),
    ("connections_slack", Is(0)),
    ("contiguous_recv_buffer", Yes),
    ("decrease_est_reciprocation_rate", Is(0)),
    ("default_cache_min_age", Is(0)),
    ("default_est_reciprocation_rate", Is(0)),
    ("dht_prefer_verified_node_ids", Yes),
    ("disable_hash_checks", No),
    ("disk_io_read_mode", Is(0)),
    ("disk_io_write_mode", Is(0)),
    ("dont_flush_write_cache", No),
    ("enable_ip_notifier", Yes),
    ("file_checks_delay_per_block", Is(0)),
    ("force_proxy", Yes),
    ("guided_read_cache", No),
    ("half_open_limit", Is(0)),
    ("i2p_hostname", Empty),
    ("i2p_port", Is(0)),
    ("ignore_limits_on_local_network", No),
    ("ignore_resume_timestamps", No),
    ("increase_est_reciprocation_rate", Is(0)),
    ("lazy_bitfields", No),
    ("listen_queue_size", Is(1024)),
    ("local_download_rate_limit", Is(0)),
    ("local_upload_rate_limit", Is(0)),
    ("lock_disk_cache", No),
    ("lock_files", No),
    ("low_prio_disk", No),
    ("max_paused_peerlist_size", Is(0)),
    ("max_peer_recv_buffer_size", Is(0)),
    ("max_queued_disk_bytes", Is(0)),
    ("max_suggest_pieces", Is(0)),
    ("mmap_cache", Empty),
    ("network_threads", Is(0)),
    ("no_atime_storage", No),
    ("no_recheck_incomplete_resume", No),
    ("num_outgoing_ports", Is(0)),
    ("outgoing_port", Is(0)),
    ("predictive_piece_announce", Is(0)),
    ("proxy_hostnames", Yes),
    ("proxy_peer_connections", Yes),
    ("proxy_tracker_connections", Yes),
    ("rate_limit_utp", Yes),
    ("read_cache_line_size", Is(0)),
    ("report_redundant_bytes", No),
    ("report_true_downloaded", Yes),
    ("report_web_seed_downloads", Yes),
    ("seeding_piece_quota", Is(0)),
    ("send_buffer_low_watermark", Is(0)),
    ("send_buffer_watermark", Is(0)),
    ("send_buffer_watermark_factor", Is(0)),
    ("send_not_sent_low_watermark", Is(0)),
    ("send_redundant_have", Yes),
    ("smooth_connects", No),
    ("ssl_listen", Is(0)),
    ("ssrf_mitigation", Yes),
    ("strict_end_game_mode", Yes),
    ("strict_super_seeding", No),
    ("suggest_mode", Is(0)),
    ("support_merkle_torrents", No),
    ("support_share_mode", No),
    ("tick_interval", Is(0)),
    ("tracker_backoff", Is(200)),
    ("udp_tracker_token_expiry", Is(60)),
    ("upnp_ignore_nonrouters", Yes),
    ("use_disk_cache_pool", No),
    ("use_disk_read_ahead", No),
    ("use_parole_mode", No),
    ("use_read_cache", No),
    ("use_write_cache", No),
    ("utp_cwnd_reduce_timer", Is(0)),
    ("utp_delayed_ack", Is(0)),
    ("utp_gain_factor", Is(3000)),
    ("utp_loss_multiplier", Is(50)),
    ("utp_min_timeout", Is(500)),
    ("utp_target_delay", Is(100)),
    ("validate_https_trackers", Yes),
    ("volatile_read_cache", No),
    ("write_cache_line_size", Is(0)),
];

/// What several settings of ours decide, or what is a part of one.
pub(super) fn derived(now: &Settings) -> Vec<(&'static str, Value)> {
    let of = |path| Settings::key(path).map(|key| key.of(now));
    let text = |path| match of(path) {
        Some(Setting::Text(text)) => text,
        _ => String::new(),
    };
    let above_one = match of("connections.per_host") {
        Some(Setting::Int(most)) => most > 1,
        _ => false,
    };
    let (encryption, mode) = (text("encryption.peers"), text("trackers.mode"));
    // Streams that are taken: forced, enabled, disabled; plain, RC4, both.
    let (policy, level) = match encryption.as_str() {
        "off" => (2, 1),
        "require" => (0, 2),
        _ => (1, 3),
    };
    let rc4_first = matches!(encryption.as_str(), "prefer" | "require");
    let by_rate = text("choking.slots_by") == "rate";
    let fastest = text("choking.seed_mode") == "fastest";
    let proportional = text("limits.mixed_mode") == "proportional";
    let fingerprint = text("identity.fingerprint");
    let proxy = ProxyParts::of(&text("network.proxy"));
    vec![
        (
            "allow_multiple_connections_per_ip",
            u8::from(above_one).into(),
        ),
        ("allowed_enc_level", level.into()),
        ("in_enc_policy", policy.into()),
        ("out_enc_policy", policy.into()),
        ("prefer_rc4", rc4_first.into()),
        ("announce_to_all_tiers", (mode != "first").into()),
        ("announce_to_all_trackers", (mode == "trackers").into()),
        ("choking_algorithm", (if by_rate { 2 } else { 0 }).into()),
        ("seed_choking_algorithm", u8::from(fastest).into()),
        ("mixed_mode_algorithm", u8::from(proportional).into()),
        (
            "peer_fingerprint",
            HEXLOWER.encode(fingerprint.as_bytes()).into(),
        ),
        ("proxy_type", proxy.kind.into()),
        ("proxy_hostname", proxy.host.into()),
        ("proxy_port", proxy.port.into()),
        ("proxy_username", proxy.user.into()),
        // Nobody is told.
        ("proxy_password", "".into()),
    ]
}
