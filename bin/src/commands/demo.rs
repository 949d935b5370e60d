//! `demo`: the whole main job on parts of its own, on loopback: a payload, a tracker, a seeder and a downloader.

mod payload;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{AddTorrent, EngineConfig, EngineHandle, Event, Supervisor};
use net::{Network, Pool};
use protocol::metainfo::{LoadLimits, Metainfo};
use tracker::settings::HttpSettings;
use tracker::{Settings, Tracker, TrackerHandle};

use self::payload::Folder;
use super::transfer::Transfer;
use super::transfer::goal::Goal;
use super::transfer::tracked::Tracked;
use crate::cli::{CreateArgs, Date, DemoArgs, FeedArgs, Format, SigningArgs};
use crate::failure::{Failure, plain};
use crate::json::{Line, seconds};
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::source::shown_hash;
use crate::units::Size;
use crate::wire;

/// Name of the payload.
const NAME: &str = "demo.bin";

/// Seconds that clients are told to wait between announces.
const INTERVAL: u32 = 2;

/// How long the seeder may take with its farewell.
const FAREWELL: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &DemoArgs, screen: &Screen) -> Result<(), Failure> {
    if args.size.0 == 0 {
        return Err(Failure::Usage(
            "--size must be at least one byte".to_owned(),
        ));
    }
    let folder = Folder::create()?;
    has_room(folder.path(), args.size)?;
    wire::run(demo(args, &folder, screen))
}

/// Refuses a size that the disk has no room for, twice: one copy is the seeder's, the other the downloader's.
fn has_room(folder: &Path, size: Size) -> Result<(), Failure> {
    let disk =
        rustix::fs::statvfs(folder).map_err(|errno| Failure::on_file(folder, &errno.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if size.0.saturating_mul(2) <= free {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "--size {size} takes twice as much, and {} has {} left",
        folder.parent().unwrap_or(folder).display(),
        Size(free)
    )))
}

async fn demo(args: &DemoArgs, folder: &Folder, screen: &Screen) -> Result<(), Failure> {
    let mut shutdown = Shutdown::listen()?;
    let network = wire::plain_network();
    let pool = wire::pool()?;

    let original = folder.path().join("seeder").join(NAME);
    let written = payload::write(&original, args.size.0, screen);
    unless_stopped(&mut shutdown, written).await?;
    say(
        screen,
        "payload",
        format_args!("{} of random bytes", args.size),
    )?;

    let (tracker, url) = tracker(folder)?;
    say(screen, "tracker", &url)?;

    let torrent = torrent(&original, &url, folder, screen)?;
    let hash = shown_hash(torrent.hashes());
    let pieces = torrent.geometry();
    let piece_len = Size(pieces.piece_len().into());
    say(
        screen,
        "torrent",
        format_args!("{} pieces of {piece_len}, {hash}", pieces.pieces()),
    )?;

    let seeder = engine(&network, pool.pool())?;
    let seeding = seed(
        &seeder,
        &torrent,
        original.parent().unwrap_or_else(|| folder.path()),
    );
    unless_stopped(&mut shutdown, seeding).await?;
    let listening = seeder.snapshot().listen;
    let listening = listening.map_or_else(String::new, |addr| format!("at {addr}, "));
    say(screen, "seeder", format_args!("{listening}data verified"))?;

    let downloader = engine(&network, pool.pool())?;
    let target = folder.path().join("downloader");
    let mut transfer = Transfer::new(&downloader, shutdown, screen, Goal::default());
    let started = Instant::now();
    let add = AddTorrent::new(
        engine::Source::Metainfo(Arc::clone(&torrent)),
        target.clone(),
    );
    let id = downloader.add(add).await.map_err(Failure::failed)?;
    let mut tracked = Tracked::new(hash, NAME.to_owned(), String::new(), screen);
    tracked.content = Some(torrent.content_len());
    if screen.style() == Style::Json {
        tracked.tell_added(Some(NAME), screen)?;
    }
    transfer.track(id, tracked);
    transfer.run().await?;
    let took = started.elapsed();
    seeder.shutdown(FAREWELL).await;
    tracker.stop().await;

    verify(&original, &target.join(NAME), took, screen).await
}

