//! Embeds the engine through its handle: a seeder and a downloader in one program, on loopback.
//!
//! `cargo run -p tribler-engine --example handle`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::{AddTorrent, EngineConfig, EngineHandle, Event, Source, Supervisor};
use net::{Network, OwnedPool, RealOptions};
use protocol::metainfo::{LoadLimits, Metainfo};

fn main() -> Result<(), Box<dyn Error>> {
    actix::System::new().block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let pool = OwnedPool::start("peers", 2)?;
    let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let metainfo = content(here.path())?;

    let seeder = engine(&pool)?;
    seeder
        .add(AddTorrent::new(
            Source::Metainfo(Arc::clone(&metainfo)),
            here.path().into(),
        ))
        .await?;

    let downloader = engine(&pool)?;
    let mut events = downloader.events(engine::Categories::USUAL, 1024);
    let mut add = AddTorrent::new(Source::Metainfo(metainfo), there.path().into());
    add.peers = seeder.snapshot().listen.into_iter().collect();
    let id = downloader.add(add).await?;

    loop {
        if let Event::Finished {
            id: done, after, ..
        } = events.recv().await?
            && done == id
        {
            println!("finished after {after:?}");
            break;
        }
    }
    let same =
        std::fs::read(here.path().join("example"))? == std::fs::read(there.path().join("example"))?;
    println!(
        "the copy is {}",
        if same { "the same" } else { "different" }
    );

    downloader.shutdown(Duration::from_secs(1)).await;
    seeder.shutdown(Duration::from_secs(1)).await;
    if same {
        Ok(())
    } else {
        Err("the copy differs".into())
    }
}

fn engine(pool: &OwnedPool) -> Result<EngineHandle, Box<dyn Error>> {
    let network = Network::real(RealOptions::default());
    let mut config = EngineConfig::new(network, pool.pool().clone());
    config.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Ok(Supervisor::launch(config)?.1)
}

/// Writes a file and describes it as a torrent of one piece.
fn content(dir: &std::path::Path) -> Result<Arc<Metainfo>, Box<dyn Error>> {
    let bytes = vec![7; 10_000];
    std::fs::write(dir.join("example"), &bytes)?;
    let mut torrent =
        b"d4:infod6:lengthi10000e4:name7:example12:piece lengthi16384e6:pieces20:".to_vec();
    torrent.extend_from_slice(&hash::sha1(&bytes));
    torrent.extend_from_slice(b"ee");
    Ok(Arc::new(Metainfo::from_bytes(
        &torrent,
        &LoadLimits::default(),
    )?))
}
