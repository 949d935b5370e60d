//! `daemon`: runs torrents until told to end, and serves the command channel.

mod showing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use net::port_map::Ports;
use net::{Outage, OwnedPool, Pool};
use serde::Serialize;
use serde_json::Value;
use state::{Folder, Health, Keeper, KeeperOptions, Opening, StateError, Store, earlier};

use super::transfer::anonymous::tell_socks;
use super::unit;
use crate::cli::DaemonArgs;
use crate::daemon::bulletin::Bulletin;
use crate::daemon::desk::Desk;
use crate::daemon::place::Place;
use crate::daemon::rest::Rest;
use crate::daemon::server::Server;
use crate::daemon::{habits, kept, notify};
use crate::failure::{Failure, reason};
use crate::metrics::{self, Metrics};
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::wire::{self, Session};

/// The folder for content, in that of the state, where none is named.
const CONTENT: &str = "downloads";

/// How long trackers may take to hear that all torrents leave.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long the disk may take for what is kept, at the end.
const LAST_WRITE: Duration = Duration::from_secs(10);

/// How long the last line may take to be read.
const LAST_WORD: Duration = Duration::from_millis(500);

/// How often it is looked what the router and the only way out do.
const LOOK: Duration = Duration::from_secs(2);

/// What a daemon says of itself, among the events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    /// The REST API is served.
    Api { addr: String },
    /// Figures are served.
    Metrics { addr: String },
    /// Torrents are at work, and the command channel is open.
    Serving {
        pid: u32,
        socket: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        listen: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dht: Option<String>,
        torrents: usize,
    },
    /// What changes does not reach the disk, for this reason; or it does again.
    StateSaved { error: Option<String> },
    /// The end was asked for.
    Stopping,
}

pub(crate) fn run(args: DaemonArgs, screen: &Screen) -> Result<(), Failure> {
    if args.print_unit {
        let output = args.output.as_deref();
        return unit::print("daemon", output, screen);
    }
    wire::run(serve(Arc::new(args), screen))
}

