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
