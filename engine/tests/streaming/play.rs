//! Playing while it is fetched.

use std::time::Duration;

use engine::{Priority, ReadAhead};
use protocol::metainfo::Version;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};
use tokio::time::{Instant, sleep, timeout};

use crate::common::sim::simulate;
use crate::scene::Scene;

const PIECE: usize = 128 * 1024;

/// Bytes a second that are played.
const BIT_RATE: usize = 400_000;

/// Twenty seeds that send half as much again as is played, five of them next to nothing.
fn rates() -> Vec<u64> {
    let all = BIT_RATE as u64 * 3 / 2;
    // 15 fast ones and 5 that are twenty times slower.
    let fast = all * 20 / (15 * 20 + 5);
    let mut rates = vec![fast; 15];
    for slow in 0..5 {
        rates.insert(slow * 3, fast / 20);
    }
    rates
}

#[test]
fn nothing_stalls_where_half_as_much_again_comes_as_is_played_though_a_quarter_of_the_peers_is_slow()
 {
    for (seed, version) in [(1, Version::V1), (2, Version::Hybrid), (3, Version::V2)] {
        simulate(async {
            let seconds = 60;
            let lens = [BIT_RATE * seconds, 3_000_000];
            let scene = Scene::new((version, seed), (&lens, PIECE), &rates(), |_| {}).await;
            let mut reader = scene.reader(0, ReadAhead::default()).await;
            let played = scene.play((&mut reader, 0), (BIT_RATE, seconds), 5).await;
            println!("{version:?}: {played:?}");
            assert!(played.first < Duration::from_secs(4), "{played:?}");
            assert!(played.ready < Duration::from_secs(10), "{played:?}");
            assert_eq!(played.stalled, Duration::ZERO, "{played:?}");
            drop(reader);
            scene.finished().await;
            scene.sim
        });
    }
}

