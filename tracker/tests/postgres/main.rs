//! What a tracker keeps, in a real PostgreSQL: shared by several trackers, away at the start, and killed in the middle of writes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests stop at what they did not expect, and say what they skip"
)]

mod load;
mod server;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::id::{InfoHash, PeerId};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tracker::access::Listing;
use tracker::store::{Store, StoreError};
use tracker::swarms::{Announced, Event, Picked, Report, Seconds};
use tracker::{Core, Settings};

use server::{LONG, Server};

fn open(settings: &Settings) -> (Arc<Core>, Store) {
    let core = Core::new(
        settings.swarm_options(),
        settings.mode(),
        settings.policy(),
        None,
    );
    let core = Arc::new(core);
    let store = Store::open(settings, Path::new(""), &core).unwrap();
    (core, store)
}

/// Has a peer of its own complete a torrent.
fn complete(core: &Core, torrent: u8, peer: u32) {
    for event in [Event::Started, Event::Completed] {
        let [_, a, b, c] = peer.to_be_bytes();
        let announced = Announced {
            info_hash: InfoHash([torrent; 20]),
            peer_id: PeerId([1; 20]),
            addr: ([10, a, b, c], 1).into(),
            seeder: event == Event::Completed,
            stopped: false,
            report: Report {
                event,
                ..Report::default()
            },
            want: 0,
            mixed: false,
        };
        let mut rng = SmallRng::seed_from_u64(1);
        let mut picked = Picked::default();
        core.swarms
            .announce(&announced, Seconds::new(1), &mut rng, &mut picked);
    }
}

#[tokio::test]
async fn completions_of_trackers_that_share_a_database_add_up() {
    let Some(mut server) = Server::new() else {
        return;
    };
    server.start();
    let settings = server.settings();
    let trackers: Vec<_> = (0..3).map(|_| open(&settings)).collect();
    let mut expected = BTreeMap::<_, u32>::new();
    let mut rng = SmallRng::seed_from_u64(7);
    for round in 0..40_u32 {
        for (core, _) in &trackers {
            for peer in 0..20 {
                let torrent = rng.random_range(0..10);
                complete(core, torrent, round * 20 + peer);
                // A peer completes each torrent once.
                *expected.entry(InfoHash([torrent; 20])).or_default() += 1;
            }
        }
        let writes = trackers.iter().map(|(_, store)| {
            let orders = store.orders();
            async move { orders.write().await.unwrap() }
        });
        futures_util::future::join_all(writes).await;
    }
    assert_eq!(server.completed(), expected);
    let (core, store) = &trackers[0];
    let hash = InfoHash([3; 20]);
    complete(core, 3, 1 << 20);
    store.orders().write().await.unwrap();
    assert_eq!(
        core.swarms.scrape(&hash).downloaded,
        expected[&hash] + 1,
        "of all trackers"
    );
}

#[tokio::test]
async fn trackers_that_share_a_database_see_each_others_lists_and_keys() {
    let Some(mut server) = Server::new() else {
        return;
    };
    server.start();
    let mut settings = server.settings();
    settings.access.listing = Listing::Allow;
    settings.access.private = true;
    let trackers: Vec<_> = (0..3).map(|_| open(&settings)).collect();
    let (core, store) = &trackers[0];
    let hash = InfoHash([3; 20]);

    let key = "YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ";
    assert!(store.orders().list(hash).await.unwrap());
    assert!(!store.orders().list(hash).await.unwrap());
    assert!(
        store
            .orders()
            .add_key(key.parse().unwrap(), Some(60))
            .await
            .unwrap()
    );
    assert!(
        !store
            .orders()
            .add_key(key.parse().unwrap(), None)
            .await
            .unwrap()
    );
    let end = Instant::now() + LONG;
    while trackers
        .iter()
        .any(|(core, _)| core.access.check(&hash, Some(key), 100).is_err())
    {
        assert!(Instant::now() < end, "the others do not look");
        tokio::task::yield_now().await;
    }
    assert!(trackers[1].1.orders().unlist(hash).await.unwrap());
    assert!(
        trackers[2]
            .1
            .orders()
            .remove_key(key.parse().unwrap())
            .await
            .unwrap()
    );
    assert!(
        !trackers[2]
            .1
            .orders()
            .remove_key(key.parse().unwrap())
            .await
            .unwrap()
    );
    let end = Instant::now() + LONG;
    while core.access.listed() + core.access.keys() > 0 {
        assert!(Instant::now() < end, "it does not look");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_of_writes_loses_no_completion_and_counts_none_twice()
{
    let Some(mut server) = Server::new() else {
        return;
    };
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let settings = server.settings();
    // It is away at the start, too.
    let (core, store) = open(&settings);
    assert!(!store.state().counts().is_loaded);
    let mut expected = BTreeMap::<_, u32>::new();
    let mut peer = 0;
    for round in 0..6 {
        server.start();
        // Writes go on while it is killed, some milliseconds after they began.
        let orders = store.orders();
        let writing = tokio::spawn(async move {
            for _ in 0..200 {
                let _ = orders.write().await;
                tokio::task::yield_now().await;
            }
        });
        let end = Instant::now() + Duration::from_millis(rng.random_range(20..400));
        while Instant::now() < end {
            for torrent in 0..50_u8 {
                complete(&core, torrent, peer);
                *expected.entry(InfoHash([torrent; 20])).or_default() += 1;
            }
            peer += 1;
            tokio::task::yield_now().await;
        }
        server.stop(if round % 2 == 0 { "QUIT" } else { "INT" });
        writing.abort();
        let refused = store.orders().write().await;
        assert!(matches!(refused, Ok(()) | Err(StoreError::Database(_))));
    }
    server.start();
    let end = Instant::now() + LONG;
    let stands = || {
        let counts = store.state().counts();
        counts.is_loaded && counts.error.is_none()
    };
    while store.orders().write().await.is_err() || !stands() {
        assert!(Instant::now() < end, "{:?}", store.state().counts());
        tokio::task::yield_now().await;
    }
    assert_eq!(server.completed(), expected);
    drop(store);
    // And the next tracker begins with it.
    let (core, _store) = open(&settings);
    for (hash, count) in expected {
        assert_eq!(core.swarms.scrape(&hash).downloaded, count);
    }
}
