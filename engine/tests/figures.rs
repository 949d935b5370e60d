//! Figures of engines that talk to each other: what one side counts, the other one does.

mod common;

use std::time::Duration;

use common::Payload;
use common::sim::{Node, addr, config, ip, simulate};
use engine::{Metrics, Source};
use net::sim::{HostOptions, Sim};

const PIECE: usize = 64 * 1024;
const LEN: usize = 1_000_000;

async fn figures(node: &Node) -> Metrics {
    node.handle.metrics().await.expect("it runs")
}

fn start(sim: &Sim, number: u32) -> Node {
    let host = sim.host(HostOptions::at(ip(number)));
    let config = config(&host, u64::from(number));
    Node::start(host, config)
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
