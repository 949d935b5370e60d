//! A session of 50,000 torrents that are paused: how long commands take until they are answered, and pages and changes while it
//! runs.

#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::loopback;
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use engine::{
    AddTorrent, EngineHandle, Labels, Limits, Memory, Place, Query, Sort, Source, TorrentId,
};
use net::OwnedPool;
use protocol::metainfo::{LoadLimits, Metainfo};
use state::{Folder, Keeper, KeeperOptions};
use tempfile::TempDir;

const TORRENTS: u32 = 50_000;

/// Torrents that are on their way to the engine at a time.
const AT_ONCE: u32 = 500;

/// Torrents that commands are given to in turn.
const STRIDE: usize = 977;

struct Session {
    engine: EngineHandle,
    torrents: Vec<TorrentId>,
    keeper: Arc<Keeper>,
    _pool: OwnedPool,
    _dir: TempDir,
}

impl Session {
    async fn start() -> Result<Self, Box<dyn Error>> {
        let dir = tempfile::Builder::new().prefix("session-").tempdir()?;
        let folder = Arc::new(Folder::new(dir.path().to_owned()));
        let keeper = Arc::new(Keeper::open(folder, KeeperOptions::default())?.0);
        let (engine, pool) = loopback::engine_with(Memory::Store(Arc::clone(&keeper)))?;
        let mut torrents = Vec::new();
        for first in (0..TORRENTS).step_by(AT_ONCE as usize) {
            let mut under_way = Vec::new();
            for number in first..TORRENTS.min(first + AT_ONCE) {
                let (engine, add) = (engine.clone(), torrent(number, &dir)?);
                under_way.push(tokio::task::spawn_local(
                    async move { engine.add(add).await },
                ));
            }
            for added in under_way {
                torrents.push(added.await??);
            }
        }
        Ok(Self {
            engine,
            torrents,
            keeper,
            _pool: pool,
            _dir: dir,
        })
    }

    async fn end(self) -> Result<(), Box<dyn Error>> {
        self.engine.shutdown(Duration::from_secs(10)).await;
        self.keeper.close(Duration::from_secs(60))?;
        Ok(())
    }
}

/// A paused torrent that is like no other.
fn torrent(number: u32, dir: &TempDir) -> Result<AddTorrent, Box<dyn Error>> {
    let name = format!("The.Same.Beginning.of.a.Long.Name.{number:06}.1080p");
    let head = format!(
        "d4:infod6:lengthi16384e4:name{}:{name}12:piece lengthi16384e6:pieces20:",
        name.len()
    );
    let mut file = head.into_bytes();
    file.extend([number as u8; 20]);
    file.extend(b"ee");
    let metainfo = Metainfo::from_bytes(&file, &LoadLimits::default())?;
    let data = dir.path().join("data");
    let mut add = AddTorrent::new(Source::Metainfo(Arc::new(metainfo)), data);
    add.file = Some(file.into());
    add.paused = true;
    Ok(add)
}

/// Gives a command to one torrent after the other; the time is that until the last was answered.
async fn command<F>(
    session: &Session,
    times: u64,
    mut give: impl FnMut(TorrentId, u64) -> F,
) -> Duration
where
    F: Future<Output = ()>,
{
    let begin = Instant::now();
    for time in 0..times {
        let at = (time as usize).wrapping_mul(STRIDE) % session.torrents.len();
        give(session.torrents[at], time).await;
    }
    begin.elapsed()
}

fn session(c: &mut Criterion) {
    let system = actix::System::new();
    let session = system
        .block_on(Session::start())
        .unwrap_or_else(|error| panic!("a session of {TORRENTS} torrents: {error}"));
    let engine = &session.engine;
    let mut group = c.benchmark_group("session");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("command_that_is_kept", |b| {
        b.iter_custom(|times| {
            system.block_on(command(&session, times, |id, time| async move {
                let labels = Labels {
                    tags: [format!("tag {}", time % 7)].into(),
                    ..Labels::default()
                };
                assert!(engine.set_labels(id, labels).await.is_ok());
            }))
        });
    });
    group.bench_function("command_of_limits", |b| {
        b.iter_custom(|times| {
            system.block_on(command(&session, times, |id, time| async move {
                let limits = Limits {
                    down: Some(1000 + time),
                    up: None,
                };
                assert!(engine.set_limits(Some(id), limits).await.is_ok());
            }))
        });
    });
    group.bench_function("move_in_the_queue", |b| {
        b.iter_custom(|times| {
            system.block_on(command(&session, times, |id, _| async move {
                assert!(engine.queue_shift(id, Place::Top).await.is_ok());
            }))
        });
    });
    group.bench_function("changes_after_a_command", |b| {
        b.iter_custom(|times| {
            system.block_on(async {
                let mut spent = Duration::ZERO;
                let mut known = engine.changes(0).revision;
                for time in 0..times {
                    let limits = Limits {
                        down: Some(10 + time),
                        up: None,
                    };
                    let id = session.torrents[time as usize % session.torrents.len()];
                    assert!(engine.set_limits(Some(id), limits).await.is_ok());
                    let begin = Instant::now();
                    known = black_box(engine.changes(known)).revision;
                    spent += begin.elapsed();
                }
                spent
            })
        });
    });
    group.bench_function("page_by_name", |b| {
        let query = Query {
            sort: Sort::Name,
            offset: session.torrents.len() / 3,
            limit: Some(100),
            ..Query::default()
        };
        b.iter(|| black_box(engine.page(&query)));
    });
    group.finish();
    if let Err(error) = system.block_on(session.end()) {
        panic!("the end of the session: {error}");
    }
}

criterion_group!(benches, session);
criterion_main!(benches);
