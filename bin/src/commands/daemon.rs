//! `daemon`: runs torrents until told to end, and serves the command channel.

mod opening;
mod showing;
mod telling;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use net::port_map::Ports;
use net::{Outage, OwnedPool, Pool};
use state::Keeper;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::opening::{failed, open_state};
use self::telling::{
    Line, say, tell_api, tell_metrics, tell_reloaded, tell_serving, tell_stopping,
};
use super::transfer::anonymous::tell_socks;
use super::unit;
use crate::cli::{DaemonArgs, in_file};
use crate::daemon::bulletin::Bulletin;
use crate::daemon::desk::Desk;
use crate::daemon::place::Place;
use crate::daemon::rest::Rest;
use crate::daemon::server::Server;
use crate::daemon::{closings, habits, inherited, kept, notify, pulse};
use crate::failure::{Failure, reason};
use crate::log::Tail;
use crate::metrics::{self, Metrics};
use crate::screen::Screen;
use crate::settings;
use crate::shutdown::Shutdown;
use crate::wire::{self, Session};

/// The folder for content, in that of the state, where none is named.
const CONTENT: &str = "downloads";

/// How long trackers may take to hear that all torrents leave.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long the disk may take for what is kept, at the end.
const LAST_WRITE: Duration = Duration::from_secs(10);

/// How often it is looked what the router and the only way out do.
const LOOK: Duration = Duration::from_secs(2);

pub(crate) fn run(args: DaemonArgs, screen: &Screen, tail: Tail) -> Result<(), Failure> {
    if args.print_unit {
        let output = args.output.as_deref();
        return unit::print("daemon", output, screen);
    }
    let args = with_file(args)?;
    if args.print_socket {
        return screen.write(&unit::socket(args.api));
    }
    let inherited = inherited::api()?;
    if args.api.is_none() && inherited.is_none() {
        args.check_api()?;
    }
    wire::run(serve(Arc::new(args), inherited, (screen, tail)))
}

/// The arguments, with what the file of settings says in place of those that were not given.
fn with_file(args: DaemonArgs) -> Result<DaemonArgs, Failure> {
    let Some(file) = &args.common.settings.config else {
        return Ok(args);
    };
    let layers = settings::load(file).map_err(settings::usage)?;
    in_file::merged(std::env::args_os(), layers.own, file)
}

async fn serve(
    args: Arc<DaemonArgs>,
    inherited: Option<TcpListener>,
    (screen, tail): (&Screen, Tail),
) -> Result<(), Failure> {
    let mut shutdown = Shutdown::listen()?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::failed)?;
    notify::status("Opens what is kept");
    let state = args.common.state.clone().or_else(wire::default_state_dir);
    let state = state.ok_or_else(|| {
        Failure::Usage("there is no home to keep the state in: say --state".to_owned())
    })?;
    let mut place = Place::take(&state)?;
    // Who connects from now on is answered once all is open.
    let socket = place.listen()?;
    let output = output(&args, place.dir())?;
    let health = Arc::new(tokio::sync::watch::Sender::new(None));
    let keeper = open_state(place.dir(), &health, screen)?;
    let given = args.common.network_keys();
    let settings = kept::settings(&keeper, &given, screen);
    let settings = settings.map_err(|error| Failure::failed(&error))?;
    let session = Session::start(
        (&args, &settings),
        (place.dir(), &keeper),
        screen,
        &mut shutdown,
    )
    .await?;
    let desk = Desk::new(&session, &keeper, &args, (output, tail));
    let desk = Arc::new(desk.map_err(|error| failed(&error))?);
    let bulletin = desk.bulletin().clone();
    let reporting = bulletin.clone().report(session.engine.clone());
    let (front, long) = (wire::front()?, wire::long()?);
    let _reporting = front.pool().spawn(reporting);
    let closings = closings::report(session.circuits.closings(), bulletin.clone());
    let _closings = front.pool().spawn(closings);
    let _habits = habits::start(&desk, session.pool());
    let _resources =
        desk.resources()
            .watch(session.engine.clone(), bulletin.clone(), session.pool());
    let pools = (front.pool(), long.pool());
    let rest = Rest::start((&*args, place.dir()), inherited, &desk, pools).await?;
    let metrics = open_metrics(&args, &session, front.pool()).await?;
    let serving = Server::start(socket, Arc::clone(&desk), front.pool());
    let serving = serving.map_err(|error| Failure::on_file(&place.socket(), &error))?;
    tell_socks(session.circuits.socks().into_iter(), screen)?;
    wire::tell_unknown_nodes(&args.common, &session.network(), screen);
    tell_serving(&place, &session, &bulletin, screen)?;
    tell_metrics(metrics.as_ref(), &bulletin, screen)?;
    tell_api(rest.as_ref(), &bulletin, screen)?;
    notify::ready();
    let watched = watch(&session, &bulletin, &health, screen);
    tokio::select! {
        _ = shutdown.asked() => {}
        () = desk.ended() => {}
        told = show(&bulletin, screen) => told?,
        () = watched => {}
        told = reload(&mut hangup, &desk, screen) => told?,
        () = pulse::beat(&session.engine) => {}
    }
    notify::stopping("Saves how far it is and tells the trackers");
    say(&bulletin, &Line::Stopping);
    tell_stopping(screen).await;
    if let Some(rest) = rest {
        rest.end().await;
    }
    let (pool, ended) = tokio::select! {
        ended = end(session, &keeper) => ended,
        code = shutdown.asked() => std::process::exit(code),
    };
    // Who waits for the end of its connection finds the state free.
    drop(place);
    drop((serving, metrics, front, long, pool));
    ended
}