/// Waits for a part of the job, or for the signal to give up.
async fn unless_stopped<T>(
    shutdown: &mut Shutdown,
    part: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        outcome = part => outcome,
        _ = shutdown.asked() => Err(Failure::Failed("stopped before the end".to_owned())),
    }
}

/// Starts a tracker at any port of the loopback address, which keeps nothing; returns it with its URL.
fn tracker(folder: &Folder) -> Result<(TrackerHandle, String), Failure> {
    let mut settings = Settings::in_memory();
    settings.http = vec![HttpSettings::new((Ipv4Addr::LOCALHOST, 0).into())];
    settings.announce.interval = INTERVAL;
    settings.announce.min_interval = INTERVAL;
    let launched = Tracker::launch(settings, folder.path());
    let (_, tracker) =
        launched.map_err(|error| Failure::Failed(plain(&format!("tracker: {error}"))))?;
    let at = tracker.listening().http.first().copied();
    let url = at.map(|at| format!("http://{at}/announce"));
    Ok((tracker, url.unwrap_or_default()))
}

/// Makes the torrent of the payload.
fn torrent(
    payload: &Path,
    tracker: &str,
    folder: &Folder,
    screen: &Screen,
) -> Result<Arc<Metainfo>, Failure> {
    let args = CreateArgs {
        path: payload.to_owned(),
        output: folder.path().join("demo.torrent"),
        tracker: vec![tracker.to_owned()],
        web_seed: Vec::new(),
        node: Vec::new(),
        piece_length: None,
        format: Format::Hybrid,
        private: false,
        source: None,
        update_url: None,
        originator: None,
        feed: FeedArgs::default(),
        signing: SigningArgs::default(),
        similar: Vec::new(),
        collection: Vec::new(),
        comment: None,
        date: Some(Date::None),
        name: None,
        threads: None,
        force: false,
        exclude: Vec::new(),
        follow_links: false,
        json: false,
    };
    let bytes = super::create::make(&args, screen)?;
    let metainfo = Metainfo::from_bytes(&bytes, &LoadLimits::default()).map_err(Failure::failed)?;
    Ok(Arc::new(metainfo))
}

/// Starts an engine that listens on any port of the loopback address and keeps nothing.
fn engine(network: &Network, pool: &Pool) -> Result<EngineHandle, Failure> {
    let mut config = EngineConfig::new(network.clone(), pool.clone());
    config.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let (_, engine) = Supervisor::launch(config).map_err(Failure::failed)?;
    Ok(engine)
}

/// Adds the payload to the seeder and waits until it is verified.
async fn seed(engine: &EngineHandle, torrent: &Arc<Metainfo>, data: &Path) -> Result<(), Failure> {
    let mut events = engine.events(engine::Categories::USUAL, 1024);
    let add = AddTorrent::new(
        engine::Source::Metainfo(Arc::clone(torrent)),
        data.to_owned(),
    );
    engine.add(add).await.map_err(Failure::failed)?;
    loop {
        match events.recv().await {
            Ok(Event::Finished { .. }) => return Ok(()),
            Ok(Event::Error { error, .. }) => return Err(Failure::failed(error)),
            Ok(_) => {}
            Err(error) => return Err(Failure::failed(error)),
        }
    }
}

/// Compares what was sent with what came.
async fn verify(sent: &Path, came: &Path, took: Duration, screen: &Screen) -> Result<(), Failure> {
    let (sent, came) = (payload::sha256(sent).await?, payload::sha256(came).await?);
    let equal = sent == came;
    match screen.style() {
        Style::Json => screen.json(&Line::Verified {
            sha256: &came,
            equal,
            seconds: seconds(took),
        })?,
        Style::Bars | Style::Lines if equal => {
            say(
                screen,
                "verified",
                format_args!("SHA-256 {came} on both sides"),
            )?;
        }
        Style::Bars | Style::Lines => {}
    }
    if equal {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "the copy differs: SHA-256 {came} instead of {sent}"
    )))
}

/// A row of the report, for people.
fn say(screen: &Screen, name: &str, value: impl std::fmt::Display) -> Result<(), Failure> {
    screen.say(format_args!("{name:<10} {value}"))
}
