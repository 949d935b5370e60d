//! Reading elsewhere from one moment to the next.

use std::time::Duration;

use engine::{FileReader, ReadAhead};
use protocol::metainfo::Version;
use tokio::io::{AsyncSeekExt as _, SeekFrom};
use tokio::time::Instant;

use crate::common::sim::simulate;
use crate::scene::Scene;

/// How long the first byte at a place takes.
async fn jump(scene: &Scene, reader: &mut FileReader, to: u64) -> Duration {
    let begun = Instant::now();
    reader.seek(SeekFrom::Start(to)).await.expect("sought");
    scene.read(reader, 0, 1).await;
    begun.elapsed()
}

#[test]
fn a_jump_right_after_the_only_peer_was_met_takes_no_longer_than_later_ones() {
    simulate(async {
        let (rate, piece, len) = (10_000_000, 256 << 10, 100_000_000_usize);
        let scene = Scene::new((Version::V1, 20), (&[len], piece), &[rate], |_| {}).await;
        let mut reader = scene.reader(0, ReadAhead::default()).await;
        let first = jump(&scene, &mut reader, 0).await;
        let mut took = Vec::new();
        for number in 0..20 {
            let to = (number * 7 % 20) * len / 20 + len / 40;
            took.push(jump(&scene, &mut reader, to as u64).await);
        }
        println!("{first:?}, {took:?}");
        // A question takes 100 ms and a piece 26; what was sent already cannot be taken back.
        let late = took
            .iter()
            .filter(|took| **took > Duration::from_millis(450));
        assert_eq!(late.count(), 0, "{took:?}");
        scene.sim
    });
}

#[test]
fn a_jump_to_what_was_asked_for_already_does_not_wait_for_all_that_was_asked_for_before() {
    simulate(async {
        let (rate, piece) = (4_000_000, 128 << 10);
        let scene = Scene::new((Version::V1, 21), (&[60_000_000], piece), &[rate], |_| {}).await;
        let ahead = ReadAhead {
            bytes: 500_000,
            rate: Some(rate),
            ends: false,
        };
        let mut reader = scene.reader(0, ahead).await;
        scene.read(&mut reader, 0, 10_000_000).await;
        for _ in 0..5 {
            let to = reader.position() + 4_000_000;
            let took = jump(&scene, &mut reader, to).await;
            println!("{to}: {took:?}");
            assert!(took < Duration::from_millis(500), "{to}: {took:?}");
            scene.read(&mut reader, 0, 3_000_000).await;
        }
        scene.sim
    });
}

#[test]
fn who_waits_for_a_piece_does_not_wait_for_those_that_would_be_hashed_along_with_it() {
    simulate(async {
        let (rate, piece, len) = (50_000_000, 256 << 10, 100_000_000_usize);
        let near = Duration::from_micros(100);
        let (content, files) = ((Version::V1, 22), (&[len][..], piece));
        let scene = Scene::at_a_distance(near, content, files, &[rate], |_| {}).await;
        let mut reader = scene.reader(0, ReadAhead::default()).await;
        let mut took = Vec::new();
        for number in 0..20 {
            let to = (number * 7 % 20) * len / 20 + len / 40;
            took.push(jump(&scene, &mut reader, to as u64).await);
        }
        println!("{took:?}");
        took.sort();
        // A piece takes 5 ms, and some of what was asked for before comes first.
        assert!(took[10] < Duration::from_millis(28), "{took:?}");
        scene.sim
    });
}
