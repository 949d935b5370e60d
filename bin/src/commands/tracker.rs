//! `tracker`: runs a tracker until told to end, or asks others.

mod ask;

use std::path::PathBuf;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tracker::settings::{DatabaseKind, HttpSettings, Settings, UdpSettings, commented};
use tracker::tracker::{Listening, StartError, Statistics};
use tracker::{Tracker, TrackerHandle};

use super::unit;
use crate::cli::TrackerArgs;
use crate::daemon::notify;
use crate::failure::{Failure, plain};
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::wire;

/// The folder of what is kept, in that of the state.
const FOLDER: &str = "tracker";

/// One line. Later versions may add fields and events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    /// All servers answer, at these addresses.
    Listening {
        pid: u32,
        udp: Vec<String>,
        http: Vec<String>,
        api: Option<String>,
        health: Option<String>,
    },
    /// The settings were read again: what holds now, and what will when it starts again.
    Reloaded {
        changed: Vec<&'static str>,
        at_next_start: Vec<&'static str>,
    },
    /// The settings were read again and could not be taken.
    NotReloaded { reason: String },
    /// How it stands, and what was done since the start.
    Status {
        torrents: u64,
        seeders: u64,
        leechers: u64,
        completed: u64,
        udp_announces: u64,
        http_announces: u64,
        scrapes: u64,
        database_error: Option<String>,
    },
    /// The end was asked for.
    Stopping,
}

pub(crate) fn run(args: &TrackerArgs, screen: &Screen) -> Result<(), Failure> {
    if let Some(what) = &args.what {
        return wire::run(ask::run(what, screen));
    }
    if args.print_config {
        return screen.write(&commented());
    }
    if args.print_unit {
        return unit::print("tracker", None, screen);
    }
    let settings = settings(args);
    if args.check {
        let checked = settings
            .and_then(|settings| Tracker::check(&settings).map_err(|error| start_failure(&error)));
        return checked.map_err(Failure::of_checked);
    }
    wire::run(serve(args, settings?, screen))
}

/// What the file and the flags make together.
fn settings(args: &TrackerArgs) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::on_file(path, &error))?;
        settings = Settings::from_toml(&text)
            .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    }
    if !args.udp.is_empty() {
        settings.udp = args.udp.iter().copied().map(UdpSettings::new).collect();
    }
    if !args.http.is_empty() {
        settings.http = args.http.iter().copied().map(HttpSettings::new).collect();
    }
    settings.workers = args.workers.unwrap_or(settings.workers);
    if args.forget {
        settings.database.kind = DatabaseKind::None;
    }
    if settings.udp.is_empty() && settings.http.is_empty() {
        let how = match &args.config {
            Some(path) => format!(
                "open [[udp]] or [[http]] in {}, or say --udp or --http",
                path.display()
            ),
            None => "say --udp, --http, or --config with [[udp]] or [[http]] in it".to_owned(),
        };
        let text = format!("nobody could ask this tracker anything: {how}");
        return Err(Failure::Usage(text));
    }
    settings
        .check()
        .map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(settings)
}

async fn serve(args: &TrackerArgs, settings: Settings, screen: &Screen) -> Result<(), Failure> {
    let mut shutdown = Shutdown::listen()?;
    if args.until_stdin_ends {
        shutdown.also_when_stdin_ends()?;
    }
    let mut reload = signal(SignalKind::hangup()).map_err(Failure::failed)?;
    let folder = folder(args, &settings)?;
    allow_connections();
    let schemes: Vec<&str> = settings.http.iter().map(scheme).collect();
    let (_, tracker) = Tracker::launch(settings, &folder).map_err(|error| start_failure(&error))?;
    if screen.style() == Style::Json {
        screen.json(&listening(&tracker))?;
    } else {
        screen.say(welcome(tracker.listening(), &schemes))?;
    }
    notify::ready();
    let watched = async {
        loop {
            tokio::select! {
                _ = reload.recv() => tell(screen, &reloaded(args, &tracker).await)?,
                told = status(args, &tracker, screen) => told?,
            }
        }
    };
    let ended: Result<(), Failure> = tokio::select! {
        told = watched => told,
        _ = shutdown.asked() => Ok(()),
    };
    notify::stopping("Writes completions");
    let told = tell(screen, &Line::Stopping);
    tokio::select! {
        () = tracker.stop() => {}
        code = shutdown.asked() => std::process::exit(code),
    }
    ended.and(told)
}

