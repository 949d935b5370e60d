//! From what a record says to what is kept: where the content lies, and what of it can be believed.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::path::Path;

use protocol::bitfield::Bitfield;

use super::Imported;
use super::claim::{Doubt, DoubtKind, Layout};
use crate::{Amount, FileStamp, Progress};

/// What became of what a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What is kept of it; `None` where there is nothing to keep.
    pub progress: Option<Progress>,
    /// Whether it is believed.
    pub standing: Standing,
    /// What there is to doubt.
    pub doubts: Vec<Doubt>,
    /// Bytes of wanted files in pieces that are said to be there and right.
    pub claimed: u64,
    /// Wanted files that are not there at all, though something is said to be in them.
    pub missing: usize,
}

/// Whether what a record says is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All of it, without a check.
    Believed,
    /// The torrent is checked first.
    ToCheck,
    /// Nothing is said to be there, and nothing is.
    Empty,
    /// There is no metadata yet, so that there is nothing to have.
    NoMetadata,
}

/// How files are looked at: their lengths and times below a folder, as many as there are paths; an empty path is no file.
pub type Look<'a> = dyn FnMut(&Path, &[Vec<String>]) -> Vec<FileStamp> + 'a;

impl Imported {
    /// Finds where the content lies and holds what the record says against it.
    ///
    /// What is believed names no start of the machine: bring the files to the disk before it is kept.
    pub fn settle(&mut self, look: &mut Look<'_>) -> Settled {
        let mut settled = Settled {
            progress: None,
            standing: Standing::NoMetadata,
            doubts: Vec::new(),
            claimed: 0,
            missing: 0,
        };
        let stamps = self.place(look);
        let Some(parsed) = &self.parsed else {
            return settled;
        };
        let layout = Layout {
            geometry: parsed.geometry(),
            files: parsed.files(),
        };
        let all = (0_u32..).zip(layout.files);
        let stored = all.filter(|(_, file)| file.is_stored());
        let stored: Vec<u32> = stored.map(|(at, _)| at).collect();
        let (wanted, unwanted): (Vec<u32>, Vec<u32>) =
            stored.into_iter().partition(|at| self.is_wanted(*at));
        let is_wanted = |at: u32| wanted.binary_search(&at).is_ok();
        let Some(mut claim) = self.claim.clone() else {
            let there = stamps.iter().any(|stamp| stamp.len.is_some());
            settled.standing = Standing::Empty;
            if there {
                settled.standing = Standing::ToCheck;
                settled.doubts.push(Doubt {
                    file: None,
                    kind: DoubtKind::Unsaid,
                });
            }
            return settled;
        };
        let taken;
        (taken, settled.doubts) = claim.judge(layout, &stamps, is_wanted);
        settled.claimed = layout.bytes_in(&claim.have, is_wanted);
        let missing = settled.doubts.iter();
        let missing = missing.filter(|doubt| doubt.kind == DoubtKind::Missing);
        settled.missing = missing.count();
        let nothing = claim.have.count() == 0 && claim.partial.is_empty();
        settled.standing = match (settled.doubts.is_empty(), nothing) {
            (false, _) => Standing::ToCheck,
            (true, true) => Standing::Empty,
            (true, false) => Standing::Believed,
        };
        if settled.standing == Standing::Believed {
            let whole = Bitfield::full(layout.geometry.pieces());
            self.torrent.rested = Some(Amount {
                wanted: layout.bytes_in(&whole, is_wanted),
                done: settled.claimed,
            });
        }
        settled.progress = Some(Progress {
            have: claim.have,
            partial: claim.partial,
            files: stamps,
            clean: settled.doubts.is_empty(),
            start: Vec::new(),
            wanted: (!unwanted.is_empty()).then_some(wanted),
        });
        if taken > 0 {
            let why = "pieces reach into files that are not wanted and lie nowhere";
            self.leave_out("pieces", format!("{taken} {why}"));
        }
        settled
    }

    /// Whether a file is wanted.
    fn is_wanted(&self, at: u32) -> bool {
        let choice = self.details.files.get(&at);
        let priority = choice.and_then(|choice| choice.priority);
        priority.or(self.details.other_files) != Some(0)
    }

    /// Finds the content: where the torrent is to be, or where it lies as long as it is not complete.
    fn place(&mut self, look: &mut Look<'_>) -> Vec<FileStamp> {
        let paths = self.paths();
        let (stamps, unfinished) = self.find(&self.torrent.dir, &paths, look);
        let elsewhere = self.elsewhere.take();
        let found = |stamps: &[FileStamp]| stamps.iter().any(|stamp| stamp.len.is_some());
        if !found(&stamps)
            && let Some(other) = elsewhere
        {
            let (stamps, unfinished) = self.find(&other, &paths, look);
            if found(&stamps) {
                let last = self.torrent.dir.display();
                let why = format!(
                    "it lies in {} as it is not complete, and stays there instead of going to {last}",
                    other.display()
                );
                self.leave_out("incomplete-dir", why);
                self.torrent.dir = other;
                self.keep_names(&paths, &unfinished);
                return stamps;
            }
        }
        self.keep_names(&paths, &unfinished);
        stamps
    }

    /// Lengths and times of the files below a folder, and which of them have the name of one that is not complete.
    fn find(
        &self,
        dir: &Path,
        paths: &[Vec<String>],
        look: &mut Look<'_>,
    ) -> (Vec<FileStamp>, Vec<u32>) {
        const ABSENT: FileStamp = FileStamp {
            len: None,
            mtime: 0,
        };
        let mut stamps = look(dir, paths);
        stamps.resize(paths.len(), ABSENT);
        let mut unfinished = Vec::new();
        if let Some(suffix) = self.unfinished_suffix {
            let absent = paths.iter().zip(&stamps);
            let absent = absent.map(|(path, stamp)| match stamp.len {
                None => with_suffix(path, suffix),
                Some(_) => Vec::new(),
            });
            let absent: Vec<_> = absent.collect();
            let others = look(dir, &absent);
            for (at, (stamp, other)) in (0_u32..).zip(stamps.iter_mut().zip(others)) {
                if other.len.is_some() {
                    *stamp = other;
                    unfinished.push(at);
                }
            }
        }
        (stamps, unfinished)
    }

    /// Files go on under the names that they have.
    fn keep_names(&mut self, paths: &[Vec<String>], unfinished: &[u32]) {
        let Some(suffix) = self.unfinished_suffix else {
            return;
        };
        for at in unfinished {
            if let Some(path) = paths.get(*at as usize) {
                let name = with_suffix(path, suffix).join("/");
                let choice = self.details.files.entry(*at).or_default();
                choice.renamed = Some(name);
            }
        }
        if let Some(first) = unfinished.first().and_then(|at| paths.get(*at as usize)) {
            let (count, first) = (unfinished.len(), first.join("/"));
            let why = format!(
                "{count} files that are not complete go on under the names that end in it, as {first}{suffix}, also when they are complete"
            );
            self.leave_out(suffix, why);
        }
    }
}

/// The path with something behind its last name.
fn with_suffix(path: &[String], suffix: &str) -> Vec<String> {
    let mut path = path.to_vec();
    if let Some(name) = path.last_mut() {
        name.push_str(suffix);
    }
    path
}
