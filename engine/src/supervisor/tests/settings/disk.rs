//! How blocks come to the disk, and by how many threads they are checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Handler, Message};
use storage::{Call, Preallocate, Watcher, WriteMode};

use crate::scene::{Scene, addr, play};
use crate::settings::Patch;
use crate::supervisor::Supervisor;

/// How many threads hash and check?
struct Threads;

impl Message for Threads {
    type Result = usize;
}

impl Handler<Threads> for Supervisor {
    type Result = usize;

    fn handle(&mut self, Threads: Threads, _: &mut Self::Context) -> usize {
        self.disk.threads()
    }
}

#[test]
fn as_many_threads_hash_as_is_said_and_else_as_many_as_there_were() {
    actix_rt::System::new().block_on(async {
        let scene = Scene::new(31, 100_000, 16 * 1024);
        let (supervisor, handle) = scene.launch(0, |config| {
            config.disk_threads = 2;
            config.settings.disk.threads = 4;
        });
        let threads = async || supervisor.send(Threads).await.unwrap();
        let set = async |threads: u32| {
            let patch = Patch::new().with("disk.threads", threads);
            handle.set_settings(patch).await.unwrap();
        };
        assert_eq!(threads().await, 4);
        set(3).await;
        assert_eq!(threads().await, 3);
        set(0).await;
        assert_eq!(threads().await, 2);
    });
}

#[test]
fn blocks_are_written_through_a_map_where_that_is_said() {
    let mut writes = Vec::new();
    for write in [WriteMode::Pwrite, WriteMode::Map] {
        play(async {
            let scene = Scene::new(32, 40 * 16 * 1024, 16 * 1024);
            let _seed = scene.engine(0, true, &[]).await;
            let count = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&count);
            let change = |config: &mut crate::EngineConfig| {
                config.settings.disk.write = write;
                config.settings.disk.preallocate = Preallocate::Full;
                config.storage.watch = Watcher::new(move |call, _| {
                    counted.fetch_add(usize::from(call == Call::Write), Ordering::Relaxed);
                    Ok(())
                });
            };
            let leecher = scene.engine_with(1, false, &[addr(0)], change).await;
            leecher.completes(&scene).await;
            writes.push(count.load(Ordering::Relaxed));
        });
    }
    // All lies in one window, which is mapped once.
    assert!(
        writes[0] >= 10 && (1..=2).contains(&writes[1]),
        "{writes:?}"
    );
}
