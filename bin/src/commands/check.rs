//! `check`: hashes a torrent's data and reports what is bad or missing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use protocol::metainfo::{FileEntry, Metainfo};
use storage::{ErrorKind, RecheckOptions, Store, StoreOptions};

use crate::cli::CheckArgs;
use crate::content;
use crate::failure::Failure;
use crate::json::{Line, seconds};
use crate::progress::Meter;
use crate::screen::{Screen, Style};
use crate::source::{Source, shown_hash};
use crate::text::{per_second, printable};
use crate::units::{Size, Span};
use crate::wire;

pub(crate) fn run(args: &CheckArgs, screen: &Screen) -> Result<(), Failure> {
    let source = if Source::is_remote(&args.torrent) {
        wire::run(async { Source::read(&args.torrent, &wire::plain_network()).await })?
    } else {
        Source::read_local(&args.torrent)?
    };
    let metainfo = source.into_torrent(&args.torrent)?;
    super::must_be_folder(&args.data)?;
    let spec = content::spec(&metainfo, &args.data)?;
    let options = StoreOptions {
        follow_links: true,
        ..StoreOptions::default()
    };
    let store = Store::open(spec, options).map_err(Failure::failed)?;
    let threads = args.threads.map_or(0, usize::from);
    let checked = Checked::new(metainfo, &store, threads, screen)?;
    checked.tell(screen)?;
    if checked.is_good() {
        Ok(())
    } else {
        Err(Failure::Told)
    }
}

/// What a check found.
struct Checked {
    metainfo: Arc<Metainfo>,
    have: Bitfield,
    took: std::time::Duration,
    files: Vec<BadFile>,
}

/// A file that is not as it should be.
struct BadFile {
    path: String,
    missing: bool,
    bad_pieces: u32,
    /// Bytes beyond the end that the torrent knows.
    extra: u64,
}

impl Checked {
    fn new(
        metainfo: Arc<Metainfo>,
        store: &Store,
        threads: usize,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let size = metainfo.content_len();
        let meter = RefCell::new(Meter::new(screen, metainfo.name(), size));
        let show = |progress: storage::Progress| {
            let share =
                u128::from(size) * u128::from(progress.done) / u128::from(progress.total.max(1));
            meter.borrow_mut().update(share as u64);
        };
        let options = RecheckOptions {
            threads,
            ..RecheckOptions::default()
        };
        let have = store.recheck(&options, &show, &AtomicBool::new(false));
        let took = meter.into_inner().finish();
        let mut checked = Self {
            have: have.map_err(|error| {
                if error.kind() != ErrorKind::Inconsistent {
                    return Failure::failed(error);
                }
                // That is not the fault of any file.
                let name = printable(metainfo.name());
                let why = "its v1 and v2 hashes are of different content";
                Failure::Failed(format!("the torrent {name} contradicts itself: {why}"))
            })?,
            metainfo,
            took,
            files: Vec::new(),
        };
        checked.files = checked.bad_files(store);
        Ok(checked)
    }

    fn bad_files(&self, store: &Store) -> Vec<BadFile> {
        let odd: BTreeMap<usize, u64> = store.odd_sizes().into_iter().collect();
        let listed = self.metainfo.files().iter().enumerate();
        let on_disk = listed.filter(|(_, file)| !file.attr.pad);
        let judged = on_disk.map(|(index, file)| BadFile {
            path: file.display_path(),
            missing: std::fs::symlink_metadata(store.path_of(index)).is_err(),
            bad_pieces: self.bad_pieces_of(file),
            extra: odd
                .get(&index)
                .map_or(0, |len| len.saturating_sub(file.len)),
        });
        judged
            .filter(|file| file.missing || file.bad_pieces > 0 || file.extra > 0)
            .collect()
    }

    fn bad_pieces_of(&self, file: &FileEntry) -> u32 {
        let pieces = pieces_of(file, &self.metainfo);
        let bad = pieces.filter(|piece| !self.have.get(*piece));
        bad.count() as u32
    }

    fn bad_pieces(&self) -> impl Iterator<Item = PieceIndex> {
        let pieces = self.metainfo.geometry().iter();
        pieces.filter(|piece| !self.have.get(*piece))
    }

    fn is_good(&self) -> bool {
        self.files.is_empty() && self.bad_pieces().next().is_none()
    }

    fn tell(&self, screen: &Screen) -> Result<(), Failure> {
        match screen.style() {
            Style::Json => self.tell_json(screen),
            Style::Bars | Style::Lines => screen.write(&self.text()),
        }
    }

