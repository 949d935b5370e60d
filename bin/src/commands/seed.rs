//! `seed`: verifies a torrent's data and serves it.

use engine::AddTorrent;

use super::transfer::Transfer;
use super::transfer::goal::Goal;
use super::transfer::peers::peers;
use super::transfer::tracked::Tracked;
use crate::cli::SeedArgs;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::shutdown::Shutdown;
use crate::source::{Source, shown_hash};
use crate::wire;

pub(crate) fn run(args: &SeedArgs, screen: &Screen) -> Result<(), Failure> {
    wire::run(seed(args, screen))
}

async fn seed(args: &SeedArgs, screen: &Screen) -> Result<(), Failure> {
    let shutdown = Shutdown::listen()?;
    super::must_be_folder(&args.data)?;
    let way = wire::way(&args.common)?;
    let source = Source::read(&args.torrent, &way.network).await?;
    let metainfo = source.into_torrent(&args.torrent)?;
    let running = wire::start(&args.common, way)?;
    let goal = Goal {
        keep: true,
        ratio: args.seed_ratio,
        time: args.seed_time.map(|span| span.0),
    };
    let mut transfer = Transfer::new(&running.engine, shutdown, screen, goal);
    transfer.dht = running.dht_addr();
    let mut add = AddTorrent::new(
        engine::Source::Metainfo(metainfo.clone()),
        args.data.clone(),
    );
    add.trust_data = args.no_check;
    add.use_trackers = !args.common.no_trackers;
    add.use_web_seeds = !args.common.no_webseeds;
    add.peers = peers(&args.common.peer, &running.network, screen).await?;
    let id = running.engine.add(add).await.map_err(Failure::failed)?;
    let hash = shown_hash(metainfo.hashes());
    let place = args.data.display().to_string();
    let mut torrent = Tracked::new(hash, metainfo.name().to_owned(), place, screen);
    torrent.content = Some(metainfo.content_len());
    torrent.must_have = Some(metainfo.geometry().pieces());
    transfer.track(id, torrent);
    let outcome = transfer.run().await;
    running.end().await;
    outcome
}
