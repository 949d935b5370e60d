//! What torrents cost that do nothing: adds as many as are asked for, paused, to an engine whose store lies in a folder, or
//! starts one again that has them. Prints times and memory.
//!
//! `cargo run --release -p tribler-engine --example idle -- 10000 FOLDER`, twice

#![expect(clippy::print_stdout, reason = "this is its output")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{AddTorrent, EngineConfig, EngineHandle, Memory, Source, Supervisor};
use net::{Network, OwnedPool, RealOptions};
use protocol::metainfo::{LoadLimits, Metainfo};
use state::{Folder, Keeper, KeeperOptions};

/// Torrents that are on their way to the engine at a time.
const AT_ONCE: u32 = 500;

/// Bytes of the hashes of a torrent's pieces: a .torrent file of about 4,000 bytes.
const HASHES: usize = 190 * 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let torrents: u32 = args.next().ok_or("how many?")?.parse()?;
    let dir = PathBuf::from(args.next().ok_or("in which folder?")?);
    let fresh = !dir.join(state::FILE).exists();
    std::fs::create_dir_all(&dir)?;
    actix::System::new().block_on(async {
        let pool = OwnedPool::start("net", 1)?;
        let empty = engine(&pool, Memory::None)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = memory()?;
        empty.shutdown(Duration::from_secs(5)).await;
        let begin = Instant::now();
        let (keeper, _) =
            Keeper::open(Arc::new(Folder::new(dir.clone())), KeeperOptions::default())?;
        let keeper = Arc::new(keeper);
        let handle = engine(&pool, Memory::Store(Arc::clone(&keeper)))?;
        let listed = handle.snapshot().torrents.len();
        println!(
            "{listed} torrents listed {:.1?} after the start",
            begin.elapsed()
        );
        if fresh {
            add(&handle, torrents, &dir).await?;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let bytes = memory()?.saturating_sub(before);
        let each = bytes / u64::from(torrents.max(1));
        println!(
            "{} MiB more than an empty engine: {each} bytes each",
            bytes >> 20
        );
        let (begin, busy) = (Instant::now(), cpu()?);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let busy = cpu()?.saturating_sub(busy);
        println!(
            "{busy:.1?} of CPU in {:.1?} of doing nothing",
            begin.elapsed()
        );
        let begin = Instant::now();
        handle.shutdown(Duration::from_secs(10)).await;
        keeper.close(Duration::from_secs(60))?;
        println!("stopped in {:.1?}", begin.elapsed());
        Ok(())
    })
}

async fn add(handle: &EngineHandle, torrents: u32, dir: &Path) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    for first in (0..torrents).step_by(AT_ONCE as usize) {
        let mut under_way = Vec::new();
        for number in first..torrents.min(first + AT_ONCE) {
            let (handle, add) = (handle.clone(), torrent(number, dir)?);
            under_way.push(tokio::task::spawn_local(
                async move { handle.add(add).await },
            ));
        }
        for added in under_way {
            added.await??;
        }
    }
    println!("{torrents} torrents added in {:.1?}", begin.elapsed());
    Ok(())
}

/// An engine that neither listens nor seeks anybody.
fn engine(pool: &OwnedPool, memory: Memory) -> Result<EngineHandle, Box<dyn Error>> {
    let network = Network::real(RealOptions::default());
    let mut config = EngineConfig::new(network, pool.pool().clone());
    config.memory = memory;
    let (_, handle) = Supervisor::launch(config)?;
    Ok(handle)
}

fn torrent(number: u32, dir: &Path) -> Result<AddTorrent, Box<dyn Error>> {
    let name = format!("a torrent with an ordinary name, number {number}");
    let len = (HASHES / 20) << 18;
    let mut file = format!(
        "d8:announce30:http://127.0.0.1:9/announce?id4:infod6:lengthi{len}e4:name{}:{name}12:piece lengthi262144e6:pieces{HASHES}:",
        name.len()
    )
    .into_bytes();
    let byte = |at: usize| (number as usize).wrapping_mul(31).wrapping_add(at) as u8;
    file.extend((0..HASHES).map(byte));
    file.extend(b"ee");
    let metainfo = Metainfo::from_bytes(&file, &LoadLimits::default())?;
    let mut add = AddTorrent::new(Source::Metainfo(Arc::new(metainfo)), dir.join("data"));
    add.file = Some(file.into());
    add.paused = true;
    Ok(add)
}

/// Bytes of memory that are this process's own, as Linux counts them.
fn memory() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.ok_or("no RssAnon")?.trim().trim_end_matches(" kB");
    Ok(kib.parse::<u64>()? << 10)
}

/// The time that this process has computed.
fn cpu() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    let tasks = std::fs::read_dir("/proc/self/task")?;
    let mut total = 0;
    for task in tasks {
        let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        total += stat.split(' ').next().ok_or("no time")?.parse::<u64>()?;
    }
    let own = stat.split(' ').next().ok_or("no time")?.parse::<u64>()?;
    Ok(Duration::from_nanos(total.max(own)))
}
