//! What an engine tells of the DHT: figures, and what passes at its node.

use engine::{Category, Event, Events, NoEvent};
use protocol::krpc::MethodKind;

use super::*;

/// What was told up to now.
fn heard(events: &mut Events) -> Vec<Event> {
    let next = || match events.try_recv() {
        Ok(event) => Some(event),
        Err(NoEvent::Empty) => None,
        Err(error) => panic!("{error}"),
    };
    std::iter::from_fn(next).collect()
}

fn words(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::word).collect()
}

#[test]
fn figures_of_the_dht_tell_queries_by_kind_in_both_directions() {
    simulate(async {
        let sim = Sim::new(31);
        let (nodes, bootstrap) = network(&sim, 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let payload = Payload::new(31, 300_000, PIECE);
        let seeder = Node::start(&sim, 501, &bootstrap);
        seeder.seed(&payload).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let figures = seeder.handle.metrics().await.expect("it runs");
        let of = |name: &str| figures.get(&format!("dht.dht_{name}")).expect("a figure");
        assert!(of("nodes") >= 8 && of("get_peers_out") >= 8 && of("find_node_out") >= 1);
        assert!(of("announce_peer_out") >= 8);
        let kinds = [
            "announce_peer",
            "find_node",
            "get",
            "get_peers",
            "ping",
            "put",
        ];
        let sum = |way: &str| {
            kinds
                .iter()
                .map(|kind| of(&format!("{kind}_{way}")))
                .sum::<u64>()
        };
        let status = seeder.dht.status().await.expect("it runs");
        let samples = |way: &str| of(&format!("sample_infohashes_{way}"));
        assert_eq!(sum("out") + samples("out"), status.counters.queries_out);
        assert_eq!(sum("in") + samples("in"), status.counters.queries_in);
        assert!(kinds.iter().all(|kind| of(&format!("invalid_{kind}")) == 0));
        let mut stored = 0;
        for (_, node) in &nodes {
            let counters = node.status().await.expect("it runs").counters;
            let kind = MethodKind::AnnouncePeer as usize;
            stored += counters.queries_in_of[kind];
        }
        assert_eq!(stored, of("announce_peer_out"));
        sim
    });
}

#[test]
fn what_passes_at_the_node_is_told_to_who_listens_to_it() {
    simulate(async {
        let sim = Sim::new(32);
        let (_nodes, bootstrap) = network(&sim, 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let payload = Payload::new(32, 300_000, PIECE);
        let hash = payload.metainfo().hashes().wire();
        let seeder = Node::start(&sim, 501, &bootstrap);
        let mut usual = seeder.handle.events(Category::Dht.into(), 1000);
        let mut all = seeder.handle.events(Category::DhtQueries.into(), 100_000);
        seeder.seed(&payload).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let told = heard(&mut usual);
        assert_eq!(
            words(&told)
                .iter()
                .filter(|word| **word == "dht_ready")
                .count(),
            1
        );
        assert!(!words(&told).contains(&"dht_failed"));
        let told = heard(&mut all);
        let asks = told.iter().filter(
            |event| matches!(event, Event::DhtAsks { info_hash, .. } if *info_hash == hash),
        );
        assert!(asks.count() >= 8, "{:?}", words(&told));
        sim
    });
}

#[test]
fn what_others_ask_the_node_is_told_as_long_as_somebody_listens() {
    simulate(async {
        let sim = Sim::new(34);
        let hash = Payload::new(34, 1000, PIECE).metainfo().hashes().wire();
        let asked = Node::start(&sim, 501, &[]);
        let mut all = asked.handle.events(Category::DhtQueries.into(), 100_000);
        let stranger = Node::start(&sim, 503, &[addr(far(501))]);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let how = dht::AnnounceAs {
            port: Some(77),
            seed: false,
        };
        stranger.dht.announce(hash, how).await.expect("it runs");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let told = heard(&mut all);
        let of = addr(far(503));
        let asks = |event: &Event| matches!(event, Event::DhtAsked { from, info_hash } if *from == of && *info_hash == hash);
        let announces = |event: &Event| matches!(event, Event::DhtAnnounced { from, info_hash, port: 77 } if *from == of && *info_hash == hash);
        assert!(
            told.iter().any(asks) && told.iter().any(announces),
            "{told:?}"
        );
        drop(all);
        tokio::time::sleep(Duration::from_secs(5)).await;
        stranger.dht.announce(hash, how).await.expect("it runs");
        let mut again = asked.handle.events(Category::DhtQueries.into(), 100_000);
        assert!(heard(&mut again).is_empty(), "nobody listened");
        tokio::time::sleep(Duration::from_secs(5)).await;
        stranger.dht.announce(hash, how).await.expect("it runs");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(heard(&mut again).iter().any(asks));
        sim
    });
}

#[test]
fn who_finds_nobody_in_the_dht_is_told_after_a_minute() {
    simulate(async {
        let sim = Sim::new(33);
        let lonely = Node::start(&sim, 501, &[addr(far(777))]);
        let mut events = lonely.handle.events(Category::Errors.into(), 1000);
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert!(heard(&mut events).is_empty());
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(words(&heard(&mut events)), ["dht_failed"]);
        // Then there is somebody.
        let mut events = lonely.handle.events(Category::Dht.into(), 1000);
        let _other = Node::start(&sim, 502, &[addr(far(501))]);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(words(&heard(&mut events)), ["dht_ready"]);
        sim
    });
}