#[test]
fn a_reader_that_seeks_reads_there_within_seconds_and_what_lay_before_is_not_fetched_first() {
    simulate(async {
        let lens = [40_000_000];
        let scene = Scene::new((Version::V1, 4), (&lens, PIECE), &[200_000; 10], |_| {}).await;
        let ahead = ReadAhead {
            bytes: 4_000_000,
            ..ReadAhead::default()
        };
        let mut reader = scene.reader(0, ahead).await;
        scene.read(&mut reader, 0, 500_000).await;
        for target in [30_000_000, 10_000_000, 39_000_000, 20_000_000] {
            let before = scene.downloaded();
            let begun = Instant::now();
            reader.seek(SeekFrom::Start(target)).await.expect("sought");
            scene.read(&mut reader, 0, 100_000).await;
            let took = begun.elapsed();
            println!("{target}: {took:?}, {} bytes", scene.downloaded() - before);
            assert!(took < Duration::from_secs(2), "{target}: {took:?}");
            scene.read(&mut reader, 0, 400_000).await;
        }
        assert_eq!(
            reader.seek(SeekFrom::End(-5)).await.expect("sought"),
            39_999_995
        );
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.expect("read");
        assert_eq!(rest, scene.folder.files[0][39_999_995..]);
        let back = reader.seek(SeekFrom::Current(-40_000_001)).await;
        assert_eq!(back.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
        reader.seek(SeekFrom::End(10)).await.expect("sought");
        assert_eq!(reader.read(&mut [0; 9]).await.expect("the end"), 0);
        drop(reader);
        scene.finished().await;
        scene.sim
    });
}

#[test]
fn several_read_at_once_and_each_has_what_it_needs_in_time() {
    simulate(async {
        let rate = 100_000;
        let lens = [rate * 60, 1_000_000, rate * 60];
        let scene = Scene::new((Version::V1, 5), (&lens, PIECE), &[60_000; 10], |_| {}).await;
        let ahead = ReadAhead {
            rate: Some(rate as u64),
            bytes: 2_000_000,
            ends: false,
        };
        let mut one = scene.reader(0, ahead).await;
        let mut other = scene.reader(2, ahead).await;
        let mut far = scene.reader(2, ahead).await;
        far.seek(SeekFrom::Start(3_000_000)).await.expect("sought");
        let [first, second, third] = futures_util::future::join_all([
            scene.play((&mut one, 0), (rate, 30), 5),
            scene.play((&mut other, 2), (rate, 30), 5),
            scene.play((&mut far, 2), (rate, 30), 5),
        ])
        .await[..] else {
            panic!("three")
        };
        for played in [first, second, third] {
            println!("{played:?}");
            assert_eq!(played.stalled, Duration::ZERO, "{played:?}");
        }
        drop((one, other, far));
        scene.finished().await;
        scene.sim
    });
}

#[test]
fn the_first_and_the_last_piece_come_first_and_a_reader_that_is_dropped_takes_its_haste_along() {
    simulate(async {
        let lens = [20_000_000];
        let scene = Scene::new((Version::V1, 6), (&lens, PIECE), &[50_000; 8], |_| {}).await;
        let pieces = 20_000_000_usize.div_ceil(PIECE) as u32;
        let mut reader = scene.reader(0, ReadAhead::default()).await;
        scene.read(&mut reader, 0, 1).await;
        reader.seek(SeekFrom::End(-1)).await.expect("sought");
        let begun = Instant::now();
        let mut last = [0];
        reader.read_exact(&mut last).await.expect("read");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
        drop(reader);
        let before = had(&scene).await;
        assert!(before.contains(&0) && before.contains(&(pieces - 1)));
        // In order no more: after some time pieces from all over the file are there.
        sleep(Duration::from_secs(15)).await;
        let after = had(&scene).await;
        let late = after.iter().filter(|piece| **piece > pieces / 2);
        assert!(late.count() > 8, "{after:?}");
        scene.finished().await;
        scene.sim
    });
}

#[test]
fn a_file_is_read_as_fast_as_it_comes_though_more_is_on_its_way_than_lies_directly_before_the_reader()
 {
    /// Bytes that are read before it is measured how long the rest takes.
    const FIRST: usize = 8_000_000;
    const REST: usize = 40_000_000;
    simulate(async {
        let (rate, lens) = (4_000_000, [80_000_000]);
        let plain = Scene::new((Version::V1, 10), (&lens, PIECE), &[rate], |_| {}).await;
        let there = async |bytes: usize| {
            while had(&plain).await.len() * PIECE < bytes {
                sleep(Duration::from_millis(10)).await;
            }
            Instant::now()
        };
        let alone = there(FIRST).await;
        let alone = there(FIRST + REST).await - alone;
        plain.finished().await;
        let scene = Scene::new((Version::V1, 11), (&lens, PIECE), &[rate], |_| {}).await;
        // A fifth of what comes in a second.
        let ahead = ReadAhead {
            bytes: rate / 5,
            rate: None,
            ends: false,
        };
        let mut reader = scene.reader(0, ahead).await;
        scene.read(&mut reader, 0, FIRST).await;
        let begun = Instant::now();
        let mut unread = 0;
        for _ in 0..40 {
            scene.read(&mut reader, 0, REST / 40).await;
            let there = had(&scene).await.len() * PIECE;
            unread = unread.max(there.saturating_sub(reader.position() as usize));
        }
        let took = begun.elapsed();
        drop(reader);
        scene.finished().await;
        let wasted = scene.handle.status(scene.id).expect("it is there").wasted;
        println!("{took:?}, {alone:?} without a reader; {unread} bytes unread, {wasted} wasted");
        // It lasts no longer than without a reader but for what a pause of one connection makes of it.
        assert!(took < alone * 11 / 10, "{took:?} and {alone:?}");
        // What comes is what is read next, and nothing was asked for twice.
        assert!(unread < 4_000_000, "{unread}");
        assert!(wasted < 1_000_000, "{wasted}");
        scene.sim
    });
}

async fn had(scene: &Scene) -> Vec<u32> {
    let had = scene.handle.pieces(scene.id).await.expect("told");
    had.ones().collect()
}

#[test]
fn reads_that_are_given_up_lose_nothing() {
    simulate(async {
        let lens = [2_000_000];
        let scene = Scene::new((Version::V1, 7), (&lens, PIECE), &[80_000; 3], |_| {}).await;
        let mut reader = scene.reader(0, ReadAhead::default()).await;
        let (mut got, mut given_up) = (Vec::new(), 0);
        let mut buffer = vec![0; 70_001];
        while got.len() < lens[0] {
            let patience = Duration::from_millis(40);
            match timeout(patience, reader.read(&mut buffer)).await {
                Ok(read) => got.extend_from_slice(&buffer[..read.expect("read")]),
                Err(_) => given_up += 1,
            }
        }
        assert!(given_up > 20, "{given_up}");
        assert!(got == scene.folder.files[0]);
        scene.sim
    });
}

#[test]
fn a_file_is_read_whose_neighbours_are_not_wanted() {
    simulate(async {
        let lens = [300_000, 5_000_000, 700_000];
        let scene = Scene::new((Version::V1, 8), (&lens, PIECE), &[100_000; 4], |add| {
            add.files = Some(vec![1]);
        })
        .await;
        let mut reader = scene.reader(1, ReadAhead::default()).await;
        scene.read(&mut reader, 1, 5_000_000).await;
        assert!(!scene.dir.path().join("t/0").exists());
        assert!(!scene.dir.path().join("t/2").exists());
        // And what becomes wanted then.
        let set = scene
            .handle
            .set_file_priority(scene.id, 2, Priority::NORMAL);
        set.await.expect("set");
        let mut reader = scene.reader(2, ReadAhead::default()).await;
        scene.read(&mut reader, 2, 700_000).await;
        scene.sim
    });
}

#[test]
fn bytes_that_are_handed_on_as_they_were_read_are_those_of_the_file_wherever_it_is_read() {
    simulate(async {
        let seed = 9;
        println!("seed {seed}");
        let lens = [3_000_000, 10_000];
        let scene = Scene::new((Version::V1, seed), (&lens, PIECE), &[500_000; 4], |_| {}).await;
        let file = &scene.folder.files[0];
        let mut reader = scene.reader(0, ReadAhead::default()).await;
        let mut random = seed;
        let mut next = move |below: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) as usize % below
        };
        for _ in 0..300 {
            let from = reader.position() as usize;
            let most = next(200_000);
            // Some are given up, and nothing is lost by that.
            let read = timeout(
                Duration::from_millis(next(40) as u64),
                reader.next_bytes(most),
            );
            if let Ok(read) = read.await {
                let read = read.expect("read");
                assert!(read.len() <= most);
                assert_eq!(read[..], file[from..from + read.len()], "from {from}");
                assert_eq!(
                    read.is_empty(),
                    most == 0 || from == file.len(),
                    "from {from}"
                );
            } else {
                assert_eq!(reader.position() as usize, from);
            }
            // Near, so that what was read ahead is still of use, or far.
            let to = match next(8) {
                0 => next(file.len() + 1),
                1 => reader.position() as usize + next(1000),
                _ => continue,
            };
            let to = to.min(file.len()) as u64;
            reader.seek(SeekFrom::Start(to)).await.expect("sought");
        }
        reader.seek(SeekFrom::Start(0)).await.expect("sought");
        let mut all = Vec::new();
        loop {
            let read = reader.next_bytes(usize::MAX).await.expect("read");
            if read.is_empty() {
                break;
            }
            all.extend_from_slice(&read);
        }
        assert!(all == *file, "the file as a whole");
        drop(reader);
        scene.finished().await;
        scene.sim
    });
}
