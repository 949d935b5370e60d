//! Figures of engines that talk to each other: what one side counts, the other one does.

mod common;

use std::time::Duration;

use common::Payload;
use common::sim::{Node, addr, by, config, ip, simulate};
use engine::{EngineConfig, Metrics, Source};
use net::ports::Transports;
use net::sim::{HostOptions, Sim};

const PIECE: usize = 64 * 1024;
const LEN: usize = 1_000_000;

async fn figures(node: &Node) -> Metrics {
    node.handle.metrics().await.expect("it runs")
}

fn start(sim: &Sim, number: u32) -> Node {
    start_with(sim, number, |_| {})
}

fn start_with(sim: &Sim, number: u32, change: impl FnOnce(&mut EngineConfig)) -> Node {
    let host = sim.host(HostOptions::at(ip(number)));
    let mut config = config(&host, u64::from(number));
    change(&mut config);
    Node::start(host, config)
}

/// Asserts figures, all of those that are wrong at once.
fn assert_figures<const N: usize>(who: &str, metrics: &Metrics, due: [(&str, u64); N]) {
    let wrong = due
        .iter()
        .map(|(name, value)| (*name, *value, metrics.get(name)));
    let wrong: Vec<_> = wrong.filter(|(_, value, is)| *is != Some(*value)).collect();
    assert!(wrong.is_empty(), "{who}, name, due and is: {wrong:?}");
}

