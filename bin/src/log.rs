//! Logs: to standard error, around the progress bars.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::failure::Failure;
use crate::screen::Screen;

/// What is logged where nobody asked: what a person should act on.
const DEFAULT: &str = "error";

/// Starts logging by `--log`, else by `RUST_LOG`, else errors only.
///
/// # Errors
/// [`Failure::Usage`] where the filter cannot be understood.
pub(crate) fn start(flag: Option<&str>, screen: &Screen) -> Result<(), Failure> {
    let asked = match flag {
        Some(filter) => Some(("--log", filter.to_owned())),
        None => std::env::var("RUST_LOG")
            .ok()
            .filter(|v| !v.is_empty())
            .map(|v| ("RUST_LOG", v)),
    };
    let filter = match asked {
        Some((whence, text)) => EnvFilter::try_new(&text).map_err(|_| {
            Failure::Usage(format!("{whence} `{text}` is not a log level or filter"))
        })?,
        None => EnvFilter::new(DEFAULT),
    };
    // Only a second start in one process can fail here, and then logging is on already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(screen.colour())
        .with_writer(Beside(screen.clone()))
        .try_init();
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
