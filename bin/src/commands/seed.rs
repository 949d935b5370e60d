//! `seed`: verifies a torrent's data and serves it.

use std::path::Path;

use engine::{AddTorrent, Existing};
use protocol::metainfo::Metainfo;

use super::transfer::anonymous::{Anonymous, tell_socks};
use super::transfer::goal::Goal;
use super::transfer::kept_hops::{self, Named};
use super::transfer::peers::peers;
use super::transfer::tracked::Tracked;
use super::transfer::{Transfer, WayOut};
use crate::cli::SeedArgs;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::shutdown::Shutdown;
use crate::source::{Source, shown_hash};
use crate::text::printable;
use crate::wire;

pub(crate) fn run(args: &mut SeedArgs, screen: &Screen) -> Result<(), Failure> {
    wire::run(seed(args, screen))
}

async fn seed(args: &mut SeedArgs, screen: &Screen) -> Result<(), Failure> {
    let mut shutdown = Shutdown::listen()?;
    crate::settings::settle(&mut args.common)?;
    super::must_be_folder(&args.data)?;
    let remote = Source::is_remote(&args.torrent);
    let read = (!remote).then(|| Source::read_local(&args.torrent));
    let read = read.transpose()?;
    let named = Named::of(&args.torrent, read.as_ref());
    kept_hops::settle(&mut args.common, &[named], screen)?;
    let args = &*args;
    let way = wire::way(&args.common, screen, &mut shutdown).await?;
    let mut anonymous = Anonymous::of(&args.common, &way);
    if let Some(anonymous) = &mut anonymous
        && remote
    {
        anonymous.wait(screen, &mut shutdown).await?;
    }
    let source = if let Some(source) = read {
        source
    } else {
        kept_hops::fetch(&args.torrent, &way.network, &args.common, screen).await?
    };
    let metainfo = source.into_torrent(&args.torrent)?;
    must_hold(&args.data, &metainfo)?;
    let running = wire::start("seed", &args.common, way, screen)?;
    tell_socks(running.socks(), screen)?;
    wire::tell_unknown_nodes(&args.common, &running.network, screen);
    let goal = Goal {
        keep: true,
        ratio: args.seed_ratio,
        time: args.seed_time.map(|span| span.0),
    };
    let mut transfer = Transfer::new(&running.engine, shutdown, screen, goal);
    transfer.dht = running.dht_addr();
    transfer.ports = running.ports();
    transfer.way_out = WayOut::of(&args.common, &running.outward)?;
    transfer.anonymous = anonymous;
    transfer.asked = args.common.listen;
    let mut add = AddTorrent::new(
        engine::Source::Metainfo(metainfo.clone()),
        args.data.clone(),
    );
    add.trust_data = args.no_check;
    add.existing = Existing::Serve;
    add.hops = args.common.engine_hops();
    add.use_trackers = !args.common.no_trackers;
    add.super_seed = args.super_seed;
    add.use_web_seeds = !args.common.no_webseeds;
    add.peers = peers(&args.peer, &running.network, screen).await?;
    let id = running.engine.add(add).await.map_err(Failure::failed)?;
    let hash = shown_hash(metainfo.hashes());
    let place = args.data.display().to_string();
    let mut torrent = Tracked::new(hash, metainfo.name().to_owned(), place, screen);
    torrent.content = Some(metainfo.content_len());
    torrent.served = true;
    transfer.track(id, torrent);
    let outcome = transfer.run().await;
    running.end().await;
    outcome
}

/// The torrent's top-level name must lie in the folder; whoever names the content itself is told so.
fn must_hold(data: &Path, metainfo: &Metainfo) -> Result<(), Failure> {
    let name = metainfo.name();
    if std::fs::symlink_metadata(data.join(name)).is_ok() {
        return Ok(());
    }
    let place = data.join(name);
    let mut line = format!(
        "{} does not exist; --data is the folder that holds {}",
        place.display(),
        printable(name)
    );
    let parent = data.parent().filter(|_| data.ends_with(name));
    if let Some(parent) = parent {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        line = format!("{line}: did you mean --data {}?", parent.display());
    }
    Err(Failure::NotFound(line))
}
