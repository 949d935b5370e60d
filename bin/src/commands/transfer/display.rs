//! How a running transfer is shown.

use std::io::Write;
use std::time::Duration;

use engine::{State, TorrentStatus, WebSeedState, Wire};
use indicatif::ProgressBar;

use crate::failure::plain;
use crate::json::Line;
use crate::progress::LINE_EVERY;
use crate::screen::{Screen, Style, name_columns};
use crate::text::{eta, printable, shorten};
use crate::units::Size;

/// The progress of one torrent.
#[derive(Debug)]
pub(crate) struct Display {
    screen: Screen,
    bar: Option<ProgressBar>,
    /// The last plain line, which is not repeated.
    line: String,
}

/// How far a torrent is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Amount {
    done: u64,
    total: u64,
}

impl Amount {
    const fn of(torrent: &TorrentStatus) -> Self {
        if let State::Checking { done, total } = torrent.state {
            // What is to be checked is not known at the very first.
            let total = if total == 0 { torrent.size } else { total };
            return Self { done, total };
        }
        Self {
            done: torrent.done,
            total: torrent.wanted,
        }
    }
}

impl Display {
    /// Nothing is shown until the first update.
    pub(crate) fn new(screen: &Screen) -> Self {
        Self {
            screen: screen.clone(),
            bar: None,
            line: String::new(),
        }
    }

    /// How often to update.
    pub(crate) fn period(style: Style) -> Duration {
        match style {
            Style::Bars => Duration::from_millis(200),
            Style::Json => Duration::from_secs(1),
            Style::Lines => LINE_EVERY,
        }
    }

    /// Shows the torrent as it is. Names beside bars take `width` characters.
    pub(crate) fn update(&mut self, info_hash: &str, torrent: &TorrentStatus, width: usize) {
        let amount = Amount::of(torrent);
        match self.screen.style() {
            Style::Bars => self.draw(torrent, amount, width),
            Style::Json => self.object(info_hash, torrent, amount),
            Style::Lines => self.line(torrent, amount),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            self.screen.remove(&bar);
        }
    }

    fn draw(&mut self, torrent: &TorrentStatus, amount: Amount, width: usize) {
        let name = format!("{:width$}", shorten(&torrent.name, name_columns()));
        let bar = self
            .bar
            .get_or_insert_with(|| self.screen.bar(&name, amount.total));
        // Every change of words draws: the numbers that they stand beside come first.
        bar.set_length(amount.total);
        bar.set_position(amount.done);
        // A line instead of a bar where there is nothing to measure. The terminal may have another width by now.
        bar.set_style(if torrent.state == State::Seeding || amount.total == 0 {
            self.screen.line_style()
        } else {
            self.screen.bar_style(name.chars().count())
        });
        bar.set_prefix(name);
        bar.set_message(message(torrent, amount));
    }

    /// Writes a line to standard error, where there is something new to say.
    fn line(&mut self, torrent: &TorrentStatus, amount: Amount) {
        let name = printable(&torrent.name);
        let message = message(torrent, amount);
        let line = if torrent.state == State::Seeding || amount.total == 0 {
            format!("{name}: {message}")
        } else {
            let percent = amount.done.saturating_mul(100).checked_div(amount.total);
            let percent = percent.unwrap_or(0);
            format!("{name}: {percent}% of {}, {message}", Size(amount.total))
        };
        if line != self.line {
            // Standard error that is gone leaves nobody to tell.
            let _ = writeln!(std::io::stderr(), "{}", line.trim_end());
            self.line = line;
        }
    }

    fn object(&self, info_hash: &str, torrent: &TorrentStatus, amount: Amount) {
        let line = Line::Progress {
            info_hash,
            done: amount.done,
            size: amount.total,
            down: torrent.down_rate,
            up: torrent.up_rate,
            peers: torrent.peers,
            encrypted: encrypted(torrent),
            web_seeds: web_seeds(torrent),
            state: torrent.state.word(),
            reason: torrent.reason.as_deref(),
        };
        // A reader that went away does not stop a transfer.
        let _ = self.screen.json(&line);
    }
}

/// Peers whose connection is under RC4.
fn encrypted(torrent: &TorrentStatus) -> usize {
    let connections = torrent.connections.iter();
    connections.filter(|peer| peer.wire == Wire::Rc4).count()
}

/// Web seeds that are asked for what is missing.
fn web_seeds(torrent: &TorrentStatus) -> usize {
    let seeds = torrent.web_seeds.iter();
    seeds
        .filter(|seed| seed.state == WebSeedState::AtWork)
        .count()
}

/// Rates and peers, or what the torrent is doing or waiting for instead of moving bytes.
fn message(torrent: &TorrentStatus, amount: Amount) -> String {
    // The mean of a rate outlives the peers that it is of.
    let up = if torrent.up_rate == 0 || torrent.peers == 0 {
        String::new()
    } else {
        format!("up {}/s  ", Size(torrent.up_rate))
    };
    let web_seeds = web_seeds(torrent);
    let mut peers = match torrent.peers {
        1 => "1 peer".to_owned(),
        n => format!("{n} peers"),
    };
    if web_seeds > 0 {
        let plural = if web_seeds == 1 { "" } else { "s" };
        peers = format!("{peers}, {web_seeds} web seed{plural}");
    }
    match &torrent.state {
        // Nothing is looked at yet, and perhaps there is nothing to look at.
        State::Checking { total: 0, .. } => "opening".to_owned(),
        State::Checking { .. } => "checking".to_owned(),
        State::FetchingMetadata => {
            let reason = torrent.reason.as_deref().unwrap_or(&peers);
            format!("fetching metadata  {reason}")
        }
        State::Paused => "paused".to_owned(),
        State::Queued => "queued".to_owned(),
        State::Error(error) => format!("stopped: {}", plain(&printable(&error.to_string()))),
        State::Seeding => {
            let seeding = format!("seeding  {up}{peers}  {} sent", Size(torrent.uploaded));
            match &torrent.reason {
                Some(reason) => format!("{seeding}  {reason}"),
                None => seeding,
            }
        }
        State::Downloading | _ => {
            if let Some(reason) = &torrent.reason {
                return format!("{up}{reason}");
            }
            if torrent.peers == 0 && web_seeds == 0 {
                return peers;
            }
            let left = amount.total.saturating_sub(amount.done);
            let down = Size(torrent.down_rate);
            format!("{down:>8}/s  {up}{peers}  {}", eta(left, torrent.down_rate))
        }
    }
}
