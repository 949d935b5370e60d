//! What a daemon says of itself, among the events and to people.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::daemon::bulletin::{Bulletin, OWN};
use crate::daemon::desk::Reloaded;
use crate::daemon::place::Place;
use crate::daemon::rest::Rest;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::screen::{Screen, Style};
use crate::wire::Session;

/// How long the last line may take to be read.
const LAST_WORD: Duration = Duration::from_millis(500);

/// What a daemon says of itself, among the events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Line {
    /// The file of settings was read again: keys that have other values now, and those that have at the next start.
    Reloaded {
        changed: Vec<String>,
        at_next_start: Vec<String>,
    },
    /// It was read again and cannot be taken.
    NotReloaded { reason: String },
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

/// Says where figures are served.
pub(super) fn tell_metrics(
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
pub(super) fn tell_api(
    rest: Option<&Rest>,
    bulletin: &Bulletin,
    screen: &Screen,
) -> Result<(), Failure> {
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

/// Puts a line of the daemon's own among the events, and into the log.
pub(super) fn say(bulletin: &Bulletin, line: &Line) {
    let word = match line {
        Line::Api { .. } => "api",
        Line::Metrics { .. } => "metrics",
        Line::NotReloaded { .. } => "not_reloaded",
        Line::Reloaded { .. } => "reloaded",
        Line::Serving { .. } => "serving",
        Line::StateSaved { .. } => "state_saved",
        Line::Stopping => "stopping",
    };
    tracing::info!(?line, "the daemon");
    debug_assert!(OWN.contains(&word), "{word}");
    if let Ok(Value::Object(fields)) = serde_json::to_value(line) {
        bulletin.tell((word, engine::Category::Status.into()), fields);
    }
}

pub(super) fn tell_serving(
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

/// Says that the end has begun, to who reads.
pub(super) async fn tell_stopping(screen: &Screen) {
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

/// Says what came of reading the settings again.
pub(super) fn tell_reloaded(
    outcome: Result<Reloaded, Failure>,
    bulletin: &Bulletin,
    screen: &Screen,
) -> Result<(), Failure> {
    match outcome {
        Ok(Reloaded {
            changed,
            at_next_start,
        }) => {
            let list = |names: &[String]| match names {
                [] => "nothing".to_owned(),
                names => names.join(", "),
            };
            let (now, later) = (list(&changed), list(&at_next_start));
            say(
                bulletin,
                &Line::Reloaded {
                    changed,
                    at_next_start,
                },
            );
            if screen.style() == Style::Json {
                return Ok(());
            }
            screen.say(format_args!(
                "settings were read again; changed: {now}; needs a new start: {later}"
            ))
        }
        Err(failure) => {
            let reason = failure.to_string();
            // The log has it as well, where it is shown.
            tracing::info!(reason, "the settings stay what they were");
            screen.warn(
                "warning",
                format_args!("the settings stay what they were: {reason}"),
            );
            say(bulletin, &Line::NotReloaded { reason });
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::Event;

    use crate::daemon::bulletin::OWN;
    use crate::daemon::{closings, habits, resources};
    use crate::json::page;

    #[test]
    fn the_page_for_users_has_a_row_for_each_event() {
        let rows = page::rows("`daemon`");
        let own = OWN.into_iter().chain(["missed"]);
        let own = own.chain(habits::WORDS);
        let own = own.chain(closings::WORDS);
        let own: Vec<&str> = own.chain(resources::WORDS).collect();
        for word in own.iter().chain(Event::WORDS) {
            let start = format!("| `{word}` |");
            assert!(rows.iter().any(|row| row.starts_with(&start)), "{word}");
        }
        assert_eq!(rows.len(), own.len() + Event::WORDS.len());
    }
}