/// Has the process open as many files as it ever may: each connection is one, and what shells give is soon full.
fn allow_connections() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, files) {
        tracing::debug!(%error, "the limit of open files");
    }
}

/// Where what is kept is kept.
fn folder(args: &TrackerArgs, settings: &Settings) -> Result<PathBuf, Failure> {
    let state = args.state.clone();
    let state = state.or_else(|| wire::default_state_dir().map(|dir| dir.join(FOLDER)));
    match state {
        Some(folder) => Ok(folder),
        None if settings.database.kind != DatabaseKind::Sqlite => Ok(PathBuf::new()),
        None => Err(Failure::Usage(
            "there is no home to keep completions in: say --state or --forget".to_owned(),
        )),
    }
}

fn start_failure(error: &StartError) -> Failure {
    let text = plain(&error.to_string());
    if matches!(error, StartError::Settings(_)) {
        Failure::Usage(text)
    } else {
        Failure::Failed(text)
    }
}

/// How an HTTP tracker is asked.
const fn scheme(http: &HttpSettings) -> &'static str {
    if http.certificate.is_some() {
        "https"
    } else {
        "http"
    }
}

/// Where servers listen, for people.
fn welcome(at: &Listening, schemes: &[&str]) -> String {
    let udp = at.udp.iter().map(|at| format!("udp://{at}"));
    let http = schemes.iter().zip(&at.http);
    let http = http.map(|(scheme, at)| format!("{scheme}://{at}/announce"));
    let api = at.api.iter().map(|at| format!("API at {at}"));
    let health = at.health.iter().map(|at| format!("health at {at}"));
    let all: Vec<String> = udp.chain(http).chain(api).chain(health).collect();
    format!("listening: {}", all.join(", "))
}

fn listening(tracker: &TrackerHandle) -> Line {
    let at = tracker.listening();
    let words = |addrs: &[std::net::SocketAddr]| addrs.iter().map(ToString::to_string).collect();
    Line::Listening {
        pid: std::process::id(),
        udp: words(&at.udp),
        http: words(&at.http),
        api: at.api.map(|addr| addr.to_string()),
        health: at.health.map(|addr| addr.to_string()),
    }
}

/// Reads the file again, and has the tracker take what it says.
async fn reloaded(args: &TrackerArgs, tracker: &TrackerHandle) -> Line {
    let reason = match settings(args) {
        Ok(settings) => match tracker.reload(settings).await {
            Ok(reloaded) => {
                return Line::Reloaded {
                    changed: reloaded.changed,
                    at_next_start: reloaded.at_next_start,
                };
            }
            Err(error) => error.to_string(),
        },
        Err(failure) => failure.to_string(),
    };
    tracing::error!(reason, "the settings stay what they were");
    Line::NotReloaded { reason }
}

/// Tells now and then how it stands; returns only when that cannot be told any more.
async fn status(
    args: &TrackerArgs,
    tracker: &TrackerHandle,
    screen: &Screen,
) -> Result<(), Failure> {
    let Some(every) = args.every else {
        return std::future::pending().await;
    };
    let mut last = Statistics::default();
    loop {
        tokio::time::sleep(every.0).await;
        let mut now = tracker.statistics().await.map_err(Failure::failed)?;
        now.uptime = 0;
        if now != last {
            tell(screen, &Line::of(&now))?;
            last = now;
        }
    }
}

impl Line {
    fn of(now: &Statistics) -> Self {
        let peers = now.swarms.v4.and(now.swarms.v6);
        Self::Status {
            torrents: now.swarms.torrents,
            seeders: peers.seeders.into(),
            leechers: peers.leechers.into(),
            completed: now.swarms.completed,
            udp_announces: now.udp.announces,
            http_announces: now.http.announces,
            scrapes: now.udp.scrapes + now.http.scrapes,
            database_error: now.store.error.clone(),
        }
    }
}

