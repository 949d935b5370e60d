//! One torrent of a transfer, and what is said about it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use engine::{AddTorrent, State, TorrentStatus};
use net::http::Url;
use protocol::metainfo::Metainfo;

use super::display::Display;
use crate::failure::{Failure, plain};
use crate::json::{Line, seconds};
use crate::screen::{Screen, Style};
use crate::selection::Selection;
use crate::text::{per_second, printable};
use crate::units::{Size, Span};

/// One torrent on its way.
#[derive(Debug)]
pub(crate) struct Tracked {
    /// Its info-hash in hex, v1 where there is one.
    pub(crate) info_hash: String,
    /// Its name as far as it is known.
    pub(crate) name: String,
    /// Where its content is, for people; empty where that is no matter.
    pub(crate) place: String,
    /// Bytes of its content, padding not counted, where they are known.
    pub(crate) content: Option<u64>,
    /// It is only served: it must be whole from the start.
    pub(crate) served: bool,
    /// Files to choose once a magnet link's metadata is there, and how to add the torrent then.
    pub(crate) choose: Option<(Selection, AddTorrent)>,
    /// Pieces that the first check found.
    pub(super) had: u32,
    /// The first check has ended.
    pub(super) checked: bool,
    /// Pieces that came and failed their hash.
    pub(super) bad_pieces: u32,
    pub(super) display: Display,
    pub(super) outcome: Outcome,
    /// Trackers and web seeds whose failure was told.
    failed: BTreeSet<String>,
}

/// Trackers and web seeds whose failure is told; some torrents name dozens that are long gone.
const MOST_FAILURES: usize = 5;

/// How far a torrent is towards its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Running,
    Complete(Instant),
    Failed,
}

impl Tracked {
    /// A torrent that was just added.
    pub(crate) fn new(info_hash: String, name: String, place: String, screen: &Screen) -> Self {
        Self {
            info_hash,
            name,
            place,
            content: None,
            served: false,
            choose: None,
            had: 0,
            checked: false,
            bad_pieces: 0,
            display: Display::new(screen),
            outcome: Outcome::Running,
            failed: BTreeSet::new(),
        }
    }

    /// Says that the torrent was added. Name and size are absent while a magnet link's metadata is not there.
    pub(crate) fn tell_added(&self, name: Option<&str>, screen: &Screen) -> Result<(), Failure> {
        let size = self.content;
        if screen.style() == Style::Json {
            return screen.json(&Line::Added {
                info_hash: &self.info_hash,
                name,
                size,
            });
        }
        let size = size.map_or_else(String::new, |size| format!(", {}", Size(size)));
        screen.say(format_args!("added {}{size}", printable(&self.name)))
    }

    /// Shows how far the torrent is; its name takes `width` characters beside a bar.
    pub(super) fn show(&mut self, status: &TorrentStatus, width: usize) {
        // A snapshot may be older than what was heard since.
        if !(self.checked && matches!(status.state, State::Checking { .. })) {
            self.display.update(&self.info_hash, status, width);
        }
    }

    /// Gives the torrent up and says why.
    pub(super) fn fail(&mut self, message: &str, screen: &Screen) -> Result<(), Failure> {
        self.outcome = Outcome::Failed;
        self.display.clear();
        tell_error(screen, message)
    }

    /// Says once that a tracker failed, and why.
    pub(super) fn tell_tracker_failed(&mut self, url: &str, why: &str, screen: &Screen) {
        let tracker = host(url);
        if self.failed.len() < MOST_FAILURES && self.failed.insert(tracker.clone()) {
            let (name, tracker, why) = (printable(&self.name), printable(&tracker), plain(why));
            let line = format_args!(
                "{name}: no peers from tracker {tracker}: {}",
                printable(&why)
            );
            screen.warn("warning", line);
        }
    }

