//! `download`: fetches torrents until all is complete and verified.

use std::path::Path;

use engine::{AddTorrent, CommandError};

use super::transfer::goal::Goal;
use super::transfer::tracked::{Tracked, content_size};
use super::transfer::{Transfer, peers};
use crate::cli::DownloadArgs;
use crate::failure::Failure;
use crate::json::Line;
use crate::screen::{Screen, Style, printable};
use crate::selection::Selection;
use crate::shutdown::Shutdown;
use crate::source::{Source, shown_hash};
use crate::units::Size;
use crate::wire;

pub(crate) fn run(args: &DownloadArgs, screen: &Screen) -> Result<(), Failure> {
    wire::run(download(args, screen))
}

async fn download(args: &DownloadArgs, screen: &Screen) -> Result<(), Failure> {
    let shutdown = Shutdown::listen()?;
    let selection = Selection::parse(&args.files)?;
    let network = wire::network(&args.common)?;
    let mut sources = Vec::new();
    for text in &args.source {
        sources.push(Source::read(text, &network).await?);
    }
    if args.output.exists() {
        super::must_be_folder(&args.output)?;
    }
    let running = wire::start(&args.common, network)?;
    let goal = Goal {
        keep: args.keep_seeding,
        ratio: args.seed_ratio,
        time: args.seed_time.map(|span| span.0),
    };
    let mut transfer = Transfer::new(&running, shutdown, screen, goal);
    let peers = peers(&args.common.peer, &running.network, screen).await?;
    for source in sources {
        let mut add = AddTorrent::new(engine_source(&source), args.output.clone());
        add.peers.clone_from(&peers);
        add.sequential = args.sequential;
        add.use_trackers = !args.common.no_trackers;
        add.max_peers = args.common.max_peers.map(|most| most as usize);
        let mut torrent = tracked(&source, &args.output, screen)?;
        match (&source, &selection) {
            (Source::Torrent(metainfo), Some(chosen)) => add.files = Some(chosen.of(metainfo)?),
            (Source::Magnet(_), Some(chosen)) => {
                torrent.choose = Some((chosen.clone(), add.clone()));
                add.files = Some(Vec::new());
            }
            (Source::Torrent(_) | Source::Magnet(_), None) => {}
        }
        match running.engine.add(add).await {
            Ok(id) => {
                tell_added(&source, &torrent, screen)?;
                transfer.track(id, torrent);
            }
            Err(CommandError::Duplicate(_)) => {
                screen.warn(
                    "warning",
                    format_args!("{} was named twice", printable(&torrent.name)),
                );
            }
            Err(error) => {
                let name = printable(&torrent.name);
                return Err(Failure::Failed(format!("{name}: {error}")));
            }
        }
    }
    transfer.run().await
}

fn engine_source(source: &Source) -> engine::Source {
    match source {
        Source::Torrent(metainfo) => engine::Source::Metainfo(metainfo.clone()),
        Source::Magnet(magnet) => engine::Source::Magnet(magnet.clone()),
    }
}

fn tracked(source: &Source, output: &Path, screen: &Screen) -> Result<Tracked, Failure> {
    let Some(hashes) = source.hashes() else {
        let why = "the link names a mutable torrent (BEP 46), which this build cannot follow yet";
        return Err(Failure::Usage(why.to_owned()));
    };
    let hash = shown_hash(hashes);
    let name = match source {
        Source::Torrent(metainfo) => Some(metainfo.name().to_owned()),
        Source::Magnet(magnet) => magnet.name.clone(),
    };
    let place = match source {
        Source::Torrent(metainfo) => output.join(metainfo.name()),
        Source::Magnet(_) => output.to_owned(),
    };
    let name = name.unwrap_or_else(|| hash.clone());
    Ok(Tracked::new(
        hash,
        name,
        place.display().to_string(),
        screen,
    ))
}

fn tell_added(source: &Source, torrent: &Tracked, screen: &Screen) -> Result<(), Failure> {
    let (name, size) = match source {
        Source::Torrent(metainfo) => (Some(metainfo.name()), Some(content_size(metainfo))),
        Source::Magnet(magnet) => (magnet.name.as_deref(), magnet.len),
    };
    let info_hash = torrent.info_hash.as_str();
    match (screen.style(), size) {
        (Style::Json, _) => screen.json(&Line::Added {
            info_hash,
            name,
            size,
        }),
        (Style::Bars | Style::Lines, Some(size)) => {
            let name = printable(&torrent.name);
            screen.say(format_args!("added {name}, {}, {info_hash}", Size(size)))
        }
        (Style::Bars | Style::Lines, None) => {
            screen.say(format_args!("added {}", printable(&torrent.name)))
        }
    }
}
