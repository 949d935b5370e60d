//! Torrents that are named by their publisher's key (BEP 46).

use dht::{Item, NewItem};
use engine::{CommandError, Event, Published, ResolveError};
use net::sim::Sim;
use protocol::id::InfoHash;
use protocol::krpc::item::{ItemKey, torrent_value};
use protocol::magnet::MutableItem;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Who publishes under `salt`.
struct Publisher {
    key: Arc<ItemKey>,
    salt: &'static str,
}

impl Publisher {
    fn new(salt: &'static str) -> Self {
        let key = Arc::new(ItemKey::from_seed(&[9; 32]).expect("a key"));
        Self { key, salt }
    }

    fn named(&self) -> MutableItem {
        MutableItem {
            public_key: self.key.public(),
            salt: self.salt.into(),
        }
    }

    /// A link that has nothing but the key.
    fn link(&self) -> Source {
        let link = Magnet {
            mutable: Some(self.named()),
            ..Magnet::default()
        };
        let written = link.to_string();
        assert_eq!(Magnet::parse(&written), Ok(link.clone()));
        Source::Magnet(Box::new(link))
    }

    async fn put(&self, node: &DhtHandle, value: Vec<u8>, seq: Option<i64>) {
        let item = NewItem::Sign {
            key: Arc::clone(&self.key),
            salt: self.salt.into(),
            value,
            seq,
            cas: None,
        };
        let stored = node.put(item).await.expect("it runs");
        assert!(stored.nodes > 0, "{stored:?}");
    }

    async fn publish(&self, node: &DhtHandle, payload: &Payload) {
        let value = torrent_value(payload.metainfo().hashes().wire());
        self.put(node, value, None).await;
    }
}

async fn settle() {
    sleep(Duration::from_secs(30)).await;
}

#[test]
fn a_publishers_key_is_enough_and_a_newer_version_is_told_of_and_nothing_more() {
    simulate(async {
        let sim = Sim::new(46);
        let (_nodes, bootstrap) = network(&sim, 20);
        settle().await;
        let publisher = Publisher::new("s");
        let [first, second] = [1, 2].map(|seed| Payload::new(seed, 300_000, PIECE));
        let seeder = Node::start(&sim, 501, &bootstrap);
        seeder.seed(&first).await;
        settle().await;
        publisher.publish(&seeder.dht, &first).await;

        let leecher = Node::start(&sim, 502, &bootstrap);
        let mut events = leecher.handle.events(engine::Categories::USUAL, 1024);
        let id = leecher.add(publisher.link()).await;
        assert!(leecher.finishes(id, Duration::from_secs(60)).await);
        let status = leecher.handle.snapshot().torrents[0].clone();
        assert_eq!(status.hashes, first.metainfo().hashes());

        sleep(2 * HOUR).await;
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, Event::Newer { .. }), "it is the newest");
        }
        publisher.publish(&seeder.dht, &second).await;
        let newer = async {
            loop {
                if let Event::Newer { published, .. } = events.recv().await.expect("an event") {
                    return published;
                }
            }
        };
        let newer = timeout(2 * HOUR, newer).await.expect("it is told");
        let expected = Published {
            info_hash: second.metainfo().hashes().wire(),
            seq: newer.seq,
        };
        assert_eq!(newer, expected);
        settle().await;
        let snapshot = leecher.handle.snapshot();
        assert_eq!(snapshot.torrents.len(), 1, "the newer one was not added");
        assert_eq!(snapshot.torrents[0].newer, Some(newer));
        let content = std::fs::read(leecher.dir.path().join("payload"));
        assert!(content.expect("it is there") == first.bytes());
        sim
    });
}