/// Reads the settings again whenever SIGHUP says so; returns only when what came of it cannot be told any more.
async fn reload(hangup: &mut Signal, desk: &Desk, screen: &Screen) -> Result<(), Failure> {
    while hangup.recv().await.is_some() {
        notify::reloading();
        let outcome = desk.reload().await;
        tell_reloaded(outcome, desk.bulletin(), screen)?;
        notify::ready();
    }
    std::future::pending().await
}

/// Ends the engine and what it stands on, and closes the state behind it; the threads of connections are left.
async fn end(session: Session, keeper: &Arc<Keeper>) -> (OwnedPool, Result<(), Failure>) {
    let farewells = session.engine.shutdown(FAREWELL).await;
    if farewells.unheard() > 0 {
        tracing::info!(?farewells, "not every tracker heard that we leave");
    }
    let pool = session.end().await;
    let keeper = Arc::clone(keeper);
    let closed = tokio::task::spawn_blocking(move || keeper.close(LAST_WRITE)).await;
    let closed = match closed {
        Ok(closed) => closed.map_err(|error| failed(&error)),
        Err(error) => Err(Failure::failed(error)),
    };
    (pool, closed)
}

/// The folder for content, from the root.
fn output(args: &DaemonArgs, state: &Path) -> Result<PathBuf, Failure> {
    let dir = args.output.clone().unwrap_or_else(|| state.join(CONTENT));
    super::must_be_writable(&dir)?;
    std::path::absolute(&dir).map_err(|error| Failure::on_file(&dir, &error))
}

/// Serves figures, where that is wanted.
async fn open_metrics(
    args: &DaemonArgs,
    session: &Session,
    pool: &Pool,
) -> Result<Option<Metrics>, Failure> {
    let Some(at) = args.metrics else {
        return Ok(None);
    };
    let source = metrics::Engine {
        engine: session.engine.clone(),
        circuits: session.circuits.clone(),
    };
    let serving = Metrics::serve(at, source, pool).await;
    let serving =
        serving.map_err(|error| Failure::Failed(format!("--metrics {at}: {}", reason(&error))))?;
    Ok(Some(serving))
}

/// Shows what happens: all of it to programs, to people what goes wrong. Returns only when that cannot be told any more. Whoever
/// does not read holds up nothing but this.
async fn show(bulletin: &Bulletin, screen: &Screen) -> Result<(), Failure> {
    let mut follower = bulletin.follow(None);
    loop {
        let news = follower.next().await;
        let screen = screen.clone();
        let shown = tokio::task::spawn_blocking(move || {
            let shown = showing::show(&news, &screen);
            shown.map(|()| screen.is_unread())
        });
        if shown.await.map_err(Failure::failed)?? {
            return Ok(());
        }
    }
}

/// Tells of the router, the only way out and the state; does not return.
async fn watch(
    session: &Session,
    bulletin: &Bulletin,
    health: &tokio::sync::watch::Sender<Option<String>>,
    screen: &Screen,
) {
    let mut health = health.subscribe();
    let mut ports: Option<Ports> = None;
    let mut outage: Option<Outage> = None;
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            changed = health.changed() => {
                if changed.is_err() {
                    return std::future::pending().await;
                }
                let error = health.borrow_and_update().clone();
                match &error {
                    Some(why) => screen.warn("warning", format_args!("the state cannot be saved: {why}")),
                    None => screen.warn("note", "the state is saved again"),
                }
                say(bulletin, &Line::StateSaved { error });
                continue;
            }
            _ = tick.tick() => {}
        }
        let given = session.ports();
        if let Some(given) = given.filter(|given| ports.as_ref() != Some(given)) {
            // It cannot be told to an engine that has ended, and need not.
            let _ = session.engine.watch_ports(given.clone()).await;
            ports = Some(given);
        }
        let now = session.network().outage();
        if now.is_some() != outage.is_some() {
            let reason = match (&now, &outage) {
                (Some(now), _) => now.to_string(),
                (None, Some(was)) => was.over(),
                (None, None) => String::new(),
            };
            screen.warn(if now.is_none() { "note" } else { "warning" }, &reason);
        }
        outage = now;
    }
}
