//! What an engine tells of its work, to those who want to hear of everything.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "who listens takes what it wants of an open list"
)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::Payload;
use common::sim::{Node, addr, config, ip, simulate};
use engine::{
    Categories, Category, EngineConfig, Event, Events, NoEvent, Parting, Refusal, Source, State,
    Warning,
};
use net::sim::{HostOptions, Sim};
use protocol::id::PeerId;
use protocol::peer::handshake::{Handshake, Reserved};
use tokio::io::AsyncWriteExt as _;

const PIECE: usize = 64 * 1024;
const BLOCK: usize = 16 * 1024;

/// More events than come.
const PLENTY: usize = 100_000;

fn start(sim: &Sim, number: u32, change: impl FnOnce(&mut EngineConfig)) -> Node {
    let host = sim.host(HostOptions::at(ip(number)));
    let mut config = config(&host, u64::from(number));
    change(&mut config);
    Node::start(host, config)
}

/// What was told up to now; nothing was missed.
fn heard(events: &mut Events) -> Vec<Event> {
    let mut all = Vec::new();
    loop {
        match events.try_recv() {
            Ok(event) => all.push(event),
            Err(NoEvent::Empty) => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits for an event that is wanted.
async fn hear<T>(events: &mut Events, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let wait = async {
        loop {
            let event = events.recv().await.expect("the engine runs");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(600), wait)
        .await
        .expect("it is told")
}

fn count(events: &[Event], word: &str) -> usize {
    assert!(Event::WORDS.contains(&word), "{word}");
    events.iter().filter(|event| event.word() == word).count()
}

fn words(events: &[Event], category: Category) -> Vec<&'static str> {
    let about = events.iter().filter(|event| event.category() == category);
    about.map(Event::word).collect()
}

#[test]
fn a_download_is_told_by_blocks_pieces_and_files_on_both_sides() {
    simulate(async {
        let sim = Sim::new(1);
        let payload = Payload::new(1, 1_000_000, PIECE);
        let (seeder, leecher) = (start(&sim, 1, |_| {}), start(&sim, 2, |_| {}));
        let mut gives = seeder.handle.events(Categories::ALL, PLENTY);
        let mut takes = leecher.handle.events(Categories::ALL, PLENTY);
        seeder.seed(&payload).await;
        let named = vec![addr(1)];
        let source = Source::Metainfo(payload.metainfo());
        let id = leecher.add_with(source, |add| add.peers = named).await;
        assert!(leecher.finishes(id, Duration::from_secs(600)).await);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let figures = leecher.handle.metrics().await.expect("it runs");
        let served = seeder.handle.metrics().await.expect("it runs");
        let (gives, takes) = (heard(&mut gives), heard(&mut takes));

        let (blocks, pieces) = (
            1_000_000_usize.div_ceil(BLOCK),
            1_000_000_usize.div_ceil(PIECE),
        );
        let of = |name| figures.get(name).expect("a figure");
        assert_eq!(of("net.recv_payload_bytes"), 1_000_000);
        assert!((1_000_000..1_100_000).contains(&of("net.recv_bytes")));
        assert_eq!(of("ses.num_piece_passed"), pieces as u64);
        assert_eq!(of("disk.num_blocks_written"), blocks as u64);
        assert_eq!(
            (of("ses.num_seeding_torrents"), of("ses.num_torrents")),
            (1, 1)
        );
        assert_eq!(
            (of("peer.connection_attempts"), of("ses.num_piece_failed")),
            (1, 0)
        );
        assert_eq!(served.get("net.sent_payload_bytes"), Some(1_000_000));
        assert_eq!(served.get("disk.num_blocks_read"), Some(blocks as u64));
        assert_eq!(served.get("peer.incoming_connections"), Some(1));
        assert!(count(&takes, "stats") >= 5);
        assert!(count(&takes, "block_requested") >= blocks);
        assert_eq!(count(&takes, "block_received"), blocks);
        assert_eq!(count(&gives, "block_sent"), blocks);
        assert!(count(&gives, "block_asked") >= blocks);
        let whole: BTreeSet<u32> = takes
            .iter()
            .filter_map(|event| match event {
                Event::PieceFinished { piece, .. } => Some(*piece),
                _ => None,
            })
            .collect();
        assert_eq!(whole.len(), pieces);
        assert_eq!(words(&takes, Category::Files), ["files_completed"]);
        let at = |word| takes.iter().position(|event| event.word() == word).unwrap();
        assert!(at("files_completed") < at("finished"));

        assert_eq!(count(&gives, "incoming"), 1);
        assert!(gives.iter().any(|event| matches!(
            event,
            Event::PeerConnected { outgoing: false, addr, .. } if addr.ip() == ip(2)
        )));
        assert!(takes.iter().any(|event| matches!(
            event,
            Event::PeerConnected { outgoing: true, addr: at, .. } if *at == addr(1)
        )));
        assert!(
            takes.iter().any(|event| matches!(
                event,
                Event::PeerDisconnected {
                    was_there: true,
                    why: Parting::Redundant | Parting::Lost,
                    ..
                }
            )),
            "{takes:?}"
        );
        let status = words(&takes, Category::Status);
        let changed = status.iter().filter(|word| **word == "state_changed");
        assert!(changed.count() >= 2, "{status:?}");
        assert_eq!(words(&takes, Category::Peers), [""; 0]);
        sim
    });
}

#[test]
fn pauses_and_removals_are_told() {
    simulate(async {
        let sim = Sim::new(2);
        let payload = Payload::new(2, 100_000, PIECE);
        let node = start(&sim, 1, |_| {});
        let mut events = node.handle.events(Categories::USUAL, PLENTY);
        let id = node.seed(&payload).await;
        assert!(node.finishes(id, Duration::from_secs(60)).await);
        node.handle.pause(id).await.expect("it is there");
        hear(&mut events, |event| {
            matches!(event, Event::Paused { .. }).then_some(())
        })
        .await;
        let stands = node.handle.status(id).expect("it is there").state.clone();
        assert_eq!(stands, State::Paused, "its status is as new as the event");
        node.handle.resume(id).await.expect("it is there");
        hear(&mut events, |event| {
            matches!(event, Event::Resumed { .. }).then_some(())
        })
        .await;
        node.handle.remove(id, true).await.expect("it is there");
        let mut told = Vec::new();
        hear(&mut events, |event| {
            told.push(event.word());
            matches!(event, Event::Removed { .. }).then_some(())
        })
        .await;
        assert!(told.contains(&"data_deleted"), "{told:?}");
        assert!(!node.dir.path().join("payload").exists());
        assert!(node.handle.status(id).is_none());
        node.handle.shutdown(Duration::from_secs(1)).await;
        let end = async { while events.recv().await.is_ok() {} };
        let end = tokio::time::timeout(Duration::from_secs(60), end).await;
        assert!(end.is_ok(), "the end is told");
        assert_eq!(events.try_recv().unwrap_err(), NoEvent::Closed);
        sim
    });
}

#[test]
fn who_is_not_let_in_is_told_with_the_reason() {
    simulate(async {
        let sim = Sim::new(3);
        let payload = Payload::new(3, 100_000, PIECE);
        let (seeder, leecher) = (start(&sim, 1, |_| {}), start(&sim, 2, |_| {}));
        let mut doorkeeper = seeder.handle.events(Category::Blocked.into(), PLENTY);
        let mut guest = leecher.handle.events(Category::Connections.into(), PLENTY);
        let id = seeder.seed(&payload).await;
        assert!(seeder.finishes(id, Duration::from_secs(60)).await);
        seeder.handle.pause(id).await.expect("it is there");
        let rests = |status: &engine::TorrentStatus| status.state == State::Paused;
        assert!(common::reaches(&seeder.handle, id, Duration::from_secs(60), rests).await);
        let source = Source::Metainfo(payload.metainfo());
        leecher
            .add_with(source, |add| add.peers = vec![addr(1)])
            .await;
        let why = hear(&mut doorkeeper, |event| match event {
            Event::PeerBlocked { addr, why, .. } if addr.ip() == ip(2) => Some(why),
            _ => None,
        });
        assert_eq!(why.await, Refusal::Resting);
        let was_there = hear(&mut guest, |event| match event {
            Event::PeerDisconnected { was_there, .. } => Some(was_there),
            _ => None,
        });
        assert!(!was_there.await);
        sim
    });
}

#[test]
fn a_peer_that_lets_us_wait_is_told_of_and_so_are_limits_that_cost_speed() {
    simulate(async {
        let sim = Sim::new(4);
        let payload = Payload::new(4, 8_000_000, PIECE);
        let slow = start(&sim, 1, |config| config.settings.limits.up = Some(1));
        let swift = start(&sim, 2, |_| {});
        let leecher = start(&sim, 3, |config| {
            config.settings.limits.up = Some(100);
            config.settings.connections.max = 1;
            config.settings.peers.request_timeout = Duration::from_secs(5);
        });
        for seeder in [&slow, &swift] {
            seeder.seed(&payload).await;
        }
        let mut events = leecher.handle.events(
            Categories::USUAL
                .with(Category::Blocks)
                .with(Category::Performance),
            PLENTY,
        );
        let source = Source::Metainfo(payload.metainfo());
        let id = leecher
            .add_with(source, |add| add.peers = vec![addr(1)])
            .await;
        let mut late = 0;
        let mut full = false;
        hear(&mut events, |event| {
            late += usize::from(event.word() == "block_timed_out");
            full |= matches!(
                event,
                Event::Performance {
                    warning: Warning::NoSeats { most: 1 }
                }
            );
            let snubs = matches!(event, Event::PeerSnubs { addr: at, .. } if at == addr(1));
            (snubs || full && late > 0).then_some(())
        })
        .await;
        assert!(full, "one connection is all that there may be");
        let more = engine::settings::Patch::new().with("connections.max", 100);
        leecher.handle.set_settings(more).await.expect("it can be");
        leecher
            .handle
            .add_peer(id, addr(2))
            .await
            .expect("it is there");
        let (limit, rate) = hear(&mut events, |event| match event {
            Event::Performance {
                warning: Warning::UploadLimitLow { limit, down_rate },
            } => Some((limit, down_rate)),
            _ => None,
        })
        .await;
        assert!(limit == 100 && rate > 3500, "{rate}");
        sim
    });
}

#[test]
fn who_breaks_the_protocol_is_told_of_with_what_it_did() {
    simulate(async {
        let sim = Sim::new(6);
        let payload = Payload::new(6, 100_000, PIECE);
        let node = start(&sim, 1, |_| {});
        let mut events = node.handle.events(Category::Errors.into(), PLENTY);
        let id = node.seed(&payload).await;
        assert!(node.finishes(id, Duration::from_secs(60)).await);
        let stranger = sim.host(HostOptions::at(ip(2)));
        let mut stream = stranger.network().dial(addr(1)).await.expect("it listens");
        let ours = Handshake {
            reserved: Reserved::default(),
            info_hash: payload.metainfo().hashes().wire(),
            peer_id: PeerId(*b"-XX0001-breakstherul"),
        };
        stream.write_all(&ours.encode()).await.expect("sent");
        // A message of two gigabytes.
        stream
            .write_all(&[0x7f, 0xff, 0xff, 0xff, 0])
            .await
            .expect("sent");
        let (from, reason) = hear(&mut events, |event| match event {
            Event::PeerError { addr, reason, .. } => Some((addr, reason)),
            _ => None,
        })
        .await;
        assert!(from.ip() == ip(2) && !reason.is_empty(), "{reason}");
        let figures = node.handle.metrics().await.expect("it runs");
        assert_eq!(figures.get("peer.error_peers"), Some(1));
        sim
    });
}

#[test]
fn nothing_is_fetched_where_there_is_too_little_room_until_there_is_more() {
    simulate(async {
        let sim = Sim::new(7);
        let payload = Payload::new(7, 40_000_000, PIECE);
        let seeder = start(&sim, 1, |_| {});
        let leecher = start(&sim, 2, |config| {
            config.settings.disk.keep_free = engine::units::Size(1 << 50);
            config.settings.limits.down = Some(500_000);
        });
        seeder.seed(&payload).await;
        let source = Source::Metainfo(payload.metainfo());
        let id = leecher
            .add_with(source, |add| add.peers = vec![addr(1)])
            .await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let held = leecher.handle.status(id).expect("it is there");
        let why = held.reason.clone().unwrap_or_default();
        assert!(why.contains("little room"), "{held:?}");
        assert!(held.done < 20_000_000, "{held:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let later = leecher.handle.status(id).expect("it is there");
        assert_eq!((later.done, later.down_rate), (held.done, 0));
        let none = engine::settings::Patch::new()
            .with("disk.keep_free", 0)
            .with("limits.down", 0);
        leecher.handle.set_settings(none).await.expect("it can be");
        assert!(leecher.finishes(id, Duration::from_secs(600)).await);
        sim
    });
}

#[test]
fn want_of_room_is_told_once_and_so_is_its_end() {
    simulate(async {
        let sim = Sim::new(5);
        let payload = Payload::new(5, 100_000, PIECE);
        let node = start(&sim, 1, |config| {
            config.settings.disk.least_free = engine::units::Size(1 << 50);
        });
        let mut events = node.handle.events(Category::Storage.into(), PLENTY);
        node.seed(&payload).await;
        let dir = hear(&mut events, |event| match event {
            Event::LowSpace { dir, free } if free < 1 << 50 => Some(dir),
            _ => None,
        });
        assert_eq!(dir.await, node.dir.path());
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(
            count(&heard(&mut events), "low_space"),
            0,
            "it is told once"
        );
        let less = engine::settings::Patch::new().with("disk.least_free", 1);
        node.handle.set_settings(less).await.expect("it can be");
        let back = hear(&mut events, |event| {
            matches!(event, Event::SpaceBack { .. }).then_some(())
        });
        back.await;
        sim
    });
}
