//! Whole transfers between engines of this process, over real sockets on loopback.

mod common;

use std::fs::File;
use std::io::Read;
use std::process::Command;
use std::thread;
use std::time::Duration;

use common::{Node, Payload, finished, in_system};
use engine::{AddTorrent, CommandError, Encryption, Event, Limits, Source, State};
use storage::resume::Record;

#[test]
fn a_torrent_whose_peers_must_have_certificates_is_refused() {
    in_system(async {
        let node = Node::start().await;
        let payload = Payload::ssl(1, 1000, 16 * 1024);
        let add = AddTorrent::new(Source::Metainfo(payload.metainfo()), node.dir());
        assert_eq!(node.handle.add(add).await, Err(CommandError::SslTorrent));
    });
}

#[test]
fn a_torrent_goes_from_seeder_to_leecher() {
    in_system(async {
        let payload = Payload::new(1, 3 * 1024 * 1024 + 17, 64 * 1024);
        let (seeder, leecher) = (Node::start().await, Node::start().await);
        seeder.seed(&payload).await;
        let id = leecher.fetch(&payload, &[seeder.addr()]).await;
        finished(&leecher, id).await;
        assert_eq!(leecher.content(&payload), payload.bytes());
        let status = leecher.status(id);
        assert_eq!(status.state, State::Seeding);
        assert_eq!(status.done, payload.len());
        leecher.stop().await;
        seeder.stop().await;
    });
}

#[test]
fn a_magnet_link_is_enough() {
    in_system(async {
        let payload = Payload::new(2, 500_000, 16 * 1024);
        let (seeder, leecher) = (Node::start().await, Node::start().await);
        seeder.seed(&payload).await;
        let id = leecher.fetch_magnet(&payload, &[seeder.addr()]).await;
        finished(&leecher, id).await;
        assert_eq!(leecher.content(&payload), payload.bytes());
    });
}

#[test]
fn leechers_serve_each_other() {
    in_system(async {
        let payload = Payload::new(3, 4 * 1024 * 1024, 32 * 1024);
        let seeder = Node::start().await;
        let (one, two) = (Node::start().await, Node::start().await);
        let id = seeder.seed(&payload).await;
        let a = one.fetch(&payload, &[seeder.addr(), two.addr()]).await;
        let b = two.fetch(&payload, &[seeder.addr(), one.addr()]).await;
        finished(&one, a).await;
        finished(&two, b).await;
        assert_eq!(one.content(&payload), payload.bytes());
        assert_eq!(two.content(&payload), payload.bytes());
        assert!(seeder.status(id).uploaded <= 3 * payload.len());
    });
}

#[test]
fn a_second_start_resumes_without_fetching_again() {
    in_system(async {
        let payload = Payload::new(4, 1_000_000, 16 * 1024);
        let seeder = Node::start().await;
        seeder.seed(&payload).await;
        let leecher = Node::start().await;
        let id = leecher.fetch(&payload, &[seeder.addr()]).await;
        finished(&leecher, id).await;
        leecher.stop().await;
        let again = leecher.restart().await;
        let id = again.fetch(&payload, &[]).await;
        finished(&again, id).await;
        assert_eq!(again.status(id).downloaded, 0);
    });
}

#[test]
fn an_unclean_stop_is_checked_and_only_what_is_missing_is_fetched() {
    in_system(async {
        let payload = Payload::new(5, 1_000_000, 16 * 1024);
        let seeder = Node::start().await;
        seeder.seed(&payload).await;
        let leecher = Node::start().await;
        let mut half = payload.bytes().to_vec();
        half[500_000..].fill(0);
        leecher.put(&payload, &half);
        let id = leecher.fetch(&payload, &[seeder.addr()]).await;
        finished(&leecher, id).await;
        assert_eq!(leecher.content(&payload), payload.bytes());
        let downloaded = leecher.status(id).downloaded;
        assert!(
            (500_000..540_000).contains(&downloaded),
            "fetched {downloaded} bytes"
        );
    });
}

#[test]
fn the_same_torrent_is_not_added_twice() {
    in_system(async {
        let payload = Payload::new(7, 1000, 16 * 1024);
        let node = Node::start().await;
        let id = node.seed(&payload).await;
        let source = Source::Metainfo(payload.metainfo());
        let again = node.handle.add(AddTorrent::new(source, node.dir())).await;
        assert_eq!(again, Err(CommandError::Duplicate(id)));
        let mut events = node.handle.events(engine::Categories::USUAL, 1024);
        node.handle.remove(id, false).await.unwrap();
        loop {
            if matches!(events.recv().await.unwrap(), Event::Removed { id: gone, .. } if gone == id)
            {
                break;
            }
        }
        assert!(node.handle.snapshot().torrents.is_empty());
        assert!(node.handle.pause(id).await.is_err());
    });
}

#[test]
fn content_that_is_cut_while_it_is_served_is_an_error_and_is_fetched_again() {
    cut_while_served(false, Encryption::Off);
}

#[test]
fn what_is_cut_is_noticed_behind_blocks_that_are_still_there() {
    cut_while_served(true, Encryption::Off);
}

#[test]
fn what_is_cut_is_noticed_before_it_is_encrypted() {
    cut_while_served(false, Encryption::Require);
    cut_while_served(true, Encryption::Require);
}

