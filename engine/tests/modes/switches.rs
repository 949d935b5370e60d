//! Switches that are turned while a torrent is at work.

use std::time::Duration;

use engine::{AddTorrent, Limits, Mode, Modes, Source, State, TorrentId};
use net::sim::{HostOptions, Link, Sim};
use tokio::time::sleep;

use crate::common::Payload;
use crate::common::sim::{Node, addr, config, ip, simulate};

const PIECE: usize = 16 * 1024;

fn only(mode: Mode) -> Modes {
    Modes::NONE.with(mode, true)
}

/// An engine whose line carries so many bytes a second each way, with the torrent.
async fn node(
    sim: &Sim,
    number: u32,
    payload: &Payload,
    (whole, rate): (bool, u64),
    change: impl FnOnce(&mut AddTorrent),
) -> (Node, TorrentId) {
    let host = sim.host(HostOptions {
        link: Link {
            up: Some(rate),
            down: Some(rate),
            ..Link::default()
        },
        ..HostOptions::at(ip(number))
    });
    let mut config = config(&host, number.into());
    config.local_discovery = false;
    let node = Node::start(host, config);
    if whole {
        node.put(payload);
    }
    let change = |add: &mut AddTorrent| {
        add.trust_data = whole;
        change(add);
    };
    let source = Source::Metainfo(payload.metainfo());
    let id = node.add_with(source, change).await;
    (node, id)
}

async fn turn(node: &Node, id: TorrentId, mode: Mode, on: bool) {
    let modes = only(mode);
    let (on, off) = if on {
        (modes, Modes::NONE)
    } else {
        (Modes::NONE, modes)
    };
    node.handle.set_modes(id, on, off).await.expect("turned");
}

fn status(node: &Node, id: TorrentId) -> std::sync::Arc<engine::TorrentStatus> {
    node.handle.status(id).expect("it is there")
}

#[test]
fn a_torrent_that_only_uploads_fetches_nothing_until_it_may_again() {
    simulate(async {
        let sim = Sim::new(60);
        let payload = Payload::new(60, 4_000_000, PIECE);
        let (_seed, _) = node(&sim, 1, &payload, (true, 100_000), |_| {}).await;
        let (leech, id) = node(&sim, 2, &payload, (false, 100_000), |add| {
            add.peers = vec![addr(1)];
        })
        .await;
        sleep(Duration::from_secs(10)).await;
        turn(&leech, id, Mode::UploadOnly, true).await;
        sleep(Duration::from_secs(10)).await;
        let before = status(&leech, id);
        assert!(before.done > 0 && before.modes.has(Mode::UploadOnly));
        let (later, later_id) = node(&sim, 3, &payload, (false, 100_000), |add| {
            add.peers = vec![addr(2)];
        })
        .await;
        sleep(Duration::from_secs(60)).await;
        let now = status(&leech, id);
        assert_eq!(now.downloaded, before.downloaded, "it asks for blocks");
        assert!(now.uploaded > 0, "it serves what it has");
        assert!(status(&later, later_id).done > 0);
        turn(&leech, id, Mode::UploadOnly, false).await;
        assert!(leech.finishes(id, Duration::from_secs(600)).await);
        sim
    });
}

#[test]
fn super_seeding_begins_and_ends_while_peers_are_there() {
    simulate(async {
        let sim = Sim::new(61);
        let payload = Payload::new(61, 2_000_000, PIECE);
        let pieces = payload.metainfo().geometry().pieces();
        let (seed, id) = node(&sim, 1, &payload, (true, 1_000_000), |add| {
            add.limits = Limits {
                up: Some(2_000),
                down: None,
            };
        })
        .await;
        let (leech, leech_id) = node(&sim, 2, &payload, (false, 1_000_000), |add| {
            add.peers = vec![addr(1)];
        })
        .await;
        let shown = async || {
            let peers = leech.handle.peers(leech_id).await.expect("asked");
            peers.first().map(|peer| peer.pieces.unwrap_or(pieces))
        };
        assert!(leech.meets(leech_id, 1, Duration::from_secs(60)).await);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(shown().await, Some(pieces));
        turn(&seed, id, Mode::SuperSeed, true).await;
        sleep(Duration::from_secs(30)).await;
        let few = shown().await.expect("connected again");
        assert!(few < pieces / 2, "{few} of {pieces} are shown");
        turn(&seed, id, Mode::SuperSeed, false).await;
        sleep(Duration::from_secs(5)).await;
        assert_eq!(
            shown().await,
            Some(pieces),
            "all are shown, to who was there"
        );
        sim
    });
}

