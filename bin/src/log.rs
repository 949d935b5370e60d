//! Logs: to standard error, around the progress bars; of a daemon the last of them are kept, too.

mod tail;

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) use self::tail::Tail;
use crate::failure::Failure;
use crate::screen::Screen;

/// What is logged where nobody asked: what a person should act on. The warnings of a tracker are about what its clients do to it, and
/// nobody else tells its operator.
const DEFAULT: &str = "error,tracker=warn";

/// What is kept where nobody said what is logged: what has happened, too.
const KEPT: &str = "info";

/// Starts logging by `--log`, else by `RUST_LOG`, else by [`DEFAULT`]; a tail keeps the last of the same, or by [`KEPT`].
///
/// # Errors
/// [`Failure::Usage`] where the filter cannot be understood.
pub(crate) fn start(
    flag: Option<&str>,
    screen: &Screen,
    tail: Option<&Tail>,
) -> Result<(), Failure> {
    let asked = match flag {
        Some(filter) => Some(("--log", filter.to_owned())),
        None => std::env::var("RUST_LOG")
            .ok()
            .filter(|v| !v.is_empty())
            .map(|v| ("RUST_LOG", v)),
    };
    let filter = |without: &str| match &asked {
        Some((whence, text)) => {
            if flag.is_some() {
                must_be_known(text)?;
            }
            EnvFilter::try_new(text).map_err(|_| {
                Failure::Usage(format!("{whence} `{text}` is not a log level or filter"))
            })
        }
        None => Ok(EnvFilter::new(without)),
    };
    let shown = fmt::layer()
        .with_ansi(screen.colour())
        .with_writer(Beside(screen.clone()))
        .with_filter(filter(DEFAULT)?);
    let kept = match tail {
        Some(tail) => {
            let layer = fmt::layer().with_ansi(false).with_writer(tail.clone());
            Some(layer.with_filter(filter(KEPT)?))
        }
        None => None,
    };
    let logs = tracing_subscriber::registry().with(shown).with(kept);
    // Only a second start in one process can fail here, and then logging is on already.
    let _ = logs.try_init();
    Ok(())
}

/// What `--log` takes before an `=`.
const ROOMS: [&str; 11] = [
    "actors",
    "dht",
    "engine",
    "hash",
    "net",
    "overlay",
    "protocol",
    "storage",
    "tracker",
    "tunnels",
    "tribler_rs",
];

/// Words that are levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Refuses a filter with a word in it that is neither a level nor a part of this program. (`RUST_LOG` may be about other
/// programs too.)
fn must_be_known(filter: &str) -> Result<(), Failure> {
    for directive in filter.split(',') {
        let (name, level) = directive.split_once('=').unwrap_or((directive, ""));
        let room = name.split([':', '[']).next().unwrap_or(name).trim();
        let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(room));
        let alone = level.is_empty() && (is_level || room.parse::<u8>().is_ok());
        if !alone && !room.is_empty() && !ROOMS.contains(&room) {
            let (levels, rooms) = (LEVELS.join(", "), ROOMS.join(", "));
            return Err(Failure::Usage(format!(
                "--log {filter}: `{room}` is neither a level ({levels}) nor a part of the program ({rooms})"
            )));
        }
    }
    Ok(())
}

/// Writes each log line to standard error with the bars out of the way.
struct Beside(Screen);

impl<'a> MakeWriter<'a> for Beside {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// The writer of one log line.
struct Line<'a>(&'a Screen);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.aside(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn operators_of_trackers_are_told_warnings_and_others_are_not() {
        let filter = EnvFilter::new(DEFAULT);
        let written = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&written);
        let logs = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(move || Shared(Arc::clone(&into)))
            .finish();
        tracing::subscriber::with_default(logs, || {
            tracing::warn!(target: "tracker::tracker::watch", "at the limit");
            tracing::info!(target: "tracker::tracker", "read again");
            tracing::warn!(target: "engine::torrent", "slow");
            tracing::error!(target: "engine::torrent", "broken");
        });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let said = ["at the limit", "read again", "slow", "broken"].map(|it| text.contains(it));
        assert_eq!(said, [true, false, false, true], "{text}");
    }

    /// A text that is written from several places.
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_filter_names_levels_and_parts_of_the_program() {
        for known in [
            "debug",
            "ERROR",
            "engine=debug",
            "warn,dht=trace,engine::torrent=info",
            "net",
            "overlay",
            "4",
        ] {
            assert!(must_be_known(known).is_ok(), "{known}");
        }
        for unknown in ["bogus", "engin=debug", "info,bogus", "bogus::x=warn"] {
            let refused = must_be_known(unknown).unwrap_err();
            assert_eq!(refused.code(), 2, "{unknown}");
        }
    }
}
