//! How a running transfer is shown.

use std::io::Write;
use std::time::Duration;

use engine::{State, TorrentStatus};
use indicatif::ProgressBar;

use crate::json::Line;
use crate::screen::{Screen, Style, eta, printable, shorten};
use crate::units::Size;

/// The progress of one torrent.
#[derive(Debug)]
pub(crate) struct Display {
    screen: Screen,
    bar: Option<ProgressBar>,
}

impl Display {
    /// Nothing is shown until the first update.
    pub(crate) fn new(screen: &Screen) -> Self {
        Self {
            screen: screen.clone(),
            bar: None,
        }
    }

    /// How often to update.
    pub(crate) fn period(style: Style) -> Duration {
        match style {
            Style::Bars => Duration::from_millis(200),
            Style::Json => Duration::from_secs(1),
            Style::Lines => Duration::from_secs(5),
        }
    }

    /// Shows the torrent as it is.
    pub(crate) fn update(&mut self, info_hash: &str, torrent: &TorrentStatus) {
        match self.screen.style() {
            Style::Bars => self.draw(torrent),
            Style::Json => self.object(info_hash, torrent),
            Style::Lines => line(torrent),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn draw(&mut self, torrent: &TorrentStatus) {
        let (done, total) = progress(torrent);
        let bar = self
            .bar
            .get_or_insert_with(|| self.screen.bar(&torrent.name, total));
        bar.set_prefix(shorten(&torrent.name, 28));
        bar.set_message(message(torrent));
        bar.set_length(total);
        bar.set_position(done);
    }

    fn object(&self, info_hash: &str, torrent: &TorrentStatus) {
        let line = Line::Progress {
            info_hash,
            done: torrent.done,
            size: torrent.size,
            down: torrent.down_rate,
            up: torrent.up_rate,
            peers: torrent.peers,
            state: torrent.state.word(),
        };
        // A reader that went away does not stop a transfer.
        let _ = self.screen.json(&line);
    }
}

/// Writes a line of progress to standard error.
fn line(torrent: &TorrentStatus) {
    let (done, total) = progress(torrent);
    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0);
    let line = format!(
        "{}: {percent}% of {}, {}",
        printable(&torrent.name),
        Size(total),
        message(torrent)
    );
    let _ = writeln!(std::io::stderr(), "{}", line.trim_end());
}

/// What counts as done and as all in the torrent's state.
fn progress(torrent: &TorrentStatus) -> (u64, u64) {
    if let State::Checking { done, total } = torrent.state {
        (done, total)
    } else {
        (torrent.done, torrent.wanted)
    }
}

/// Rates and peers, or what the torrent is doing instead of moving bytes.
fn message(torrent: &TorrentStatus) -> String {
    let up = match torrent.up_rate {
        0 => String::new(),
        rate => format!("up {}/s  ", Size(rate)),
    };
    let peers = match torrent.peers {
        1 => "1 peer".to_owned(),
        n => format!("{n} peers"),
    };
    match &torrent.state {
        State::Checking { .. } => "checking".to_owned(),
        State::FetchingMetadata => format!("fetching metadata  {peers}"),
        State::Paused => "paused".to_owned(),
        State::Error(error) => format!("stopped: {error}"),
        State::Seeding => format!("seeding  {up}{peers}"),
        State::Downloading | _ => {
            let left = torrent.wanted.saturating_sub(torrent.done);
            let down = Size(torrent.down_rate);
            format!("{down:>8}/s  {up}{peers}  {}", eta(left, torrent.down_rate))
        }
    }
}
