//! What is told of each torrent, and at the end.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use state::import::{Imported, Program, Settled, Source, Standing};

use crate::failure::Failure;
use crate::screen::{Screen, Style};
use crate::source::shown_hash;
use crate::text::printable;
use crate::units::Size;

/// Things of one torrent that are told of to people.
const SHOWN: usize = 5;
/// Files of one torrent that are told of in JSON.
const MOST_DOUBTS: usize = 50;

/// One torrent; the JSON line has these fields.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    info_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<PathBuf>,
    /// `new`, `known` or `failed`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// `believed`, `to_check`, `empty` or `no_metadata`.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'static str>,
    /// Bytes of wanted files that are said to be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_files: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    doubts: Vec<Doubted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<Left>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// A file that is not believed to be what the record says.
#[derive(Debug, Serialize)]
struct Doubted {
    /// Null for the record as a whole.
    path: Option<String>,
    reason: String,
}

/// Something that is not taken over.
#[derive(Debug, Serialize)]
struct Left {
    field: String,
    reason: String,
}

impl Row {
    fn new(state: &'static str) -> Self {
        Self {
            event: "torrent",
            info_hash: None,
            name: None,
            dir: None,
            state,
            size: None,
            data: None,
            claimed: None,
            missing_files: None,
            paused: None,
            doubts: Vec::new(),
            left_out: Vec::new(),
            message: None,
        }
    }

    fn of(state: &'static str, it: &Imported) -> Self {
        Self {
            info_hash: Some(shown_hash(it.torrent.hashes)),
            name: Some(it.torrent.name.clone()),
            ..Self::new(state)
        }
    }

    /// A record that cannot be read.
    pub(super) fn failed(message: String) -> Self {
        Self {
            message: Some(message),
            ..Self::new("failed")
        }
    }

    /// A torrent that cannot be taken over.
    pub(super) fn refused(it: &Imported, message: String) -> Self {
        Self {
            message: Some(message),
            ..Self::of("failed", it)
        }
    }

    /// One that is there already.
    pub(super) fn known(it: &Imported) -> Self {
        Self::of("known", it)
    }

    /// One that is taken over.
    pub(super) fn taken(it: &Imported, settled: &Settled) -> Self {
        let paths = it.paths();
        let path = |at: u32| paths.get(at as usize).map(|path| path.join("/"));
        let doubts = settled.doubts.iter().take(MOST_DOUBTS);
        let doubts = doubts.map(|doubt| Doubted {
            path: doubt.file.and_then(path),
            reason: doubt.kind.to_string(),
        });
        let left_out = it.left_out.iter().map(|left| Left {
            field: left.field.clone(),
            reason: left.why.clone(),
        });
        Self {
            dir: Some(it.torrent.dir.clone()),
            size: it.torrent.content.map(|content| content.len),
            data: Some(match settled.standing {
                Standing::Believed => "believed",
                Standing::ToCheck => "to_check",
                Standing::Empty => "empty",
                Standing::NoMetadata => "no_metadata",
            }),
            claimed: Some(settled.claimed),
            missing_files: Some(settled.missing),
            paused: Some(it.torrent.switches.paused),
            doubts: doubts.collect(),
            left_out: left_out.collect(),
            ..Self::of("new", it)
        }
    }

    pub(super) fn tell(&self, screen: &Screen) -> Result<(), Failure> {
        if screen.style() == Style::Json {
            return screen.json(self);
        }
        screen.say(self.text())
    }