#[test]
fn who_follows_an_item_keeps_it_alive() {
    simulate(async {
        let sim = Sim::new(47);
        let (_nodes, bootstrap) = network(&sim, 20);
        settle().await;
        let publisher = Publisher::new("");
        let payload = Payload::new(1, 100_000, PIECE);
        let seeder = Node::start(&sim, 501, &bootstrap);
        seeder.seed(&payload).await;
        settle().await;
        publisher.publish(&seeder.dht, &payload).await;
        let leecher = Node::start(&sim, 502, &bootstrap);
        leecher.add(publisher.link()).await;
        // Twice as long as an item lives.
        sleep(5 * HOUR).await;
        let other = Node::start(&sim, 503, &bootstrap);
        settle().await;
        let found = other.handle.resolve(&publisher.named(), 0).await;
        let found = found.expect("it is still there");
        assert_eq!(found.info_hash, payload.metainfo().hashes().wire());
        sim
    });
}

#[test]
fn what_a_key_does_not_name_is_an_error_that_says_why() {
    simulate(async {
        let sim = Sim::new(48);
        let (_nodes, bootstrap) = network(&sim, 10);
        settle().await;
        let node = Node::start(&sim, 501, &bootstrap);
        settle().await;
        let publisher = Publisher::new("s");
        let named = publisher.named();
        let resolve = || node.handle.resolve(&named, 0);
        assert_eq!(resolve().await, Err(ResolveError::Nothing));
        let add = AddTorrent::new(publisher.link(), node.dir.path().into());
        let refused = node.handle.add(add.clone()).await;
        let nothing = CommandError::Unresolved(ResolveError::Nothing);
        assert_eq!(refused, Err(nothing));
        publisher.put(&node.dht, b"5:hello".to_vec(), None).await;
        assert_eq!(resolve().await, Err(ResolveError::NoTorrent));

        let host = sim.host(HostOptions::at(ip(far(502))));
        let without = sim::Node::start(host.clone(), config(&host, 1));
        assert_eq!(
            without.handle.resolve(&named, 0).await,
            Err(ResolveError::NoDht)
        );
        let alone = Node::start(&sim, 503, &[]);
        assert_eq!(
            alone.handle.resolve(&named, 0).await,
            Err(ResolveError::NoNode)
        );
        sim
    });
}

#[test]
fn nobody_leads_us_back_to_an_older_version() {
    simulate(async {
        let publisher = Publisher::new("s");
        let state = TempDir::new().expect("a folder");
        let versions = [5_u8, 4].map(|seq| (torrent_value(InfoHash([seq; 20])), i64::from(seq)));
        let sim = Sim::new(49);
        let mut nets = Vec::new();
        for (number, (value, seq)) in versions.into_iter().enumerate() {
            // Each version lives in a network of its own.
            let base = 10 * number as u32;
            let host = |at: u32| sim.host(HostOptions::at(ip(far(500 + base + at))));
            let hosts = [host(0), host(1), host(2)];
            let first = vec![addr(far(500 + base))];
            let nodes = [0, 1].map(|at| {
                let known = if at == 0 { &[][..] } else { &first[..] };
                dht(&hosts[at], known, at as u64)
            });
            settle().await;
            publisher.put(&nodes[1], value, Some(seq)).await;
            let node = dht(&hosts[2], &first, 9);
            let mut config = config(&hosts[2], 9);
            config.memory = engine::Memory::Files(state.path().to_owned());
            config.dht = Some(DhtDoor {
                handle: node.clone(),
                port: Some(PORT),
            });
            let engine = sim::Node::start(hosts[2].clone(), config);
            settle().await;
            let wanted = dht::Wanted::Mutable {
                key: publisher.key.public(),
                salt: b"s".to_vec(),
            };
            let there = node.get(wanted).await.expect("it runs");
            assert_eq!(there.as_ref().and_then(Item::seq), Some(seq));
            let found = engine.handle.resolve(&publisher.named(), 0).await;
            assert_eq!(found.map(|found| found.seq), Ok(5));
            nets.push((nodes, node, engine, hosts));
        }
        sim
    });
}
