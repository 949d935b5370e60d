//! Why a read can end without bytes.

use std::io;
use std::time::Duration;

use engine::{FileError, FileReader, Priority, ReadAhead, ReadError};
use protocol::metainfo::Version;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};

use crate::common::sim::simulate;
use crate::scene::Scene;

const PIECE: usize = 64 * 1024;

async fn scene(seed: u64) -> Scene {
    let lens = [3_000_000, 200_000];
    Scene::new((Version::V1, seed), (&lens, PIECE), &[50_000; 3], |_| {}).await
}

fn kind(error: &io::Error) -> Option<ReadError> {
    error.get_ref()?.downcast_ref::<ReadError>().cloned()
}

/// Why a read fails that waits while something is done.
async fn fails(reader: &mut FileReader, act: impl Future<Output = ()>) -> Option<ReadError> {
    let mut rest = Vec::new();
    let read = reader.read_to_end(&mut rest);
    let later = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        act.await;
    };
    let (read, ()) = futures_util::future::join(read, later).await;
    kind(&read.expect_err("it cannot be whole"))
}

#[test]
fn a_torrent_that_is_removed_or_an_engine_that_stops_ends_every_read() {
    simulate(async {
        let first = scene(1).await;
        let mut reader = first.reader(0, ReadAhead::default()).await;
        let remove = async {
            first.handle.remove(first.id, false).await.expect("removed");
        };
        assert_eq!(fails(&mut reader, remove).await, Some(ReadError::Removed));
        let again = reader.read(&mut [0; 9]).await.expect_err("it is gone");
        assert_eq!(kind(&again), Some(ReadError::Removed));
        let second = scene(2).await;
        let mut reader = second.reader(0, ReadAhead::default()).await;
        let stop = async {
            second.handle.shutdown(Duration::from_secs(1)).await;
        };
        assert_eq!(fails(&mut reader, stop).await, Some(ReadError::Stopped));
        first.sim
    });
}

#[test]
fn a_pause_fails_reads_until_it_is_over() {
    simulate(async {
        let scene = scene(3).await;
        let mut reader = scene.reader(0, ReadAhead::default()).await;
        scene.read(&mut reader, 0, 100_000).await;
        let (handle, id) = (&scene.handle, scene.id);
        let pause = async { handle.pause(id).await.expect("pauses") };
        assert_eq!(fails(&mut reader, pause).await, Some(ReadError::Paused));
        handle.resume(id).await.expect("goes on");
        // It goes on where it was; a check in between makes it wait and no more.
        reader
            .seek(SeekFrom::Start(1_000_000))
            .await
            .expect("sought");
        handle.recheck(id).await.expect("checks");
        scene.read(&mut reader, 0, 2_000_000).await;
        scene.sim
    });
}

#[test]
fn a_file_that_is_not_wanted_any_more_is_read_as_far_as_it_is_there() {
    simulate(async {
        let scene = scene(4).await;
        let ahead = ReadAhead {
            bytes: 0,
            ends: false,
            rate: None,
        };
        let mut reader = scene.reader(0, ahead).await;
        scene.read(&mut reader, 0, 100_000).await;
        let (handle, id) = (&scene.handle, scene.id);
        let set = |priority| handle.set_file_priority(id, 0, priority);
        let skip = async { set(Priority::SKIP).await.expect("set") };
        assert_eq!(fails(&mut reader, skip).await, Some(ReadError::NotWanted));
        let more = handle.reader(id, 0).await.expect_err("it is not wanted");
        assert_eq!(more, FileError::NotWanted);
        reader.seek(SeekFrom::Start(0)).await.expect("sought");
        scene.read(&mut reader, 0, 100_000).await;
        set(Priority::TOP).await.expect("set");
        reader
            .seek(SeekFrom::Start(1_500_000))
            .await
            .expect("sought");
        scene.read(&mut reader, 0, 1_500_000).await;
        let none = handle.reader(id, 9).await.expect_err("there is none");
        assert_eq!(none, FileError::NoSuchFile(9));
        scene.sim
    });
}

#[test]
fn there_may_be_so_many_readers_and_no_more() {
    simulate(async {
        let scene = scene(5).await;
        let mut readers = Vec::new();
        for _ in 0..64 {
            readers.push(scene.reader(0, ReadAhead::default()).await);
        }
        let more = scene.handle.reader(scene.id, 0).await;
        assert_eq!(more.expect_err("too many"), FileError::TooMany);
        readers.pop();
        let mut last = scene.reader(0, ReadAhead::default()).await;
        scene.read(&mut last, 0, 3_000_000).await;
        scene.sim
    });
}
