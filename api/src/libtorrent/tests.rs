use std::collections::BTreeSet;

use engine::settings::Patch;

use super::fixed::Fixed;
use super::names::As;
use super::*;
use crate::testing::Scene;

/// The map for users, which has all names of libtorrent.
const MAP: &str = include_str!("../../../docs/libtorrent.md");

async fn shown(scene: &Scene, query: &str, word: &str) -> Map<String, Value> {
    let path = format!("/libtorrent/{word}{query}");
    let reply = scene.ask("GET", &path, b"").await;
    assert_eq!(reply.status, 200, "{path}");
    reply.json[word].as_object().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_figures_have_libtorrents_names_and_units() {
    let scene = Scene::start().await;
    let settings = shown(&scene, "", "settings").await;
    for (name, _, kind) in NAMES {
        let value = &settings[*name];
        assert!(!value.is_null(), "{name}");
        let number = !matches!(kind, As::Plain | As::Not);
        assert!(!number || value.is_u64(), "{name}: {value}");
    }
    for (name, due) in [
        ("peer_timeout", json!(150)),
        ("utp_connect_timeout", json!(1000)),
        ("share_ratio_limit", json!(200)),
        ("max_metadata_size", json!(30 << 20)),
        ("no_connect_privileged_ports", json!(false)),
        ("connections_limit", json!(500)),
        ("upload_rate_limit", json!(0)),
        ("resolver_cache_timeout", json!(60)),
        ("cache_size", json!(0)),
        ("validate_https_trackers", json!(true)),
        ("in_enc_policy", json!(1)),
        ("allow_multiple_connections_per_ip", json!(1)),
        ("proxy_type", json!(0)),
    ] {
        assert_eq!(settings[name], due, "{name}");
    }
    let figures = shown(&scene, "?hop=0", "session").await;
    assert_eq!(figures.len(), engine::Metrics::ALL.len() + 2);
    assert!(figures["ses.num_downloading_torrents"].is_u64());
    assert_eq!(figures["peer.aborted_peers"], 0);
    assert_eq!(figures["peer.perm_peers"], figures["peer.no_access_peers"]);
    for path in ["settings", "session"] {
        let other = shown(&scene, "?hop=5", path).await;
        assert!(other.is_empty());
        let bad = scene
            .ask("GET", &format!("/libtorrent/{path}?hop=x"), b"")
            .await;
        assert_eq!(bad.status, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_name_is_one_of_libtorrents_and_told_once() {
    let scene = Scene::start().await;
    let settings = shown(&scene, "", "settings").await;
    let now = scene.engine().settings();
    let all: Vec<String> = own(&now).map(|(name, _)| name).collect();
    let each: BTreeSet<&String> = all.iter().collect();
    let twice = all.len() - each.len();
    // That of torrents without circuits is the only one that depends on who asks.
    assert_eq!((settings.len(), twice), (all.len(), 0));
    for name in all {
        assert!(MAP.contains(&format!("`{name}`")), "{name}");
    }
    for (name, value) in of_hops::SETTINGS {
        assert!(settings.contains_key(*name), "{name}");
        let same_kind = match value {
            Fixed::No | Fixed::Yes => settings[*name].is_boolean(),
            Fixed::Is(_) => settings[*name].is_number(),
            Fixed::Empty => settings[*name].is_string(),
        };
        assert!(same_kind, "{name}: {}", settings[*name]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_settings_decide_follows_them() {
    let scene = Scene::start().await;
    let patch = Patch::new()
        .with("encryption.peers", "require")
        .with("trackers.mode", "tiers")
        .with("choking.slots_by", "rate")
        .with("choking.seed_mode", "fastest")
        .with("limits.mixed_mode", "prefer-tcp")
        .with("connections.per_host", 1_u32)
        .with("identity.fingerprint", "-XX0001-");
    scene.engine().set_settings(patch).await.unwrap();
    let settings = shown(&scene, "", "settings").await;
    for (name, due) in [
        ("in_enc_policy", json!(0)),
        ("out_enc_policy", json!(0)),
        ("allowed_enc_level", json!(2)),
        ("prefer_rc4", json!(true)),
        ("announce_to_all_tiers", json!(true)),
        ("announce_to_all_trackers", json!(false)),
        ("choking_algorithm", json!(2)),
        ("seed_choking_algorithm", json!(1)),
        ("mixed_mode_algorithm", json!(0)),
        ("allow_multiple_connections_per_ip", json!(0)),
        ("peer_fingerprint", json!("2d5858303030312d")),
    ] {
        assert_eq!(settings[name], due, "{name}");
    }
    let proxied = Settings::default()
        .with(&Patch::new().with("network.proxy", "socks5://me:pw@proxy.example:1080"));
    let told: Map<String, Value> = own(&proxied.unwrap()).collect();
    let told = ["type", "hostname", "port", "username", "password"]
        .map(|part| told[&format!("proxy_{part}")].clone());
    let due = [
        json!(3),
        json!("proxy.example"),
        json!(1080),
        json!("me"),
        json!(""),
    ];
    assert_eq!(told, due);
}

#[tokio::test(flavor = "multi_thread")]
async fn torrents_that_have_hops_are_told_of_by_their_number_of_hops() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a", 100)]).await;
    let direct = shown(&scene, "?hop=0", "settings").await;
    let hidden = shown(&scene, "?hop=2", "settings").await;
    assert_eq!(direct.len(), hidden.len());
    for (name, due) in [
        ("anonymous_mode", json!(true)),
        ("enable_lsd", json!(false)),
        ("enable_outgoing_tcp", json!(false)),
        ("user_agent", json!("")),
        ("dht_read_only", json!(true)),
    ] {
        assert_eq!(hidden[name], due, "{name}");
    }
    assert_eq!(direct["anonymous_mode"], false);
    let count = async |hops: u8| {
        let figures = shown(&scene, &format!("?hop={hops}"), "session").await;
        figures["ses.num_torrents"].clone()
    };
    assert_eq!([count(1).await, count(2).await], [0, 0]);
    let torrents = scene.engine().changes(0).torrents;
    let mut hidden = engine::TorrentStatus::clone(&torrents[0]);
    assert_eq!(hidden.hashes.wire().to_string(), hash);
    (hidden.hops, hidden.peers, hidden.up_rate) = (2, 7, 100);
    let of_two = of_hops::figures(&[std::sync::Arc::new(hidden), torrents[0].clone()], 2);
    for (name, due) in [
        ("ses.num_torrents", 1),
        ("ses.num_seeding_torrents", 1),
        ("ses.num_stopped_torrents", 0),
        ("peer.num_peers_connected", 7),
        ("net.up_rate_bytes", 100),
    ] {
        assert_eq!(of_two[name], due, "{name}");
    }
    for name in of_two.keys() {
        assert!(
            engine::Metrics::ALL.iter().any(|about| about.name == name),
            "{name}"
        );
    }
}