    /// A line with the torrent, and one for each thing to know about it.
    fn text(&self) -> String {
        let name = printable(self.name.as_deref().unwrap_or_default());
        let dir = self.dir.as_deref().map(Path::display);
        let dir = printable(&dir.map_or_else(String::new, |dir| dir.to_string()));
        let size = self.size;
        let shown = size.map_or_else(|| "-".to_owned(), |size| Size(size).to_string());
        let percent = match (self.claimed, size) {
            (Some(claimed), Some(size)) if size > 0 => {
                format!("{}%", u128::from(claimed) * 100 / u128::from(size))
            }
            _ => "-".to_owned(),
        };
        let word = match self.data {
            Some("believed") => "as it is",
            Some("to_check") => "to check",
            Some("empty") => "empty",
            Some(_) => "link",
            None if self.state == "known" => "known",
            None => "FAILED",
        };
        let mut lines = vec![match (&self.message, self.data) {
            (None, Some(_)) => format!("{word:<9} {shown:>9} {percent:>5}  {name}  in {dir}"),
            (None, None) => format!("{word:<9} {:>9} {:>5}  {name}", "", ""),
            (Some(why), _) if name.is_empty() => format!("{word:<9} {}", printable(why)),
            (Some(why), _) => format!("{word:<9} {name}: {}", printable(why)),
        }];
        let doubts = self.doubts.iter().map(|doubt| match &doubt.path {
            Some(path) => format!("{} {}", printable(path), doubt.reason),
            None => doubt.reason.clone(),
        });
        push(&mut lines, doubts.collect());
        let left = self.left_out.iter();
        let left = left.map(|left| {
            format!(
                "left out: {}: {}",
                printable(&left.field),
                printable(&left.reason)
            )
        });
        push(&mut lines, left.collect());
        lines.join("\n")
    }
}

fn push(lines: &mut Vec<String>, more: Vec<String>) {
    let others = more.len().saturating_sub(SHOWN);
    lines.extend(
        more.into_iter()
            .take(SHOWN)
            .map(|line| format!("          {line}")),
    );
    if others > 0 {
        lines.push(format!("          and {others} more"));
    }
}

/// All of them; the JSON line at the end has these fields.
#[derive(Debug, Serialize)]
pub(super) struct Total<'a> {
    event: &'static str,
    program: &'static str,
    records: &'a Path,
    state_dir: &'a Path,
    applied: bool,
    new: usize,
    believed: usize,
    to_check: usize,
    missing: usize,
    known: usize,
    pub(super) failed: usize,
    #[serde(skip)]
    name: Program,
}

impl<'a> Total<'a> {
    pub(super) fn new(source: &'a Source, applied: bool, state_dir: &'a Path) -> Self {
        Self {
            event: "imported",
            program: source.program().word(),
            records: source.path(),
            state_dir,
            applied,
            new: 0,
            believed: 0,
            to_check: 0,
            missing: 0,
            known: 0,
            failed: 0,
            name: source.program(),
        }
    }

    pub(super) fn count(&mut self, row: &Row) {
        match row.state {
            "new" => self.new += 1,
            "known" => self.known += 1,
            _ => self.failed += 1,
        }
        match row.data {
            Some("believed") => self.believed += 1,
            Some("to_check") => self.to_check += 1,
            _ => {}
        }
        self.missing += usize::from(row.missing_files.is_some_and(|files| files > 0));
    }

    pub(super) fn tell(&self, screen: &Screen) -> Result<(), Failure> {
        if screen.style() == Style::Json {
            return screen.json(self);
        }
        let (new, program, dir) = (self.new, self.name, self.state_dir.display());
        let first = if self.applied {
            format!("{new} torrents of {program} were taken over into {dir}")
        } else {
            format!("{new} torrents of {program} would be taken over into {dir}")
        };
        let mut text = format!(
            "{first}: {} as they are, {} to be checked, {} of these with missing files; {} are known already, {} cannot be taken over",
            self.believed, self.to_check, self.missing, self.known, self.failed
        );
        if !self.applied && new > 0 {
            text.push_str("\nNothing was written. --apply takes them over.");
        } else if self.applied && new > 0 {
            let _ = write!(
                text,
                "\nEnd {program} before they run here: two programs must not write to the same files."
            );
        }
        screen.say(text)
    }
}
