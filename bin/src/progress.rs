//! Progress of work that is counted in bytes, such as hashing.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;

use crate::screen::{Screen, Style, name_columns};
use crate::text::{eta, per_second, shorten};
use crate::units::Size;

/// How often a plain line of progress is written where there is no terminal.
pub(crate) const LINE_EVERY: Duration = Duration::from_secs(5);

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
        match self.screen.style() {
            Style::Bars => {
                let bar = self.bar.get_or_insert_with(|| {
                    let name = shorten(&self.name, name_columns());
                    self.screen.bar(&name, self.total)
                });
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
