//! `info`: what a torrent or magnet link says.

mod odd;
mod signed;

use std::fmt::Write;
use std::path::Path;

use protocol::magnet::Magnet;
use protocol::metainfo::{Feed, FileEntry, Metainfo};
use serde::Serialize;

use self::signed::Signed;

use crate::certificates::certificates;
use crate::cli::InfoArgs;
use crate::failure::Failure;
use crate::screen::{Screen, Style};
use crate::source::Source;
use crate::text::printable;
use crate::units::Size;
use crate::wire;

pub(crate) fn run(args: &InfoArgs, screen: &Screen) -> Result<(), Failure> {
    let source = if Source::is_remote(&args.source) {
        wire::run(async { Source::read(&args.source, &wire::plain_network()).await })?
    } else {
        Source::read_local(&args.source)?
    };
    match source {
        Source::Torrent(metainfo) => {
            let trusted = certificates(&args.trust)?;
            let mut about = About::of_torrent(&metainfo);
            about.signatures = signed::of(&metainfo, &trusted);
            about.warnings.extend(odd::of_file(&args.source, &metainfo));
            show(&about, screen)
        }
        Source::Magnet(magnet) => {
            let mut about = About::of_magnet(&magnet);
            about.warnings = odd::of_link(&args.source, &magnet);
            show(&about, screen)
        }
    }
}

/// A new torrent and where it was written.
#[derive(Serialize)]
struct Made<'a> {
    output: &'a Path,
    #[serde(flatten)]
    about: About,
}

/// A torrent that was just made as a line with one JSON object: all that `info` shows, and its place.
///
/// # Errors
/// [`Failure::Failed`] where the path cannot be written in JSON.
pub(crate) fn made(metainfo: &Metainfo, output: &Path) -> Result<String, Failure> {
    let about = About::of_torrent(metainfo);
    let line = serde_json::to_string(&Made { output, about }).map_err(Failure::failed)?;
    Ok(line + "\n")
}

fn show(about: &About, screen: &Screen) -> Result<(), Failure> {
    match screen.style() {
        Style::Json => screen.json(about),
        Style::Bars | Style::Lines => screen.write(&about.text()),
    }
}

/// All that is shown; the JSON object has these fields. What a magnet link does not say is null or empty.
#[derive(Debug, Serialize)]
struct About {
    name: Option<String>,
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    piece_length: Option<u32>,
    pieces: Option<u32>,
    size: Option<u64>,
    files: Vec<AboutFile>,
    trackers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    nodes: Vec<String>,
    private: Option<bool>,
    comment: Option<String>,
    created_by: Option<String>,
    created: Option<i64>,
    source: Option<String>,
    update_url: Option<String>,
    /// What it says as a feed of torrents (BEP 49).
    #[serde(skip_serializing_if = "Option::is_none")]
    feed: Option<AboutFeed>,
    similar: Vec<String>,
    collections: Vec<String>,
    /// Who has signed it (BEP 35).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signatures: Vec<Signed>,
    magnet: String,
    /// Peers that a link names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    peers: Vec<String>,
    /// The files that a link chooses, by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    select_only: Option<String>,
    /// What is odd about it, in words for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// A feed's links: magnet links to other versions and archives.
#[derive(Debug, Serialize)]
struct AboutFeed {
    archive: bool,
    archive_next: Option<String>,
    source: Option<String>,
    previous: Option<String>,
}

#[derive(Debug, Serialize)]
struct AboutFile {
    path: String,
    size: u64,
    attr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    symlink: Option<String>,
}

impl About {
    fn of_torrent(metainfo: &Metainfo) -> Self {
        let hashes = metainfo.hashes();
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            name: Some(metainfo.name().to_owned()),
            info_hash_v1: hashes.get_v1().map(|hash| hash.to_string()),
            info_hash_v2: hashes.get_v2().map(|hash| hash.to_string()),
            piece_length: Some(metainfo.geometry().piece_len()),
            pieces: Some(metainfo.geometry().pieces()),
            size: Some(metainfo.content_len()),
            files: metainfo.files().iter().map(AboutFile::new).collect(),
            trackers: metainfo.trackers().to_vec(),
            web_seeds: metainfo.web_seeds().to_vec(),
            nodes: metainfo.nodes().iter().map(node).collect(),
            private: Some(metainfo.is_private()),
            comment: text(metainfo.comment()),
            created_by: text(metainfo.created_by()),
            created: metainfo.created(),
            source: text(metainfo.source()),
            update_url: text(metainfo.update_url()),
            feed: metainfo.feed().map(AboutFeed::new),
            similar: metainfo.similar().map(|hash| hash.to_string()).collect(),
            collections: metainfo.collections().map(str::to_owned).collect(),
            signatures: signed::of(metainfo, &[]),
            magnet: metainfo.magnet().to_string(),
            peers: Vec::new(),
            select_only: None,
            warnings: odd::of_torrent(metainfo),
        }
    }

