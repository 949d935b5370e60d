//! Figures that others count.

use net::utp::UtpFigures;

use super::Metrics;
use super::table::METHODS;

impl Metrics {
    /// Takes over what streams of uTP have done and met.
    pub(crate) fn utp(&mut self, utp: &UtpFigures) {
        let of_tcp = ["net.recv_tcp_overhead_bytes", "net.sent_tcp_overhead_bytes"];
        let of_tcp = of_tcp.map(|name| self.get(name).unwrap_or_default());
        for (name, value) in [
            ("net.recv_ip_overhead_bytes", of_tcp[0] + utp.overhead_in),
            ("net.sent_ip_overhead_bytes", of_tcp[1] + utp.overhead_out),
            ("utp.utp_packets_in", utp.received),
            ("utp.utp_packets_out", utp.sent),
            ("utp.utp_payload_pkts_in", utp.payload_received),
            ("utp.utp_payload_pkts_out", utp.payload_sent),
            ("utp.utp_redundant_pkts_in", utp.redundant),
            ("utp.utp_invalid_pkts_in", utp.invalid),
            ("utp.utp_packet_loss", utp.lost),
            ("utp.utp_fast_retransmit", utp.lost_early),
            ("utp.utp_packet_resend", utp.resent),
            ("utp.utp_timeout", utp.timeouts),
            ("utp.utp_samples_above_target", utp.above_target),
            ("utp.utp_samples_below_target", utp.below_target),
            ("utp.num_utp_syn_sent", utp.opening),
            ("utp.num_utp_unproven", utp.unproven),
            ("utp.num_utp_connected", utp.open),
            ("utp.num_utp_fin_sent", utp.ending),
            ("utp.num_utp_lingering", utp.lingering),
        ] {
            self.set(name, value);
        }
    }

    /// Takes over how it stands with the DHT.
    pub(crate) fn dht(&mut self, status: &dht::Status) {
        let families = status.families.iter().flatten();
        let spares = families.clone().map(|family| family.spares as u64).sum();
        let counters = &status.counters;
        for (name, value) in [
            ("dht.dht_node_cache", spares),
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
            ("dht.dht_messages_out_dropped", counters.unsent),
            ("dht.dht_lost", counters.lost),
            ("dht.dht_mutable_data", status.mutable_items as u64),
            (
                "dht.dht_immutable_data",
                status.items.saturating_sub(status.mutable_items) as u64,
            ),
            ("dht.dht_waiting_queries", status.waiting as u64),
        ] {
            self.set(name, value);
        }
        for (kind, names) in METHODS {
            let of = [
                counters.queries_in_of,
                counters.queries_out_of,
                counters.invalid_of,
            ];
            for (name, counts) in names.iter().zip(of) {
                self.set(
                    name,
                    counts.get(*kind as usize).copied().unwrap_or_default(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dht::{FamilyStatus, Status};
    use protocol::krpc::{MethodKind, NodeId};

    use super::*;

    fn assert_figures(metrics: &Metrics, due: &[(&str, u64)]) {
        for (name, value) in due {
            assert_eq!(metrics.get(name), Some(*value), "{name}");
        }
    }

    #[test]
    fn each_figure_of_utp_is_the_one_that_is_named_so() {
        let mut utp = UtpFigures::default();
        utp.received = 1;
        utp.payload_received = 2;
        utp.redundant = 3;
        utp.invalid = 4;
        utp.sent = 5;
        utp.payload_sent = 6;
        utp.resent = 7;
        utp.lost = 8;
        utp.lost_early = 9;
        utp.timeouts = 10;
        utp.above_target = 11;
        utp.below_target = 12;
        utp.overhead_in = 13;
        utp.overhead_out = 14;
        utp.opening = 15;
        utp.unproven = 16;
        utp.open = 17;
        utp.ending = 18;
        utp.lingering = 19;
        let mut metrics = Metrics::default();
        metrics.set("net.recv_tcp_overhead_bytes", 100);
        metrics.set("net.sent_tcp_overhead_bytes", 200);
        metrics.utp(&utp);
        assert_figures(
            &metrics,
            &[
                ("utp.utp_packets_in", 1),
                ("utp.utp_payload_pkts_in", 2),
                ("utp.utp_redundant_pkts_in", 3),
                ("utp.utp_invalid_pkts_in", 4),
                ("utp.utp_packets_out", 5),
                ("utp.utp_payload_pkts_out", 6),
                ("utp.utp_packet_resend", 7),
                ("utp.utp_packet_loss", 8),
                ("utp.utp_fast_retransmit", 9),
                ("utp.utp_timeout", 10),
                ("utp.utp_samples_above_target", 11),
                ("utp.utp_samples_below_target", 12),
                ("net.recv_ip_overhead_bytes", 113),
                ("net.sent_ip_overhead_bytes", 214),
                ("utp.num_utp_syn_sent", 15),
                ("utp.num_utp_unproven", 16),
                ("utp.num_utp_connected", 17),
                ("utp.num_utp_fin_sent", 18),
                ("utp.num_utp_lingering", 19),
            ],
        );
    }

    #[test]
    fn each_figure_of_the_dht_is_the_one_that_is_named_so() {
        let family = |nodes, spares| FamilyStatus {
            id: NodeId([0; 20]),
            nodes,
            spares,
            network_size: 0,
            external: None,
        };
        let kinds = |base: u64| std::array::from_fn(|kind| base + kind as u64);
        let counters = dht::Counters {
            queries_in: 1,
            answers_out: 2,
            refused: 3,
            queries_out: 4,
            answers_in: 5,
            lost: 6,
            alien: 7,
            bytes_in: 8,
            bytes_out: 9,
            unsent: 10,
            queries_in_of: kinds(100),
            queries_out_of: kinds(200),
            invalid_of: kinds(300),
        };
        let status = Status {
            families: [Some(family(20, 30)), Some(family(1, 2))],
            torrents: 40,
            peers: 50,
            items: 60,
            jobs: 70,
            waiting: 80,
            mutable_items: 25,
            counters,
        };
        let mut metrics = Metrics::default();
        metrics.dht(&status);
        assert_figures(
            &metrics,
            &[
                ("dht.dht_nodes", 21),
                ("dht.dht_node_cache", 32),
                ("dht.dht_torrents", 40),
                ("dht.dht_peers", 50),
                ("dht.dht_immutable_data", 35),
                ("dht.dht_mutable_data", 25),
                ("dht.dht_waiting_queries", 80),
                ("dht.dht_messages_in", 6),
                ("dht.dht_messages_out", 6),
                ("dht.dht_messages_in_dropped", 3),
                ("dht.dht_messages_out_dropped", 10),
                ("dht.dht_bytes_in", 8),
                ("dht.dht_bytes_out", 9),
                ("dht.dht_lost", 6),
            ],
        );
        let names = [
            (MethodKind::Ping, "ping"),
            (MethodKind::FindNode, "find_node"),
            (MethodKind::GetPeers, "get_peers"),
            (MethodKind::AnnouncePeer, "announce_peer"),
            (MethodKind::Get, "get"),
            (MethodKind::Put, "put"),
            (MethodKind::SampleInfohashes, "sample_infohashes"),
        ];
        for (kind, word) in names {
            let at = kind as u64;
            let of = [
                (format!("dht.dht_{word}_in"), 100 + at),
                (format!("dht.dht_{word}_out"), 200 + at),
                (format!("dht.dht_invalid_{word}"), 300 + at),
            ];
            for (name, value) in of {
                assert_eq!(metrics.get(&name), Some(value), "{name}");
            }
        }
    }
}
