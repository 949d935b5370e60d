//! `download`: fetches torrents until all is complete and verified.

use std::net::SocketAddr;

use engine::{AddTorrent, CommandError, Existing, Reuse};

use super::transfer::anonymous::{Anonymous, tell_socks};
use super::transfer::goal::Goal;
use super::transfer::kept_hops::{self, Named};
use super::transfer::peers::peers;
use super::transfer::seeking::key_of;
use super::transfer::tracked::Tracked;
use super::transfer::{Transfer, WayOut};
use crate::cli::DownloadArgs;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::selection::Selection;
use crate::shutdown::Shutdown;
use crate::source::{Source, shown_hash};
use crate::text::printable;
use crate::wire;

pub(crate) fn run(args: &mut DownloadArgs, screen: &Screen) -> Result<(), Failure> {
    wire::run(download(args, screen))
}

async fn download(args: &mut DownloadArgs, screen: &Screen) -> Result<(), Failure> {
    let mut shutdown = Shutdown::listen()?;
    crate::settings::settle(&mut args.common)?;
    let selection = Selection::parse("--files", &args.files)?;
    let read = read_local(args, screen)?;
    let args = &*args;
    let way = wire::way(&args.common, screen, &mut shutdown).await?;
    let mut anonymous = Anonymous::of(&args.common, &way);
    if let Some(anonymous) = &mut anonymous
        && read.iter().any(Option::is_none)
    {
        anonymous.wait(screen, &mut shutdown).await?;
    }
    let mut sources = Vec::new();
    for (text, read) in args.source.iter().zip(read) {
        sources.push(match read {
            Some(source) => source,
            None => kept_hops::fetch(text, &way.network, &args.common, screen).await?,
        });
    }
    if args.common.hops() > 0 && !args.web_seed.is_empty() {
        let line = "--web-seed: circuits carry nothing of web seeds; they are not asked";
        screen.warn("warning", line);
    }
    super::must_be_writable(&args.output)?;
    for dir in &args.reuse {
        super::must_be_folder(dir)?;
    }
    let running = wire::start("download", &args.common, way, screen)?;
    tell_socks(running.socks(), screen)?;
    wire::tell_unknown_nodes(&args.common, &running.network, screen);
    let goal = Goal {
        keep: args.keep_seeding,
        ratio: args.seed_ratio,
        time: args.seed_time.map(|span| span.0),
    };
    let mut transfer = Transfer::new(&running.engine, shutdown, screen, goal);
    transfer.dht = running.dht_addr();
    transfer.ports = running.ports();
    transfer.way_out = WayOut::of(&args.common, &running.outward)?;
    transfer.anonymous = anonymous;
    transfer.asked = args.common.listen;
    let wish = Wish {
        args,
        peers: peers(&args.peer, &running.network, screen).await?,
        selection,
    };
    for source in sources {
        let (add, torrent) = wish.apply(&source, screen)?;
        if let Some(named) = source.named() {
            transfer.seek(named.clone(), (add, torrent))?;
            continue;
        }
        match running.engine.add(add).await {
            Ok(id) => {
                torrent.tell_added(source.name(), screen)?;
                transfer.track(id, torrent);
            }
            Err(CommandError::Duplicate(_)) => {
                let name = printable(&torrent.name);
                screen.warn("warning", format_args!("{name} was named twice"));
            }
            Err(error) => {
                let name = printable(&torrent.name);
                return Err(Failure::Failed(format!("{name}: {error}")));
            }
        }
    }
    let outcome = transfer.run().await;
    running.end().await;
    outcome
}

/// Reads what needs no network, and settles by how many hops all goes.
fn read_local(args: &mut DownloadArgs, screen: &Screen) -> Result<Vec<Option<Source>>, Failure> {
    let local = |text: &String| (!Source::is_remote(text)).then(|| Source::read_local(text));
    let read = args.source.iter().map(|text| local(text).transpose());
    let read = read.collect::<Result<Vec<_>, _>>()?;
    let torrents = args.source.iter().zip(&read);
    let torrents: Vec<Named> = torrents
        .map(|(text, read)| Named::of(text, read.as_ref()))
        .collect();
    kept_hops::settle(&mut args.common, &torrents, screen)?;
    Ok(read)
}

/// What is asked for, of every torrent alike.
struct Wish<'a> {
    args: &'a DownloadArgs,
    peers: Vec<SocketAddr>,
    selection: Option<Selection>,
}

impl Wish<'_> {
    /// How to add one torrent, and how to follow it.
    fn apply(&self, source: &Source, screen: &Screen) -> Result<(AddTorrent, Tracked), Failure> {
        let mut torrent = self.tracked(source, screen);
        let mut add = AddTorrent::new(engine_source(source), self.args.output.clone());
        add.peers.clone_from(&self.peers);
        add.sequential = self.args.sequential;
        if self.args.overwrite {
            add.existing = Existing::Replace;
        }
        add.reuse = Reuse {
            torrents: self.args.reuse_local_data,
            dirs: self.args.reuse.clone(),
        };
        add.hops = self.args.common.engine_hops();
        add.use_trackers = !self.args.common.no_trackers;
        add.use_web_seeds = !self.args.common.no_webseeds;
        add.web_seeds.clone_from(&self.args.web_seed);
        add.max_peers = self.args.common.max_peers.map(|most| most as usize);
        match source {
            Source::Torrent(metainfo) => {
                let chosen = self.selection.as_ref().map(|chosen| chosen.of(metainfo));
                add.files = chosen.transpose()?;
            }
            Source::Magnet(_) => {
                if let Some(chosen) = self.selection.clone() {
                    torrent.choose = Some((chosen, add.clone()));
                    add.files = Some(Vec::new());
                }
            }
        }
        Ok((add, torrent))
    }

    fn tracked(&self, source: &Source, screen: &Screen) -> Tracked {
        let hash = match (source.hashes(), source.named()) {
            (Some(hashes), _) => shown_hash(hashes),
            (None, named) => named.map(key_of).unwrap_or_default(),
        };
        let place = match source {
            Source::Torrent(metainfo) => self.args.output.join(metainfo.name()),
            Source::Magnet(_) => self.args.output.clone(),
        };
        let name = source.name().map_or_else(|| hash.clone(), str::to_owned);
        let mut torrent = Tracked::new(hash, name, place.display().to_string(), screen);
        torrent.content = source.size();
        torrent
    }
}

fn engine_source(source: &Source) -> engine::Source {
    match source {
        Source::Torrent(metainfo) => engine::Source::Metainfo(metainfo.clone()),
        Source::Magnet(magnet) => engine::Source::Magnet(magnet.clone()),
    }
}
