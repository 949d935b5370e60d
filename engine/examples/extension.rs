//! Brings an extension of the protocol between peers along: two engines of one program, which talk beside what they transfer.
//!
//! `cargo run -p tribler-engine --example extension`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::{
    AddTorrent, EngineConfig, EngineHandle, ExtensionEvent, ExtensionSpec, Source, Supervisor,
};
use net::{Network, OwnedPool, RealOptions};
use protocol::metainfo::{LoadLimits, Metainfo};

fn main() -> Result<(), Box<dyn Error>> {
    actix::System::new().block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let pool = OwnedPool::start("peers", 2)?;
    let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let metainfo = content(here.path())?;
    let [seeder, downloader] = [engine(&pool)?, engine(&pool)?];
    let chat = || ExtensionSpec {
        name: "xx_chat".to_owned(),
        entry: None,
        torrents: None,
        queue: 100,
    };
    let mut listener = seeder.add_extension(chat())?;
    let mut speaker = downloader.add_extension(chat())?;

    let add = |dir: &Path| AddTorrent::new(Source::Metainfo(Arc::clone(&metainfo)), dir.into());
    seeder.add(add(here.path())).await?;
    let mut wanted = add(there.path());
    wanted.peers = seeder.snapshot().listen.into_iter().collect();
    downloader.add(wanted).await?;

    if let ExtensionEvent::Joined(peer) = speaker.recv().await? {
        println!("{} speaks xx_chat", peer.addr);
        speaker.send(peer.number, Bytes::from_static(b"hello"))?;
    }
    loop {
        if let ExtensionEvent::Message { payload, .. } = listener.recv().await? {
            println!("the seeder hears: {}", String::from_utf8_lossy(&payload));
            break;
        }
    }
    downloader.shutdown(Duration::from_secs(1)).await;
    seeder.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

fn engine(pool: &OwnedPool) -> Result<EngineHandle, Box<dyn Error>> {
    let network = Network::real(RealOptions::default());
    let mut config = EngineConfig::new(network, pool.pool().clone());
    config.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Ok(Supervisor::launch(config)?.1)
}

/// Writes a file and describes it as a torrent of one piece.
fn content(dir: &Path) -> Result<Arc<Metainfo>, Box<dyn Error>> {
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
