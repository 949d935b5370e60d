//! What a power cut leaves on a disk.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::sim::{Op, SimDisk, change, rename};

/// What a power cut leaves of changes that were not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// Nothing.
    Nothing,
    /// All of them: the process died, and not the machine.
    Everything,
    /// Some, in any order, and of some writes only some sectors; chance has this seed.
    Some(u64),
}

/// What is on the disk if power is cut between two changes, for each of them in turn.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    files: BTreeMap<u64, Vec<u8>>,
    names: BTreeMap<String, u64>,
    unsynced: Vec<Op>,
    unsynced_names: Vec<Op>,
}

impl Cuts {
    /// Begins with what is on a disk, all of it synced.
    pub(crate) fn of(disk: &SimDisk) -> Self {
        let (files, names) = disk.content();
        Self {
            files,
            names,
            ..Self::default()
        }
    }

    /// One more change was made.
    pub(crate) fn advance(&mut self, op: &Op) {
        match op {
            Op::Write(..) | Op::SetLen(..) => self.unsynced.push(op.clone()),
            Op::Sync(file) => {
                let own =
                    |op: &Op| matches!(op, Op::Write(of, ..) | Op::SetLen(of, _) if of == file);
                for op in self.unsynced.extract_if(.., |op| own(op)) {
                    change(&mut self.files, &op);
                }
            }
            Op::Create(..) | Op::Rename(..) | Op::Remove(_) => {
                self.unsynced_names.push(op.clone());
            }
            Op::SyncNames => {
                for op in self.unsynced_names.drain(..) {
                    rename(&mut self.names, &op);
                }
            }
        }
    }

    /// The disk after a power cut now.
    pub(crate) fn disk(&self, cut: Cut) -> SimDisk {
        let (mut files, mut names) = (self.files.clone(), self.names.clone());
        match cut {
            Cut::Nothing => {}
            Cut::Everything => {
                for op in &self.unsynced {
                    change(&mut files, op);
                }
                for op in &self.unsynced_names {
                    rename(&mut names, op);
                }
            }
            Cut::Some(seed) => {
                let mut rng = StdRng::seed_from_u64(seed);
                let mut ops = self.unsynced.clone();
                ops.shuffle(&mut rng);
                for op in ops {
                    if rng.random() {
                        change(&mut files, &torn(op, &mut rng));
                    }
                }
                // File systems keep the order of names.
                let kept = rng.random_range(0..=self.unsynced_names.len());
                for op in &self.unsynced_names[..kept] {
                    rename(&mut names, op);
                }
            }
        }
        for file in names.values() {
            files.entry(*file).or_default();
        }
        SimDisk::with(files, names)
    }
}

/// Some writes come to the disk in part: from one sector to another.
fn torn(op: Op, rng: &mut StdRng) -> Op {
    const SECTOR: usize = 512;
    let Op::Write(file, at, bytes) = &op else {
        return op;
    };
    if bytes.len() <= SECTOR || rng.random() {
        return op;
    }
    let sectors = bytes.len() / SECTOR;
    let from = rng.random_range(0..sectors);
    let to = rng.random_range(from..=sectors);
    let part = bytes[from * SECTOR..to * SECTOR].to_vec();
    Op::Write(*file, at + (from * SECTOR) as u64, part)
}
