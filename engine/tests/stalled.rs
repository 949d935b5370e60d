//! Commands are answered while the disk of the content stalls for half a minute at every call. The store lies on another: what is
//! added is there after a crash as soon as that is answered, so that an answer waits for the disk of the store.

mod common;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use common::{Node, Payload, in_system};
use engine::{
    AddTorrent, CommandError, EngineHandle, Limits, Memory, Source, State, TorrentId, TorrentStatus,
};
use state::{Folder, Keeper, KeeperOptions};
use storage::{Call, MoveExisting, MoveNote, MoveStage, ReadMode, Watcher};

/// How long a call takes while the disk stalls.
const STALL: Duration = Duration::from_secs(30);
/// What a command may take on a machine that is busy with other tests. One that waits for the disk takes 30 s.
const PROMPT: Duration = Duration::from_secs(3);
const ROUNDS: usize = 40;

/// A disk that stalls from some moment on, until it is released.
#[derive(Clone, Default)]
struct Gate {
    closed: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
    released: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    fn watcher(&self) -> Watcher {
        let gate = self.clone();
        Watcher::new(move |_, _| {
            if gate.closed.load(Ordering::SeqCst) {
                gate.waiting.fetch_add(1, Ordering::SeqCst);
                let (released, bell) = &*gate.released;
                let released = released.lock().expect("no panic inside");
                let waited = bell.wait_timeout_while(released, STALL, |released| !*released);
                drop(waited);
            }
            Ok(())
        })
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    fn release(&self) {
        self.closed.store(false, Ordering::SeqCst);
        *self.released.0.lock().expect("no panic inside") = true;
        self.released.1.notify_all();
    }
}

/// Releases the disk however the test ends, so that its threads end.
struct Releasing<'a>(&'a Gate);

