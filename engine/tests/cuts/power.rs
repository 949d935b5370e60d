//! What is left of a folder when the power goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::cuts::Cut;
use crate::record::Moment;
use crate::tree::{Content, Entry, FileId, PAGE, Tree};

/// What has reached the disk for sure, and what may have. Asks of a file system no more than POSIX does: that a name is there after a
/// crash takes that its folder was synced; that bytes are, that the file was.
#[derive(Default)]
pub(crate) struct Power {
    names: BTreeMap<PathBuf, Entry>,
    files: BTreeMap<FileId, Content>,
    pending: Vec<Naming>,
    now: Tree,
}

/// A change of names that has not been brought to the disk.
#[derive(Clone, Debug)]
struct Naming {
    gone: Option<PathBuf>,
    come: Option<(PathBuf, Entry)>,
}

impl Naming {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.gone
            .iter()
            .chain(self.come.iter().map(|(path, _)| path))
    }

    fn make(self, names: &mut BTreeMap<PathBuf, Entry>) {
        if let Some(path) = self.gone {
            names.remove(&path);
        }
        if let Some((path, entry)) = self.come {
            names.insert(path, entry);
        }
    }
}

impl Power {
    /// What is there at the beginning is on the disk.
    pub(crate) fn new(tree: &Tree) -> Self {
        Self {
            names: tree.names.clone(),
            files: tree.files.clone(),
            pending: Vec::new(),
            now: tree.clone(),
        }
    }

    /// Goes on over a change to the next one.
    pub(crate) fn advance(&mut self, moment: &Moment, next: &Moment) {
        if let Some(path) = &moment.sync {
            self.sync(path);
        }
        let (old, new) = (&self.now.names, &next.tree.names);
        let gone = old
            .iter()
            .filter(|(path, entry)| new.get(*path) != Some(entry));
        let come = new
            .iter()
            .filter(|(path, entry)| old.get(*path) != Some(entry));
        let mut gone: Vec<(&PathBuf, &Entry)> = gone.collect();
        let mut changes = Vec::new();
        for (path, entry) in come {
            // A file that has another name now; folders are never renamed.
            let from = gone
                .iter()
                .position(|(_, old)| *old == entry && **old != Entry::Folder);
            let from = from.map(|at| gone.remove(at).0.clone());
            let come = Some((path.clone(), entry.clone()));
            changes.push(Naming { gone: from, come });
        }
        // A name that leads to something else now was given in one step.
        gone.retain(|(path, _)| !new.contains_key(*path));
        for (path, _) in gone.into_iter().rev() {
            let gone = Some(path.clone());
            changes.push(Naming { gone, come: None });
        }
        self.pending.extend(changes);
        self.now = Tree::clone(&next.tree);
    }

    fn sync(&mut self, path: &Path) {
        if let Some(id) = self.now.file(path) {
            self.files.insert(id, self.now.files[&id].clone());
            return;
        }
        let of = |naming: &Naming| naming.paths().any(|it| it.parent() == Some(path));
        let chosen: BTreeSet<usize> = (0..self.pending.len())
            .filter(|at| of(&self.pending[*at]))
            .collect();
        let pending = std::mem::take(&mut self.pending);
        let chosen = closed(&pending, chosen);
        for (at, naming) in pending.into_iter().enumerate() {
            if chosen.contains(&at) {
                naming.make(&mut self.names);
            } else {
                self.pending.push(naming);
            }
        }
    }

    /// What is found if the power goes now.
    pub(crate) fn tree(&self, cut: Cut) -> Tree {
        let mut tree = Tree::default();
        tree.names.clone_from(&self.names);
        tree.files.clone_from(&self.files);
        match cut {
            Cut::Nothing => {}
            Cut::Everything => {
                tree.names.clone_from(&self.now.names);
                tree.files.clone_from(&self.now.files);
            }
            Cut::Some(seed) => {
                let mut rng = StdRng::seed_from_u64(seed);
                let all = 0..self.pending.len();
                let chosen = if rng.random() {
                    all.filter(|_| rng.random()).collect()
                } else {
                    // In order, as file systems with a journal do.
                    (0..rng.random_range(0..=self.pending.len())).collect()
                };
                for at in closed(&self.pending, chosen) {
                    self.pending[at].clone().make(&mut tree.names);
                }
                // The lengths and times of files come to the disk on another way than their bytes.
                let fresh = rng.random();
                for (id, new) in &self.now.files {
                    let old = self.files.get(id).cloned().unwrap_or_default();
                    tree.files.insert(*id, mixed(&old, new, fresh, &mut rng));
                }
            }
        }
        let used: BTreeSet<FileId> = tree
            .names
            .values()
            .filter_map(|entry| match entry {
                Entry::File(id) => Some(*id),
                Entry::Folder | Entry::Link(_) => None,
            })
            .collect();
        for id in used {
            // Named and never synced: it is empty.
            let mtime = self.now.files.get(&id).map_or((0, 0), |now| now.mtime);
            let empty = Content {
                mtime,
                ..Content::default()
            };
            tree.files.entry(id).or_insert(empty);
        }
        tree.prune();
        tree
    }
}

/// With each change those before it that concern the same names.
fn closed(pending: &[Naming], mut chosen: BTreeSet<usize>) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    for (at, naming) in pending.iter().enumerate().rev() {
        if chosen.contains(&at) || naming.paths().any(|path| needed.contains(path)) {
            chosen.insert(at);
            needed.extend(naming.paths());
        }
    }
    chosen
}

/// Of what was written since a file was synced some pages are on the disk, and of some only some sectors; and, each by itself unless
/// both are `fresh`, its length and the time of its last change.
fn mixed(old: &Content, new: &Content, fresh: bool, rng: &mut StdRng) -> Content {
    const SECTOR: usize = 512;
    let stale = |rng: &mut StdRng| !fresh && rng.random();
    let len = if stale(rng) { old.len } else { new.len };
    let mtime = if stale(rng) { old.mtime } else { new.mtime };
    let (before, after) = (padded(old, len), padded(new, len));
    let mut bytes = before;
    for (page, after) in bytes.chunks_mut(PAGE).zip(after.chunks(PAGE)) {
        match rng.random_range(0..4) {
            0 => {}
            1 => {
                for (sector, after) in page.chunks_mut(SECTOR).zip(after.chunks(SECTOR)) {
                    if rng.random() {
                        sector.copy_from_slice(after);
                    }
                }
            }
            _ => page.copy_from_slice(after),
        }
    }
    Content {
        len,
        pages: bytes.chunks(PAGE).map(Into::into).collect(),
        mtime,
    }
}

fn padded(content: &Content, len: usize) -> Vec<u8> {
    let mut bytes = content.bytes();
    bytes.resize(len, 0);
    bytes
}