    fn of_magnet(magnet: &Magnet) -> Self {
        let hashes = magnet.hashes;
        Self {
            name: magnet.name.clone(),
            info_hash_v1: hashes.and_then(|h| h.get_v1()).map(|hash| hash.to_string()),
            info_hash_v2: hashes.and_then(|h| h.get_v2()).map(|hash| hash.to_string()),
            piece_length: None,
            pieces: None,
            size: magnet.len,
            files: Vec::new(),
            trackers: magnet
                .trackers
                .iter()
                .map(|url| vec![url.clone()])
                .collect(),
            web_seeds: magnet.web_seeds.clone(),
            nodes: magnet.nodes.iter().map(node).collect(),
            private: None,
            comment: None,
            created_by: None,
            created: None,
            source: None,
            update_url: None,
            feed: None,
            similar: Vec::new(),
            collections: Vec::new(),
            signatures: Vec::new(),
            magnet: magnet.to_string(),
            peers: magnet.peers.iter().map(ToString::to_string).collect(),
            select_only: magnet.select_only.as_ref().map(ToString::to_string),
            warnings: Vec::new(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "{name:<13} {}", printable(&value.to_string()));
        };
        let optional = |row: &mut dyn FnMut(&str, &dyn std::fmt::Display),
                        name: &str,
                        value: &Option<String>| {
            if let Some(value) = value {
                row(name, value);
            }
        };
        optional(&mut row, "Name", &self.name);
        optional(&mut row, "Info-hash v1", &self.info_hash_v1);
        optional(&mut row, "Info-hash v2", &self.info_hash_v2);
        if let Some(size) = self.size {
            match size {
                0..1024 => row("Size", &format_args!("{size} bytes")),
                _ => row("Size", &format_args!("{} ({size} bytes)", Size(size))),
            }
        }
        if let (Some(pieces), Some(len)) = (self.pieces, self.piece_length) {
            row("Pieces", &format_args!("{pieces} of {}", Size(len.into())));
        }
        if self.private == Some(true) {
            row("Private", &"yes: peers come from the trackers only");
        }
        optional(&mut row, "Source", &self.source);
        optional(&mut row, "Comment", &self.comment);
        optional(&mut row, "Created by", &self.created_by);
        if let Some(created) = self.created {
            row("Created", &date(created));
        }
        let tiers = self.trackers.iter().filter(|tier| !tier.is_empty());
        for (index, tier) in tiers.enumerate() {
            let name = if index == 0 { "Trackers" } else { "" };
            row(name, &tier.join(", "));
        }
        for (index, url) in self.web_seeds.iter().enumerate() {
            row(if index == 0 { "Web seeds" } else { "" }, url);
        }
        for (index, node) in self.nodes.iter().enumerate() {
            row(if index == 0 { "DHT nodes" } else { "" }, node);
        }
        optional(&mut row, "Update URL", &self.update_url);
        if let Some(feed) = &self.feed {
            let kind = if feed.archive { "an archive" } else { "yes" };
            row("Feed", &kind);
            optional(&mut row, "  newer at", &feed.source);
            optional(&mut row, "  previous", &feed.previous);
            optional(&mut row, "  archive", &feed.archive_next);
        }
        for (index, hash) in self.similar.iter().enumerate() {
            row(if index == 0 { "Similar" } else { "" }, hash);
        }
        for (index, name) in self.collections.iter().enumerate() {
            row(if index == 0 { "Collections" } else { "" }, name);
        }
        for (index, signed) in self.signatures.iter().enumerate() {
            row(if index == 0 { "Signed by" } else { "" }, &signed.row());
        }
        for (index, peer) in self.peers.iter().enumerate() {
            row(if index == 0 { "Peers" } else { "" }, peer);
        }
        optional(&mut row, "Files chosen", &self.select_only);
        row("Magnet", &self.magnet);
        for warning in &self.warnings {
            row("Warning", warning);
        }
        self.list_files(&mut text);
        text
    }

    /// The files with the numbers that `--files` takes; padding is left out, its numbers stay free.
    fn list_files(&self, text: &mut String) {
        let stored = || {
            self.files
                .iter()
                .enumerate()
                .filter(|(_, file)| !file.attr.contains('p'))
        };
        let count = stored().count();
        if count == 0 {
            return;
        }
        let _ = writeln!(text, "Files         {count}");
        let width = self.files.len().saturating_sub(1).to_string().len();
        for (index, file) in stored() {
            let path = printable(&file.path);
            let size = Size(file.size);
            let _ = write!(text, "  {index:>width$}  {size:>9}  {path}");
            if let Some(target) = &file.symlink {
                let _ = write!(text, " -> {}", printable(target));
            }
            if file.attr.contains('x') {
                text.push_str(" (executable)");
            }
            text.push('\n');
        }
    }
}

impl AboutFeed {
    fn new(feed: &Feed) -> Self {
        let link = |link: &Option<Magnet>| link.as_ref().map(ToString::to_string);
        Self {
            archive: feed.archive,
            archive_next: link(&feed.archive_next),
            source: link(&feed.source),
            previous: link(&feed.previous),
        }
    }
}

impl AboutFile {
    fn new(file: &FileEntry) -> Self {
        Self {
            path: file.path.join("/"),
            size: file.len,
            attr: file.attr.letters(),
            symlink: file.symlink.as_ref().map(|target| target.join("/")),
        }
    }
}

fn node((host, port): &(String, u16)) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Seconds since 1970 as a date and time in UTC.
fn date(unix: i64) -> String {
    let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // The calendar repeats every 400 years of 146,097 days; years begin in March, so that leap days come last.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{:02} UTC",
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days_and_before_1970() {
        for (unix, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_700_000_000, "2023-11-14 22:13:20 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(date(unix), text);
        }
    }
}