impl Drop for Releasing<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// How long commands took.
#[derive(Default)]
struct Times(Vec<(Duration, &'static str)>);

impl Times {
    async fn of<T>(
        &mut self,
        what: &'static str,
        command: impl Future<Output = Result<T, CommandError>>,
    ) -> T {
        let begun = Instant::now();
        let answer = tokio::time::timeout(STALL / 2, command).await;
        let answer = answer.unwrap_or_else(|_| panic!("{what} waits for the disk"));
        self.0.push((begun.elapsed(), what));
        answer.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    fn summary(&mut self) -> (Duration, Duration, &'static str) {
        self.0.sort_unstable();
        let at = |per_mille: usize| self.0[(self.0.len() - 1) * per_mille / 1000];
        (at(990).0, at(1000).0, at(1000).1)
    }
}

async fn round(times: &mut Times, engine: &EngineHandle, id: TorrentId, other: &Payload) {
    let limits = Limits {
        up: Some(1_000_000),
        down: None,
    };
    times.of("limit", engine.set_limits(Some(id), limits)).await;
    times
        .of("sequential", engine.set_sequential(id, true))
        .await;
    times.of("peers", engine.peers(id)).await;
    times.of("pieces", engine.pieces(id)).await;
    times.of("files", engine.file_progress(id)).await;
    times.of("availability", engine.availability(id)).await;
    times.of("trackers", engine.trackers(id)).await;
    times
        .of("slots", engine.set_upload_slots(id, Some(3)))
        .await;
    times.of("pause", engine.pause(id)).await;
    times.of("resume", engine.resume(id)).await;
    times.of("reannounce", engine.reannounce(id)).await;
    times.of("sift", engine.sift()).await;
    let source = Source::Metainfo(other.metainfo());
    let dir = std::env::temp_dir().join("nothing is written here");
    let mut add = AddTorrent::new(source, dir);
    add.paused = true;
    let added = times.of("add", engine.add(add)).await;
    times.of("remove", engine.remove(added, false)).await;
    // It is gone when it has said goodbye.
    let gone = async {
        while engine.snapshot().torrents.iter().any(|it| it.id == added) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let gone = tokio::time::timeout(STALL / 2, gone).await;
    assert!(
        gone.is_ok(),
        "a torrent that has no files waits for the disk"
    );
}

#[test]
fn no_command_waits_for_a_disk_that_stalls() {
    in_system(async {
        let gate = Gate::default();
        let (first, other) = (
            Payload::new(1, 6 << 20, 64 * 1024),
            Payload::new(2, 90_000, 16_384),
        );
        let seeder = Node::start().await;
        seeder.seed(&first).await;
        let watch = gate.watcher();
        let records = tempfile::tempdir().expect("a folder");
        let folder = Arc::new(Folder::new(records.path().to_owned()));
        let (keeper, _) = Keeper::open(folder, KeeperOptions::default()).expect("a store");
        let memory = Memory::Store(Arc::new(keeper));
        let node = Node::start_with(|config| {
            config.storage.watch = watch;
            config.memory = memory;
            config.storage.read = ReadMode::Pread;
        })
        .await;
        let _releasing = Releasing(&gate);
        let limits = Limits {
            down: Some(2_000_000),
            up: None,
        };
        node.handle.set_limits(None, limits).await.unwrap();
        let id = node.fetch(&first, &[seeder.addr()]).await;
        node.until(id, |status| status.done > 0).await;
        gate.close();
        let begun = Instant::now();
        while gate.waiting.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed() < STALL, "nobody asks the disk");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // More jobs than there are threads for them.
        for _ in 0..16 {
            node.handle.recheck(id).await.unwrap();
        }
        let mut times = Times::default();
        for _ in 0..ROUNDS {
            round(&mut times, &node.handle, id, &other).await;
        }
        let to = node.dir().with_extension("elsewhere");
        times
            .of(
                "move",
                node.handle.move_storage(id, to, MoveExisting::Adopt),
            )
            .await;
        times.of("cancel", node.handle.cancel_move(id)).await;
        let (p99, worst, what) = times.summary();
        let commands = times.0.len();
        tracing::info!(commands, ?p99, ?worst, what, "while the disk stalls");
        assert!(worst < PROMPT, "{what} took {worst:?}, p99 {p99:?}");
        gate.release();
        node.stop().await;
        seeder.stop().await;
    });
}

#[test]
fn so_many_are_checked_at_a_time_and_the_others_after_them() {
    in_system(async {
        let gate = Gate::default();
        let held = gate.watcher();
        let node = Node::start_with(|config| {
            config.settings.queue.checking = 1;
            config.disk_threads = 4;
            config.storage.read = ReadMode::Pread;
            config.storage.watch = Watcher::new(move |call, path| {
                if call == Call::Read {
                    return held.ask(call, path);
                }
                Ok(())
            });
        })
        .await;
        let _releasing = Releasing(&gate);
        gate.close();
        let mut ids = Vec::new();
        for number in 0..3 {
            let payload = Payload::new(20 + number, 300_000, 16_384);
            let dir = node.dir().join(number.to_string());
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("payload"), payload.bytes()).unwrap();
            let source = Source::Metainfo(payload.metainfo());
            let added = node.handle.add(AddTorrent::new(source, dir)).await;
            ids.push(added.unwrap());
        }
        for id in &ids {
            let checks = |it: &TorrentStatus| matches!(it.state, State::Checking { .. });
            node.until(*id, checks).await;
        }
        // Who may not wait would ask the disk as well.
        let begun = Instant::now();
        while gate.waiting.load(Ordering::SeqCst) < 2 && begun.elapsed() < PROMPT / 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(gate.waiting.load(Ordering::SeqCst), 1);
        gate.release();
        for id in &ids {
            node.until(*id, |it| it.state == State::Seeding).await;
        }
        node.stop().await;
    });
}

#[test]
fn content_that_is_deleted_right_after_it_moved_goes_from_both_folders() {
    in_system(async {
        let elsewhere = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
        let (state, to) = (tempfile::tempdir().unwrap(), elsewhere.path().join("there"));
        let payload = Payload::new(30, 90_000, 16_384);
        let hash = payload.metainfo().hashes().wire();
        let note = state.path().join(format!("{hash}.move"));
        let gate = Gate::default();
        gate.close();
        let (held, noted) = (gate.watcher(), note.clone());
        let node = Node::start_with(|config| {
            config.memory = Memory::Files(state.path().to_owned());
            config.disk_threads = 4;
            // What is left at the old folder is looked at and removed when the note says that the content is at the new one.
            config.storage.watch = Watcher::new(move |call, path| {
                let moved = MoveNote::load(&noted).ok().flatten();
                match moved.filter(|note| note.stage == MoveStage::Done) {
                    Some(note) if path.starts_with(&note.from) => held.ask(call, path),
                    _ => Ok(()),
                }
            });
        })
        .await;
        let _releasing = Releasing(&gate);
        let id = node.seed(&payload).await;
        let (old, new) = (node.dir().join("payload"), to.join("payload"));
        let moved = node.handle.move_storage(id, to, MoveExisting::Fail).await;
        moved.expect("it begins");
        let begun = Instant::now();
        while gate.waiting.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed() < STALL, "nothing is removed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(new.exists());
        node.handle.remove(id, true).await.expect("removed");
        // Who does not wait for the rest of the move deletes what is at the new folder meanwhile.
        let begun = Instant::now();
        while new.exists() && begun.elapsed() < PROMPT / 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gate.release();
        while !node.handle.snapshot().torrents.is_empty() || note.exists() {
            assert!(begun.elapsed() < STALL, "{}", note.exists());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!old.exists() && !new.exists());
        node.stop().await;
    });
}
