//! What people see: bars on a terminal, plain lines elsewhere, and JSON lines for programs.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;
use crate::units::Size;

/// Where a command speaks to.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    style: Style,
    colour: bool,
    bars: MultiProgress,
    /// Nobody reads standard output any more.
    gone: Arc<AtomicBool>,
}

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Bars, redrawn in place.
    Bars,
    /// A line every few seconds.
    Lines,
    /// JSON objects on standard output, and nothing else there.
    Json,
}

impl Screen {
    /// Finds out what standard error is. Bars are drawn there, so that standard output stays clean for results.
    pub(crate) fn new(json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb;
        let style = match (json, terminal) {
            (true, _) => Style::Json,
            (false, true) => Style::Bars,
            (false, false) => Style::Lines,
        };
        let target = match style {
            Style::Bars => ProgressDrawTarget::stderr_with_hz(10),
            Style::Lines | Style::Json => ProgressDrawTarget::hidden(),
        };
        Self {
            style,
            colour: terminal && wants_colour(),
            bars: MultiProgress::with_draw_target(target),
            gone: Arc::default(),
        }
    }

    /// How progress is told.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Whether to colour what goes to standard error.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// Runs `write` while no bar is on the screen.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match self.style {
            Style::Bars => self.bars.suspend(write),
            Style::Lines | Style::Json => write(),
        }
    }

    /// Writes a line for people to standard output; nothing in JSON style.
    ///
    /// # Errors
    /// [`Failure::Failed`] where standard output cannot be written. A reader that went away is not an error.
    pub(crate) fn say(&self, line: impl std::fmt::Display) -> Result<(), Failure> {
        match self.style {
            Style::Json => Ok(()),
            Style::Bars | Style::Lines => self.write(&format!("{line}\n")),
        }
    }

    /// Writes one JSON object as a line of standard output.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub(crate) fn json(&self, object: &impl Serialize) -> Result<(), Failure> {
        let mut line = serde_json::to_string(object).map_err(Failure::failed)?;
        line.push('\n');
        self.write(&line)
    }

    /// Writes text to standard output as it is.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub(crate) fn write(&self, text: &str) -> Result<(), Failure> {
        self.write_bytes(text.as_bytes())
    }

    /// Writes bytes to standard output.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.aside(|| {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        });
        if let Err(error) = &written
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            self.gone.store(true, Ordering::Relaxed);
        }
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Failed(
                format!("standard output: {}", crate::failure::reason(&error)),
            )),
            _ => Ok(()),
        }
    }

    /// Whether the reader of standard output has gone.
    pub(crate) fn has_no_reader(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Whether the reader of the JSON lines has gone, so that there is nobody to go on for.
    pub(crate) fn is_unread(&self) -> bool {
        self.style == Style::Json && self.has_no_reader()
    }

    /// Writes a line to standard error, in any style.
    pub(crate) fn warn(&self, label: &str, line: impl std::fmt::Display) {
        let label = match (self.colour, label) {
            (true, "error") => format!("\x1b[1;31m{label}:\x1b[0m"),
            (true, _) => format!("\x1b[1;33m{label}:\x1b[0m"),
            (false, _) => format!("{label}:"),
        };
        // Standard error that is gone leaves nobody to tell.
        let _ = self.aside(|| writeln!(io::stderr(), "{label} {line}"));
    }

    /// Writes text to standard error as it is, in any style.
    pub(crate) fn note(&self, text: &str) {
        // As in `warn`.
        let _ = self.aside(|| io::stderr().write_all(text.as_bytes()));
    }

    /// Takes a bar away. (A bar that is finished and dropped would leave a line behind; the others are drawn again at
    /// their next update.)
    pub(crate) fn remove(&self, bar: &ProgressBar) {
        // A terminal that cannot be written shows no bars.
        let _ = self.bars.clear();
        self.bars.remove(bar);
    }

    /// A bar with this much to do, on the screen from the first update on.
    pub(crate) fn bar(&self, name: &str, total: u64) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        bar.set_style(self.bar_style(name.chars().count()));
        bar.set_prefix(name.to_owned());
        self.bars.add(bar)
    }

    /// A line without a bar, for what goes on and on.
    pub(crate) fn line_style(&self) -> ProgressStyle {
        let template = if self.colour {
            "{prefix:.bold} {wide_msg}"
        } else {
            "{prefix} {wide_msg}"
        };
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    }

    /// A bar with what is done and what that means, behind a name of so many characters. It has the columns that the
    /// words leave; on a narrow terminal there are only words.
    pub(crate) fn bar_style(&self, name: usize) -> ProgressStyle {
        let bar = match (bar_columns(columns(), name), self.colour) {
            (0, _) => String::new(),
            (bar, true) => format!("{{bar:{bar}.cyan/black.bright}} "),
            (bar, false) => format!("{{bar:{bar}}} "),
        };
        let prefix = if self.colour {
            "{prefix:.bold}"
        } else {
            "{prefix}"
        };
        let template = format!("{prefix} {bar}{{percent:>3}}% {{amount}} {{wide_msg}}");
        let amount = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let (done, total) = (Size(state.pos()), Size(state.len().unwrap_or(0)));
            let _ = write!(out, "{done:>8} of {total}");
        };
        ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─")
            .with_key("amount", amount)
    }
}

/// Longest name beside a bar, in characters: a quarter of the terminal.
pub(crate) fn name_columns() -> usize {
    (columns() / 4).clamp(8, MAX_NAME)
}

/// Columns of a bar behind a name of so many; 0 where the words leave too few.
fn bar_columns(columns: usize, name: usize) -> usize {
    match columns.saturating_sub(name + WORDS).min(MAX_BAR) {
        0..MIN_BAR => 0,
        bar => bar,
    }
}

/// Rows and columns of the terminal that standard output is, if it is one.
pub(crate) fn terminal() -> Option<(usize, usize)> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let (rows, columns) = (usize::from(size.ws_row), usize::from(size.ws_col));
    // What does not tell is as terminals were once.
    Some(if rows == 0 || columns == 0 {
        (24, 80)
    } else {
        (rows, columns)
    })
}

/// Columns of the terminal; 80 where it does not tell.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { 80 } else { columns }
}

/// Longest name beside a bar, in characters, however wide the terminal is.
const MAX_NAME: usize = 28;

/// Columns of the longest bar.
const MAX_BAR: usize = 28;

/// Columns of the shortest bar that tells more than the percentage beside it.
const MIN_BAR: usize = 6;

/// Columns that the words beside a bar may take: ` 100% 99.99 MiB of 99.99 MiB 99.99 MiB/s  99 peers  eta 9:59:59`.
const WORDS: usize = 62;

/// NO_COLOR, when set to anything, means no colour (no-color.org).
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_give_way_to_words_and_never_fill_more_than_the_terminal() {
        assert_eq!(bar_columns(120, 10), MAX_BAR);
        assert_eq!(bar_columns(80, 3), 15);
        assert_eq!(bar_columns(80, 20), 0);
        for columns in 0..300 {
            for name in 0..=MAX_NAME {
                let bar = bar_columns(columns, name);
                assert!(bar == 0 || bar + name + WORDS <= columns);
            }
        }
    }
}