    fn tell_json(&self, screen: &Screen) -> Result<(), Failure> {
        for run in runs(self.bad_pieces().map(PieceIndex::get)) {
            let (first, last) = (*run.start(), *run.end());
            screen.json(&Line::BadPieces {
                first,
                last,
                files: &self.files_in(run),
            })?;
        }
        for file in &self.files {
            screen.json(&Line::BadFile {
                path: &file.path,
                missing: file.missing,
                bad_pieces: file.bad_pieces,
                extra: file.extra,
            })?;
        }
        let (pieces, good) = (self.metainfo.geometry().pieces(), self.have.count());
        screen.json(&Line::Checked {
            info_hash: &shown_hash(self.metainfo.hashes()),
            pieces,
            good,
            bad: pieces - good,
            size: self.metainfo.content_len(),
            seconds: seconds(self.took),
        })
    }

    fn text(&self) -> String {
        let mut lines = vec![self.sum()];
        let runs = runs(self.bad_pieces().map(PieceIndex::get));
        let more = runs.len().saturating_sub(MOST_RUNS);
        for run in runs.into_iter().take(MOST_RUNS) {
            let name = match (run.start(), run.end()) {
                (from, to) if from == to => format!("bad piece {from}"),
                (from, to) => format!("bad pieces {from}-{to}"),
            };
            let files = some_of(&self.files_in(run));
            lines.push(format!("{name:<24} {}", printable(&files)));
        }
        if more > 0 {
            lines.push(format!("and {more} more places; --json lists all of them"));
        }
        for file in &self.files {
            let name = match (file.missing, file.bad_pieces) {
                (true, _) => "missing file".to_owned(),
                (false, 0) => format!("too long by {} bytes", file.extra),
                (false, 1) => "bad file (1 piece)".to_owned(),
                (false, n) => format!("bad file ({n} pieces)"),
            };
            lines.push(format!("{name:<24} {}", printable(&file.path)));
        }
        lines.join("\n") + "\n"
    }

    /// The line that tells how it stands as a whole.
    fn sum(&self) -> String {
        let (pieces, good) = (self.metainfo.geometry().pieces(), self.have.count());
        let name = printable(self.metainfo.name());
        let size = Size(self.metainfo.content_len());
        if self.is_good() {
            let rate = Size(per_second(size.0, self.took));
            let took = Span(self.took);
            format!("{name}: all good, {pieces} pieces, {size} in {took} ({rate}/s)")
        } else {
            let state = if good == pieces {
                "not as it should be"
            } else {
                "not complete"
            };
            format!("{name}: {state}, {good} of {pieces} pieces of {size} are good")
        }
    }

    /// The paths of the files that have bytes in these pieces.
    fn files_in(&self, pieces: RangeInclusive<u32>) -> Vec<String> {
        let touches = |file: &&FileEntry| {
            let mut own = pieces_of(file, &self.metainfo);
            let bounds = (own.next(), own.next_back());
            let (Some(first), last) = bounds else {
                return false;
            };
            let last = last.unwrap_or(first);
            first.get() <= *pieces.end() && *pieces.start() <= last.get()
        };
        let stored = self.metainfo.files().iter().filter(|file| file.is_stored());
        stored
            .filter(touches)
            .map(FileEntry::display_path)
            .collect()
    }
}

/// The pieces that hold bytes of a file.
fn pieces_of(
    file: &FileEntry,
    metainfo: &Metainfo,
) -> impl DoubleEndedIterator<Item = PieceIndex> + use<> {
    let geometry = metainfo.geometry();
    let at = |offset: u64| geometry.piece_at(offset).map_or(0, PieceIndex::get);
    let range = match file.len {
        0 => 0..0,
        len => at(file.offset)..at(file.offset + len - 1) + 1,
    };
    range.filter_map(move |index| geometry.piece(index))
}

/// Places with bad pieces that people are shown.
const MOST_RUNS: usize = 20;

/// The first few names, and how many more there are.
fn some_of(names: &[String]) -> String {
    match names {
        [first, second, third, _, rest @ ..] => {
            format!("{first}, {second}, {third} and {} more", rest.len() + 1)
        }
        few => few.join(", "),
    }
}

/// Neighbouring numbers put together.
fn runs(numbers: impl Iterator<Item = u32>) -> Vec<RangeInclusive<u32>> {
    let mut runs: Vec<RangeInclusive<u32>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if *run.end() + 1 == number => *run = *run.start()..=number,
            _ => runs.push(number..=number),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_pieces_are_told_together() {
        assert_eq!(
            runs([1, 2, 3, 7, 9, 10].into_iter()),
            [1..=3, 7..=7, 9..=10]
        );
        assert!(runs(std::iter::empty()).is_empty());
    }

    #[test]
    fn long_lists_of_files_are_cut_short() {
        let names: Vec<String> = "abcde".chars().map(String::from).collect();
        assert_eq!(some_of(&names[..3]), "a, b, c");
        assert_eq!(some_of(&names), "a, b, c and 2 more");
    }
}