async fn serve(args: Arc<DaemonArgs>, screen: &Screen) -> Result<(), Failure> {
    let mut shutdown = Shutdown::listen()?;
    let state = args.common.state.clone().or_else(wire::default_state_dir);
    let state = state.ok_or_else(|| {
        Failure::Usage("there is no home to keep the state in: say --state".to_owned())
    })?;
    let mut place = Place::take(&state)?;
    let output = output(&args, place.dir())?;
    let health = Arc::new(tokio::sync::watch::Sender::new(None));
    let keeper = open_state(place.dir(), &health, screen)?;
    let given = [
        args.common.bind.as_ref().map(|_| "network.bind"),
        args.common.proxy.as_ref().map(|_| "network.proxy"),
    ];
    let given: Vec<&str> = given.into_iter().flatten().collect();
    let settings =
        kept::settings(&keeper, &given, screen).map_err(|error| Failure::failed(&error))?;
    let session = Session::start(
        (&args, &settings),
        (place.dir(), &keeper),
        screen,
        &mut shutdown,
    )
    .await?;
    let desk = Desk::new(&session, &keeper, &args, output);
    let desk = Arc::new(desk.map_err(|error| failed(&error))?);
    let bulletin = desk.bulletin().clone();
    let reporting = bulletin.clone().report(session.engine.clone());
    let front = wire::front()?;
    let _reporting = front.pool().spawn(reporting);
    let _habits = habits::start(&desk, session.pool());
    let _resources =
        desk.resources()
            .watch(session.engine.clone(), bulletin.clone(), session.pool());
    let rest = Rest::start((&*args, place.dir()), &desk, front.pool()).await?;
    let metrics = open_metrics(&args, &session, front.pool()).await?;
    let socket = place.listen()?;
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
    drop((serving, metrics, front, pool));
    ended
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

fn failed(error: &StateError) -> Failure {
    Failure::failed(error)
}

/// The folder for content, from the root.
fn output(args: &DaemonArgs, state: &Path) -> Result<PathBuf, Failure> {
    let dir = args.output.clone().unwrap_or_else(|| state.join(CONTENT));
    super::must_be_writable(&dir)?;
    std::path::absolute(&dir).map_err(|error| Failure::on_file(&dir, &error))
}

/// Opens what is kept, and takes in what one-shot commands have left in the folder.
fn open_state(
    dir: &Path,
    health: &Arc<tokio::sync::watch::Sender<Option<String>>>,
    screen: &Screen,
) -> Result<Arc<Keeper>, Failure> {
    let medium = Arc::new(Folder::new(dir.to_owned()));
    let health = Arc::clone(health);
    let options = KeeperOptions {
        told: Arc::new(move |now| {
            health.send_replace(match now {
                Health::Failing(error) => Some(error.to_string()),
                Health::Well | _ => None,
            });
        }),
        ..KeeperOptions::default()
    };
    let opened = Store::open(medium.clone(), options.open);
    let (store, opening) = opened.map_err(|error| failed(&error))?;
    tell_opening(&opening, screen);
    let moved = earlier::move_in(&store, dir).map_err(|error| failed(&error))?;
    for path in &moved.unreadable {
        let line = format_args!("{}: cannot be made sense of, and is left", path.display());
        screen.warn("warning", line);
    }
    let keeper = Keeper::start(store, medium, options).map_err(|error| failed(&error))?;
    Ok(Arc::new(keeper))
}

/// Says what became of a state that could not be read.
fn tell_opening(opening: &Opening, screen: &Screen) {
    let aside = |path: &Path| format!("it lies in {} now", path.display());
    let line = match opening {
        Opening::Previous { why, aside: at, .. } => {
            let why = why.as_ref().map_or_else(
                || "the state was not there".to_owned(),
                |why| format!("the state cannot be read ({why})"),
            );
            let at = at.as_deref().map(aside).unwrap_or_default();
            format!(
                "{why}; {at}. The previous generation has taken its place: what has happened since then is forgotten"
            )
        }
        Opening::Lost { why, aside: at } => format!(
            "the state cannot be read ({why}), nor a previous generation; {}, and a new one begins",
            aside(at)
        ),
        Opening::Made | Opening::Ready | _ => return,
    };
    screen.warn("warning", line);
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

/// Says where figures are served.
fn tell_metrics(
    metrics: Option<&Metrics>,
    bulletin: &Bulletin,
    screen: &Screen,
) -> Result<(), Failure> {
    let Some(metrics) = metrics else {
        return Ok(());
    };
    let addr = metrics.at.to_string();
    let line = Line::Metrics { addr };
    say(bulletin, &line);
    if screen.style() == Style::Json {
        return screen.json(&line);
    }
    screen.say(format_args!("figures at http://{}/metrics", metrics.at))
}

/// Says where the API is served.
fn tell_api(rest: Option<&Rest>, bulletin: &Bulletin, screen: &Screen) -> Result<(), Failure> {
    let Some(rest) = rest else {
        return Ok(());
    };
    let addr = rest.at.to_string();
    let line = Line::Api { addr };
    say(bulletin, &line);
    if screen.style() == Style::Json {
        return screen.json(&line);
    }
    screen.say(format_args!("REST API at http://{}", rest.at))
}

/// Puts a line of the daemon's own among the events.
fn say(bulletin: &Bulletin, line: &Line) {
    let word = match line {
        Line::Api { .. } => "api",
        Line::Metrics { .. } => "metrics",
        Line::Serving { .. } => "serving",
        Line::StateSaved { .. } => "state_saved",
        Line::Stopping => "stopping",
    };
    if let Ok(Value::Object(fields)) = serde_json::to_value(line) {
        bulletin.tell((word, engine::Category::Status.into()), fields);
    }
}

fn tell_serving(
    place: &Place,
    session: &Session,
    bulletin: &Bulletin,
    screen: &Screen,
) -> Result<(), Failure> {
    let snapshot = session.engine.snapshot();
    let line = Line::Serving {
        pid: std::process::id(),
        socket: place.socket().display().to_string(),
        listen: snapshot.listen.map(|addr| addr.to_string()),
        dht: session.dht_addr().map(|addr| addr.to_string()),
        torrents: snapshot.torrents.len(),
    };
    say(bulletin, &line);
    if screen.style() == Style::Json {
        return screen.json(&line);
    }
    let Line::Serving { listen, socket, .. } = line else {
        return Ok(());
    };
    let listen = listen.map_or_else(
        || "no incoming connections".to_owned(),
        |at| format!("listening on {at}"),
    );
    screen.say(format_args!("{listen}; command channel at {socket}"))
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

/// Says that the end has begun, to who reads.
async fn tell_stopping(screen: &Screen) {
    let screen = screen.clone();
    let told = tokio::task::spawn_blocking(move || {
        if screen.style() == Style::Json {
            return screen.json(&Line::Stopping);
        }
        screen.say("stopping: saves how far it is and tells the trackers; again stops at once")
    });
    // Whoever does not read is not waited for.
    let _ = tokio::time::timeout(LAST_WORD, told).await;
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

#[cfg(test)]
mod tests {
    use engine::Event;

    use crate::daemon::{habits, resources};
    use crate::json::page;

    #[test]
    fn the_page_for_users_has_a_row_for_each_event() {
        let rows = page::rows("`daemon`");
        let own = [
            "serving",
            "api",
            "metrics",
            "state_saved",
            "stopping",
            "missed",
        ];
        let own = own.into_iter().chain(habits::WORDS);
        let own: Vec<&str> = own.chain(resources::WORDS).collect();
        for word in own.iter().chain(Event::WORDS) {
            let start = format!("| `{word}` |");
            assert!(rows.iter().any(|row| row.starts_with(&start)), "{word}");
        }
        assert_eq!(rows.len(), own.len() + Event::WORDS.len());
    }
}