#[test]
fn a_torrent_that_shares_gives_more_than_it_takes() {
    simulate(async {
        let sim = Sim::new(62);
        let payload = Payload::new(62, 3_000_000, PIECE);
        let peers = [1, 2, 3, 4, 5, 6, 7].map(addr).to_vec();
        let (_seed, _) = node(&sim, 1, &payload, (true, 30_000), |_| {}).await;
        let (sharer, id) = node(&sim, 2, &payload, (false, 500_000), |add| {
            add.peers.clone_from(&peers);
            add.share = true;
        })
        .await;
        let mut takers = Vec::new();
        for number in 3..8 {
            takers.push(
                node(&sim, number, &payload, (false, 30_000), |add| {
                    add.peers.clone_from(&peers);
                })
                .await,
            );
        }
        for (taker, id) in &takers {
            assert!(taker.finishes(*id, Duration::from_secs(3600)).await);
        }
        let shared = status(&sharer, id);
        assert!(shared.downloaded > 0, "nothing was worth it: {shared:?}");
        assert!(
            shared.uploaded + 4 * PIECE as u64 >= 3 * shared.downloaded,
            "{} came, {} went",
            shared.downloaded,
            shared.uploaded
        );
        assert!(shared.downloaded < payload.len() / 2);
        // It wants everything like anybody else from now on.
        turn(&sharer, id, Mode::Share, false).await;
        assert!(sharer.finishes(id, Duration::from_secs(3600)).await);
        sim
    });
}

#[test]
fn a_torrent_that_shares_takes_nothing_that_it_cannot_give_as_often_as_is_set() {
    simulate(async {
        for (target, takes) in [(2_u32, true), (1000, false)] {
            let sim = Sim::new(64);
            let payload = Payload::new(64, 1_000_000, PIECE);
            let peers = [1, 2, 3, 4, 5].map(addr).to_vec();
            let (_seed, _) = node(&sim, 1, &payload, (true, 30_000), |_| {}).await;
            let (sharer, id) = node(&sim, 2, &payload, (false, 500_000), |add| {
                add.peers.clone_from(&peers);
                add.share = true;
            })
            .await;
            let patch = engine::settings::Patch::new().with("seeding.share_target", target);
            sharer.handle.set_settings(patch).await.expect("set");
            let mut takers = Vec::new();
            for number in 3..6 {
                let taker = node(&sim, number, &payload, (false, 30_000), |add| {
                    add.peers.clone_from(&peers);
                });
                takers.push(taker.await);
            }
            for (taker, id) in &takers {
                assert!(taker.finishes(*id, Duration::from_secs(3600)).await);
            }
            let shared = status(&sharer, id);
            assert_eq!(shared.downloaded > 0, takes, "{target}: {shared:?}");
        }
        Sim::new(64)
    });
}

#[test]
fn a_torrent_that_is_to_stop_when_it_was_checked_is_paused_then_and_goes_on_when_told() {
    simulate(async {
        let sim = Sim::new(63);
        let payload = Payload::new(63, 300_000, PIECE);
        let (_seed, _) = node(&sim, 1, &payload, (true, 1_000_000), |_| {}).await;
        let (leech, id) = node(&sim, 2, &payload, (false, 1_000_000), |add| {
            add.peers = vec![addr(1)];
            add.stop_when_ready = true;
        })
        .await;
        sleep(Duration::from_secs(60)).await;
        let stopped = status(&leech, id);
        assert_eq!((&stopped.state, stopped.downloaded), (&State::Paused, 0));
        assert!(!stopped.modes.has(Mode::StopWhenReady), "it holds once");
        leech.handle.resume(id).await.expect("resumed");
        assert!(leech.finishes(id, Duration::from_secs(600)).await);
        turn(&leech, id, Mode::StopWhenReady, true).await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(status(&leech, id).state, State::Paused, "it was ready");
        sim
    });
}

#[test]
fn peers_meet_by_those_who_may_tell_of_peers_and_not_by_others() {
    for exchange in [true, false] {
        simulate(async {
            let sim = Sim::new(64);
            let payload = Payload::new(64, 4_000_000, PIECE);
            let (_seed, _) = node(&sim, 1, &payload, (true, 5_000), |add| {
                add.use_peer_exchange = exchange;
            })
            .await;
            let (_other, _) = node(&sim, 2, &payload, (false, 5_000), |add| {
                add.peers = vec![addr(1)];
            })
            .await;
            let (third, id) = node(&sim, 3, &payload, (false, 5_000), |add| {
                add.peers = vec![addr(1)];
            })
            .await;
            sleep(Duration::from_secs(200)).await;
            let peers = third.handle.peers(id).await.expect("asked");
            assert_eq!(peers.len() > 1, exchange, "{peers:?}");
            sim
        });
    }
}

#[test]
fn neighbours_are_sought_as_long_as_the_torrent_may() {
    simulate(async {
        let sim = Sim::new(65);
        let payload = Payload::new(65, 4_000_000, PIECE);
        let start = async |number, local| {
            let host = sim.host(HostOptions::at(ip(number)));
            let mut config = config(&host, number.into());
            config.local_discovery = true;
            let node = Node::start(host, config);
            let source = Source::Metainfo(payload.metainfo());
            let id = node
                .add_with(source, |add| add.use_local_discovery = local)
                .await;
            (node, id)
        };
        let (one, one_id) = start(1, true).await;
        let (other, other_id) = start(2, false).await;
        sleep(Duration::from_secs(400)).await;
        assert_eq!(status(&one, one_id).peers, 0);
        turn(&other, other_id, Mode::LocalDiscovery, true).await;
        assert!(one.meets(one_id, 1, Duration::from_secs(400)).await);
        sim
    });
}
