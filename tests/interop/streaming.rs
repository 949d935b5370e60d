//! A file is read while it is fetched from somebody else's seed: from its start, from its end, and from elsewhere.

use std::fs;
use std::io::SeekFrom;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{AddTorrent, EngineConfig, EngineHandle, FileReader, Limits, Source, Supervisor};
use net::{Network, OwnedPool, RealOptions};
use protocol::metainfo::{LoadLimits, Metainfo};
use support::Lab;
use support::clients::{Client, finish, home};
use support::content::Content;
use support::payload::Payload;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

const READY: Duration = Duration::from_secs(30);

/// Bytes of the file.
const LEN: u64 = 24_000_001;

/// Bytes a second that we take, so that most is not there when it is read.
const RATE: u64 = 4_000_000;

/// Reads from a seed of this client, and compares.
pub(crate) fn read_from(lab: &Lab, seeder: Client) {
    let payload = Payload::single("film.bin", LEN, 77);
    let content = Content::described(lab, payload, 128 * 1024, &[]);
    let (_, seed_at) = home(lab, "film seed");
    let mut seed = seeder.run(lab, &content.seed(seed_at));
    finish(&mut *seed, READY, "the seed");
    let (dir, listen) = home(lab, "film reader");
    let expected = fs::read(content.dir.join("film.bin")).expect("the payload");
    let bytes = fs::read(content.source()).expect("the torrent");
    let metainfo = Metainfo::from_bytes(&bytes, &LoadLimits::default()).expect("a torrent");
    let pool = OwnedPool::start("film", 1).expect("a pool");
    let mut told = Vec::new();
    actix::System::new().block_on(async {
        let network = Network::real(RealOptions::from_source(listen.ip()));
        let mut config = EngineConfig::new(network, pool.pool().clone());
        config.listen = Some(listen);
        config.local_discovery = false;
        let (_, engine) = Supervisor::launch(config).expect("an engine");
        let mut add = AddTorrent::new(Source::Metainfo(Arc::new(metainfo)), dir.clone());
        add.peers = vec![seed_at];
        add.limits = Limits {
            down: Some(RATE),
            up: None,
        };
        let id = engine.add(add).await.expect("added");
        let mut reader = engine.reader(id, 0).await.expect("a reader");
        for at in [0, LEN - 70_000, 15_000_000, 4_000_000] {
            let begun = Instant::now();
            reader.seek(SeekFrom::Start(at)).await.expect("sought");
            read(&mut reader, &expected, 70_000).await;
            told.push(format!("{:.2} s", begun.elapsed().as_secs_f64()));
            // A twentieth of it at 4 MB/s and a few round trips; the rest is not waited for.
            assert!(begun.elapsed() < Duration::from_secs(4), "{told:?}");
        }
        reader.rewind().await.expect("sought");
        read(&mut reader, &expected, LEN as usize).await;
        stop(&engine).await;
    });
    lab.report(&format!(
        "| streaming | {} to ours | first bytes at four places: {} |",
        seeder.name(),
        told.join(", ")
    ));
    seed.process().stop();
}

async fn read(reader: &mut FileReader, expected: &[u8], len: usize) {
    let from = reader.position() as usize;
    let mut bytes = vec![0; len];
    let read = reader.read_exact(&mut bytes);
    let read = tokio::time::timeout(READY, read).await.expect("in time");
    read.expect("read");
    let expected = expected.get(from..from + len);
    assert!(expected == Some(&bytes), "{len} bytes from {from} differ");
}

async fn stop(engine: &EngineHandle) {
    engine.shutdown(Duration::from_secs(2)).await;
}