/// A seeder, and who has just got everything from it; both stay connected.
async fn pair(sim: &Sim) -> [Node; 2] {
    let payload = Payload::new(1, LEN, PIECE);
    let [seeder, leecher] = [1, 2].map(|number| start(sim, number));
    seeder.seed(&payload).await;
    let source = Source::Metainfo(payload.metainfo());
    let id = leecher
        .add_with(source, |add| add.peers = vec![addr(1)])
        .await;
    assert!(leecher.finishes(id, Duration::from_secs(600)).await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    [seeder, leecher]
}

#[test]
fn each_kind_of_message_is_counted_on_both_sides() {
    simulate(async {
        let sim = Sim::new(1);
        let [seeder, leecher] = pair(&sim).await;
        let [gives, takes] = [figures(&seeder).await, figures(&leecher).await];
        let kinds: Vec<&str> = Metrics::ALL
            .iter()
            .filter_map(|about| about.name.strip_prefix("ses.num_incoming_"))
            .collect();
        assert_eq!(kinds.len(), 22);
        for kind in kinds {
            for (from, to) in [(&gives, &takes), (&takes, &gives)] {
                let sent = from.get(&format!("ses.num_outgoing_{kind}"));
                let came = to.get(&format!("ses.num_incoming_{kind}"));
                // The last words of who leaves, that it wants nothing any more, need not be heard.
                let last = matches!(kind, "not_interested" | "extended");
                let heard = sent == came || (last && came.map(|came| came + 1) == sent);
                assert!(sent.is_some() && heard, "{kind}: {sent:?} {came:?}");
            }
        }
        let jobs = takes
            .histograms()
            .find(|of| of.about.name == "disk.job_seconds");
        let given = takes.get("disk.num_jobs");
        assert!(
            given > Some(0) && jobs.map(engine::metrics::Histogram::count) == given,
            "{given:?}"
        );
        let blocks = LEN.div_ceil(16 * 1024) as u64;
        let [asked, brought, have_all, handshakes] =
            ["request", "piece", "have_all", "ext_handshake"].map(|kind| {
                let heard = gives.get(&format!("ses.num_incoming_{kind}"));
                let told = gives.get(&format!("ses.num_outgoing_{kind}"));
                [heard, told].map(|count| count.expect("a figure"))
            });
        assert!(asked[0] >= blocks && asked[1] == 0, "{asked:?}");
        assert_eq!(brought, [0, blocks]);
        assert_eq!(have_all, [0, 1]);
        assert!(handshakes.iter().all(|count| *count >= 1), "{handshakes:?}");
        sim
    });
}

#[test]
fn what_the_disk_does_is_counted() {
    simulate(async {
        let sim = Sim::new(5);
        let [seeder, leecher] = pair(&sim).await;
        let [gives, takes] = [figures(&seeder).await, figures(&leecher).await];
        let of = |figures: &Metrics, name: &str| figures.get(name).expect("a figure");
        let blocks = LEN.div_ceil(16 * 1024) as u64;
        for who in [&gives, &takes] {
            assert_eq!(of(who, "disk.num_blocks_hashed"), blocks);
            assert_eq!(of(who, "disk.num_unhashed"), 0);
            assert_eq!(of(who, "ses.num_unfiltered_torrents"), 1);
            assert!(of(who, "disk.file_pool_misses") >= 1);
            assert!(of(who, "disk.num_read_ops") >= 1);
            assert_eq!(of(who, "disk.file_pool_size"), 1);
            assert_eq!(of(who, "disk.queued_disk_jobs"), 0);
            assert_eq!(of(who, "disk.num_running_disk_jobs"), 0);
            let mut waits = who.histograms();
            let waits = waits.find(|of| of.about.name == "disk.job_wait_seconds");
            assert_eq!(
                waits.map(engine::metrics::Histogram::count),
                who.get("disk.num_jobs")
            );
        }
        assert_eq!(of(&gives, "disk.queued_write_bytes"), 0);
        assert!(of(&takes, "disk.queued_write_bytes") <= LEN as u64);
        assert_eq!(of(&gives, "disk.num_read_back"), 0);
        assert_eq!(of(&takes, "disk.num_read_back"), blocks);
        assert_eq!(of(&gives, "disk.num_write_ops"), 0);
        let writes = of(&takes, "disk.num_write_ops");
        assert!((1..=blocks).contains(&writes), "{writes}");
        assert!(of(&takes, "disk.write_microseconds") > 0);
        assert!(of(&takes, "disk.file_pool_hits") >= writes - 1);
        sim
    });
}

#[test]
fn streams_under_encryption_that_fail_are_counted_as_such() {
    simulate(async {
        let sim = Sim::new(8);
        let payload = Payload::new(8, LEN, PIECE);
        let strict = |config: &mut EngineConfig| {
            config.settings.encryption.peers = engine::Encryption::Require;
            config.settings.limits.up = Some(10_000);
        };
        let seeder = start_with(&sim, 1, strict);
        seeder.seed(&payload).await;
        let leecher = start_with(&sim, 2, strict);
        let source = Source::Metainfo(payload.metainfo());
        leecher
            .add_with(source, |add| add.peers = vec![addr(1)])
            .await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let due = |count| {
            [
                ("peer.error_rc4_peers", count),
                ("peer.error_encrypted_peers", count),
                ("peer.eof_peers", count),
            ]
        };
        assert_figures("before", &figures(&leecher).await, due(0));
        seeder.handle.shutdown(Duration::from_secs(1)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_figures("after", &figures(&leecher).await, due(1));
        sim
    });
}

#[test]
fn headers_count_in_limits_where_that_is_said() {
    for overhead in [false, true] {
        simulate(async {
            let sim = Sim::new(7);
            let payload = Payload::new(7, 8_000_000, PIECE);
            let seeder = start(&sim, 1);
            seeder.seed(&payload).await;
            let leecher = start_with(&sim, 2, |config| {
                config.settings.limits.down = Some(100_000);
                config.settings.limits.overhead = overhead;
            });
            let source = Source::Metainfo(payload.metainfo());
            leecher
                .add_with(source, |add| add.peers = vec![addr(1)])
                .await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            let bytes = async || {
                let is = figures(&leecher).await;
                let of = |name: &str| is.get(name).expect("a figure");
                [of("net.recv_bytes"), of("net.recv_tcp_overhead_bytes")]
            };
            let before = bytes().await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            let [carried, headers] = bytes().await;
            let (carried, headers) = (carried - before[0], headers - before[1]);
            let counted = if overhead { carried + headers } else { carried };
            assert!(headers > 100_000, "{headers}");
            assert!(
                (5_900_000..6_100_000).contains(&counted),
                "{overhead}: {counted}"
            );
            sim
        });
    }
}

#[test]
fn torrents_without_a_filter_of_addresses_are_counted() {
    simulate(async {
        let sim = Sim::new(6);
        let payload = Payload::new(6, LEN, PIECE);
        let node = start_with(&sim, 1, |config| {
            config.network = config.network.clone().filtered(&net::Filter::default());
        });
        node.seed(&payload).await;
        let is = figures(&node).await;
        assert_figures("filtered", &is, [("ses.num_unfiltered_torrents", 0)]);
        sim
    });
}

/// Asserts that peers which are gone are not counted any more, and of the last of these engines that it has no torrent either.
async fn assert_gone(nodes: &[&Node]) {
    for node in nodes {
        let figures = figures(node).await;
        let peers = [
            "tcp_peers",
            "incoming_peers",
            "outgoing_peers",
            "peers_up_requests",
        ];
        for name in peers.map(|name| format!("peer.num_{name}")) {
            assert_eq!(figures.get(&name), Some(0), "{name}");
        }
    }
    let gone = figures(nodes.last().expect("a node")).await;
    assert_eq!(gone.get("ses.num_total_pieces"), Some(0));
    assert_eq!(gone.get("ses.num_unchoke_slots"), Some(0));
}

#[test]
fn peers_are_counted_by_what_they_are_and_do_and_no_more_when_they_are_gone() {
    simulate(async {
        let sim = Sim::new(2);
        let payload = Payload::new(2, LEN, PIECE);
        let seeder = start(&sim, 1);
        seeder.seed(&payload).await;
        let leecher = start_with(&sim, 2, |config| {
            config.settings.limits.down = Some(20_000);
        });
        let source = Source::Metainfo(payload.metainfo());
        let id = leecher
            .add_with(source, |add| add.peers = vec![addr(1)])
            .await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let [gives, takes] = [figures(&seeder).await, figures(&leecher).await];
        let pieces = LEN.div_ceil(PIECE) as u64;
        assert_figures(
            "seeder",
            &gives,
            [
                ("peer.num_tcp_peers", 1),
                ("peer.num_utp_peers", 0),
                ("peer.num_proxied_peers", 0),
                ("peer.num_incoming_peers", 1),
                ("peer.num_outgoing_peers", 0),
                ("peer.num_peers_half_open", 0),
                ("peer.num_peers_up_interested", 1),
                ("peer.num_peers_down_interested", 0),
                ("peer.num_peers_up_unchoked_all", 1),
                ("peer.num_peers_down_unchoked", 0),
                ("peer.num_peers_down_requests", 0),
                ("net.has_incoming_connections", 1),
                ("ses.num_have_pieces", pieces),
                ("ses.num_total_pieces", pieces),
                ("ses.num_upload_only_torrents", 0),
            ],
        );
        assert_figures(
            "leecher",
            &takes,
            [
                ("peer.num_incoming_peers", 0),
                ("peer.num_outgoing_peers", 1),
                ("peer.num_peers_down_interested", 1),
                ("peer.num_peers_down_unchoked", 1),
                ("peer.num_peers_down_requests", 1),
                ("peer.num_known_peers", 1),
                ("net.has_incoming_connections", 0),
                ("net.limiter_down_queue", 1),
                ("net.limiter_up_queue", 0),
                ("ses.num_total_pieces", pieces),
            ],
        );
        let slots = gives.get("ses.num_unchoke_slots");
        assert!(slots > Some(0), "{slots:?}");
        let chance = [
            "peer.num_peers_up_unchoked",
            "peer.num_peers_up_unchoked_optimistic",
        ];
        let served = chance.map(|name| gives.get(name).expect("a figure"));
        assert_eq!(served.iter().sum::<u64>(), 1);
        assert!(takes.get("net.limiter_down_bytes") > Some(0));
        // By TCP as much is estimated as headers make up of full segments, and not much more.
        let [payload_in, headers] =
            ["net.recv_payload_bytes", "net.recv_ip_overhead_bytes"].map(|name| takes.get(name));
        let part = headers.expect("a figure") as f64 / payload_in.expect("a figure") as f64;
        assert!((0.03..0.2).contains(&part), "{part}");

        leecher.handle.remove(id, false).await.expect("removed");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_gone(&[&seeder, &leecher]).await;
        sim
    });
}

#[test]
fn streams_of_utp_are_counted_with_their_packets() {
    simulate(async {
        let sim = Sim::new(3);
        let payload = Payload::new(3, LEN, PIECE);
        let seeder = start_with(&sim, 1, |config| by(config, 1, Transports::Utp));
        seeder.seed(&payload).await;
        let leecher = start_with(&sim, 2, |config| {
            by(config, 2, Transports::Both);
            config.settings.limits.down = Some(100_000);
        });
        let source = Source::Metainfo(payload.metainfo());
        leecher
            .add_with(source, |add| add.peers = vec![addr(1)])
            .await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let [gives, takes] = [figures(&seeder).await, figures(&leecher).await];
        for figures in [&gives, &takes] {
            assert_figures(
                "both",
                figures,
                [
                    ("peer.num_utp_peers", 1),
                    ("peer.num_tcp_peers", 0),
                    ("utp.num_utp_connected", 1),
                    ("utp.num_utp_syn_sent", 0),
                    ("utp.num_utp_unproven", 0),
                    ("net.recv_tcp_overhead_bytes", 0),
                ],
            );
        }
        let of = |figures: &Metrics, name: &str| figures.get(name).expect("a figure");
        let sent = of(&gives, "utp.utp_payload_pkts_out");
        let came = of(&takes, "utp.utp_payload_pkts_in");
        assert!(sent >= came && came > 200, "{sent} {came}");
        let headers = of(&takes, "net.recv_ip_overhead_bytes");
        assert_eq!(headers, 28 * of(&takes, "utp.utp_packets_in"));
        assert!(of(&gives, "utp.utp_samples_below_target") > 10);
        sim
    });
}

#[test]
fn connections_that_fail_are_counted_by_whose_they_were_and_how_they_went() {
    simulate(async {
        let sim = Sim::new(4);
        let payload = Payload::new(4, LEN, PIECE);
        let node = start(&sim, 1);
        let id = node
            .add_with(Source::Metainfo(payload.metainfo()), |add| {
                // Nobody listens at the one, and nobody is at the other.
                add.peers = vec![addr(2), addr(3)];
            })
            .await;
        let _there = sim.host(HostOptions::at(ip(2)));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let figures = figures(&node).await;
        let failed = figures.get("peer.error_outgoing_peers").expect("a figure");
        assert!(failed >= 2, "{failed}");
        assert!(figures.get("peer.connrefused_peers") >= Some(1));
        assert_figures(
            "all failed",
            &figures,
            [
                ("peer.error_incoming_peers", 0),
                ("peer.error_tcp_peers", 0),
                ("peer.error_utp_peers", 0),
                ("peer.num_known_peers", 2),
            ],
        );
        node.handle.remove(id, false).await.expect("removed");
        sim
    });
}