    /// Says once that a web seed failed, and why.
    pub(super) fn tell_web_seed_failed(&mut self, url: &str, why: &str, screen: &Screen) {
        if self.failed.len() < MOST_FAILURES && self.failed.insert(url.to_owned()) {
            let (name, url, why) = (printable(&self.name), printable(url), plain(why));
            let line = format_args!("{name}: nothing from web seed {url}: {}", printable(&why));
            screen.warn("warning", line);
        }
    }

    /// Says that metadata came, and takes the name from it.
    pub(super) fn tell_metadata(
        &mut self,
        metainfo: &Metainfo,
        screen: &Screen,
    ) -> Result<(), Failure> {
        metainfo.name().clone_into(&mut self.name);
        // Until now only the folder was known.
        if !self.place.is_empty() {
            let place = Path::new(&self.place).join(metainfo.name());
            self.place = place.display().to_string();
        }
        let size = metainfo.content_len();
        self.content = Some(size);
        match screen.style() {
            Style::Json => screen.json(&Line::Metadata {
                info_hash: &self.info_hash,
                name: &self.name,
                size,
            }),
            Style::Bars | Style::Lines => screen.say(format_args!(
                "metadata: {}, {}",
                printable(&self.name),
                Size(size)
            )),
        }
    }

    /// Says that all is there: how much, how fast, where.
    pub(super) fn tell_finished(
        &mut self,
        status: Option<&TorrentStatus>,
        after: Duration,
        screen: &Screen,
    ) -> Result<(), Failure> {
        if let (Style::Json, Some(status)) = (screen.style(), status) {
            self.show(&complete(status), 0);
        }
        self.display.clear();
        if screen.style() == Style::Json {
            return screen.json(&Line::Finished {
                info_hash: &self.info_hash,
                seconds: seconds(after),
            });
        }
        let wanted = status.map_or(0, |status| status.wanted);
        // A part that was there before did not come at any rate.
        let resumed = status.is_some_and(|status| status.done > status.downloaded);
        let rate = if self.had > 0 || resumed {
            String::new()
        } else {
            format!(" ({}/s)", Size(per_second(wanted, after)))
        };
        let place = match self.place.as_str() {
            "" => String::new(),
            place => format!(", in {}", printable(place)),
        };
        screen.say(format_args!(
            "done: {} in {}{rate}{place}",
            Size(wanted),
            Span(after),
        ))
    }

    /// Says that the torrent is complete and served.
    pub(super) fn tell_seeding(&mut self, screen: &Screen) -> Result<(), Failure> {
        self.display.clear();
        let size = self.content.unwrap_or(0);
        match screen.style() {
            Style::Json => screen.json(&Line::Seeding {
                info_hash: &self.info_hash,
                name: &self.name,
                size,
            }),
            Style::Bars | Style::Lines => screen.say(format_args!(
                "seeding {}, {}; Ctrl-C ends it",
                printable(&self.name),
                Size(size)
            )),
        }
    }
}

/// The host of a tracker, with the port where one is given; what else is in the address may be a passkey.
pub(super) fn host(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| {
        let port = url
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("{}{port}", url.host_str()?))
    });
    host.unwrap_or_else(|| "with an address that cannot be read".to_owned())
}

/// Says what went wrong: on standard error, and as a JSON line where those are asked for.
pub(super) fn tell_error(screen: &Screen, message: &str) -> Result<(), Failure> {
    screen.warn("error", message);
    match screen.style() {
        Style::Json => screen.json(&Line::Error { message }),
        Style::Bars | Style::Lines => Ok(()),
    }
}

/// The state as it is once all is there, for a snapshot that was published a moment before.
fn complete(status: &TorrentStatus) -> TorrentStatus {
    TorrentStatus {
        done: status.wanted,
        state: State::Seeding,
        ..status.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_is_named_without_its_passkey() {
        assert_eq!(
            host("http://u:p@t.example/key/announce?passkey=1"),
            "t.example"
        );
        assert_eq!(host("udp://t.example:6969/announce"), "t.example:6969");
        assert_eq!(host("https://[::1]:8/a"), "[::1]:8");
        assert!(!host("secret").contains("secret"));
    }
}