fn tell(screen: &Screen, line: &Line) -> Result<(), Failure> {
    if screen.style() == Style::Json {
        return screen.json(line);
    }
    match line {
        // People are told where by URLs.
        Line::Listening { .. } => Ok(()),
        Line::Reloaded {
            changed,
            at_next_start,
        } => {
            let list = |names: &[&str]| match names {
                [] => "nothing".to_owned(),
                names => names.join(", "),
            };
            screen.say(format_args!(
                "settings were read again; changed: {}; needs a new start: {}",
                list(changed),
                list(at_next_start)
            ))
        }
        Line::NotReloaded { reason } => {
            screen.say(format_args!("settings stay what they were: {reason}"))
        }
        Line::Status {
            torrents,
            seeders,
            leechers,
            completed,
            udp_announces,
            http_announces,
            scrapes,
            ..
        } => screen.say(format_args!(
            "{torrents} torrents, {seeders} seeders, {leechers} leechers, {completed} completions; announces: {udp_announces} by \
             UDP, {http_announces} by HTTP; {scrapes} scrapes"
        )),
        Line::Stopping => screen.say("stopping"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::json::page;

    fn args(words: &[&str]) -> TrackerArgs {
        let words = ["tribler-rs", "tracker"].iter().chain(words);
        let command = Cli::parse_from(words).command;
        let Command::Tracker(args) = command else {
            panic!("{command:?}");
        };
        *args
    }

    #[test]
    fn the_page_for_users_has_a_row_for_each_event_with_each_field_and_no_other() {
        page::agrees("`tracker`", include_str!("tracker.rs"), "enum Line");
    }

    #[test]
    fn flags_are_on_top_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.toml");
        let text = "workers = 3\n[[udp]]\nbind = \"127.0.0.1:1\"\n[[http]]\nbind = \"127.0.0.1:2\"\ncompact = true\n";
        std::fs::write(&path, text).unwrap();
        let file = path.to_str().unwrap();
        let made = settings(&args(&[
            "--config",
            file,
            "--udp",
            "127.0.0.1:7",
            "--forget",
        ]))
        .unwrap();
        assert_eq!(made.udp, [UdpSettings::new("127.0.0.1:7".parse().unwrap())]);
        assert!(made.http[0].compact && made.workers == 3);
        assert_eq!(made.database.kind, DatabaseKind::None);
        assert_eq!(
            settings(&args(&["--config", file, "--workers", "1"]))
                .unwrap()
                .workers,
            1
        );
    }

    #[test]
    fn people_are_told_the_urls_of_trackers() {
        let at = |port| ([127, 0, 0, 1], port).into();
        let listening = Listening {
            udp: vec![at(1)],
            http: vec![at(2), at(3)],
            api: Some(at(4)),
            health: None,
        };
        let mut secure = HttpSettings::new(at(0));
        secure.certificate = Some("c".into());
        let schemes = [scheme(&HttpSettings::new(at(0))), scheme(&secure)];
        assert_eq!(
            welcome(&listening, &schemes),
            "listening: udp://127.0.0.1:1, http://127.0.0.1:2/announce, https://127.0.0.1:3/announce, API at 127.0.0.1:4"
        );
    }

    #[test]
    fn wrong_settings_are_wrong_usage_with_the_line() {
        assert_eq!(settings(&args(&[])).unwrap_err().code(), 2);
        assert_eq!(
            settings(&args(&["--config", "/nowhere"]))
                .unwrap_err()
                .code(),
            3
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.toml");
        std::fs::write(&path, "workers = 3\nworker = 2\n").unwrap();
        let refused = settings(&args(&["--config", path.to_str().unwrap()])).unwrap_err();
        assert_eq!(refused.code(), 2);
        assert!(
            refused
                .to_string()
                .contains("line 2: unknown field `worker`"),
            "{refused}"
        );
    }
}
