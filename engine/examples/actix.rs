//! Drives the engine from an actix program: messages to the Supervisor's `Addr`.
//!
//! `cargo run -p tribler-engine --example actix`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use engine::{
    Add, AddTorrent, EngineConfig, GetSnapshot, Pause, Remove, Resume, Shutdown, Source, Supervisor,
};
use net::{Network, OwnedPool, RealOptions};
use protocol::magnet::Magnet;

fn main() -> Result<(), Box<dyn Error>> {
    actix::System::new().block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let pool = OwnedPool::start("peers", 1)?;
    let network = Network::real(RealOptions::default());
    let (supervisor, _) = Supervisor::launch(EngineConfig::new(network, pool.pool().clone()))?;

    let link = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=nobody+has+this";
    let source = Source::Magnet(Box::new(Magnet::parse(link)?));
    let id = supervisor
        .send(Add(AddTorrent::new(source, std::env::temp_dir())))
        .await??;
    supervisor.send(Pause(id)).await??;
    supervisor.send(Resume(id)).await??;
    tokio::time::sleep(Duration::from_millis(50)).await;

    let snapshot = supervisor.send(GetSnapshot).await?;
    for torrent in &snapshot.torrents {
        let reason = torrent.reason.as_deref().unwrap_or("under way");
        println!("{}: {} ({reason})", torrent.name, torrent.state.word());
    }

    supervisor
        .send(Remove {
            id,
            delete_data: false,
        })
        .await??;
    supervisor.send(Shutdown(Duration::from_secs(1))).await?;
    Ok(())
}