fn cut_while_served(in_order: bool, encryption: Encryption) {
    in_system(async move {
        let payload = Payload::new(8, 2_000_000, 64 * 1024);
        let start = || Node::start_with(|config| config.settings.encryption.peers = encryption);
        let (seeder, leecher) = (start().await, start().await);
        let id = seeder.seed(&payload).await;
        let mut events = seeder.handle.events(engine::Categories::USUAL, 1024);
        let file = seeder.dir().join(payload.metainfo().name());
        std::fs::OpenOptions::new()
            .write(true)
            .open(file)
            .expect("the content")
            .set_len(100_000)
            .expect("cut");
        let mut add = AddTorrent::new(Source::Metainfo(payload.metainfo()), leecher.dir());
        add.peers = vec![seeder.addr()];
        add.sequential = in_order;
        let other = leecher.handle.add(add).await.expect("taken");
        let wait = Duration::from_secs(30);
        loop {
            let event = tokio::time::timeout(wait, events.recv()).await;
            let event = event.unwrap_or_else(|_| {
                let (seeding, fetching) = (seeder.status(id), leecher.status(other));
                panic!("it is not noticed: {seeding:?} {fetching:?}")
            });
            if matches!(event, Ok(Event::Error { .. })) {
                break;
            }
        }
        seeder
            .until(id, |status| status.state == State::Downloading)
            .await;
        // A third has everything: both get it from there.
        let third = start().await;
        third.seed(&payload).await;
        seeder
            .handle
            .add_peer(id, third.addr())
            .await
            .expect("taken");
        leecher
            .handle
            .add_peer(other, third.addr())
            .await
            .expect("taken");
        finished(&seeder, id).await;
        finished(&leecher, other).await;
        assert_eq!(seeder.content(&payload), payload.bytes());
        assert_eq!(leecher.content(&payload), payload.bytes());
    });
}

#[test]
fn a_stop_in_mid_download_is_resumed_without_a_check() {
    in_system(async {
        let payload = Payload::new(9, 4_000_000, 16 * 1024);
        let seeder = Node::start().await;
        seeder.seed(&payload).await;
        let leecher = Node::start().await;
        let limits = Limits {
            down: Some(2_000_000),
            up: None,
        };
        leecher.handle.set_limits(None, limits).await.unwrap();
        let id = leecher.fetch(&payload, &[seeder.addr()]).await;
        leecher.until(id, |status| status.done > 500_000).await;
        let before = leecher.status(id);
        leecher.stop().await;
        let again = leecher.restart().await;
        let mut events = again.handle.events(engine::Categories::USUAL, 1024);
        let id = again.fetch(&payload, &[seeder.addr()]).await;
        finished(&again, id).await;
        let mut seen = Vec::new();
        while let Ok(event) = events.try_recv() {
            seen.push(event);
        }
        let checked = seen
            .iter()
            .any(|event| matches!(event, Event::CheckFinished { .. }));
        assert!(!checked, "{seen:?}");
        let fetched = again.status(id).downloaded;
        assert!(
            fetched + before.done <= payload.len() + 1_000_000,
            "{fetched} again"
        );
        assert_eq!(again.content(&payload), payload.bytes());
    });
}

#[test]
fn a_disk_that_is_slow_to_keep_the_progress_of_one_torrent_holds_up_no_other() {
    in_system(async {
        let node = Node::start_with(|config| {
            config.torrent_threads = 1;
            config.disk_threads = 2;
        })
        .await;
        let (one, other) = (
            Payload::new(11, 100_000, 16 * 1024),
            Payload::new(12, 1, 1 << 14),
        );
        // Whoever writes to it waits for a reader.
        let record = node.record(&one);
        let slow = record.with_extension("new");
        let made = Command::new("mkfifo").arg(&slow).status();
        assert!(made.expect("it runs").success());
        let first = node.seed(&one).await;
        let second = node.fetch_magnet(&other, &[]).await;
        node.handle.pause(first).await.expect("it is there");
        node.handle.pause(second).await.expect("it is there");
        node.until(second, |status| status.state == State::Paused)
            .await;
        assert_eq!(node.status(first).state, State::Seeding);
        // Told to go on and to stop again meanwhile, it stops.
        node.handle.resume(first).await.expect("it is there");
        node.handle.pause(first).await.expect("it is there");
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            let mut fifo = File::open(slow).expect("it is there");
            fifo.read_to_end(&mut bytes).expect("read");
        });
        node.until(first, |status| status.state == State::Paused)
            .await;
        reader.join().expect("it ends");
        node.stop().await;
        let record = Record::load(&record).expect("it can be read");
        assert!(record.expect("a record").clean);
    });
}

#[test]
fn a_torrent_told_to_go_on_while_its_progress_is_kept_goes_on() {
    in_system(async {
        let node = Node::start_with(|config| config.disk_threads = 2).await;
        let payload = Payload::new(13, 100_000, 16 * 1024);
        let slow = node.record(&payload).with_extension("new");
        let made = Command::new("mkfifo").arg(&slow).status();
        assert!(made.expect("it runs").success());
        let id = node.seed(&payload).await;
        let mut events = node.handle.events(engine::Categories::USUAL, 1024);
        node.handle.pause(id).await.expect("it is there");
        node.handle.resume(id).await.expect("it is there");
        thread::spawn(move || File::open(slow).expect("it is there").read(&mut [0; 4096]));
        let finished =
            async { while !matches!(events.recv().await, Ok(Event::Finished { .. })) {} };
        let finished = tokio::time::timeout(Duration::from_secs(60), finished).await;
        assert!(finished.is_ok(), "{:?}", node.status(id));
        crate::finished(&node, id).await;
        node.stop().await;
    });
}
