//! What people see: bars on a terminal, plain lines elsewhere, and JSON lines for programs.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;
use crate::units::{Size, Span};

/// How often a plain progress line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where a command speaks to.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    style: Style,
    colour: bool,
    bars: MultiProgress,
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
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Failed(
                format!("standard output: {}", crate::failure::reason(&error)),
            )),
            _ => Ok(()),
        }
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
        bar.set_style(self.bar_style());
        bar.set_prefix(name.to_owned());
        self.bars.add(bar)
    }

    /// A line without a bar, for what goes on and on.
    pub(crate) fn line_style(&self) -> ProgressStyle {
        let template = if self.colour {
            "{prefix:.bold} {msg}"
        } else {
            "{prefix} {msg}"
        };
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    }

    /// A bar with what is done and what that means.
    pub(crate) fn bar_style(&self) -> ProgressStyle {
        let template = if self.colour {
            "{prefix:.bold} {bar:28.cyan/black.bright} {percent:>3}% {amount} {msg}"
        } else {
            "{prefix} {bar:28} {percent:>3}% {amount} {msg}"
        };
        let amount = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let (done, total) = (Size(state.pos()), Size(state.len().unwrap_or(0)));
            let _ = write!(out, "{done:>8} of {total}");
        };
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─")
            .with_key("amount", amount)
    }
}

/// Progress of one piece of work with a known size, such as hashing.
#[derive(Debug)]
pub(crate) struct Meter {
    screen: Screen,
    name: String,
    total: u64,
    started: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Meter {
    /// Starts the clock. Nothing is shown for work that ends within a fifth of a second.
    pub(crate) fn new(screen: &Screen, name: &str, total: u64) -> Self {
        let now = Instant::now();
        Self {
            screen: screen.clone(),
            name: name.to_owned(),
            total,
            started: now,
            told: now,
            bar: None,
        }
    }

    /// Shows how much is done.
    pub(crate) fn update(&mut self, done: u64) {
        let now = Instant::now();
        let elapsed = now - self.started;
        if elapsed < Duration::from_millis(200) || self.total == 0 {
            return;
        }
        let rate = per_second(done, elapsed);
        match self.screen.style {
            Style::Bars => {
                let bar = self
                    .bar
                    .get_or_insert_with(|| self.screen.bar(&shorten(&self.name, 28), self.total));
                bar.set_message(format!(
                    "{}/s {}",
                    Size(rate),
                    eta(self.total - done.min(self.total), rate)
                ));
                bar.set_position(done);
            }
            Style::Lines if now - self.told >= LINE_EVERY => {
                self.told = now;
                let percent = done.saturating_mul(100) / self.total;
                let line = format!(
                    "{}: {percent}% of {}, {}/s",
                    self.name,
                    Size(self.total),
                    Size(rate)
                );
                let _ = self.screen.aside(|| writeln!(io::stderr(), "{line}"));
            }
            Style::Json if now - self.told >= Duration::from_secs(1) => {
                self.told = now;
                let event = Progress {
                    event: "progress",
                    done,
                    size: self.total,
                };
                let _ = self.screen.json(&event);
            }
            Style::Lines | Style::Json => {}
        }
    }

    /// Takes the bar away; returns the time since the start.
    pub(crate) fn finish(self) -> Duration {
        if let Some(bar) = self.bar {
            self.screen.remove(&bar);
        }
        self.started.elapsed()
    }
}

#[derive(Serialize)]
struct Progress {
    event: &'static str,
    done: u64,
    size: u64,
}

/// Bytes a second.
pub(crate) fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    (bytes as f64 / elapsed.as_secs_f64().max(1e-9)) as u64
}

/// `eta 0:42`, or nothing while the rate says nothing.
pub(crate) fn eta(left: u64, rate: u64) -> String {
    match left.checked_div(rate) {
        Some(seconds) if left > 0 && seconds < 100 * 86_400 => {
            let span = match seconds {
                0..60 => format!("0:{seconds:02}"),
                _ => Span(Duration::from_secs(seconds)).to_string(),
            };
            format!("eta {span}")
        }
        _ => String::new(),
    }
}

/// A name cut in its middle to at most `width` characters; control characters become `?`.
pub(crate) fn shorten(name: &str, width: usize) -> String {
    let clean: Vec<char> = printable(name).chars().collect();
    if clean.len() <= width {
        return clean.into_iter().collect();
    }
    let tail = width / 3;
    let head = width - tail - 1;
    let (front, back) = (&clean[..head], &clean[clean.len() - tail..]);
    front.iter().chain(&['…']).chain(back).collect()
}

/// Text from a torrent made safe for a terminal: control characters become `?`.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || is_bidi_control(c) {
                '?'
            } else {
                c
            }
        })
        .collect()
}

/// Characters that reorder the text around them and so could make a name look like another one.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// NO_COLOR, when set to anything, means no colour (no-color.org).
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_start_and_end() {
        assert_eq!(shorten("short", 10), "short");
        let cut = shorten("a-very-long-name-of-a-film.mkv", 20);
        assert_eq!(cut.chars().count(), 20);
        assert!(cut.starts_with("a-very") && cut.ends_with("m.mkv"), "{cut}");
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\n\u{202e}c"), "a?[31mb??c");
    }

    #[test]
    fn the_time_left_is_silent_without_a_rate() {
        assert_eq!(eta(100, 0), "");
        assert_eq!(eta(0, 100), "");
        assert_eq!(eta(100, 10), "eta 0:10");
        assert_eq!(eta(1000, 10), "eta 1:40");
    }
}
