//! Whole engines over real sockets: how long a download from one seed, and from four, takes.

#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::content::Content;
use benches::loopback;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use engine::{AddTorrent, EngineHandle, Event, Source};
use net::OwnedPool;
use protocol::metainfo::Metainfo;

const SIZE: u64 = 128 << 20;

/// Seeds that serve one torrent.
struct Seeds {
    content: Content,
    metainfo: Arc<Metainfo>,
    engines: Vec<(EngineHandle, OwnedPool)>,
}

impl Seeds {
    async fn start(content: Content, count: usize) -> Result<Self, Box<dyn Error>> {
        let metainfo = Arc::new(content.metainfo()?);
        let mut engines = Vec::new();
        for _ in 0..count {
            let (engine, pool) = loopback::engine()?;
            let mut add =
                AddTorrent::new(Source::Metainfo(Arc::clone(&metainfo)), content.original());
            add.trust_data = true;
            engine.add(add).await?;
            engines.push((engine, pool));
        }
        Ok(Self {
            content,
            metainfo,
            engines,
        })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.engines
            .iter()
            .filter_map(|(engine, _)| engine.snapshot().listen)
            .collect()
    }

    /// Downloads everything with an engine of its own; returns the time from the order to the end.
    async fn download(&self) -> Result<Duration, Box<dyn Error>> {
        let (engine, _pool) = loopback::engine()?;
        let mut events = engine.events(engine::Categories::USUAL, 1024);
        let mut add = AddTorrent::new(
            Source::Metainfo(Arc::clone(&self.metainfo)),
            self.content.copy(),
        );
        add.peers = self.addresses();
        let begin = Instant::now();
        engine.add(add).await?;
        while !matches!(events.recv().await?, Event::Finished { .. }) {}
        let took = begin.elapsed();
        engine.shutdown(Duration::from_secs(1)).await;
        self.content.remove_copy()?;
        Ok(took)
    }
}

fn downloads(c: &mut Criterion) {
    let dir = tempfile::Builder::new()
        .prefix("swarm-")
        .tempdir()
        .expect("a folder");
    let content = Content {
        dir: dir.path().to_owned(),
        size: SIZE,
        piece_len: 1 << 20,
    };
    content.write().expect("the content");
    let mut group = c.benchmark_group("swarm");
    group
        .throughput(Throughput::Bytes(SIZE))
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10);
    for seeds in [1, 4] {
        group.bench_function(format!("128 MiB from {seeds} seeds"), |b| {
            b.iter_custom(|times| {
                let content = content.clone();
                let all = actix::System::new().block_on(async move {
                    let seeds = Seeds::start(content, seeds).await?;
                    let mut all = Duration::ZERO;
                    for _ in 0..times {
                        all += seeds.download().await?;
                    }
                    for (engine, _) in &seeds.engines {
                        engine.shutdown(Duration::from_secs(1)).await;
                    }
                    Ok::<_, Box<dyn Error>>(all)
                });
                all.expect("downloads that end")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, downloads);
criterion_main!(benches);
