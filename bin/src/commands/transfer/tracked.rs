//! One torrent of a transfer, and what is said about it.

use std::time::{Duration, Instant};

use engine::{AddTorrent, TorrentStatus};
use protocol::metainfo::Metainfo;

use super::display::Display;
use crate::failure::Failure;
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
    /// Pieces that must be there after the first check, or the torrent fails; for seeding what is there.
    pub(crate) must_have: Option<u32>,
    /// Files to choose once a magnet link's metadata is there, and how to add the torrent then.
    pub(crate) choose: Option<(Selection, AddTorrent)>,
    /// Pieces that the first check found.
    pub(super) had: u32,
    pub(super) display: Display,
    pub(super) outcome: Outcome,
}

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
            must_have: None,
            choose: None,
            had: 0,
            display: Display::new(screen),
            outcome: Outcome::Running,
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
        self.display.update(&self.info_hash, status, width);
    }

    /// Gives the torrent up and says why.
    pub(super) fn fail(&mut self, message: &str, screen: &Screen) -> Result<(), Failure> {
        self.outcome = Outcome::Failed;
        self.display.clear();
        tell_error(screen, message)
    }

    /// Says that metadata came, and takes the name from it.
    pub(super) fn tell_metadata(
        &mut self,
        metainfo: &Metainfo,
        screen: &Screen,
    ) -> Result<(), Failure> {
        metainfo.name().clone_into(&mut self.name);
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
        let rate = match self.had {
            0 => format!(" ({}/s)", Size(per_second(wanted, after))),
            _ => String::new(),
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
        state: engine::State::Seeding,
        ..status.clone()
    }
}
